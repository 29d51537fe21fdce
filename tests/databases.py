"""Real databases for the store's and the engine's tests: the same test on SQLite and PostgreSQL.

A migrated database is made once a session and copied for each test.
"""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from waremill.store.database import Database, migrate

DIALECTS = ("sqlite", "postgresql")


def _migrated(url: str) -> None:
    database = Database(url)
    migrate(database)
    asyncio.run(database.close())


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file nobody writes to."""
    path = tmp_path_factory.mktemp("migrated") / "waremill.db"
    _migrated(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> str:
    """The name of a migrated PostgreSQL database nobody writes to."""
    name = f"migrated_{uuid.uuid4().hex}"
    _execute(postgres_server, f"CREATE DATABASE {name}")
    _migrated(_named(postgres_server, name))
    return name


@pytest.fixture(params=DIALECTS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated, empty database of the test's own."""
    if request.param == "sqlite":
        path = tmp_path / "waremill.db"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
        yield f"sqlite:///{path}"
        return
    server = request.getfixturevalue("postgres_server")
    name = f"test_{uuid.uuid4().hex}"
    template = request.getfixturevalue("migrated_postgres")
    _execute(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _named(server, name)
    _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open, migrated, empty database."""
    opened = Database(database_url)
    yield opened
    await opened.close()


def _named(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _execute(url: str, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
    finally:
        engine.dispose()
