"""The use case *retain*: what `[retention]` no longer keeps is deleted; dry unless told.

Rows go some thousands a transaction, beside whatever else happens. The audit log, the ledger's sums
and what is the newest of its kind are never deleted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from waremill.app import auditing
from waremill.app.keeping import storage_at
from waremill.app.launching import LOGS
from waremill.app.uploading import sweep
from waremill.errors import ConfigError
from waremill.store import erasing as store_erasing
from waremill.store import retaining as store
from waremill.store import retaining_runs as store_runs

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from waremill.app.workspace import Workspace
    from waremill.store.assets import Assets

DAY = 86_400
PICTURES_AT_ONCE = 500_000
"""References of pictures in memory at once, some 100 bytes each; the tables are read once each."""


@dataclass(frozen=True, slots=True)
class Retained:
    """One kind: how long it is kept, how many rows or files are older, whether they were deleted.

    Of `runs` items are counted.
    """

    kind: str
    days: int
    rows: int
    done: bool


async def retain(workspace: Workspace, *, really: bool = False) -> list[Retained]:
    """Delete what is older than the settings keep it, or count it; uploads go after a day.

    Raises ConfigError where nothing is set: then everything is kept.
    """
    workspace.actor.need_somewhere("admin", "retention")
    kept = asdict(workspace.settings.retention)
    wanted = {kind: days for kind, days in kept.items() if days is not None}
    if not wanted:
        raise ConfigError(
            "nothing is set in [retention], so everything is kept; add answers = 365, for example"
        )
    found = []
    # Pictures come last: what the others delete may have been the last that referred to one.
    for kind in sorted(wanted, key=lambda one: one == "pictures"):
        before = time.time() - wanted[kind] * DAY
        rows = await _apply(workspace, kind, before, really)
        found.append(Retained(kind, wanted[kind], rows, really))
    swept = await asyncio.to_thread(sweep, workspace.settings.root, really=really)
    found.append(Retained("uploads", 1, swept, really))
    if really and any(one.rows for one in found):
        counts = {one.kind: one.rows for one in found}

        def record(conn: Connection) -> None:
            auditing.record(conn, workspace.actor, "retention.apply", "retention", **counts)

        await workspace.database.write(record)
    return found


async def _apply(workspace: Workspace, kind: str, before: float, really: bool) -> int:
    if kind == "logs":
        return await asyncio.to_thread(_logs, workspace.settings.root, before, really)
    if kind == "pictures":
        return await _pictures(workspace, before, really)
    if kind in store_runs.RUN_STEPS:
        return await _of_runs(workspace, kind, before, really)
    run = workspace.database.write if really else workspace.database.read
    count = 0
    after: int | None = 0
    while after is not None:
        rows, after = await run(store.step, kind, before, after, really)
        count += rows
    return count


async def _of_runs(workspace: Workspace, kind: str, before: float, really: bool) -> int:
    """Delete from run to run what is of a kind."""
    run = workspace.database.write if really else workspace.database.read
    count = 0
    for number in await workspace.database.read(store_runs.ended_before, before):
        after: int | None = 0
        while after is not None:
            rows, after = await run(store_runs.RUN_STEPS[kind], number, after, really)
            count += rows
    return count


def _logs(root: Path, before: float, really: bool) -> int:
    count = 0
    for path in (root / LOGS).glob("*.log"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < before:
                count += 1
                if really:
                    path.unlink()
    return count


async def _pictures(workspace: Workspace, before: float, really: bool) -> int:
    """Delete stored pictures that are old and that nothing refers to any more."""
    place = workspace.settings.pictures.storage
    if "://" in place:
        raise ConfigError(
            "retention.pictures is for a local folder; take it out, and let the object store keep "
            "versions or archive what is old"
        )
    storage = storage_at(place)
    every = storage.older(before)
    count = 0
    while some := await asyncio.to_thread(_next, every):
        orphans = await _orphans(workspace, some)
        if really and orphans:
            await _forget(workspace, storage, orphans, before)
        count += len(orphans)
    return count


def _next(every: Iterator[str]) -> set[str]:
    return set(islice(every, PICTURES_AT_ONCE))


async def _orphans(workspace: Workspace, some: set[str]) -> set[str]:
    read = workspace.database.read_all
    left = some - await read(store_runs.referred_in_marks, some)
    for holder in store_runs.HOLDERS:
        after: int | None = 0
        while after is not None and left:
            found, after = await read(store_runs.referred, holder, after, left)
            left -= found
    place: tuple[int, str] | None = (0, "")
    while place is not None and left:
        found, place = await read(store_runs.referred_beside, place, left)
        left -= found
    return left


async def _forget(workspace: Workspace, storage: Assets, orphans: set[str], before: float) -> None:
    """Forget first what they were made as, so that they are made again where they are wanted."""
    after: bytes | None = b""
    while after is not None:
        after = await workspace.database.write(store_erasing.erase_derivations, orphans, after)
    for reference in orphans:
        await asyncio.to_thread(storage.forget_old, reference, before)
