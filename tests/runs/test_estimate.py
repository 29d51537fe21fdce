"""What a run would cost and take, from rendered prompts and past calls."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, insert
from tests.planned import planned

from waremill.domain import Chat, Message, Price
from waremill.pipeline import BoundStep
from waremill.runs.estimate import ModelFacts, Range, duration, estimate_step, mean_range
from waremill.store import history
from waremill.store.database import Database
from waremill.store.history import Past
from waremill.store.ledger import add_calls
from waremill.store.tables import calls


async def nothing(_item: Any, _context: Any) -> dict[str, Any]:
    return {}


STEP = BoundStep("copy", "generate", "target", nothing)


def facts(**more: Any) -> ModelFacts:
    given = {"name": "main", "identity": "i", "price": Price(1_000_000_000, 2_000_000_000),
             "count": len, "counted_by": "letters", "concurrency": 10, **more}  # fmt: skip
    return ModelFacts(**given)


def requests(count: int, most: int = 100) -> list[Chat]:
    return [Chat((Message("user", "x" * 50),), most) for _ in range(count)]


def past(**more: Any) -> Past:
    given = {"calls": 400, "output": 30.0, "output_squared": 1000.0, "latency": 2.0, "asks": 1.0,
             "cached_share": 0.0, **more}  # fmt: skip
    return Past(**given)


def test_without_past_calls_the_reply_is_bounded_by_the_contract() -> None:
    one = estimate_step(STEP, facts(), requests(10), 0, 5.0, None)
    assert one.calls == 50
    assert one.input == Range(2500, 2500, 2500)
    assert (one.output.low, one.output.expected, one.output.high) == (500, 2000, 5000)
    assert one.cost is not None
    assert one.cost.expected == 2500 * 1000 + 2000 * 2000
    assert not one.from_past


def test_a_model_that_thinks_may_take_its_whole_allowance() -> None:
    one = estimate_step(STEP, facts(allowance=1000), requests(10), 0, 1.0, None)
    assert one.output == Range(100, 400 + 10 * 250, 10 * 1100)
    # Past replies count their thinking already.
    known = estimate_step(STEP, facts(allowance=1000), requests(10), 0, 1.0, past())
    assert known.output.high < 10 * 40


def test_past_calls_say_how_long_replies_are_and_how_often_it_asks() -> None:
    one = estimate_step(STEP, facts(), requests(10), 0, 5.0, past(asks=1.2))
    assert one.calls == pytest.approx(60)
    assert one.output.expected == pytest.approx(60 * 30)
    assert one.output.low < one.output.expected < one.output.high < 60 * 40


def test_what_was_answered_before_costs_nothing() -> None:
    one = estimate_step(STEP, facts(), requests(10), 10, 5.0, past())
    assert one.calls == 0
    assert one.cost == Range(0, 0, 0)
    free = estimate_step(STEP, facts(price=Price(0, 0, per_call=9)), requests(3), 3, 1.0, None)
    assert free.cost == Range(0, 0, 0)


def test_the_list_cost_counts_what_was_answered_before_too() -> None:
    fresh = estimate_step(STEP, facts(), requests(10), 0, 5.0, past())
    half = estimate_step(STEP, facts(), requests(10), 5, 5.0, past())
    assert half.list_cost == fresh.cost == fresh.list_cost
    assert half.cost is not None
    assert fresh.cost is not None
    assert half.cost.expected == pytest.approx(fresh.cost.expected / 2)


def test_what_was_answered_before_takes_no_time() -> None:
    one = estimate_step(STEP, facts(), requests(10), 10, 5.0, past())
    assert duration(one, facts(), None, 10) == Range(0, 0, 0)


def test_a_price_by_the_call_counts_every_call() -> None:
    price = Price(0, 0, per_call=7_000)
    one = estimate_step(STEP, facts(price=price), requests(10), 0, 5.0, None)
    assert one.cost is not None
    assert one.cost.expected == 50 * 7_000


def test_an_unknown_price_is_no_cost_and_never_zero() -> None:
    assert estimate_step(STEP, facts(price=None), requests(10), 0, 5.0, None).cost is None


def test_the_duration_keeps_the_tightest_limit() -> None:
    one = estimate_step(STEP, facts(), requests(10), 0, 60.0, past())
    assert one.calls == 600
    free = duration(one, facts(), past(), 10)
    assert free.expected == pytest.approx(600 * 2.0 / 10)
    assert duration(one, facts(concurrency=2), past(), 10).expected == pytest.approx(600)
    assert duration(one, facts(rpm=60), past(), 10).expected == pytest.approx(600)
    tokens = one.input.expected + one.output.expected
    slow = duration(one, facts(tpm=1000), past(), 10)
    assert slow.expected == pytest.approx(tokens * 60 / 1000)
    assert free.low < free.expected < free.high


def test_a_mean_has_a_normal_interval() -> None:
    assert mean_range([]) == Range(0, 0, 0)
    assert mean_range([4.0]) == Range(4, 4, 4)
    found = mean_range([1.0, 2.0, 3.0, 4.0])
    assert found.expected == 2.5
    assert found.high - found.expected == pytest.approx(1.96 * (5 / 3 / 4) ** 0.5)


async def test_past_calls_are_averaged_even_when_replies_are_very_long(
    database: Database,
) -> None:
    run = await planned(database, 1)
    assert await database.read(history.past_calls, "copy", "copy", "main") is None
    row = {
        "run_id": run.id, "item_id": 1, "step": "copy", "model": "main", "request_hash": b"x",
        "attempt": 1, "outcome": "complete", "status": 200, "request_id": None, "latency": 2.0,
        "input": 100, "cached": 25, "reasoning": 0, "paid": 1, "list_cost": 1, "error": None,
        "started_at": 0.0,
    }  # fmt: skip
    rows = [{**row, "output": 100_000}, {**row, "output": 200_000, "item_id": 2},
            {**row, "output": 3, "outcome": "unavailable"}]  # fmt: skip

    def enter(conn: Connection) -> None:
        conn.execute(insert(calls), rows)
        add_calls(conn, [{**one, "target": ""} for one in rows])

    await database.write(enter)
    found = await database.read(history.past_calls, "copy", "copy", "main")
    assert found is not None
    assert (found.calls, found.output, found.latency, found.asks) == (2, 150_000, 2.0, 1.0)
    assert found.output_squared == pytest.approx(2.5e10)
    assert found.cached_share == 0.25
