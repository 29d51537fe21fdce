"""Small versions of pictures for a page: each made once, kept in a folder, a few made at a time.

The folder is a cache of this machine alone: what is deleted from it is made again. It holds at most
a gigabyte; beyond that the oldest go.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from pathlib import Path

from waremill.runs.once import Once

SIDES = (160, 320, 640, 1280, 2560)
"""Pixels of the longer side a picture may be made small to: few, so that few are kept."""
MEDIA_TYPE = "image/webp"
MOST_BYTES = 1024**3
_LEFT_BY_A_SWEEP = MOST_BYTES * 3 // 4
_SWEEP_EVERY = 2_000
"""Thumbnails written between two looks at how large the folder is."""
log = logging.getLogger(__name__)

Load = Callable[[], Awaitable[bytes]]


class Thumbnails:
    """The thumbnails of one workspace, for the process that shows them.

    `at_once` is how many may be read and made at the same time; whoever asks for more waits, so
    memory holds no more pictures than that.
    """

    def __init__(self, folder: Path, threads: Executor, at_once: int) -> None:
        self._folder = folder
        self._threads = threads
        self._room = asyncio.Semaphore(at_once)
        self._making: Once[bytes] = Once()
        self._written = 0

    async def get(self, name: str, side: int, load: Load, *, seconds: float | None = None) -> bytes:
        """Give a picture as WebP within `side` × `side` pixels; never larger than it is.

        `name` stands for the picture's content, in letters and digits. `load` reads it, and is
        called only where nothing is kept, or what is kept is older than `seconds`. Raises what
        `load` raises, and SourceError for what is no picture.
        """
        path = self._folder / name[:2] / f"{name}-{side}.webp"
        if (kept := await asyncio.to_thread(_read, path, seconds)) is not None:
            return kept
        return await self._making.get(path, lambda: self._made(path, side, load))

    async def _made(self, path: Path, side: int, load: Load) -> bytes:
        from waremill.images.thumbnails import thumbnail

        async with self._room:
            content = await load()
            loop = asyncio.get_running_loop()
            made = await loop.run_in_executor(self._threads, thumbnail, content, side)
        self._written += 1
        sweeping = self._written % _SWEEP_EVERY == 1
        await asyncio.to_thread(self._keep, path, made.content, sweeping=sweeping)
        return made.content

    def _keep(self, path: Path, content: bytes, *, sweeping: bool) -> None:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            os.replace(temporary, path)
            if sweeping:
                sweep(self._folder, MOST_BYTES, _LEFT_BY_A_SWEEP)
        except OSError as error:  # a full disk: it is shown all the same, and made again next time
            log.warning("a thumbnail cannot be kept: %s", error.strerror or error)
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def sweep(folder: Path, most: int, left: int) -> None:
    """Delete the oldest files of a folder until `left` bytes remain, where it has over `most`."""
    found: list[tuple[float, int, Path]] = []
    for path in folder.glob("*/*"):
        with contextlib.suppress(FileNotFoundError):
            stat = path.stat()
            found.append((stat.st_mtime, stat.st_size, path))
    total = sum(size for _, size, _ in found)
    if total <= most:
        return
    for _, size, path in sorted(found):
        if total <= left:
            return
        path.unlink(missing_ok=True)
        total -= size


def _read(path: Path, seconds: float | None) -> bytes | None:
    """Give a kept file; None where there is none, or it is older than so many seconds."""
    try:
        if seconds is not None and path.stat().st_mtime < time.time() - seconds:
            return None
        return path.read_bytes()
    except FileNotFoundError:
        return None


__all__ = ["MEDIA_TYPE", "SIDES", "Thumbnails", "sweep"]
