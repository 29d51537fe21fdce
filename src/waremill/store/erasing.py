"""Take a product's data out of every table, in short transactions; money and counts stay.

What stays is a row without a name or attributes: items and the ledger count on it. Each function is
one bounded transaction; whoever calls them goes on where a crash left off, for the product keeps
its key until the last one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, func, select, update

from waremill.domain import references_in
from waremill.store import erasing_mentions as mentions
from waremill.store.runs import ENDED
from waremill.store.tables import (
    answers,
    calls,
    current,
    derivations,
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
from waremill.store.tables_batches import batch_requests, batch_waiters
from waremill.store.tables_knowledge import vectors
from waremill.store.tables_publishing import published, receipts, refusals

ITEMS_AT_ONCE = 500
ROWS_AT_ONCE = 5_000
CALLS_AT_ONCE = 50_000
UNFINISHED = ("pending", "waiting")
_ANSWER = re.compile(r'"([0-9a-f]{32})"')


@dataclass(slots=True)
class Erasable:
    """What is a product's alone: counts by kind, its answers' hashes, references to pictures."""

    counts: dict[str, int] = field(default_factory=dict)
    answers: set[bytes] = field(default_factory=set)
    pictures: set[str] = field(default_factory=set)


def waiting_run(conn: Connection, product: int) -> str | None:
    """Name a run that has still to work on a product, or on its group, or None."""
    group = select(products.c.group_id).where(products.c.id == product).scalar_subquery()
    mates = select(products.c.id).where(products.c.group_id == group)
    pinned = items.c.product_id.in_(mates) & (items.c.group_id == group)
    for whose in (items.c.product_id == product, pinned):
        query = (
            select(runs.c.name)
            .join(items, items.c.run_id == runs.c.id)
            .where(whose, items.c.state.in_(UNFINISHED), runs.c.state.not_in(ENDED))
            .limit(1)
        )
        if (name := conn.execute(query).scalar()) is not None:
            return str(name)
    return None


def look(conn: Connection, product: int) -> Erasable:
    """Count what there is of a product and find what its results refer to."""
    found = Erasable()
    mine = select(items.c.id).where(items.c.product_id == product)
    for name, column, condition in (
        ("versions", product_versions.c.version, product_versions.c.product_id == product),
        ("items", items.c.id, items.c.product_id == product),
        ("results", results.c.id, results.c.product_id == product),
        ("recordings", recordings.c.name, recordings.c.item_id.in_(mine)),
        ("reviews", reviews.c.id, reviews.c.item_id.in_(mine)),
        ("receipts", receipts.c.id, receipts.c.product_id == product),
    ):
        found.counts[name] = conn.execute(select(func.count(column)).where(condition)).scalar_one()
    texts = select(results.c["values"], results.c.provenance).where(results.c.product_id == product)
    for values, provenance in conn.execute(texts):
        found.pictures.update(references_in(values))
        found.answers.update(bytes.fromhex(one) for one in _ANSWER.findall(provenance or ""))
    for (value,) in conn.execute(select(recordings.c.value).where(recordings.c.item_id.in_(mine))):
        found.pictures.update(references_in(value))
    return found


def runs_of(conn: Connection, ids: Sequence[int]) -> list[int]:
    """Give the runs that have items of some products."""
    query = select(items.c.run_id).where(items.c.product_id.in_(ids)).distinct()
    return sorted(conn.execute(query).scalars())


def sent_step(
    conn: Connection, ids: Sequence[int], run: int, after: int, really: bool
) -> tuple[set[bytes], int | None]:
    """Give the hashes of what was asked for some products in a run's next calls, and where to go
    on; `really` also forgets what went wrong, which may quote them.

    Calls have no index by item, so a run's are gone through once for many products.
    """
    page = select(calls.c.id).where(calls.c.run_id == run, calls.c.id > after)
    ends = page.order_by(calls.c.id).limit(CALLS_AT_ONCE).subquery()
    last, count = conn.execute(select(func.max(ends.c.id), func.count())).one()
    if last is None:
        return set(), None
    mine = select(items.c.id).where(items.c.run_id == run, items.c.product_id.in_(ids))
    told = (
        (calls.c.run_id == run) & (calls.c.id > after) & (calls.c.id <= last)
        & calls.c.item_id.in_(mine)
    )  # fmt: skip
    found = set(conn.execute(select(calls.c.request_hash).where(told)).scalars())
    if really:
        conn.execute(update(calls).where(told, calls.c.error.is_not(None)).values(error=None))
    return found, int(last) if count == CALLS_AT_ONCE else None


def keep_shared(
    conn: Connection, found: Erasable, erased: Collection[int], after: int
) -> int | None:
    """Take out of `found` what the next results of others refer to; give where to go on."""
    rows = conn.execute(
        select(results.c.id, results.c.product_id, results.c["values"], results.c.provenance)
        .where(results.c.id > after)
        .order_by(results.c.id)
        .limit(ROWS_AT_ONCE)
    ).all()
    for row in rows:
        if row.product_id in erased:
            continue
        if found.pictures and "asset:" in row.values:
            found.pictures.difference_update(references_in(row.values))
        if found.answers and row.provenance:
            hashes = _ANSWER.findall(row.provenance)
            found.answers.difference_update(bytes.fromhex(one) for one in hashes)
    return rows[-1].id if len(rows) == ROWS_AT_ONCE else None


def keep_recorded(
    conn: Connection, found: Erasable, erased: Collection[int], after: tuple[int, str]
) -> tuple[int, str] | None:
    """Take out of `found` the pictures that others' next recordings refer to."""
    item, name = after
    rows = conn.execute(
        select(recordings.c.item_id, recordings.c.name, recordings.c.value, items.c.product_id)
        .outerjoin(items, items.c.id == recordings.c.item_id)
        .where((recordings.c.item_id > item)
               | ((recordings.c.item_id == item) & (recordings.c.name > name)))
        .order_by(recordings.c.item_id, recordings.c.name)
        .limit(ROWS_AT_ONCE)
    ).all()  # fmt: skip
    for row in rows:
        if row.product_id not in erased:
            found.pictures.difference_update(references_in(row.value))
    return (rows[-1].item_id, rows[-1].name) if len(rows) == ROWS_AT_ONCE else None


def erase_answers(conn: Connection, hashes: Sequence[bytes]) -> int:
    """Delete answers by their hashes; what they cost stays in the ledger."""
    return conn.execute(delete(answers).where(answers.c.hash.in_(hashes))).rowcount


def erase_derivations(conn: Connection, pictures: Collection[str], after: bytes) -> bytes | None:
    """Forget, in the next rows, what these pictures were made as; give where to go on."""
    rows = conn.execute(
        select(derivations.c.hash, derivations.c.value)
        .where(derivations.c.hash > after)
        .order_by(derivations.c.hash)
        .limit(ROWS_AT_ONCE)
    ).all()
    gone = [row.hash for row in rows if not set(references_in(row.value)).isdisjoint(pictures)]
    for start in range(0, len(gone), ITEMS_AT_ONCE):
        some = gone[start : start + ITEMS_AT_ONCE]
        conn.execute(delete(derivations).where(derivations.c.hash.in_(some)))
    return rows[-1].hash if len(rows) == ROWS_AT_ONCE else None


def erase_items(conn: Connection, product: int, after: int) -> int | None:
    """Empty the next items of a product; give the last one's id, None at the end."""
    rows = conn.execute(
        select(items.c.id, items.c.run_id)
        .where(items.c.product_id == product, items.c.id > after)
        .order_by(items.c.id)
        .limit(ITEMS_AT_ONCE)
    ).all()
    ids, worked = [row.id for row in rows], {row.run_id for row in rows}
    for table in (recordings, signatures, leases, marks, reviews):
        conn.execute(delete(table).where(table.c.item_id.in_(ids)))
    # What was made for the whole group is looked at when the product itself goes.
    conn.execute(delete(results).where(results.c.item_id.in_(ids), results.c.product_id == product))
    _forget_batched(conn, ids, worked)
    conn.execute(delete(findings).where(findings.c.run_id.in_(worked), findings.c.item_id.in_(ids)))
    conn.execute(update(items).where(items.c.id.in_(ids)).values(product_version=0, error=None))
    return ids[-1] if len(ids) == ITEMS_AT_ONCE else None


def _forget_batched(conn: Connection, ids: Sequence[int], worked: Collection[int]) -> None:
    """Delete requests that a run which ended left without an answer, unless others wait, too."""
    mine = batch_waiters.c.run_id.in_(worked) & batch_waiters.c.item_id.in_(ids)
    conn.execute(delete(batch_waiters).where(mine))
    others = select(batch_waiters.c.hash).where(
        batch_waiters.c.run_id == batch_requests.c.run_id,
        batch_waiters.c.hash == batch_requests.c.hash,
    )
    asked = batch_requests.c.run_id.in_(worked) & batch_requests.c.item_id.in_(ids)
    conn.execute(delete(batch_requests).where(asked, ~others.exists()))


def erase_product(conn: Connection, product: int, texts: Sequence[bytes]) -> None:
    """Take the product itself away, with its versions, published values and vectors.

    Its row stays without a name, and as no product: nothing selects it, and items still have one.
    """
    said = texts_of(conn, product)
    conn.execute(delete(current).where(current.c.product_id == product))
    conn.execute(delete(published).where(published.c.product_id == product))
    conn.execute(delete(refusals).where(refusals.c.product_id == product))
    conn.execute(
        update(receipts).where(receipts.c.product_id == product).values(value=None, before=None)
    )
    conn.execute(delete(product_versions).where(product_versions.c.product_id == product))
    if texts:
        conn.execute(delete(vectors).where(vectors.c.hash.in_(texts)))
    row = conn.execute(select(products.c.group_id).where(products.c.id == product)).one()
    _clear(conn, product)
    if row.group_id is None:
        return
    left = select(products.c.id).where(products.c.group_id == row.group_id).limit(1)
    if conn.execute(left).scalar() is not None:
        mentions.renew_group(conn, row.group_id, said)
        return
    conn.execute(delete(product_versions).where(product_versions.c.product_id == row.group_id))
    mentions.clear_group_results(conn, row.group_id)
    _clear(conn, row.group_id)
    conn.execute(update(items).where(items.c.product_id == product).values(group_version=0))


def _clear(conn: Connection, product: int) -> None:
    conn.execute(
        update(products).where(products.c.id == product).values(
            key=f"erased-{product}", is_group=True, group_id=None, version=0, attributes={}
        )
    )  # fmt: skip


def texts_of(conn: Connection, product: int) -> list[dict[str, object]]:
    """Give the attributes a product has and had."""
    now = select(products.c.attributes).where(products.c.id == product)
    before = select(product_versions.c.attributes).where(product_versions.c.product_id == product)
    return [*conn.execute(now).scalars(), *conn.execute(before).scalars()]


def embedding_models(conn: Connection) -> list[str]:
    """Name the models that vectors were made by."""
    return list(conn.execute(select(vectors.c.model).distinct()).scalars())


def find_products(conn: Connection, catalog: int, keys: Sequence[str]) -> dict[str, int]:
    """Give the ids of products by their keys."""
    found: dict[str, int] = {}
    for start in range(0, len(keys), ITEMS_AT_ONCE):
        query = select(products.c.key, products.c.id).where(
            products.c.catalog_id == catalog, products.c.is_group.is_(False),
            products.c.key.in_(keys[start : start + ITEMS_AT_ONCE]),
        )  # fmt: skip
        found.update((row.key, row.id) for row in conn.execute(query))
    return found
