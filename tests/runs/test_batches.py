"""Runs through batches: every item ends once and is paid for once, whatever a vendor does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from tests.batched import (
    RULES,
    Batched,
    again,
    batched,
    left,
    model,
    start,
    states,
    steps,
    translate,
    write,
)
from tests.planned import item_rows
from tests.vendor import Reply, Vendor
from tests.vendor_batches import BatchFaults

from waremill.calls.batching.driving import READS
from waremill.domain import Chat, ImageRequest, Message, Model
from waremill.providers.batches import batch_price, open_batches
from waremill.runs.work import Ended
from waremill.store import batches as store
from waremill.store.database import Database
from waremill.store.tables import calls
from waremill.store.tables_batches import batches

PROTOCOLS = pytest.mark.parametrize("protocol", ["openai", "anthropic", "dashscope"])


@PROTOCOLS
async def test_every_item_ends_once_for_half_the_price(database: Database, protocol: str) -> None:
    run = await start(database, 30)
    async with Vendor() as vendor, batched(database, run, model(vendor, protocol)) as one:
        assert await one.work() == Ended("done")
        assert await states(database, run) == {"ready": 30}
    found = await left(database, run)
    assert (vendor.stats()["answered"], found.answers) == ({"1": 30}, 30)
    assert (found.requests, found.waiters, found.opened) == (0, 0, 0)
    assert found.paid == found.item_paid
    assert found.listed - 30 <= found.paid * 2 <= found.listed + 60


async def test_steps_that_build_on_each_other_take_a_round_of_batches_each(
    database: Database,
) -> None:
    run = await start(database, 10)
    work = steps(write, translate)
    async with Vendor() as vendor, batched(database, run, model(vendor), work=work) as one:
        assert await one.work() == Ended("done")
        assert len(vendor.desk.batches) == 2
    found = await left(database, run)
    assert vendor.stats()["answered"] == {"1": 20}
    assert found.paid == found.item_paid


async def test_equal_requests_are_one_line(database: Database) -> None:
    run = await start(database, [{"sku": f"P{n}", "name": "the same"} for n in range(8)])
    async with Vendor() as vendor, batched(database, run, model(vendor)) as one:
        assert await one.work() == Ended("done")
    assert vendor.stats()["answered"] == {"1": 1}
    assert await states(database, run) == {"ready": 8}


async def test_a_live_run_finds_what_a_batch_answered_and_a_batch_what_was_asked_live(
    database: Database,
) -> None:
    first = await start(database, 6)
    async with Vendor() as vendor:
        async with batched(database, first, model(vendor)) as one:
            assert await one.work() == Ended("done")
        second = await again(database, await start(database, 9, fresh=False))
        async with batched(database, second, model(vendor)) as live:
            live.worker.caller.defer = None
            live.worker._batching = None
            assert await live.worker.work() == Ended("done")
        assert vendor.stats()["answered"] == {"1": 9}
        third = await start(database, 12)
        async with batched(database, third, model(vendor)) as one:
            assert await one.work() == Ended("done")
        assert [len(one.lines) for one in vendor.desk.batches.values()] == [6, 3]


async def test_batches_keep_to_the_number_and_the_size_of_requests(database: Database) -> None:
    run = await start(database, 25)
    rules = replace(RULES, requests=10)
    async with Vendor() as vendor, batched(database, run, model(vendor), rules=rules) as one:
        await one.work()
        assert [len(one.lines) for one in vendor.desk.batches.values()] == [10, 10, 5]
    other = await start(database, 25, fresh=True)
    rules = replace(RULES, size=1_500)
    async with Vendor() as vendor, batched(database, other, model(vendor), rules=rules) as one:
        assert await one.work() == Ended("done")
        sizes = [len(vendor.desk.files.get(b.file, b"")) for b in vendor.desk.batches.values()]
        assert len(sizes) > 2
    assert await states(database, other) == {"ready": 25}


async def test_a_request_too_long_for_any_batch_is_sent_live(database: Database) -> None:
    rows = [{"sku": "P1", "name": "short"}, {"sku": "P2", "name": "long " * 500}]
    run = await start(database, rows)
    rules = replace(RULES, size=1_000)
    async with Vendor() as vendor, batched(database, run, model(vendor), rules=rules) as one:
        assert await one.work() == Ended("done")
        assert [len(one.lines) for one in vendor.desk.batches.values()] == [1]
    assert vendor.stats()["answered"] == {"1": 2}
    assert await states(database, run) == {"ready": 2}


@PROTOCOLS
@pytest.mark.parametrize("fault", ["expired", "unfinished"])
async def test_what_an_expired_or_cancelled_batch_did_is_kept_and_the_rest_goes_into_another(
    database: Database, protocol: str, fault: str
) -> None:
    run = await start(database, 20)
    faults = BatchFaults(**{fault: 1})
    async with Vendor(batches=faults) as vendor:
        async with batched(database, run, model(vendor, protocol)) as one:
            assert await one.work() == Ended("done")
        assert [len(one.lines) for one in vendor.desk.batches.values()] == [20, 10]
    assert vendor.stats()["answered"] == {"1": 20}
    assert await states(database, run) == {"ready": 20}
    found = await left(database, run)
    assert found.paid == found.item_paid


@pytest.mark.parametrize("then", ["live", "fail"])
async def test_what_batches_leave_unanswered_is_sent_live_or_fails_after_some_tries(
    database: Database, then: Any
) -> None:
    run = await start(database, 16)
    faults = BatchFaults(expired=99)
    rules = replace(RULES, retries=1, then=then)
    async with Vendor(batches=faults) as vendor:
        async with batched(database, run, model(vendor), rules=rules) as one:
            ended = await one.work()
        sizes = [len(one.lines) for one in vendor.desk.batches.values()]
    assert sizes == [16, 8]
    assert vendor.stats()["repeated"] == 0
    if then == "live":
        assert ended == Ended("done")
        assert await states(database, run) == {"ready": 16}
    else:
        assert (await states(database, run))["failed"] == 4
        (failed, *_) = [row for row in await item_rows(database, run) if row.state == "failed"]
        assert "batches left it unanswered 2 times" in failed.error


async def test_failed_items_are_asked_again_only_when_told_to(database: Database) -> None:
    run = await start(database, 4)
    rules = replace(RULES, retries=0, then="fail")
    async with Vendor(batches=BatchFaults(expired=1)) as vendor:
        async with batched(database, run, model(vendor), rules=rules) as one:
            await one.work()
        assert (await states(database, run))["failed"] == 2
        from waremill.store import items as store_items

        revived, _ = await database.write(store_items.revive_run, await one.desk.row())
        await database.write(store.forget, run.id, failed_only=True)
        await database.write(store_items.retry_some, revived)
        async with batched(database, await again(database, revived), model(vendor)) as one:
            assert await one.work() == Ended("done")
    assert await states(database, run) == {"ready": 4}
    assert vendor.stats()["answered"] == {"1": 4}


@PROTOCOLS
async def test_lines_that_fail_are_told_apart_from_lines_that_may_be_asked_again(
    database: Database, protocol: str
) -> None:
    sick: set[str] = set()

    def reply(request: Any, path: str) -> Reply | None:
        text = str(request["messages"])
        if "number 3" in text:
            body = {"type": "error", "error": {"type": "invalid_request_error", "message": "bad"}}
            return Reply(status=400, body=body)
        if "number 5" in text and text not in sick:
            sick.add(text)
            body = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
            return Reply(status=529, body=body)
        return None

    run = await start(database, 8)
    async with (
        Vendor(reply=reply) as vendor,
        batched(database, run, model(vendor, protocol)) as one,
    ):
        assert await one.work() == Ended("done")
    assert await states(database, run) == {"ready": 7, "failed": 1}
    assert vendor.stats()["repeated"] == 0


@PROTOCOLS
async def test_results_that_break_off_are_read_again(database: Database, protocol: str) -> None:
    run = await start(database, 20)
    async with Vendor(batches=BatchFaults(cut=2)) as vendor:
        async with batched(database, run, model(vendor, protocol)) as one:
            assert await one.work() == Ended("done")
        assert len(vendor.desk.batches) == 1
    assert await states(database, run) == {"ready": 20}
    found = await left(database, run)
    assert (vendor.stats()["answered"], found.answers) == ({"1": 20}, 20)
    assert found.paid == found.item_paid


@PROTOCOLS
async def test_a_line_that_cannot_be_read_takes_no_other_with_it(
    database: Database, protocol: str
) -> None:
    """What comes after it is paid for: it alone is asked again, once reading again did not help."""
    run = await start(database, 6)
    async with Vendor(batches=BatchFaults(mangled=READS)) as vendor:
        async with batched(database, run, model(vendor, protocol)) as one:
            assert await one.work() == Ended("done")
        assert [len(one.lines) for one in vendor.desk.batches.values()] == [6, 1]
    assert await states(database, run) == {"ready": 6}


@PROTOCOLS
async def test_a_batch_of_another_shape_is_looked_at_again(
    database: Database, protocol: str
) -> None:
    run = await start(database, 3)
    async with Vendor(batches=BatchFaults(odd=2)) as vendor:
        async with batched(database, run, model(vendor, protocol)) as one:
            assert await one.work() == Ended("done")
        assert len(vendor.desk.batches) == 1
    assert vendor.stats()["answered"] == {"1": 3}


async def test_a_line_missing_from_the_results_goes_into_another_batch(database: Database) -> None:
    run = await start(database, 6)
    async with Vendor(batches=BatchFaults(short=1)) as vendor:
        async with batched(database, run, model(vendor)) as one:
            assert await one.work() == Ended("done")
        assert [len(one.lines) for one in vendor.desk.batches.values()] == [6, 1]


@PROTOCOLS
async def test_a_submit_whose_reply_is_lost_is_found_and_not_sent_again(
    database: Database, protocol: str
) -> None:
    run = await start(database, 10)
    async with Vendor(batches=BatchFaults(submits=["lost"])) as vendor:
        async with batched(database, run, model(vendor, protocol)) as one:
            assert await one.work() == Ended("done")
        assert len(vendor.desk.batches) == 1
    assert vendor.stats()["answered"] == {"1": 10}


@PROTOCOLS
async def test_a_list_that_lags_is_asked_twice_before_a_batch_is_sent_again(
    database: Database, protocol: str
) -> None:
    run = await start(database, 10)
    faults = BatchFaults(submits=["lost"], hidden=1)
    async with Vendor(batches=faults) as vendor:
        async with batched(database, run, model(vendor, protocol)) as one:
            assert await one.work() == Ended("done")
        assert len(vendor.desk.batches) == 1


@pytest.mark.parametrize("fates", [["429"], ["500"], ["429", "500", "429"]])
@PROTOCOLS
async def test_a_vendor_that_does_not_take_a_batch_now_is_asked_later(
    database: Database, protocol: str, fates: list[str]
) -> None:
    run = await start(database, 5)
    async with Vendor(batches=BatchFaults(submits=list(fates))) as vendor:
        async with batched(database, run, model(vendor, protocol)) as one:
            assert await one.work() == Ended("done")
        assert len(vendor.desk.batches) == 1
    assert vendor.stats()["answered"] == {"1": 5}


async def test_another_s_batch_of_the_same_size_is_not_taken_for_a_lost_one(
    database: Database,
) -> None:
    """Anthropic keeps no name of ours with a batch: only its results tell whose it is."""
    async with Vendor(batches=BatchFaults(submits=["ok", "500"])) as vendor:
        stranger = await start(database, 4)
        async with batched(database, stranger, model(vendor, "anthropic")) as one:
            await one.work()
        await database.write(lambda conn: conn.execute(batches.update().values(vendor_id="gone")))
        run = await start(database, [{"sku": f"Q{n}", "name": f"Other {n}"} for n in range(4)])
        async with batched(database, run, model(vendor, "anthropic")) as one:
            assert await one.work() == Ended("done")
        assert [len(one.lines) for one in vendor.desk.batches.values()] == [4, 4]
    assert await states(database, run) == {"ready": 8}
    assert vendor.stats()["answered"] == {"1": 8}


async def test_a_batch_that_may_be_another_s_is_never_cancelled(database: Database) -> None:
    faults = BatchFaults(seconds=1_000, submits=["ok", "500"])
    async with Vendor(batches=faults) as vendor:
        stranger = open_batches(model(vendor, "anthropic"))
        chat = Chat((Message("user", "theirs"),), 5)
        lines = b"".join([await stranger.line(f"theirs-{n}", chat) for n in range(3)])
        theirs = await stranger.begin("theirs", None, lines)
        await stranger.aclose()
        run = await start(database, 3)
        async with batched(database, run, model(vendor, "anthropic")) as one:
            await stopped(one, vendor, Ended("cancelled"))
        assert vendor.desk.batches[theirs.id].status == "in_progress"


async def test_a_line_that_keeps_a_batch_from_beginning_fails_alone(database: Database) -> None:
    rows = [{"sku": f"P{n}", "name": "INVALID" if n == 2 else f"Eau {n}"} for n in range(5)]
    run = await start(database, rows)
    async with Vendor() as vendor, batched(database, run, model(vendor)) as one:
        assert await one.work() == Ended("done")
    assert await states(database, run) == {"ready": 4, "failed": 1}


async def test_enqueued_tokens_are_kept_below_the_account_s_limit(database: Database) -> None:
    run = await start(database, 24)
    faults = BatchFaults(seconds=0.05, tokens=100_000)
    async with Vendor(batches=faults) as vendor:
        limited = model(vendor, enqueued_tokens=200)
        async with batched(database, run, limited) as one:
            assert await one.work() == Ended("done")
        assert len(vendor.desk.batches) > 3
        assert vendor.desk.most_tokens <= 200
    assert vendor.stats()["answered"] == {"1": 24}


async def test_a_batch_refused_for_enqueued_tokens_waits_and_costs_no_try(
    database: Database,
) -> None:
    run = await start(database, 20)
    faults = BatchFaults(seconds=0.3, tokens=300)
    rules = replace(RULES, requests=10, retries=0, then="fail")
    async with Vendor(batches=faults) as vendor:
        async with batched(database, run, model(vendor), rules=rules) as one:
            assert await one.work() == Ended("done")
        ended = [one.status for one in vendor.desk.batches.values()]
        assert "failed" in ended
    assert await states(database, run) == {"ready": 20}
    assert vendor.stats()["repeated"] == 0


async def test_a_refused_key_pauses_the_run_and_nothing_is_lost(database: Database) -> None:
    run = await start(database, 5)
    async with Vendor(batches=BatchFaults(submits=["401"])) as vendor:
        async with batched(database, run, model(vendor)) as one:
            ended = await one.work()
            assert (ended.state, "access denied" in str(ended.reason)) == ("paused", True)
        assert await states(database, run) == {"waiting": 5}
        async with batched(database, await again(database, run), model(vendor)) as one:
            assert await one.work() == Ended("done")
    assert vendor.stats()["answered"] == {"1": 5}


async def until(found: Any) -> None:
    """Wait until something holds."""
    while not await found():  # noqa: ASYNC110  it is the database that is waited for
        await asyncio.sleep(0.01)


async def stopped(one: Batched, vendor: Vendor, ended: Ended, count: int = 1) -> Ended:
    """Work until so many batches are at the vendor, then stop."""

    async def there() -> bool:
        rows = await one.desk.database.read(store.of_run, one.desk.run.id)
        return sum(row.state == "submitted" for row in rows) >= count

    task = asyncio.create_task(one.work())
    await asyncio.wait_for(until(there), 10)
    one.worker.stop(ended)
    return await task


@PROTOCOLS
async def test_a_pause_leaves_batches_at_the_vendor_and_resuming_picks_them_up(
    database: Database, protocol: str
) -> None:
    run = await start(database, 10, budget=100_000_000_000)
    faults = BatchFaults(seconds=60)
    async with Vendor(batches=faults) as vendor:
        async with batched(database, run, model(vendor, protocol)) as one:
            ended = await stopped(one, vendor, Ended("paused", "paused by a user"))
            assert ended.state == "paused"
        assert await states(database, run) == {"waiting": 10}
        faults.seconds = 0.0
        async with batched(database, await again(database, run), model(vendor, protocol)) as one:
            assert await one.work() == Ended("done")
        assert len(vendor.desk.batches) == 1
    found = await left(database, run)
    assert (await one.desk.row()).drawn == found.paid  # what was reserved came back


@PROTOCOLS
async def test_a_cancelled_run_stops_its_batches_and_keeps_what_they_did(
    database: Database, protocol: str
) -> None:
    run = await start(database, 10)
    async with Vendor(batches=BatchFaults(seconds=60)) as vendor:
        async with batched(database, run, model(vendor, protocol)) as one:
            await stopped(one, vendor, Ended("cancelled"))
        assert [one.status for one in vendor.desk.batches.values()] == ["cancelled"]
    found = await left(database, run)
    assert (found.answers, found.opened) == (5, 0)


async def test_a_budget_is_reserved_before_a_batch_and_settled_after(database: Database) -> None:
    run = await start(database, 40, budget=500_000)
    async with Vendor() as vendor, batched(database, run, model(vendor)) as one:
        ended = await one.work()
    assert (ended.state, "budget" in str(ended.reason)) == ("paused", True)
    found = await left(database, run)
    row = await one.desk.row()
    assert 0 < found.paid <= 500_000
    assert row.drawn == found.paid
    assert sum(one.status == "completed" for one in vendor.desk.batches.values()) > 1


async def test_without_a_price_nothing_is_invented(database: Database) -> None:
    run = await start(database, 3)
    async with Vendor() as vendor, batched(database, run, model(vendor), price=None) as one:
        assert await one.work() == Ended("done")
    assert {row.paid for row in await item_rows(database, run)} == {None}


async def test_pictures_are_asked_for_live_and_only_the_first_model_of_a_chain_is_batched(
    database: Database,
) -> None:
    run = await start(database, 3)
    async with Vendor(batches=BatchFaults(expired=9)) as vendor:
        spare = Model("spare", "ollama:spare", (vendor.url,))
        own = replace(model(vendor), fallback=("spare",))
        rules = replace(RULES, retries=0)
        async with batched(database, run, own, spare, rules=rules) as one:
            endpoint = one.desk.endpoints["main"]
            sender = one.desk.sender()
            one.batching.defer(endpoint, ImageRequest("a hat"), b"{}", b"x" * 16, sender)
            one.batching.defer(
                one.desk.endpoints["spare"], Chat((Message("user", "x"),), 5), b"{}", b"y", sender
            )
            assert await one.work() == Ended("done")
    names = {row.model for row in await one.desk.ledger()}
    assert names == {"main"}
    assert await states(database, run) == {"ready": 3}


async def test_a_batch_s_calls_say_nothing_about_how_long_a_reply_takes(
    database: Database,
) -> None:
    run = await start(database, 3)
    async with Vendor() as vendor, batched(database, run, model(vendor)) as one:
        await one.work()
    query = select(calls.c.latency).where(calls.c.run_id == run.id)
    rows = await database.read(lambda conn: conn.execute(query).scalars().all())
    assert set(rows) == {0.0}


def test_cached_input_is_no_cheaper_in_dashscope_s_batches() -> None:
    from waremill.domain import Price

    price = Price(100, 200, 10, source="list")
    ours = Model("a", "openai:x")
    theirs = Model("b", "dashscope:x")
    assert (batch_price(ours, price).input, batch_price(ours, price).cached) == (50, 5)
    assert (batch_price(theirs, price).output, batch_price(theirs, price).cached) == (100, None)
    assert "50 % of it" in batch_price(ours, price).source
