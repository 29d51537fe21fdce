"""Importing: where rows go, what they are called, and what is never stored."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import polars
import pytest
from sqlalchemy import Connection, func, select
from tests.workspaces import write_sheet

from waremill.app.importing import BATCH_COMMIT, Imported, ImportOptions, import_sources, shown
from waremill.catalog.selection import compile_where
from waremill.errors import SourceError
from waremill.store import products as store_products
from waremill.store.database import Database
from waremill.store.facets import facets
from waremill.store.tables import catalogs, products

KEYLESS = ImportOptions(keyless=True)


def workbook(path: Path, **columns: list[Any]) -> str:
    """Write a workbook with one sheet, `Sheet1`."""
    polars.DataFrame(columns).write_excel(path, worksheet="Sheet1")
    return str(path)


async def taken(database: Database, done: Imported) -> dict[str, dict[str, Any]]:
    """The products of an import, by key, in their order."""
    catalog = await database.read(store_products.find_catalog, done.catalog)
    query = (
        select(products.c.key, products.c.attributes)
        .where(products.c.catalog_id == catalog.id, products.c.import_number == done.number)
        .order_by(products.c.position)
    )
    return dict(await database.read(lambda conn: conn.execute(query).tuples().all()))


async def test_sheets_without_a_key_go_into_catalogues_of_their_own(
    database: Database, tmp_path: Path
) -> None:
    first = workbook(tmp_path / "a.xlsx", name=["Eau", "Bois"], scent=["rose", "oak"])
    second = workbook(tmp_path / "b.xlsx", name=["Cup"], colour=["red"])
    a = await import_sources(database, [first], KEYLESS)
    b = await import_sources(database, [second], KEYLESS)
    assert (a.catalog, b.catalog) == ("a", "b")
    assert list(await taken(database, a)) == ["Sheet1!2", "Sheet1!3"]
    assert await taken(database, b) == {"Sheet1!2": {"name": "Cup", "colour": "red"}}


async def test_a_row_without_a_key_inherits_nothing(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    workbook(path, name=["Eau"], scent=["rose"])
    await import_sources(database, [str(path)], KEYLESS)
    workbook(path, name=["Cup"], colour=["red"])
    again = await import_sources(database, [str(path)], KEYLESS)
    assert await taken(database, again) == {"Sheet1!2": {"name": "Cup", "colour": "red"}}


async def test_a_sheet_with_the_catalogues_key_joins_it(database: Database, tmp_path: Path) -> None:
    stock = write_sheet(tmp_path / "stock.csv", [{"sku": "1", "name": "Eau"}])
    await import_sources(database, [str(stock)], ImportOptions(key="sku"))
    loose = workbook(tmp_path / "a.xlsx", name=["Cup"])
    assert (await import_sources(database, [loose], KEYLESS)).catalog == "a"
    more = write_sheet(tmp_path / "more.csv", [{"sku": "2", "name": "Bois"}])
    done = await import_sources(database, [str(more)], KEYLESS)
    assert (done.catalog, done.key) == ("stock", "sku")


async def test_all_files_of_a_folder_are_one_import(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    workbook(folder / "a.xlsx", name=["Eau", "Bois"])
    workbook(folder / "b.xlsx", name=["Cup"])
    done = await import_sources(database, [str(folder)], KEYLESS)
    assert done.catalog == "new"
    assert list(await taken(database, done)) == ["a:Sheet1!2", "a:Sheet1!3", "b:Sheet1!2"]


def test_a_database_url_is_shown_without_its_password() -> None:
    url = "postgresql://shop:s3cret@host/db?password=s3cret&table=products"
    assert "s3cret" not in shown(url)
    assert shown(url).startswith("postgresql://shop:***@host/db")
    assert shown("data/new.xlsx") == "data/new.xlsx"
    assert "s3cret" not in shown("postgresql://shop:s3cret@host:nonsense/db")


async def test_a_password_is_neither_stored_nor_in_a_message(
    database: Database, tmp_path: Path
) -> None:
    from sqlalchemy import create_engine

    path = tmp_path / "shop.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as conn:
        conn.exec_driver_sql("CREATE TABLE things (sku TEXT, name TEXT)")
        conn.exec_driver_sql("INSERT INTO things VALUES ('1', 'Eau')")
    engine.dispose()
    url = f"sqlite:///{path}?password=s3cret&table=things"
    with pytest.raises(SourceError) as wrong:
        await import_sources(database, [url], ImportOptions(key="sukk"))
    assert "s3cret" not in str(wrong.value)


async def test_an_imported_database_is_remembered_by_its_shown_url(
    database: Database, postgres_server: str
) -> None:
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url

    table = "things_to_import"
    engine = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        conn.exec_driver_sql(f"DROP TABLE IF EXISTS {table}")
        conn.exec_driver_sql(f"CREATE TABLE {table} AS SELECT '1' AS sku, 'Eau' AS name")
    url = make_url(postgres_server).set(password="s3cret").update_query_dict({"table": table})
    source = url.render_as_string(hide_password=False)
    done = await import_sources(database, [source], ImportOptions(key="sku"))
    with engine.connect() as conn:
        conn.exec_driver_sql(f"DROP TABLE {table}")
    engine.dispose()
    kept = await database.read(lambda conn: conn.execute(select(catalogs.c.source)).scalar_one())
    assert "s3cret" not in kept + " ".join(done.notes)
    assert "***" in kept


async def test_a_product_is_the_same_from_a_workbook_and_from_a_csv(
    database: Database, tmp_path: Path
) -> None:
    rows = [{"sku": str(n), "price": n + 0.5, "name": f'Eau "{n}"'} for n in range(30)]
    names = [{**row, "sku": f"P{row['sku']}", "scent": None} for row in rows]
    sheet = tmp_path / "a.xlsx"
    polars.DataFrame(names).write_excel(sheet)
    table = write_sheet(tmp_path / "a.csv", [dict(reversed(row.items())) for row in names])
    options = ImportOptions(key="sku", catalog="stock")
    first = await import_sources(database, [str(sheet)], options)
    again = await import_sources(database, [str(table)], options)
    assert (first.new, again.new, again.changed, again.unchanged) == (30, 0, 0, 30)
    query = select(products.c.attributes, products.c.version)
    for row in await database.read(lambda conn: conn.execute(query).all()):
        assert row.version == store_products.version_of(row.attributes)
        assert "scent" not in row.attributes


async def test_a_filter_on_a_facet_column_reads_its_index(
    database: Database, tmp_path: Path
) -> None:
    rows = [{"sku": f"P{n}", "brand": f"House {n % 20}", "sex": "mf"[n % 2]} for n in range(2500)]
    sheet = write_sheet(tmp_path / "a.csv", rows)
    done = await import_sources(database, [str(sheet)], ImportOptions(key="sku"))

    def plan(conn: Connection) -> str:
        catalog = store_products.find_catalog(conn, done.catalog)
        assert facets(conn, catalog) == ["brand"]
        where = compile_where(
            "brand = 'House 7'", products.c.attributes, catalog.columns, database.dialect
        )
        query = store_products.chosen(catalog.id, where).compile(
            conn, compile_kwargs={"literal_binds": True}
        )
        if database.dialect == "sqlite":
            explain = "EXPLAIN QUERY PLAN "
        else:
            explain = "EXPLAIN "
            conn.exec_driver_sql("ANALYZE products")
        return str(conn.exec_driver_sql(f"{explain}{query}").all())

    assert "ix_facet_" in await database.write(plan)


async def test_an_import_that_is_cut_off_has_written_whole_batches(
    database: Database, tmp_path: Path
) -> None:
    rows = "".join(f'{{"sku": "{n}"}}\n' for n in range(4 * BATCH_COMMIT))
    (tmp_path / "long.jsonl").write_text(rows)
    options = ImportOptions(key="sku")
    task = asyncio.current_task()
    assert task is not None

    def cut(_done: int) -> None:
        asyncio.get_running_loop().call_soon(task.cancel)

    with pytest.raises(asyncio.CancelledError):
        await import_sources(database, [str(tmp_path / "long.jsonl")], options, cut)
    task.uncancel()
    count = select(func.count()).select_from(products)
    kept = await database.read(lambda conn: conn.execute(count).scalar_one())
    assert kept in (BATCH_COMMIT, 2 * BATCH_COMMIT)
    done = await import_sources(database, [str(tmp_path / "long.jsonl")], options)
    assert (done.new, done.unchanged) == (4 * BATCH_COMMIT - kept, kept)
