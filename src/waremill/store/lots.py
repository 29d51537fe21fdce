"""Lots: which items belong to one, which of them were drawn, and what was said of these.

While a lot is open, what was said of its sample is read together with what the items are now: one
that was rejected or edited since, by whatever way, is a bad one. A decided lot keeps its counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, case, delete, exists, func, insert, select, update

from waremill.errors import NotFound
from waremill.store.bulk import BulkInsert
from waremill.store.reviewing import take_lease
from waremill.store.runs import clock
from waremill.store.tables import AnyRow, items, leases, lot_items, lots
from waremill.store.verdicts import WAITING

_MEMBERS = BulkInsert(lot_items, ("lot_id", "item_id", "verdict"))
_BAD = ("rejected", "edited")
"""States of items that were not good as they were made, whoever found that out and where."""


@dataclass(frozen=True, slots=True)
class LotRow:
    """A lot: `size` items of which `sample` were drawn and `allowed` may be bad.

    `filters` say which items they were; `looked` and `bad` count what was said of the sample, and
    while the lot is open those of it that are rejected or edited now.
    """

    id: int
    run_id: int
    filters: Mapping[str, Any]
    size: int
    sample: int
    allowed: int
    confidence: float
    most_bad: float
    seed: int
    state: str
    reason: str | None
    by: str
    created_at: float
    decided_by: str | None
    decided_at: float | None
    looked: int
    bad: int


def create(conn: Connection, values: Mapping[str, Any]) -> int:
    """Insert a lot that is still being filled; give its id."""
    row = {**values, "state": "filling", "created_at": clock(conn)}
    return int(conn.execute(insert(lots).values(row).returning(lots.c.id)).scalar_one())


def add_members(conn: Connection, lot_id: int, ids: Sequence[int], drawn: Collection[int]) -> None:
    """Add items to a lot, those of its sample marked as drawn."""
    _MEMBERS.run(conn, [(lot_id, one, "drawn" if one in drawn else None) for one in ids])


def set_lot(conn: Connection, lot_id: int, values: Mapping[str, Any]) -> None:
    """Set plain columns of a lot."""
    conn.execute(update(lots).where(lots.c.id == lot_id).values(dict(values)))


def get(conn: Connection, lot_id: int) -> LotRow:
    """Give a lot with what was said of its sample; raise NotFound where there is none."""
    row = conn.execute(select(lots).where(lots.c.id == lot_id)).one_or_none()
    if row is None or row.state == "filling":
        raise NotFound(f"there is no lot {lot_id}")
    return _lot(conn, row)


def of_run(conn: Connection, run_id: int) -> list[LotRow]:
    """Give a run's lots, the newest first."""
    query = select(lots).where(lots.c.run_id == run_id, lots.c.state != "filling")
    return [_lot(conn, row) for row in conn.execute(query.order_by(lots.c.id.desc())).all()]


def _lot(conn: Connection, row: AnyRow) -> LotRow:
    verdict: ColumnElement[Any] = lot_items.c.verdict
    drawn = select(lot_items.c.item_id).where(
        lot_items.c.lot_id == row.id, lot_items.c.verdict.is_not(None)
    )
    if row.state == "open":
        drawn = drawn.join(items, items.c.id == lot_items.c.item_id)
        verdict = case((items.c.state.in_(_BAD), "bad"), else_=lot_items.c.verdict)
    named = drawn.add_columns(verdict.label("said")).subquery()
    query = select(named.c.said, func.count()).group_by(named.c.said)
    said = {word: int(count) for word, count in conn.execute(query)}
    good, bad = said.get("good", 0), said.get("bad", 0)
    values = dict(row._mapping)
    filters = orjson.loads(values.pop("condition"))
    return LotRow(**values, filters=filters, looked=good + bad, bad=bad)


def lock(conn: Connection, lot_id: int) -> LotRow:
    """Give a lot that nobody else can change until the transaction ends."""
    if conn.dialect.name == "postgresql":
        conn.execute(select(lots.c.id).where(lots.c.id == lot_id).with_for_update())
    return get(conn, lot_id)


def keep_counts(conn: Connection, lot_id: int) -> None:
    """Write down which of a lot's sample are rejected or edited now, before the lot is decided."""
    bad = exists().where(items.c.id == lot_items.c.item_id, items.c.state.in_(_BAD))
    conn.execute(
        update(lot_items)
        .where(lot_items.c.lot_id == lot_id, lot_items.c.verdict.is_not(None), bad)
        .values(verdict="bad")
    )


def look_again(conn: Connection, run_id: int, item_id: int) -> None:
    """Forget what was said of an item in the open lots whose sample it is in: it is drawn again.

    To be called before the item is locked: who judges a sample locks the lot first, too.
    """
    sampled = exists().where(
        lot_items.c.lot_id == lots.c.id,
        lot_items.c.item_id == item_id,
        lot_items.c.verdict.is_not(None),
    )
    query = select(lots.c.id).where(lots.c.run_id == run_id, lots.c.state == "open", sampled)
    found = list(conn.execute(query.order_by(lots.c.id).with_for_update()).scalars())
    for lot_id in found:
        say(conn, lot_id, item_id, "drawn")


def next_drawn(conn: Connection, lot_id: int, holder: str, skip: Collection[int]) -> int | None:
    """Lease the next item of a sample nobody looked at; None when none is left or free.

    What is rejected or edited already counts as bad, so nobody need look at it.
    """
    conn.execute(delete(leases).where(leases.c.until <= clock(conn)))
    passed = set(skip)
    while True:
        query = (
            select(lot_items.c.item_id)
            .join(items, items.c.id == lot_items.c.item_id)
            .where(
                lot_items.c.lot_id == lot_id,
                lot_items.c.verdict == "drawn",
                items.c.state.not_in(_BAD),
                ~exists().where(leases.c.item_id == lot_items.c.item_id, leases.c.holder != holder),
                lot_items.c.item_id.not_in(passed),
            )
            .order_by(lot_items.c.item_id)
            .limit(1)
        )
        item_id = conn.execute(query).scalar()
        if item_id is None or take_lease(conn, item_id, holder):
            return item_id
        passed.add(item_id)


def verdict_of(conn: Connection, lot_id: int, item_id: int) -> str | None:
    """Give what was said of an item of a lot's sample; raise NotFound where it was not drawn."""
    query = select(lot_items.c.verdict).where(
        lot_items.c.lot_id == lot_id, lot_items.c.item_id == item_id
    )
    verdict: str | None = conn.execute(query).scalar()
    if verdict is None:
        raise NotFound(f"item {item_id} is not in the sample of lot {lot_id}")
    return verdict


def say(conn: Connection, lot_id: int, item_id: int, verdict: str) -> None:
    """Say of a sampled item that it is good or bad, or `drawn`: to be looked at."""
    conn.execute(
        update(lot_items)
        .where(lot_items.c.lot_id == lot_id, lot_items.c.item_id == item_id)
        .values(verdict=verdict)
    )


def rest(conn: Connection, lot_id: int, after: int, size: int) -> list[int]:
    """Give the next items of a lot that still wait for a verdict, in order."""
    query = (
        select(lot_items.c.item_id)
        .join(items, items.c.id == lot_items.c.item_id)
        .where(
            lot_items.c.lot_id == lot_id, lot_items.c.item_id > after, items.c.state.in_(WAITING)
        )
        .order_by(lot_items.c.item_id)
        .limit(size)
    )
    return list(conn.execute(query).scalars())


def count_rest(conn: Connection, lot_id: int) -> int:
    """Count the items of a lot that still wait for a verdict."""
    query = (
        select(func.count())
        .select_from(lot_items.join(items, items.c.id == lot_items.c.item_id))
        .where(lot_items.c.lot_id == lot_id, items.c.state.in_(WAITING))
    )
    return int(conn.execute(query).scalar_one())
