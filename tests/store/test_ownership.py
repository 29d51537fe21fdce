"""A run has one owner at a time; who lost it cannot write any more."""

from __future__ import annotations

import threading

import pytest
from tests.planned import claimed, planned

from waremill.errors import Conflict, NotFound
from waremill.store import runs as store
from waremill.store.database import Database
from waremill.store.runs import ALIVE_SECONDS


async def test_claiming_raises_the_epoch_and_starts_the_run(database: Database) -> None:
    run = await planned(database)
    mine = await claimed(database, run, "me")
    assert (mine.owner, mine.epoch, mine.state) == ("me", run.epoch + 1, "running")
    assert mine.started_at is not None


@pytest.mark.parametrize("owner", ["me", "you"])
async def test_a_run_with_a_live_owner_cannot_be_claimed(database: Database, owner: str) -> None:
    run = await planned(database)
    await claimed(database, run, "me")
    with pytest.raises(Conflict, match="being worked by me"):
        await claimed(database, run, owner)


async def test_a_silent_owner_loses_the_run(database: Database) -> None:
    run = await planned(database)
    first = await claimed(database, run, "me")
    assert first.heartbeat is not None
    old = {"heartbeat": first.heartbeat - ALIVE_SECONDS - 1}
    await database.write(store.set_run, run.id, old)
    second = await claimed(database, run, "you")
    assert second.epoch == first.epoch + 1
    for late in (
        database.write(store.beat, first, {}),
        database.write(store.release, first, "done", None, 1.0),
    ):
        with pytest.raises(Conflict, match="taken over"):
            await late
    assert not await database.write(store.draw, first, 1)
    now = await database.read(store.get_run, run.id)
    assert (now.owner, now.state) == ("you", "running")


async def test_an_owner_known_to_be_dead_loses_the_run_at_once(database: Database) -> None:
    run = await planned(database)
    await claimed(database, run, "me")
    second = await database.write(store.claim, run.id, "you", is_dead=lambda _owner: True)
    assert second.owner == "you"


@pytest.mark.parametrize("state", ["done", "cancelled"])
async def test_an_ended_run_cannot_be_claimed(database: Database, state: str) -> None:
    run = await planned(database)
    await database.write(store.set_run, run.id, {"state": state})
    with pytest.raises(Conflict, match=state):
        await claimed(database, run)


async def test_of_many_who_claim_at_once_one_wins(database: Database, database_url: str) -> None:
    run = await planned(database)
    won: list[int] = []
    start = threading.Barrier(6)

    def claim(number: int) -> None:
        own = Database(database_url)
        start.wait()
        try:
            taken = own.transact(True, lambda conn: store.claim(conn, run.id, f"p{number}"))
            won.append(taken.epoch)
        except Conflict:
            pass
        finally:
            own.engine.dispose()
            own._thread.shutdown()

    threads = [threading.Thread(target=claim, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [run.epoch + 1]


async def test_a_command_reaches_the_owner_with_its_next_beat(database: Database) -> None:
    run = await planned(database)
    assert not await database.write(store.leave_command, run, "pause")
    mine = await claimed(database, run)
    assert await database.write(store.beat, mine, {"worked": 1}) is None
    assert await database.write(store.leave_command, run, "pause")
    assert await database.write(store.beat, mine, {"worked": 2}) == "pause"
    await database.write(store.release, mine, "paused", "paused by a user", 2.5)
    after = await database.read(store.get_run, run.id)
    assert (after.owner, after.command, after.state) == (None, None, "paused")
    assert after.worked_seconds == 2.5
    assert after.progress == {"worked": 2}
    again = await claimed(database, run)
    assert again.command is None


async def test_stopping_an_orphan_shuts_its_late_owner_out(database: Database) -> None:
    run = await planned(database)
    first = await claimed(database, run)
    assert await database.write(store.stop_orphan, first, "cancelled", "cancelled by a user")
    assert not await database.write(store.stop_orphan, first, "paused", "again")
    with pytest.raises(Conflict):
        await database.write(store.beat, first, {})
    assert (await database.read(store.get_run, run.id)).state == "cancelled"


async def test_a_run_is_found_by_name_prefix_or_last(database: Database) -> None:
    with pytest.raises(NotFound, match="no run yet"):
        await database.read(store.find_run, "last")
    first, second = await planned(database), await planned(database)
    assert (await database.read(store.find_run, first.name)).id == first.id
    assert (await database.read(store.find_run, "last")).id == second.id
    with pytest.raises(NotFound, match="more than one"):
        await database.read(store.find_run, first.name[:4])
    for wrong in ("zzz", "%", "_"):
        with pytest.raises(NotFound, match="no run"):
            await database.read(store.find_run, wrong)
