"""Why a publication's rows were refused: all of it, in the order it was found.

They are kept for a channel's last publications; counts stay in the publication's report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from waremill.store.bulk import BulkInsert
from waremill.store.publishing import PAGE, Publication
from waremill.store.tables import products
from waremill.store.tables_publishing import publications, refusals

PUBLICATIONS_KEPT = 10
"""Publications of a channel whose refusals are kept."""
DELETED_AT_ONCE = 5_000
_REFUSALS = BulkInsert(
    refusals, ("publication_id", "number", "product_id", "target", "field", "message", "place")
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing that is wrong with a product's row for a target; `field` is '' for the row."""

    number: int
    product_id: int
    key: str
    target: str
    field: str
    message: str
    place: str | None


def add_refusals(conn: Connection, publication: Publication, rows: Sequence[Refusal]) -> None:
    """Write refusals of a working publication."""
    _REFUSALS.run(
        conn,
        [
            (publication.id, one.number, one.product_id, one.target, one.field, one.message,
             one.place)
            for one in rows
        ],
    )  # fmt: skip


def refusals_page(
    conn: Connection, publication_id: int, after: int = 0, size: int = PAGE
) -> list[Refusal]:
    """Read the next refusals of a publication by their numbers."""
    query = (
        select(refusals.c.number, refusals.c.product_id, products.c.key, refusals.c.target,
               refusals.c.field, refusals.c.message, refusals.c.place)
        .join(products, products.c.id == refusals.c.product_id)
        .where(refusals.c.publication_id == publication_id, refusals.c.number > after)
        .order_by(refusals.c.number)
        .limit(size)
    )  # fmt: skip
    return [Refusal(*row) for row in conn.execute(query)]


def forget_refusals(conn: Connection, channel: str) -> bool:
    """Delete some refusals of a channel's older publications; say whether there may be more."""
    of_channel = select(publications.c.id).where(publications.c.channel == channel)
    newest = of_channel.order_by(publications.c.id.desc()).limit(PUBLICATIONS_KEPT + 1)
    ids = list(conn.execute(newest).scalars())
    if len(ids) <= PUBLICATIONS_KEPT:
        return False
    old = of_channel.where(publications.c.id <= ids[-1])
    query = (
        select(refusals.c.publication_id, refusals.c.number)
        .where(refusals.c.publication_id.in_(old))
        .order_by(refusals.c.publication_id, refusals.c.number)
        .limit(DELETED_AT_ONCE)
    )
    rows = conn.execute(query).all()
    for one in {row.publication_id for row in rows}:
        most = max(row.number for row in rows if row.publication_id == one)
        conn.execute(delete(refusals).where(
            refusals.c.publication_id == one, refusals.c.number <= most))  # fmt: skip
    return len(rows) == DELETED_AT_ONCE


__all__ = ["PUBLICATIONS_KEPT", "Refusal", "add_refusals", "forget_refusals", "refusals_page"]
