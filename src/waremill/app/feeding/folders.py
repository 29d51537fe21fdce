"""A watched folder or bucket: which of its files are new, changed and left alone; one at a time.

A file is imported once: again only after its content changed. One that cannot be read is set aside
with a sentence until it changes, and stops no other.
"""

from __future__ import annotations

import asyncio
import fnmatch
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from waremill.catalog.reading import readable_suffixes
from waremill.errors import SourceError
from waremill.settings.load import Source
from waremill.store import runs as store_runs
from waremill.store import sources as store
from waremill.store.database import Database
from waremill.store.sources import SeenFile

LARGEST = 4 << 30
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file: `imported`, `waiting` (it may still be written), `failed` (it did not
    arrive here), or `aside`.
    """

    path: str
    state: str
    reason: str | None = None


class Folder:
    """The files of a source on any storage that fsspec reaches."""

    def __init__(self, database: Database, name: str, source: Source) -> None:
        self._database = database
        self._name = name
        self._source = source

    async def feed(self, work: Callable[[str], Awaitable[Any]]) -> list[Outcome]:
        """Hand each new or changed file's copy on this machine to `work`, oldest change first.

        `work` raises SourceError for a file that cannot be read. Raises it itself where the folder
        cannot be listed.
        """
        seen = await self._database.read(store.seen_files, self._name)
        now = await self._database.read(store_runs.clock)
        outcomes = []
        for file in await asyncio.to_thread(self._listed, now):
            before = seen.get(file.path)
            same = before is not None and (before.size, before.changed) == (file.size, file.changed)
            if same and before is not None:
                if before.state != store.WAITING:
                    continue
                file = replace(file, seen_at=before.seen_at)
            if not self._settled(file, now):
                await self._note(file)
                outcomes.append(Outcome(file.path, store.WAITING, "it may still be written"))
                continue
            outcome = await self._one(file, before, work)
            if outcome is not None:
                outcomes.append(outcome)
        return outcomes

    async def _one(
        self, file: SeenFile, before: SeenFile | None, work: Callable[[str], Awaitable[Any]]
    ) -> Outcome | None:
        """Import a file; None where its content is what was imported before."""
        with tempfile.TemporaryDirectory(prefix="waremill-source-") as folder:
            place = Path(folder) / file.path.rpartition("/")[2]
            try:
                try:
                    digest = await asyncio.to_thread(self._copy, file, place)
                except OSError as error:  # says nothing about what is in it
                    return Outcome(file.path, store.FAILED, f"it cannot be read: {_said(error)}")
                file = replace(file, hash=digest)
                if before is not None and before.hash == digest:
                    await self._note(replace(file, state=before.state, reason=before.reason))
                    return None
                await work(str(place))
            except SourceError as error:
                await self._note(replace(file, state=store.ASIDE, reason=error.message))
                return Outcome(file.path, store.ASIDE, error.message)
        await self._note(replace(file, state=store.IMPORTED))
        return Outcome(file.path, store.IMPORTED)

    async def _note(self, file: SeenFile) -> None:
        await self._database.write(store.note_file, file)

    def _settled(self, file: SeenFile, now: float) -> bool:
        """Say whether nobody has written to a file for a while; an object is whole from the start.

        By its own time, or where that lies ahead of our clock by how long it was seen like that.
        """
        wait = self._source.settle_seconds
        if "://" in str(self._source.folder) or not wait:
            return True
        changed = float(file.changed.partition(" ")[0])
        return now - changed >= wait or (changed > now and now - file.seen_at >= wait)

    def _open(self) -> tuple[Any, str]:
        import fsspec

        try:
            found: tuple[Any, str] = fsspec.core.url_to_fs(str(self._source.folder))
        except (ImportError, ValueError) as error:
            raise SourceError(f"the storage cannot be opened: {error}") from None
        return found

    def _listed(self, now: float) -> list[SeenFile]:
        """List the files that count, the one changed longest ago first."""
        system, root = self._open()
        try:
            system.invalidate_cache()
            if not system.exists(root):
                raise SourceError("there is no such folder")
            found: Mapping[str, Mapping[str, Any]] = system.find(root, detail=True)
        except SourceError:
            raise
        except Exception as error:  # each storage has errors of its own
            raise SourceError(f"the folder cannot be listed: {_said(error)}") from None
        files = [
            SeenFile(
                self._name, path.removeprefix(root).lstrip("/"), int(told.get("size") or 0),
                _changed(told), None, store.WAITING, None, now,
            )
            for path, told in found.items()
            if self._counts(path.removeprefix(root).lstrip("/"))
        ]  # fmt: skip
        return sorted(files, key=lambda one: (one.changed, one.path))

    def _counts(self, path: str) -> bool:
        parts = path.split("/")
        if any(part.startswith((".", "~$")) for part in parts):
            return False
        if self._source.pattern is not None:
            return fnmatch.fnmatch(parts[-1], self._source.pattern)
        return path.lower().endswith(readable_suffixes())

    def _copy(self, file: SeenFile, place: Path) -> str:
        """Copy a file to this machine; give its content's SHA-256. Raises OSError."""
        system, root = self._open()
        if file.size > LARGEST:
            raise SourceError(f"the file is larger than {LARGEST >> 30} GB")
        digest = sha256()
        try:
            with system.open(f"{root}/{file.path}", "rb") as read, place.open("wb") as written:
                for chunk in _chunks(read):
                    digest.update(chunk)
                    written.write(chunk)
        except Exception as error:  # each storage has errors of its own
            raise OSError(_said(error)) from error
        return digest.hexdigest()


def _chunks(stream: Any) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK):
        yield chunk


def _changed(told: Mapping[str, Any]) -> str:
    """Write when a file was changed, and as what, so that the texts sort by time."""
    tag = str(told.get("ETag") or told.get("etag") or "")
    for name in ("mtime", "LastModified", "last_modified", "updated"):
        moment = told.get(name)
        if isinstance(moment, datetime):
            moment = moment.timestamp()
        if isinstance(moment, int | float):
            return f"{moment:018.6f} {tag}".strip()
    return f"0 {tag}".strip()


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


__all__ = ["Folder", "Outcome"]
