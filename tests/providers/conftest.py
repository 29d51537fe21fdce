"""Every test here that takes `database` runs on SQLite and on PostgreSQL."""

from tests.databases import database, database_url, migrated_postgres, migrated_sqlite

__all__ = ["database", "database_url", "migrated_postgres", "migrated_sqlite"]
