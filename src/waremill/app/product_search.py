"""Semantic selections: the products of a catalogue that fit a text best.

A search is a ranking and has no end of its own, so a selection takes the first so many of it. A
`where` bounds it beforehand: what it gives are the best of the products that the filter picks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, String, cast, func

from waremill.app.embedding import embedding
from waremill.app.product_index import Progress, index_of, refresh
from waremill.errors import ConfigError
from waremill.knowledge.embedding import Embedder
from waremill.knowledge.index import Bounds, Index
from waremill.knowledge.searching import search
from waremill.runs.plan import Choice
from waremill.store.database import Dialect
from waremill.store.products import Catalog, chosen
from waremill.store.tables import products

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

FOUND = 100
"""Products a semantic selection takes where no limit is named."""
MOST = 10_000
"""Products a semantic selection takes at most."""
LONGEST = 2_000
"""Characters of a search text."""
LISTED = 5_000
"""Products a filter may pick to be named to the index one by one."""


async def narrowed(
    workspace: Workspace,
    choice: Choice,
    text: str,
    *,
    wait: bool = True,
    progress: Progress | None = None,
) -> Choice:
    """Narrow a choice to the products that fit a text best, in that order unless it has its own.

    Its limit, or `FOUND`, is how many. `wait` and `progress` are as for `product_index.refresh`.
    Raises ConfigError for a text or a limit that cannot be, and where the extra is not installed.
    """
    most = choice.limit or FOUND
    if most > MOST:
        raise ConfigError(f"a search takes at most {MOST:,} products: name a lower limit")
    found = await find(workspace, choice.catalog, text, most, choice.where, wait=wait,
                       progress=progress)  # fmt: skip
    here = products.c.id.in_(found)
    order = choice.order_by or (_place(workspace.database.dialect, found),)
    return replace(choice, where=here, order_by=order, limit=None)


async def find(
    workspace: Workspace,
    catalog: Catalog,
    text: str,
    most: int,
    where: ColumnElement[bool] | None = None,
    *,
    wait: bool = True,
    progress: Progress | None = None,
) -> list[int]:
    """Give the row ids of the products that fit a text best, best first."""
    query = " ".join(text.split())
    if not query or len(query) > LONGEST:
        raise ConfigError(f"a search text has 1 to {LONGEST:,} characters")
    await refresh(workspace, catalog, wait=wait, progress=progress)
    async with embedding(workspace, catalog.team_id) as embedder:
        index = index_of(workspace, catalog, embedder.dimensions)
        asking = _Asking(workspace, catalog, index, embedder, query)
        return await asking.best(most, where)


class _Asking:
    """One search text on its way through the index and the filter."""

    def __init__(
        self, workspace: Workspace, catalog: Catalog, index: Index, embedder: Embedder, query: str
    ) -> None:
        self._database = workspace.database
        self._catalog = catalog
        self._index = index
        self._embedder = embedder
        self._query = query

    async def best(self, most: int, where: ColumnElement[bool] | None) -> list[int]:
        if where is None:
            return await self._ask(most, None)
        few = await self._database.read(_few, self._catalog, where)
        if few is not None:
            return await self._ask(most, few)
        # The filter picks many, so the best of all soon hold enough of them.
        size, count = 4 * most, await self._index.count()
        while True:
            found = await self._ask(size, None)
            kept = await self._database.read(_kept, self._catalog, where, found)
            best = [number for number in found if number in kept][:most]
            if len(best) == most or size >= count:
                return best
            size *= 4

    async def _ask(self, most: int, among: Sequence[int] | None) -> list[int]:
        bounds = Bounds({}, documents=None if among is None else list(map(str, among)))
        ranked = await search(self._index, self._embedder, self._query, most, bounds)
        return [int(passage.partition(":")[0]) for passage, _ in ranked]


def _few(conn: Connection, catalog: Catalog, where: ColumnElement[bool]) -> list[int] | None:
    """Give the ids a filter picks; None where they are many."""
    query = chosen(catalog.id, where).with_only_columns(products.c.id).limit(LISTED + 1)
    numbers = list(conn.execute(query).scalars())
    return numbers if len(numbers) <= LISTED else None


def _kept(
    conn: Connection, catalog: Catalog, where: ColumnElement[bool], numbers: Sequence[int]
) -> set[int]:
    """Give those of some products that a filter picks."""
    kept: set[int] = set()
    for start in range(0, len(numbers), LISTED):
        some = products.c.id.in_(numbers[start : start + LISTED])
        query = chosen(catalog.id, where & some).with_only_columns(products.c.id)
        kept.update(conn.execute(query).scalars())
    return kept


def _place(dialect: Dialect, numbers: Sequence[int]) -> ColumnElement[Any]:
    """Give the place of a product in a ranking, as an expression to order by.

    It is where its number stands in a text of all of them: one parameter, and no join.
    """
    listed = "," + ",".join(map(str, numbers)) + ","
    wanted = "," + cast(products.c.id, String) + ","
    place = func.instr if dialect == "sqlite" else func.strpos
    return place(listed, wanted)


__all__ = ["FOUND", "MOST", "find", "narrowed"]
