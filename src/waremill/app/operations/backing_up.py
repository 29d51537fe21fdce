"""The use case *back up*: database, files and pictures of a workspace in one archive.

While runs work: the database is copied as it is at one moment, and pictures are only ever added.
Keys, `.env`, hidden files and what can be made again (the search index) stay out.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from waremill import __version__
from waremill.app import auditing
from waremill.app.operations.archive import Manifest, Stop, Writer, said_of
from waremill.errors import ConfigError, Where
from waremill.settings.workspace import FILE_NAME, FILES, FOLDERS
from waremill.store.backups import Interrupted, Stopped, copy_out
from waremill.store.database import SCHEMA_VERSION

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace
    from waremill.settings import Settings

T = TypeVar("T")
MORE_FOLDERS = ("fonts", "knowledge")
SECRET_ENDINGS = (".pem", ".key", ".p12", ".pfx", ".env")
DATABASE = {"sqlite": "database/waremill.db", "postgresql": "database/waremill.dump"}


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A backup that was made: its file and bytes, how many files and pictures it has.

    `kept_in` is where pictures lie that it does not have; `left_out` names what else it has not.
    """

    path: Path
    size: int
    files: int
    pictures: int
    kept_in: str | None
    left_out: tuple[str, ...]
    seconds: float


async def back_up(workspace: Workspace, path: Path, *, pictures: bool = True) -> BackedUp:
    """Write a backup; runs and servers go on meanwhile.

    `pictures` leaves them out where it is false. Raises Conflict for a file that is there, and
    ConfigError for a full disk or a missing `pg_dump`; then nothing is left behind.
    """
    workspace.actor.need_somewhere("admin", "backups")
    started = time.monotonic()
    manifest = Manifest(SCHEMA_VERSION, workspace.database.dialect, __version__, time.time())
    made = await stoppable(partial(_write, workspace.settings, path, manifest, pictures))
    actor, subject = workspace.actor, f"backup {path.name}"
    await workspace.database.write(
        lambda conn: auditing.record(conn, actor, "backup.make", subject, bytes=made)
    )
    return BackedUp(
        path, made, len(manifest.files) - 1, manifest.pictures, manifest.kept_in,
        tuple(manifest.left_out), time.monotonic() - started,
    )  # fmt: skip


async def stoppable(work: Callable[[Stopped], T]) -> T:
    """Do blocking work on a thread; when this is cancelled, tell it to stop and wait for that."""
    stop = threading.Event()
    job = asyncio.create_task(asyncio.to_thread(work, stop.is_set))
    try:
        return await asyncio.shield(job)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait({job})
        raise
    except (Stop, Interrupted):
        raise asyncio.CancelledError from None


def _write(
    settings: Settings, path: Path, manifest: Manifest, with_pictures: bool, stopped: Stopped
) -> int:
    if not path.parent.is_dir():
        raise ConfigError("there is no such folder", Where(str(path.parent)))
    manifest.left_out = list(_left_out(settings))  # before the archive is among them
    with Writer(path, manifest, stopped) as archive, said_of(path):
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            name = DATABASE[manifest.database]
            copy = Path(folder, Path(name).name)
            try:
                copy_out(settings.database, copy, stopped)
            except sqlite3.OperationalError as error:
                raise ConfigError(f"the copy of the database cannot be written: {error}",
                                  Where(str(path))) from error  # fmt: skip
            archive.add(name, copy)
        for own in _own_files(settings.root):
            archive.add(f"workspace/{own}", settings.root / own)
        storage = settings.pictures.storage
        if "://" in storage or not with_pictures:
            manifest.kept_in = storage
        else:
            for picture in _pictures(Path(storage)):
                archive.add(f"pictures/{picture}", Path(storage, picture))
    return path.stat().st_size


def _own_files(root: Path) -> Iterator[str]:
    """Name the files that people wrote, sorted; no hidden one, no link, nothing like a key."""
    for name in (FILE_NAME, *FILES):
        if (root / name).is_file() and not (root / name).is_symlink():
            yield name
    for top in (*FOLDERS, *MORE_FOLDERS):
        if (root / top).is_symlink():
            continue
        for place, folders, names in os.walk(root / top):
            folders[:] = sorted(one for one in folders if not one.startswith("."))
            for name in sorted(names):
                path = Path(place, name)
                hidden = name.startswith(".") or name.lower().endswith(SECRET_ENDINGS)
                if not hidden and path.is_file() and not path.is_symlink():
                    yield path.relative_to(root).as_posix()


def _left_out(settings: Settings) -> Iterator[str]:
    """Name what lies in the workspace and is not backed up."""
    ours = {FILE_NAME, *FILES, *FOLDERS, *MORE_FOLDERS, ".waremill", ".git"}
    for entry in sorted(settings.root.iterdir()):
        if entry.name not in ours:
            yield entry.name + ("/" if entry.is_dir() else "")


def _pictures(storage: Path) -> Iterator[str]:
    """Name the stored pictures, folder by folder; those being written have hidden names."""
    if not storage.is_dir():
        return
    for place, folders, names in os.walk(storage):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(place, name).relative_to(storage).as_posix()
