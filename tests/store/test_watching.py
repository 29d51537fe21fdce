"""What is looked at while a run goes on: its pace over time, and why items failed."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, update
from tests.planned import item_rows, planned

from waremill.store import watching
from waremill.store.database import Database
from waremill.store.tables import calls, dumps, items

CALL = {
    "step": "copy", "model": "default", "request_hash": b"x", "attempt": 1, "outcome": "complete",
    "latency": 0.5, "input": 1, "cached": 0, "output": 1, "reasoning": 0,
}  # fmt: skip


async def test_the_pace_is_cut_into_equal_parts_and_no_call_is_lost(database: Database) -> None:
    run = await planned(database, 1)
    moments = [1000.0, 1000.4, 1009.9, 1010.0, 1055.0, 1100.0]
    rows = [
        {**CALL, "run_id": run.id, "item_id": 1, "started_at": at, "paid": None if at > 1050 else 7}
        for at in moments
    ]
    await database.write(lambda conn: conn.execute(insert(calls), rows))
    found = await database.read(watching.pace, run.id, 10)
    assert [count for _, _, count, _ in found] == [3, 1, 1, 1]
    assert [paid for *_, paid in found] == [21, 7, 0, 0]
    assert [at for at, *_ in found] == pytest.approx([1000.0, 1010.0, 1050.0, 1100.0])
    assert [seconds for _, seconds, *_ in found] == pytest.approx([10.0] * 4)


async def test_a_run_without_a_call_has_no_pace(database: Database) -> None:
    run = await planned(database, 1)
    assert await database.read(watching.pace, run.id, 10) == []


async def test_failed_items_come_with_their_errors_up_to_a_limit(database: Database) -> None:
    run = await planned(database, 4)
    ids = [row.id for row in await item_rows(database, run)]
    error = {"type": "Rejected", "message": "too long"}
    await database.write(
        lambda conn: conn.execute(
            update(items).where(items.c.id.in_(ids[1:])).values(state="failed", error=dumps(error))
        )
    )
    assert await database.read(watching.failed_items, run.id, 2) == [
        (ids[1], error),
        (ids[2], error),
    ]
