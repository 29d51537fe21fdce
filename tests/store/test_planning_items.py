"""Items: planned some thousands at a time, linked to what was made before, pinned to a product."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, select, update
from tests.planned import claimed, item_rows, item_states, plain, planned, stock

from waremill.errors import Conflict, NotFound
from waremill.store import items as store_items
from waremill.store import runs as store_runs
from waremill.store import verdicts
from waremill.store.database import Database
from waremill.store.journal import Journal, result_row
from waremill.store.runs import Run
from waremill.store.tables import findings, items


async def finish(database: Database, run: Run, states: list[str] | None = None) -> Run:
    """Work a run's items as a worker would, ending in the given states."""
    run = await claimed(database, run)
    journal = Journal(database, run)
    rows = await item_rows(database, run)
    pending = [row for row in rows if row.state == "pending"]
    for row, state in zip(pending, states or ["ready"] * len(pending), strict=True):
        if state != "pending":
            if state != "failed":
                place = (row.id, row.product_id, row.target)
                journal.add("results", [result_row(place, "copy", {"title": f"by {row.id}"})])
            journal.add(
                "items",
                [{"b_id": row.id, "state": state, "attempts": 1, "findings": 0, "paid": 5,
                  "list_cost": 7, "latency": 0.5, "error": None}],
            )  # fmt: skip
    await journal.committed()
    await database.write(store_runs.release, run, "done", None, 1.0)
    return run


async def test_items_are_products_times_targets_in_order(database: Database) -> None:
    run = await planned(database, 3, targets=("en-US", "de-DE@amazon"))
    rows = await item_rows(database, run)
    assert run.total == 6
    assert [row.target for row in rows] == ["en-US", "de-DE@amazon"] * 3
    assert [row.product_id for row in rows] == sorted(row.product_id for row in rows)


async def test_an_equal_item_is_linked_and_costs_nothing(database: Database) -> None:
    first = await planned(database, 3)
    await finish(database, first, ["ready", "review", "accepted"])
    second = await planned(database, 3)
    rows = await item_rows(database, second)
    assert [row.state for row in rows] == ["ready", "review", "accepted"]
    assert [row.source_id for row in rows] == [row.id for row in await item_rows(database, first)]
    assert [(row.paid, row.list_cost) for row in rows] == [(0, 7)] * 3


async def test_a_link_leads_to_the_original_and_not_to_a_link(database: Database) -> None:
    first = await planned(database, 1)
    await finish(database, first)
    await planned(database, 1)
    third = await planned(database, 1)
    origin = (await item_rows(database, first))[0].id
    assert [row.source_id for row in await item_rows(database, third)] == [origin]


async def test_only_the_changed_product_is_worked_again(database: Database) -> None:
    await finish(database, await planned(database, 3))
    rows = plain(3)
    rows[1]["name"] = "another"
    second = await planned(database, rows)
    assert await item_states(database, second) == ["ready", "pending", "ready"]


async def test_failed_and_pending_items_are_never_linked(database: Database) -> None:
    await finish(database, await planned(database, 3), ["failed", "pending", "ready"])
    second = await planned(database, 3)
    assert await item_states(database, second) == ["pending", "pending", "ready"]


async def test_another_pipeline_target_or_parameter_is_another_fingerprint(
    database: Database,
) -> None:
    await finish(database, await planned(database, 2, targets=("en",)))
    for changed in (
        await planned(database, 2, targets=("de",)),
        await planned(database, 2, targets=("en",), instruction="Write well."),
    ):
        assert await item_states(database, changed) == ["pending"] * 2
    mixed = await planned(database, 2, targets=("de", "en"))
    assert await item_states(database, mixed) == ["pending", "ready"] * 2


async def test_fresh_asks_anew_with_a_take_no_other_run_has(database: Database) -> None:
    first = await finish(database, await planned(database, 2))
    fresh = await planned(database, 2, fresh=True)
    assert await item_states(database, fresh) == ["pending"] * 2
    await finish(database, fresh)
    again = await planned(database, 2, fresh=True)
    assert first.take == 0
    assert len({first.take, fresh.take, again.take}) == 3
    later = await planned(database, 2)
    newest = [row.id for row in await item_rows(database, fresh)]
    assert [row.source_id for row in await item_rows(database, later)] == newest


GROUPS = [
    {"sku": "1", "spu": "A", "name": "Eau", "size": "30"},
    {"sku": "2", "spu": "A", "name": "Eau", "size": "50"},
    {"sku": "3", "spu": "B", "name": "Bois", "size": "50"},
]


async def test_a_groups_change_reopens_all_its_members(database: Database) -> None:
    await finish(database, await planned(database, GROUPS, groups=True))
    changed = [{**GROUPS[0], "size": "35"}, *GROUPS[1:]]
    second = await planned(database, changed, groups=True)
    assert await item_states(database, second) == ["pending", "pending", "ready"]


async def pending(database: Database, run: Run, after: int = 0, size: int = 100) -> list[Any]:
    return await database.read(store_items.pending_page, run, after, size)


async def test_items_keep_the_product_they_were_planned_with(database: Database) -> None:
    run = await planned(database, GROUPS, groups=True)
    await stock(database, [{**GROUPS[0], "size": "35"}, {**GROUPS[2], "name": "x"}], group="spu")
    found = await pending(database, run)
    assert [item.product.attributes["size"] for item in found] == ["30", "50", "50"]
    assert found[2].product.attributes["name"] == "Bois"
    assert found[0].group.attributes["size"] == ["30", "50"]


async def test_a_product_that_moves_to_another_group_keeps_its_planned_group(
    database: Database,
) -> None:
    run = await planned(database, GROUPS, groups=True)
    await stock(database, [{**GROUPS[1], "spu": "B"}], group="spu")
    found = await pending(database, run)
    assert found[1].group.attributes["sku"] == ["1", "2"]


async def test_pages_give_every_pending_item_once_in_order(database: Database) -> None:
    run = await planned(database, 25)
    rows = await item_rows(database, run)
    done = update(items).where(items.c.id == rows[4].id).values(state="ready")
    await database.write(lambda conn: conn.execute(done))
    seen: list[int] = []
    while page := await pending(database, run, seen[-1] if seen else 0, 7):
        seen += [item.id for item in page]
    assert seen == [row.id for row in rows if row.id != rows[4].id]


async def test_failed_items_are_set_back_some_a_transaction(database: Database) -> None:
    run = await planned(database, 5)
    run = await finish(database, run, ["failed", "ready", "failed", "failed", "failed"])
    run, count = await database.write(store_items.revive_run, run)
    assert (run.state, run.owner, count) == ("paused", None, 4)
    assert await database.write(store_items.retry_some, run, 3) == 3
    # Cut off here, it is asked for again.
    assert (await database.write(store_items.revive_run, run))[1] == 1
    run = await database.read(store_runs.get_run, run.id)
    assert await database.write(store_items.retry_some, run, 3) == 1
    assert await database.write(store_items.retry_some, run, 3) == 0
    assert await database.read(store_items.count_states, run.id) == {"pending": 4, "ready": 1}


async def test_no_failed_item_is_set_back_under_a_worker_who_would_never_see_it(
    database: Database,
) -> None:
    run = await planned(database, 3)
    run = await finish(database, run, ["failed"] * 3)
    run, _ = await database.write(store_items.revive_run, run)
    assert await database.write(store_items.retry_some, run, 1) == 1
    await claimed(database, run)
    with pytest.raises(Conflict, match="another worker"):
        await database.write(store_items.retry_some, run, 1)
    assert await item_states(database, run) == ["pending", "failed", "failed"]


async def reviewed(database: Database, count: int, found: int) -> list[tuple[str, int, str]]:
    """Plan and finish a run whose first items have three findings each; give them by item."""
    run = await planned(database, count)
    rows = [row.id for row in await item_rows(database, run)]
    made = [
        (rule, place, name)
        for place in range(found)
        for rule, name in (("channel", "title"), ("no-urls", "points"), ("no-urls", "title"))
    ]
    await finish(database, run, ["review"] * found + ["ready"] * (count - found))
    given = [
        {"run_id": run.id, "rule": rule, "item_id": rows[place], "field": name}
        for rule, place, name in made
    ]
    await database.write(lambda conn: conn.execute(insert(findings), given))
    return sorted(made)


async def found_in(database: Database, run: Run) -> list[tuple[str, int, str]]:
    """The findings of a run, by its items' places."""
    rows = [row.id for row in await item_rows(database, run)]
    query = select(findings).where(findings.c.run_id == run.id)
    found = await database.read(lambda conn: conn.execute(query).all())
    return sorted((row.rule, rows.index(row.item_id), row.field) for row in found)


async def test_linked_items_are_found_by_findings_that_are_linked_some_a_transaction(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await reviewed(database, 6, 4)
    monkeypatch.setattr("waremill.runs.plan.ITEMS_AT_ONCE", 5)
    second = await planned(database, 6)
    assert await found_in(database, second) == made
    third = await planned(database, 6)  # its items lead to the first run's, too
    assert await found_in(database, third) == made


async def test_findings_are_read_in_pages_and_linked_twice_change_nothing(
    database: Database,
) -> None:
    made = await reviewed(database, 6, 4)
    second = await planned(database, 6)
    await database.write(store_runs.set_run, second.id, {"state": "planning"})
    (source,) = await database.read(store_items.linked_runs, second.id)
    pages, after = [], None
    while page := await database.read(store_items.linked_findings, second.id, source, after, 5):
        pages.append(len(page))
        await database.write(store_items.link_findings, second, page)
        after = page[-1]
    assert pages == [5, 5, 2]
    assert await found_in(database, second) == made


async def test_findings_are_not_linked_to_a_run_that_is_cancelled_meanwhile(
    database: Database,
) -> None:
    run = await planned(database, 2)
    await database.write(store_runs.set_run, run.id, {"state": "cancelled"})
    with pytest.raises(Conflict, match="cancelled while it was being planned"):
        await database.write(store_items.link_findings, run, [("channel", 1, "title", 2)])
    query = select(findings)
    assert not await database.read(lambda conn: conn.execute(query).all())


async def test_accepting_by_a_rule_leaves_a_review_for_each_item(database: Database) -> None:
    run = await planned(database, 3)
    await finish(database, run, ["ready", "review", "failed"])
    rule = items.c.findings == 0
    accepted = await database.write(verdicts.accept_where, run, rule, "_findings = 0")
    assert accepted == (2, None)
    assert await item_states(database, run) == ["accepted", "accepted", "failed"]
    accepted = await database.write(verdicts.accept_where, run, rule, "_findings = 0")
    assert accepted == (0, None)


async def test_an_empty_selection_plans_nothing(database: Database) -> None:
    catalog = await stock(database, plain(2))
    assert catalog.id
    with pytest.raises(NotFound, match="holds no product"):
        from waremill.runs.plan import Choice, Order, plan_run
        from waremill.store.tables import products

        order = Order(
            "run", _pipeline(), {}, {}, Choice(catalog, products.c.key == "none"), ("",), {}
        )
        await plan_run(database, order)
    assert await database.read(store_runs.list_runs) == []


def _pipeline() -> Any:
    from waremill.pipeline import Pipeline

    return Pipeline("copy", ())


async def test_many_products_are_planned_in_several_transactions(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("waremill.runs.plan.ITEMS_AT_ONCE", 4)
    run = await planned(database, 7, targets=("de-DE", "fr-FR"))
    rows = await item_rows(database, run)
    assert run.state == "planned"
    assert run.total == 14
    assert [row.target for row in rows] == ["de-DE", "fr-FR"] * 7
    assert [row.product_id for row in rows] == sorted(row.product_id for row in rows)


async def test_a_run_that_is_still_being_planned_is_not_worked(database: Database) -> None:
    run = await planned(database, 2)
    await database.write(store_runs.set_run, run.id, {"state": "planning"})
    with pytest.raises(Conflict, match="still being planned"):
        await claimed(database, run)


async def test_planning_stops_when_the_run_is_cancelled_meanwhile(database: Database) -> None:
    run = await planned(database, 2)
    await database.write(store_runs.set_run, run.id, {"state": "cancelled"})
    with pytest.raises(Conflict, match="cancelled while it was being planned"):
        await database.write(store_runs.add_planned, run, 3)
    assert (await database.read(store_runs.get_run, run.id)).total == 2
