"""Browsing: pages, orders, facets, counts, completeness, a run's items, saved selections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import insert, update
from tests.browsed import awkward, stocked, workspace_on
from tests.planned import item_rows, planned, stock

from waremill.app import faceting, filtering, walking
from waremill.app.acting import Actor
from waremill.app.browsing import Browse, ItemFilters
from waremill.app.item_filters import item_condition
from waremill.app.workspace import Workspace
from waremill.errors import Conflict, Forbidden, NotFound, UserError
from waremill.store.database import Database
from waremill.store.runs import Run
from waremill.store.tables import catalogs, dumps, findings, items, products, results, runs

WHERES = (
    None, "scent = 'rose'", "scent = 'oak' AND price > 3", "scent IN ('rose', 'oak', 'iris')",
    "scent = '9'", "scent = '[iris]'", "scent = '{}'", "scent = 'true'", "missing(scent)",
    "scent IS NULL AND house = 'House 1'", "scent IS NOT NULL", "NOT scent = 'rose'",
    "scent = 'O''Neil'", "_key = 'P003'", "_key IN ('P003', 'P005') AND price > 0",
    "house = 'House 1' AND scent = 'rose'", "house = 'House 1' OR scent = 'rose'",
    "price > 3 AND house IN ('House 0')", "scent = 'nothing'",
)  # fmt: skip
ORDERS = (
    None, "scent", "scent DESC", "price", "price DESC", "house, price DESC", "_key DESC",
    "house", "house DESC", "lower(scent)",
)  # fmt: skip
INDEXES = ((), ("scent",), ("scent", "house"))


@pytest_asyncio.fixture
async def workspace(tmp_path: Path, database_url: str) -> AsyncIterator[Workspace]:
    async with workspace_on(tmp_path, database_url, readers=2) as opened:
        yield opened


async def paged(browse: Browse, where: str | None, order_by: str | None, size: int) -> list[str]:
    """All keys of a listing, page after page."""
    found: list[str] = []
    cursor = None
    for _ in range(200):
        page = await browse.products(where=where, order_by=order_by, cursor=cursor, size=size)
        assert len(page.rows) <= size
        found += [product.key for product in page.rows]
        cursor = page.next
        if cursor is None:
            return found
    raise AssertionError("the listing does not end")


@pytest.mark.parametrize("index", INDEXES, ids=str)
async def test_pages_hold_each_chosen_product_once_in_a_runs_order(
    workspace: Workspace, index: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "FIRST_ROWS", 4)
    await stocked(workspace.database, awkward(), index=index)
    browse = Browse(workspace)
    for where, order_by in (
        *((where, None) for where in WHERES),
        *((where, order_by) for order_by in ORDERS for where in (None, "house = 'House 1'")),
        *((where, "scent DESC") for where in WHERES[::4]),
    ):
        _, expected, total = await workspace.products(where, order_by=order_by, limit=1000)
        keys = [product.key for product in expected]
        assert await paged(browse, where, order_by, 13) == keys, (where, order_by)
        assert await browse.count(where=where) == total, where


@pytest.mark.parametrize("order_by", ["scent", "scent DESC", "house DESC"])
async def test_an_index_serves_an_order_also_where_a_filter_picks_many(
    workspace: Workspace, order_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("waremill.app.ordering.FEW", 0)
    rows = [row for row in awkward() if isinstance(row.get("scent", ""), str | list)]
    rows = [row for row in rows if row.get("scent") not in ("true", "[iris]")]
    await stocked(workspace.database, rows, index=("scent", "house"))
    browse = Browse(workspace)
    for where in (None, "house = 'House 1'", "price > 3"):
        _, expected, _ = await workspace.products(where, order_by=order_by, limit=1000)
        assert await paged(browse, where, order_by, 3) == [one.key for one in expected], where


async def test_a_page_is_given_short_when_its_rows_are_far_apart(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "PATIENCE", -1.0)
    monkeypatch.setattr(walking, "FIRST_ROWS", 10)
    await stocked(workspace.database, awkward(100))
    browse = Browse(workspace)
    first = await browse.products(where="scent = 'nothing'")
    assert (first.rows, first.next is not None) == ((), True)
    assert await paged(browse, "scent = 'nothing'", None, 50) == []


async def test_a_cursor_of_another_filter_is_refused(workspace: Workspace) -> None:
    await stocked(workspace.database, awkward())
    browse = Browse(workspace)
    page = await browse.products(where="price > 3", size=2)
    assert page.next is not None
    for where, cursor in (("price > 4", page.next), ("price > 3", "nonsense"), (None, page.next)):
        with pytest.raises(UserError, match="start again"):
            await browse.products(where=where, cursor=cursor)
    with pytest.raises(UserError, match="from 1 to 1,000"):
        await browse.products(size=0)


async def test_a_count_comes_as_it_grows_and_can_be_stopped(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "MOST_ROWS", 10)
    await stocked(workspace.database, awkward(100))
    told: list[int] = []
    total = await Browse(workspace).count(where="price > 3", progress=told.append)
    assert told == sorted(told) and told[-1] == total and len(told) == 11
    counting = Browse(workspace).counting(where="price > 3")
    assert 0 < await anext(counting) < total
    await counting.aclose()
    task = asyncio.create_task(Browse(workspace).count(where="price > 3"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_facets_count_values_and_lists_entries(workspace: Workspace) -> None:
    rows = [
        {"sku": "1", "scent": "rose", "house": "A"}, {"sku": "2", "scent": ["rose", "oak"]},
        {"sku": "3", "house": "A"}, {"sku": "4", "scent": "oak", "house": "B"},
        {"sku": "5", "scent": "rose", "house": "B"},
    ]  # fmt: skip
    await stocked(workspace.database, rows, index=("scent",))
    browse = Browse(workspace)
    (scent,) = await browse.facets()
    assert scent == faceting.Facet("scent", (("rose", 3), ("oak", 2)), missing=1)
    (scent,) = await browse.facets(where="house = 'A'")
    assert scent == faceting.Facet("scent", (("rose", 1),), missing=1)
    for value, number in (("rose", 3), ("oak", 2)):
        assert await browse.count(where=f"scent = '{value}'") == number


async def test_a_small_catalogue_has_facets_without_an_index(workspace: Workspace) -> None:
    rows = [{"sku": f"{n}", "name": f"Eau {n}", "house": f"House {n % 3}"} for n in range(12)]
    await stocked(workspace.database, rows)
    (house,) = await Browse(workspace).facets()
    assert house == faceting.Facet("house", (("House 0", 4), ("House 1", 4), ("House 2", 4)))


async def test_facets_of_a_large_selection_are_scaled_up_from_a_sample_and_say_so(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faceting, "EXACT_FACETS", 100)
    monkeypatch.setattr(faceting, "FEW", 10)
    monkeypatch.setattr(faceting, "PIECE_ROWS", 3)
    rows = [{"sku": f"{n}", "house": f"House {n % 3}", "price": n % 10} for n in range(900)]
    await stocked(workspace.database, rows, index=("house",))
    browse = Browse(workspace)
    (house,) = await browse.facets()
    assert house.exact and [number for _, number in house.values] == [300, 300, 300]
    (house,) = await browse.facets(where="price < 5")
    assert not house.exact
    assert all(abs(number - 150) < 40 for _, number in house.values)


async def test_facets_are_known_anew_after_an_import(workspace: Workspace) -> None:
    await stocked(workspace.database, [{"sku": "1", "house": "A"}, {"sku": "2", "house": "B"}],
                  index=("house",))  # fmt: skip
    assert len((await Browse(workspace).facets())[0].values) == 2
    await stocked(workspace.database, [{"sku": "3", "house": "C"}])
    assert len((await Browse(workspace).facets())[0].values) == 3


SCHEMA = """\
category: Perfume
attributes:
  name: {required: true}
  scent: {}
children:
  - category: Niche
    attributes: {perfumer: {required: true}}
"""


async def test_completeness_is_by_the_schema_of_the_category(workspace: Workspace) -> None:
    folder = workspace.settings.root / "schemas"
    folder.mkdir()
    (folder / "perfume.yaml").write_text(SCHEMA, encoding="utf-8")
    rows: list[dict[str, Any]] = [
        {"sku": "1", "category": "perfume", "name": "Eau", "scent": "rose"},
        {"sku": "2", "category": ["Perfume", "Niche"], "name": "Bois"},
        {"sku": "3", "category": "Beauty > Niche", "name": "Cuir", "scent": "oak"},
        {"sku": "4", "name": "Cup"},
    ]
    await stocked(workspace.database, rows)
    lines = await Browse(workspace).completeness()
    found = {(one.category, one.attribute): (one.missing, one.total) for one in lines}
    assert found["Perfume", "scent"] == (1, 2)
    assert found["Niche", "perfumer"] == (1, 1)
    assert found["", "category"] == (1, 1)
    assert all(one.exact for one in lines)
    required = {one.attribute for one in lines if one.required}
    assert required == {"name", "perfumer"}
    lines = await Browse(workspace).completeness(where="scent = 'rose'")
    assert [(one.attribute, one.missing) for one in lines] == [("name", 0), ("scent", 0)]


async def test_completeness_of_a_large_catalogue_is_a_samples_and_says_so(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faceting, "EXACT_COMPLETENESS", 100)
    monkeypatch.setattr(faceting, "PIECE_ROWS", 2)
    await stocked(workspace.database, awkward(500))
    lines = {one.attribute: one for one in await Browse(workspace).completeness()}
    assert not lines["price"].exact and lines["price"].total == 200
    assert 20 < lines["price"].missing < 60


async def test_a_product_is_found_by_key(workspace: Workspace) -> None:
    await stocked(workspace.database, awkward())
    assert (await Browse(workspace).product(None, "P007")).key == "P007"
    with pytest.raises(NotFound, match="P999"):
        await Browse(workspace).product("stock", "P999")


# Items of a run.


async def worked(database: Database, *, index: tuple[str, ...] = ()) -> Run:
    """A run of 40 products for two targets; states, findings and values by the item's id."""
    run = await planned(database, awkward(), targets=("de-DE", "fr-FR"))

    def work(conn: Any) -> None:
        from tests.browsed import add_indexes

        add_indexes(conn, index)
        states = ("ready", "review", "failed", "accepted", "pending")
        for row in conn.execute(items.select().order_by(items.c.id)).all():
            state = states[row.id % 5]
            conn.execute(
                update(items).where(items.c.id == row.id)
                .values(state=state, findings=state == "review", paid=1_000_000, latency=0.5)
            )  # fmt: skip
            if state == "review":
                noted = [("grounded-numbers", "title"), ("grounded-numbers", "points")]
                for rule, about in (*noted[: 1 + row.id % 2], ("no-urls", "points")):
                    conn.execute(
                        insert(findings)
                        .values(run_id=run.id, rule=rule, item_id=row.id, field=about)
                    )  # fmt: skip
            if state in ("ready", "review", "accepted"):
                conn.execute(
                    insert(results).values(
                        item_id=row.id, product_id=row.product_id, target=row.target, step="copy",
                        origin="model", values=dumps({"title": f"Eau {row.id}"}), created_at=0.0,
                    )
                )  # fmt: skip

    await database.write(work)
    return run


FILTERS: tuple[ItemFilters, ...] = (
    {}, {"states": ("review",)}, {"states": ["ready", "failed"]}, {"rule": "grounded-numbers"},
    {"field": "points"}, {"rule": "grounded-numbers", "field": "points"}, {"rule": "none"},
    {"field": "points", "target": "fr-FR"}, {"target": "fr-FR"}, {"text": "p01"},
    {"text": "P01", "states": ("review",), "rule": "no-urls"}, {"text": "Eau 1"},
    {"text": "nothing"},
    {"where": "scent = 'rose'"}, {"where": "price > 3 AND _findings > 0"},
    {"where": "_key = 'P003'"}, {"where": "scent = 'oak'", "field": "points", "text": "P0"},
    {"where": "_status = 'ready' AND _target = 'de-DE'", "states": ("ready", "review")},
    {"where": "missing(scent)", "target": "de-DE", "states": ("review",)},
)  # fmt: skip


async def paged_items(browse: Browse, run: Run, size: int, filters: ItemFilters) -> list[int]:
    found: list[int] = []
    cursor = None
    for _ in range(200):
        page = await browse.items(run.name, cursor=cursor, size=size, **filters)
        found += [row.id for row in page.rows]
        cursor = page.next
        if cursor is None:
            return found
    raise AssertionError("the listing does not end")


@pytest.mark.parametrize("index", [(), ("scent",)], ids=str)
@pytest.mark.parametrize("few", [0, 20_000])
async def test_pages_of_items_hold_what_all_filters_pick(
    workspace: Workspace, index: tuple[str, ...], few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("waremill.app.item_filters.FEW", few)
    monkeypatch.setattr(filtering, "FEW", few)
    monkeypatch.setattr(walking, "FIRST_ROWS", 6)
    monkeypatch.setattr(walking, "MOST_ROWS", 25)
    database = workspace.database
    run = await worked(database, index=index)
    other = await worked_again(database, run)
    browse = Browse(workspace)
    for filters in FILTERS:
        condition = item_condition(run, filters, database.dialect)
        query = items.join(products, products.c.id == items.c.product_id)
        chosen = query.select().where(condition).order_by(items.c.id)
        rows = await database.read(lambda conn, chosen=chosen: conn.execute(chosen).all())
        expected = [row.id for row in rows]
        assert await paged_items(browse, run, 7, filters) == expected, filters
        assert await browse.count_items(run.name, **filters) == len(expected), filters
    assert await browse.count_items(other.name) == 80


async def worked_again(database: Database, run: Run) -> Run:
    """A second run over the same products, whose items link to the first's."""
    again = await planned(database, awkward(), targets=("de-DE", "fr-FR"))
    assert again.id != run.id
    return again


async def test_a_linked_item_shows_what_its_source_made(workspace: Workspace) -> None:
    database = workspace.database
    run = await worked(database)
    again = await worked_again(database, run)
    linked = [row for row in await item_rows(database, again) if row.source_id is not None]
    assert linked
    rows = {row.id: row for row in (await Browse(workspace).items(again.name, size=100)).rows}
    for row in linked:
        assert rows[row.id].values == {"title": f"Eau {row.source_id}"}


async def test_an_item_shows_the_product_it_worked_on_and_its_cost(workspace: Workspace) -> None:
    database = workspace.database
    run = await worked(database)
    await stocked(database, [{**row, "house": "New"} for row in awkward()])
    (row,) = (await Browse(workspace).items(run.name, where="_key = 'P007'", target="de-DE")).rows
    assert row.product["house"] == "House 1"
    assert (row.cost, row.latency) == (0.001, 0.5)


async def test_a_text_is_found_in_keys_and_in_what_was_made(workspace: Workspace) -> None:
    database = workspace.database
    run = await worked(database)
    again = await worked_again(database, run)
    browse = Browse(workspace)
    assert {row.key for row in (await browse.items(run.name, text="p017")).rows} == {"P017"}
    (row,) = (await browse.items(run.name, text="eau 11", target="de-DE")).rows
    assert row.values == {"title": "Eau 11"}
    linked = (await browse.items(again.name, text="Eau 11")).rows
    assert [row.values for row in linked] == [{"title": "Eau 11"}]


async def test_a_product_shows_its_group(workspace: Workspace) -> None:
    await stock(workspace.database, [{"sku": "1", "spu": "A"}, {"sku": "2"}], group="spu")
    page = await Browse(workspace).products()
    assert [product.group for product in page.rows] == ["A", None]
    assert await Browse(workspace).count() == 2


async def test_a_run_without_a_catalogue_has_no_items(workspace: Workspace) -> None:
    run = await planned(workspace.database, 1)
    await workspace.database.write(lambda conn: conn.execute(update(runs).values(catalog_id=None)))
    browse = Browse(workspace)
    assert (await browse.items(run.name, where="price > 3")).rows == ()
    assert await browse.count_items(run.name) == 0


async def test_an_unknown_state_is_refused(workspace: Workspace) -> None:
    run = await planned(workspace.database, 1)
    with pytest.raises(UserError, match="“done” is no state"):
        await Browse(workspace).items(run.name, states=("done",))


# Who sees what, and saved selections.


async def test_a_foreign_teams_catalogue_and_run_are_not_there(workspace: Workspace) -> None:
    run = await planned(workspace.database, 2)

    def move(conn: Any) -> None:
        conn.execute(update(catalogs).values(team_id=7))
        conn.execute(update(runs).values(team_id=7))

    await workspace.database.write(move)
    browse = Browse(workspace.acting(Actor("mia", {1: "admin"})))
    for look in (
        browse.products("stock"), browse.count("stock"), browse.facets("stock"),
        browse.completeness("stock"), browse.product("stock", "P000"), browse.items(run.name),
        browse.count_items(run.name), browse.selections("stock"),
        browse.save_selection("stock", "all", None), browse.drop_selection("stock", "all"),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            await look
    viewer = Browse(workspace.acting(Actor("joe", {7: "viewer"})))
    assert len((await viewer.products()).rows) == 2
    with pytest.raises(Forbidden):
        await viewer.save_selection("stock", "all", None)


async def test_a_selection_is_saved_replaced_and_dropped_and_the_audit_log_says_so(
    workspace: Workspace,
) -> None:
    await stocked(workspace.database, awkward())
    browse = Browse(workspace.acting(Actor("mia", {1: "operator"})))
    await browse.save_selection(None, " Roses ", "scent = 'rose'", "price DESC")
    with pytest.raises(Conflict, match="mia saved a selection “Roses”"):
        await browse.save_selection(None, "Roses", "scent = 'oak'")
    await browse.save_selection(None, "Roses", "scent = 'oak'", replace=True)
    (saved,) = await browse.selections()
    assert (saved.name, saved.where, saved.order_by, saved.by) == (
        "Roses", "scent = 'oak'", None, "mia",
    )  # fmt: skip
    with pytest.raises(UserError, match="unknown column"):
        await browse.save_selection(None, "Broken", "colour = 'red'")
    await browse.drop_selection(None, "Roses")
    assert await browse.selections() == ()
    with pytest.raises(NotFound):
        await browse.drop_selection(None, "Roses")

    from waremill.app.auditing import entries

    actions = [one.action for one in (await entries(workspace)).rows]
    assert actions == ["selection.drop", "selection.save", "selection.save"]
