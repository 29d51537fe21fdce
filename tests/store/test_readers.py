"""A server's readers: a slow listing ends, and keeps neither sign-in nor writers waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy import Connection, text

from waremill.errors import ConfigError
from waremill.store.database import Database

SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
    "SELECT count(*) FROM n WHERE i < 0",
    "postgresql": "SELECT count(*) FROM generate_series(1, 1e12)",
}


@pytest_asyncio.fixture
async def served(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """A database with one reader for listings, which may read for a second."""
    monkeypatch.setattr("waremill.store.database.READ_SECONDS", 1.0)
    opened = Database(database_url, readers=1)
    yield opened
    await opened.close()


async def test_a_listing_without_end_is_ended_with_one_sentence(served: Database) -> None:
    began = time.monotonic()
    with pytest.raises(ConfigError, match="longer than 1 seconds; narrow what is asked for"):
        await served.read(lambda conn: conn.execute(text(SLOW[served.dialect])).scalar())
    assert time.monotonic() - began < 5
    assert await served.read(lambda conn: conn.execute(text("SELECT 1")).scalar()) == 1


async def test_a_slow_listing_keeps_no_look_and_no_export_waiting(served: Database) -> None:
    def one(conn: Connection) -> object:
        return conn.execute(text("SELECT 1")).scalar()

    slow = asyncio.create_task(
        served.read(lambda conn: conn.execute(text(SLOW[served.dialect])).scalar())
    )
    await asyncio.sleep(0.1)
    assert await asyncio.wait_for(served.look(one), 0.7) == 1
    assert await asyncio.wait_for(served.read_all(one), 0.7) == 1
    assert await asyncio.wait_for(served.write(one), 0.7) == 1
    with pytest.raises(ConfigError):
        await slow
