"""Taking back what a run made: what fields had before, and nothing of another run."""

from __future__ import annotations

from sqlalchemy import func, select
from tests.planned import current_values, item_rows
from tests.store.test_turns import finished

from waremill.store import changes as store
from waremill.store import verdicts
from waremill.store.database import Database
from waremill.store.runs import Run
from waremill.store.tables import current, items, results
from waremill.store.verdicts import Decision, Edited


async def titles(database: Database, run: Run) -> list[str | None]:
    """The current titles of a run's products."""
    return [
        (await database.read(current_values, row.product_id, row.target)).get("title")
        for row in await item_rows(database, run)
    ]


async def test_fields_get_back_what_they_had_before_the_run(database: Database) -> None:
    first = await finished(database, 3, targets=("de-DE", "fr-FR"))
    before = await titles(database, first)
    second = await finished(database, 3, targets=("de-DE", "fr-FR"), fresh=True)
    assert not set(before) & set(await titles(database, first))
    after, total = 0, 0
    while True:
        count, last = await database.write(store.revert_some, second, after, "Ann", 4)
        total += count
        if last is None:
            break
        after = last
    assert total == 6
    assert await titles(database, first) == before
    assert {row.state for row in await item_rows(database, second)} == {"rejected"}
    assert {row.state for row in await item_rows(database, first)} == {"ready"}


async def test_without_anything_before_there_is_no_current_value(database: Database) -> None:
    run = await finished(database, 3)
    await database.write(store.revert_some, run, 0, "Ann")
    left = select(func.count()).select_from(current)
    assert await database.read(lambda conn: conn.execute(left).scalar()) == 0
    made = select(func.count()).select_from(results)
    assert await database.read(lambda conn: conn.execute(made).scalar()) == 3


async def test_what_was_changed_after_the_run_stays(database: Database) -> None:
    first = await finished(database, 1)
    second = await finished(database, 1, fresh=True)
    row = (await item_rows(database, first))[0]
    edit = Edited("copy", row.product_id, "", {"title": "Ann's"})
    decision = Decision("edit", "edited", "Ann", edits=(edit,))
    await database.write(verdicts.judge, first.id, row.id, None, lambda _view: decision)
    await database.write(store.revert_some, second, 0, "Ann")
    assert await titles(database, first) == ["Ann's"]


async def test_a_linked_item_is_rejected_and_its_source_keeps_its_values(
    database: Database,
) -> None:
    first = await finished(database, 2)
    second = await finished(database, 2)
    before = await titles(database, first)
    assert (await database.write(store.revert_some, second, 0, "Ann"))[0] == 2
    assert await titles(database, first) == before
    states = select(items.c.state).order_by(items.c.id)
    found = await database.read(lambda conn: conn.execute(states).scalars().all())
    assert found == ["ready", "ready", "rejected", "rejected"]
