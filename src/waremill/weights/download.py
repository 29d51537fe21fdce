"""A file that grows from one or more sources until it is whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

CHUNK = 1 << 20

Progress = Callable[[int, int], None]
"""Receives (bytes done, bytes in all) while a file is fetched; what it raises stops the fetching,
and the bytes so far are kept for the next time."""


class SourceFailed(Exception):
    """A source did not give the file; the message says why, for the user."""


class Download:
    """A growing file with its running hash.

    What an interrupted attempt left is kept and hashed again, so that a source goes on from there;
    `resumed` says whether any of that is still in. OSError means the disk, never a source.
    """

    def __init__(self, path: Path, size: int, progress: Progress | None) -> None:
        self.size = size
        self.resumed = True
        self._progress = progress
        self._file: BinaryIO = path.open("a+b")
        self.cut(size)

    def cut(self, length: int) -> None:
        """Keep at most the first `length` bytes."""
        self._file.truncate(min(length, self._file.seek(0, os.SEEK_END)))
        self._file.seek(0)
        self._hash = hashlib.sha256()
        self.done = 0
        while chunk := self._file.read(CHUNK):
            self._hash.update(chunk)
            self.done += len(chunk)
        self.resumed = self.resumed and self.done > 0

    def append(self, data: bytes) -> None:
        """Add bytes and report progress; refuses more than the file may have."""
        if self.done + len(data) > self.size:
            raise SourceFailed("what it has is another file (longer)")
        self._file.write(data)
        self._hash.update(data)
        self.done += len(data)
        if self._progress is not None:
            self._progress(self.done, self.size)

    def sha256(self) -> str:
        """Give the digest of all bytes so far, which are on the disk then."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._hash.hexdigest()

    def close(self) -> None:
        """Close the file; what it holds stays."""
        self._file.close()
