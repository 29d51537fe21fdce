"""Batches at vendors: requests written down, batches meant, sent and settled, items woken.

Every change is made under the run's epoch, so a worker that lost its run changes nothing. What a
settled line changes (journal, ledger, request, waiting items) is one transaction, and a line is
settled once: a request that is no longer in its batch is passed over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import orjson
from sqlalchemy import (
    Connection,
    Integer,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)

from waremill.errors import Conflict
from waremill.store.journal import Record, write_rows
from waremill.store.ledger import add_calls
from waremill.store.runs import Run, clock, is_beating, touch
from waremill.store.tables import AnyRow, answers, items, runs
from waremill.store.tables_batches import OPENED, batch_requests, batch_waiters, batches

AT_ONCE = 500
"""Lines settled, and hashes looked up, at once."""
RequestState = Literal["new", "held", "live", "failed"]


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch's row; see `tables_batches`. `others` are ids that turned out to be other batches."""

    id: int
    run_id: int
    key: str
    model: str
    state: str
    vendor_id: str | None
    file_id: str | None
    others: tuple[str, ...]
    outcome: str | None
    note: str | None
    requests: int
    bytes: int
    tokens: int
    reserved: int
    paid: int
    done: int
    failed: int
    answered: int
    created_at: float
    submitted_at: float | None
    expires_at: float | None
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that waits for a batch, or is in one."""

    id: int
    hash: bytes
    body: bytes
    item_id: int
    step: str
    target: str
    tries: int


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one request: its answer and call, or the state it is in now, and why."""

    asked: Asked
    answer: Record | None = None
    call: Record | None = None
    state: RequestState | None = None
    error: str | None = None
    counts: bool = True
    """Whether the batch it was in counts as one of its tries."""


@dataclass(frozen=True, slots=True)
class Tallied:
    """What a group of settled lines came to: items woken, nano-USD paid, the calls written."""

    woken: int = 0
    paid: int = 0
    calls: tuple[Record, ...] = field(default=(), repr=False)


_COLUMNS = tuple(Batch.__dataclass_fields__)
_ASKED = [batch_requests.c[name] for name in Asked.__dataclass_fields__]


def _as_batch(row: AnyRow) -> Batch:
    values = dict(row._mapping)
    values["others"] = tuple(orjson.loads(values["others"] or "[]"))
    return Batch(**values)


def of_run(conn: Connection, run_id: int, *, opened: bool = False) -> list[Batch]:
    """Give a run's batches in order; with `opened` only those that are not settled."""
    query = select(batches).where(batches.c.run_id == run_id).order_by(batches.c.id)
    if opened:
        query = query.where(OPENED)
    return [_as_batch(row) for row in conn.execute(query)]


def overview(conn: Connection, run_id: int) -> tuple[list[Batch], int]:
    """Give a run's batches that are not settled, in order, and how many are."""
    done = select(func.count()).where(batches.c.run_id == run_id, batches.c.state == "settled")
    return of_run(conn, run_id, opened=True), int(conn.execute(done).scalar_one())


def known_ids(conn: Connection, since: float) -> set[str]:
    """Give the vendors' ids of all batches meant since a time, of whatever run."""
    query = select(batches.c.vendor_id).where(
        batches.c.created_at >= since, batches.c.vendor_id.is_not(None)
    )
    return set(conn.execute(query).scalars())


def waiting_models(conn: Connection, run_id: int) -> list[str]:
    """Give the models that have requests for a new batch."""
    query = (
        select(batch_requests.c.model)
        .where(batch_requests.c.run_id == run_id, batch_requests.c.state == "new")
        .distinct()
    )
    return sorted(conn.execute(query).scalars())


def new_requests(conn: Connection, run_id: int, model: str, after: int, size: int) -> list[Asked]:
    """Give the next requests for a model's new batch, in order."""
    query = (
        select(*_ASKED)
        .where(batch_requests.c.run_id == run_id, batch_requests.c.model == model,
               batch_requests.c.state == "new", batch_requests.c.id > after)
        .order_by(batch_requests.c.id)
        .limit(size)
    )  # fmt: skip
    return [Asked(*row) for row in conn.execute(query)]


def requests_of(conn: Connection, batch_id: int, after: int, size: int) -> list[Asked]:
    """Give the next requests of a batch that are not settled, in order."""
    query = (
        select(*_ASKED)
        .where(batch_requests.c.batch_id == batch_id, batch_requests.c.state == "sent",
               batch_requests.c.id > after)
        .order_by(batch_requests.c.id)
        .limit(size)
    )  # fmt: skip
    return [Asked(*row) for row in conn.execute(query)]


def some_requests(conn: Connection, batch_id: int, ids: Collection[int]) -> dict[int, Asked]:
    """Give those of some requests that are in a batch and not settled, by id."""
    query = select(*_ASKED).where(
        batch_requests.c.id.in_(ids),
        batch_requests.c.batch_id == batch_id,
        batch_requests.c.state == "sent",
    )
    return {row[0]: Asked(*row) for row in conn.execute(query)}


def exceptions(conn: Connection, run_id: int) -> dict[bytes, tuple[str, str]]:
    """Give the requests that go into no batch: their hash, `live` or `failed`, and why."""
    query = select(batch_requests.c.hash, batch_requests.c.state, batch_requests.c.error).where(
        batch_requests.c.run_id == run_id, batch_requests.c.state.in_(("live", "failed"))
    )
    return {row.hash: (row.state, row.error or "") for row in conn.execute(query)}


def answered(conn: Connection, hashes: Sequence[bytes]) -> set[bytes]:
    """Say which requests have an answer in the journal by now."""
    found: set[bytes] = set()
    for start in range(0, len(hashes), AT_ONCE):
        some = hashes[start : start + AT_ONCE]
        found.update(conn.execute(select(answers.c.hash).where(answers.c.hash.in_(some))).scalars())
    return found


def sent_elsewhere(conn: Connection, run_id: int, hashes: Sequence[bytes]) -> set[bytes]:
    """Say which requests are in a batch of another run that is worked just now."""
    found: set[bytes] = set()
    for start in range(0, len(hashes), AT_ONCE):
        some = batch_requests.c.hash.in_(hashes[start : start + AT_ONCE])
        query = select(batch_requests.c.hash).where(
            some,
            batch_requests.c.state == "sent",
            batch_requests.c.run_id.in_(_others(conn, run_id)),
        )
        found.update(conn.execute(query).scalars())
    return found


def _others(conn: Connection, run_id: int) -> list[int]:
    """Give the other runs with batches at a vendor that somebody works, and so will settle."""
    query = (
        select(batches.c.run_id)
        .join(runs, runs.c.id == batches.c.run_id)
        .where(OPENED, batches.c.run_id != run_id, *is_beating(conn))
        .distinct()
    )
    return list(conn.execute(query).scalars())


def held(conn: Connection, run_id: int) -> int:
    """Count the requests of a run that wait for another run's batch."""
    query = select(func.count()).where(
        batch_requests.c.run_id == run_id, batch_requests.c.state == "held"
    )
    return int(conn.execute(query).scalar_one())


def let_go(conn: Connection, run: Run) -> int:
    """Set the requests back to new that no other run has in a batch any more; count the others.

    Their answer is in the journal by then, or whoever asked for it is gone.
    """
    touch(conn, run)
    other = batch_requests.alias("other")
    still = (
        select(literal_column("1", Integer))
        .where(other.c.run_id.in_(_others(conn, run.id)), other.c.hash == batch_requests.c.hash,
               other.c.state == "sent")
        .correlate(batch_requests)
    )  # fmt: skip
    conn.execute(
        update(batch_requests)
        .where(batch_requests.c.run_id == run.id, batch_requests.c.state == "held",
               ~still.exists())
        .values(state="new")
    )  # fmt: skip
    return held(conn, run.id)


def intend(conn: Connection, run: Run, row: Mapping[str, Any], last: int) -> Batch:
    """Write down that a model's new requests up to the id `last` are about to be sent.

    Raises Conflict when they are not as many as the row says.
    """
    touch(conn, run)
    full = {
        "run_id": run.id, "state": "intended", "paid": 0, "done": 0, "failed": 0, "answered": 0,
        "created_at": clock(conn), **row,
    }  # fmt: skip
    made = _as_batch(conn.execute(insert(batches).values(full).returning(batches)).one())
    taken = conn.execute(
        update(batch_requests)
        .where(batch_requests.c.run_id == run.id, batch_requests.c.model == made.model,
               batch_requests.c.state == "new", batch_requests.c.id <= last)
        .values(state="sent", batch_id=made.id, tries=batch_requests.c.tries + 1)
    )  # fmt: skip
    if taken.rowcount != made.requests:
        raise Conflict(f"the requests of run {run.name} changed while a batch was made of them")
    return made


def change(conn: Connection, run: Run, batch: Batch, **values: Any) -> Batch:
    """Set columns of a batch; give it as it is then."""
    touch(conn, run)
    changed = replace(batch, **values)
    if "others" in values:
        values["others"] = orjson.dumps(changed.others).decode()
    conn.execute(update(batches).where(batches.c.id == batch.id).values(values))
    return changed


def settle(
    conn: Connection, run: Run, rows: Sequence[Settled], batch: Batch | None = None
) -> Tallied:
    """Settle requests, of a batch or not yet in one; wake the items that waited for them.

    Those that were settled before are passed over, so that results may be read again.
    """
    touch(conn, run)
    state = batch_requests.c.state == ("sent" if batch is not None else "new")
    query = select(batch_requests.c.id).where(
        batch_requests.c.id.in_([row.asked.id for row in rows]), state
    )
    if batch is not None:
        query = query.where(batch_requests.c.batch_id == batch.id)
    open_ids = set(conn.execute(query.with_for_update()).scalars())
    rows = [row for row in rows if row.asked.id in open_ids]
    if not rows:
        return Tallied()
    calls = [row.call for row in rows if row.call is not None]
    write_rows(conn, "answers", [row.answer for row in rows if row.answer is not None])
    if calls:
        write_rows(conn, "calls", calls)
        add_calls(conn, calls)
        conn.execute(_PAY, [{"b_id": one["item_id"], "b_paid": one["paid"] or 0} for one in calls])
    _move(conn, rows)
    paid = sum(one["paid"] or 0 for one in calls)
    if batch is not None:
        made = sum(row.answer is not None for row in rows)
        conn.execute(
            update(batches)
            .where(batches.c.id == batch.id)
            .values(paid=batches.c.paid + paid, answered=batches.c.answered + made)
        )
    woken = _wake(
        conn, run.id, [row.asked.hash for row in rows if row.state not in ("new", "held")]
    )
    return Tallied(woken, paid, tuple(calls))


_PAY = (
    update(items)
    .where(items.c.id == bindparam("b_id"))
    .values(paid=func.coalesce(items.c.paid, 0) + bindparam("b_paid"))
)
"""What a batch paid for an item: its own ending adds what is paid live."""


def _move(conn: Connection, rows: Iterable[Settled]) -> None:
    """Take answered requests away, and set the others to their states."""
    gone, moved = [], []
    for row in rows:
        if row.state is None:
            gone.append(row.asked.id)
        else:
            back = 0 if row.counts or row.state != "new" else 1
            moved.append(
                {"b_id": row.asked.id, "b_state": row.state, "b_error": row.error, "b_back": back}
            )
    if gone:
        conn.execute(delete(batch_requests).where(batch_requests.c.id.in_(gone)))
    if moved:
        conn.execute(_STATE, moved)


_STATE = (
    update(batch_requests)
    .where(batch_requests.c.id == bindparam("b_id"))
    .values(state=bindparam("b_state"), error=bindparam("b_error"), batch_id=None,
            tries=batch_requests.c.tries - bindparam("b_back"))
)  # fmt: skip


def _wake(conn: Connection, run_id: int, hashes: Sequence[bytes]) -> int:
    """Set the items that waited for some requests back to pending; give how many."""
    woken = 0
    for start in range(0, len(hashes), AT_ONCE):
        mine = (batch_waiters.c.run_id == run_id) & batch_waiters.c.hash.in_(
            hashes[start : start + AT_ONCE]
        )
        waiting = select(batch_waiters.c.item_id).where(mine)
        woken += conn.execute(
            update(items)
            .where(items.c.run_id == run_id, items.c.state == "waiting", items.c.id.in_(waiting))
            .values(state="pending")
        ).rowcount
        conn.execute(delete(batch_waiters).where(mine))
    return woken


def wake_lost(conn: Connection, run: Run) -> int:
    """Set a run's waiting items back to pending where no batch is open and none is to come.

    Give how many. Nothing should be left then; if something is, it replays rather than waits for
    ever.
    """
    touch(conn, run)
    conn.execute(
        update(batch_requests)
        .where(batch_requests.c.run_id == run.id, batch_requests.c.state == "sent")
        .values(state="new", batch_id=None)
    )
    woken = conn.execute(
        update(items)
        .where(items.c.run_id == run.id, items.c.state == "waiting")
        .values(state="pending")
    )
    return woken.rowcount


def paid_for(conn: Connection, ids: Collection[int]) -> dict[int, int]:
    """Give what batches paid for items that are not finished, where they did."""
    query = select(items.c.id, items.c.paid).where(items.c.id.in_(ids), items.c.paid.is_not(None))
    return {row.id: int(row.paid) for row in conn.execute(query)}


def paid_by(conn: Connection, batch_id: int) -> int:
    """Give what a batch's answers cost, in nano-USD."""
    return int(conn.execute(select(batches.c.paid).where(batches.c.id == batch_id)).scalar_one())


def forget(conn: Connection, run_id: int, *, failed_only: bool = False) -> None:
    """Take away what is left of a run's requests: all, or those that failed, to be asked again."""
    mine = batch_requests.c.run_id == run_id
    if failed_only:
        conn.execute(delete(batch_requests).where(mine, batch_requests.c.state == "failed"))
        return
    conn.execute(delete(batch_requests).where(mine))
    conn.execute(delete(batch_waiters).where(batch_waiters.c.run_id == run_id))
