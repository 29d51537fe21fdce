"""A worker of a cluster waits for a database that is away, and leaves its fellows their part."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import Connection, text
from tests.workspaces import PRICE, make_workspace, perfumes, vendor_process, write_sheet

from waremill.app import Workspace, launching, open_workspace
from waremill.app.clustering import open_part
from waremill.app.working import owner_name
from waremill.store import runs as store_runs
from waremill.store import workers as store_workers
from waremill.store.database import Database
from waremill.store.runs import Run

LAST = 2**31


@pytest_asyncio.fixture
async def workspace(tmp_path: Path, database_url: str) -> AsyncIterator[Workspace]:
    """An open workspace with ten products."""
    with vendor_process("--latency", "0.01") as url:
        folder = make_workspace(tmp_path / "shop", url, database=database_url, model=PRICE)
        async with open_workspace(folder) as opened:
            await opened.import_catalog([write_sheet(folder / "p.csv", perfumes(10))], key="sku")
            yield opened


async def claimed(workspace: Workspace, budget: float | None = None) -> Run:
    """Plan a run and own it, as a driver does."""
    run = await launching.plan(workspace, "run", "copy", budget=budget)
    return await workspace.database.write(store_runs.claim, run.id, owner_name())


async def break_one_that_waits(other: Database) -> None:
    """End the connection that waits for a lock, once there is one."""
    ended = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    for _ in range(1000):
        if await other.read(lambda conn: conn.execute(ended).all()):
            return
        await asyncio.sleep(0.01)
    raise AssertionError


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_worker_goes_on_when_its_connection_breaks(
    workspace: Workspace, database_url: str
) -> None:
    run = await claimed(workspace)
    worker = await workspace.database.write(store_workers.enrol, run)
    other = Database(database_url)
    async with open_part(str(workspace.settings.root), run.id, run.epoch, worker) as work:
        with workspace.database.engine.connect() as conn, conn.begin():
            conn.execute(text("LOCK TABLE answers IN SHARE MODE"))
            working = asyncio.ensure_future(work((0, LAST)))
            await break_one_that_waits(other)
        assert (await working).state == "done"
    await other.close()
    counted = text("SELECT count(*), count(DISTINCT request_hash) FROM calls")

    def calls(conn: Connection) -> tuple[int, ...]:
        return tuple(conn.execute(counted).one())

    assert await workspace.database.read(calls) == (10, 10)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_however_many_workers_share_a_budget_none_of_them_holds_it_all(
    workspace: Workspace,
) -> None:
    """With slices as large as a single process draws them, 64 workers would leave 65 nothing."""
    run = await claimed(workspace, 100.0)
    crew = [await workspace.database.write(store_workers.enrol, run) for _ in range(100)]
    root = str(workspace.settings.root)
    async with open_part(root, run.id, run.epoch, crew[0]) as work:
        assert (await work((0, LAST))).state == "done"
        at_work = await workspace.database.read(store_runs.get_run, run.id)
        assert at_work.budget is not None
        paid = await workspace.database.read(store_workers.progress_of, run)
        assert at_work.drawn - paid[0]["paid"] < at_work.budget // 100
    given_back = await workspace.database.read(store_runs.get_run, run.id)
    assert given_back.drawn == paid[0]["paid"] > 0
