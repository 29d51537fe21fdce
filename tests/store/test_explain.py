"""No built-in listing reads a whole table: shown by the plans of the statements it really sends.

On SQLite the plan does not depend on how much is stored, so empty tables would do. PostgreSQL reads
a small table whole whatever indexes there are, and rightly; so its tables are filled and analysed,
and it plans with its own settings. With `enable_seqscan = off` it would show only what it could do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from sqlalchemy import Connection, event, insert, text
from tests.browsed import add_indexes, workspace_on

from waremill.app import auditing
from waremill.app.browsing import Browse, ItemFilters
from waremill.app.measuring import figures
from waremill.app.spending import spending
from waremill.app.workspace import Workspace
from waremill.store import browsing, erasing, history, reporting, retaining_runs, watching
from waremill.store import items as store_items
from waremill.store import runs as store_runs
from waremill.store.browsing import Stream, Stretch
from waremill.store.database import Database
from waremill.store.outdated import Works, outdated
from waremill.store.tables import catalogs, documents, dumps, items, pipeline_versions, runs

PRODUCTS = 30_000
LARGE = (
    "products", "items", "results", "findings", "product_versions", "calls", "audit", "spend",
    "reviews", "answers", "current",
)  # fmt: skip
"""Tables that grow with the catalogue or the work. Catalogues, runs and teams are few."""
SLOTS = ["main_image", "scene_image"]
SCHEMA = """\
category: Perfume
attributes: {main_image: {type: image}, scene_image: {type: image}}
"""


def _rows(dialect: str) -> tuple[str, str]:
    if dialect == "sqlite":
        numbers = (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count) "
        )
        attributes = (
            "json_object('sku', 'P' || i, 'house', 'House ' || (i % 20), 'price', i % 97, "
            "'name', 'Eau number ' || i)"
        )
        return numbers, attributes
    numbers = "WITH n(i) AS (SELECT generate_series(1, :count)) "
    attributes = (
        "jsonb_build_object('sku', 'P' || i, 'house', 'House ' || (i % 20), 'price', i % 97, "
        "'name', 'Eau number ' || i)"
    )
    return numbers, attributes


def fill(conn: Connection) -> None:
    """Write a catalogue, a run over it, and what it made, by some statements."""
    lite = conn.dialect.name == "sqlite"
    numbers, attributes = _rows(conn.dialect.name)
    for number in (1, 2):
        conn.execute(
            insert(catalogs).values(
                id=number, name=f"stock{number}", key_column="sku", imports=1, created_at=0.0,
                columns=dumps(["sku", "house", "price", "name"]), team_id=1,
            )
        )  # fmt: skip
    conn.execute(insert(documents).values(hash="h", body="{}"))
    conn.execute(
        insert(pipeline_versions).values(
            id=1, hash="h", name="copy", files="{}", templates="{}", created_at=0.0
        )
    )
    for number in (1, 2):
        conn.execute(
            insert(runs).values(
                id=number, name=f"run{number}", kind="run", state="done", catalog_id=number,
                pipeline_version_id=1, pipeline="copy", take=0, total=PRODUCTS, drawn=0, epoch=0,
                plan=dumps({"columns": ["sku", "house", "price", "name"], "slots": SLOTS}),
                created_at=0.0,
                worked_seconds=0.0,
            )
        )  # fmt: skip
    no = "0" if lite else "false"
    digest = "CAST('h' || i AS BLOB)" if lite else "convert_to('h' || i, 'UTF8')"
    given = {"count": PRODUCTS}
    values = '{"title": "Eau", "main_image": "asset:0.png"}'
    for statement in (
        "INSERT INTO products (id, catalog_id, is_group, key, version, position, import_number, "
        f"attributes) {numbers} SELECT i, 1 + i % 2, {no}, 'P' || i, i, i, 1, {attributes} FROM n",
        "INSERT INTO items (id, run_id, product_id, product_version, group_version, "
        "fingerprint_id, target, state, attempts, findings) "
        f"{numbers} SELECT i, 1 + i % 2, i, i, 0, 1, CASE WHEN i % 4 < 2 THEN 'de-DE' ELSE 'fr-FR' "
        "END, CASE WHEN i % 12 = 0 THEN 'review' ELSE 'ready' END, 1, 0 FROM n",
        'INSERT INTO results (item_id, product_id, target, step, origin, "values", created_at) '
        f"{numbers} SELECT i, i, 'de-DE', 'copy', 'model', '{values}', 0.0 FROM n",
        "INSERT INTO current (product_id, target, field, result_id) "
        f"{numbers} SELECT i, CASE WHEN i % 4 < 2 THEN 'de-DE' ELSE '' END, 'main_image', i "
        "FROM n WHERE i % 3 = 0",
        "INSERT INTO findings (run_id, rule, item_id, field) "
        f"{numbers} SELECT 1 + i % 2, 'no-urls', i, 'title' FROM n WHERE i % 12 = 0",
        "INSERT INTO findings (run_id, rule, item_id, field) "
        f"{numbers} SELECT 1 + i % 2, 'channel', i, 'points' FROM n WHERE i % 40 = 0",
        # Of a team with many entries PostgreSQL reads the log backwards, and soon has a page.
        "INSERT INTO audit (at, by, team_id, action, subject) "
        f"{numbers} SELECT i, 'mia', 1 + i % 500, 'run.start', 'run' FROM n",
        "INSERT INTO reviews (item_id, verdict, created_at) "
        f"{numbers} SELECT i, 'accept', 0.0 FROM n WHERE i % 12 = 0",
        "INSERT INTO calls (run_id, item_id, step, model, request_hash, attempt, outcome, latency, "
        f"input, cached, output, reasoning, started_at) {numbers} SELECT 1 + i % 2, i, 'copy', "
        f"'m', {digest}, 1, 'complete', 1.0, 1, 0, 1, 0, i FROM n",
        "INSERT INTO answers (hash, model, outcome, text, reported_model, request_bytes, input, "
        f"cached, output, reasoning, created_at) {numbers} SELECT {digest}, 'm', 'complete', "
        "'{}', 'm', 10, 1, 0, 1, 0, i FROM n",
        "INSERT INTO spend (run_id, model, target, day, calls, failed, unpriced, input, cached, "
        f"output, reasoning, paid, list_cost) {numbers} SELECT 1 + i % 2, 'm', 't' || i, "
        "'2026-0' || (1 + i % 9) || '-' || (10 + i % 18), 1, 0, 0, 1, 0, 1, 0, 1, 1 FROM n",
    ):
        conn.execute(text(statement), given)
    if not lite:
        # What the plans are made from must not change when autovacuum comes by meanwhile.
        conn.execute(text("ALTER TABLE products SET (autovacuum_enabled = false)"))
        conn.execute(text("ANALYZE"))


@pytest_asyncio.fixture
async def workspace(tmp_path: Path, database_url: str) -> AsyncIterator[Workspace]:
    async with workspace_on(tmp_path, database_url) as opened:
        (opened.settings.root / "schemas").mkdir()
        (opened.settings.root / "schemas" / "eau.yaml").write_text(SCHEMA, encoding="utf-8")
        await opened.database.write(fill)
        await opened.database.write(add_indexes, ("house",))
        yield opened


@contextmanager
def sent(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Note every query that is sent, with its parameters."""
    noted: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            noted.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield noted
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def whole_tables(conn: Connection, statement: str, parameters: Any) -> list[str]:
    """Name the large tables, with their step of the plan, that a query reads from end to end.

    One that is walked in the order of an index and left at a limit, with no condition that could
    keep it going, is not.
    """
    if conn.dialect.name == "sqlite":
        rows = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
        if len(rows) == 1 and "LIMIT" in statement and "WHERE" not in statement:
            return []
        return [row.detail for row in rows if row.detail.startswith("SCAN")
                and row.detail.split()[1] in LARGE]  # fmt: skip
    plan = conn.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
    plan = orjson.loads(plan) if isinstance(plan, str) else plan
    found = []
    waiting = [(plan[0]["Plan"], False)]
    while waiting:
        node, left = waiting.pop()
        kind = node["Node Type"]
        waiting += [(one, kind == "Limit") for one in node.get("Plans", [])]
        walked = left and kind.startswith("Index") and "Filter" not in node
        if node.get("Relation Name") not in LARGE or kind == "Bitmap Heap Scan" or walked:
            continue
        if "Index Cond" not in node:
            found.append(f"{node['Node Type']} on {node['Relation Name']}")
    return found


FILTERS: tuple[ItemFilters, ...] = (
    {}, {"states": ("review",)}, {"states": ("ready", "review")}, {"rule": "no-urls"},
    {"field": "points"}, {"rule": "no-urls", "field": "title", "states": ("review",)},
    {"target": "de-DE"}, {"text": "P2999"}, {"where": "_key = 'P29998'"},
    {"where": "house = 'House 3'"},
    {"where": "price > 50"}, {"where": "_findings = 0 AND _status = 'ready'"},
    {"where": "missing(main_image)"}, {"where": "missing(scene_image)", "target": "de-DE"},
)  # fmt: skip


async def _listings(workspace: Workspace) -> None:
    """Ask for the first and the second page of every listing."""
    browse = Browse(workspace)
    for where in (None, "house = 'House 3'", "house IN ('House 3', 'House 4') AND price > 3",
                  "price > 50", "missing(house)", "_key = 'P29998'", "missing(main_image)",
                  "present(main_image) AND house = 'House 3'"):  # fmt: skip
        for order_by in (None, "house", "house DESC"):
            page = await browse.products("stock1", where, order_by)
            if page.next:
                await browse.products("stock1", where, order_by, cursor=page.next)
    for filters in FILTERS:
        items_page = await browse.items("run1", **filters)
        if items_page.next:
            await browse.items("run1", cursor=items_page.next, **filters)
    for targets in ((), ("de-DE",), ("de-DE", "fr-FR")):
        page = await browse.products("stock1", "missing(main_image)", targets=targets)
        await browse.with_slots(page.rows, targets)
    await browse.products("stock1", order_by="main_image")
    await browse.with_slots([await browse.product("stock1", "P29998")])
    await browse.selections("stock1")
    await workspace.runs()
    page_of_log = await auditing.entries(workspace)
    await auditing.entries(workspace, after=page_of_log.next)
    await auditing.entries(workspace, team=1)
    await spending(workspace, by="month", since="2026-09-20")


async def test_no_listing_reads_a_whole_table(workspace: Workspace) -> None:
    with sent(workspace.database) as noted:
        await _listings(workspace)
    assert len(noted) > 100
    found = {}
    for statement, parameters in noted:
        whole = await workspace.database.read(whole_tables, statement, parameters)
        if whole:
            found[statement] = whole
    assert not found, "\n\n".join(f"{steps}\n{one}" for one, steps in found.items())


def _look_back(conn: Connection) -> None:
    """Do what a working run, an estimate, a changed budget and retention ask of large tables."""
    run = store_runs.get_run(conn, 1)
    store_items.pending_page(conn, run, 0, 1000)
    store_items.pending_page(conn, run, 0, 1000, PRODUCTS // 2)
    store_items.pending_span(conn, run, 0, 1000)
    store_items.retry_some(conn, run)
    for pipeline, model in (("copy", "m"), ("copy", "never used"), ("never run", "m")):
        history.past_calls(conn, pipeline, "copy", model)
        history.bytes_per_token(conn, model)
    store_runs.set_budget(conn, run, 1)
    retaining_runs.calls_step(conn, 1, 0, False)
    watching.failed_items(conn, 1)
    reporting.item_page(conn, 1, 0, size=100)
    reporting.item_page(conn, 1, 0, ("review",), 100)
    browsing.versions_after(conn, 1, 0, 1000)


def past_others(conn: Connection, statement: str, parameters: Any) -> list[str]:
    """Name the steps of a plan that walk past rows of other runs and catalogues."""
    if conn.dialect.name == "sqlite":
        return []
    (plan,) = conn.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
    found, waiting = [], [plan["Plan"]]
    while waiting:
        node = waiting.pop()
        waiting += node.get("Plans", [])
        checked = node.get("Filter", "")
        if node.get("Relation Name") in LARGE and ("run_id" in checked or "catalog_id" in checked):
            found.append(f"{node['Node Type']} on {node['Relation Name']}: {checked}")
    return found


async def test_what_looks_back_or_goes_on_reads_no_whole_table(workspace: Workspace) -> None:
    """Nor past what other runs and catalogues have there."""
    with sent(workspace.database) as noted:
        await workspace.database.write(_look_back)
    assert len(noted) > 15
    for statement, parameters in noted:
        for look in (whole_tables, past_others):
            steps = await workspace.database.read(look, statement, parameters)
            # Half of the sums are this run's, so that reading all of them is right.
            assert not [one for one in steps if not one.startswith("Seq Scan on spend")], statement


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_counting_a_facet_reads_its_index_alone(workspace: Workspace) -> None:
    """On SQLite; PostgreSQL looks the rows up until the table was vacuumed."""
    browse = Browse(workspace)
    with sent(workspace.database) as noted:
        assert await browse.count("stock1", "house = 'House 4'") == PRODUCTS // 20
        assert await browse.count("stock1") == PRODUCTS // 2
        await browse.facets("stock1")
    steps = [
        row.detail
        for statement, parameters in noted
        if "count(*)" in statement and "json_type" not in statement
        for row in await workspace.database.read(
            lambda conn, one=statement, given=parameters: conn.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {one}", given
            ).all()
        )
        if "products" in row.detail
    ]
    assert steps
    assert all("COVERING INDEX" in step for step in steps if "ix_products_in_order" in step)
    assert any("ix_facet" in step for step in steps)
    assert not any(step.startswith("SCAN") for step in steps)


def looked_up(
    conn: Connection, statement: str, parameters: Any, tables: Collection[str] = ("current",)
) -> list[str]:
    """Give how a query's plan comes by the rows of a table: the index and its condition."""
    if conn.dialect.name == "sqlite":
        rows = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
        return [row.detail for row in rows if row.detail.split()[1] in tables]
    plan = conn.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
    plan = orjson.loads(plan) if isinstance(plan, str) else plan
    waiting, found = [plan[0]["Plan"]], []
    while waiting:
        node = waiting.pop()
        waiting += node.get("Plans", [])
        named = node.get("Relation Name") or node.get("Index Name", "")
        if any(one in named for one in tables):
            found.append(f"{node.get('Index Name')} {node.get('Index Cond')}")
    return found


async def test_slots_are_looked_up_by_the_primary_key_of_what_is_current(
    workspace: Workspace,
) -> None:
    """A product at a time, also where a page, a count or completeness goes over many."""
    browse, lite = Browse(workspace), workspace.database.dialect == "sqlite"
    key = "USING PRIMARY KEY (product_id=?" if lite else "(product_id = ANY"
    for targets in ((), ("de-DE",), ("de-DE", "fr-FR")):
        with sent(workspace.database) as noted:
            assert await browse.count("stock1", "missing(main_image)", targets=targets) >= 10_000
            await browse.products("stock1", "present(main_image)", "price", targets=targets)
            await browse.completeness("stock1", targets=targets)
            await browse.facets("stock1", "missing(main_image)", targets=targets)
            await browse.count_items("run1", where="missing(main_image) OR present(scene_image)")
            await workspace.products("missing(main_image)", catalog="stock1", targets=targets)
        asked = [one for one in noted if "FROM current JOIN" in one[0]]
        assert len(asked) >= 7
        for statement, parameters in asked:
            steps = await workspace.database.read(looked_up, statement, parameters)
            assert steps and all(key in one for one in steps), (statement, steps)
            assert lite or all(one.startswith("pk_current") for one in steps), steps
            if targets and lite and "json_group_array" not in statement:
                assert any("target=? AND field=?" in one for one in steps), steps


async def test_what_is_outdated_is_looked_up_by_index_a_product_at_a_time(
    workspace: Workspace,
) -> None:
    """Also where a page or a count goes over many: what was made, and what is still the same."""
    await workspace.database.write(
        lambda conn: conn.execute(
            text("UPDATE products SET version = version + 1 WHERE id % 1000 IN (1, 2)")
        )
    )
    lite = workspace.database.dialect == "sqlite"
    every: tuple[Works, ...] = ("products", "products in groups")
    for works in every:
        stale = outdated("copy", [("de-DE", 1), ("fr-FR", 1)], works)
        streams = [Stream(1, None, stale)]
        with sent(workspace.database) as noted:
            page = await workspace.database.read(browsing.read_page, streams, Stretch(), 50)
            count = await workspace.database.read(browsing.count_stretch, streams, Stretch())
        assert (len(page), count) == (30, 30)
        for statement, parameters in noted:
            steps = await workspace.database.read(
                looked_up, statement, parameters, ("items", "done")
            )
            assert len(steps) >= 4 and all("product_id" in one for one in steps), steps
            same = [one for one in steps if "ix_items_finished" in one]
            assert len(same) >= 2 and all("fingerprint_id" in one for one in same), steps
            made = [one for one in steps if "ix_items_product_id_run_id" in one]
            assert len(made) >= 2 and len(same) + len(made) == len(steps), steps
            assert not lite or not any(one.startswith("SCAN") for one in steps)


def test_every_large_table_is_one_of_ours() -> None:
    from waremill.store.tables import metadata

    assert set(LARGE) <= set(metadata.tables)
    assert items.name in LARGE


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_scrape_an_erasure_and_retention_read_no_whole_table(workspace: Workspace) -> None:
    """On SQLite; what an erasure reads once of all others' results is read by pages, by number."""
    with sent(workspace.database) as noted:
        await figures(workspace)
        for look in (erasing.look, erasing.waiting_run, erasing.texts_of):
            await workspace.database.read(look, 7)
        assert await workspace.database.read(erasing.runs_of, [7, 8]) == [1, 2]
        await workspace.database.read(erasing.sent_step, [7, 8], 1, 0, False)
        await workspace.database.read(retaining_runs.ended_before, 0.0)
        for step in retaining_runs.RUN_STEPS.values():
            await workspace.database.read(step, 1, 0, False)
    assert len(noted) > 20
    found = {}
    for statement, parameters in noted:
        whole = await workspace.database.read(whole_tables, statement, parameters)
        if whole:
            found[statement] = whole
    assert not found, "\n\n".join(f"{steps}\n{one}" for one, steps in found.items())
