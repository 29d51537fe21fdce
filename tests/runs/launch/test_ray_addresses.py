"""A cluster that is not there is told at once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.planned import claimed, planned

from waremill.errors import ConfigError
from waremill.runs.launch.ray import Crew, Driver
from waremill.store.database import Database


@asynccontextmanager
async def never(_worker: int) -> Any:
    """Build nothing: no worker is ever started here."""
    raise AssertionError
    yield


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "[::1]:9"])
async def test_an_address_nobody_listens_at_is_refused_in_seconds(
    database: Database, address: str
) -> None:
    run = await claimed(database, await planned(database))
    driver = Driver(database, run, Crew(address), never, None)
    with pytest.raises(ConfigError, match="cannot be reached"):
        async with asyncio.timeout(15):
            await driver.work()
    assert driver.progress()["states"] == {"pending": 3}
