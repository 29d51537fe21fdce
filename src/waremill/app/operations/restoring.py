"""The use case *restore*: a workspace made again from a backup, checked before anything is kept.

It is unpacked beside its place and read whole; only then files are moved. `waremill.toml` comes
last, so that a folder where this was cut off is no workspace. Without `--replace` nothing is
touched that holds something.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from waremill.app.operations.archive import Manifest, said_of, unpack
from waremill.app.operations.backing_up import DATABASE, stoppable
from waremill.errors import ConfigError, Conflict, SourceError, Where
from waremill.settings import load_settings
from waremill.settings.workspace import FILE_NAME
from waremill.store.backups import Stopped, copy_in, held_by, let_go, sqlite_file
from waremill.store.database import SCHEMA_VERSION, Database, migrate

LET_BE = {".env", ".gitignore", ".git"}
"""What may lie in the folder: keys are put there before, since no backup has them."""


@dataclass(frozen=True, slots=True)
class Restored:
    """A workspace that was made again: its folder, and what came back.

    `kept_in` is where pictures lie that the backup has not; `before` the database there was before.
    """

    root: Path
    files: int
    pictures: int
    kept_in: str | None
    schema: str
    before: Path | None
    created_at: float


async def restore(path: Path, folder: Path, *, replace: bool = False) -> Restored:
    """Make the workspace of a backup in a folder that is empty or not there yet.

    With `replace` its database and its files take the place of what is there; the old database's
    file is kept beside the new one, and files the backup has not stay. A PostgreSQL database must
    be empty all the same. Raises Conflict for what is not empty or is being worked with,
    SourceError for a backup that is cut off or changed, ConfigError for a newer schema.
    """
    return await stoppable(partial(_restore, path, folder, replace))


def _restore(path: Path, folder: Path, replace: bool, stopped: Stopped) -> Restored:
    if not path.is_file():
        raise SourceError("there is no such file", Where(str(path)))
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise Conflict("this is a file, not a folder", Where(str(folder)))
    others = sorted(one.name for one in folder.iterdir() if one.name not in LET_BE
                    and one.resolve() != path.resolve()) if folder.exists() else []  # fmt: skip
    if others and not replace:
        raise Conflict(
            f"the folder is not empty (it has {', '.join(others[:3])}); name a new one with -C, "
            "or say --replace", Where(str(folder)),
        )  # fmt: skip
    made = not folder.exists()
    try:
        with said_of(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".restoring-", dir=folder) as staging:
                return _place(path, folder, Path(staging), replace, stopped)
    except BaseException:
        if made and folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
        raise


def _place(path: Path, folder: Path, staging: Path, replace: bool, stopped: Stopped) -> Restored:
    """Unpack and check everything, then put it in its place: database, files, settings."""
    manifest = unpack(path, staging, stopped)
    url, storage = _places(manifest, path, folder, staging)
    database = staging / DATABASE[manifest.database]
    file = sqlite_file(url)
    _require_room(url, file, replace)
    before = None
    if file is None:
        copy_in(url, database, stopped)
    else:
        before = _put_database(database, file)
    pictures = _put_pictures(staging / "pictures", storage)
    own = list(_walk(staging / "workspace"))
    for name in sorted(own, key=lambda one: one == FILE_NAME):
        _move(staging / "workspace" / name, folder / name)
    asyncio.run(_migrated(url))
    return Restored(
        folder, len(own), pictures, manifest.kept_in, manifest.schema, before, manifest.created_at
    )


def _places(manifest: Manifest, path: Path, folder: Path, staging: Path) -> tuple[str, Path]:
    """Give the database's URL and the pictures' folder as the backup's settings have them there."""
    where = Where(str(path))
    if DATABASE.get(manifest.database) not in manifest.files or (
        f"workspace/{FILE_NAME}" not in manifest.files
    ):
        raise SourceError("this backup has no database or no settings", where)
    if manifest.schema > SCHEMA_VERSION:
        raise ConfigError(
            f"the backup has schema {manifest.schema} and this program knows {SCHEMA_VERSION}; "
            "update waremill", where,
        )  # fmt: skip
    root = staging / "workspace"
    keys = root / ".env"
    if (folder / ".env").is_file():  # it may name the database
        keys.touch(mode=0o600)
        keys.write_bytes((folder / ".env").read_bytes())
    try:
        found = load_settings(root)
    finally:
        keys.unlink(missing_ok=True)
    file = sqlite_file(found.database)
    dialect = "postgresql" if file is None else "sqlite"
    if dialect != manifest.database:
        raise ConfigError(
            f"the backup is of a {manifest.database} database, and the settings name one of "
            f"{dialect}; set WAREMILL_DATABASE_URL", where,
        )  # fmt: skip
    database = found.database if file is None else f"sqlite:///{_moved(file, root, folder)}"
    return database, _moved(Path(found.pictures.storage), root, folder)


def _moved(path: Path, root: Path, folder: Path) -> Path:
    return folder / path.relative_to(root) if path.is_relative_to(root) else path


def _require_room(url: str, file: Path | None, replace: bool) -> None:
    held = held_by(url)
    if held is None:
        return
    if file is None:
        raise Conflict(
            "the PostgreSQL database is not empty; make an empty one and name it in "
            "WAREMILL_DATABASE_URL"
        )
    if not replace:
        raise Conflict("there is a database already; say --replace", Where(str(file)))
    let_go(file)


def _put_database(database: Path, file: Path) -> Path | None:
    """Put an SQLite database in its place; give where the one before lies now."""
    file.parent.mkdir(parents=True, exist_ok=True)
    before = None
    if file.exists():
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        before = file.with_name(f"{file.name}.before-{stamp}")
        os.replace(file, before)
    # A log that a dead process left belongs to the database before, never to this one.
    for ending in ("-wal", "-shm"):
        file.with_name(file.name + ending).unlink(missing_ok=True)
    _move(database, file)
    return before


def _put_pictures(unpacked: Path, storage: Path) -> int:
    """Add pictures to the storage; one that is there already has the same name and content."""
    count = 0
    for name in _walk(unpacked):
        count += 1
        if not (storage / name).exists():
            _move(unpacked / name, storage / name)
    return count


def _walk(folder: Path) -> Iterator[str]:
    for place, _, names in os.walk(folder):
        for name in names:
            yield Path(place, name).relative_to(folder).as_posix()


def _move(source: Path, to: Path) -> None:
    """Move a file over another; it appears whole, also on another disk."""
    to.parent.mkdir(parents=True, exist_ok=True)
    beside = to.with_name(f".{to.name}.restoring")
    try:
        shutil.move(source, beside)
        os.replace(beside, to)
    finally:
        beside.unlink(missing_ok=True)


async def _migrated(url: str) -> None:
    database = Database(url)
    try:
        migrate(database)
    finally:
        await database.close()
