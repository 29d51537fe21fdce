"""What a replay needs to repeat its requests exactly, and what finds near-duplicates."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from waremill.store.tables import bands, items, products, recordings, signatures


def find(conn: Connection, item_id: int, name: str) -> str | None:
    """Give what was recorded for an item under a name, as JSON text."""
    found: str | None = conn.execute(
        select(recordings.c.value).where(recordings.c.item_id == item_id, recordings.c.name == name)
    ).scalar()
    return found


def neighbours(
    conn: Connection, run_id: int, item_id: int, field: str, keys: Sequence[int], limit: int = 50
) -> list[tuple[str, bytes]]:
    """Give (product key, signature) of items of a run that share a band with this one.

    Left out: other products only count, of the same target, whose text came from another request.
    """
    own = (
        select(items.c.product_id, items.c.target, signatures.c.request)
        .join(signatures, signatures.c.item_id == items.c.id)
        .where(items.c.id == item_id, signatures.c.field == field)
        .subquery()
    )
    query = (
        select(products.c.key, signatures.c.signature)
        .select_from(bands)
        .join(signatures, (signatures.c.item_id == bands.c.item_id)
              & (signatures.c.field == bands.c.field))
        .join(items, items.c.id == bands.c.item_id)
        .join(products, products.c.id == items.c.product_id)
        .join(own, (own.c.product_id != items.c.product_id) & (own.c.target == items.c.target)
              & (own.c.request != signatures.c.request))
        .where(bands.c.run_id == run_id, bands.c.field == field, bands.c.band.in_(keys))
        .distinct()
        .order_by(products.c.key)
        .limit(limit)
    )  # fmt: skip
    return [(row.key, row.signature) for row in conn.execute(query)]
