"""The migrations give exactly the tables the code declares."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from waremill.errors import ConfigError
from waremill.store.database import SCHEMA_VERSION, Database, migrate, schema_version
from waremill.store.tables import metadata


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


@pytest.mark.parametrize("url", ["mysql://u:p@h/d", "nonsense", "oracle://h/d", ""])
def test_what_is_no_database_of_ours_is_a_plain_sentence(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Database(url)
    assert "Traceback" not in str(caught.value)
