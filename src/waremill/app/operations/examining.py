"""The use case *doctor*: look whether a workspace is sound, a line for each thing, with its level.

A line says what to do where something is not as it should be: an error keeps work from being done
or safe, a warning may do so later. What cannot be looked at does not keep the rest from being told.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from waremill.app.assembly import all_models
from waremill.app.modelling import check_models
from waremill.app.operations.surroundings import (
    Examined,
    Level,
    look_at_database,
    look_at_machine,
    ok,
)
from waremill.app.working import owner_is_alive, owner_is_dead
from waremill.errors import ConfigError, DatabaseGone, UserError
from waremill.pipeline import pipeline_names
from waremill.store import runs as store_runs

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace


async def examine(workspace: Workspace, *, call_models: bool = False) -> list[Examined]:
    """Look at an open workspace; no model is called unless `call_models` says so.

    For admins, of what they may know of; where the workspace lies is told at the machine alone.
    """
    actor = workspace.actor
    actor.need_somewhere("admin", "looking through the workspace")
    workspace = await workspace.seen()
    here = actor.everywhere is not None
    place = str(workspace.settings.root / "waremill.toml") if here else "waremill.toml"
    names = ", ".join(one.name for one in await workspace.catalogs()) or "nothing imported yet"
    found = [
        ok("settings", f"{place} can be read"),
        ok("database", f"{workspace.database.dialect}, catalogues: {names}"),
        *await look_at_database(workspace.database, actor.sees),
        *await _stranded(workspace),
        *_files(workspace),
    ]
    if call_models:
        found += _called(await check_models(workspace))
    return found + await look_at_machine(workspace.settings, here=here)


async def examine_closed(workspace: Workspace, *, call_models: bool = False) -> list[Examined]:
    """Open a workspace and look at it; one whose database does not open is looked at without it."""
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(workspace)
        except (ConfigError, DatabaseGone) as error:
            return [
                ok("settings", f"{workspace.settings.root / 'waremill.toml'} can be read"),
                Examined("database", "error", str(error)),
                *_files(workspace),
                *await look_at_machine(workspace.settings, here=True),
            ]
        return await examine(workspace, call_models=call_models)


async def _stranded(workspace: Workspace) -> list[Examined]:
    """Name runs that nobody works any more, though nobody stopped them."""
    teams = workspace.actor.sees

    def read(conn: Connection) -> tuple[int, list[str]]:
        running = store_runs.list_running(conn, teams)
        return len(running), [
            run.name
            for run in running
            if not store_runs.is_worked(conn, run, owner_is_dead, owner_is_alive)
        ]

    count, dead = await workspace.database.read(read)
    if not dead:
        return [ok("runs", f"{count} at work")]
    shown = ", ".join(dead[:5]) + (f" and {len(dead) - 5} more" if len(dead) > 5 else "")
    return [Examined("runs", "warning", f"nobody works {shown}; say waremill resume RUN")]


def _files(workspace: Workspace) -> Iterator[Examined]:
    """Look at pipelines, templates and the keys of models."""
    settings, used = workspace.settings, {"default"}
    for name in pipeline_names(settings.files()):
        try:
            assembly = workspace.assemble(name)
            used |= all_models(settings, assembly.models).keys()
        except UserError as error:
            yield Examined(f"pipeline {name}", "error", str(error))
        else:
            fields = ", ".join(assembly.fields) or "fields of the category's schema"
            yield ok(f"pipeline {name}", f"writes {fields}")
    for alias in settings.models:
        if missing := settings.missing_keys(alias):
            # One that no pipeline names is asked for by --model alone.
            level: Level = "error" if alias in used else "warning"
            yield Examined(f"model {alias}", level, f"set {' or '.join(missing)}")
        else:
            yield ok(f"model {alias}", "has what it needs")


def _called(found: dict[str, list[dict[str, object]]]) -> Iterator[Examined]:
    for alias, lines in found.items():
        failed = [str(line["message"]) for line in lines if not line["works"]]
        what = f"model {alias} answers"
        yield Examined(what, "error", failed[0]) if failed else ok(what, "it was called just now")


__all__ = ["Examined", "examine", "examine_closed"]
