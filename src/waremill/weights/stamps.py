"""A file's sha256, taken once: remembered in this process and in a stamp beside the file."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_digests: dict[tuple[str, str], str] = {}


def sha256_of(file: Path) -> str:
    """Give a file's sha256, hashing it only where it changed since the last time.

    A stamp `FILE.sha256` beside the file keeps the digest with the size and time of change it was
    taken at; where it cannot be written, the file is hashed again in the next process.
    """
    seen = _seen(file)
    key = (str(file), seen)
    if key not in _digests:
        digest = _stamped(file, seen)
        if digest is None:
            with file.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
            _write(file, f"{digest} {seen}\n")
        _digests[key] = digest
    return _digests[key]


def stamp(file: Path, digest: str) -> None:
    """Keep a digest that was taken while the file was written."""
    seen = _seen(file)
    _digests[(str(file), seen)] = digest
    _write(file, f"{digest} {seen}\n")


def _seen(file: Path) -> str:
    status = file.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def _stamped(file: Path, seen: str) -> str | None:
    beside = file.with_name(f"{file.name}.sha256")
    if not beside.is_file():
        return None
    digest, _, kept = beside.read_text("ascii", errors="replace").strip().partition(" ")
    return digest if kept == seen and len(digest) == 64 else None


def _write(file: Path, text: str) -> None:
    temporary = file.with_name(f".{file.name}.sha256.{os.getpid()}")
    try:
        temporary.write_text(text, "ascii")
        os.replace(temporary, file.with_name(f"{file.name}.sha256"))
    except OSError:  # somebody else's folder, or a full disk: the digest holds for this process
        temporary.unlink(missing_ok=True)
