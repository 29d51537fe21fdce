"""The index of a knowledge base: passages by their words and by their vectors, in LanceDB.

It is derived: built from rows, and thrown away and built again at any time. What it answers does
not depend on the order in which rows came. Readers see one whole state of it; a change is
prepared beside it and shows at once when it is done, or never.

    folder/current.json          which generation, and which version of its table, is searched
    folder/<generation>/         a LanceDB database; a rebuild makes a new one
"""

from __future__ import annotations

import asyncio
import fcntl
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from waremill.errors import ConfigError, Conflict
from waremill.knowledge.conditions import labels, sql, validity
from waremill.knowledge.embedding import INSTALL
from waremill.knowledge.words import terms
from waremill.store.full_disk import needing_room

if TYPE_CHECKING:
    from waremill.knowledge.embedding import Vectors

_TABLE = "passages"
_CURRENT = "current.json"
_ROWS = 8_192
"""Rows written at once, and held in memory until then."""
_TIED = 10_000
"""Passages of one score that are put in order, at most."""
_DOCUMENTS = 500
"""Documents removed with one statement."""
APPROXIMATE_FROM = 10_000
"""Passages from which on vectors are looked for in some parts only; below that, in all."""
PARTITION = 1_000
GROWN = 4
"""Passages this many times as many as the parts were made for: they are made anew."""
PROBES, PROBED = 15, 0.15
"""Vectors of a part; how many parts, and what share of them, are looked into at least: whichever is
more. With fewer than 15,000 passages these are all parts. docs/benchmarks.md says what they find.
"""
_INDEX_CACHE = 256 * 1024**2
_METADATA_CACHE = 64 * 1024**2
"""Bytes that open indexes keep in memory, all of a process's together."""


@dataclass(frozen=True, slots=True)
class Row:
    """A passage to index: `text` as `embedding.text_of` writes it, `vector` of unit length."""

    id: str
    document: str
    text: str
    vector: Vectors
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a search is kept to, before anything is ranked.

    `where` is as for `domain.Search`. `documents` are the names that may be found, None for all.
    `today` is the ISO date on which a passage must be valid, None for no matter when.
    """

    where: Mapping[str, Any]
    documents: Sequence[str] | None = None
    today: str | None = None

    @property
    def empty(self) -> bool:
        """Say whether nothing can be found within them."""
        return self.documents is not None and not self.documents


Ranked = list[tuple[str, float]]
"""Passages' ids with their scores, best first; equal scores in the ids' order."""


@dataclass(frozen=True, slots=True)
class _Current:
    """What is searched now. `made` is when its change began, in Unix seconds; `mark` is the
    owner's own note of what is in it, `parted` and `dated` as for `Change`.
    """

    generation: str
    version: int
    dimensions: int
    rows: int
    made: float
    mark: Any = None
    parted: int = 0
    dated: bool = False


class Index:
    """The index in one folder; see `Index.open`. It may be shared by every task of a process."""

    def __init__(self, folder: Path, dimensions: int) -> None:
        self._folder = folder
        self.dimensions = dimensions
        self._current: _Current | None = None
        self._table: Any = None
        self._opening = asyncio.Lock()

    @staticmethod
    def open(folder: Path, dimensions: int) -> Index:
        """Open the index in a folder, which need not be there yet: it is empty then.

        Raises ConfigError where the extra is not installed.
        """
        try:
            import_module("lancedb")
        except ModuleNotFoundError as error:
            raise ConfigError(INSTALL) from error
        return Index(folder, dimensions)

    async def count(self) -> int:
        """Give the number of passages that can be found."""
        current = self._read_current()
        return 0 if current is None else current.rows

    def mark(self) -> Any:
        """Give the note left with the last change; None where there is no index yet."""
        current = self._read_current()
        return None if current is None else current.mark

    async def ids(self) -> AsyncIterator[list[str]]:
        """Give the ids of all passages, some thousand at a time, in no order."""
        table = await self._newest()
        if table is None:
            return
        async for batch in await table.query().select(["id"]).to_batches(max_batch_length=_ROWS):
            yield batch.column("id").to_pylist()

    async def by_words(self, text: str, most: int, bounds: Bounds) -> Ranked:
        """Give the passages that share words with a text, by BM25."""
        table = await self._newest()
        wanted = " ".join(dict.fromkeys(terms(text)))
        if table is None or not wanted or bounds.empty:
            return []
        query = table.query().nearest_to_text(wanted, columns="words")
        return await _ranked(query, "_score", most, self._needed(bounds))

    async def by_vector(self, vector: Vectors, most: int, bounds: Bounds) -> Ranked:
        """Give the passages nearest to a vector, with the cosine of the angle between them."""
        table = await self._newest()
        if table is None or bounds.empty:
            return []
        found: Ranked = []
        for every in (False, True):
            query = table.query().nearest_to(vector).distance_type("dot").nprobes(self._probes)
            if every:
                query = query.maximum_nprobes(0)
            found = await _ranked(query, "_distance", most, self._needed(bounds))
            # Where bounds leave few in the nearest parts, the others are looked into as well.
            if len(found) >= most // 4 or not self._approximate:
                break
        return found

    @property
    def _approximate(self) -> bool:
        return self._current is not None and self._current.parted > 0

    @property
    def _probes(self) -> int:
        parts = 0 if self._current is None else round(self._current.parted / PARTITION)
        return max(PROBES, round(PROBED * parts))

    def _needed(self, bounds: Bounds) -> Bounds:
        """Leave out a bound that bounds nothing: most bases have no passage with dates."""
        dated = self._current is None or self._current.dated
        return bounds if dated else replace(bounds, today=None)

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[Change]:
        """Change the index: what is done inside shows when it ends, and not at all if it fails.

        Raises Conflict while another change is under way, in whichever process, and LimitReached
        where the disk is full.
        """
        current = self._read_current()
        if current is None:
            async with self.rebuilding() as change:
                yield change
            return
        with needing_room(self._folder), _locked(self._folder):
            table = await _open_table(self._folder / current.generation)
            if await table.version() != current.version:  # a change that was cut short
                await table.checkout(current.version)
                await table.restore()
            change = Change(table, self.dimensions, current)
            began = time.time()
            yield change
            await change.finish(keep_from=current.made)
            await self._switch(current.generation, change, began)

    @asynccontextmanager
    async def rebuilding(self) -> AsyncIterator[Change]:
        """Build the index anew, from nothing; the old one serves until that is done.

        Raises Conflict while another change is under way, in whichever process, and LimitReached
        where the disk is full.
        """
        with needing_room(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        with needing_room(self._folder), _locked(self._folder):
            old = self._read_current()
            self._sweep({old.generation} if old else set())
            began = time.time()
            generation = secrets.token_hex(8)
            try:
                table = await _create_table(self._folder / generation, self.dimensions)
                change = Change(table, self.dimensions)
                yield change
                await change.finish(keep_from=None)
                await self._switch(generation, change, began)
            except BaseException:
                shutil.rmtree(self._folder / generation, ignore_errors=True)
                raise

    def _sweep(self, kept: set[str]) -> None:
        """Delete generations nobody reads any more: all but the one that serves until now."""
        for place in self._folder.iterdir():
            if place.is_dir() and place.name not in kept:
                shutil.rmtree(place, ignore_errors=True)

    async def _switch(self, generation: str, change: Change, made: float) -> None:
        part = self._folder / f".{_CURRENT}.{generation}"
        version, rows = await change.state()
        written = _Current(
            generation,
            version,
            self.dimensions,
            rows,
            made,
            change.mark,
            change.parted,
            change.dated,
        )
        part.write_bytes(orjson.dumps(written))
        part.replace(self._folder / _CURRENT)

    def _read_current(self) -> _Current | None:
        try:
            return _Current(**orjson.loads((self._folder / _CURRENT).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    async def _newest(self) -> Any:
        """Give the table as it is now, opened once for each state; None where there is none."""
        current = self._read_current()
        if current == self._current:
            return self._table
        async with self._opening:
            if current != self._current:
                self._table = None
                if current is not None:
                    if current.dimensions != self.dimensions:
                        raise Conflict(
                            f"the index has vectors of {current.dimensions} numbers and the"
                            f" embedder gives {self.dimensions}: rebuild it"
                        )
                    table = await _open_table(self._folder / current.generation)
                    await table.checkout(current.version)
                    self._table = table
                self._current = current
        return self._table


class Change:
    """A change under way: rows added, documents removed.

    `mark` is kept with the index, for its owner to see what is in it: anything JSON can hold.
    `parted` is how many passages the vectors' parts were made for, 0 where there are none; `dated`
    says that a passage was ever added that is not valid for good.
    """

    def __init__(self, table: Any, dimensions: int, current: _Current | None = None) -> None:
        self.mark = None if current is None else current.mark
        self.parted = 0 if current is None else current.parted
        self.dated = current is not None and current.dated
        self._table = table
        self._schema = _schema(dimensions)
        self._waiting: list[Row] = []

    async def add(self, rows: Sequence[Row]) -> None:
        """Add passages; their ids must not be there. Hand in some thousand at a time."""
        self._waiting.extend(rows)
        self.dated = self.dated or any(validity(row.metadata) != (None, None) for row in rows)
        if len(self._waiting) >= _ROWS:
            await self._write()

    async def remove(self, documents: Sequence[str]) -> None:
        """Remove all passages of documents, those added in this change too."""
        await self._write()
        for start in range(0, len(documents), _DOCUMENTS):
            await self._table.delete(
                sql(Bounds({}, documents=documents[start : start + _DOCUMENTS]))
            )

    async def _write(self) -> None:
        if self._waiting:
            batch = await asyncio.to_thread(_batch, self._waiting, self._schema)
            self._waiting = []
            await self._table.add(batch)

    async def state(self) -> tuple[int, int]:
        """Give the table's version and how many passages it holds."""
        return await self._table.version(), await self._table.count_rows()

    async def finish(self, keep_from: float | None) -> None:
        """Write what waits and index it; versions from `keep_from` on stay for who reads them."""
        from lancedb.index import FTS, BTree, IvfSq, LabelList

        await self._write()
        table = self._table
        age = None if keep_from is None else timedelta(seconds=time.time() - keep_from + 1)
        await table.optimize(cleanup_older_than=age)
        words_of = FTS(
            base_tokenizer="whitespace", language="English", max_token_length=None,
            lower_case=False, stem=False, remove_stop_words=False, ascii_folding=False,
        )  # fmt: skip
        # Those that are there were brought up by `optimize`, which counts as a new one would.
        wanted: dict[str, Any] = {"words": words_of, "labels": LabelList(), "document": BTree()}
        for one in await table.list_indices():
            wanted.pop(one.columns[0], None)
        rows = await table.count_rows()
        if rows >= APPROXIMATE_FROM and rows >= self.parted * GROWN:
            parts = round(rows / PARTITION)
            wanted["vector"] = IvfSq(distance_type="dot", num_partitions=parts, max_iterations=20)
            self.parted = rows
        for column, config in wanted.items():
            await table.create_index(column, config=config, replace=True)


async def _ranked(query: Any, column: str, most: int, bounds: Bounds) -> Ranked:
    """Run a query, and give ids by falling score, whatever order the rows lie in.

    Where the last place is shared by more passages than were fetched, those of that score are left
    out, unless they stand so high that they matter: then more are fetched.
    """
    condition = sql(bounds)
    if condition:
        query = query.where(condition)
    query = query.select(["id", column])
    for limit in (most + 1, 8 * most, _TIED):
        table = await query.limit(max(limit, most + 1)).to_arrow()
        scores = table.column(column).to_pylist()
        if column == "_distance":
            scores = [1.0 - one for one in scores]
        ids = table.column("id").to_pylist()
        found = sorted(zip(ids, (round(one, 5) for one in scores), strict=True), key=_by_score)
        if len(found) < limit:
            break
        last = found[-1][1]
        above = [pair for pair in found if pair[1] > last]
        if len(above) >= min(most, max(most // 4, 1)):
            found = above
            break
    return found[:most]


def _by_score(pair: tuple[str, float]) -> tuple[float, str]:
    return -pair[1], pair[0]


def _schema(dimensions: int) -> Any:
    import pyarrow

    text, day = pyarrow.string(), pyarrow.string()
    return pyarrow.schema(
        [
            pyarrow.field("id", text, nullable=False),
            pyarrow.field("document", text, nullable=False),
            pyarrow.field("words", text, nullable=False),
            pyarrow.field("labels", pyarrow.list_(text), nullable=False),
            pyarrow.field("valid_from", day),
            pyarrow.field("valid_to", day),
            pyarrow.field("vector", pyarrow.list_(pyarrow.float32(), dimensions), nullable=False),
        ]
    )


def _batch(rows: Sequence[Row], schema: Any) -> Any:
    import numpy
    import pyarrow

    matrix = numpy.stack([row.vector for row in rows]).astype(numpy.float32, copy=False)
    dates = [validity(row.metadata) for row in rows]
    columns = [
        [row.id for row in rows],
        [row.document for row in rows],
        [" ".join(terms(row.text)) for row in rows],
        [labels(row.metadata) for row in rows],
        [first for first, _ in dates],
        [last for _, last in dates],
    ]
    arrays = [
        pyarrow.array(column, schema.field(place).type) for place, column in enumerate(columns)
    ]
    width = schema.field("vector").type.list_size
    arrays.append(pyarrow.FixedSizeListArray.from_arrays(matrix.reshape(-1), width))
    return pyarrow.RecordBatch.from_arrays(arrays, schema=schema)


_session: Any = None


async def _connect(folder: Path) -> Any:
    """Connect to a generation's database; every index of the process shares one cache."""
    import lancedb

    global _session
    if _session is None:
        _session = lancedb.Session(_INDEX_CACHE, _METADATA_CACHE)
    return await lancedb.connect_async(str(folder), session=_session)


async def _open_table(folder: Path) -> Any:
    return await (await _connect(folder)).open_table(_TABLE)


async def _create_table(folder: Path, dimensions: int) -> Any:
    return await (await _connect(folder)).create_table(_TABLE, schema=_schema(dimensions))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system frees it when the process ends, however it ends."""
    with (folder / ".lock").open("a") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"the index of “{folder.name}” is being changed; try again when that is done"
            ) from None
        yield
