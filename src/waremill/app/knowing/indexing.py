"""The index of a knowledge base, brought up to what the database holds, or built anew from it.

Beside the index lies which change of the base it has seen. So whatever was cut short, and whichever
machine looks, what is missing is found by its number, and added.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import Connection

from waremill.app import auditing
from waremill.app.embedding import embedding
from waremill.app.knowing.changing import Progress, Report, claimed, find_base, nobody
from waremill.app.knowing.opened import index_folder, open_index
from waremill.app.knowing.underway import followed
from waremill.knowledge.embedding import Embedder, meaning_of, text_of
from waremill.knowledge.index import Change, Row
from waremill.store import knowledge as store
from waremill.store.full_disk import needing_room
from waremill.store.knowledge import Base
from waremill.store.knowledge_pieces import FoundPiece, pieces_after
from waremill.store.knowledge_repeats import repeated_passages

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

FORMAT = 1
"""Raised when an index is made in another way from the same rows."""
_APPLIED = "applied.json"
_DOCUMENTS = 500
_PIECES = 2_000
_LAST = 2**62


@dataclass(frozen=True, slots=True)
class _Applied:
    """Which base an index is of, how it was made, and the last change it has seen."""

    base: int
    created_at: float
    embedder: str
    format: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did: passages indexed, and whether their vectors were made anew."""

    name: str
    passages: int
    embedder: str
    embedded: bool
    version: str


async def rebuild(workspace: Workspace, name: str, report: Report = nobody) -> Rebuilt:
    """Build a base's index anew from the database; for operators.

    No model is called unless the settings name another embedder than the index was made with: then
    all passages are embedded by it, while the old index serves. Raises Conflict while somebody
    changes the base.
    """
    base = await find_base(workspace, name, "operator")
    async with (
        embedding(workspace, base.team_id) as embedder,
        claimed(workspace, base) as own,
    ):
        other = own.embedder not in (None, embedder.identity)
        with followed(workspace, own, report) as told:
            passages = await build(workspace, own, embedder, told)

        def note(conn: Connection) -> None:
            auditing.record(
                conn, workspace.actor, "knowledge.rebuild", f"knowledge {name}", own.team_id,
                passages=passages, embedder=embedder.identity,
            )  # fmt: skip

        await workspace.database.write(note)
        version = await settle_version(workspace, own, embedder)
        return Rebuilt(name, passages, embedder.identity, other, version)


async def bring_up(
    workspace: Workspace, base: Base, embedder: Embedder, report: Report = nobody
) -> None:
    """Bring a base's index to the last change; build it anew where there is none to go on with."""
    applied = _read_applied(index_folder(workspace, base))
    if applied is None or _of(base, embedder, applied.sequence) != applied:
        await build(workspace, base, embedder, report)
        return
    target = await _sequence(workspace, base)
    if applied.sequence >= target:
        return
    index = open_index(workspace, base, embedder)
    async with index.changing() as change:
        filling = _Filling(workspace, base, embedder, report)
        await filling.run(change, applied.sequence, replacing=True)
    _write_applied(index_folder(workspace, base), _of(base, embedder, target))


async def build(
    workspace: Workspace, base: Base, embedder: Embedder, report: Report = nobody
) -> int:
    """Build a base's index from nothing; give the number of its passages."""
    target = await _sequence(workspace, base)
    index = open_index(workspace, base, embedder)
    filling = _Filling(workspace, base, embedder, report)
    async with index.rebuilding() as change:
        await filling.run(change, -1, replacing=False)
    _write_applied(index_folder(workspace, base), _of(base, embedder, target))
    return filling.done


def is_behind(workspace: Workspace, base: Base, embedder: Embedder) -> bool:
    """Say whether the index here lacks a change of its base."""
    applied = _read_applied(index_folder(workspace, base))
    return applied is None or applied != _of(base, embedder, base.sequence)


class _Filling:
    """Rows of a base on their way into a change of its index."""

    def __init__(
        self, workspace: Workspace, base: Base, embedder: Embedder, report: Report
    ) -> None:
        self._database = workspace.database
        self._base = base
        self._embedder = embedder
        self._report = report
        self.done = 0

    async def run(self, change: Change, after: int, *, replacing: bool) -> None:
        """Put in the documents with higher numbers; `replacing` takes out what they were before."""
        place = (after, _LAST)
        while rows := await self._database.read(store.changed_since, self._base, place, _DOCUMENTS):
            if replacing:
                await change.remove([row.name for row in rows])
            await self._add(change, [row.id for row in rows if row.state == store.READY])
            place = (rows[-1].sequence, rows[-1].id)

    async def _add(self, change: Change, documents: Sequence[int]) -> None:
        after = 0
        while pieces := await self._database.read(
            pieces_after, self._base, documents, after, _PIECES
        ):
            await change.add(await self._rows(pieces))
            after = pieces[-1].id
            self.done += len(pieces)
            self._report(Progress("indexing", self.done))

    async def _rows(self, pieces: Sequence[FoundPiece]) -> list[Row]:
        texts = [text_of(one.title, one.headings, one.text) for one in pieces]
        meant = [meaning_of(one.headings, one.text) for one in pieces]
        vectors = await self._embedder.embed(meant, "passage")
        return [
            Row(one.passage, one.document, text, vector, one.metadata)
            for one, text, vector in zip(pieces, texts, vectors, strict=True)
        ]


async def settle_version(workspace: Workspace, base: Base, embedder: Embedder) -> str:
    """Work out what a base's searches can give, and keep its hash as the base's version."""
    known = await workspace.database.read(store.contents, base)
    hasher = blake2b(orjson.dumps([FORMAT, embedder.identity]), digest_size=16)
    for name, content in sorted(known):
        hasher.update(orjson.dumps(name))
        hasher.update(content)
    left_out = await workspace.database.read(repeated_passages, base)
    hasher.update(orjson.dumps(sorted(left_out)))
    version = hasher.hexdigest()
    await workspace.database.write(store.beat, base, version=version, embedder=embedder.identity)
    return version


async def version_today(workspace: Workspace, base: Base) -> str:
    """Give the version of what a base's searches can give today.

    It changes with the base, and on the days on which a document becomes valid or ceases to be.
    """
    today = date.today().isoformat()
    out = await workspace.database.read(store.out_of_date, base.id, today)
    if not out:
        return base.version
    return blake2b(orjson.dumps([base.version, sorted(out)]), digest_size=16).hexdigest()


async def _sequence(workspace: Workspace, base: Base) -> int:
    found = await workspace.database.read(store.find_base, base.name)
    return base.sequence if found is None else found.sequence


def _of(base: Base, embedder: Embedder, sequence: int) -> _Applied:
    return _Applied(base.id, base.created_at, embedder.identity, FORMAT, sequence)


def _read_applied(folder: Path) -> _Applied | None:
    try:
        return _Applied(**orjson.loads((folder / _APPLIED).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _write_applied(folder: Path, applied: _Applied) -> None:
    part = folder / f".{_APPLIED}.{os.getpid()}"
    with needing_room(folder):
        part.write_bytes(orjson.dumps(asdict(applied)))
        part.replace(folder / _APPLIED)
