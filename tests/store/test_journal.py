"""Group commits: committed on return, look-ups together, nothing written once the run is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import event, func, select
from tests.planned import claimed, current_values, item_rows, item_states, planned

from waremill.errors import Conflict
from waremill.store import reporting
from waremill.store import runs as store_runs
from waremill.store.database import Database
from waremill.store.journal import Journal, result_row
from waremill.store.runs import Run
from waremill.store.tables import answers, calls, current, recordings, results


def answer(number: int, text: str = "reply") -> dict[str, Any]:
    return {
        "hash": number.to_bytes(16, "big"), "model": "test", "outcome": "complete", "text": text,
        "reported_model": "", "request_id": None, "request_bytes": 10, "input": 3, "cached": 0,
        "output": 2, "reasoning": 0, "list_cost": 5, "created_at": 0.0,
    }  # fmt: skip


def call(run: Run, number: int) -> dict[str, Any]:
    return {
        "run_id": run.id, "item_id": number, "step": "copy", "model": "default",
        "request_hash": number.to_bytes(16, "big"), "attempt": 1, "outcome": "complete",
        "status": 200, "request_id": None, "latency": 0.1, "input": 3, "cached": 0, "output": 2,
        "reasoning": 0, "paid": 5, "list_cost": 5, "error": None, "started_at": 0.0,
    }  # fmt: skip


def finished(item_id: int, state: str = "ready") -> dict[str, Any]:
    return {"b_id": item_id, "state": state, "attempts": 1, "findings": 0, "paid": 5,
            "list_cost": 5, "latency": 0.1, "error": None}  # fmt: skip


async def count(database: Database, table: Any) -> int:
    query = select(func.count()).select_from(table)
    return int(await database.read(lambda conn: conn.execute(query).scalar_one()))


async def test_what_put_returned_from_is_committed(database: Database, database_url: str) -> None:
    run = await claimed(database, await planned(database))
    await Journal(database, run).put("answers", [answer(1)])
    other = Database(database_url)
    assert await count(other, answers) == 1
    await other.close()


async def test_many_look_ups_are_few_queries_and_each_gets_its_own(database: Database) -> None:
    run = await claimed(database, await planned(database))
    journal = Journal(database, run)
    await journal.put("answers", [answer(n, f"text {n}") for n in range(0, 1200, 2)])
    seen: list[str] = []

    def listen(_c: Any, _k: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(database.engine, "before_cursor_execute", listen)
    found = await asyncio.gather(*(journal.find(n.to_bytes(16, "big")) for n in range(1200)))
    queries = [statement for statement in seen if "FROM answers" in statement]
    assert len(queries) <= 6
    for number, row in enumerate(found):
        assert (None if number % 2 else f"text {number}") == (row and row["text"])


async def test_puts_that_meet_share_one_transaction(database: Database) -> None:
    run = await claimed(database, await planned(database))
    journal = Journal(database, run)
    commits: list[int] = []
    event.listen(database.engine, "commit", lambda _conn: commits.append(1))
    await asyncio.gather(*(journal.put("answers", [answer(n)]) for n in range(300)))
    assert await count(database, answers) == 300
    assert len(commits) < 12


async def test_an_answer_is_kept_once_whoever_writes_it_again(database: Database) -> None:
    run = await claimed(database, await planned(database))
    journal = Journal(database, run)
    await journal.put("answers", [answer(1, "first"), answer(1, "second")])
    await journal.put("answers", [answer(1, "third")])
    row = await journal.find(answer(1)["hash"])
    assert row is not None
    assert row["text"] == "first"


async def test_everyone_learns_of_a_lost_run_and_nothing_is_written(database: Database) -> None:
    run = await claimed(database, await planned(database))
    journal = Journal(database, run)
    await journal.put("answers", [answer(1)])
    await database.write(store_runs.claim, run.id, "you", is_dead=lambda _owner: True)
    first = (await item_rows(database, run))[0]
    journal.add("calls", [call(run, 2)])
    journal.add("items", [finished(first.id)])
    waiting = [journal.put("answers", [answer(n)]) for n in range(2, 30)]
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(one, Conflict) for one in found)
    with pytest.raises(Conflict):
        await journal.put("answers", [answer(99)])
    assert await count(database, answers) == 1
    assert await count(database, calls) == 0
    assert await item_states(database, run) == ["pending"] * 3
    assert isinstance(journal.lost, Conflict)


async def test_a_lost_run_can_still_be_read(database: Database) -> None:
    run = await claimed(database, await planned(database))
    journal = Journal(database, run)
    await journal.put("answers", [answer(1)])
    await database.write(store_runs.claim, run.id, "you", is_dead=lambda _owner: True)
    assert await journal.find(answer(1)["hash"]) is not None


async def test_an_items_state_and_results_are_one_commit(database: Database) -> None:
    run = await claimed(database, await planned(database))
    journal = Journal(database, run)
    rows = await item_rows(database, run)
    for row in rows:
        place = (row.id, row.product_id, "")
        journal.add("results", [result_row(place, "copy", {"title": f"t{row.id}", "n": [1, 2]})])
        journal.add("items", [finished(row.id)])
    assert journal.backlog == 6
    await journal.committed()
    assert journal.backlog == 0
    assert await item_states(database, run) == ["ready"] * 3
    assert await count(database, results) == 3
    assert await count(database, current) == 6
    page = await database.read(reporting.item_page, run.id, 0)
    assert [item.fields["title"] for item in page] == [f"t{row.id}" for row in rows]


async def test_current_follows_the_newest_result(database: Database) -> None:
    run = await claimed(database, await planned(database))
    journal = Journal(database, run)
    row = (await item_rows(database, run))[0]
    place = (row.id, row.product_id, "de")
    await journal.put("results", [result_row(place, "a", {"title": "old", "body": "kept"})])
    twice = [result_row(place, "a", {"title": text}) for text in ("newer", "newest")]
    await journal.put("results", twice)
    values = await database.read(current_values, row.product_id, "de")
    assert values == {"title": "newest", "body": "kept"}
    assert await count(database, results) == 3


async def test_a_recording_keeps_its_first_value(database: Database) -> None:
    run = await claimed(database, await planned(database))
    journal = Journal(database, run)
    for value in ("1", "2"):
        await journal.put("recordings", [{"item_id": 1, "name": "clock", "value": value}])
    query = select(recordings.c.value)
    assert await database.read(lambda conn: conn.execute(query).scalars().all()) == ["1"]
