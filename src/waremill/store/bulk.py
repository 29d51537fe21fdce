"""Many rows at once: statements written once and handed to the database's driver as they are.

A row is a plain tuple, and one statement takes many. SQLite is given them as VALUES: its driver
gives the interpreter's lock away once a statement, and getting it back beside a busy loop costs
more than the row. PostgreSQL is given an array a column, which takes a third of the processor time
of a statement a row, and COPY where no row can be there already. The room's own queries stay
SQLAlchemy's; this file knows no table and opens no transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal

from sqlalchemy import Connection, Float, Table
from sqlalchemy.exc import DBAPIError

PARAMETERS = 5_000
"""Most parameters of a statement; SQLite takes 32,766 since 3.32."""
COPIED = 20
"""Rows from which on a COPY is cheaper than arrays: it costs one more way there and back."""
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

    def write(self, conn: Connection, rows: str) -> str:
        """Write the statement that inserts `rows`, which is SQL for a table of them."""
        quote = conn.dialect.identifier_preparer
        table = quote.format_table(self.table)
        text = f"INSERT INTO {table} ({', '.join(map(quote.quote, self.columns))}) {rows}"
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
    """Updates rows by `id`: each row's values come in the order of `values`, its id last."""

    table: Table
    values: tuple[str, ...]
    _written: dict[tuple[str, int], str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """What a row holds."""
        return (*self.values, "id")

    def run(self, conn: Connection, rows: Sequence[Values]) -> None:
        """Update rows; ids that do not exist are passed over."""
        _run(self, conn, rows)

    def write(self, conn: Connection, rows: str) -> str:
        """Write the statement that updates by `rows`, which is SQL for a table of them."""
        quote = conn.dialect.identifier_preparer
        table = quote.format_table(self.table)
        # Both databases call the columns of VALUES so; arrays are given these names.
        pairs = enumerate(map(quote.quote, self.values), 1)
        changes = ", ".join(f"{name} = v.column{i}" for i, name in pairs)
        last = f"v.column{len(self.columns)}"
        return f"UPDATE {table} SET {changes} FROM ({rows}) AS v WHERE {table}.id = {last}"


_Statement = BulkInsert | BulkUpdate


def _run(statement: _Statement, conn: Connection, rows: Sequence[Values]) -> None:
    if not rows:
        return
    run = _run_values if conn.dialect.name == "sqlite" else _run_arrays
    failure = conn.dialect.loaded_dbapi.Error
    # The driver's own cursor: what SQLAlchemy does around a statement costs as much as ten rows.
    cursor = conn.connection.cursor()
    try:
        run(statement, conn, cursor, rows)
    except failure as error:
        raise DBAPIError.instance(None, None, error, failure) from error
    finally:
        cursor.close()


def _run_values(
    statement: _Statement, conn: Connection, cursor: Any, rows: Sequence[Values]
) -> None:
    """Give the rows to SQLite, some thousand parameters a statement."""
    row = f"({', '.join('?' * len(statement.columns))})"
    start = 0
    for size in _sizes(len(rows), len(statement.columns)):
        text = _text(statement, conn, size, lambda size: f"VALUES {', '.join([row] * size)}")
        cursor.execute(text, tuple(chain.from_iterable(rows[start : start + size])))
        start += size


def _sizes(count: int, width: int) -> list[int]:
    """Split rows into powers of two, so that few different statements are ever prepared."""
    most = 1 << (PARAMETERS // width).bit_length() - 1
    sizes = [most] * (count // most)
    rest = count % most
    return sizes + [1 << bit for bit in range(rest.bit_length() - 1, -1, -1) if rest >> bit & 1]


def _run_arrays(
    statement: _Statement, conn: Connection, cursor: Any, rows: Sequence[Values]
) -> None:
    """Give the rows to PostgreSQL, all in one statement, which stays the same for any number."""
    if len(rows) >= COPIED and isinstance(statement, BulkInsert) and not statement.key:
        _copy(statement, conn, cursor, rows)
        return
    types = [statement.table.c[name].type for name in statement.columns]

    def arrays(_size: int) -> str:
        places = ", ".join(f"%s::{one.compile(conn.dialect)}[]" for one in types)
        names = ", ".join(f"column{i}" for i in range(1, len(types) + 1))
        return f"SELECT * FROM unnest({places}) AS given ({names})"

    columns = [
        # An array holds numbers of one kind.
        [one if one is None else float(one) for one in column]
        if isinstance(kind, Float)
        else list(column)
        for kind, column in zip(types, zip(*rows, strict=True), strict=True)
    ]
    cursor.execute(_text(statement, conn, 0, arrays), columns)


def _copy(statement: BulkInsert, conn: Connection, cursor: Any, rows: Sequence[Values]) -> None:
    quote = conn.dialect.identifier_preparer
    names = ", ".join(map(quote.quote, statement.columns))
    with cursor.copy(f"COPY {quote.format_table(statement.table)} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _text(statement: _Statement, conn: Connection, size: int, rows: Callable[[int], str]) -> str:
    key = (conn.dialect.name, size)
    text = statement._written.get(key)
    if text is None:
        text = statement._written[key] = statement.write(conn, rows(size))
    return text
