"""Tables and queries of a database through an SQLAlchemy URL.

    sqlite:///shop.db?table=products
    postgresql://user@host/shop?query=SELECT sku, name FROM products WHERE active
    mysql+pymysql://user@host/shop?table=catalog.products

`table` (optionally `schema.table`) or `query` follow the `?`, beside what the driver understands;
a query goes last and may hold `&` and `=` as they are, or be URL-encoded throughout. Only reading
is possible: a query starts with SELECT, WITH, VALUES or TABLE, an SQLite file is opened read-only
and must exist, PostgreSQL gets a read-only transaction. Passwords never reach a message.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote_plus

from waremill.catalog.readers.delimited import batches_of
from waremill.catalog.readers.layout import Layout, unique_names
from waremill.catalog.readers.shapes import BATCH_ROWS, Batch, Reader, Request
from waremill.catalog.readers.table import Options, Table
from waremill.errors import SourceError, Where

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.sql import Executable

_READS: Final = re.compile(r"\s*(?:select|with|values|table|\()", re.IGNORECASE)
_WRITES: Final = re.compile(
    r"\b(?:insert\s+into|update\s+\S+\s+set|delete\s+from|into\s+(?:outfile|dumpfile)"
    r"|(?:drop|alter|create|truncate)\s+(?:or\s+replace\s+)?(?:temp\w*\s+)?(?:table|view|index"
    r"|schema|database|user|role|function|procedure|trigger))\b",
    re.IGNORECASE,
)
_LITERAL: Final = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"")
_CONNECT_SECONDS: Final = "15"
"""How long a PostgreSQL server is waited for, unless the URL says."""
_QUERY: Final = re.compile(r"[?&](query=)", re.IGNORECASE)


def open_reader(source: str, request: Request) -> Reader:
    """Open a database URL; raise SourceError for whatever is wrong with it."""
    import sqlalchemy
    from sqlalchemy.exc import SQLAlchemyError

    if request.sheet is not None:
        raise SourceError("a database has no sheets: name a table with ?table=NAME", Where())
    url, table, query = parse_url(source)
    where = Where(file=url.render_as_string(hide_password=True))
    engine: Engine | None = None
    try:
        engine = sqlalchemy.create_engine(_for_reading(url, where), poolclass=sqlalchemy.NullPool)
        connection = engine.connect()
        if url.get_backend_name() == "postgresql":
            connection.execute(sqlalchemy.text("SET TRANSACTION READ ONLY"))
        statement = _statement(connection, table, query, where)
        if request.since is not None:
            statement = _since(connection, statement, *request.since)
        result = connection.execution_options(stream_results=True, yield_per=BATCH_ROWS).execute(
            statement
        )
        names = unique_names([str(name) or "column" for name in result.keys()])  # noqa: SIM118
    except (SQLAlchemyError, ImportError, ValueError) as error:
        if engine is not None:
            engine.dispose()
        raise SourceError(refusal_of(error), where) from error

    def close() -> None:
        # A connection that broke while reading cannot be closed properly, nor need it be.
        with suppress(SQLAlchemyError):
            result.close()
            connection.close()
        engine.dispose()

    try:
        return _reader(result, names, where, close)
    except SQLAlchemyError as error:
        close()
        raise SourceError(refusal_of(error), where) from error
    except BaseException:
        close()
        raise


def newest(source: str, column: str) -> Any:
    """Give the greatest value of a source's column; None where it holds none."""
    import sqlalchemy
    from sqlalchemy.exc import SQLAlchemyError

    url, table, query = parse_url(source)
    where = Where(file=url.render_as_string(hide_password=True))
    try:
        engine = sqlalchemy.create_engine(_for_reading(url, where), poolclass=sqlalchemy.NullPool)
        with engine.connect() as connection:
            rows = _subquery(_statement(connection, table, query, where))
            greatest = sqlalchemy.func.max(_named(connection, column))
            return connection.execute(sqlalchemy.select(greatest).select_from(rows)).scalar()
    except (SQLAlchemyError, ImportError, ValueError) as error:
        raise SourceError(refusal_of(error), where) from error


def _since(connection: Connection, statement: Executable, column: str, least: Any) -> Executable:
    import sqlalchemy

    rows = sqlalchemy.select(sqlalchemy.text("*")).select_from(_subquery(statement))
    return rows.where(_named(connection, column) >= least)


def _subquery(statement: Executable) -> Any:
    """Give a statement's rows under a name."""
    import sqlalchemy
    from sqlalchemy.sql.elements import TextClause

    if isinstance(statement, TextClause):
        return sqlalchemy.text(f"({statement.text}) AS source_rows")
    return cast("Any", statement).subquery("source_rows")


def _named(connection: Connection, column: str) -> Any:
    """Name a column of these rows; with its table, as SQLite takes an unknown one for a text."""
    import sqlalchemy

    quoted = connection.dialect.identifier_preparer.quote_identifier(column)
    return sqlalchemy.literal_column(f"source_rows.{quoted}")


def parse_url(source: str) -> tuple[URL, str | None, str | None]:
    """Split a source into the driver's URL, the table and the query; raise SourceError."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    query: str | None = None
    match = _QUERY.search(source)
    text = source
    if match:
        query = source[match.end() :]
        text = source[: match.start()]
        if " " not in query:
            query = unquote_plus(query)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise SourceError(
            "this is not a database URL: write dialect://user@host/database?table=NAME", Where()
        ) from error
    table = url.query.get("table")
    url = url.difference_update_query(["table"])
    if isinstance(table, tuple):
        table = table[-1]
    if bool(table) == bool(query):
        raise SourceError(
            "name what to read: end the URL with ?table=NAME or ?query=SELECT …",
            Where(file=url.render_as_string(hide_password=True)),
        )
    return url, table, query


def _for_reading(url: URL, where: Where) -> URL:
    """Give the URL with our driver where none is named, and an SQLite file opened read-only."""
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername.startswith("postgresql+psycopg") and "connect_timeout" not in url.query:
        return url.update_query_dict({"connect_timeout": _CONNECT_SECONDS})
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        path = Path(str(url.database))
        if not path.is_file():
            similar = difflib.get_close_matches(
                path.name, [entry.name for entry in path.parent.glob("*")], n=1
            )
            hint = f"; did you mean “{similar[0]}”?" if similar else ""
            raise SourceError(f"there is no database file “{path}”{hint}", where)
        read_only = {"mode": "ro", "uri": "true"}
        return url.set(database=f"{path.absolute().as_uri()}").update_query_dict(read_only)
    return url


def _statement(
    connection: Connection, table: str | None, query: str | None, where: Where
) -> Executable:
    import sqlalchemy

    if query is not None:
        if not _READS.match(query) or _WRITES.search(_LITERAL.sub("''", query)):
            raise SourceError("a source's query only reads: start it with SELECT", where)
        # No bind parameters: a colon in the text is just a colon.
        return sqlalchemy.text(query.strip().rstrip(";").replace(":", r"\:"))
    assert table is not None
    schema, _, name = table.rpartition(".")
    inspector = sqlalchemy.inspect(connection)
    names = [*inspector.get_table_names(schema or None), *inspector.get_view_names(schema or None)]
    if name not in names:
        folded = {known.casefold(): known for known in names}
        if name.casefold() not in folded:
            close = difflib.get_close_matches(name.casefold(), list(folded), n=1)
            hint = f"did you mean “{folded[close[0]]}”?" if close else ""
            listed = ", ".join(sorted(names)[:12]) or "none"
            raise SourceError(
                f"there is no table “{table}”; {hint or 'the tables are: ' + listed}", where
            )
        name = folded[name.casefold()]
    return sqlalchemy.select(sqlalchemy.text("*")).select_from(
        sqlalchemy.table(name, schema=schema or None)
    )


def _reader(result: Any, names: tuple[str, ...], where: Where, close: Any) -> Reader:
    layout = Layout(names, tuple(range(len(names))), 0, None)
    table = Table(layout, map(list, result), 1, Options(footers=False))
    if table.empty:
        raise SourceError("it gives no rows", where)
    notes = list(table.notes)
    return Reader(
        table.names, _batches(table, notes, where), derived=table.derived, notes=notes, close=close
    )


def _batches(table: Table, notes: list[str], where: Where) -> Iterator[Batch]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield from batches_of(table, notes)
    except SQLAlchemyError as error:
        raise SourceError(refusal_of(error), where) from error


def refusal_of(error: Exception) -> str:
    """Give the database's own first line, without SQL, links or credentials."""
    if isinstance(error, ImportError):
        return f"the database driver {error.name or ''} is not installed: install it with pip"
    text = str(getattr(error, "orig", None) or error).strip().splitlines()
    first = re.sub(r"\(Background on.*", "", text[0] if text else type(error).__name__)
    return "the database refused: " + re.sub(r"://[^\s@]*@", "://", first).strip()
