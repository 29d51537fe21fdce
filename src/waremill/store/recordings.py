"""What a replay needs to repeat its requests exactly, and what finds near-duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Connection,
    Select,
    Text,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
    union_all,
)

from waremill.store.tables import bands, items, products, recordings, signatures

NEWEST = 100
"""Texts looked at for each band; a band that more share is a phrase of the shop's own."""
MOST = 50
"""Texts compared with one."""
_PICTURE = "picture "
"""What the names of brought pictures begin with, as steps record them."""


_SEARCH = "search "
"""What the names of searches begin with; their number follows."""


def find(conn: Connection, item_id: int, name: str) -> str | None:
    """Give what was recorded for an item under a name, as JSON text."""
    found: str | None = conn.execute(
        select(recordings.c.value).where(recordings.c.item_id == item_id, recordings.c.name == name)
    ).scalar()
    return found


def pictures(conn: Connection, item_id: int) -> dict[str, str]:
    """Give the pictures that were brought in for an item: path or address to stored reference."""
    query = select(recordings.c.name, recordings.c.value).where(
        recordings.c.item_id == item_id, recordings.c.name.startswith(_PICTURE, autoescape=True)
    )
    return {
        name.removeprefix(_PICTURE): orjson.loads(value) for name, value in conn.execute(query)
    }  # fmt: skip


def searches(conn: Connection, item_id: int) -> list[list[dict[str, Any]]]:
    """Give what an item's searches found, each a list of passages as JSON, in their order."""
    query = select(recordings.c.name, recordings.c.value).where(
        recordings.c.item_id == item_id, recordings.c.name.startswith(_SEARCH, autoescape=True)
    )
    found = [(int(name.removeprefix(_SEARCH)), value) for name, value in conn.execute(query)]
    return [orjson.loads(value) for _, value in sorted(found)]


def neighbours(
    conn: Connection, run_id: int, item_id: int, field: str, keys: Sequence[int]
) -> list[tuple[str, bytes]]:
    """Give (product key, signature) of texts in a run that share a band with this item's.

    The run's texts are those of its own items and of the finished ones its items took over from
    earlier runs. Left out: other targets, the product itself, products of its group (sizes of one
    scent are alike by right), and texts made by the very same request. The work has a bound: the
    newest NEWEST texts of each band, and of these the MOST that share the most bands.
    """
    if not keys:
        return []
    last = select(func.max(items.c.id)).where(items.c.run_id == run_id)
    highest = conn.execute(last).scalar_one_or_none()
    found = conn.execute(
        _neighbours(len(keys)),
        {"run": run_id, "item": item_id, "field": field, "highest": highest or item_id,
         **{f"band{place}": band for place, band in enumerate(keys)}},
    )  # fmt: skip
    return [(row.key, row.signature) for row in found]


@cache
def _neighbours(count: int) -> Select[Any]:
    """Write the query for so many bands, once: its parts cost more to put together than to run."""
    field, run = bindparam("field", type_=Text), bindparam("run", type_=BigInteger)
    per_band = [
        select(
            select(bands.c.item_id)
            .where(bands.c.field == field, bands.c.band == bindparam(f"band{place}"),
                   # Later runs' items are none of this run's: without them the newest suffice.
                   bands.c.item_id <= bindparam("highest"))
            .order_by(bands.c.item_id.desc())
            .limit(literal_column(str(NEWEST)))
            .subquery()
        )
        for place in range(count)
    ]  # fmt: skip
    shared = union_all(*per_band).subquery("shared")
    candidates = (
        select(shared.c.item_id, func.count().label("bands"))
        .group_by(shared.c.item_id)
        .subquery("candidates")
    )
    mine, me, my_text = items.alias("mine"), products.alias("me"), signatures.alias("my_text")
    taken_over = items.alias("taken_over")
    in_run = or_(
        items.c.run_id == run,
        exists().where(taken_over.c.source_id == items.c.id, taken_over.c.run_id == run),
    )
    return (
        select(products.c.key, signatures.c.signature)
        .select_from(candidates)
        .join(items, items.c.id == candidates.c.item_id)
        .join(products, products.c.id == items.c.product_id)
        .join(signatures, (signatures.c.item_id == items.c.id) & (signatures.c.field == field))
        .join(mine, mine.c.id == bindparam("item"))
        .join(me, me.c.id == mine.c.product_id)
        .join(my_text, (my_text.c.item_id == mine.c.id) & (my_text.c.field == field))
        .where(
            items.c.target == mine.c.target,
            products.c.id != me.c.id,
            or_(me.c.group_id.is_(None), products.c.group_id.is_distinct_from(me.c.group_id)),
            or_(my_text.c.request == 0, signatures.c.request != my_text.c.request),
            in_run,
        )
        .order_by(candidates.c.bands.desc(), items.c.id.desc())
        .limit(literal_column(str(MOST)))
    )
