"""Files somebody sends to a server: kept for a day, for whoever sent them alone.

An upload is known by an id nobody can guess, and is read as a source of an import, of a run or of
gold values. No path of the server's own ever comes from outside.
"""

from __future__ import annotations

import errno
import re
import secrets
import shutil
import time
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING

from waremill.errors import ConfigError, LimitReached, NotFound

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

UPLOADS = ".waremill/uploads"
KEPT_SECONDS = 24 * 3600
LARGEST = 512 * 1024 * 1024
MOST_A_USER = 2 * 1024**3
"""Bytes of all uploads of one user together."""
MOST_FILES = 1_000
"""Uploads of one user."""
LEAST_FREE = 1024**3
"""Bytes of the disk that uploads leave free, for the database and what is written beside it."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_CHUNK = 1024 * 1024
_ID = re.compile(r"[A-Za-z0-9_-]{22}")
_LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was sent: its id, its name, its size in bytes, when it is deleted (Unix)."""

    id: str
    name: str
    size: int
    until: float
    path: Path


class Uploads:
    """The uploads of whoever acts."""

    def __init__(self, workspace: Workspace) -> None:
        workspace.actor.need_somewhere("reviewer", "sending files")  # a review sheet, too
        self._root = workspace.settings.root
        # By name and not only by id: an id somebody overheard is not enough.
        self._own = self._root / UPLOADS / sha256(workspace.actor.name.encode()).hexdigest()[:16]

    def keep(self, name: str, content: IO[bytes]) -> Upload:
        """Keep a file; it writes to the disk: call it on a thread.

        Raises ConfigError for a file that is empty or larger than 512 MB, and where the user's
        uploads come to more than 2 GB; LimitReached where the disk is full, or nearly.
        """
        sweep(self._root)
        number = secrets.token_urlsafe(16)
        folder = self._own / number
        try:
            folder.mkdir(parents=True, mode=0o700)
            self._write(folder / safe_name(name), content)
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError) and error.errno in _FULL:
                raise _disk("the server's disk is full") from error
            raise
        return self.find(number)

    def _write(self, path: Path, content: IO[bytes]) -> None:
        size = 0
        self._need_room(0)
        with path.open("xb") as file:
            while chunk := content.read(_CHUNK):
                size += len(chunk)
                if size > LARGEST:
                    raise ConfigError(f"a file may have {LARGEST // 1024**2} MB at most")
                self._need_room(len(chunk))
                file.write(chunk)
        if not size:
            raise ConfigError("the file is empty")
        self._need_room(0)  # the last bytes, and what came at the same time

    def _need_room(self, more: int) -> None:
        """Raise where so many bytes more would be too many, of the user's or for the disk."""
        sizes = [size for path in self._own.glob("*/*") if (size := _size(path)) is not None]
        way_out = "delete some, or wait: each is kept for a day"
        if sum(sizes) + more > MOST_A_USER:
            most = f"{MOST_A_USER / 1024**3:g} GB"
            raise ConfigError(f"your uploads may have {most} together; {way_out}")
        if len(sizes) > MOST_FILES:
            raise ConfigError(f"you may have {MOST_FILES:,} uploads; {way_out}")
        if shutil.disk_usage(self._own).free - more < LEAST_FREE:
            raise _disk(f"the server's disk has less than {LEAST_FREE / 1024**3:g} GB left")

    def find(self, number: str) -> Upload:
        """Find an upload by its id; raise NotFound for one that is not the actor's."""
        missing = NotFound(f"there is no upload “{number[:40]}”; uploads are kept for a day")
        folder = self._own / number
        if not _ID.fullmatch(number) or not folder.is_dir():
            raise missing
        path = next(folder.iterdir(), None)
        if path is None:
            raise missing
        stat = path.stat()
        return Upload(number, path.name, stat.st_size, stat.st_mtime + KEPT_SECONDS, path)

    def drop(self, number: str) -> None:
        """Delete an upload."""
        shutil.rmtree(self.find(number).path.parent, ignore_errors=True)


def sweep(root: Path, *, really: bool = True) -> int:
    """Delete what everybody sent more than a day ago, or count it."""
    old, count = time.time() - KEPT_SECONDS, 0
    for folder in (root / UPLOADS).glob("*/*"):
        with suppress(FileNotFoundError):  # somebody else swept at the same time
            if folder.stat().st_mtime < old:
                count += 1
                if really:
                    shutil.rmtree(folder, ignore_errors=True)
    return count


def _disk(what: str) -> LimitReached:
    return LimitReached(f"{what}; nothing was kept; free some space and send it again",
                        limit="disk")  # fmt: skip


def _size(path: Path) -> int | None:
    """Give a file's size, None where it was deleted meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def safe_name(name: str) -> str:
    """Make a file's name harmless; its suffix, which tells what it is, stays."""
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    plain = re.sub(r"[^\w.()\[\] +@=,-]", "_", last).strip(". ")
    stem, dot, suffix = plain.rpartition(".")
    if not dot:
        stem, suffix = plain, ""
    return (stem[: _LONGEST_NAME - len(suffix)] or "upload") + dot + suffix[:10]


__all__ = ["KEPT_SECONDS", "LARGEST", "MOST_A_USER", "Upload", "Uploads", "safe_name"]
