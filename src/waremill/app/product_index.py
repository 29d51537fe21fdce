"""The product index: a catalogue's products, found by what they are about.

It is derived from the catalogue and made with the first search: a passage a product, under the
product's row id and version, so that only what is new or changed is embedded again. It lies in
`.waremill/products/`.
"""

from __future__ import annotations

import asyncio
import re
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

from waremill.app.embedding import embedding
from waremill.app.faceting import signature
from waremill.domain import is_missing
from waremill.errors import Conflict
from waremill.knowledge.embedding import Embedder
from waremill.knowledge.index import Change, Index, Row
from waremill.store import browsing
from waremill.store import products as store_products
from waremill.store.database import Database
from waremill.store.products import Catalog

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

LONGEST = 1_200
"""Characters of a product that are indexed: names and short facts come first in a sheet."""
PAGE = 1_000
"""Products embedded and added at once."""
COMPARED = 20_000
"""Products whose versions are compared with the index's at once."""
BELIEVED = 300.0
"""Seconds for which a server takes an index for complete while the catalogue seems unchanged."""
SHORT_WAIT = 200
"""Products a server embeds while somebody waits; more are embedded meanwhile."""
Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many products are embedded, of how many."""

_NO_WORDS = re.compile(r"(?:https?://|asset:|data:)\S+|[\d\s.,:;/%+-]*")


@dataclass(slots=True)
class _Work:
    """An index being brought up to date in this process, and what it was brought to."""

    task: asyncio.Task[None]
    state: tuple[int, ...]
    until: float
    done: int = 0
    total: int = 0

    def holds(self, state: tuple[int, ...]) -> bool:
        """Say whether nothing more is to be done than this does or did."""
        if not self.task.done():
            return True
        failed = self.task.cancelled() or self.task.exception() is not None
        return not failed and self.state == state and time.monotonic() < self.until


_WORK: WeakKeyDictionary[Database, dict[int, _Work]] = WeakKeyDictionary()
_INDEXES: WeakKeyDictionary[Database, dict[Path, Index]] = WeakKeyDictionary()


def product_text(attributes: Mapping[str, Any]) -> str:
    """Write a product as it is embedded and indexed: its values, a line each, in their order.

    Addresses are left out; so are bare numbers without their name, which say nothing.
    """
    lines: list[str] = []
    size = 0
    for name, value in attributes.items():
        if is_missing(value):
            continue
        values = value if isinstance(value, list | tuple) else (value,)
        line = ", ".join(str(one) for one in values if not isinstance(one, Mapping))
        if _NO_WORDS.fullmatch(line):
            if "://" in line or ":" in line[:6]:
                continue
            line = f"{name}: {line}"
        lines.append(line[:LONGEST])
        size += len(line) + 1
        if size >= LONGEST:
            break
    return "\n".join(lines)[:LONGEST]


def index_of(workspace: Workspace, catalog: Catalog, dimensions: int) -> Index:
    """Open a catalogue's index; one object a process."""
    folder = workspace.settings.root / ".waremill" / "products" / str(catalog.id)
    known = _INDEXES.setdefault(workspace.database, {})
    index = known.get(folder)
    if index is None or index.dimensions != dimensions:
        index = known[folder] = Index.open(folder, dimensions)
    return index


async def refresh(
    workspace: Workspace, catalog: Catalog, *, wait: bool, progress: Progress | None = None
) -> None:
    """Bring a catalogue's index up to date.

    Without `wait` only as much is done at once as somebody can wait for; the rest goes on in the
    background, and until an index is there at all a Conflict says how far it is.
    """
    works = _WORK.setdefault(workspace.database, {})
    state = await signature(workspace.database, catalog)
    work = works.get(catalog.id)
    if work is None or not work.holds(state):

        def told(done: int, total: int) -> None:
            mine.done, mine.total = done, total
            if progress is not None:
                progress(done, total)

        task = asyncio.create_task(_refresh(workspace, catalog, told))
        mine = work = works[catalog.id] = _Work(task, state, time.monotonic() + BELIEVED)
    try:
        if wait:
            await asyncio.shield(work.task)
            return
        while not work.task.done() and work.total <= SHORT_WAIT:
            await asyncio.wait([work.task], timeout=0.05)
        if work.task.done():
            await work.task
            return
    except asyncio.CancelledError:
        if wait:  # a command that is interrupted leaves nothing running
            work.task.cancel()
        raise
    async with embedding(workspace, catalog.team_id) as embedder:
        index = index_of(workspace, catalog, embedder.dimensions)
        if not _serves(index, embedder):
            raise Conflict(
                f"the products of “{catalog.name}” are being made ready for search: "
                f"{work.done} of {work.total}; ask again in a minute"
            )


def _serves(index: Index, embedder: Embedder) -> bool:
    """Say whether an index answers this embedder's vectors."""
    mark = index.mark()
    return isinstance(mark, dict) and mark.get("embedder") == embedder.identity


async def _refresh(workspace: Workspace, catalog: Catalog, progress: Progress) -> None:
    database = workspace.database
    async with embedding(workspace, catalog.team_id) as embedder:
        index = index_of(workspace, catalog, embedder.dimensions)
        same = _serves(index, embedder)
        known = _Known()
        if same:
            async for some in index.ids():
                known.add(some)
        fresh, gone = await _differences(database, catalog, known)
        if same and not fresh and not gone:
            return
        progress(0, len(fresh))
        async with index.changing() if same else index.rebuilding() as change:
            change.mark = {"embedder": embedder.identity}
            await change.remove([str(one) for one in gone])
            for start in range(0, len(fresh), PAGE):
                await _add(database, fresh[start : start + PAGE], embedder, change)
                progress(min(start + PAGE, len(fresh)), len(fresh))


class _Known:
    """What an index holds: products' row ids with the versions they were indexed at.

    16 bytes a product.
    """

    def __init__(self) -> None:
        self._pairs = array("q")

    def add(self, ids: Sequence[str]) -> None:
        """Add passages' ids."""
        for one in ids:
            number, _, version = one.partition(":")
            self._pairs.extend((int(number), int(version)))

    def by_number(self) -> tuple[Any, Any]:
        """Give the row ids, rising, and their versions, as arrays."""
        import numpy

        pairs = numpy.frombuffer(self._pairs, dtype=numpy.int64).reshape(-1, 2)
        order = numpy.argsort(pairs[:, 0], kind="stable")
        return pairs[order, 0], pairs[order, 1]


async def _differences(
    database: Database, catalog: Catalog, known: _Known
) -> tuple[array[int], array[int]]:
    """Give the products to index, and those whose passages go: changed and deleted ones."""
    import numpy

    numbers, versions = known.by_number()
    stays = numpy.zeros(len(numbers), dtype=bool)
    fresh = array("q")
    after = 0
    while rows := await database.read(browsing.versions_after, catalog.id, after, COMPARED):
        now = numpy.array(rows, dtype=numpy.int64)
        places = numpy.searchsorted(numbers, now[:, 0])
        there = places < len(numbers)
        there[there] = numbers[places[there]] == now[there, 0]
        there[there] = versions[places[there]] == now[there, 1]
        stays[places[there]] = True
        fresh.extend(now[~there, 0].tolist())
        after = rows[-1][0]
    return fresh, array("q", numbers[~stays].tolist())


async def _add(
    database: Database, numbers: Sequence[int], embedder: Embedder, change: Change
) -> None:
    found = await database.read(store_products.products_of, list(numbers))
    texts = [product_text(one.attributes) or one.key for one in found]
    vectors = await embedder.embed(texts, "passage")
    await change.add(
        [
            Row(f"{one.id}:{one.version}", str(one.id), text, vector, {})
            for one, text, vector in zip(found, texts, vectors, strict=True)
        ]
    )
