"""Saved selections: a `WHERE` and an order under a name, for everybody who sees the catalogue."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from waremill.errors import Conflict, NotFound
from waremill.store.products import Catalog
from waremill.store.tables import selections


@dataclass(frozen=True, slots=True)
class SavedSelection:
    """A selection somebody named; `at` is when it was saved last, in Unix seconds."""

    name: str
    where: str
    order_by: str | None
    by: str
    at: float


def list_selections(conn: Connection, catalog_id: int) -> list[SavedSelection]:
    """Give a catalogue's selections by name."""
    query = (
        select(selections).where(selections.c.catalog_id == catalog_id).order_by(selections.c.name)
    )
    return [
        SavedSelection(row.name, row.where, row.order_by, row.by, row.created_at)
        for row in conn.execute(query)
    ]


def save_selection(
    conn: Connection, catalog: Catalog, wanted: SavedSelection, *, replace: bool
) -> SavedSelection | None:
    """Save a selection; give the one that stood under its name before, if any.

    Raises Conflict for a name that is taken, unless it is to be replaced.
    """
    there = (selections.c.catalog_id == catalog.id, selections.c.name == wanted.name)
    row = conn.execute(select(selections).where(*there)).one_or_none()
    values = {
        "where": wanted.where, "order_by": wanted.order_by, "by": wanted.by,
        "created_at": time.time(),
    }  # fmt: skip
    if row is None:
        conn.execute(insert(selections).values(catalog_id=catalog.id, name=wanted.name, **values))
        return None
    if not replace:
        raise Conflict(
            f"{row.by} saved a selection “{wanted.name}” already; replace it, or take another name"
        )
    conn.execute(update(selections).where(*there).values(**values))
    return SavedSelection(row.name, row.where, row.order_by, row.by, row.created_at)


def drop_selection(conn: Connection, catalog: Catalog, name: str) -> None:
    """Delete a selection; raise NotFound where there is none of that name."""
    gone = conn.execute(
        delete(selections).where(selections.c.catalog_id == catalog.id, selections.c.name == name)
    )
    if gone.rowcount != 1:
        raise NotFound(f"the catalogue “{catalog.name}” has no selection “{name}”")
