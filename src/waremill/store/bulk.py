"""Many rows at once: statements written once and handed to the database's driver as they are.

A row is a plain tuple. On SQLite one statement takes many rows, since its driver gives the
interpreter's lock away once a statement, and getting it back beside a busy loop costs more than the
row; PostgreSQL's driver sends rows one after the other without waiting. The room's own queries stay
SQLAlchemy's; this file knows no table and opens no transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

PARAMETERS = 5_000
"""Most parameters of a statement; SQLite takes 32,766 since 3.32."""
Values = tuple[Any, ...]


@dataclass(frozen=True)
class BulkInsert:
    """Inserts rows whose values come in the order of `columns`.

    A row whose `key` is there already is left out (`ignore`), overwrites the other columns
    (`replace`), or is added to them (`add`).
    """

    table: Table
    columns: tuple[str, ...]
    key: tuple[str, ...] = ()
    known: Literal["ignore", "replace", "add"] = "ignore"
    _written: dict[tuple[str, int], str] = field(default_factory=dict, repr=False, compare=False)

    def run(self, conn: Connection, rows: Sequence[Values]) -> None:
        """Insert rows; no two may share a key unless `known` is `ignore`."""
        _run(self, conn, rows)

    def write(self, conn: Connection, count: int) -> str:
        """Write the statement for so many rows."""
        quote = conn.dialect.identifier_preparer
        names = [quote.quote(name) for name in self.columns]
        table = quote.format_table(self.table)
        text = f"INSERT INTO {table} ({', '.join(names)}) VALUES {_places(conn, len(names), count)}"
        if not self.key:
            return text
        text += f" ON CONFLICT ({', '.join(map(quote.quote, self.key))}) DO "
        if self.known == "ignore":
            return text + "NOTHING"
        old = f"{table}.{{0}} + " if self.known == "add" else ""
        change = "{0} = " + old + "excluded.{0}"
        rest = [quote.quote(name) for name in self.columns if name not in self.key]
        return text + "UPDATE SET " + ", ".join(map(change.format, rest))


@dataclass(frozen=True)
class BulkUpdate:
    """Updates rows by `id`: each row's values come in the order of `columns`, its id last."""

    table: Table
    columns: tuple[str, ...]
    _written: dict[tuple[str, int], str] = field(default_factory=dict, repr=False, compare=False)

    def run(self, conn: Connection, rows: Sequence[Values]) -> None:
        """Update rows; ids that do not exist are passed over."""
        _run(self, conn, rows)

    def write(self, conn: Connection, count: int) -> str:
        """Write the statement for so many rows."""
        quote = conn.dialect.identifier_preparer
        table = quote.format_table(self.table)
        names = [quote.quote(name) for name in self.columns]
        if not _takes_many(conn):
            place = _place(conn)
            changes = ", ".join(f"{name} = {place}" for name in names)
            return f"UPDATE {table} SET {changes} WHERE id = {place}"
        changes = ", ".join(f"{name} = v.column{i}" for i, name in enumerate(names, 1))
        places = _places(conn, len(names) + 1, count)
        return (
            f"UPDATE {table} SET {changes} FROM (VALUES {places}) AS v "
            f"WHERE {table}.id = v.column{len(names) + 1}"
        )


def _run(statement: BulkInsert | BulkUpdate, conn: Connection, rows: Sequence[Values]) -> None:
    if not rows:
        return
    if not _takes_many(conn):
        conn.exec_driver_sql(_text(statement, conn, 1), list(rows))
        return
    # The driver's own cursor: what SQLAlchemy does around a statement costs as much as ten rows.
    cursor = conn.connection.cursor()
    start = 0
    try:
        for size in _sizes(len(rows), len(rows[0])):
            flat = tuple(chain.from_iterable(rows[start : start + size]))
            cursor.execute(_text(statement, conn, size), flat)
            start += size
    except sqlite3.Error as error:
        raise DBAPIError.instance(None, None, error, sqlite3.Error) from error
    finally:
        cursor.close()


def _takes_many(conn: Connection) -> bool:
    """Whether one statement takes many rows (SQLite has UPDATE … FROM since 3.33)."""
    return conn.dialect.name == "sqlite" and conn.dialect.dbapi.sqlite_version_info >= (3, 33)  # type: ignore[union-attr]


def _sizes(count: int, width: int) -> list[int]:
    """Split rows into powers of two, so that few different statements are ever prepared."""
    most = 1 << (PARAMETERS // width).bit_length() - 1
    sizes = [most] * (count // most)
    rest = count % most
    return sizes + [1 << bit for bit in range(rest.bit_length() - 1, -1, -1) if rest >> bit & 1]


def _text(statement: BulkInsert | BulkUpdate, conn: Connection, count: int) -> str:
    key = (conn.dialect.name, count)
    text = statement._written.get(key)
    if text is None:
        text = statement._written[key] = statement.write(conn, count)
    return text


def _places(conn: Connection, width: int, count: int) -> str:
    row = f"({', '.join([_place(conn)] * width)})"
    return ", ".join([row] * count)


def _place(conn: Connection) -> str:
    return "?" if conn.dialect.name == "sqlite" else "%s"
