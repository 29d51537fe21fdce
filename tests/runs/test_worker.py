"""A worker over a run: every item ends once, and whatever stops it leaves the run resumable."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from tests.calls.asking import Desk, desk, had, model
from tests.planned import claimed, item_rows, item_states, planned
from tests.vendor import Reply, Vendor, openai_error

from waremill.checks.near_duplicates import signed
from waremill.domain import Chat, Finding, Item, Message, Step
from waremill.errors import Conflict, OutputInvalid, Refused, TemplateError
from waremill.pipeline import BoundStep
from waremill.runs.work import Ended, Worker, WorkLimits
from waremill.store import reporting
from waremill.store import runs as store_runs
from waremill.store.database import Database


async def write(item: Item, ctx: Any) -> dict[str, Any]:
    """Ask for one text about the product."""
    text = f"name: {item.product.attributes['name']} {item.target or ''}"
    answer = await ctx.call(item, Chat((Message("user", text),), 50), "main")
    return {"title": answer.response.text}


def step(run: Step, name: str = "copy", per: Any = "target") -> BoundStep:
    return BoundStep(name, "generate", per, run)


def worker(one: Desk, *steps: BoundStep, concurrency: int = 4, **limits: Any) -> Worker:
    found = WorkLimits(concurrency, **limits)
    return Worker(
        one.database, one.run, one.caller._journal, one.caller, steps or (step(write),),
        one.files, found,
    )  # fmt: skip


async def states(one: Desk) -> Counter[str]:
    return Counter(await item_states(one.database, one.run))


async def start(database: Database, count: int = 12, **more: Any) -> Any:
    return await claimed(database, await planned(database, count, **more))


async def test_every_item_is_worked_and_committed(database: Database) -> None:
    run = await start(database, 30)
    async with Vendor() as vendor, desk(database, model(vendor.url), run=run) as one:
        ended = await worker(one).work()
        assert ended == Ended("done")
        assert await states(one) == {"ready": 30}
        page = await database.read(reporting.item_page, run.id, 0)
    assert vendor.calls == 30
    assert all(item.fields["title"] and item.paid == item.list_cost for item in page)
    provenance = page[0].provenance["title"]
    assert len(provenance["answers"]) == 1


async def test_a_bad_row_fails_alone_and_says_why(database: Database) -> None:
    async def sometimes(item: Item, ctx: Any) -> dict[str, Any]:
        if item.product.key == "P003":
            raise TemplateError("`name` is missing")
        if item.product.key == "P005":
            raise ZeroDivisionError("our own bug")
        return await write(item, ctx)

    run = await start(database)
    async with Vendor() as vendor, desk(database, model(vendor.url), run=run) as one:
        assert (await worker(one, step(sometimes)).work()).state == "done"
        assert await states(one) == {"ready": 10, "failed": 2}
        page = await database.read(reporting.item_page, run.id, 0, ["failed"])
    assert page[0].error is not None
    assert page[0].error["type"] == "TemplateError"
    assert "traceback" not in page[0].error
    assert page[1].error is not None
    assert "ZeroDivisionError" in page[1].error["traceback"]


@pytest.mark.parametrize(
    "error", [Refused("the model declined"), OutputInvalid("not JSON", findings=())]
)
async def test_an_item_in_review_keeps_what_earlier_steps_made(
    database: Database, error: Exception
) -> None:
    async def refuse(_item: Item, _ctx: Any) -> dict[str, Any]:
        raise error

    run = await start(database, 2)
    async with Vendor() as vendor, desk(database, model(vendor.url), run=run) as one:
        await worker(one, step(write), step(refuse, "second")).work()
        assert await states(one) == {"review": 2}
        page = await database.read(reporting.item_page, run.id, 0)
    assert page[0].fields["title"]
    assert [finding["message"] for finding in page[0].findings] == [str(error)]


async def test_findings_send_an_item_to_review(database: Database) -> None:
    async def find(item: Item, ctx: Any) -> dict[str, Any]:
        severity: Any = "error" if item.product.key == "P001" else "warning"
        ctx.report(item, [Finding("title", "tone", severity, "too loud")])
        return {"title": "LOUD"}

    run = await start(database, 3)
    async with desk(database, run=run) as one:
        await worker(one, step(find)).work()
        assert await item_states(database, run) == ["ready", "review", "ready"]


async def test_a_refused_key_pauses_with_everything_pending(database: Database) -> None:
    denied = openai_error(401, "no such key", code="invalid_api_key")
    run = await start(database, 40)
    async with Vendor(reply=lambda *_: denied) as vendor:
        async with desk(database, model(vendor.url), run=run) as one:
            ended = await worker(one).work()
            assert ended.state == "paused"
            assert "access denied" in (ended.reason or "")
            assert await states(one) == {"pending": 40}
        assert vendor.calls <= 4


async def test_a_spent_budget_pauses_and_a_larger_one_goes_on(database: Database) -> None:
    budget = 800_000
    run = await start(database, 40, budget=budget)
    async with Vendor() as vendor:
        async with desk(database, model(vendor.url), run=run, budget=budget) as one:
            ended = await worker(one).work()
            assert ended.state == "paused"
            assert "budget" in (ended.reason or "")
            first = await states(one)
            assert first["ready"] > 0
            assert first["pending"] > 0
            assert sum(call.paid or 0 for call in await one.ledger()) <= budget
        await database.write(store_runs.set_run, run.id, {"budget": 10**9})
        run = await claimed(database, run)
        async with desk(database, model(vendor.url), run=run, budget=10**9) as one:
            assert (await worker(one).work()).state == "done"
            assert await states(one) == {"ready": 40}
        assert vendor.stats()["repeated"] == 0


async def test_many_failures_pause_the_run(database: Database) -> None:
    async def fail(_item: Item, _ctx: Any) -> dict[str, Any]:
        raise ZeroDivisionError("always")

    run = await start(database, 200)
    async with desk(database, run=run) as one:
        ended = await worker(one, step(fail)).work()
        assert ended.state == "paused"
        assert "error rate" in (ended.reason or "")
        counted = await states(one)
    assert 30 <= counted["failed"] < 40


async def test_the_same_rejection_five_times_running_pauses_the_run(database: Database) -> None:
    bad = openai_error(400, "unknown parameter: colour")
    run = await start(database, 40)
    async with Vendor(reply=lambda *_: bad) as vendor:
        async with desk(database, model(vendor.url), run=run) as one:
            ended = await worker(one, concurrency=1).work()
        assert ended.state == "paused"
        assert "rejected" in (ended.reason or "")
        assert vendor.calls == 5


async def test_pausing_lets_calls_in_flight_finish_and_sends_nothing_more(
    database: Database,
) -> None:
    run = await start(database, 40)
    async with Vendor(latency=0.3) as vendor, desk(database, model(vendor.url), run=run) as one:
        working = worker(one)
        task = asyncio.create_task(working.work())
        await had(vendor, 4)
        working.stop(Ended("paused", "paused by a user"))
        assert await task == Ended("paused", "paused by a user")
        assert await states(one) == {"ready": 4, "pending": 36}
        assert vendor.calls == 4


@pytest.mark.parametrize(("command", "state"), [("pause", "paused"), ("cancel", "cancelled")])
async def test_a_command_from_another_terminal_stops_the_worker(
    database: Database, command: str, state: str
) -> None:
    run = await start(database, 200)
    async with Vendor(latency=0.1) as vendor, desk(database, model(vendor.url), run=run) as one:
        task = asyncio.create_task(worker(one).work())
        assert await database.write(store_runs.leave_command, run, command)
        assert (await asyncio.wait_for(task, 10)).state == state
        counted = await states(one)
    assert counted["pending"] > 0
    assert counted["ready"] > 0


async def test_a_deadline_pauses_the_run(database: Database) -> None:
    run = await start(database, 200)
    async with Vendor(latency=0.2) as vendor, desk(database, model(vendor.url), run=run) as one:
        ended = await asyncio.wait_for(worker(one, deadline=0.5).work(), 10)
    assert ended.state == "paused"
    assert "deadline" in (ended.reason or "")


async def test_who_is_taken_over_stops_and_writes_nothing_more(database: Database) -> None:
    run = await start(database, 60)
    async with Vendor(latency=0.05) as vendor:
        async with desk(database, model(vendor.url), run=run) as first:
            task = asyncio.create_task(worker(first).work())
            await had(vendor, 12)
            run = await database.write(store_runs.claim, run.id, "you", is_dead=lambda _owner: True)
            taken = await states(first)
            with pytest.raises(Conflict):
                await asyncio.wait_for(task, 10)
            assert await states(first) == taken
        async with desk(database, model(vendor.url), run=run) as second:
            assert (await worker(second).work()).state == "done"
            assert await states(second) == {"ready": 60}
        # What the first one had in flight was never committed, so it was asked again.
        assert vendor.stats()["repeated"] <= 4


async def test_an_endpoint_down_for_long_fails_items_after_three_tries(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncio, "sleep", _soon(asyncio.sleep))
    run = await start(database, 2)
    async with Vendor(unavailable=1.0) as vendor, desk(database, model(vendor.url), run=run) as one:
        await worker(one).work()
        rows = await item_rows(database, run)
    assert [(row.state, row.attempts) for row in rows] == [("failed", 3)] * 2
    assert vendor.calls == 2 * 3 * 6


def _soon(sleep: Any) -> Any:
    async def shorter(seconds: float) -> None:
        await sleep(min(seconds, 0.01))

    return shorter


async def test_four_targets_share_the_call_made_once_a_product(database: Database) -> None:
    async def facts(item: Item, ctx: Any) -> dict[str, Any]:
        request = Chat((Message("user", f"name: {item.product.attributes['name']}"),), 50)
        return {"facts": (await ctx.call(item, request, "main")).response.text}

    run = await start(database, 50, targets=("en-US", "de-DE", "fr-FR", "zh-CN"))
    async with Vendor(latency=0.01) as vendor, desk(database, model(vendor.url), run=run) as one:
        done = worker(one, step(facts, "facts", "product"), step(write), concurrency=16)
        assert (await done.work()).state == "done"
        assert await states(one) == {"ready": 200}
        assert vendor.calls == 50 + 200
        paid = sum(row.paid for row in await item_rows(database, run))
        assert paid == sum(call.paid or 0 for call in await one.ledger())


async def test_a_recorded_value_is_the_same_on_replay(database: Database) -> None:
    made: list[float] = []

    async def chance(item: Item, ctx: Any) -> dict[str, Any]:
        async def draw() -> float:
            made.append(random.random())
            return made[-1]

        value = await ctx.record(item, "chance", draw)
        if len(made) == 1 and item.take == 0 and not again:
            raise Conflict("the machine stops here")
        return {"value": value}

    again = False
    run = await start(database, 1)
    async with desk(database, run=run) as one:
        with pytest.raises(Conflict):
            await worker(one, step(chance)).work()
    again = True
    run = await database.write(store_runs.claim, run.id, "you", is_dead=lambda _owner: True)
    async with desk(database, run=run) as one:
        await worker(one, step(chance)).work()
        page = await database.read(reporting.item_page, run.id, 0)
    assert page[0].fields == {"value": made[0]}
    assert len(made) == 1


TEXT = "A bright bergamot opening over warm vetiver and a long trail of cedar wood and amber"


async def test_near_duplicates_at_work_at_the_same_time_are_found(database: Database) -> None:
    together = asyncio.Barrier(2)

    async def alike(item: Item, ctx: Any) -> dict[str, Any]:
        text = f"{TEXT}, bottle {item.product.key}"
        await ctx.call(item, Chat((Message("user", f"name: {item.product.key}"),), 50), "main")
        await together.wait()
        near: Sequence[tuple[str, float]] = await ctx.similar(item, "body", signed(text))
        findings = [Finding("body", "near-duplicates", "error", key, key) for key, _ in near]
        ctx.report(item, findings)
        return {"body": text}

    run = await start(database, 2)
    async with Vendor() as vendor, desk(database, model(vendor.url), run=run) as one:
        await worker(one, step(alike)).work()
        page = await database.read(reporting.item_page, run.id, 0)
    found = {item.key: [finding["evidence"] for finding in item.findings] for item in page}
    assert found["P000"] == ["P001"] or found["P001"] == ["P000"]
    assert "review" in {item.state for item in page}


async def test_equal_requests_and_other_targets_are_no_near_duplicates(database: Database) -> None:
    async def same(item: Item, ctx: Any) -> dict[str, Any]:
        text = (
            "the same request"
            if item.target and item.target.language == "en"
            else (f"another request {item.product.key}")
        )
        await ctx.call(item, Chat((Message("user", text),), 50), "main")
        near = await ctx.similar(item, "body", signed(TEXT))
        return {"near": [key for key, _ in near]}

    run = await start(database, 3, targets=("en", "de"))
    async with Vendor() as vendor, desk(database, model(vendor.url), run=run) as one:
        await worker(one, step(same), concurrency=1).work()
        page = await database.read(reporting.item_page, run.id, 0)
    near = {(item.key, item.target): item.fields["near"] for item in page}
    assert all(near[key, "en"] == [] for key in ("P000", "P001", "P002"))
    assert near["P002", "de"] == ["P000", "P001"]


async def test_a_condition_leaves_a_step_out(database: Database) -> None:
    only = BoundStep(
        "copy", "generate", "target", write, when=lambda values: values["name"].endswith("1")
    )
    run = await start(database, 3)
    async with Vendor() as vendor, desk(database, model(vendor.url), run=run) as one:
        await worker(one, only).work()
        assert await states(one) == {"ready": 3}
        assert vendor.calls == 1


async def test_truncated_json_of_a_broken_vendor_is_never_a_result(database: Database) -> None:
    replies: dict[str, int] = {}

    def flaky(request: dict[str, Any], _path: str) -> Reply | None:
        text = request["messages"][-1]["content"]
        replies[text] = replies.get(text, 0) + 1
        return Reply(text="whole", cut=-1) if replies[text] == 1 else Reply(text="whole")

    run = await start(database, 10)
    async with Vendor(reply=flaky) as vendor, desk(database, model(vendor.url), run=run) as one:
        await worker(one).work()
        page = await database.read(reporting.item_page, run.id, 0)
    assert {item.fields["title"] for item in page} == {"whole"}
    assert vendor.calls == 20
