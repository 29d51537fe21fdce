"""Catalogues to browse: awkward values, with and without a facet's index."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.planned import stock
from tests.workspaces import make_workspace

from waremill.app import open_workspace
from waremill.app.workspace import Workspace
from waremill.catalog.selection import facet_index
from waremill.store.database import Database
from waremill.store.products import Catalog
from waremill.store.tables import products

AWKWARD: tuple[Any, ...] = (
    "rose", "oak", "10", "9", " 9.0", 9, 2.5, True, False, "true", ["oak", "rose"], ["iris"],
    "[iris]", "Oak", "ö", "{}", None, "rose", "O'Neil",
)  # fmt: skip


def awkward(count: int = 40) -> list[dict[str, Any]]:
    """Rows whose `scent` is of every kind, `price` a number or missing, `house` plain text."""
    rows = []
    for n in range(count):
        row = {
            "sku": f"P{n * 7 % count:03}", "house": f"House {n % 3}", "price": n * 13 % 17,
            "scent": AWKWARD[n % len(AWKWARD)],
        }  # fmt: skip
        if n % 5 == 0:
            del row["price"]
        rows.append({name: value for name, value in row.items() if value is not None})
    return rows


async def stocked(
    database: Database, rows: Sequence[Mapping[str, Any]], *, index: Sequence[str] = ()
) -> Catalog:
    """Put rows into a catalogue and give columns a facet's index, as a large import does."""
    catalog = await stock(database, rows)
    await database.write(add_indexes, index)
    return catalog


def add_indexes(conn: Any, columns: Sequence[str]) -> None:
    """Make facet indexes where they are absent."""
    for column in columns:
        made = facet_index(
            column, products.c.attributes, conn.dialect.name, leading=("catalog_id", "is_group")
        )
        assert made is not None
        conn.execute(made[1])


def drop_indexes(conn: Any) -> None:
    """Take all facet indexes away: PostgreSQL's database is shared by the tests."""
    from sqlalchemy import text

    from waremill.store.browsing import indexed

    for name in indexed(conn):
        conn.execute(text(f"DROP INDEX {name}"))


@asynccontextmanager
async def workspace_on(folder: Path, url: str, readers: int = 0) -> AsyncIterator[Workspace]:
    """Open a workspace over a database; no facet index is left behind."""
    make_workspace(folder / "workspace", "http://127.0.0.1:9/v1", database=url)
    async with open_workspace(folder / "workspace", readers=readers) as workspace:
        try:
            yield workspace
        finally:
            await workspace.database.write(drop_indexes)
