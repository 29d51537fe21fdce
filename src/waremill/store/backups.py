"""A whole database copied out while it is worked with, and put back into an empty one.

SQLite by its online backup, PostgreSQL by its own `pg_dump` and `pg_restore`. Files are handed in;
what else belongs to a backup is not this module's business. Blocking: call it on a thread.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import make_url

from waremill.errors import ConfigError, Conflict
from waremill.store.database import said_plainly, schema_version

PAGES = 4096
"""Pages copied between two looks at whether to stop: 16 MB."""
LOOK_SECONDS = 0.2
Stopped = Callable[[], bool]


class Interrupted(Exception):
    """The copy was told to stop; nothing was made."""


def sqlite_file(url: str) -> Path | None:
    """Give the file of an SQLite database, None for a server's."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    return Path(parsed.database or "")


def copy_out(url: str, to: Path, stopped: Stopped) -> None:
    """Write the database as it is now into a new file; whoever works with it goes on.

    Raises ConfigError in one sentence, and OSError with ENOSPC where the disk is full.
    """
    source = sqlite_file(url)
    if source is None:
        dump = ("--format=custom", "--compress=0", "--no-owner", "--no-privileges")
        _run(url, ("pg_dump", *dump, f"--file={to}"), stopped)
    else:
        _copy_sqlite(source, to, stopped)


def copy_in(url: str, file: Path, stopped: Stopped) -> None:
    """Fill an empty PostgreSQL database from a dump, whole or not at all."""
    flags = ("--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error")
    _run(url, ("pg_restore", *flags, f"{file}"), stopped)


def _copy_sqlite(source: Path, to: Path, stopped: Stopped) -> None:
    def look(_status: int, _left: int, _total: int) -> None:
        if stopped():
            raise Interrupted

    with (
        closing(sqlite3.connect(source, timeout=60, isolation_level=None)) as conn,
        closing(sqlite3.connect(to, isolation_level=None)) as copy,
    ):
        # An open read keeps one state in sight: others may write, and the copy is not begun anew.
        conn.execute("BEGIN")
        conn.execute("SELECT count(*) FROM sqlite_master").fetchone()
        conn.backup(copy, pages=PAGES, progress=look)
        conn.execute("ROLLBACK")
        found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        copy.execute("PRAGMA journal_mode=DELETE")
    if found != "ok":
        raise ConfigError(f"the database is damaged and was not backed up: {found}")


def let_go(file: Path) -> None:
    """Raise Conflict where another process has an SQLite database open; else settle its log."""
    with closing(sqlite3.connect(file, timeout=1, isolation_level=None)) as conn:
        try:
            # SQLite leaves its log behind only when nobody else has the file open.
            mode = conn.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
        except sqlite3.OperationalError:
            mode = "wal"
        except sqlite3.DatabaseError:
            return  # no database any more: nobody works with it
    if mode != "delete":
        raise Conflict(f"{file} is in use; end the server and the runs that work with it")


def held_by(url: str) -> str | None:
    """Say what a database holds already: its schema's version, or `tables`; None when empty."""
    source = sqlite_file(url)
    if source is not None:
        return "tables" if source.exists() and source.stat().st_size else None
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    try:
        with said_plainly(url), engine.connect() as conn:
            return schema_version(conn) or ("tables" if inspect(conn).get_table_names() else None)
    finally:
        engine.dispose()


def _run(url: str, command: Sequence[str], stopped: Stopped) -> None:
    """Run a command of PostgreSQL's on a database; its password goes by a file, not by a name."""
    name, *arguments = command
    found = shutil.which(name)
    if found is None:
        shown = make_url(url).set(drivername="postgresql").render_as_string(hide_password=True)
        raise ConfigError(
            f"{name} is not on the PATH; install PostgreSQL's client programs, or run on a machine "
            f"that has them: {' '.join(command)} --dbname={shown}"
        )
    with tempfile.TemporaryDirectory(prefix="waremill-") as folder:
        secret, said = Path(folder, "pgpass"), Path(folder, "said")
        parsed = make_url(url).set(drivername="postgresql")
        if parsed.password is not None:
            password = str(parsed.password).replace("\\", "\\\\").replace(":", "\\:")
            secret.touch(mode=0o600)
            secret.write_text(f"*:*:*:*:{password}\n", encoding="utf-8")
            parsed = parsed._replace(password=None).update_query_dict({"passfile": str(secret)})
        place = parsed.render_as_string(hide_password=False)
        with said.open("wb") as errors:
            process = subprocess.Popen(
                [found, "--no-password", f"--dbname={place}", *arguments],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
            )  # fmt: skip
            try:
                _wait(process, stopped)
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
        if process.returncode:
            lines = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            reason = next((one for one in lines if "error" in one.lower()), "")
            mismatch = next((one.strip() for one in lines if "version" in one.lower()), "")
            raise ConfigError(_plain(name, reason, mismatch))


def _wait(process: subprocess.Popen[bytes], stopped: Stopped) -> None:
    while True:
        try:
            process.wait(LOOK_SECONDS)
            return
        except subprocess.TimeoutExpired:
            if stopped():
                raise Interrupted from None


def _plain(name: str, reason: str, mismatch: str) -> str:
    said = reason.removeprefix(f"{name}: ").removeprefix("error: ").strip() or "it said no reason"
    if "server version" in (reason + mismatch):
        return f"{name} is older than the server ({mismatch or said}); install its version"
    return f"{name} did not succeed: {said}"


__all__ = ["Interrupted", "copy_in", "copy_out", "held_by", "let_go", "sqlite_file"]
