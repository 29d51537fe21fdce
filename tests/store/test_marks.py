"""Marks on a trial's fields: one a field, kept with the value they are about."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select
from tests.planned import planned

from waremill.store.database import Database
from waremill.store.marks import Mark, drop_mark, marks_of_products, marks_of_run, put_mark
from waremill.store.tables import items


async def item_of(database: Database, run_id: int, place: int = 0) -> tuple[int, int]:
    """The row ids of a run's item and of its product."""
    query = select(items.c.id, items.c.product_id).where(items.c.run_id == run_id)
    rows = await database.read(lambda conn: conn.execute(query.order_by(items.c.id)).all())
    return rows[place].id, rows[place].product_id


def mark(item: tuple[int, int], field: str, **changes: object) -> Mark:
    """A mark that says a field is right."""
    one = Mark(*item, "de-DE", field, "right", ["a", "b"], ["a", "b"], "ann", 1.0)
    return replace(one, **changes)  # type: ignore[arg-type]


async def test_a_mark_comes_back_as_it_was_made(database: Database) -> None:
    run = await planned(database)
    item = await item_of(database, run.id)
    right = mark(item, "points")
    wrong = mark(item, "title", verdict="wrong", made="x", value=None)
    absent = mark(item, "year", made=None, value=None)
    for one in (right, wrong, absent):
        await database.write(put_mark, one)
    assert await database.read(marks_of_run, run.id) == [right, wrong, absent]


async def test_the_newest_mark_of_a_field_counts_and_can_be_taken_back(database: Database) -> None:
    run = await planned(database)
    item = await item_of(database, run.id)
    await database.write(put_mark, mark(item, "title"))
    corrected = mark(item, "title", verdict="corrected", value=["c"], by="bob", at=2.0)
    await database.write(put_mark, corrected)
    assert await database.read(marks_of_run, run.id) == [corrected]
    assert await database.write(drop_mark, item[0], "title")
    assert not await database.write(drop_mark, item[0], "title")
    assert await database.read(marks_of_run, run.id) == []


async def test_marks_are_found_by_product_whatever_trial_they_were_made_in(
    database: Database,
) -> None:
    first = await planned(database, 3)
    later = await planned(database, 3)
    one, other = await item_of(database, first.id), await item_of(database, later.id)
    assert one[1] == other[1]
    await database.write(put_mark, mark(other, "title", at=2.0))
    await database.write(put_mark, mark(one, "title"))
    stranger = await item_of(database, first.id, 2)
    await database.write(put_mark, mark(stranger, "title"))
    found = await database.read(marks_of_products, {one[1]})
    assert [found_one.item_id for found_one in found] == [one[0], other[0]]
    assert await database.read(marks_of_products, []) == []
