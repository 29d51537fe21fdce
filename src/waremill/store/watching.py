"""What is looked at while a run goes on: what failed and why, and how fast calls came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, Integer, cast, func, select

from waremill.store.tables import calls, items

FAILURES = 5_000
"""Failed items read for their causes; more are as their like."""


def failed_items(
    conn: Connection, run_id: int, limit: int = FAILURES
) -> list[tuple[int, Mapping[str, Any]]]:
    """Give the ids and errors of a run's first failed items."""
    query = (
        select(items.c.id, items.c.error)
        .where(items.c.run_id == run_id, items.c.state == "failed")
        .order_by(items.c.id)
        .limit(limit)
    )
    return [(row.id, orjson.loads(row.error) if row.error else {}) for row in conn.execute(query)]


def pace(conn: Connection, run_id: int, parts: int) -> list[tuple[float, float, int, int]]:
    """Give a run's calls by time: (start in Unix seconds, seconds, calls, paid nano-USD).

    The time between the first call and the last is cut into at most `parts` equal parts; those
    without a call are left out.
    """
    span = select(func.min(calls.c.started_at), func.max(calls.c.started_at)).where(
        calls.c.run_id == run_id
    )
    first, last = conn.execute(span).one()
    if first is None:
        return []
    width = max((last - first) / parts, 1.0)
    place = (calls.c.started_at - first) / width
    # SQLite's cast cuts off, and it may have no floor; PostgreSQL's cast rounds.
    part = cast(place if conn.dialect.name == "sqlite" else func.floor(place), Integer)
    query = (
        select(part.label("part"), func.count(), func.sum(calls.c.paid))
        .where(calls.c.run_id == run_id)
        .group_by("part")
        .order_by("part")
    )
    return [
        (first + width * number, width, int(count), int(paid or 0))
        for number, count, paid in conn.execute(query)
    ]
