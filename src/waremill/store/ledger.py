"""The ledger's sums, kept with each commit: by model, target and day, by model and outcome,
and by how long they waited for a rate limit.

A run of a million calls is then added up from some rows. Each writer adds in one order, so that two
never wait for each other.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection

from waremill.store.bulk import BulkInsert
from waremill.store.tables import outcomes, spend, waits

Record = Mapping[str, Any]
ANSWERED = frozenset(("complete", "truncated", "refused"))
"""Outcomes with a complete reply."""
_TOKENS = ("input", "cached", "output", "reasoning")
_MONEY = ("paid", "list_cost")
_DAY = 86_400
"""Seconds; days begin at midnight UTC."""
_SPEND_BY = ("run_id", "model", "target", "day")
_SPEND = BulkInsert(
    spend, (*_SPEND_BY, "calls", "failed", "unpriced", *_TOKENS, *_MONEY), _SPEND_BY, "add"
)
_OUTCOMES_BY = ("run_id", "model", "outcome")
_OUTCOMES = BulkInsert(
    outcomes,
    (
        *(*_OUTCOMES_BY, "calls", "priced", "charged", *_TOKENS, *_MONEY),
        *("seconds", "streamed", "first_seconds"),
    ),
    _OUTCOMES_BY,
    "add",
)
_WAITS_BY = ("run_id", "model", "bucket")
_WAITS = BulkInsert(waits, (*_WAITS_BY, "calls", "seconds"), _WAITS_BY, "add")
WAITS = (0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Upper bounds in seconds of the buckets 0, 1, … of `waits`; what waited longer is in the last."""


def add_calls(conn: Connection, rows: Iterable[Record]) -> None:
    """Add calls that are written in this transaction to all sums."""
    rows = list(rows)
    made = []
    for by_day, own in _grouped(rows, _day_of):
        whole = [row["paid"] for row in own if row["outcome"] in ANSWERED]
        day = time.strftime("%Y-%m-%d", time.gmtime(by_day[3] * _DAY))
        counts = (len(own), len(own) - len(whole), whole.count(None))
        made.append((*by_day[:3], day, *counts, *_summed(own)))
    _SPEND.run(conn, made)
    made = []
    for place, own in _grouped(rows, itemgetter(*_OUTCOMES_BY)):
        known = (sum(row[name] is not None for row in own) for name in ("list_cost", "paid"))
        seconds = sum(row["latency"] for row in own)
        first = [row["first"] for row in own if row.get("first") is not None]
        made.append((*place, len(own), *known, *_summed(own), seconds, len(first), sum(first)))
    _OUTCOMES.run(conn, made)
    limited = [row for row in rows if row.get("waited") is not None]
    _WAITS.run(conn, [
        (*place, len(own), sum(row["waited"] for row in own))
        for place, own in _grouped(limited, _wait_of)
    ])  # fmt: skip


def _wait_of(row: Record) -> tuple[int, str, int]:
    return row["run_id"], row["model"], bisect_left(WAITS, row["waited"])


def _day_of(row: Record) -> tuple[int, str, str, int]:
    return row["run_id"], row["model"], row["target"], int(row["started_at"] // _DAY)


def _grouped(
    rows: Iterable[Record], key: Callable[[Record], tuple[Any, ...]]
) -> list[tuple[tuple[Any, ...], list[Record]]]:
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return sorted(groups.items(), key=itemgetter(0))


def _summed(rows: Iterable[Record]) -> tuple[int, ...]:
    """Sum tokens, then money; what is not known adds nothing."""
    rows = list(rows)
    tokens = (sum(map(itemgetter(name), rows)) for name in _TOKENS)
    money = (sum(row[name] or 0 for row in rows) for name in _MONEY)
    return (*tokens, *money)
