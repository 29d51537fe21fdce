"""Write-back into a table of one's own database: SQLite or PostgreSQL, by a SQLAlchemy URL.

The mapping's columns are the table's; `key` names those that tell rows apart, and the table must
keep them unique. A row that is there gets the columns that changed, one that is missing is
inserted; 500 rows are one transaction. NULL is never written over a value. What a column held
before it was published first is kept with the receipt, so that a rollback brings it back.
"""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from waremill.catalog.publishers.channel import (
    Channel,
    ChannelOptions,
    Judged,
    Problem,
    Record,
    channel_format,
)
from waremill.catalog.publishers.field_rules import FieldRule, checked, identity_of
from waremill.catalog.publishers.mapping import check_columns, column_names
from waremill.catalog.publishers.table import Written, flat, plain
from waremill.catalog.readers.database import refusal_of
from waremill.errors import ConfigError, Where
from waremill.rules.document import suggestion

if TYPE_CHECKING:
    from sqlalchemy import URL, Column, Connection, Engine, Table

ROWS_AT_ONCE = 500
"""Rows of one transaction."""
_KEYS_A_QUERY = 200
_CONNECT_SECONDS = "15"
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


@channel_format("sql", options=("key",))
def open_channel(options: ChannelOptions) -> Channel:
    """Open a table; raise ConfigError where there is none, or its keys are not unique."""
    return _Target(options)


class _Target:
    whole = False
    grouped = False

    def __init__(self, options: ChannelOptions) -> None:
        self.notes: Sequence[str] = ()
        self._mapping = options.mapping
        self._names = column_names(options.mapping.columns)
        self._url = _url(str(options.url))
        # Not its address: what goes wrong is told over the API and kept with the publication, too.
        self._where = Where(file=f"table {options.table}" if options.table else None)
        self._engine = _engine(self._url, self._where)
        try:
            with self._said():
                self._table = _reflected(self._engine, options.table, self._where)
                self._key = self._keys(options.mapping.options.get("key") or ())
        except BaseException:
            self._engine.dispose()
            raise
        columns = self._table.columns
        self._rules = {
            name: FieldRule(name, kind="parts" if _takes_lists(columns[name]) else "text",
                            max_chars=getattr(columns[name].type, "length", None))
            for name in self._names
        }  # fmt: skip

    def _keys(self, named: Sequence[str]) -> tuple[str, ...]:
        check_columns(self._mapping, tuple(self._table.columns.keys()), "the table")
        primary = tuple(self._table.primary_key.columns.keys())
        key = tuple(named) or primary
        if not key or not set(key) <= set(self._names):
            raise ConfigError(
                "name the key: the table's column that tells rows apart, and map it",
                self._mapping.where(),
            )
        with self._engine.connect() as conn:
            unique = [primary, *_unique(conn, self._table)]
        if set(key) not in [set(one) for one in unique]:
            raise ConfigError(
                f"the table does not keep {', '.join(key)} unique: add a unique index, so that a "
                "product means one row",
                self._where,
            )
        return key

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Turn what the database refuses into one plain sentence without its password."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except SQLAlchemyError as error:
            raise ConfigError(_refusal(error), self._where) from error

    def judge(self, records: Sequence[Record]) -> list[Judged]:
        found = [self._checked(record) for record in records]
        keys = [self._key_of(values) for values, _ in found]
        with self._said(), self._engine.connect() as conn:
            there = self._there(conn, [key for key in keys if key is not None])
        return [
            self._judged(values, problems, there.get(key) if key else None, key)
            for (values, problems), key in zip(found, keys, strict=True)
        ]

    def _checked(self, record: Record) -> tuple[dict[str, Any], list[Problem]]:
        values, problems = checked(record.effective(self._names), self._rules, self._mapping)
        for name, value in list(values.items()):
            try:
                values[name] = _kept(_as_type(value, self._table.columns[name]))
            except ValueError as problem:
                problems.append(Problem(name, str(problem)))
                del values[name]
        return values, problems

    def _judged(
        self,
        values: dict[str, Any],
        problems: list[Problem],
        standing: Mapping[str, Any] | None,
        key: tuple[Any, ...] | None,
    ) -> Judged:
        wrong = {one.field for one in problems}
        if key is None:
            problems += [
                Problem(name, "it needs a value")
                for name in self._key if name not in values and name not in wrong
            ]  # fmt: skip
        elif standing is None:
            problems += [
                Problem(name, "the row is new in the table, which needs a value here")
                for name in self._needed() if name not in values and name not in wrong
            ]  # fmt: skip
        place = ", ".join(map(str, key)) if key else None
        placed = tuple(Problem(one.field, one.message, self._place(place)) for one in problems)
        before = {name: one for name, one in (standing or {}).items() if one is not None}
        return Judged(values, placed, before)

    def identity(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        return identity_of(values, *self._key)

    def group_identity(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        return ()

    def _place(self, key: str | None) -> str | None:
        return None if key is None else f"table {self._table.name}, row {key}"

    def _needed(self) -> list[str]:
        """Give the columns that a new row cannot be without."""
        return [
            str(one.name) for one in self._table.columns
            if not one.nullable and one.server_default is None and one.identity is None
            and one is not self._table.autoincrement_column
        ]  # fmt: skip

    def _key_of(self, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        key = tuple(values.get(name) for name in self._key)
        return None if any(one is None for one in key) else key

    def _there(
        self, conn: Connection, keys: Sequence[tuple[Any, ...]]
    ) -> dict[tuple[Any, ...], dict[str, Any]]:
        """Read the rows that are there by their keys, as receipts keep values."""
        from sqlalchemy import and_, or_, select

        columns = [self._table.columns[name] for name in (*self._key, *self._names)]
        size, found = len(self._key), {}
        for some in _parts(list(dict.fromkeys(keys)), _KEYS_A_QUERY):
            wanted = or_(*(
                and_(*(column == _as_type(one, column)
                       for column, one in zip(columns[:size], key, strict=True)))
                for key in some
            ))  # fmt: skip
            for row in conn.execute(select(*columns).where(wanted)).all():
                values = [_kept(one) for one in row]
                found[tuple(values[:size])] = dict(zip(self._names, values[size:], strict=True))
        return found

    def write(self, rows: Iterable[Sequence[Record]], out: Path, kind: str) -> Written:
        count, records = 0, chain.from_iterable(rows)
        with self._said():
            while some := [record for _, record in zip(range(ROWS_AT_ONCE), records, strict=False)]:
                with self._engine.begin() as conn:
                    self._write(conn, some)
                count += len(some)
        return Written(count)

    def _write(self, conn: Connection, records: Sequence[Record]) -> None:
        """Write some rows: missing ones whole, the others' changed columns."""
        pairs = [(self._key_of(record.values), record) for record in records]
        there = self._there(conn, [key for key, _ in pairs if key is not None])
        changed: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        fresh: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for key, record in pairs:
            if key is None:
                continue
            known = [name for name in self._names if record.values.get(name) is not None]
            row = {name: _as_type(record.values[name], self._table.columns[name]) for name in known}
            if key not in there:
                fresh.setdefault(tuple(known), []).append(row)
                continue
            names = tuple(
                name for name in known if name in record.changed and name not in self._key
            )
            if names:
                kept = {f"key_{name}": row[name] for name in self._key}
                changed.setdefault(names, []).append({**kept, **{one: row[one] for one in names}})
        for names, some in changed.items():
            conn.execute(self._update(names), some)
        for names, some in fresh.items():
            conn.execute(self._insert(names), some)

    def _update(self, names: Sequence[str]) -> Any:
        from sqlalchemy import bindparam, update

        columns = self._table.columns
        where = [columns[name] == bindparam(f"key_{name}") for name in self._key]
        return update(self._table).where(*where).values({name: bindparam(name) for name in names})

    def _insert(self, names: Sequence[str]) -> Any:
        """Insert rows; one that somebody inserted meanwhile is updated."""
        from sqlalchemy.dialects import postgresql, sqlite

        dialect = sqlite if self._engine.dialect.name == "sqlite" else postgresql
        into = dialect.insert(self._table)
        rest = {name: into.excluded[name] for name in names if name not in self._key}
        if not rest:
            return into.on_conflict_do_nothing(index_elements=list(self._key))
        return into.on_conflict_do_update(index_elements=list(self._key), set_=rest)

    def close(self) -> None:
        self._engine.dispose()


def _parts(values: list[Any], size: int) -> Iterator[list[Any]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _url(text: str) -> URL:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise ConfigError(
            "this is not a database URL: write sqlite:///shop.db or postgresql://me@host/shop"
        ) from error
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise ConfigError(f"{url.get_backend_name()} is not written to; SQLite and PostgreSQL are")
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise ConfigError(f"there is no database file “{Path(url.database or '').name}”")
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "postgresql" and "connect_timeout" not in url.query:
        url = url.update_query_dict({"connect_timeout": _CONNECT_SECONDS})
    return url


def _refusal(error: Exception) -> str:
    """Give the database's own first line without the address it stands at."""
    text = re.sub(r'connection to server [^,]*, port "?\d+"? failed: ', "", refusal_of(error))
    return text.replace("connection failed: ", "")


def _engine(url: URL, where: Where) -> Engine:
    import sqlalchemy

    try:
        return sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
        raise ConfigError(_refusal(error), where) from error


def _reflected(engine: Engine, name: str | None, where: Where) -> Table:
    from sqlalchemy import MetaData, Table, inspect

    if name is None:
        raise ConfigError('name the table: table = "goods"', where)
    schema, _, table = name.rpartition(".")
    known = inspect(engine).get_table_names(schema or None)
    if table not in known:
        raise ConfigError(f"there is no table “{name}”{suggestion(table, known)}", where)
    return Table(table, MetaData(), schema=schema or None, autoload_with=engine)


def _unique(conn: Connection, table: Table) -> list[tuple[str, ...]]:
    """Give the sets of columns a table keeps unique, for all of its rows."""
    from sqlalchemy import inspect, text

    found = inspect(conn)
    if conn.dialect.name == "sqlite":  # SQLAlchemy reads only some ways of writing UNIQUE
        query = text('SELECT name FROM pragma_index_list(:table) WHERE "unique" AND NOT partial')
        names = conn.execute(query, {"table": table.name}).scalars().all()
        columns = text("SELECT name FROM pragma_index_info(:name)")
        return [tuple(conn.execute(columns, {"name": one}).scalars()) for one in names]
    unique = [
        tuple(one["column_names"]) for one in found.get_unique_constraints(table.name, table.schema)
    ]
    return unique + [
        tuple(str(column) for column in one["column_names"])
        for one in found.get_indexes(table.name, table.schema)
        if one["unique"] and not one.get("dialect_options", {}).get("postgresql_where")
    ]


def _takes_lists(column: Column[Any]) -> bool:
    from sqlalchemy import ARRAY, JSON

    return isinstance(column.type, JSON | ARRAY)


def _as_type(value: Any, column: Column[Any]) -> Any:
    """Turn a value into what a column holds; raise ValueError with one sentence."""
    from sqlalchemy import types

    kind = column.type
    if _takes_lists(column):
        return plain(value)
    text = str(flat(value)).strip()
    if isinstance(kind, types.Boolean):
        if text.lower() not in _TRUE + _FALSE:
            raise ValueError(f"“{text}” is neither true nor false")
        return text.lower() in _TRUE
    if isinstance(kind, types.Integer | types.Numeric):
        return _as_number(text, kind)
    try:
        if isinstance(kind, types.DateTime):
            return datetime.datetime.fromisoformat(text)
        if isinstance(kind, types.Date):
            return datetime.date.fromisoformat(text[:10])
    except ValueError:
        raise ValueError(f"“{text}” is no date; write it as 2026-01-31") from None
    return text


def _as_number(text: str, kind: Any) -> Any:
    from sqlalchemy import types

    try:
        number = decimal.Decimal(text)
    except decimal.InvalidOperation:
        raise ValueError(f"“{text}” is no number") from None
    if not number.is_finite():
        raise ValueError(f"“{text}” is no number")
    if isinstance(kind, types.Integer):
        if number != int(number):
            raise ValueError(f"“{text}” is no whole number")
        return int(number)
    return float(number) if isinstance(kind, types.Float) else number


def _kept(value: Any) -> Any:
    """Give a value as a receipt keeps it: decimals and dates as text."""
    if isinstance(value, decimal.Decimal):
        return format(value.normalize(), "f")
    return plain(value)
