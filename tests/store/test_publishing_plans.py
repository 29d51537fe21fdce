"""Publishing reads no table whole: shown by the plans of the statements it really sends.

On SQLite a plan does not depend on how much is stored, so empty tables do.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Connection, event, text

from waremill.store import published as store_published
from waremill.store import publishing as store
from waremill.store.database import Database, migrate
from waremill.store.identities import holders
from waremill.store.publishing import Publication
from waremill.store.refusals import (
    PUBLICATIONS_KEPT,
    Refusal,
    add_refusals,
    forget_refusals,
    refusals_page,
)
from waremill.store.tables import catalogs, products
from waremill.store.tables_publishing import publications

LARGE = (
    "receipts", "published", "items", "results", "products", "publications", "refusals",
    "identities",
)  # fmt: skip
PUBLICATION = Publication(
    1, "p1", 1, 1, "feed", "acp", "all", "written", None, "m", {}, None, None, "me", None, None,
    0.0, None,
)  # fmt: skip
READ: dict[str, Callable[[Connection], Any]] = {
    "accepted items": lambda conn: store.accepted_page(conn, 1, ["en"], 0),
    "live values": lambda conn: store_published.live_values(conn, "feed", "en", [1, 2]),
    "receipts": lambda conn: store.receipts_page(conn, 1, 0),
    "receipts by id": lambda conn: store.receipts_by_id(conn, [1, 2]),
    "what rollbacks restored": lambda conn: store.restored(conn, [1, 2]),
    "stages": lambda conn: store.stages_done(conn, 1, "feed"),
    "the unfinished one": lambda conn: store.unfinished(conn, "feed"),
    "all that is live": lambda conn: list(
        store_published.live_pages(conn, PUBLICATION, "en", whole=True)
    ),
    "what changed": lambda conn: list(
        store_published.live_pages(conn, PUBLICATION, "en", whole=False)
    ),
    "teams of a channel": lambda conn: store.teams_of_channel(conn, "feed"),
    "what nobody is sure of": lambda conn: store.unsure_receipts(conn, "feed", "en", [1, 2]),
    "who has an identity": lambda conn: holders(conn, "feed", "en", [b"1", b"2"]),
    "refusals": lambda conn: refusals_page(conn, 1),
    "refusals to forget": lambda conn: forget_refusals(conn, "feed"),
    "a team's publications": lambda conn: store.list_publications(conn, [1], limit=5),
}


@pytest_asyncio.fixture
async def lite(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'plans.db'}")
    migrate(database)
    yield database
    await database.close()


@pytest.mark.parametrize("what", READ)
async def test_nothing_of_publishing_reads_a_whole_table(lite: Database, what: str) -> None:
    sent: list[tuple[str, Any]] = []

    def remember(_c: Any, _k: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    def plans(conn: Connection) -> list[str]:
        row = {"run_id": 1, "channel": "feed", "format": "sql", "stage": "all", "state": "failed",
               "mapping": "m", "outputs": "{}", "by": "me", "created_at": 0.0}  # fmt: skip
        many = [{**row, "name": f"q{n}"} for n in range(PUBLICATIONS_KEPT + 2)]
        conn.execute(publications.insert(), many)
        event.listen(conn, "before_cursor_execute", remember)
        READ[what](conn)
        event.remove(conn, "before_cursor_execute", remember)
        found = []
        for statement, parameters in sent:
            rows = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            found += [str(row[-1]) for row in rows]
        return found

    lines = await lite.write(plans)
    assert sent and lines
    whole = [line for line in lines if re.match(rf"SCAN (?:{'|'.join(LARGE)})\b", line)]
    assert whole == []


async def test_letting_receipts_count_again_changes_nothing(lite: Database) -> None:
    def work(conn: Connection) -> list[tuple[Any, ...]]:
        values = {"run_id": 1, "team_id": 1, "channel": "feed", "format": "acp", "stage": "all",
                  "mapping": "m", "outputs": {}, "by": "me"}  # fmt: skip
        made = store.open_publication(conn, values)
        rows = [store.Receipt("en", product, "title", f"T{product}") for product in range(1, 9)]
        store.add_receipts(conn, made, rows)
        for _ in range(2):
            after = 0
            while after := store.settle(conn, made, after):
                pass
        return list(conn.execute(text("SELECT * FROM published ORDER BY product_id")).tuples())

    found = await lite.write(work)
    assert [row[:4] for row in found] == [("feed", "en", n, "title") for n in range(1, 9)]


async def test_refusals_are_kept_for_the_last_publications_of_a_channel(lite: Database) -> None:
    def work(conn: Connection) -> list[int]:
        made = []
        conn.execute(catalogs.insert().values(name="c", columns="[]", imports=1, created_at=0.0))
        conn.execute(products.insert().values(
            catalog_id=1, key="P1", is_group=False, version=1, position=1, import_number=1,
            attributes={},
        ))  # fmt: skip
        for _ in range(PUBLICATIONS_KEPT + 2):
            values = {"run_id": 1, "channel": "feed", "format": "acp", "stage": "all",
                      "mapping": "m", "outputs": {}, "by": "me"}  # fmt: skip
            one = store.open_publication(conn, values)
            add_refusals(conn, one, [Refusal(n, 1, "P1", "en", "", "no", None) for n in (1, 2)])
            store.set_publication(conn, one.id, {"state": "done"})
            made.append(one.id)
        assert not forget_refusals(conn, "other") and not forget_refusals(conn, "feed")
        return [len(refusals_page(conn, one)) for one in made]

    assert await lite.write(work) == [0, 0] + [2] * PUBLICATIONS_KEPT
