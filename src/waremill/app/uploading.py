"""Files somebody sends to a server: kept for a day, for whoever sent them alone.

An upload is known by an id nobody can guess, and is read as a source of an import, of a run or of
gold values. No path of the server's own ever comes from outside.
"""

from __future__ import annotations

import re
import secrets
import shutil
import time
import unicodedata
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING

from waremill.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

UPLOADS = ".waremill/uploads"
KEPT_SECONDS = 24 * 3600
LARGEST = 512 * 1024 * 1024
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
        workspace.actor.need_somewhere("operator", "sending files")
        self._all = workspace.settings.root / UPLOADS
        # By name and not only by id: an id somebody overheard is not enough.
        self._own = self._all / sha256(workspace.actor.name.encode()).hexdigest()[:16]

    def keep(self, name: str, content: IO[bytes]) -> Upload:
        """Keep a file; raise ConfigError for one that is empty or larger than 512 MB.

        It writes to the disk: call it on a thread.
        """
        self.sweep()
        number = secrets.token_urlsafe(16)
        folder = self._own / number
        folder.mkdir(parents=True, mode=0o700)
        path = folder / safe_name(name)
        size = 0
        try:
            with path.open("xb") as file:
                while chunk := content.read(_CHUNK):
                    size += len(chunk)
                    if size > LARGEST:
                        raise ConfigError(f"a file may have {LARGEST // 1024**2} MB at most")
                    file.write(chunk)
            if not size:
                raise ConfigError("the file is empty")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return self.find(number)

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

    def sweep(self) -> None:
        """Delete what everybody sent more than a day ago."""
        old = time.time() - KEPT_SECONDS
        for folder in self._all.glob("*/*"):
            if folder.stat().st_mtime < old:
                shutil.rmtree(folder, ignore_errors=True)


def safe_name(name: str) -> str:
    """Make a file's name harmless; its suffix, which tells what it is, stays."""
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    plain = re.sub(r"[^\w.()\[\] +@=,-]", "_", last).strip(". ")
    stem, dot, suffix = plain.rpartition(".")
    if not dot:
        stem, suffix = plain, ""
    return (stem[: _LONGEST_NAME - len(suffix)] or "upload") + dot + suffix[:10]


__all__ = ["KEPT_SECONDS", "LARGEST", "Upload", "Uploads", "safe_name"]
