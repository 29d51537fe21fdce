"""What processes draw from together: a run's budget, an account's rate."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from itertools import pairwise

from tests.planned import claimed, planned

from waremill.store import runs as store
from waremill.store.database import Database
from waremill.store.limits import draw_rate
from waremill.store.workers import give_back


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
    await database.write(give_back, run, 300)
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
