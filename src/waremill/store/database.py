"""Open the database: engine, pragmas, transactions, schema version, the store's one thread."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

import orjson
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import StaticPool

from waremill.errors import ConfigError, DatabaseGone, LimitReached, UserError
from waremill.store.tables import dumps

SCHEMA_VERSION = "0017"
WRITER_PAGES, READER_PAGES = 16_384, 8_192
"""KiB of SQLite's page cache, a connection."""
READ_SECONDS = 60.0
"""How long a server lets one listing read."""
EXPORTS_AT_ONCE = 2
SETTLE_SECONDS = 2
"""How long emptying SQLite's log waits for who reads just now."""
LOOK_AGAIN_SECONDS = 0.5
GIVEN_UP = "deadlock"
"""The limit of a transaction that the database gave up for another one's sake."""
GIVEN_UP_AT_MOST = 10
"""How often such a transaction is tried again before that is said."""
STEPS_BETWEEN_LOOKS = 100_000
"""SQLite's own steps between two looks at the clock: some milliseconds."""
Dialect = Literal["sqlite", "postgresql"]
P = ParamSpec("P")
T = TypeVar("T")
_bounds = threading.local()


class Database:
    """One connection on one thread; everything else awaits it.

    `read` and `write` run a function `(connection, *args)` inside one transaction on the store's
    thread. A write begins IMMEDIATE on SQLite, so that two processes queue instead of failing. With
    `readers`, that many further connections read at the same time, each on a thread of its own: for
    a server, where a slow listing must not keep the others waiting. A read there ends after
    `READ_SECONDS`; `look` is for what every request needs, such as who is asking, and has a lane of
    its own, as has `read_all` for exports, which may take as long as they take.

    `patience` is for how many seconds `read` and `repeat` try again while the database does not
    answer, as when it is restarted. They also try again what it gave up for another's sake.
    """

    def __init__(self, url: str, *, readers: int = 0) -> None:
        self.url = url
        self.patience = 0.0
        self.engine = _open_engine(url)
        self.dialect: Dialect = "sqlite" if self.engine.dialect.name == "sqlite" else "postgresql"
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._lanes: dict[str, ThreadPoolExecutor] = {}
        self._beside: tuple[Engine, ThreadPoolExecutor] | None = None
        self._read_engine = self.engine
        if readers:
            sizes = {"read": readers, "look": 1, "all": EXPORTS_AT_ONCE}
            self._lanes = {
                lane: ThreadPoolExecutor(max_workers=size, thread_name_prefix=lane)
                for lane, size in sizes.items()
            }
            self._read_engine = _open_engine(url, sum(sizes.values()))

    async def read(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work` in a read transaction on the store's thread, or on a reader's.

        Raises ConfigError when a reader was not done after `READ_SECONDS`.
        """
        return await self._read("read", lambda conn: work(conn, *args, **kwargs), READ_SECONDS)

    async def look(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work`, which takes no time, in a read transaction that no listing keeps waiting."""
        return await self._read("look", lambda conn: work(conn, *args, **kwargs), READ_SECONDS)

    async def read_all(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work`, which may take long, in a read transaction beside the listings."""
        return await self._read("all", lambda conn: work(conn, *args, **kwargs), None)

    async def read_within(
        self,
        seconds: float,
        work: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `work`, which somebody else thought of, in a read transaction beside all others.

        Raises ConfigError when it was not done after so many seconds.
        """
        if self._beside is None:
            thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="beside")
            self._beside = (_open_engine(self.url, 1), thread)
        engine, lane = self._beside
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            lane, self._bounded, lambda conn: work(conn, *args, **kwargs), seconds, engine
        )

    async def _read(self, lane: str, work: Callable[[Connection], T], seconds: float | None) -> T:
        if not self._lanes:
            return await self._patiently(self._thread, self.transact, False, work)
        return await self._patiently(self._lanes[lane], self._bounded, work, seconds)

    async def _patiently(
        self, thread: ThreadPoolExecutor, work: Callable[..., T], *arguments: Any
    ) -> T:
        """Do some work on a thread, again while the database does not answer or gives it up."""
        loop = asyncio.get_running_loop()
        until = math.inf
        given_up = 0
        while True:
            try:
                return await loop.run_in_executor(thread, work, *arguments)
            except LimitReached as error:
                given_up += 1
                if error.limit != GIVEN_UP or given_up > GIVEN_UP_AT_MOST:
                    raise
            except DatabaseGone:
                until = min(until, loop.time() + self.patience)
                if loop.time() >= until:
                    raise
                await asyncio.sleep(LOOK_AGAIN_SECONDS)

    def _bounded(
        self,
        work: Callable[[Connection], T],
        seconds: float | None,
        engine: Engine | None = None,
    ) -> T:
        _bounds.until = math.inf if seconds is None else time.monotonic() + seconds

        def bounded(conn: Connection) -> T:
            if seconds is not None and self.dialect == "postgresql":
                conn.exec_driver_sql(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
            return work(conn)

        return self._transact(engine or self._read_engine, False, bounded)

    async def write(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work` in a write transaction on the store's thread; commit when it returns."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._thread, self.transact, True, lambda conn: work(conn, *args, **kwargs)
        )

    async def repeat(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work` as `write` does; it may be done twice where no word of its commit came."""
        return await self._patiently(
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

    async def settle(self) -> None:
        """Write SQLite's log into its file and empty it, where nobody reads or writes just now."""

        def empty() -> None:
            with closing(self.engine.raw_connection()) as conn:  # outside of any transaction
                cursor = conn.cursor()
                (patience,) = cursor.execute("PRAGMA busy_timeout").fetchone()
                cursor.execute(f"PRAGMA busy_timeout={SETTLE_SECONDS * 1000}")
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                cursor.execute(f"PRAGMA busy_timeout={patience}")

        if self.dialect == "sqlite":
            await asyncio.get_running_loop().run_in_executor(self._thread, empty)

    async def close(self) -> None:
        """Wait for the store's threads and close the connections."""
        loop = asyncio.get_running_loop()
        if self._beside is not None:
            engine, thread = self._beside
            await asyncio.to_thread(thread.shutdown, wait=True)
            engine.dispose()
        for lane in self._lanes.values():
            await asyncio.to_thread(lane.shutdown, wait=True)
        if self._lanes:
            self._read_engine.dispose()
        await loop.run_in_executor(self._thread, self.engine.dispose)
        self._thread.shutdown(wait=True)


@contextmanager
def said_plainly(url: str) -> Iterator[None]:
    """Turn what a database refuses (full disk, no such server) into one plain sentence."""
    try:
        yield
    except DBAPIError as error:
        detail = (str(error.orig).strip().splitlines() or ["no detail"])[0]
        lowered = detail.lower()
        name = make_url(url).render_as_string(hide_password=True)
        # PostgreSQL says it in its own language; its codes are the same in all.
        code = getattr(error.orig, "sqlstate", None) or ""
        if code == "53100" or "disk is full" in lowered or "no space left" in lowered:
            raise LimitReached(
                f"the disk that holds {name} is full; free some space and resume", limit="disk"
            ) from error
        if code == "42501" or "readonly" in lowered or "unable to open" in lowered:
            raise ConfigError(f"the database {name} cannot be written: {detail}") from error
        if "not a database" in lowered or "malformed" in lowered:
            raise ConfigError(f"{name} is not a database of ours: {detail}") from error
        if code == "57014" or "interrupted" in lowered:
            raise ConfigError(
                f"reading took longer than {READ_SECONDS:g} seconds; narrow what is asked for"
            ) from error
        if isinstance(error, OperationalError) and "locked" in lowered:
            raise LimitReached(
                f"the database {name} stayed locked: {detail}", limit="lock"
            ) from error
        if code in ("22021", "22P05") or (isinstance(error, DataError) and "NUL" in detail):
            raise ConfigError("a text has the character NUL, which no database keeps") from error
        if code in _GIVEN_UP:
            raise LimitReached(
                f"the database {name} gave a change up for another one's sake: {detail}; try again",
                limit=GIVEN_UP,
            ) from error
        if code.startswith(_AWAY) or (
            isinstance(error, OperationalError)
            and not code
            and ("connection" in lowered or "server" in lowered)
        ):
            raise DatabaseGone(f"the database {name} does not answer: {detail}") from error
        raise


_GIVEN_UP = ("40001", "40P01")
_AWAY = ("08", "57P01", "57P02", "57P03", "25006")
"""Codes of PostgreSQL (its appendix A): two writers that could not both go on; a connection that
broke, a server that stops, starts, or after a fail-over only reads."""


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
            _listen_sqlite(engine, READER_PAGES if readers else WRITER_PAGES, bool(readers))
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


def _over_time() -> int:
    """Say whether this thread's read has taken its time; SQLite asks now and then."""
    return int(time.monotonic() > getattr(_bounds, "until", math.inf))


def _listen_sqlite(engine: Engine, cache: int, bounded: bool) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA secure_delete=ON")  # what is erased is overwritten, not just freed
        cursor.execute(f"PRAGMA cache_size=-{cache}")
        cursor.close()
        if bounded:
            connection.set_progress_handler(_over_time, STEPS_BETWEEN_LOOKS)

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


def migrate(database: Database, to: str = SCHEMA_VERSION) -> None:
    """Bring the schema to this program's version, or an earlier one; refuse one that is newer."""
    version = database.transact(False, schema_version)
    if version == to:
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
        command.upgrade(config, to)

    with _references_unchecked(database):
        database.transact(True, upgrade)


@contextmanager
def _references_unchecked(database: Database) -> Iterator[None]:
    """Let a migration rebuild a table that others refer to.

    SQLite cannot drop a constraint, so its table is copied, dropped and renamed; what refers to it
    would be checked in between. It takes this setting outside of a transaction alone.
    """
    if database.dialect != "sqlite":
        yield
        return
    with closing(database.engine.raw_connection()) as conn:  # the one that migrates, too
        conn.cursor().execute("PRAGMA foreign_keys=OFF")
        try:
            yield
        finally:
            conn.cursor().execute("PRAGMA foreign_keys=ON")
