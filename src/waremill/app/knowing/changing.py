"""Who changes a knowledge base: found or made by name, claimed, kept while the change goes on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from waremill.app import auditing
from waremill.app.acting import Role
from waremill.app.working import owner_is_alive, owner_is_dead, owner_name
from waremill.errors import ConfigError, Forbidden, NotFound
from waremill.rules.document import suggestion
from waremill.store import knowledge as store
from waremill.store.knowledge import Base

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

PULSE_SECONDS = 10.0
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a change is: what is done now, how many of how many (None: not known yet)."""

    stage: str
    done: int
    total: int | None = None


Report = Callable[[Progress], None]


def nobody(_progress: Progress) -> None:
    """Tell nobody how far a change is."""


async def find_base(workspace: Workspace, name: str, role: Role = "viewer") -> Base:
    """Find a knowledge base by its name, for somebody of a role.

    Raises NotFound, with a suggestion, where the actor sees none of that name.
    """
    found = await workspace.database.read(store.find_base, name)
    if found is None or workspace.actor.role(found.team_id) is None:
        known = await workspace.database.read(store.list_bases, workspace.actor.sees)
        hint = suggestion(name, [one.name for one in known])
        raise NotFound(f"there is no knowledge base “{name[:80]}”{hint}")
    workspace.actor.need(role, found.team_id, f"knowledge base “{name}”")
    return found


async def find_or_make(workspace: Workspace, name: str) -> Base:
    """Find a base to add to, or make it for the actor's first team; for operators."""
    found = await workspace.database.read(store.find_base, name)
    if found is not None and workspace.actor.role(found.team_id) is not None:
        return await find_base(workspace, name, "operator")
    if not _NAME.fullmatch(name):
        raise ConfigError(
            "a knowledge base's name has 1 to 64 small letters, digits or - and begins with a "
            "letter or digit"
        )
    team = workspace.actor.first_team("operator")
    if team is None:
        raise Forbidden("adding knowledge needs the role operator")

    def make(conn: Connection) -> Base:
        base = store.make_base(conn, name, team)
        auditing.record(conn, workspace.actor, "knowledge.create", f"knowledge {name}", team)
        return base

    return await workspace.database.write(make)


@asynccontextmanager
async def claimed(workspace: Workspace, base: Base) -> AsyncIterator[Base]:
    """Own a base while something is changed; Conflict where somebody else changes it."""
    database = workspace.database
    own = await database.write(store.claim, base, owner_name(), owner_is_dead, owner_is_alive)
    pulse = asyncio.create_task(_pulse(workspace, own))
    try:
        yield own
    finally:
        pulse.cancel()
        with suppress(asyncio.CancelledError):
            await pulse
        await asyncio.shield(database.write(store.release, own))


async def is_changing(workspace: Workspace, base: Base) -> bool:
    """Say whether somebody changes a base now."""
    return await workspace.database.read(store.is_changing, base, owner_is_dead, owner_is_alive)


async def _pulse(workspace: Workspace, base: Base) -> None:
    while True:
        await asyncio.sleep(PULSE_SECONDS)
        await workspace.database.write(store.beat, base)
