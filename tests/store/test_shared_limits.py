"""What processes draw from together: a run's budget, an account's rate."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from itertools import pairwise

import pytest
from sqlalchemy import select
from tests.planned import claimed, planned

from waremill.store import runs as store
from waremill.store.database import Database
from waremill.store.limits import Quota, draw_rate, draw_shared_rate
from waremill.store.tables import rates
from waremill.store.workers import Hold


async def test_many_processes_together_never_draw_more_than_the_budget(
    database: Database, database_url: str
) -> None:
    run = await claimed(database, await planned(database, budget=1000))
    got: list[int] = []

    def draw() -> None:
        own = Database(database_url)
        for amount in (7, 11, 13) * 8:
            if own.transact(True, partial(store.draw, run=run, amount=amount)):
                got.append(amount)
        own.engine.dispose()
        own._thread.shutdown()

    threads = [threading.Thread(target=draw) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drawn = (await database.read(store.get_run, run.id)).drawn
    assert sum(got) == drawn
    assert 1000 - 7 < drawn <= 1000


async def test_what_was_not_spent_is_returned_when_the_run_is_released(database: Database) -> None:
    run = await claimed(database, await planned(database, budget=1000))
    assert await database.write(store.draw, run, 900)
    assert not await database.write(store.draw, run, 101)
    await database.write(Hold(run).give_back, 1, 300)
    await database.write(store.release, run, "paused", None, 0.0)
    run = await claimed(database, run)
    assert run.drawn == 600
    assert await database.write(store.draw, run, 400)
    assert not await database.write(store.draw, run, 1)


async def test_a_run_without_a_budget_draws_what_it_likes(database: Database) -> None:
    run = await claimed(database, await planned(database))
    assert await database.write(store.draw, run, 10**15)


async def test_a_rate_is_one_account_wide_queue(database: Database, database_url: str) -> None:
    second = Database(database_url)
    waits = []
    for number in range(8):
        door = (database, second)[number % 2]
        waits.append(await door.write(draw_rate, "model", 1.0, 0.0, 1.0))
    await second.close()
    # A second's worth is saved up, the next is due now; after that each waits a second longer.
    assert waits[0] == 0.0
    assert waits[1] < 0.1
    for earlier, later in pairwise(waits[2:]):
        assert 0.5 < later - earlier <= 1.01


async def test_tokens_and_requests_wait_for_the_later_of_the_two(database: Database) -> None:
    await database.write(draw_rate, "model", 0.5, 10.0, 0.0)
    assert await database.write(draw_rate, "model", 0.5, 0.0, 0.0) < 1.0
    assert 8.0 < await database.write(draw_rate, "model", 0.5, 1.0, 0.0) <= 10.0
    assert await database.write(draw_rate, "another model", 0.5, 1.0, 0.0) == 0.0


async def test_an_unused_rate_is_saved_for_no_longer_than_the_burst(database: Database) -> None:
    await database.write(draw_rate, "model", 0.1, 0.0, 0.2)
    await asyncio.sleep(0.6)
    waits = [await database.write(draw_rate, "model", 0.1, 0.0, 0.2) for _ in range(6)]
    assert waits[:2] == [0.0, 0.0]
    assert waits[5] > 0.15


async def drawn(database: Database, seconds: float, priority: str | None) -> float:
    """Draw so many seconds of a model's requests as a run of a priority does, or as one call."""
    quota = Quota(1, None, 1.0)
    return await database.write(draw_shared_rate, "m", quota, (seconds, 0.0), 1.0, priority)


async def test_a_single_call_goes_past_runs_that_used_the_rate_up(database: Database) -> None:
    waits = [await drawn(database, 1.0, "normal") for _ in range(6)]
    assert waits[-1] > 3
    assert await drawn(database, 0.05, None) == 0


async def test_single_calls_beyond_what_is_reserved_queue_with_the_runs(
    database: Database,
) -> None:
    for _ in range(6):
        await drawn(database, 1.0, "normal")
    waits = [await drawn(database, 0.5, None) for _ in range(3)]
    assert waits[0] == 0
    assert min(waits[1:]) > 1


async def test_runs_leave_the_reserve_alone_while_there_are_single_calls(
    database: Database,
) -> None:
    async def due() -> float:
        query = select(rates.c.requests_at).where(rates.c.model == "m")
        return float(await database.read(lambda conn: conn.execute(query).scalar_one()))

    async def speed() -> float:
        await drawn(database, 5.0, "normal")  # no burst is left
        before = await due()
        for _ in range(9):
            await drawn(database, 1.0, "normal")
        return 9 / (await due() - before)

    assert await speed() == pytest.approx(1.0, rel=0.001)  # all of it while nobody calls
    await drawn(database, 0.05, None)
    assert await speed() == pytest.approx(0.9, rel=0.001)


async def test_the_more_urgent_run_goes_first(database: Database) -> None:
    for _ in range(3):
        await drawn(database, 1.0, "high")
    assert await drawn(database, 1.0, "normal") < 0
    assert await drawn(database, 1.0, "low") < 0
    assert await drawn(database, 1.0, "high") > 0


async def test_a_run_is_not_held_up_by_one_that_is_no_more_urgent(database: Database) -> None:
    for _ in range(3):
        await drawn(database, 1.0, "low")
    assert await drawn(database, 1.0, "low") > 0
    assert await drawn(database, 1.0, "normal") > 0


async def test_a_run_goes_on_when_the_urgent_one_has_what_it_wants(database: Database) -> None:
    assert await drawn(database, 1.0, "high") == 0
    assert await drawn(database, 0.1, "low") >= 0
