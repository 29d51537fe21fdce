"""Many rows at once: what happens to a row that is there already, and to a full disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from waremill.errors import LimitReached
from waremill.store.bulk import BulkInsert, BulkUpdate
from waremill.store.database import Database, migrate
from waremill.store.tables import documents, rates

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
