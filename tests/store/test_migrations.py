"""The migrations give exactly the tables the code declares."""

from __future__ import annotations

import re
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import JSON, Column, Connection, MetaData, func, insert, select, text
from sqlalchemy.schema import DropTable
from tests.databases import DIALECTS

from waremill.errors import ConfigError
from waremill.store.database import SCHEMA_VERSION, Database, migrate, schema_version
from waremill.store.tables import calls, metadata, outcomes

VERSIONS = resources.files("waremill.store") / "migrations" / "versions"


def made_after(version: str) -> set[str]:
    """The tables that later migrations make."""
    later = (path for path in VERSIONS.iterdir() if path.name[:4].isdigit())
    texts = [path.read_text(encoding="utf-8") for path in later if path.name[:4] > version]
    return {name for one in texts for name in re.findall(r'create_table\(\s*"(\w+)"', one)}


def differences(conn: Connection) -> list[object]:
    context = MigrationContext.configure(
        conn, opts={"compare_type": True, "target_metadata": metadata}
    )
    return list(compare_metadata(context, metadata))


async def test_the_migrated_schema_is_the_declared_one(database: Database) -> None:
    assert await database.read(differences) == []
    assert await database.read(schema_version) == SCHEMA_VERSION


async def test_migrating_again_changes_nothing(database: Database) -> None:
    migrate(database)
    assert await database.read(schema_version) == SCHEMA_VERSION


async def test_a_newer_schema_is_refused(database: Database) -> None:
    await database.write(
        lambda conn: conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    )
    with pytest.raises(ConfigError, match="update waremill"):
        migrate(database)


async def test_what_older_versions_called_is_summed_up(database: Database) -> None:
    call = {
        "run_id": 1, "item_id": 1, "step": "copy", "request_hash": b"x", "attempt": 1, "input": 5,
        "cached": 0, "output": 7, "reasoning": 0, "latency": 0.5, "started_at": 0.0,
    }  # fmt: skip
    ended = (
        ("a", "complete", 3), ("a", "complete", None), ("a", "unavailable", None),
        ("b", "complete", 0),
    )  # fmt: skip
    rows = [
        {**call, "model": model, "outcome": outcome, "paid": paid, "list_cost": paid}
        for model, outcome, paid in ended
    ]

    def before(conn: Connection) -> None:
        conn.execute(insert(calls), rows)
        for table in reversed(metadata.sorted_tables):
            if table.name in made_after("0003"):
                conn.execute(DropTable(table))
        conn.execute(text("ALTER TABLE runs DROP COLUMN committed"))
        conn.execute(text("DROP INDEX ix_calls_run_id_id"))
        conn.execute(text("CREATE INDEX ix_calls_run_id ON calls (run_id)"))
        conn.execute(text("UPDATE alembic_version SET version_num = '0003'"))

    await database.write(before)
    migrate(database)
    query = select(outcomes).order_by(outcomes.c.model, outcomes.c.outcome)
    found = await database.read(lambda conn: conn.execute(query).all())
    assert [tuple(row)[:13] for row in found] == [
        (1, "a", "complete", 2, 1, 1, 10, 0, 14, 0, 3, 3, 1.0),
        (1, "a", "unavailable", 1, 0, 0, 5, 0, 7, 0, 0, 0, 0.5),
        (1, "b", "complete", 1, 1, 1, 5, 0, 7, 0, 0, 0, 0.5),
    ]
    assert await database.read(differences) == []


def filled(conn: Connection) -> dict[str, int]:
    """Put a row into every table that is empty, and count the rows of each."""
    found = MetaData()
    found.reflect(conn)
    counts = {}
    for table in found.sorted_tables:
        if table.name == "alembic_version":
            continue
        count = select(func.count()).select_from(table)
        if not conn.execute(count).scalar_one():
            row = {one.name: something(one) for one in table.columns}
            conn.execute(insert(table).values(row))
        counts[table.name] = conn.execute(count).scalar_one()
    return counts


def something(column: Column[Any]) -> Any:
    """A value a column takes; of ids and what refers to them always the same."""
    if isinstance(column.type, JSON):
        return {}
    kind = column.type.python_type
    return {int: 1, float: 1.0, str: "[]", bytes: b"x", bool: False, Decimal: 1}[kind]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_every_migration_keeps_what_is_there(
    dialect: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Each goes over a database with a row in every table, as those before it left it."""
    url = f"sqlite:///{tmp_path / 'old.db'}"
    if dialect == "postgresql":
        url = request.getfixturevalue("postgres_url")
    database = Database(url)
    try:
        before: dict[str, int] = {}
        for path in sorted(VERSIONS.iterdir(), key=lambda one: one.name):
            if not path.name[:4].isdigit():
                continue
            migrate(database, path.name[:4])
            now = await database.write(filled)
            assert {name: now.get(name) for name in before} == before, path.name
            before = now
        assert await database.read(differences) == []
        if dialect == "sqlite":
            assert await database.read(unchecked) == []
    finally:
        await database.close()


def unchecked(conn: Connection) -> list[Any]:
    """What refers to rows that are not there, and whether that is checked at all."""
    assert conn.execute(text("PRAGMA foreign_keys")).scalar() == 1
    return list(conn.execute(text("PRAGMA foreign_key_check")))


@pytest.mark.parametrize("url", ["mysql://u:p@h/d", "nonsense", "oracle://h/d", ""])
def test_what_is_no_database_of_ours_is_a_plain_sentence(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Database(url)
    assert "Traceback" not in str(caught.value)
