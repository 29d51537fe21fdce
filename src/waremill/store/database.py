"""Open the database: engine, pragmas, transactions, schema version, the store's one thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

import orjson
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import StaticPool

from waremill.errors import ConfigError, LimitReached, UserError
from waremill.store.tables import dumps

SCHEMA_VERSION = "0002"
WRITER_PAGES, READER_PAGES = 32_768, 8_192
"""KiB of SQLite's page cache, a connection."""
Dialect = Literal["sqlite", "postgresql"]
P = ParamSpec("P")
T = TypeVar("T")


class Database:
    """One connection on one thread; everything else awaits it.

    `read` and `write` run a function `(connection, *args)` inside one transaction on the store's
    thread. A write begins IMMEDIATE on SQLite, so that two processes queue instead of failing. With
    `readers`, that many further connections read at the same time, each on a thread of its own: for
    a server, where a slow listing must not keep the others waiting.
    """

    def __init__(self, url: str, *, readers: int = 0) -> None:
        self.url = url
        self.engine = _open_engine(url)
        self.dialect: Dialect = "sqlite" if self.engine.dialect.name == "sqlite" else "postgresql"
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._readers: ThreadPoolExecutor | None = None
        self._read_engine = self.engine
        if readers:
            self._readers = ThreadPoolExecutor(max_workers=readers, thread_name_prefix="reader")
            self._read_engine = _open_engine(url, readers)

    async def read(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work` in a read transaction on the store's thread, or on a reader's."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._readers or self._thread,
            lambda: self._transact(self._read_engine, False, lambda c: work(c, *args, **kwargs)),
        )

    async def write(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work` in a write transaction on the store's thread; commit when it returns."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._thread, self.transact, True, lambda conn: work(conn, *args, **kwargs)
        )

    def transact(self, immediate: bool, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction on the calling thread."""
        return self._transact(self.engine, immediate, work)

    def _transact(self, engine: Engine, immediate: bool, work: Callable[[Connection], T]) -> T:
        with (
            said_plainly(self.url),
            engine.connect() as conn,
            conn.execution_options(immediate=immediate).begin(),
        ):
            return work(conn)

    async def close(self) -> None:
        """Wait for the store's threads and close the connections."""
        loop = asyncio.get_running_loop()
        if self._readers is not None:
            await asyncio.to_thread(self._readers.shutdown, wait=True)
            self._read_engine.dispose()
        await loop.run_in_executor(self._thread, self.engine.dispose)
        self._thread.shutdown(wait=True)


@contextmanager
def said_plainly(url: str) -> Iterator[None]:
    """Turn what a database refuses (full disk, no such server) into one plain sentence."""
    try:
        yield
    except DBAPIError as error:
        detail = str(error.orig).strip().splitlines()[0] if error.orig else "no detail"
        lowered = detail.lower()
        name = make_url(url).render_as_string(hide_password=True)
        if "disk is full" in lowered or "no space left" in lowered:
            raise LimitReached(
                f"the disk that holds {name} is full; free some space and resume", limit="disk"
            ) from error
        if "readonly" in lowered or "unable to open" in lowered:
            raise ConfigError(f"the database {name} cannot be written: {detail}") from error
        if "not a database" in lowered or "malformed" in lowered:
            raise ConfigError(f"{name} is not a database of ours: {detail}") from error
        if isinstance(error, OperationalError) and "locked" in lowered:
            raise LimitReached(
                f"the database {name} stayed locked: {detail}", limit="lock"
            ) from error
        if isinstance(error, OperationalError) and ("connection" in lowered or "server" in lowered):
            raise ConfigError(f"the database {name} does not answer: {detail}") from error
        raise


def _open_engine(url: str, readers: int = 0) -> Engine:
    """Open an engine: for the one writing thread, or for `readers` threads that only read."""
    try:
        parsed = make_url(url)
        options: dict[str, Any] = {
            "json_serializer": dumps,
            "json_deserializer": orjson.loads,
        }
        if parsed.get_backend_name() == "sqlite":
            if parsed.database and parsed.database != ":memory:":
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            pool = {"pool_size": readers} if readers else {"poolclass": StaticPool}
            engine = create_engine(
                parsed,
                connect_args={"check_same_thread": False, "timeout": 60, "isolation_level": None,
                              "cached_statements": 256},
                **pool, **options,
            )  # fmt: skip
            _listen_sqlite(engine, READER_PAGES if readers else WRITER_PAGES)
            return engine
        if parsed.get_backend_name() == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
            return create_engine(
                parsed, pool_size=readers or 2, max_overflow=2, pool_pre_ping=True, **options
            )
    except UserError:
        raise
    except OSError as error:
        raise ConfigError(f"the database's folder cannot be made: {error}") from error
    except (ValueError, NoSuchModuleError, ImportError) as error:
        raise ConfigError(f"“{url.partition('://')[0]}” is not a database we can open") from error
    except Exception as error:  # SQLAlchemy's ArgumentError says no more than this sentence
        raise ConfigError("the database setting is not an SQLAlchemy URL") from error
    raise ConfigError(f"the database must be SQLite or PostgreSQL, not {parsed.get_backend_name()}")


def _listen_sqlite(engine: Engine, cache: int) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA cache_size=-{cache}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(conn: Connection) -> None:
        immediate = conn.get_execution_options().get("immediate")
        conn.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def schema_version(conn: Connection) -> str | None:
    """Give the schema's version, or None in an empty database."""
    from sqlalchemy import inspect

    if not inspect(conn).has_table("alembic_version"):
        return None
    return conn.execute(text("SELECT version_num FROM alembic_version")).scalar()


def migrate(database: Database) -> None:
    """Bring the schema to this program's version; refuse one that is newer."""
    version = database.transact(False, schema_version)
    if version == SCHEMA_VERSION:
        return
    if version is not None and version > SCHEMA_VERSION:
        raise ConfigError(
            f"the database has schema {version} and this program knows {SCHEMA_VERSION}; "
            "update waremill"
        )
    from alembic import command
    from alembic.config import Config

    def upgrade(conn: Connection) -> None:
        config = Config()
        config.set_main_option(
            "script_location", str(resources.files("waremill.store") / "migrations")
        )
        config.attributes["connection"] = conn
        command.upgrade(config, "head")

    database.transact(True, upgrade)
