"""Runs are worked by processes that outlive whoever launched them; dear ones need two people."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import Connection, update
from tests.workspaces import make_workspace, perfumes, vendor_process, write_sheet

from waremill.app import RunStatus, Workspace, launching, open_workspace
from waremill.app.acting import Actor
from waremill.app.auditing import entries
from waremill.app.options import order_run, prepare
from waremill.errors import ConfigError, Conflict, Forbidden, LimitReached, NotFound
from waremill.runs.plan import plan_run
from waremill.store import runs as store_runs
from waremill.store.runs import Run
from waremill.store.tables_people import teams

NANO = 1_000_000_000
LIN, MEI = Actor("lin", {1: "operator"}), Actor("mei", {1: "operator"})


@pytest_asyncio.fixture
async def workspace(tmp_path: Path) -> AsyncIterator[Workspace]:
    """An open workspace with products and a vendor that takes its time."""
    with vendor_process("--latency", "0.2") as url:
        folder = make_workspace(tmp_path / "shop", url, concurrency=2)
        sheet = write_sheet(folder / "perfumes.csv", perfumes(40))
        async with open_workspace(folder, readers=2) as opened:
            await opened.import_catalog([sheet], key="sku")
            yield opened


async def until(workspace: Workspace, run: str, *states: str) -> RunStatus:
    """Wait for a run to come to a state."""
    for _ in range(400):
        status = await workspace.status(run)
        if status.state in states:
            return status
        await asyncio.sleep(0.05)
    raise AssertionError(status)


async def set_team(workspace: Workspace, **values: int | None) -> None:
    """Set the first team's limits, in nano-USD."""
    await workspace.database.write(
        lambda conn: conn.execute(update(teams).where(teams.c.id == 1).values(values))
    )


async def test_a_launched_run_is_worked_elsewhere_and_logged(workspace: Workspace) -> None:
    status = await launching.launch(workspace, "run", "copy", limit=3)
    run = await workspace.find_run(status.run)
    assert run.owner is not None and f":{os.getpid()}:" not in run.owner
    assert (await until(workspace, status.run, "done")).done == 3
    assert launching.log_of(workspace, run).is_file()


async def test_a_run_is_started_once(workspace: Workspace) -> None:
    status = await launching.launch(workspace, "run", "copy", limit=40)
    with pytest.raises(Conflict, match="being worked"):
        await launching.start(workspace, status.run)
    await workspace.pause(status.run)
    await until(workspace, status.run, "paused")
    await launching.resume(workspace, status.run)
    assert (await until(workspace, status.run, "done")).done == 40


async def test_a_worker_that_was_killed_is_replaced_and_nothing_is_paid_twice(
    workspace: Workspace,
) -> None:
    status = await launching.launch(workspace, "run", "copy", limit=10)
    run = await workspace.find_run(status.run)
    assert run.owner is not None
    await asyncio.sleep(0.5)
    os.kill(int(run.owner.split(":")[1]), signal.SIGKILL)
    for _ in range(100):
        if (await workspace.status(status.run)).state == "paused":
            break
        await asyncio.sleep(0.05)
    await launching.resume(workspace, status.run)
    done = await until(workspace, status.run, "done")
    assert done.done == 10 and done.calls <= 10 + 2


async def test_what_keeps_the_process_from_beginning_is_said(workspace: Workspace) -> None:
    run = await launching.plan(workspace, "run", "copy", limit=1)
    settings = workspace.settings.root / "waremill.toml"
    text = settings.read_text()
    settings.write_text(text + "\nnonsense = 1\n")
    with pytest.raises(ConfigError, match="nonsense"):
        await launching.start(workspace, run)
    settings.write_text(text)
    await asyncio.sleep(0.2)
    assert "nonsense" in ((await workspace.status(run.name)).reason or "")
    await launching.start(workspace, run)
    await until(workspace, run.name, "done")


async def test_failed_items_are_tried_again(workspace: Workspace) -> None:
    status = await launching.launch(workspace, "run", "copy", limit=2)
    await until(workspace, status.run, "done")
    again = await launching.resume(workspace, status.run, retry_failed=True)
    assert again.run == status.run
    await until(workspace, status.run, "done")


async def test_a_dear_run_waits_for_a_second_person(workspace: Workspace) -> None:
    await set_team(workspace, approve_above=NANO // 1_000_000)
    mine = workspace.acting(LIN)
    status = await launching.launch(mine, "run", "copy", limit=4)
    assert status.state == "planned"
    assert "second person" in (status.reason or "")
    with pytest.raises(Conflict, match="second person"):
        await launching.start(mine, status.run)
    with pytest.raises(Forbidden, match="your own"):
        await launching.approve_run(mine, status.run, None)
    with pytest.raises(Forbidden):
        viewer = workspace.acting(Actor("tom", {1: "viewer"}))
        await launching.approve_run(viewer, status.run, None)
    amount = launching.may_cost(workspace, await workspace.find_run(status.run))
    await launching.approve_run(workspace.acting(MEI), status.run, amount)
    done = await until(workspace, status.run, "done")
    assert done.done == 4
    assert (await workspace.find_run(status.run)).approved_by == "mei"


async def test_what_needs_no_second_person_cannot_cost_more_than_that(
    workspace: Workspace,
) -> None:
    await set_team(workspace, approve_above=5 * NANO)
    run = await launching.plan(workspace.acting(LIN), "run", "copy", limit=1)
    assert run.budget == 5 * NANO
    trial = await launching.plan(workspace.acting(LIN), "trial", "copy", size=2)
    assert trial.budget == 5 * NANO
    dear = await launching.plan(workspace.acting(LIN), "run", "copy", limit=1, budget=6)
    assert await launching.waits_for(workspace, dear) is not None


async def test_a_budget_that_rises_withdraws_the_approval(workspace: Workspace) -> None:
    await set_team(workspace, approve_above=5 * NANO)
    run = await launching.plan(workspace.acting(LIN), "run", "copy", limit=1)
    await launching.set_budget(workspace.acting(LIN), run.name, 9)
    with pytest.raises(Conflict, match="second person"):
        await launching.start(workspace.acting(LIN), run.name)


async def test_a_team_without_money_starts_nothing(workspace: Workspace) -> None:
    await set_team(workspace, monthly_budget=0)
    run = await launching.plan(workspace, "run", "copy", limit=1)
    with pytest.raises(LimitReached, match="month") as caught:
        await launching.start(workspace, run)
    assert caught.value.limit == "team"


async def test_a_foreign_teams_run_is_not_there(workspace: Workspace) -> None:
    run = await launching.plan(workspace, "run", "copy", limit=1)
    stranger = workspace.acting(Actor("zoe", {2: "admin"}))
    for refused in (
        launching.start(stranger, run.name), launching.approve_run(stranger, run.name, 1),
        launching.set_budget(stranger, run.name, 1), launching.resume(stranger, run.name),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            await refused


async def test_a_budget_raised_after_the_start_was_allowed_is_refused_at_the_claim(
    workspace: Workspace,
) -> None:
    await set_team(workspace, approve_above=5 * NANO)
    run = await launching.plan(workspace.acting(LIN), "run", "copy", limit=1)
    assert await launching.waits_for(workspace, run) is None
    await launching.set_budget(workspace.acting(LIN), run.name, 9)
    run = await workspace.find_run(run.name)
    reason = await launching.waits_for(workspace, run)
    for work in (workspace.work(run), workspace.resume(run.name)):  # as the command line does
        with pytest.raises(Conflict) as caught:
            await work
        assert str(caught.value) == f"run {run.name} {reason}"
    assert (await workspace.find_run(run.name)).epoch == run.epoch


async def test_a_run_planned_before_its_team_had_a_limit_keeps_to_it_when_it_is_worked(
    workspace: Workspace,
) -> None:
    run = await launching.plan(workspace, "run", "copy", limit=1)
    assert run.budget is None
    await set_team(workspace, approve_above=5 * NANO)
    assert (await workspace.resume(run.name)).state == "done"
    assert (await workspace.find_run(run.name)).budget == 5 * NANO


async def test_a_budget_does_not_rise_past_the_limit_under_a_worker(workspace: Workspace) -> None:
    await set_team(workspace, approve_above=5 * NANO)
    run = await launching.plan(workspace.acting(LIN), "run", "copy", limit=1)
    claimed = await workspace.database.write(store_runs.claim, run.id, "elsewhere:1:1")
    with pytest.raises(Conflict, match="pause it"):  # it was read before it was claimed
        await workspace.database.write(store_runs.set_budget, run, 9 * NANO)
    assert (await workspace.find_run(run.name)).budget == claimed.budget == 5 * NANO


async def test_who_raised_the_budget_does_not_approve_it(workspace: Workspace) -> None:
    await set_team(workspace, approve_above=5 * NANO)
    run = await launching.plan(workspace.acting(LIN), "run", "copy", limit=1)
    await launching.set_budget(workspace.acting(MEI), run.name, 9)
    with pytest.raises(Forbidden, match="you raised"):
        await launching.approve_run(workspace.acting(MEI), run.name, 9)
    with pytest.raises(Forbidden, match="your own"):
        await launching.approve_run(workspace.acting(LIN), run.name, 9)
    assert (await workspace.find_run(run.name)).approved_by is None


async def test_an_approval_is_of_the_amount_that_was_seen(workspace: Workspace) -> None:
    await set_team(workspace, approve_above=5 * NANO)
    run = await launching.plan(workspace.acting(LIN), "run", "copy", limit=1, budget=6)
    await launching.set_budget(workspace.acting(LIN), run.name, 900)
    for seen in (6, None):
        with pytest.raises(Conflict, match="may cost 900 USD"):
            await launching.approve_run(workspace.acting(MEI), run.name, seen)
    assert (await workspace.find_run(run.name)).approved_by is None
    await launching.approve_run(workspace.acting(MEI), run.name, 900)
    await until(workspace, run.name, "done")


async def owned_elsewhere(workspace: Workspace, run: Run, heard: float) -> None:
    """Have a worker of another machine own a run; it was heard so many seconds ago."""

    def own(conn: Connection) -> None:
        store_runs.claim(conn, run.id, "elsewhere:1:1")
        store_runs.set_run(conn, run.id, {"heartbeat": time.time() - heard})

    await workspace.database.write(own)


async def test_a_run_whose_worker_died_on_another_machine_is_started_and_tried_again(
    workspace: Workspace,
) -> None:
    first = await launching.plan(workspace, "run", "copy", limit=1)
    second = await launching.plan(workspace, "run", "copy", limit=2)
    await owned_elsewhere(workspace, first, 1)
    for refused in (
        launching.start(workspace, first.name),
        launching.resume(workspace, first.name, retry_failed=True),
    ):
        with pytest.raises(Conflict, match="being worked"):
            await refused
    for run in (first, second):
        await workspace.database.write(store_runs.set_run, run.id, {"owner": None})
        await owned_elsewhere(workspace, run, store_runs.ALIVE_SECONDS + 1)
    await launching.start(workspace, first.name)
    await launching.resume(workspace, second.name, retry_failed=True)
    await until(workspace, first.name, "done")
    await until(workspace, second.name, "done")


async def test_a_run_is_never_there_without_its_limit_and_its_entry(workspace: Workspace) -> None:
    await set_team(workspace, approve_above=5 * NANO)
    prepared = await prepare(workspace, workspace.assemble("copy"), {"limit": 2}, "trial")
    seen: list[tuple[str, int | None, int]] = []

    def cut_off(_conn: Connection, run: Run, items: int) -> None:
        seen.append((run.state, run.budget, items))
        raise Conflict("cut off")

    order = order_run(workspace.settings, prepared, {}, "trial")
    with pytest.raises(Conflict, match="cut off"):
        await plan_run(workspace.database, replace(order, opened=cut_off))
    assert seen == [("planning", 5 * NANO, 2)]
    assert await workspace.runs() == []
    run = await launching.plan(workspace.acting(LIN), "run", "copy", limit=2)
    (entry,) = (await entries(workspace, action="run.plan")).rows
    assert (entry.by, entry.subject, entry.detail["items"]) == ("lin", f"run {run.name}", 2)


async def test_the_next_look_at_a_trial_begins_the_rival_a_gone_server_left(
    workspace: Workspace,
) -> None:
    trial = await launching.plan(workspace, "trial", "copy", size=1, against="default")
    rival = trial.plan["rival"]
    await launching.begin_rivals(workspace)
    assert (await workspace.status(rival)).state == "planned"
    await workspace.resume(trial.name)  # worked, and no server waited for its end
    await launching.begin_rival(
        workspace.acting(Actor("tom", {1: "viewer"})), await workspace.find_run(trial.name)
    )
    assert (await workspace.status(rival)).state == "planned"
    look = await workspace.find_run(trial.name)
    await asyncio.gather(*(launching.begin_rival(workspace, look) for _ in range(3)))
    await until(workspace, rival, "done")
    assert (await workspace.find_run(rival)).epoch == 1


async def test_a_rival_that_may_not_be_worked_says_why_and_waits(workspace: Workspace) -> None:
    trial = await launching.plan(workspace, "trial", "copy", size=1, against="default")
    await workspace.resume(trial.name)
    await set_team(workspace, monthly_budget=0)
    await launching.begin_rivals(workspace)
    rival = await workspace.status(trial.plan["rival"])
    assert (rival.state, rival.owner) == ("planned", None)
    assert "month" in (rival.reason or "")
