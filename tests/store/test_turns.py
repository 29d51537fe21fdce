"""Whose turn it is: leases, the next item through an index, items as they are shown."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text, update
from tests.planned import claimed, item_rows, planned

from waremill.errors import NotFound
from waremill.store import reviewing as store
from waremill.store import runs as store_runs
from waremill.store import verdicts
from waremill.store.database import Database
from waremill.store.journal import Journal, result_row
from waremill.store.reviewing import Wanted
from waremill.store.runs import Run
from waremill.store.tables import items, leases
from waremill.store.verdicts import Decision


async def finished(database: Database, count: int = 3, **order: Any) -> Run:
    """A run whose items all wait, with a result each."""
    run = await claimed(database, await planned(database, count, **order))
    journal = Journal(database, run)
    for row in await item_rows(database, run):
        if row.state == "pending":
            place = (row.id, row.product_id, row.target)
            journal.add("results", [result_row(place, "copy", {"title": f"by {row.id}"})])
            journal.add("items", [
                {"b_id": row.id, "state": "ready", "attempts": 1, "findings": 0, "paid": 1,
                 "list_cost": 1, "latency": 0.1, "error": None}
            ])  # fmt: skip
    await journal.committed()
    await database.write(store_runs.release, run, "done", None, 1.0)
    return run


async def next_for(database: Database, run: Run, holder: str) -> int | None:
    wanted = Wanted(run.id, ("review", "ready"))
    ids = await database.read(store.candidates, wanted, holder)
    return await database.write(store.lease_one, wanted, ids, holder)


async def test_a_lease_is_one_holders_until_it_ends(database: Database) -> None:
    run = await finished(database, 1)
    item = (await item_rows(database, run))[0].id
    assert await database.write(store.take_lease, item, "Ann")
    assert await database.write(store.take_lease, item, "Ann")
    assert not await database.write(store.take_lease, item, "Bob")
    assert await database.read(store.lease_holder, item) == "Ann"
    await database.write(store.drop_lease, item, "Bob")
    assert await database.read(store.lease_holder, item) == "Ann"
    over = update(leases).values(until=leases.c.until - store.LEASE_SECONDS)
    await database.write(lambda conn: conn.execute(over))
    assert await database.read(store.lease_holder, item) is None
    assert await database.write(store.take_lease, item, "Bob")


async def test_many_who_ask_at_once_in_two_processes_get_different_items(
    database: Database,
) -> None:
    run = await finished(database, 12)
    other = Database(database.url)
    try:
        found = await asyncio.gather(
            *(next_for((database, other)[n % 2], run, f"desk {n}") for n in range(10))
        )
    finally:
        await other.close()
    given = [one for one in found if one is not None]
    assert len(given) == len(set(given)) >= 9  # a desk that came too late looks again


async def test_what_was_judged_between_look_and_lease_is_not_leased(database: Database) -> None:
    run = await finished(database, 2)
    wanted = Wanted(run.id, ("review", "ready"))
    ids = await database.read(store.candidates, wanted, "Ann")
    accept = Decision("accept", "accepted", "Bob")
    await database.write(verdicts.judge, run.id, ids[0], None, lambda _view: accept)
    assert await database.write(store.lease_one, wanted, ids, "Ann") == ids[1]


async def test_the_next_item_is_found_without_reading_the_table(database: Database) -> None:
    run = await finished(database, 50)
    wanted = Wanted(run.id, ("review", "ready"))
    query = wanted.query(items.c.id, state="ready").where(items.c.id > 7).order_by(items.c.id)
    compiled = query.limit(20).compile(database.engine, compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN QUERY PLAN" if database.dialect == "sqlite" else "EXPLAIN"

    def plan(conn: Any) -> str:
        if database.dialect == "postgresql":
            conn.execute(text("SET LOCAL enable_seqscan = off"))  # so few rows fit one page
        rows = conn.execute(text(f"{explain} {compiled}")).all()
        return "\n".join(str(row[-1]) for row in rows)

    said = await database.read(plan)
    assert "ix_items_run_id_state_id" in said
    assert "TEMP B-TREE" not in said and "Sort" not in said


async def test_an_item_of_another_run_is_not_found(database: Database) -> None:
    first = await finished(database, 1)
    second = await finished(database, 1, fresh=True)
    item = (await item_rows(database, first))[0].id
    with pytest.raises(NotFound):
        await database.read(store.load_item, second.id, item)
    assert await database.read(store.load_items, second.id, [item, 999]) == []


async def test_many_items_are_read_in_the_order_of_their_ids(database: Database) -> None:
    run = await finished(database, 30)
    numbers = [row.id for row in await item_rows(database, run)]
    views = await database.read(store.load_items, run.id, list(reversed(numbers)))
    assert [view.id for view in views] == numbers
    assert [view.fields()["copy", "title"].values["title"] for view in views] == [
        f"by {number}" for number in numbers
    ]


async def test_the_version_grows_with_every_result_and_review(database: Database) -> None:
    run = await finished(database, 1)
    item = (await item_rows(database, run))[0].id
    versions = [(await database.read(store.load_item, run.id, item)).version]
    for verdict, state in (("accept", "accepted"), ("reject", "rejected"), ("undo", "ready")):
        decision = Decision(verdict, state, "Ann", "review 1" if verdict == "undo" else None)
        view = await database.write(verdicts.judge, run.id, item, versions[-1],
                                    lambda _view, decision=decision: decision)  # fmt: skip
        versions.append(view.version)
    assert versions == sorted(set(versions))


async def test_many_verdicts_leave_a_review_each_with_what_was_accepted(
    database: Database,
) -> None:
    run = await finished(database, 5)
    numbers = [row.id for row in await item_rows(database, run)]
    decision = Decision("accept", "accepted", "Ann", rule="accept all: all that wait")
    assert await database.write(verdicts.judge_many, run.id, numbers[:3], decision) == 3
    assert await database.write(verdicts.judge_many, run.id, numbers, decision) == 2
    for view in await database.read(store.load_items, run.id, numbers):
        (said,) = view.reviews
        assert (said.by, said.before, said.result_id) == ("Ann", "ready", view.newest)
