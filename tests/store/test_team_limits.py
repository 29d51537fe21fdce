"""What a team may use: its budget of a month and its part of every rate, over all its runs."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event, insert, update
from tests.planned import claimed, planned

from waremill.store import batches as batching
from waremill.store import runs as store_runs
from waremill.store.database import Database
from waremill.store.limits import (
    Quota,
    draw_money,
    draw_shared_rate,
    find_quota,
    is_used_up,
    team_left,
)
from waremill.store.runs import Run
from waremill.store.tables import spend
from waremill.store.tables_batches import batch_requests, batches
from waremill.store.tables_people import teams
from waremill.store.workers import Hold


async def give(database: Database, budget: int | None, share: float = 1.0) -> None:
    statement = update(teams).where(teams.c.id == 1)
    await database.write(
        lambda conn: conn.execute(statement.values(monthly_budget=budget, share=share))
    )


async def pay(database: Database, run: Run, paid: int, day: str) -> None:
    row = {
        "run_id": run.id, "model": "default", "target": "", "day": day, "calls": 1, "failed": 0,
        "unpriced": 0, "input": 1, "cached": 0, "output": 1, "reasoning": 0, "paid": paid,
        "list_cost": paid,
    }  # fmt: skip
    await database.write(lambda conn: conn.execute(insert(spend).values(row)))


async def test_a_team_without_a_budget_is_not_limited(database: Database) -> None:
    run = await claimed(database, await planned(database, 2))
    assert await database.write(team_left, 1) is None
    assert await database.write(draw_money, run, 10**12) is None


async def test_what_was_paid_this_month_is_gone_and_last_months_is_not(database: Database) -> None:
    run = await planned(database, 2)
    await give(database, 1_000)
    await pay(database, run, 300, time.strftime("%Y-%m-%d", time.gmtime()))
    await pay(database, run, 500, "2020-01-31")
    assert await database.write(team_left, 1) == 700


async def test_what_a_running_run_drew_is_held_for_it(database: Database) -> None:
    run = await claimed(database, await planned(database, 2))
    await give(database, 1_000)
    assert await database.write(draw_money, run, 600) is None
    assert await database.write(team_left, 1) == 400
    assert await database.write(draw_money, run, 500) == "team"
    assert await database.write(draw_money, run, 400) is None


async def test_what_a_paused_runs_batches_may_cost_is_held_until_they_are_settled(
    database: Database,
) -> None:
    await give(database, 1_000)
    run = await claimed(database, await planned(database, 2))
    assert await database.write(draw_money, run, 650) is None
    asked = {"run_id": run.id, "hash": b"h", "model": "m", "state": "new", "body": b"{}",
             "item_id": 1, "step": "s", "target": "", "tries": 0}  # fmt: skip
    await database.write(lambda conn: conn.execute(insert(batch_requests).values(asked)))
    row = {"key": "k", "model": "m", "requests": 1, "bytes": 2, "tokens": 1, "reserved": 600}
    batch = await database.write(batching.intend, run, row, 1)
    assert await database.write(team_left, 1) == 350, "drawn by a run that is worked"
    await database.write(Hold(run).give_back, 1, 50)
    await database.write(store_runs.release, run, "paused", None, 0.0)
    assert await database.write(team_left, 1) == 400, "what is at the vendor still counts"
    again = await claimed(database, run)
    assert await database.write(team_left, 1) == 400, "and once alone"
    await database.write(partial(batching.change, paid=200), again, batch)
    await pay(database, again, 200, time.strftime("%Y-%m-%d", time.gmtime()))
    await database.write(store_runs.release, again, "paused", None, 0.0)
    assert await database.write(team_left, 1) == 400
    last = await claimed(database, again)
    await database.write(partial(batching.change, state="settled"), last, batch)
    await database.write(Hold(last).give_back, 1, 400)
    await database.write(store_runs.release, last, "paused", None, 0.0)
    assert await database.write(team_left, 1) == 800, "what it did not cost is back"


async def test_a_run_may_fetch_what_its_batches_bring_though_they_took_the_last_of_the_month(
    database: Database,
) -> None:
    await give(database, 600)
    run, other = await planned(database, 2), await planned(database, 2)
    row = {"run_id": run.id, "key": "k", "model": "m", "state": "submitted", "requests": 1,
           "bytes": 2, "tokens": 1, "reserved": 600, "paid": 0, "done": 0, "failed": 0,
           "answered": 0, "created_at": time.time()}  # fmt: skip
    await database.write(lambda conn: conn.execute(insert(batches).values(row)))
    assert not await database.write(is_used_up, run)
    assert await database.write(is_used_up, other)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_batches_that_are_not_settled_are_found_by_their_own_index(
    database: Database,
) -> None:
    """The month is looked at with every draw; batches of finished runs are not read for it."""
    await give(database, 1_000)
    noted: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "FROM batches" in statement:
            noted.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    await database.write(team_left, 1)
    await database.write(batching.sent_elsewhere, 1, [b"h"])
    event.remove(database.engine, "before_cursor_execute", note)
    assert len(noted) == 2
    for statement, parameters in noted:
        plan = await database.read(
            lambda conn, one=statement, given=parameters: conn.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {one}", given
            ).all()
        )
        assert "ix_batches_opened" in str(plan)


async def test_a_batch_of_last_month_is_last_months(database: Database) -> None:
    await give(database, 1_000)
    run = await planned(database, 2)
    row = {"run_id": run.id, "key": "k", "model": "m", "state": "submitted", "requests": 1,
           "bytes": 2, "tokens": 1, "reserved": 600, "paid": 0, "done": 0, "failed": 0,
           "answered": 0, "created_at": 0.0}  # fmt: skip
    await database.write(lambda conn: conn.execute(insert(batches).values(row)))
    assert await database.write(team_left, 1) == 1_000


async def test_a_runs_own_budget_refuses_before_the_teams(database: Database) -> None:
    run = await claimed(database, await planned(database, 2, budget=100))
    await give(database, 1_000)
    assert await database.write(draw_money, run, 200) == "run"


async def test_a_team_with_a_tenth_of_a_rate_waits_ten_times_as_long(database: Database) -> None:
    await give(database, None, 0.1)
    quota = await database.read(find_quota, 1)
    assert quota == Quota(1, None, 0.1)
    assert await database.write(draw_shared_rate, "gpt", quota, (1.0, 0.0), 0.0) == 0.0
    wait = await database.write(draw_shared_rate, "gpt", quota, (1.0, 0.0), 0.0)
    assert 8.0 < wait <= 10.0
    whole = Quota(2, None, 1.0)
    others = await database.write(draw_shared_rate, "gpt", whole, (1.0, 0.0), 0.0)
    assert others <= 2.0  # the model's own limit, which both draw from
