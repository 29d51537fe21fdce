"""Schedules: what they fire, what keeps a run from starting, and who is told."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Connection, select
from tests.app.scheduled import (
    DAY,
    feed,
    fire,
    keys,
    nightly,
    passed,
    settled,
    shop,
    states,
    tick,
    vendor,
    work_here,
)
from tests.workspaces import make_workspace, perfumes, vendor_process, vendor_stats

from waremill.app import Workspace, launching, open_workspace
from waremill.app.acting import Actor
from waremill.app.auditing import entries
from waremill.app.options import TaskOptions
from waremill.app.scheduling import schedules
from waremill.app.scheduling.leading import Scheduler
from waremill.app.status import money
from waremill.errors import Conflict, Forbidden, NotFound, UserError
from waremill.store import runs as store_runs
from waremill.store import schedules as store
from waremill.store.tables_people import deliveries

__all__ = ["shop", "vendor"]


# What is asked for.


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"budget": None}, "needs a budget"),
    ({"budget": 0.0}, "above zero"),
    ({"cron": "0 25 * * *"}, "is no hour"),
    ({"cron": "0 0 31 2 *"}, "never comes"),
    ({"timezone": "Mars/Olympus"}, "no time zone"),
    ({"trial": 3}, "give both"),
    ({"accuracy": 0.9}, "give both"),
    ({"trial": 3, "accuracy": 90.0}, "at most 1"),
    ({"trial": 0, "accuracy": 0.5}, "1 to 5000"),
    ({"overlap": "wait"}, "--overlap is skip or queue"),
    ({"only": ("old",)}, "--only takes"),
    ({"name": "a/b"}, "name has up to 80"),
    ({"options": {"where": "brnad = 'x'"}}, "did you mean"),
    ({"options": {"gold": "title"}}, "give --trial"),
    ({"pipeline": "cpoy"}, "there is no pipeline or template"),
    ({"budget": float("nan")}, "above zero"),
    ({"budget": float("inf")}, "--budget is at most"),
    ({"options": {"priority": "urgent"}}, "--priority is high or normal or low"),
    ({"options": {"mode": "batch", "engine": "ray"}}, "leave --engine out for half the price"),
    ({"options": {"stale": True}, "only": ("new",)}, "give one of them"),
    (
        {"options": {"gold": "nosuch.csv"}, "trial": 3, "accuracy": 0.9},
        "“nosuch.csv” is neither a file nor a column",
    ),
]


async def test_what_cannot_work_is_said_when_it_is_added(shop: Workspace) -> None:
    for changes, said in WRONG:
        with pytest.raises(UserError, match=said):
            await schedules.add(shop, nightly(**changes))
    assert await schedules.list_schedules(shop) == []


async def test_a_schedule_keeps_what_was_said(shop: Workspace) -> None:
    options: TaskOptions = {"where": "brand = 'House 1'", "targets": ["en-US"], "limit": 5}
    made = await schedules.add(shop, nightly(options=options, only=("new", "changed")))
    shown = made.as_json()
    assert (shown["state"], shown["budget"], shown["only"]) == ("active", 5.0, ["new", "changed"])
    assert {name: shown["options"][name] for name in options} == options
    with pytest.raises(Conflict, match="already"):
        await schedules.add(shop, nightly())


async def test_a_schedules_runs_are_worked_as_it_was_said(shop: Workspace) -> None:
    options: TaskOptions = {"mode": "batch", "priority": "low", "fresh": True, "stale": True}
    made = await schedules.add(shop, nightly(options=options))
    kept = schedules.options_of(made.schedule)
    run = await launching.plan(shop, "run", "copy", **{**kept, "stale": False})
    assert (run.plan["mode"], run.plan["priority"], run.take) == ("batch", "low", run.id)
    shown = made.as_json()["options"]
    assert {name: shown[name] for name in options} == options
    usual = (await schedules.add(shop, nightly(name="usual"))).as_json()["options"]
    assert {name: usual[name] for name in schedules.USUAL} == schedules.USUAL


async def test_gold_is_found_by_a_server_that_stands_elsewhere(
    shop: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gold.jsonl").write_text('{"sku": "P0000", "title": "Eau"}\n')
    monkeypatch.chdir(tmp_path)
    options: TaskOptions = {"gold": "gold.jsonl"}
    made = await schedules.add(shop, nightly(options=options, trial=3, accuracy=0.9))
    assert made.schedule.options["gold"] == str(tmp_path / "gold.jsonl")


async def test_a_budget_is_shown_as_it_was_given(shop: Workspace) -> None:
    """Nano-dollars are no whole number of yuan."""
    shop.settings = replace(shop.settings, per_usd=7.1)
    assert (await schedules.add(shop, nightly(budget=1.0))).as_json()["budget"] == 1.0


async def test_who_may_do_what(shop: Workspace) -> None:
    viewer = shop.acting(Actor("tom", {1: "viewer"}))
    stranger = shop.acting(Actor("eve", {2: "admin"}))
    with pytest.raises(Forbidden):
        await schedules.add(viewer, nightly())
    await schedules.add(shop.acting(Actor("lin", {1: "operator"})), nightly())
    assert (await schedules.show(viewer, "nightly")).schedule.by == "lin"
    assert await schedules.list_schedules(stranger) == []
    for change in (schedules.pause, schedules.remove, schedules.run_now, schedules.resume):
        with pytest.raises(Forbidden):
            await change(viewer, "nightly")
        with pytest.raises(NotFound):
            await change(stranger, "nightly")


async def test_changes_are_in_the_audit_log(shop: Workspace) -> None:
    await schedules.add(shop, nightly())
    await schedules.pause(shop, "nightly")
    await schedules.resume(shop, "nightly")
    await schedules.remove(shop, "nightly")
    found = [one.action for one in (await entries(shop)).rows if one.action.startswith("schedule")]
    assert found == ["schedule.remove", "schedule.resume", "schedule.pause", "schedule.add"]


# Firing.


async def test_a_slot_on_time_starts_a_run_as_the_one_who_ordered_it(
    shop: Workspace, vendor: str
) -> None:
    await schedules.add(shop, nightly())
    await passed(shop, 5)
    last = await settled(shop)
    assert (last.slot.state, last.slot.cause, last.slot.missed) == ("run", "cron", 0)
    assert last.run is not None and last.run.state == "done" and last.run.created_by == "local"
    assert last.run.budget == 5_000_000_000
    found = [one for one in (await entries(shop)).rows if one.action == "run.start"]
    assert found[0].detail is not None and found[0].detail["via"] == "schedule nightly"


async def test_missed_slots_are_made_up_for_once(shop: Workspace) -> None:
    await schedules.add(shop, nightly())
    await passed(shop, 3 * DAY)
    await shop.database.write(_look)
    last = (await schedules.show(shop, "nightly")).last
    assert last is not None
    assert (last.slot.state, last.slot.cause, last.slot.missed) == ("due", "late", 4)
    assert await states(shop) == ["due"]


async def test_or_only_said(shop: Workspace) -> None:
    await schedules.add(shop, nightly(catch_up="none"))
    await passed(shop, 3 * DAY)
    await tick(shop, 2)
    assert await states(shop) == ["missed"]
    last = (await schedules.show(shop, "nightly")).last
    assert last is not None and last.slot.missed == 4 and "4 moments" in str(last.slot.reason)


async def test_a_clock_that_goes_back_fires_no_slot_again(shop: Workspace) -> None:
    await schedules.add(shop, nightly(cron="* * * * *"))
    now = await shop.database.read(store_runs.clock)
    minute = now - now % 60
    found = await schedules.find(shop, "nightly")

    def fired(conn: Connection) -> None:
        """As a clock that is an hour ahead would have done."""
        for at in (minute, minute + 60):
            store.insert_slot(conn, found, at, store.SKIPPED)
        store.set_schedule(conn, found.id, next_at=now + 3600)

    await shop.database.write(fired)
    await tick(shop)
    assert (await schedules.find(shop, "nightly")).next_at == minute + 60
    await passed(shop, 0, at=minute)
    await tick(shop)
    assert await states(shop) == ["skipped", "skipped"]


async def test_an_earlier_run_that_is_not_over_lets_a_slot_be_skipped_or_wait(
    shop: Workspace,
) -> None:
    await schedules.add(shop, nightly())
    await schedules.add(shop, nightly(name="patient", overlap="queue"))
    for name in ("nightly", "patient"):
        await schedules.run_now(shop, name)
        with pytest.raises(Conflict, match="under way"):
            await schedules.run_now(shop, name)
        for seconds in (90, 5):
            await passed(shop, seconds, name)
            await shop.database.write(_look)
    assert await states(shop) == ["skipped", "skipped", "due"]
    assert await states(shop, "patient") == ["skipped", "queued", "due"]
    reasons = [one.slot.reason for one in (await schedules.history(shop, "patient")).rows]
    assert "waits for the schedule's earlier run" in str(reasons[1])


def _look(conn: Connection) -> None:
    """Fire what is due and take no slot further."""
    from waremill.app.scheduling.leading import _fire
    from waremill.app.working import owner_is_dead, owner_name

    lead = store.take_lead(conn, owner_name(), 10, owner_is_dead)
    assert lead is not None
    _fire(conn, lead)


async def test_nothing_to_do_is_said_and_starts_no_run(shop: Workspace) -> None:
    await schedules.add(shop, nightly(only=("new",)))
    await work_here(shop)
    last = await fire(shop)
    assert (last.slot.state, last.slot.reason) == ("nothing", "no product is new")


async def test_what_would_cost_more_than_its_budget_is_not_started_and_told(
    shop: Workspace, vendor: str
) -> None:
    await _listen(shop)
    await schedules.add(shop, nightly(budget=0.000_001))
    before = vendor_stats(vendor)["calls"]
    last = await fire(shop)
    assert last.slot.state == "stopped" and "above the budget" in str(last.slot.reason)
    assert vendor_stats(vendor)["calls"] == before
    (told,) = await _told(shop)
    assert (told["event"], told["schedule"], told["state"]) == (
        "schedule.stopped", "nightly", "stopped",
    )  # fmt: skip
    found = [one.action for one in (await entries(shop)).rows]
    assert "schedule.stop" in found


async def test_in_batches_the_price_of_batches_is_compared_with_the_budget(
    shop: Workspace,
) -> None:
    estimate = await shop.estimate("copy")
    assert estimate.cost is not None and estimate.batch_cost is not None
    assert estimate.batch_cost.expected < 0.6 * estimate.cost.expected
    await schedules.add(shop, nightly(budget=0.000_001, options={"mode": "batch"}))
    last = await fire(shop)
    half = money(estimate.batch_cost.expected, shop.settings.per_usd)
    assert last.slot.reason == f"it would cost about {half:.4g} USD, above the budget of 1e-06"


async def test_who_fires_one_by_hand_fires_no_other(shop: Workspace) -> None:
    await schedules.add(shop, nightly(budget=0.000_001))
    await schedules.add(shop, nightly(name="other"))
    await passed(shop, 3 * DAY, "other")
    slot = await schedules.run_now(shop, "nightly")
    assert (await Scheduler(shop).fire_now(slot)).slot.state == "stopped"
    assert await states(shop, "other") == []


async def test_nothing_outdated_is_said(shop: Workspace) -> None:
    await schedules.add(shop, nightly(options={"stale": True}))
    last = await fire(shop)
    assert (last.slot.state, last.slot.reason) == ("nothing", "no product is outdated")


async def _listen(shop: Workspace) -> None:
    from waremill.store import webhooks

    values = {"team_id": 1, "url": "https://shop.example/hook", "secret": "s", "active": True,
              "events": ["schedule.stopped"], "by": "local"}  # fmt: skip
    await shop.database.write(webhooks.insert_webhook, values)


async def _told(shop: Workspace) -> list[dict[str, Any]]:
    query = select(deliveries.c.body).order_by(deliveries.c.id)
    bodies = await shop.database.read(lambda conn: conn.execute(query).scalars().all())
    return [orjson.loads(one) for one in bodies]


async def test_a_trial_that_is_good_enough_lets_the_run_start(shop: Workspace, vendor: str) -> None:
    await schedules.add(shop, nightly(trial=3, accuracy=0.9))
    before = vendor_stats(vendor)["calls"]
    last = await fire(shop)
    assert last.slot.state == "run" and last.trial is not None and last.run is not None
    assert (last.trial.total, last.run.total) == (3, 8)
    assert vendor_stats(vendor)["calls"] == before + 8, "the trial's answers are not paid twice"


async def test_a_trial_below_its_accuracy_starts_nothing(shop: Workspace) -> None:
    await _listen(shop)
    gold = shop.settings.root / "gold.jsonl"
    gold.write_text("".join(f'{{"sku": "P{n:04}", "title": "never"}}\n' for n in range(8)))
    options: TaskOptions = {"gold": str(gold), "mode": "batch"}
    await schedules.add(shop, nightly(trial=3, accuracy=0.9, options=options))
    last = await fire(shop)
    assert last.trial is not None and "mode" not in last.trial.plan, "it is judged now"
    assert last.slot.state == "stopped" and last.run is None and last.trial is not None
    assert "the trial's accuracy is 0.0% of 3 values" in str(last.slot.reason)
    assert [one["trial"] for one in await _told(shop)] == [last.trial.name]


async def test_without_gold_a_trials_findings_decide(tmp_path: Path) -> None:
    with vendor_process("--refused", "1") as url:
        folder = make_workspace(tmp_path / "shop", url)
        async with open_workspace(folder) as workspace:
            await feed(workspace, perfumes(8))
            await schedules.add(workspace, nightly(trial=3, accuracy=0.9))
            last = await fire(workspace)
    assert last.slot.state == "stopped" and last.run is None
    assert "0.0% of the trial's 3 items are without an error" in str(last.slot.reason)


async def test_who_may_not_order_runs_any_more_starts_none(shop: Workspace) -> None:
    lin = shop.acting(Actor("lin", {1: "operator"}))
    await schedules.add(lin, nightly())
    last = await fire(shop)
    assert last.slot.by == "local" and last.slot.state == "run", "who fires it by hand orders it"
    await passed(shop, 5)
    last = await settled(shop)
    assert last.slot.state == "failed" and "lin may not order runs" in str(last.slot.reason)


async def test_a_paused_schedule_misses_nothing(shop: Workspace) -> None:
    await schedules.add(shop, nightly())
    await schedules.pause(shop, "nightly")
    await passed(shop, 3 * DAY)
    await tick(shop)
    resumed = await schedules.resume(shop, "nightly")
    assert resumed.next_at is not None
    assert resumed.next_at > await shop.database.read(store_runs.clock)
    assert await states(shop) == []


async def test_history_is_paged_newest_first(shop: Workspace) -> None:
    await schedules.add(shop, nightly())
    found = await schedules.find(shop, "nightly")
    for at in range(5):
        await shop.database.write(store.insert_slot, found, float(at), store.SKIPPED)
    seen, cursor = [], None
    while True:
        page = await schedules.history(shop, "nightly", cursor=cursor, size=2)
        seen += [one.slot.at for one in page.rows]
        cursor = page.next
        if cursor is None:
            break
    assert seen == [4.0, 3.0, 2.0, 1.0, 0.0]


async def test_a_schedule_that_is_removed_ends_its_slot_and_begins_nothing(shop: Workspace) -> None:
    await schedules.add(shop, nightly())
    slot = await schedules.run_now(shop, "nightly")
    await schedules.remove(shop, "nightly")
    seen = (await schedules.slot_view(shop, slot.id)).slot
    assert (seen.live, seen.state, seen.reason) == (False, "stopped", "the schedule was removed")
    await tick(shop)
    assert await shop.runs() == []


async def test_a_removed_schedule_keeps_its_history(shop: Workspace) -> None:
    await schedules.add(shop, nightly())
    run = await work_here(shop)
    await schedules.remove(shop, "nightly")
    assert await schedules.list_schedules(shop) == []
    (gone,) = await schedules.list_schedules(shop, removed=True)
    assert gone.state == "removed" and gone.last is not None and gone.last.run is not None
    assert (await schedules.show(shop, "nightly")).as_json() == gone.as_json()
    for change in (schedules.pause, schedules.resume, schedules.run_now, schedules.remove):
        with pytest.raises(NotFound):
            await change(shop, "nightly")
    # Its name can be used again: what it did stands below, and is nothing the new one has done.
    await schedules.add(shop, nightly(only=("new",)))
    assert len(await keys(shop, await work_here(shop))) == 8
    slots = (await schedules.history(shop, "nightly")).rows
    assert [one.slot.state for one in slots] == ["run", "run"]
    assert slots[1].run is not None and slots[1].run.name == run
    assert (await schedules.show(shop, "nightly")).state == "active"


async def test_the_history_of_a_name_is_that_of_ones_own_team(shop: Workspace) -> None:
    await schedules.add(shop, nightly())
    await schedules.run_now(shop, "nightly")
    await schedules.remove(shop, "nightly")
    stranger = shop.acting(Actor("eve", {2: "admin"}))
    with pytest.raises(NotFound):
        await schedules.show(stranger, "nightly")
    made = await schedules.add(shop, nightly())
    await shop.database.write(partial(store.set_schedule, team_id=2), made.schedule.id)
    assert (await schedules.history(stranger, "nightly")).rows == ()


async def test_planning_that_was_cut_off_is_planned_again(shop: Workspace) -> None:
    """A leader that dies while it writes a run's items leaves a run that nobody can work."""
    await schedules.add(shop, nightly())
    slot = await schedules.run_now(shop, "nightly")

    def die(conn: Connection, run: store_runs.Run) -> None:
        store.set_slot(conn, slot, state=store.RUN, run_id=run.id)

    run = await launching.plan(shop, "run", "copy", die)
    await shop.database.write(store_runs.set_run, run.id, {"state": "planning"})
    last = await settled(shop)
    assert last.slot.state == "run" and last.run is not None and last.run.state == "done"
    assert last.run.name != run.name
    assert (await shop.find_run(run.name)).state == "cancelled"
