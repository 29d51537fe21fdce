"""The use case *retain*: what `[retention]` no longer keeps is deleted; dry unless told."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from waremill.app import auditing
from waremill.errors import ConfigError
from waremill.store import retaining as store

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from waremill.app.workspace import Workspace

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Retained:
    """One kind: how long it is kept, how many rows are older, whether they were deleted."""

    kind: str
    days: int
    rows: int
    done: bool


async def retain(workspace: Workspace, *, really: bool = False) -> list[Retained]:
    """Delete what is older than the settings keep it, or count it.

    Raises ConfigError where nothing is set: then everything is kept.
    """
    workspace.actor.need_somewhere("admin", "retention")
    kept = {kind: getattr(workspace.settings.retention, kind) for kind in store.KINDS}
    wanted = {kind: days for kind, days in kept.items() if days is not None}
    if not wanted:
        raise ConfigError(
            "nothing is set in [retention], so everything is kept; add answers = 365, for example"
        )
    found = []
    for kind, days in wanted.items():
        rows = await _apply(workspace, kind, time.time() - days * DAY, really)
        found.append(Retained(kind, days, rows, really))
    if really and any(one.rows for one in found):
        counts = {one.kind: one.rows for one in found}

        def record(conn: Connection) -> None:
            auditing.record(conn, workspace.actor, "retention.apply", "retention", **counts)

        await workspace.database.write(record)
    return found


async def _apply(workspace: Workspace, kind: str, before: float, really: bool) -> int:
    run = workspace.database.write if really else workspace.database.read
    count = 0
    after: int | None = 0
    while after is not None:
        rows, after = await run(store.step, kind, before, after, really)
        count += rows
    return count
