"""A backup's file: one gzipped tar, its manifest last, so that one that was cut off has none.

    workspace/PATH · database/FILE · pictures/AB/CD/SHA256.png · manifest.json

The manifest has a hash for every file; a picture's name is its hash, and the manifest has their
number. Members are plain files below these folders, whatever an archive from elsewhere says.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import io
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson

from waremill.errors import ConfigError, Conflict, SourceError, Where
from waremill.store.backups import Stopped

FORMAT = "waremill-backup"
VERSION = 1
MANIFEST = "manifest.json"
LARGEST_MANIFEST = 64 * 1024**2
BLOCK = 1 << 20
SPEED = 1
"""gzip's level: the fastest already makes a database a fifth, and pictures do not get smaller."""
_MEMBER = re.compile(r"(workspace|database|pictures)(/(?!\.)[^/\\\0]+)+")
_PICTURE = re.compile(r"pictures/[0-9a-f]{2}/[0-9a-f]{2}/(?P<sha256>[0-9a-f]{64})\.[a-z0-9]{1,8}")


class Stop(Exception):
    """Writing or reading was told to stop."""


@dataclass(slots=True)
class Manifest:
    """What a backup holds: `files` by their names in the archive, with size and SHA-256.

    `pictures` is their number, `kept_in` where they lie when they are not in the archive.
    """

    schema: str
    database: str
    waremill: str
    created_at: float
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    pictures: int = 0
    kept_in: str | None = None
    left_out: list[str] = field(default_factory=list)

    def text(self) -> bytes:
        """Give it as JSON."""
        return orjson.dumps(
            {"format": FORMAT, "version": VERSION, **asdict(self)}, option=orjson.OPT_INDENT_2
        )

    @staticmethod
    def parse(content: bytes, where: Where) -> Manifest:
        """Read one; raise SourceError where it is none, ConfigError for a newer kind."""
        try:
            found = dict(orjson.loads(content))
            kind, version = found.pop("format"), found.pop("version")
            if kind == FORMAT and version > VERSION:
                raise ConfigError("this backup was made by a newer Waremill; update", where)
            if kind == FORMAT:
                return Manifest(**found)
        except (ValueError, TypeError, KeyError):
            pass
        raise SourceError("this is no backup of a workspace", where)


class Writer:
    """Writes an archive under another name; it gets its own when everything is on the disk."""

    def __init__(self, path: Path, manifest: Manifest, stopped: Stopped) -> None:
        self.manifest = manifest
        self._path = path
        self._stopped = stopped

    def __enter__(self) -> Writer:
        if self._path.exists():
            raise Conflict("this file is here already and is not overwritten",
                           Where(str(self._path)))  # fmt: skip
        self._partial = self._path.with_name(f".{self._path.name}.partial")
        with said_of(self._path):
            # Nobody else may read it: it has what the database has.
            opened = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._raw = os.fdopen(opened, "wb")
        self._gzip = gzip.GzipFile("", "wb", SPEED, self._raw, mtime=0)
        self._tar = tarfile.open(fileobj=self._gzip, mode="w|", format=tarfile.PAX_FORMAT,
                                 bufsize=BLOCK)  # fmt: skip
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                with said_of(self._path):
                    self._finish()
        finally:
            with contextlib.suppress(OSError):
                self._raw.close()
            with contextlib.suppress(FileNotFoundError):
                self._partial.unlink()

    def _finish(self) -> None:
        content = self.manifest.text()
        self._tar.addfile(_member(MANIFEST, len(content)), io.BytesIO(content))
        self._tar.close()
        self._gzip.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        os.replace(self._partial, self._path)

    def add(self, name: str, path: Path) -> None:
        """Add a file with its hash, or a picture whose name is one."""
        with said_of(self._path), path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            hashing = _Hashing(file, self._stopped)
            self._tar.addfile(_member(name, size), hashing)
        if _PICTURE.fullmatch(name):
            self.manifest.pictures += 1
        else:
            self.manifest.files[name] = {"bytes": size, "sha256": hashing.sha256.hexdigest()}


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


class _Hashing(io.RawIOBase):
    """A file that is hashed while it is read."""

    def __init__(self, file: IO[bytes], stopped: Stopped) -> None:
        self._file = file
        self._stopped = stopped
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        if self._stopped():
            raise Stop
        block = self._file.read(size)
        self.sha256.update(block)
        return block


def unpack(path: Path, folder: Path, stopped: Stopped) -> Manifest:
    """Unpack an archive into a new folder and check every file in it.

    Raises SourceError for one that was cut off, changed, or is none.
    """
    where = Where(str(path))
    found: dict[str, str] = {}
    manifest: Manifest | None = None
    pictures = 0
    try:
        with gzip.open(path) as raw, tarfile.open(fileobj=raw, mode="r|", bufsize=BLOCK) as tar:
            for member, content in _members(tar, where):
                if member.name == MANIFEST:
                    manifest = Manifest.parse(content.read(LARGEST_MANIFEST), where)
                    continue
                sha256 = _write(content, folder / member.name, stopped)
                if picture := _PICTURE.fullmatch(member.name):
                    pictures += 1
                    if picture["sha256"] != sha256:
                        raise SourceError(f"{member.name} was changed since", where)
                else:
                    found[member.name] = sha256
            while raw.read(BLOCK):  # to the end, where its checksum is
                pass
    except (EOFError, zlib.error, tarfile.ReadError, gzip.BadGzipFile) as error:
        raise SourceError(f"this is no whole backup; it may be cut off ({error})", where) from None
    except OSError as error:
        raise _refused(error, path) from error
    if manifest is None:
        raise SourceError("this is no whole backup; it may be cut off (no manifest)", where)
    told = {name: one["sha256"] for name, one in manifest.files.items()}
    if found != told or pictures != manifest.pictures:
        names = sorted({name for name, _ in found.items() ^ told.items()}) or ["pictures"]
        raise SourceError(f"{names[0]} is not as it was backed up", where)
    return manifest


def _members(tar: tarfile.TarFile, where: Where) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    for member in tar:
        content = tar.extractfile(member) if member.isreg() else None
        if content is None or not (member.name == MANIFEST or _MEMBER.fullmatch(member.name)):
            raise SourceError(f"a backup has no “{member.name[:80]}”", where)
        yield member, content


def _write(content: IO[bytes], to: Path, stopped: Stopped) -> str:
    to.parent.mkdir(parents=True, exist_ok=True)
    sha256 = hashlib.sha256()
    with to.open("xb") as file:
        while block := content.read(BLOCK):
            if stopped():
                raise Stop
            sha256.update(block)
            file.write(block)
    return sha256.hexdigest()


@contextlib.contextmanager
def said_of(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into one sentence about a file."""
    try:
        yield
    except OSError as error:
        raise _refused(error, path) from error


def _refused(error: OSError, path: Path) -> ConfigError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ConfigError("the disk is full; nothing was made of it", Where(str(path)))
    reason = error.strerror or str(error)
    return ConfigError(f"this does not work: {reason}", Where(str(path)))
