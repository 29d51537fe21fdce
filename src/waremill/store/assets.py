"""Files by the hash of their content: pictures, masks, heat-maps, documents.

A local folder by default, an object store by URL (`s3://bucket/folder`, through fsspec). A file is
written once under its SHA-256 and never changed, so whoever reads a reference reads what was meant.
Rows, queues and processes pass references around, never bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from waremill.domain import Asset
from waremill.errors import ConfigError, NotFound
from waremill.store.full_disk import needing_room


class Assets:
    """Content-addressed storage, safe for any number of processes at once."""

    def __init__(self, place: str) -> None:
        """Open the storage at a folder's path or at a URL; nothing is touched before it is used.

        Raises ConfigError for a URL of a kind that is not installed.
        """
        self._folder = None if "://" in place else Path(place)
        self._remote: Any = None
        self._root = place
        if self._folder is None:
            self._remote, self._root = _open_remote(place)

    async def keep(self, content: bytes, media_type: str) -> str:
        """Store content and give its reference; content that is there already costs a look.

        Raises LimitReached when the disk is full, ConfigError when it cannot be written.
        """
        asset = Asset.of(hashlib.sha256(content).hexdigest(), media_type)
        await asyncio.to_thread(self._write, asset, content)
        return str(asset)

    async def read(self, reference: str) -> bytes:
        """Read the content of a reference; raises NotFound where it is no longer there."""
        return await asyncio.to_thread(self.read_now, reference)

    def read_now(self, reference: str) -> bytes:
        """Read the content of a reference on the calling thread; raises NotFound."""
        asset = Asset.parse(reference)
        if asset is None:
            raise NotFound(f"“{reference[:80]}” is no reference to a stored file")
        try:
            if self._folder is not None:
                return self._local(asset).read_bytes()
            content: bytes = self._remote.cat_file(self._url(asset))
            return content
        except FileNotFoundError:
            raise NotFound(f"the stored file {asset} is gone from {self._root}") from None

    async def has(self, reference: str) -> bool:
        """Say whether the content of a reference is there."""
        return await asyncio.to_thread(self._has, reference)

    def _has(self, reference: str) -> bool:
        asset = Asset.parse(reference)
        if asset is None:
            return False
        if self._folder is not None:
            return self._local(asset).is_file()
        return bool(self._remote.exists(self._url(asset)))

    async def forget(self, reference: str) -> None:
        """Delete the content of a reference, if it is there; nothing may refer to it any more."""
        await asyncio.to_thread(self._forget, reference)

    def _forget(self, reference: str) -> None:
        asset = Asset.parse(reference)
        if asset is None:
            return
        with contextlib.suppress(FileNotFoundError):
            if self._folder is not None:
                self._local(asset).unlink()
            else:
                self._remote.rm_file(self._url(asset))

    def older(self, before: float) -> Iterator[str]:
        """Give the references of files that were last kept before a time; of a local folder alone.

        Reads folder by folder: call it on a thread.
        """
        for path in sorted(self._folder.glob("??")) if self._folder is not None else ():
            for place in path.glob("??/*"):
                asset = Asset.parse(f"asset:{place.name}")
                with contextlib.suppress(FileNotFoundError):
                    if asset is not None and place.stat().st_mtime < before:
                        yield str(asset)

    def forget_old(self, reference: str, before: float) -> bool:
        """Delete a local file nobody refers to, unless it was kept again meanwhile."""
        path = self.path(reference)
        with contextlib.suppress(FileNotFoundError):
            if path is not None and path.stat().st_mtime < before:
                path.unlink()
                return True
        return False

    def path(self, reference: str) -> Path | None:
        """Give a reference's file where the storage is a local folder that has it, else None."""
        asset = Asset.parse(reference)
        if asset is None or self._folder is None:
            return None
        path = self._local(asset)
        return path if path.is_file() else None

    def _local(self, asset: Asset) -> Path:
        assert self._folder is not None
        return self._folder / asset.path

    def _url(self, asset: Asset) -> str:
        return f"{self._root}/{asset.path}"

    def _write(self, asset: Asset, content: bytes) -> None:
        try:
            with needing_room(self._root):
                if self._folder is not None:
                    _write_once(self._local(asset), content)
                elif not self._remote.exists(self._url(asset)):
                    self._remote.pipe_file(self._url(asset), content)  # appears whole: one PUT
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConfigError(f"files cannot be kept in {self._root}: {reason}") from error


def _write_once(path: Path, content: bytes) -> None:
    """Write a file whole: under another name, to disk, then moved to its own."""
    if path.is_file():
        with contextlib.suppress(OSError):
            os.utime(path)  # what is kept anew is young again: retention must not take it away
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _settle(path.parent)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _settle(folder: Path) -> None:
    """Write a folder's list of files to disk, so that a new one survives a power cut."""
    if os.name == "nt":  # folders cannot be opened there
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _open_remote(url: str) -> tuple[Any, str]:
    try:
        import fsspec

        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise ConfigError(
            f"files at {url.partition('://')[0]}:// need the extra “s3”: pip install 'waremill[s3]'"
        ) from error
    except ValueError as error:
        raise ConfigError(f"the files setting is no URL we know: {error}") from error
    return system, path.rstrip("/")
