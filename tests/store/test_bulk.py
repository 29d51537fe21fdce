"""Many rows at once: what happens to a row that is there already, and to a full disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, select

from waremill.errors import LimitReached
from waremill.store.bulk import COPIED, BulkInsert, BulkUpdate
from waremill.store.database import Database, migrate
from waremill.store.tables import calls, documents, rates

COLUMNS = ("model", "requests_at", "tokens_at")
KEY = ("model",)


def kept(conn: Connection) -> list[tuple[str, float, float]]:
    """Every row of the table of rates, in order."""
    query = select(*(rates.c[name] for name in COLUMNS)).order_by(rates.c.model)
    return [tuple(row) for row in conn.execute(query)]


@pytest.mark.parametrize(
    ("known", "second"), [("ignore", (1.0, 2.0)), ("replace", (10.0, 20.0)), ("add", (11.0, 22.0))]
)
async def test_a_row_that_is_there_is_left_replaced_or_added_to(
    database: Database, known: str, second: tuple[float, float]
) -> None:
    insert = BulkInsert(rates, COLUMNS, KEY, known)  # type: ignore[arg-type]  # one of the three
    await database.write(insert.run, [("a", 1.0, 2.0)])
    await database.write(insert.run, [("a", 10.0, 20.0), ("b", 3.0, 4.0)])
    assert await database.read(kept) == [("a", *second), ("b", 3.0, 4.0)]


async def test_any_number_of_rows_is_written_and_changed(database: Database) -> None:
    insert, names = BulkInsert(rates, COLUMNS, KEY), [f"m{n:05}" for n in range(3001)]
    await database.write(insert.run, [(name, 1.0, 2.0) for name in names])
    assert await database.read(kept) == [(name, 1.0, 2.0) for name in names]
    await database.write(insert.run, [])
    await database.write(BulkUpdate(documents, ("body",)).run, [])
    assert len(await database.read(kept)) == 3001


async def test_odd_values_survive_either_way_of_writing_many(database: Database) -> None:
    texts = ["", "a\tb\nc", "\\N", '{"x": [1, null]}', "{NULL}", "中文 “quoted” 🌹", None]
    fields = ("run_id", "item_id", "step", "model", "request_hash", "attempt", "outcome",
              "latency", "paid", "error", "started_at", "input", "cached", "output",
              "reasoning")  # fmt: skip

    def rows(count: int) -> list[tuple[object, ...]]:
        return [
            (1, n, "copy", "m", bytes([n % 256, 0, 255]), 1, "complete",
             n if n % 2 else n + 0.5, None if n % 3 else 2**40, texts[n % len(texts)], 3,
             0, 0, 0, 0)
            for n in range(count)
        ]  # fmt: skip

    plain = BulkInsert(calls, fields)
    for count in (COPIED - 1, 3 * COPIED):  # as arrays, and as COPY, where there is one
        await database.write(lambda conn: conn.execute(delete(calls)))
        await database.write(plain.run, rows(count))
        query = select(*(calls.c[name] for name in fields)).order_by(calls.c.item_id)
        found = await database.read(lambda conn, query=query: conn.execute(query).all())
        assert [tuple(row) for row in found] == rows(count)


async def test_a_column_takes_whole_numbers_beside_fractions(database: Database) -> None:
    await database.write(BulkInsert(rates, COLUMNS, KEY).run, [("a", 1, 2.5), ("b", 3.5, 4)])
    assert await database.read(kept) == [("a", 1.0, 2.5), ("b", 3.5, 4.0)]


def test_a_full_disk_is_said_plainly(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'full.db'}")
    migrate(database)
    rows = [(f"hash {n}", "x" * 10_000) for n in range(200)]

    def fill(conn: Connection) -> None:
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
        conn.exec_driver_sql(f"PRAGMA max_page_count={pages + 20}")
        BulkInsert(documents, ("hash", "body")).run(conn, rows)

    with pytest.raises(LimitReached, match="is full") as caught:
        database.transact(True, fill)
    assert caught.value.limit == "disk"
    assert database.transact(False, lambda conn: conn.execute(select(documents.c.hash)).all()) == []
    database.engine.dispose()
