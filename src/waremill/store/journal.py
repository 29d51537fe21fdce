"""Group commits: look-ups and writes of many items at work share a few transactions.

Whatever arrives while one transaction runs goes into the next. Every transaction checks that the
run's epoch is still the worker's own; when it is not, nothing of it is written and every waiter
gets a Conflict. A `put` returns only after its transaction is committed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, bindparam, func, insert, select, text, update

from waremill.errors import Conflict
from waremill.store.database import Database
from waremill.store.runs import Run, clock
from waremill.store.tables import (
    answers,
    bands,
    calls,
    current,
    dumps,
    items,
    recordings,
    results,
    runs,
    signatures,
)

HASHES_A_QUERY = 500
Record = dict[str, Any]


@dataclass(slots=True)
class Writes:
    """Rows one item wants committed together."""

    answers: list[Record] = field(default_factory=list)
    calls: list[Record] = field(default_factory=list)
    items: list[Record] = field(default_factory=list)
    results: list[Record] = field(default_factory=list)
    recordings: list[Record] = field(default_factory=list)
    signatures: list[Record] = field(default_factory=list)
    bands: list[Record] = field(default_factory=list)


_NAMES = tuple(Writes.__dataclass_fields__)


class Journal:
    """The store as a working run sees it."""

    def __init__(self, database: Database, run: Run) -> None:
        self._database = database
        self._run = run
        self._find: dict[bytes, asyncio.Future[Record | None]] = {}
        self._rows = Writes()
        self._count = 0
        self._waiters: list[asyncio.Future[None]] = []
        self._pump: asyncio.Task[None] | None = None
        self.lost: BaseException | None = None

    async def find(self, digest: bytes) -> Record | None:
        """Look an answer up by its request's hash; None when nobody has asked yet."""
        waiting = self._find.get(digest)
        if waiting is None:
            waiting = asyncio.get_running_loop().create_future()
            self._find[digest] = waiting
            self._start()
        return await waiting

    def add(self, kind: str, rows: Iterable[Record]) -> None:
        """Add rows to the next commit without waiting for it."""
        before = getattr(self._rows, kind)
        size = len(before)
        before.extend(rows)
        self._count += len(before) - size

    async def put(self, kind: str, rows: Iterable[Record]) -> None:
        """Add rows and return when they are committed."""
        self.add(kind, rows)
        await self.committed()

    async def committed(self) -> None:
        """Return when everything added so far is committed."""
        if self.lost is not None:
            raise self.lost
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._start()
        await waiter

    @property
    def backlog(self) -> int:
        """Give how many rows wait for a commit."""
        return self._count

    def _start(self) -> None:
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while self._find or self._waiters or self._count:
            await asyncio.sleep(0)  # let everyone who became ready in this turn join
            finds, self._find = self._find, {}
            rows, self._rows = self._rows, Writes()
            count, self._count = self._count, 0
            waiters, self._waiters = self._waiters, []
            try:
                transact = self._database.write if count else self._database.read
                found = await transact(_commit, self._run, list(finds), rows)
            except BaseException as error:
                self._fail(error, finds.values(), waiters)
                if not isinstance(error, Exception):
                    raise
                return
            for digest, waiting in finds.items():
                if not waiting.done():
                    waiting.set_result(found.get(digest))
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def _fail(
        self,
        error: BaseException,
        finds: Iterable[asyncio.Future[Any]],
        waiters: Sequence[asyncio.Future[Any]],
    ) -> None:
        self.lost = error if isinstance(error, Exception) else Conflict("the worker was stopped")
        for future in (*finds, *waiters, *self._find.values(), *self._waiters):
            if not future.done():
                future.set_exception(self.lost)
                future.exception()  # somebody may have stopped waiting
        self._find, self._waiters = {}, []


def _commit(conn: Connection, run: Run, digests: list[bytes], rows: Writes) -> dict[bytes, Record]:
    """Write one group and answer its look-ups, in the caller's transaction."""
    if any(getattr(rows, name) for name in _NAMES):
        owned = conn.execute(_OWNED, {"b_id": run.id, "b_epoch": run.epoch, "b_now": clock(conn)})
        if owned.rowcount != 1:
            raise Conflict(f"run {run.name} was taken over by another worker")
        _insert_new(conn, answers, rows.answers, ["hash"])
        if rows.calls:
            conn.execute(insert(calls), rows.calls)
        if rows.results:
            _insert_results(conn, rows.results)
        if rows.items:
            conn.execute(_FINISH, rows.items)
        _insert_new(conn, recordings, rows.recordings, ["item_id", "name"])
        _insert_new(conn, signatures, rows.signatures, ["item_id", "field"])
        if rows.bands:
            conn.execute(insert(bands), rows.bands)
    found: dict[bytes, Record] = {}
    for start in range(0, len(digests), HASHES_A_QUERY):
        some = digests[start : start + HASHES_A_QUERY]
        for row in conn.execute(_FIND, {"digests": some}):
            found[row.hash] = dict(row._mapping)
    return found


_OWNED = (
    update(runs)
    .where(runs.c.id == bindparam("b_id"), runs.c.epoch == bindparam("b_epoch"))
    .values(heartbeat=bindparam("b_now"))
)
_FIND = select(answers).where(answers.c.hash.in_(bindparam("digests", expanding=True)))
_FINISH = (
    update(items)
    .where(items.c.id == bindparam("b_id"))
    .values(
        state=bindparam("state"), attempts=bindparam("attempts"), findings=bindparam("findings"),
        paid=bindparam("paid"), list_cost=bindparam("list_cost"), latency=bindparam("latency"),
        error=bindparam("error"),
    )
)  # fmt: skip


def _insert_new(conn: Connection, table: Table, rows: list[Record], key: list[str]) -> None:
    if not rows:
        return
    if conn.dialect.name == "sqlite":
        conn.execute(insert(table).prefix_with("OR IGNORE"), rows)
        return
    from sqlalchemy.dialects.postgresql import insert as insert_postgresql

    conn.execute(insert_postgresql(table).on_conflict_do_nothing(index_elements=key), rows)


def _insert_results(conn: Connection, rows: list[Record]) -> None:
    """Append results and move `current` on to them."""
    for row, number in zip(rows, allocate(conn, results, len(rows)), strict=True):
        row["id"] = number
    conn.execute(insert(results), [{**row, "values": dumps(row["values"])} for row in rows])
    latest: dict[tuple[int, str, str], Record] = {}
    for row in rows:
        for name in row["values"]:
            latest[row["product_id"], row["target"], name] = {
                "product_id": row["product_id"], "target": row["target"], "field": name,
                "result_id": row["id"],
            }  # fmt: skip
    if not latest:
        return
    ordered = [latest[key] for key in sorted(latest)]  # one order: no deadlock between writers
    if conn.dialect.name == "sqlite":
        conn.execute(insert(current).prefix_with("OR REPLACE"), ordered)
        return
    from sqlalchemy.dialects.postgresql import insert as insert_postgresql

    statement = insert_postgresql(current)
    conn.execute(
        statement.on_conflict_do_update(
            index_elements=["product_id", "target", "field"],
            set_={"result_id": statement.excluded.result_id},
        ),
        ordered,
    )


def allocate(conn: Connection, table: Table, count: int) -> Iterable[int]:
    """Reserve row ids inside a write transaction."""
    if conn.dialect.name == "sqlite":
        highest = conn.execute(select(func.max(table.c.id))).scalar() or 0
        return range(highest + 1, highest + 1 + count)
    sequence = f"{table.name}_id_seq"
    return list(
        conn.execute(
            text("SELECT nextval(:sequence) FROM generate_series(1, :count)"),
            {"sequence": sequence, "count": count},
        ).scalars()
    )


def result_row(
    item: tuple[int, int, str], step: str, values: Mapping[str, Any], **more: Any
) -> Record:
    """Make a result's row: `item` is (item id, product id, target)."""
    item_id, product_id, target = item
    return {
        "item_id": item_id, "product_id": product_id, "target": target, "step": step,
        "origin": more.get("origin", "model"), "values": dict(values),
        "findings": more.get("findings"), "provenance": more.get("provenance"),
        "created_at": time.time(),
    }  # fmt: skip
