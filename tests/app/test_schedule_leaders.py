"""Several processes over one database: one leads, another takes over, no slot is fired twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.workspaces import (
    make_workspace,
    perfumes,
    start_waremill,
    vendor_process,
    vendor_stats,
    write_sheet,
)

from waremill.app import Workspace, open_workspace
from waremill.app.scheduling import schedules
from waremill.app.scheduling.leading import LEASE_SECONDS, Scheduler
from waremill.app.scheduling.schedules import Wanted
from waremill.errors import Conflict
from waremill.store import runs as store_runs
from waremill.store import schedules as store
from waremill.store.database import Database


def nobody_is_dead(_owner: str) -> bool:
    return False


async def test_one_leads_until_its_lease_ends(database: Database) -> None:
    first = await database.write(store.take_lead, "one", 0.2, nobody_is_dead)
    assert first is not None
    assert await database.write(store.take_lead, "two", 10, nobody_is_dead) is None
    assert await database.write(store.take_lead, "one", 0.2, nobody_is_dead) == first
    await asyncio.sleep(0.3)
    second = await database.write(store.take_lead, "two", 10, nobody_is_dead)
    assert second is not None and second.epoch == first.epoch + 1
    with pytest.raises(Conflict, match="another server leads"):
        await database.write(store.hold, first)
    await database.write(store.hold, second)


async def test_a_leader_that_is_known_to_be_gone_is_replaced_at_once(database: Database) -> None:
    await database.write(store.take_lead, "one", 60, nobody_is_dead)
    taken = await database.write(store.take_lead, "two", 60, lambda owner: owner == "one")
    assert taken is not None and await database.read(store.leader) == "two"


async def test_who_leaves_makes_room(database: Database) -> None:
    lead = await database.write(store.take_lead, "one", 60, nobody_is_dead)
    assert lead is not None
    await database.write(store.leave_lead, lead)
    assert await database.read(store.leader) is None
    assert await database.write(store.take_lead, "two", 60, nobody_is_dead) is not None


async def test_a_slot_is_there_once(database: Database) -> None:
    def write(conn: store.Connection) -> list[bool]:
        made = store.insert_schedule(
            conn,
            {"name": "nightly", "team_id": 1, "pipeline": "copy", "cron": "@daily",
             "timezone": "UTC", "options": {}, "only": (), "source": None, "budget": 1,
             "trial": None, "accuracy": None, "overlap": "skip", "catch_up": "once",
             "active": True, "next_at": 1.0, "by": "local"},
        )  # fmt: skip
        return [store.insert_slot(conn, made, 1.0, store.DUE) is not None for _ in range(2)]

    assert await database.write(write) == [True, False]


@pytest.fixture
def two(tmp_path: Path, database_url: str) -> Iterator[tuple[Path, str]]:
    """A workspace with a schedule of every minute, and its vendor."""
    with vendor_process() as url:
        folder = make_workspace(tmp_path / "shop", url, database=database_url)
        yield folder, url


async def begun(folder: Path) -> subprocess.Popen[str]:
    """Start a scheduler and wait until it says so."""
    process = start_waremill(folder, "schedule", "work", "--json")
    assert process.stdout is not None
    assert (await asyncio.to_thread(process.stdout.readline)).startswith("{")
    return process


async def due(workspace: Workspace, seconds: float) -> float:
    """Let the schedule be due some seconds ago; give the moment."""
    found = await schedules.find(workspace, "often")
    at = await workspace.database.read(store_runs.clock) - seconds
    await workspace.database.write(lambda conn: store.set_schedule(conn, found.id, next_at=at))
    return at


async def ended(workspace: Workspace, count: int) -> None:
    """Wait until so many slots have brought a run that is done."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        page = await schedules.history(workspace, "often")
        states = Counter(one.run.state for one in page.rows if one.run is not None)
        if states["done"] == count and not any(one.slot.live for one in page.rows):
            return
        await asyncio.sleep(0.1)
    raise AssertionError([one.as_json() for one in page.rows])


async def test_of_two_processes_one_fires_and_the_other_takes_over_when_it_is_killed(
    two: tuple[Path, str],
) -> None:
    folder, url = two
    async with open_workspace(folder) as workspace:
        sheet = write_sheet(folder / "perfumes.csv", perfumes(4))
        await workspace.import_catalog([sheet], key="sku")
        await schedules.add(workspace, Wanted("often", "copy", "0 3 1 1 *", 5.0, "UTC"))
        processes = [await begun(folder) for _ in range(2)]
        try:
            await due(workspace, 1)
            await ended(workspace, 1)
            owner = await workspace.database.read(store.leader)
            assert owner is not None
            leads = int(owner.split(":")[1])
            assert leads in [one.pid for one in processes]
            os.kill(leads, signal.SIGKILL)
            started = time.monotonic()
            await due(workspace, 1)
            await ended(workspace, 2)
            assert time.monotonic() - started < LEASE_SECONDS + 30
            other = await workspace.database.read(store.leader)
            assert other is not None and other != owner
        finally:
            for process in processes:
                process.kill()
                process.communicate()
        page = await schedules.history(workspace, "often")
        assert [one.slot.state for one in page.rows] == ["run", "run"]
        assert len(await workspace.runs()) == 2
        assert vendor_stats(url)["calls"] == 4, "the second run is linked to the first"


async def test_a_leader_that_lost_the_lead_can_begin_nothing(two: tuple[Path, str]) -> None:
    """As when its process was stopped for a while: what it goes on with is no longer its own."""
    folder, _ = two
    async with open_workspace(folder) as workspace:
        sheet = write_sheet(folder / "perfumes.csv", perfumes(4))
        await workspace.import_catalog([sheet], key="sku")
        await schedules.add(workspace, Wanted("often", "copy", "0 3 1 1 *", 5.0, "UTC"))
        await schedules.run_now(workspace, "often")
        late = Scheduler(workspace)
        await late.tick()  # its slot is on its way
        taken = await workspace.database.write(
            store.take_lead, "other:1:1", 60, lambda _owner: True
        )
        assert taken is not None
        await asyncio.sleep(3)
        await late.close()
        found = (await schedules.show(workspace, "often")).last
        assert found is not None and found.slot.state == "due" and found.run is None
        assert await workspace.runs() == []
