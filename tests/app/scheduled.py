"""A shop with a vendor for the tests of schedules, and how they are fired there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Connection, select
from tests.workspaces import make_workspace, perfumes, vendor_process, write_sheet

from waremill.app import Workspace, launching, open_workspace
from waremill.app.options import TaskOptions
from waremill.app.scheduling import schedules
from waremill.app.scheduling.leading import Scheduler
from waremill.app.scheduling.schedules import SlotView, Wanted
from waremill.store import runs as store_runs
from waremill.store import schedules as store
from waremill.store.tables import items, products, runs

DAY = 86_400.0
FILL = """\
name: blurb
instruction: Write in English.
input:
  - name: {required: true}
output:
  blurb: {type: string, max_chars: 80, write: fill}
"""


@pytest.fixture(scope="module")
def vendor() -> Any:
    """A vendor that answers at once."""
    with vendor_process() as url:
        yield url


@pytest_asyncio.fixture
async def shop(tmp_path: Path, vendor: str, database_url: str) -> AsyncIterator[Workspace]:
    """An open workspace with eight products, on either database."""
    files = {"templates/blurb.yaml": FILL}
    folder = make_workspace(tmp_path / "shop", vendor, database=database_url, files=files)
    async with open_workspace(folder) as workspace:
        await feed(workspace, perfumes(8, tmp_path.name))
        yield workspace


async def feed(workspace: Workspace, rows: list[dict[str, str]]) -> None:
    sheet = write_sheet(workspace.settings.root / "perfumes.csv", rows)
    await workspace.import_catalog([sheet], key="sku")


def nightly(**changes: Any) -> Wanted:
    return replace(Wanted("nightly", "copy", "0 3 * * *", 5.0, "UTC"), **changes)


async def plan_only(workspace: Workspace, **options: Any) -> list[str]:
    """The keys a run of a task would have, without one."""
    found = await schedules.find(workspace, "nightly")
    given: TaskOptions = {**schedules.options_of(found), **options}
    run = await launching.plan(workspace, "run", found.pipeline, **given)
    return await keys(workspace, run.name)


async def keys(workspace: Workspace, run: str) -> list[str]:
    def read(conn: Connection) -> list[str]:
        query = (
            select(products.c.key)
            .join(items, items.c.product_id == products.c.id)
            .join(runs, runs.c.id == items.c.run_id)
            .where(runs.c.name == run)
            .order_by(products.c.key)
        )
        return list(conn.execute(query).scalars())

    return await workspace.database.read(read)


async def work_here(workspace: Workspace, **options: Any) -> str:
    """Work a run of the schedule in this process, noted as its slot's; give its name."""
    found = await schedules.find(workspace, "nightly")
    given: TaskOptions = {**schedules.options_of(found), **options}

    def note(conn: Connection, run: store_runs.Run) -> None:
        at = store_runs.clock(conn)
        slot = store.insert_slot(conn, found, at, store.DUE, run_id=run.id)
        assert slot is not None
        store.settle_slot(conn, slot, store.RUN)

    run = await launching.plan(workspace, "run", found.pipeline, note, **given)
    await workspace.work(run)
    return run.name


async def fire(workspace: Workspace, name: str = "nightly") -> SlotView:
    """Fire a slot now and wait until it is settled."""
    slot = await schedules.run_now(workspace, name)
    await Scheduler(workspace).fire_now(slot)
    return await settled(workspace, name)


async def settled(workspace: Workspace, name: str = "nightly") -> SlotView:
    """Lead until a schedule's newest slot is settled."""
    scheduler = Scheduler(workspace)
    try:
        for _ in range(300):
            await scheduler.tick()
            last = (await schedules.show(workspace, name)).last
            if last is not None and not last.slot.live:
                return last
            await asyncio.sleep(0.1)
    finally:
        await scheduler.close()
    raise AssertionError(last)


async def passed(
    workspace: Workspace, seconds: float, name: str = "nightly", *, at: float | None = None
) -> None:
    """Let a schedule's next slot lie so long back, or at a moment."""

    def write(conn: Connection) -> None:
        found = store.find_schedule(conn, name)
        moment = store_runs.clock(conn) - seconds if at is None else at
        store.set_schedule(conn, found.id, next_at=moment)

    await workspace.database.write(write)


async def tick(workspace: Workspace, times: int = 1) -> None:
    """Look at the clock, and leave the rest."""
    scheduler = Scheduler(workspace)
    for _ in range(times):
        await scheduler.tick()
    await scheduler.close()


async def states(workspace: Workspace, name: str = "nightly") -> list[str]:
    page = await schedules.history(workspace, name)
    return [one.slot.state for one in page.rows]
