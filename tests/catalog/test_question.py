"""Questions to a catalogue: one SELECT over one table, the same answer from both databases."""

from __future__ import annotations

from typing import Any

import pytest
from tests.databases import database, database_url, migrated_postgres, migrated_sqlite

from waremill.app.acting import LOCAL
from waremill.app.importing import ImportOptions, import_sources, options_for
from waremill.catalog.filter_syntax import SelectionError
from waremill.catalog.query import MOST_ROWS, compile_question
from waremill.store import products as store
from waremill.store.database import Database
from waremill.store.tables import products

__all__ = ["database", "database_url", "migrated_postgres", "migrated_sqlite"]

ROWS = [
    {"sku": "A", "name": "Eau", "brand": "Dior", "price": 90, "notes": ["rose", "amber"]},
    {"sku": "B", "name": "Nuit", "brand": "Dior", "price": "110.5", "notes": []},
    {"sku": "C", "name": "Jour", "brand": "Chanel", "price": 120, "sample": True},
    {"sku": "D", "name": "O'Neil; DROP TABLE products", "brand": "Chanel", "price": "unknown"},
    {"sku": "E", "name": "Soir", "price": 10},
]


@pytest.fixture
async def filled(database: Database, tmp_path: Any) -> Database:
    import orjson

    sheet = tmp_path / "products.jsonl"
    sheet.write_bytes(b"\n".join(map(orjson.dumps, ROWS)))
    options = options_for(LOCAL, ImportOptions("sku", None, None, "shop"), [])
    await import_sources(database, [str(sheet)], options)
    return database


async def ask(database: Database, query: str) -> list[list[Any]]:
    def read(conn: Any) -> list[list[Any]]:
        catalog = store.find_catalog(conn, "shop")
        question = compile_question(
            query, products.c.attributes, catalog.columns, database.dialect,
            {"_key": products.c.key},
        )  # fmt: skip
        return question.rows(list(conn.execute(question.statement(store.chosen(catalog.id)))))

    return await database.read(read)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT name, price FROM products WHERE price > 100 ORDER BY price DESC",
         [["Jour", 120], ["Nuit", "110.5"]]),
        ("select _key, notes from products where notes = 'rose'", [["A", ["rose", "amber"]]]),
        ("SELECT brand, count(*) AS n FROM products WHERE brand IS NOT NULL GROUP BY brand "
         "ORDER BY n DESC, brand", [["Chanel", 2], ["Dior", 2]]),
        ("SELECT brand, avg(price), max(price) FROM products GROUP BY brand ORDER BY brand",
         [["Chanel", 120.0, 120.0], ["Dior", 100.25, 110.5], [None, 10.0, 10.0]]),
        ("SELECT count(*), count(brand), count(DISTINCT brand), sum(price) FROM products",
         [[5, 4, 2, 330.5]]),
        ("SELECT count(*) FROM products WHERE price > 100", [[2]]),
        ("SELECT DISTINCT brand FROM products ORDER BY brand", [["Chanel"], ["Dior"], [None]]),
        ("SELECT products.brand, COUNT(*) FROM products GROUP BY 1 ORDER BY 2, 1 LIMIT 1",
         [[None, 1]]),
        ("SELECT price * 2 AS double, lower(name) FROM products WHERE _key = 'A';",
         [[180.0, "eau"]]),
        ("SELECT sample, count(*) FROM products GROUP BY sample ORDER BY 2",
         [["true", 1], [None, 4]]),
        ("SELECT name FROM products WHERE name = 'O''Neil; DROP TABLE products'",
         [["O'Neil; DROP TABLE products"]]),
    ],
)  # fmt: skip
async def test_it_answers(filled: Database, query: str, rows: list[list[Any]]) -> None:
    assert await ask(filled, query) == rows


async def test_a_star_gives_every_attribute_and_the_key(filled: Database) -> None:
    found = await ask(filled, "SELECT * FROM products LIMIT 1")
    assert len(found) == 1 and {"A", "Eau", "Dior", 90} <= {
        str(v) if isinstance(v, list) else v for v in found[0]
    }


@pytest.mark.parametrize(
    "query",
    [
        "", "SELECT", "DROP TABLE products", "DELETE FROM products", "UPDATE products SET name = 1",
        "INSERT INTO products VALUES (1)", "PRAGMA table_info(products)", "ATTACH 'x' AS y",
        "SELECT * FROM users", "SELECT * FROM products, users", "SELECT * FROM main.products",
        "SELECT * FROM products p", "SELECT * FROM products JOIN users ON 1 = 1",
        "SELECT * FROM (SELECT * FROM users) AS products",
        "SELECT (SELECT key FROM users) FROM products",
        "SELECT name FROM products UNION SELECT hash FROM tokens",
        "WITH products AS (SELECT * FROM users) SELECT * FROM products",
        "SELECT name FROM products; DROP TABLE products",
        "SELECT load_extension('x') FROM products",
        "SELECT readfile('/etc/passwd') FROM products", "SELECT pg_sleep(10) FROM products",
        "SELECT name FROM products WHERE EXISTS (SELECT 1 FROM users)",
        "SELECT name FROM products WHERE name IN (SELECT name FROM users)",
        "SELECT count(*) FROM products HAVING count(*) > 1", "SELECT name FROM products OFFSET 3",
        "SELECT name FROM products LIMIT -1", "SELECT name FROM products LIMIT (SELECT 1)",
        "SELECT team_id FROM products", "SELECT catalog_id FROM products",
        "SELECT id FROM products",
        "SELECT name, count(*) FROM products", "SELECT brand FROM products GROUP BY count(*)",
        "SELECT name FROM products GROUP BY 7", "SELECT count(DISTINCT brand, name) FROM products",
        "SELECT name FROM products FOR UPDATE", "SELECT name INTO x FROM products",
        f"SELECT name FROM products ORDER BY {'1' * 5_000}",
        f"SELECT name FROM products LIMIT {'9' * 5_000}",
        "SELECT max(price) OVER (PARTITION BY brand) FROM products", "VALUES (1)", "name = 'x'",
    ],
)  # fmt: skip
def test_everything_else_is_refused_in_one_sentence(query: str) -> None:
    with pytest.raises(SelectionError) as caught:
        compile_question(query, products.c.attributes, ("name", "brand", "price"), "sqlite")
    assert "\n" not in str(caught.value)


def test_rows_are_bounded_whatever_is_asked_for() -> None:
    compiled = compile_question(
        "SELECT name FROM products LIMIT 99999", products.c.attributes, ("name",), "sqlite"
    )
    assert compiled.limit == MOST_ROWS


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_what_is_written_never_stands_in_the_statement(dialect: Any) -> None:
    from sqlalchemy.dialects import postgresql, sqlite

    secret = "x' OR 1=1 --"
    doubled = secret.replace("'", "''")
    compiled = compile_question(
        f"SELECT name AS \"a b\", price FROM products WHERE name = '{doubled}' ORDER BY brand",
        products.c.attributes, ("name", "brand", "price"), dialect,
    )  # fmt: skip
    module = sqlite if dialect == "sqlite" else postgresql
    text = str(compiled.statement(store.chosen(1)).compile(dialect=module.dialect()))
    assert secret not in text and "a b" not in text
