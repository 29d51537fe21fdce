"""Two runs in batches that ask the same: the second waits for what the first has at a vendor."""

from __future__ import annotations

import asyncio

from tests.batched import batched, left, model, start, states
from tests.vendor import Vendor
from tests.vendor_batches import BatchFaults

from waremill.runs.work import Ended
from waremill.store import runs as store_runs
from waremill.store.database import Database


async def sent_by(vendor: Vendor, count: int) -> None:
    """Wait until the vendor has so many batches."""
    there = asyncio.Event()

    def watch(_: str, __: int) -> None:
        if len(vendor.desk.batches) >= count:
            there.set()

    vendor.desk.watch = watch
    await asyncio.wait_for(there.wait(), 20)


async def test_a_second_run_waits_for_what_another_has_in_a_batch(database: Database) -> None:
    """As a live run would have found it in the journal; what is its own it sends itself."""
    faults = BatchFaults(seconds=1_000)
    first, second = await start(database, 6), await start(database, 9)
    async with (
        Vendor(batches=faults) as vendor,
        batched(database, first, model(vendor)) as one,
        batched(database, second, model(vendor)) as two,
    ):
        earlier = asyncio.create_task(one.work())
        await sent_by(vendor, 1)
        later = asyncio.create_task(two.work())
        await sent_by(vendor, 2)
        faults.seconds = 0
        assert [await earlier, await later] == [Ended("done")] * 2
        assert [len(one.lines) for one in vendor.desk.batches.values()] == [6, 3]
    assert vendor.stats()["answered"] == {"1": 9}
    found = await left(database, second)
    assert (found.requests, found.waiters, found.opened) == (0, 0, 0)
    assert await states(database, second) == {"ready": 9}


async def test_who_waits_for_a_run_that_nobody_works_any_more_asks_itself(
    database: Database,
) -> None:
    faults = BatchFaults(seconds=1_000)
    first, second = await start(database, 6), await start(database, 9)
    async with (
        Vendor(batches=faults) as vendor,
        batched(database, first, model(vendor)) as one,
        batched(database, second, model(vendor)) as two,
    ):
        earlier = asyncio.create_task(one.work())
        await sent_by(vendor, 1)
        later = asyncio.create_task(two.work())
        await sent_by(vendor, 2)
        one.worker.stop(Ended("paused", "by hand"))
        await earlier
        await database.write(store_runs.release, first, "paused", None, 0.0)
        await sent_by(vendor, 3)
        assert [len(one.lines) for one in vendor.desk.batches.values()] == [6, 3, 6]
        faults.seconds = 0
        assert await later == Ended("done")
    assert await states(database, second) == {"ready": 9}
