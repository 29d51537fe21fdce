"""A run's several workers: each writes under a row of its own, and not any more once shut out."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Connection, func, select, text
from tests.planned import claimed, item_rows, planned

from waremill.errors import Conflict, DatabaseGone
from waremill.store import items as store_items
from waremill.store import runs as store_runs
from waremill.store import workers as store_workers
from waremill.store.database import Database
from waremill.store.journal import Journal
from waremill.store.runs import Run
from waremill.store.tables import recordings
from waremill.store.workers import Hold


def note(number: int) -> dict[str, object]:
    """A row to write."""
    return {"item_id": number, "name": "n", "value": "1"}


async def noted(database: Database) -> int:
    """How many such rows there are."""
    query = select(func.count()).select_from(recordings)
    return int(await database.read(lambda conn: conn.execute(query).scalar_one()))


async def test_two_workers_of_a_run_write_beside_each_other(database: Database) -> None:
    run = await claimed(database, await planned(database))
    for number in range(2):
        worker = await database.write(store_workers.enrol, run)
        await Journal(database, Hold(run, worker)).put("recordings", [note(number)])
    assert await noted(database) == 2


async def test_a_worker_that_was_shut_out_writes_nothing_more(database: Database) -> None:
    run = await claimed(database, await planned(database))
    worker = await database.write(store_workers.enrol, run)
    late = Journal(database, Hold(run, worker))
    await late.put("recordings", [note(1)])
    await database.write(store_workers.shut_out, worker)
    with pytest.raises(Conflict, match="taken over"):
        await late.put("recordings", [note(2)])
    with pytest.raises(Conflict, match="taken over"):
        await database.write(Hold(run, worker).beat, {})
    assert await noted(database) == 1


@pytest.mark.parametrize("by", ["claim", "stop", "revive"])
async def test_whoever_takes_a_run_shuts_its_workers_out(database: Database, by: str) -> None:
    run = await claimed(database, await planned(database))
    worker = await database.write(store_workers.enrol, run)

    def take(conn: Connection) -> None:
        if by == "claim":
            store_runs.claim(conn, run.id, "other:1:1", is_dead=lambda _owner: True)
        elif by == "stop":
            store_runs.stop_orphan(conn, run, "paused", "test")
        else:
            store_items.revive_run(conn, run)

    await database.write(take)
    with pytest.raises(Conflict, match="taken over"):
        await Journal(database, Hold(run, worker)).put("recordings", [note(1)])
    with pytest.raises(Conflict, match="taken over"):
        await database.write(store_workers.enrol, run)


async def test_a_worker_hears_what_is_left_for_its_run(database: Database) -> None:
    run = await claimed(database, await planned(database))
    worker = await database.write(store_workers.enrol, run)
    hold = Hold(run, worker)
    assert await database.write(hold.beat, {"worked": 3}) is None
    await database.write(store_runs.leave_command, run, "pause")
    assert await database.write(hold.beat, {"worked": 5}) == "pause"
    assert await database.read(store_workers.progress_of, run) == [{"worked": 5}]


async def spans(database: Database, run: Run, size: int) -> list[tuple[int, int, int]]:
    """All spans of a run as (after, last, how many)."""
    found, after = [], 0
    while (span := await database.read(store_items.pending_span, run, after, size)) is not None:
        found.append((after, *span))
        after = span[0]
    return found


async def test_spans_cover_what_is_pending_once(database: Database) -> None:
    run = await claimed(database, await planned(database, 25))
    ids = [row.id for row in await item_rows(database, run)]
    cut = await spans(database, run, 10)
    assert [count for _, _, count in cut] == [10, 10, 5]
    covered = [one for after, last, _ in cut for one in ids if after < one <= last]
    assert covered == ids


async def test_a_products_targets_are_not_torn_apart(database: Database) -> None:
    targets = ("de-DE@shop", "fr-FR@shop", "en-US@shop")
    run = await claimed(database, await planned(database, 4, targets=targets))
    assert [count for _, _, count in await spans(database, run, 4)] == [6, 6]


async def test_a_group_is_not_torn_apart(database: Database) -> None:
    rows = [{"sku": f"P{n}", "name": "Eau", "spu": f"G{n // 4}"} for n in range(8)]
    run = await claimed(database, await planned(database, rows, groups=True))
    assert [count for _, _, count in await spans(database, run, 3)] == [4, 4]


async def test_a_commit_whose_word_was_lost_is_not_made_twice(database: Database) -> None:
    run = await claimed(database, await planned(database))
    hold = Hold(run)
    await database.write(hold.commit, 7)
    assert await database.read(hold.committed, 7)
    assert not await database.read(hold.committed, 8)


async def test_a_run_waits_while_its_database_breaks_connections(migrated_postgres: str) -> None:
    database, other = Database(migrated_postgres), Database(migrated_postgres)
    run = await claimed(database, await planned(database))
    journal = Journal(database, run)
    end = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    before = await noted(database)
    database.patience = 30
    for number in range(20):
        ended = asyncio.create_task(other.write(lambda conn: conn.execute(end)))
        await journal.put("recordings", [note(1000 + number)])
        await journal.beat({"worked": number})
        await ended
    assert await noted(database) == before + 20
    database.patience = 0
    await other.write(lambda conn: conn.execute(end))
    await database.read(lambda conn: conn.execute(text("SELECT 1")))  # a pool looks before it leaps
    await database.close()
    await other.close()


async def test_a_database_that_stays_away_is_said_so(tmp_path: object) -> None:
    database = Database("postgresql://nobody@127.0.0.1:9/none")
    database.patience = 1.0
    with pytest.raises(DatabaseGone, match="does not answer"):
        await database.read(lambda conn: conn.execute(text("SELECT 1")))
    await database.close()
