"""Writes what is published to its files or its database, and lets the receipts count after it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import file_digest
from pathlib import Path, PurePath
from threading import Event
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from waremill.app import auditing, notifying
from waremill.app.publishing.channels import Opened
from waremill.app.publishing.shapes import FileShown
from waremill.app.publishing.tally import Tally
from waremill.app.working import owner_is_dead, owner_name
from waremill.catalog.publishers import whole_file
from waremill.catalog.publishers.channel import Record
from waremill.errors import Conflict, UserError, WaremillError
from waremill.store import published as store_published
from waremill.store import publishing as store
from waremill.store.identities import Claim, add_claims
from waremill.store.publishing import Publication, Receipt
from waremill.store.refusals import add_refusals, forget_refusals
from waremill.store.runs import clock

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

_AWAY = 3600.0
"""Seconds after which a publication of another machine that said nothing is taken as dead."""
GONE = "its process ended before it was written"
INTERRUPTED = "it was interrupted before it was written"
NOTHING_LIVE = "nothing is live in this channel yet, so no file was written"


async def settle_unfinished(workspace: Workspace, channel: str) -> None:
    """Bring a channel's cut-off publication to its end, or give it up.

    Raises Conflict for one that somebody is at. What was written already counts; what was not is
    published anew by whoever asks next.
    """
    found = await workspace.database.read(store.unfinished, channel)
    if found is None:
        return
    if not await workspace.database.read(_is_dead, found):
        raise Conflict(f"the channel “{channel}” is being published to just now")
    if found.state == "written":
        await count_receipts(workspace, found)
        return
    await workspace.database.write(_fail, found.id, GONE)


def _is_dead(conn: Connection, publication: Publication) -> bool:
    if publication.owner is None:
        return True
    if publication.owner.split(":")[0] == owner_name().split(":")[0]:
        return owner_is_dead(publication.owner)
    beat = publication.heartbeat
    return clock(conn) - (publication.created_at if beat is None else beat) > _AWAY


async def settle_all(workspace: Workspace) -> None:
    """Bring to their ends, or give up, all publications whose process is gone: a server's start."""
    for channel in await workspace.database.read(store.unfinished_channels):
        try:
            await settle_unfinished(workspace, channel)
        except Conflict:  # another server is at it
            continue


async def add_receipts(
    workspace: Workspace,
    publication: Publication,
    receipts: Sequence[Receipt],
    tally: Tally,
    claims: Sequence[Claim] = (),
) -> None:
    """Write receipts, some thousands a transaction, claims, refusals, and how far it is."""
    refused = tally.taken()
    so_far = {"report": tally.as_json()}

    def note(conn: Connection) -> None:
        store.set_publication(conn, publication.id, so_far)
        add_refusals(conn, publication, refused)
        add_claims(conn, publication, claims)

    await workspace.database.write(note)
    for start in range(0, len(receipts), store.SETTLED_AT_ONCE):
        some = receipts[start : start + store.SETTLED_AT_ONCE]
        await workspace.database.write(store.add_receipts, publication, some)


async def write_and_count(
    workspace: Workspace, opened: Opened, publication: Publication, tally: Tally
) -> None:
    """Write a publication to its target and let its receipts count; then it is done.

    Whatever goes wrong before it is written leaves it failed, and nothing counts.
    """
    files, notes = await _written(workspace, opened, publication)
    tally.files, tally.notes = files, [*tally.notes, *notes, *opened.channel.notes]
    written = {"state": "written", "report": tally.as_json()}
    await workspace.database.write(store.set_publication, publication.id, written)
    await count_receipts(workspace, publication)


async def _written(
    workspace: Workspace, opened: Opened, publication: Publication
) -> tuple[list[FileShown], list[str]]:
    """Write to the target on a thread; when it is interrupted, nothing is written afterwards."""
    stop = Event()
    work = workspace.database.read_all(_write, opened, publication, stop)
    writing = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(writing)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([writing])
        if not writing.cancelled() and writing.exception() is None:
            return writing.result()  # it was in its place before it could be stopped: it counts
        raise


async def count_receipts(workspace: Workspace, publication: Publication) -> None:
    """Let a written publication's receipts count, and end it; again changes nothing."""
    after = 0
    while after := await workspace.database.write(store.settle, publication, after):
        pass

    def end(conn: Connection) -> None:
        store.set_publication(conn, publication.id, {"state": "done"})
        now = store.get_publication(conn, publication.id)
        rows = (now.report or {}).get("rows", {})
        notifying.publication_finished(conn, now)
        auditing.record(
            conn, workspace.actor, "publication.done", f"publication {now.name}", now.team_id,
            channel=now.channel, stage=now.stage, **rows,
        )  # fmt: skip

    await workspace.database.write(end)
    while await workspace.database.write(forget_refusals, publication.channel):
        pass


async def fail(workspace: Workspace, publication: Publication, error: BaseException) -> None:
    """End a publication that could not be written, and say why."""
    reason = INTERRUPTED
    if not isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
        reason = _reason(error)
    await workspace.database.write(_fail, publication.id, reason)


def _reason(error: BaseException) -> str:
    """Say what went wrong, without the folders of the machine it went wrong on."""
    if isinstance(error, UserError) and error.where is not None and error.where.file is not None:
        where = replace(error.where, file=PurePath(error.where.file).name)
        return f"{where}: {error.message}"
    return str(error) if isinstance(error, WaremillError) else f"{type(error).__name__}: {error}"


def _fail(conn: Connection, publication_id: int, reason: str) -> None:
    now = store.get_publication(conn, publication_id)
    if now.state == "working":
        store.set_publication(conn, publication_id, {"state": "failed", "reason": reason})
        notifying.publication_finished(conn, store.get_publication(conn, publication_id))


def sha256_of(path: Path) -> str:
    """Give a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _write(
    conn: Connection, opened: Opened, publication: Publication, stop: Event
) -> tuple[list[FileShown], list[str]]:
    channel, notes = opened.channel, list[str]()
    files: list[FileShown] = []
    for target, out in publication.outputs.items():
        rows = _until(stop, _groups(conn, opened, publication, target))
        first = next(rows, None)
        if first is None:
            notes += [NOTHING_LIVE] if channel.whole else []
            continue
        groups = _with(first, rows)
        if not out:
            written = channel.write(groups, Path(), "")
            files.append(FileShown(target or None, None, written.rows))
        else:
            with whole_file(Path(out)) as temporary:
                written = channel.write(groups, temporary, opened.info.suffix_of(out) or "")
                size, digest = temporary.stat().st_size, sha256_of(temporary)
            files.append(FileShown(target or None, out, written.rows, size, digest))
        notes += written.notes
    return files, list(dict.fromkeys(notes))


def _groups(
    conn: Connection, opened: Opened, publication: Publication, target: str
) -> Iterator[list[Record]]:
    channel = opened.channel
    pages = store_published.live_pages(
        conn, publication, target, whole=channel.whole, grouped=channel.grouped
    )
    for page in pages:
        for group in page:
            yield [
                Record(one.key, one.group, target, one.values, changed=one.changed) for one in group
            ]


class _Stopped(Exception):
    """Ends a writing that somebody interrupted."""


def _until(stop: Event, groups: Iterator[list[Record]]) -> Iterator[list[Record]]:
    """Give groups until somebody stops it; a file half made is never put in its place then."""
    for group in groups:
        if stop.is_set():
            raise _Stopped
        yield group


def _with(first: list[Record], rest: Iterator[list[Record]]) -> Iterator[list[Record]]:
    yield first
    yield from rest
