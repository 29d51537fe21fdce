"""What a person said of a trial's fields: right, wrong, or corrected to another value.

A mark is about the value an item had then, which it keeps. The newest of a field counts; taking it
back deletes it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import orjson
from sqlalchemy import Connection, delete, insert, select

from waremill.store.tables import AnyRow, dumps, items, marks

Verdict: TypeAlias = Literal["right", "wrong", "corrected"]
PRODUCTS_A_QUERY = 500


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark on one field of one item.

    `made` is the value that was marked. `value` is the right one of a field marked right or
    corrected, where None says that rightly there is none; of a wrong one it is not known, and None.
    `at` is in Unix seconds.
    """

    item_id: int
    product_id: int
    target: str
    field: str
    verdict: Verdict
    made: Any
    value: Any
    by: str
    at: float


def put_mark(conn: Connection, mark: Mark) -> None:
    """Set a field's mark; a mark that stood there before is replaced."""
    drop_mark(conn, mark.item_id, mark.field)
    conn.execute(
        insert(marks).values(
            item_id=mark.item_id, field=mark.field, product_id=mark.product_id, target=mark.target,
            verdict=mark.verdict, value=dumps({"made": mark.made, "right": mark.value}),
            by=mark.by, created_at=mark.at,
        )
    )  # fmt: skip


def drop_mark(conn: Connection, item_id: int, field: str) -> bool:
    """Take a field's mark back; False when there was none."""
    gone = delete(marks).where(marks.c.item_id == item_id, marks.c.field == field)
    return conn.execute(gone).rowcount == 1


def marks_of_run(conn: Connection, run_id: int) -> list[Mark]:
    """Give all marks on a run's items, in the order of the items."""
    query = (
        select(marks)
        .join(items, items.c.id == marks.c.item_id)
        .where(items.c.run_id == run_id)
        .order_by(marks.c.item_id, marks.c.field)
    )
    return [_mark(row) for row in conn.execute(query)]


def marks_of_products(conn: Connection, product_ids: Collection[int]) -> list[Mark]:
    """Give all marks on these products, whichever trial they were made in, oldest first."""
    wanted = sorted(set(product_ids))
    found: list[Mark] = []
    for start in range(0, len(wanted), PRODUCTS_A_QUERY):
        some = wanted[start : start + PRODUCTS_A_QUERY]
        query = select(marks).where(marks.c.product_id.in_(some))
        found += [_mark(row) for row in conn.execute(query)]
    return sorted(found, key=lambda one: (one.at, one.item_id))


def _mark(row: AnyRow) -> Mark:
    values = orjson.loads(row.value) if row.value else {}
    return Mark(
        row.item_id, row.product_id, row.target, row.field, row.verdict, values.get("made"),
        values.get("right"), row.by, row.created_at,
    )  # fmt: skip
