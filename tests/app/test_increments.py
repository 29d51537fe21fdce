"""Which products a schedule still has to do: new, changed, or with an empty field."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, select, update
from tests.app.scheduled import feed, nightly, plan_only, shop, vendor, work_here
from tests.workspaces import perfumes

from waremill.app import Workspace
from waremill.app.scheduling import schedules
from waremill.errors import NotFound
from waremill.store import runs as store_runs
from waremill.store.tables import items

__all__ = ["shop", "vendor"]


async def test_only_what_is_new_or_changed_is_done_again(shop: Workspace) -> None:
    await schedules.add(shop, nightly(only=("new", "changed")))
    assert len(await plan_only(shop)) == 8
    await work_here(shop)
    with pytest.raises(NotFound, match="no product"):
        await plan_only(shop)
    rows = perfumes(10, "other")[8:] + perfumes(8, shop.settings.root.parent.name)
    rows[4]["notes"] = "oud"
    await feed(shop, rows)
    assert await plan_only(shop) == ["P0002", "P0008", "P0009"]


async def test_new_and_changed_are_told_apart(shop: Workspace) -> None:
    await schedules.add(shop, nightly(only=("changed",)))
    with pytest.raises(NotFound):
        await plan_only(shop)
    await work_here(shop, only=["new"], limit=4)
    rows = perfumes(8, shop.settings.root.parent.name)
    rows[0]["notes"] = rows[7]["notes"] = "oud"
    await feed(shop, rows)
    assert await plan_only(shop) == ["P0000"]
    assert await plan_only(shop, only=["new"]) == ["P0004", "P0005", "P0006", "P0007"]


async def test_a_value_that_went_back_has_changed_too(shop: Workspace) -> None:
    """What stands in the shop was made of the other value."""
    await schedules.add(shop, nightly(only=("new", "changed")))
    before = perfumes(8, shop.settings.root.parent.name)
    after = [{**row} for row in before]
    after[0]["notes"] = "oud"
    for rows in (before, after):
        await feed(shop, rows)
        await work_here(shop)
    await feed(shop, before)
    assert await plan_only(shop) == ["P0000"]
    run = await work_here(shop)
    assert (await shop.status(run)).linked == 1


async def test_what_failed_or_was_not_reached_is_left_to_do(shop: Workspace) -> None:
    await schedules.add(shop, nightly(only=("new", "changed")))
    run = await work_here(shop, limit=3)

    def spoil(conn: Connection) -> None:
        found = store_runs.find_run(conn, run)
        first = select(items.c.id).where(items.c.run_id == found.id).limit(1).scalar_subquery()
        conn.execute(update(items).where(items.c.id == first).values(state="failed"))

    await shop.database.write(spoil)
    assert len(await plan_only(shop)) == 6


async def test_each_target_counts(shop: Workspace) -> None:
    await schedules.add(shop, nightly(only=("new",), options={"targets": ["en-US"]}))
    await work_here(shop)
    with pytest.raises(NotFound):
        await plan_only(shop)
    assert len(await plan_only(shop, targets=["en-US", "de-DE"])) == 2 * 8


async def test_other_runs_do_not_count_as_the_schedules(shop: Workspace) -> None:
    await schedules.add(shop, nightly(only=("new",)))
    await shop.run("copy")
    run = await work_here(shop)
    status = await shop.status(run)
    assert (status.total, status.linked) == (8, 8)


async def test_only_what_has_an_empty_field(shop: Workspace) -> None:
    await schedules.add(shop, nightly(only=("empty",)))
    await shop.run("copy", where="_key < 'P0005'", targets=["en-US"])
    left = ["P0005", "P0006", "P0007"]
    assert await plan_only(shop, targets=["en-US"]) == left
    assert len(await plan_only(shop, targets=["de-DE"])) == 8
    # What is made without a target stands for all of them.
    await shop.run("copy", where="_key < 'P0005'")
    assert await plan_only(shop, targets=["de-DE"]) == left


async def test_a_field_to_be_filled_is_not_empty_where_the_catalogue_has_it(
    shop: Workspace,
) -> None:
    rows = [{**row, "blurb": "", "title": "a title"} for row in perfumes(8)]
    rows[2]["blurb"] = "It is there."
    await feed(shop, rows)
    await schedules.add(shop, nightly(pipeline="blurb", only=("empty",)))
    assert len(await plan_only(shop)) == 7
    # `write: replace` makes a title whatever the catalogue has.
    await schedules.remove(shop, "nightly")
    await schedules.add(shop, nightly(only=("empty",)))
    assert len(await plan_only(shop)) == 8
