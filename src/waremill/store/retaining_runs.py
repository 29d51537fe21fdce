"""Delete what runs that ended long ago left behind, some hundred items or calls a transaction.

What counts stays: a run's row, its items with state and cost, the ledger's sums. So does what is
still somebody's: values that are the newest of a product's field, the last accepted ones, marks,
and what other items were linked to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from sqlalchemy import ColumnElement, Connection, Table, delete, func, or_, select, update

from waremill.domain import references_in
from waremill.store.browsing import Stretch, ahead
from waremill.store.runs import ENDED, GENERATE
from waremill.store.tables import (
    answers,
    calls,
    current,
    findings,
    items,
    leases,
    marks,
    product_versions,
    products,
    recordings,
    results,
    reviews,
    runs,
    signatures,
)
from waremill.store.tables_batches import batch_requests, batch_waiters, batches
from waremill.store.tables_chat import chat_turns
from waremill.store.tables_publishing import receipts

ROWS_AT_ONCE = 2_000
ITEMS_AT_ONCE = 500
GOOD = ("accepted", "edited")
Step = Callable[[Connection, int, int, bool], tuple[int, int | None]]
"""Deletes (or counts) the next rows of a run after an id; gives how many, and where to go on."""


def ended_before(conn: Connection, before: float) -> list[int]:
    """Give the runs that ended before a time, and single calls' rows of before, oldest first."""
    alone = runs.c.kind == GENERATE
    old = or_(
        runs.c.state.in_(ENDED) & ~alone & (func.coalesce(runs.c.ended_at, before) < before),
        alone & (runs.c.created_at < before),
    )
    return list(conn.execute(select(runs.c.id).where(old).order_by(runs.c.id)).scalars())


def calls_step(conn: Connection, run: int, after: int, really: bool) -> tuple[int, int | None]:
    """Delete lines of the ledger; its sums stay."""
    found, order = ahead(conn, ((calls.c.run_id, run),), calls.c.id, Stretch(after))
    query = select(calls.c.id).where(*found)
    ids = list(conn.execute(query.order_by(*order).limit(ROWS_AT_ONCE)).scalars())
    if really and ids:
        conn.execute(delete(calls).where(calls.c.id.in_(ids)))
    return len(ids), ids[-1] if len(ids) == ROWS_AT_ONCE else None


def batches_step(conn: Connection, run: int, after: int, really: bool) -> tuple[int, int | None]:
    """Delete settled batches, and requests of an ended run that no batch answered."""
    settled = (batches.c.run_id == run) & (batches.c.state == "settled")
    count = _count(conn, batches, settled)
    if really:
        conn.execute(delete(batch_waiters).where(batch_waiters.c.run_id == run))
        conn.execute(delete(batch_requests).where(batch_requests.c.run_id == run))
        conn.execute(delete(batches).where(settled))
    return count, None


def _count(conn: Connection, table: Table, where: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(table).where(where)
    return int(conn.execute(query).scalar_one())


def items_step(conn: Connection, run: int, after: int, really: bool) -> tuple[int, int | None]:
    """Empty items: what they made, how, and what was said of it; they count on."""
    found, order = ahead(conn, ((items.c.run_id, run),), items.c.id, Stretch(after))
    rows = conn.execute(
        select(items.c.id, items.c.product_id).where(*found).order_by(*order).limit(ITEMS_AT_ONCE)
    ).all()
    ids = [row.id for row in rows]
    held = _held(conn, ids)
    gone = list(conn.execute(
        select(items.c.id).where(items.c.id.in_(ids), items.c.product_version != 0)
    ).scalars())  # fmt: skip
    gone = [one for one in gone if one not in held]
    if really and gone:
        for table in (recordings, signatures, leases, reviews, results):
            conn.execute(delete(table).where(table.c.item_id.in_(gone)))
        conn.execute(delete(findings).where(findings.c.run_id == run,
                                            findings.c.item_id.in_(gone)))  # fmt: skip
        emptied = {"product_version": 0, "group_version": 0, "error": None}
        conn.execute(update(items).where(items.c.id.in_(gone)).values(emptied))
        _forget_versions(conn, {row.product_id for row in rows if row.id in set(gone)})
    return len(gone), ids[-1] if len(ids) == ITEMS_AT_ONCE else None


def _held(conn: Connection, ids: Collection[int]) -> set[int]:
    """Give those items of which something is still somebody's."""
    newest = (
        select(results.c.item_id)
        .join(current, (current.c.product_id == results.c.product_id)
              & (current.c.target == results.c.target) & (current.c.result_id == results.c.id))
        .where(results.c.item_id.in_(ids))
    )  # fmt: skip
    later, linked = items.alias("later"), items.alias("linked")
    approved = select(items.c.id).where(
        items.c.id.in_(ids), items.c.state.in_(GOOD),
        ~select(later.c.id).where(
            later.c.product_id == items.c.product_id, later.c.target == items.c.target,
            later.c.id > items.c.id, later.c.state.in_(GOOD),
        ).exists(),
    )  # fmt: skip
    source = select(linked.c.source_id).where(
        linked.c.source_id.in_(ids), linked.c.product_version != 0
    )
    marked = select(marks.c.item_id).where(marks.c.item_id.in_(ids))
    return {
        one for query in (newest, approved, source, marked) for one in conn.execute(query).scalars()
    }


def _forget_versions(conn: Connection, ids: Collection[int]) -> None:
    """Delete earlier versions of products that no item is pinned to any more."""
    pinned = select(items.c.id).where(
        items.c.product_id == product_versions.c.product_id,
        items.c.product_version == product_versions.c.version,
    )
    of = product_versions.c.product_id.in_(ids)
    groups = select(products.c.id).where(products.c.id.in_(ids), products.c.is_group)
    conn.execute(
        delete(product_versions).where(
            of, product_versions.c.product_id.not_in(groups), ~pinned.exists()
        )
    )


RUN_STEPS: dict[str, Step] = {"runs": items_step, "calls": calls_step, "batches": batches_step}

_HOLDERS = (
    (results.c.id, (results.c["values"],)),
    (answers.c.id, (answers.c.text,)),
    (reviews.c.id, (reviews.c.before,)),
    (chat_turns.c.id, (chat_turns.c.made, chat_turns.c.reply)),
    (receipts.c.id, (receipts.c.value, receipts.c.before)),
    (products.c.id, (products.c.attributes,)),
)
HOLDERS = range(len(_HOLDERS))
"""Places of the tables whose rows have numbers and may refer to pictures."""


def referred(
    conn: Connection, holder: int, after: int, wanted: Collection[str]
) -> tuple[set[str], int | None]:
    """Give which of the wanted pictures a table's next rows refer to, and where to go on."""
    number, texts = _HOLDERS[holder]
    rows = conn.execute(
        select(number, *texts).where(number > after).order_by(number).limit(ROWS_AT_ONCE)
    ).all()
    found = {one for row in rows for text in row[1:] for one in references_in(str(text or ""))}
    return found.intersection(wanted), rows[-1][0] if len(rows) == ROWS_AT_ONCE else None


def referred_beside(
    conn: Connection, after: tuple[int, str], wanted: Collection[str]
) -> tuple[set[str], tuple[int, str] | None]:
    """Do the same with the next recordings."""
    item, name = after
    rows = conn.execute(
        select(recordings.c.item_id, recordings.c.name, recordings.c.value)
        .where((recordings.c.item_id > item)
               | ((recordings.c.item_id == item) & (recordings.c.name > name)))
        .order_by(recordings.c.item_id, recordings.c.name)
        .limit(ROWS_AT_ONCE)
    ).all()  # fmt: skip
    found = {one for row in rows for one in references_in(row.value)}
    full = len(rows) == ROWS_AT_ONCE
    return found.intersection(wanted), (rows[-1].item_id, rows[-1].name) if full else None


def referred_in_marks(conn: Connection, wanted: Collection[str]) -> set[str]:
    """Give which of the wanted pictures somebody's marks refer to; marks are few."""
    query = select(marks.c.value).where(marks.c.value.contains("asset:"))
    found = {one for value in conn.execute(query).scalars() for one in references_in(value)}
    return found.intersection(wanted)
