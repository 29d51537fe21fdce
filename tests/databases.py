"""Real databases for the store's and the engine's tests: the same test on SQLite and PostgreSQL.

A migrated database is made once a session and copied for each test.
"""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from waremill.store import (  # noqa: F401 - their tables belong to the metadata
    tables_batches,
    tables_chat,
    tables_knowledge,
    tables_people,
    tables_publishing,
    tables_schedules,
    tables_workers,
)
from waremill.store.database import SCHEMA_VERSION, Database, migrate
from waremill.store.tables import metadata

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
    """The URL of a migrated PostgreSQL database that is emptied before each test.

    Emptying takes hundredths of a second; making and dropping a database takes a checkpoint.
    """
    name = f"migrated_{uuid.uuid4().hex}"
    _execute(postgres_server, f"CREATE DATABASE {name}")
    url = make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    _migrated(url)
    return url


@pytest.fixture(params=DIALECTS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a migrated, empty database of the test's own."""
    if request.param == "sqlite":
        path = tmp_path / "waremill.db"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
        return f"sqlite:///{path}"
    url: str = request.getfixturevalue("migrated_postgres")
    # Nearly all refer to teams, whose few rows are deleted instead.
    tables = ", ".join(f"('{one.name}')" for one in metadata.sorted_tables if one.name != "teams")
    _execute(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        "ALTER TABLE audit DISABLE TRIGGER keep_audit",
        # Emptying one costs files: only what was ever written to, and what refers to that.
        f"""DO $$ DECLARE names text; BEGIN
            SELECT string_agg(quote_ident(name), ', ') INTO names
                FROM (VALUES {tables}) AS all_tables (name)
                WHERE pg_relation_size(quote_ident(name)::regclass) > 0;
            IF names IS NOT NULL THEN
                EXECUTE 'TRUNCATE ' || names || ' RESTART IDENTITY CASCADE';
            END IF;
        END $$""",
        "DELETE FROM teams",
        "ALTER SEQUENCE teams_id_seq RESTART",
        "ALTER TABLE audit ENABLE TRIGGER keep_audit",
        "INSERT INTO teams (name, share, created_at) VALUES ('main', 1.0, 0)",
        f"UPDATE alembic_version SET version_num = '{SCHEMA_VERSION}'",
    )
    return url


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open, migrated, empty database."""
    opened = Database(database_url)
    yield opened
    await opened.close()


def _execute(url: str, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
    finally:
        engine.dispose()
