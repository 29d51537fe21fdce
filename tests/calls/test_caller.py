"""From a request to a committed answer: once paid, kept for good, every attempt in the ledger."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from tests.calls.asking import chat, desk, had, model
from tests.planned import claimed
from tests.vendor import Reply, Vendor, openai_error

from waremill.errors import (
    AccessDenied,
    Conflict,
    LimitReached,
    RateLimited,
    Rejected,
    Unavailable,
)
from waremill.store import metering
from waremill.store import runs as store_runs
from waremill.store.database import Database


async def test_an_answer_is_paid_once_and_replayed_for_ever(database: Database) -> None:
    async with Vendor() as vendor:
        async with desk(database, model(vendor.url)) as first:
            fresh = await first.ask()
            again = await first.ask()
            await database.write(store_runs.release, first.run, "paused", None, 0.0)
        run = await claimed(database, first.run)
        async with desk(database, model(vendor.url), run=run) as second:
            later = await second.ask(item=2)
            ledger = await second.ledger()
    assert (fresh.replayed, again.replayed, later.replayed) == (False, True, True)
    assert fresh.response == again.response == later.response
    assert fresh.list_cost == later.list_cost
    assert vendor.calls == 1
    assert [(row.outcome, row.status, row.paid) for row in ledger] == [
        ("complete", 200, fresh.list_cost)
    ]


async def test_a_hundred_identical_requests_are_one_call(database: Database) -> None:
    async with Vendor(latency=0.05) as vendor, desk(database, model(vendor.url)) as one:
        answers = await asyncio.gather(*(one.ask(item=n) for n in range(100)))
        assert vendor.calls == 1
        assert sum(not answer.replayed for answer in answers) == 1
        assert len({answer.response.text for answer in answers}) == 1


async def test_who_waits_for_a_cancelled_call_asks_again(database: Database) -> None:
    async with Vendor(latency=0.3) as vendor, desk(database, model(vendor.url)) as one:
        tasks = [asyncio.create_task(one.ask(item=n)) for n in range(3)]
        await had(vendor, 1)
        tasks[0].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert not any(isinstance(one, BaseException) for one in found[1:])
        await asyncio.sleep(0)
        await one.caller._journal.committed()
        ledger = await one.ledger()
    assert [row.outcome for row in ledger] == ["cancelled", "complete"]
    assert vendor.calls == 2


async def test_who_waits_for_a_failing_call_gets_its_error(database: Database) -> None:
    refuse = openai_error(400, "bad request")
    async with (
        Vendor(latency=0.05, reply=lambda *_: refuse) as vendor,
        desk(database, model(vendor.url)) as one,
    ):
        asked = (one.ask(item=n) for n in range(5))
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(error, Rejected) for error in found)
        assert vendor.calls == 1
        with pytest.raises(Rejected):  # and nothing is left of it: the next asks anew
            await one.ask()
        assert vendor.calls == 2


@pytest.mark.parametrize("change", [{"sample": 1}, {"take": 1}, {"options": {"seed": 3}}])
async def test_sample_take_and_options_make_another_request(
    database: Database, change: dict[str, Any]
) -> None:
    async with Vendor() as vendor, desk(database, model(vendor.url)) as one:
        await one.ask()
        assert not (await one.ask(chat(**change))).replayed


async def test_the_alias_does_not_matter_but_the_model_does(database: Database) -> None:
    async with Vendor() as vendor:
        same = model(vendor.url, "writer", concurrency=2)
        same = type(same)("other-alias", same.use, same.base_urls, same.keys)
        writer, other = model(vendor.url, "writer"), model(vendor.url, "another")
        async with desk(database, writer, same, other) as one:
            await one.ask(alias="writer")
            assert (await one.ask(alias="other-alias")).replayed
            assert not (await one.ask(alias="another")).replayed


async def test_every_attempt_is_a_row_and_only_replies_cost(database: Database) -> None:
    replies = [
        openai_error(429, "slow down", code="rate_limit_exceeded"),
        openai_error(500, "oops"),
        Reply(text="a whole reply", cut=-1),
        Reply(text="a whole reply"),
    ]
    vendor = Vendor(reply=lambda *_: replies.pop(0))
    async with vendor, desk(database, model(vendor.url)) as one:
        answer = await one.ask()
        ledger = await one.ledger()
        spent = one.caller.spent
    assert [(row.attempt, row.outcome, row.status) for row in ledger] == [
        (1, "rate_limited", 429), (2, "unavailable", 500), (3, "unavailable", 200),
        (4, "complete", 200),
    ]  # fmt: skip
    # What a broken reply cost is not known; a refused request costs nothing.
    assert [row.paid for row in ledger] == [0, 0, None, answer.list_cost]
    assert all(row.request_id or row.attempt == 3 for row in ledger)
    assert (spent.calls, spent.failed, spent.unpriced) == (4, 3, 0)


async def test_retry_after_is_waited_for(database: Database) -> None:
    replies = [openai_error(429, "wait", retry_after="0.4"), Reply(text="now")]
    vendor = Vendor(reply=lambda *_: replies.pop(0))
    async with vendor, desk(database, model(vendor.url)) as one:
        started = time.monotonic()
        await one.ask()
    assert time.monotonic() - started >= 0.4


async def test_an_endpoint_that_stays_down_gives_its_error_after_six_attempts(
    database: Database,
) -> None:
    async with Vendor(unavailable=1.0) as vendor, desk(database, model(vendor.url)) as one:
        with pytest.raises(Unavailable):
            await one.ask()
        assert vendor.calls == 6
        assert one.endpoints["main"].limiter.flying == 0


async def test_fallbacks_are_asked_in_order_and_replayed(database: Database) -> None:
    async with Vendor(unavailable=1.0) as down, Vendor(rate_limited=1.0) as busy, Vendor() as up:
        chain = (
            model(down.url, "first", fallback=("second",)),
            model(busy.url, "second", fallback=("third",)),
            model(up.url, "third"),
        )
        async with desk(database, *chain) as one:
            fresh = await one.ask(alias="first")
            assert (down.calls, busy.calls, up.calls) == (6, 6, 1)
            again = await one.ask(alias="first")
            assert (down.calls, busy.calls, up.calls) == (6, 6, 1)
            ledger = await one.ledger()
    assert not fresh.replayed
    assert again.replayed
    assert [row.model for row in ledger] == ["first"] * 6 + ["second"] * 6 + ["third"]


async def test_a_fallback_is_asked_with_its_own_settings(database: Database) -> None:
    async with Vendor(unavailable=1.0) as down, Vendor() as up:
        chain = (
            model(down.url, "first", fallback=("second",), options={"temperature": 0.1}),
            model(up.url, "second", options={"temperature": 0.9}),
        )
        async with desk(database, *chain) as one:
            await one.ask(alias="first")
            assert (await one.ask(alias="first")).replayed
        assert up.requests[-1].body["temperature"] == 0.9
        assert down.requests[-1].body["temperature"] == 0.1


@pytest.mark.parametrize(
    ("reply", "error", "outcome"),
    [
        (openai_error(401, "no", code="invalid_api_key"), AccessDenied, "denied"),
        (openai_error(429, "quota", code="insufficient_quota"), AccessDenied, "denied"),
        (openai_error(400, "bad request"), Rejected, "rejected"),
        (openai_error(413, "too large"), Rejected, "rejected"),
    ],
)
async def test_what_no_retry_can_mend_is_asked_once(
    database: Database, reply: Reply, error: type[Exception], outcome: str
) -> None:
    async with Vendor(reply=lambda *_: reply) as vendor, Vendor() as spare:
        chain = (model(vendor.url, "main", fallback=("spare",)), model(spare.url, "spare"))
        async with desk(database, *chain) as one:
            with pytest.raises(error):
                await one.ask()
            await one.caller._journal.committed()
            ledger = await one.ledger()
    assert (vendor.calls, spare.calls) == (1, 0)
    assert [row.outcome for row in ledger] == [outcome]


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (Reply(text="half of a", finish="length"), "truncated"),
        (Reply(refusal="I cannot help with that."), "refused"),
    ],
)
async def test_a_truncated_or_refused_reply_is_an_answer(
    database: Database, reply: Reply, outcome: str
) -> None:
    async with Vendor(reply=lambda *_: reply) as vendor, desk(database, model(vendor.url)) as one:
        fresh = await one.ask()
        again = await one.ask()
        assert vendor.calls == 1
        assert fresh.response.outcome == again.response.outcome == outcome
        assert again.replayed
        ledger = await one.ledger()
    assert [(row.outcome, row.paid) for row in ledger] == [(outcome, fresh.list_cost)]


async def test_an_unknown_price_stays_unknown(database: Database) -> None:
    async with Vendor() as vendor, desk(database, model(vendor.url), price=None) as one:
        answer = await one.ask()
        ledger = await one.ledger()
        assert one.caller.spent.unpriced == 1
    assert answer.list_cost is None
    assert (ledger[0].paid, ledger[0].list_cost) == (None, None)


async def test_a_lost_run_stops_the_caller_and_keeps_nothing(database: Database) -> None:
    async with Vendor() as vendor, desk(database, model(vendor.url)) as one:
        await database.write(store_runs.claim, one.run.id, "you", is_dead=lambda _owner: True)
        with pytest.raises(Conflict):
            await one.ask()
        assert await one.ledger() == []


async def test_after_stop_nothing_more_is_sent(database: Database) -> None:
    async with Vendor(latency=0.3) as vendor, desk(database, model(vendor.url), most=2) as one:
        tasks = [asyncio.create_task(one.ask(chat(f"name: {n}"))) for n in range(10)]
        await had(vendor, 2)
        one.caller.stop()
        found = await asyncio.gather(*tasks, return_exceptions=True)
    assert vendor.calls == 2
    assert sum(isinstance(one, LimitReached) for one in found) == 8


async def test_ten_requests_a_second_are_ten_a_second(database: Database) -> None:
    async with Vendor() as vendor, desk(database, model(vendor.url, rpm=600), most=64) as one:
        started = time.monotonic()
        tasks = [asyncio.create_task(one.ask(chat(f"name: {n}"))) for n in range(100)]
        await asyncio.sleep(2.0 - (time.monotonic() - started))
        made = vendor.calls
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    # Two seconds' worth, a saved-up second, and the slice that has just begun.
    assert 20 <= made <= 40


async def test_how_long_calls_waited_for_their_turn_is_summed_by_model(database: Database) -> None:
    """A first call waits for nobody, a second one for its slice; without a limit nothing is."""
    async with (
        Vendor() as vendor,
        desk(database, model(vendor.url, rpm=600), model(vendor.url, "free")) as one,
    ):
        for number in range(25):
            await one.ask(chat(f"number {number}"))
        await one.ask(chat("anything"), "free")
    found = await database.read(metering.waits_by_model, None)
    assert found.keys() == {"main"}
    counts, seconds = found["main"]
    assert sum(counts) == 25 and counts[0] > 0 and sum(counts[1:]) > 0
    assert 0 < seconds < 10
    assert await database.read(metering.waits_by_model, []) == {}


async def test_a_rate_limited_error_names_its_wait(database: Database) -> None:
    vendor = Vendor(rate_limited=1.0, retry_after=0.01)
    async with vendor, desk(database, model(vendor.url)) as one:
        with pytest.raises(RateLimited) as caught:
            await one.ask()
    assert caught.value.retry_after == 0.01
