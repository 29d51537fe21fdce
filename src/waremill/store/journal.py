"""Group commits: look-ups and writes of many items at work share a few transactions.

Whatever arrives while one transaction runs goes into the next. Every transaction checks that the
run's epoch is still the worker's own; when it is not, nothing of it is written and every waiter
gets a Conflict. A `put` returns only after its transaction is committed.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Literal

from sqlalchemy import Connection, Table, text

from waremill.domain import Finding
from waremill.errors import Conflict
from waremill.store.bulk import BulkInsert, BulkUpdate
from waremill.store.database import Database
from waremill.store.ledger import add_calls
from waremill.store.runs import Run
from waremill.store.tables import (
    answers,
    bands,
    calls,
    current,
    derivations,
    dumps,
    findings,
    items,
    recordings,
    results,
    signatures,
)
from waremill.store.tables_batches import batch_requests, batch_waiters
from waremill.store.workers import Hold

HASHES_A_QUERY = 500
PAUSE_EACH = 0.0001
LONGEST_PAUSE = 0.02
"""Seconds between two transactions: so much for each who waited for the last, and at most."""
Record = dict[str, Any]
_Getter = Callable[[Record], tuple[Any, ...]]


@dataclass(slots=True)
class Writes:
    """Rows one item wants committed together."""

    answers: list[Record] = field(default_factory=list)
    calls: list[Record] = field(default_factory=list)
    items: list[Record] = field(default_factory=list)
    results: list[Record] = field(default_factory=list)
    findings: list[Record] = field(default_factory=list)
    recordings: list[Record] = field(default_factory=list)
    derivations: list[Record] = field(default_factory=list)
    signatures: list[Record] = field(default_factory=list)
    bands: list[Record] = field(default_factory=list)
    batch_requests: list[Record] = field(default_factory=list)
    batch_waiters: list[Record] = field(default_factory=list)
    parked: list[Record] = field(default_factory=list)


class Journal:
    """The store as a working run sees it.

    `find`, `put` and `committed` give futures, to be awaited: a coroutine more a call would cost.
    """

    def __init__(self, database: Database, run: Run | Hold) -> None:
        self._database = database
        self._hold = run if isinstance(run, Hold) else Hold(run)
        self._find: dict[bytes, asyncio.Future[Record | None]] = {}
        self._rows = Writes()
        self._count = 0
        self._waiters: list[asyncio.Future[None]] = []
        self._pump: asyncio.Task[None] | None = None
        self.lost: BaseException | None = None

    def find(self, digest: bytes) -> asyncio.Future[Record | None]:
        """Look an answer up by its request's hash; None when nobody has asked yet."""
        waiting = self._find.get(digest)
        if waiting is None:
            waiting = self._find[digest] = asyncio.get_running_loop().create_future()
            self._start()
        return waiting

    def add(self, kind: str, rows: Iterable[Record]) -> None:
        """Add rows to the next commit without waiting for it."""
        before = getattr(self._rows, kind)
        size = len(before)
        before.extend(rows)
        self._count += len(before) - size

    def put(self, kind: str, rows: Iterable[Record]) -> asyncio.Future[None]:
        """Add rows and return when they are committed."""
        self.add(kind, rows)
        return self.committed()

    def committed(self) -> asyncio.Future[None]:
        """Return when everything added so far is committed."""
        if self.lost is not None:
            raise self.lost
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._start()
        return waiter

    @property
    def backlog(self) -> int:
        """Give how many rows wait for a commit."""
        return self._count

    async def beat(self, progress: Mapping[str, Any]) -> str | None:
        """Say that the worker lives and how far it is; give the command somebody left, if any."""
        return await self._database.repeat(self._hold.beat, progress)

    def _start(self) -> None:
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._work())

    async def _work(self) -> None:
        busy = 0
        while self._find or self._waiters or self._count:
            # Let others join, the longer the more there were last time: a transaction for many
            # costs little more than one for few.
            await asyncio.sleep(min(LONGEST_PAUSE, busy * PAUSE_EACH))
            busy = len(self._find) + len(self._waiters)
            finds, self._find = self._find, {}
            rows, self._rows = self._rows, Writes()
            count, self._count = self._count, 0
            waiters, self._waiters = self._waiters, []
            try:
                found = await self._transact(list(finds), rows, count > 0)
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

    async def _transact(
        self, digests: list[bytes], rows: Writes, writes: bool
    ) -> dict[bytes, Record]:
        """Write a group and look answers up; again where the connection broke.

        Whether a group was committed of whose commit no word came is told by its token.
        """
        if not writes:
            return await self._database.read(_find, digests)
        token = secrets.randbits(62)
        tried = False

        def commit(conn: Connection) -> dict[bytes, Record]:
            nonlocal tried
            if not tried or not self._hold.committed(conn, token):
                tried = True
                self._hold.commit(conn, token)
                _write(conn, rows)
            return _find(conn, digests)

        return await self._database.repeat(commit)

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


def _write(conn: Connection, rows: Writes) -> None:
    """Write one group in the caller's transaction."""
    for name, (statement, values) in _STATEMENTS.items():
        if group := getattr(rows, name):
            ready = list(map(values, group))
            if name in _OF_ALL:
                ready.sort(key=itemgetter(0))
            statement.run(conn, ready)
    if rows.results:
        _insert_results(conn, rows.results)
    if rows.calls:
        add_calls(conn, rows.calls)


def write_rows(conn: Connection, kind: str, rows: Sequence[Record]) -> None:
    """Write rows of a kind in the caller's transaction; the ledger's sums are the caller's too."""
    statement, values = _STATEMENTS[kind]
    statement.run(conn, list(map(values, rows)))


def _insert(
    table: Table,
    names: str,
    key: tuple[str, ...] = (),
    known: Literal["ignore", "replace", "add"] = "ignore",
) -> tuple[BulkInsert, _Getter]:
    columns = tuple(names.split())
    return BulkInsert(table, columns, key, known), itemgetter(*columns)


_ANSWER = (
    "hash model outcome text reported_model request_id request_bytes input cached output reasoning "
    "list_cost created_at"
)
_CALL = (
    "run_id item_id step model request_hash attempt outcome status request_id latency input cached "
    "output reasoning paid list_cost error started_at"
)
_ENDING = ("state", "attempts", "findings", "paid", "list_cost", "latency", "error")
_STATEMENTS: Mapping[str, tuple[BulkInsert | BulkUpdate, _Getter]] = {
    "answers": _insert(answers, _ANSWER, ("hash",)),
    "calls": _insert(calls, _CALL),
    "items": (BulkUpdate(items, _ENDING), itemgetter(*_ENDING, "b_id")),
    "findings": _insert(
        findings, "run_id rule item_id field", ("run_id", "rule", "item_id", "field")
    ),
    "recordings": _insert(recordings, "item_id name value", ("item_id", "name")),
    # What was made again, since its files were gone, takes the place of what was.
    "derivations": _insert(derivations, "hash what value seconds created_at", ("hash",), "replace"),
    # A retried item's text takes the place of its old one. Bands of the old one may stay: they only
    # propose candidates, and signatures decide.
    "signatures": _insert(
        signatures, "item_id field request signature", ("item_id", "field"), "replace"
    ),
    "bands": _insert(bands, "field band item_id", ("field", "band", "item_id")),
    # Before the items that park for them, which are never without what they wait for.
    "batch_requests": _insert(
        batch_requests,
        "run_id hash model state body item_id step target tries",
        ("run_id", "hash"),
    ),
    "batch_waiters": _insert(batch_waiters, "run_id hash item_id", ("run_id", "hash", "item_id")),
    "parked": (BulkUpdate(items, ("state",)), itemgetter("state", "b_id")),
}
_OF_ALL = ("answers", "derivations")
"""What two runs may make at once; written in the order of hashes, so that two writers never wait
for each other."""
_RESULTS = BulkInsert(
    results,
    ("id", "item_id", "product_id", "target", "step", "origin", "values", "findings", "provenance",
     "created_at"),
)  # fmt: skip
_CURRENT = BulkInsert(
    current,
    ("product_id", "target", "field", "result_id"),
    ("product_id", "target", "field"),
    "replace",
)
_FOUND = tuple(_ANSWER.split())


def _find(conn: Connection, digests: list[bytes]) -> dict[bytes, Record]:
    """Look answers up by hash."""
    found: dict[bytes, Record] = {}
    for start in range(0, len(digests), HASHES_A_QUERY):
        some = digests[start : start + HASHES_A_QUERY]
        if conn.dialect.name == "sqlite":
            # A few lengths only, so that SQLite prepares few statements; the filling finds nothing.
            size = 1 << (len(some) - 1).bit_length()
            places = ", ".join("?" * size)
            parameters: tuple[Any, ...] = (*some, *(None,) * (size - len(some)))
        else:
            places = ", ".join(["%s"] * len(some))
            parameters = tuple(some)
        query = f"SELECT {', '.join(_FOUND)} FROM answers WHERE hash IN ({places})"
        for row in conn.exec_driver_sql(query, parameters):
            found[row[0]] = dict(zip(_FOUND, row, strict=True))
    return found


def _insert_results(conn: Connection, rows: list[Record]) -> None:
    """Append results and move `current` on to them."""
    made = []
    latest: dict[tuple[int, str, str], int] = {}
    for row, number in zip(rows, allocate(conn, results, len(rows)), strict=True):
        place, target, values = row["product_id"], row["target"], row["values"]
        made.append(
            (number, row["item_id"], place, target, row["step"], row["origin"], dumps(values),
             row["findings"], row["provenance"], row["created_at"])
        )  # fmt: skip
        for name in values:
            latest[place, target, name] = number
    _RESULTS.run(conn, made)
    # One order, so that two writers never wait for each other.
    _CURRENT.run(conn, [(*key, latest[key]) for key in sorted(latest)])


def allocate(conn: Connection, table: Table, count: int) -> Iterable[int]:
    """Reserve row ids inside a write transaction."""
    if conn.dialect.name == "sqlite":
        highest = conn.exec_driver_sql(f"SELECT max(id) FROM {table.name}").scalar() or 0
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


def finding_rows(run_id: int, item_id: int, found: Iterable[Finding]) -> list[Record]:
    """Make the rows by which items are found by their findings: one a rule and field."""
    return [
        {"run_id": run_id, "rule": rule, "item_id": item_id, "field": name}
        for rule, name in sorted({(finding.rule, finding.field) for finding in found})
    ]
