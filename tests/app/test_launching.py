"""Runs are worked by processes that outlive whoever launched them; dear ones need two people."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import update
from tests.workspaces import make_workspace, perfumes, vendor_process, write_sheet

from waremill.app import RunStatus, Workspace, launching, open_workspace
from waremill.app.acting import Actor
from waremill.errors import ConfigError, Conflict, Forbidden, LimitReached, NotFound
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
        await launching.approve_run(mine, status.run)
    with pytest.raises(Forbidden):
        viewer = workspace.acting(Actor("tom", {1: "viewer"}))
        await launching.approve_run(viewer, status.run)
    await launching.approve_run(workspace.acting(MEI), status.run)
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
        launching.start(stranger, run.name), launching.approve_run(stranger, run.name),
        launching.set_budget(stranger, run.name, 1), launching.resume(stranger, run.name),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            await refused
