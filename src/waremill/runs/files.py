"""Files of a run: what is made of stored files is made once for good, on a few threads.

The counterpart of `calls/` for work of our own. What a derivation gave is committed before a step
sees it, so a crash costs at most what was being made.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import Any, Protocol, TypeVar

import orjson
from sqlalchemy import Connection, select

from waremill.domain import refers
from waremill.pipeline import Derivation
from waremill.runs.once import Once
from waremill.store.database import Database
from waremill.store.journal import Journal
from waremill.store.tables import derivations, dumps

T = TypeVar("T")
AHEAD = 2
"""Pictures read ahead of those being worked on, so that threads never wait for a disk."""


class Storage(Protocol):
    """Where files lie, by their content."""

    async def read(self, reference: str) -> bytes:
        """Read the content of a reference."""

    async def keep(self, content: bytes, media_type: str) -> str:
        """Store content and give its reference."""

    async def has(self, reference: str) -> bool:
        """Say whether the content of a reference is there."""


Bring = Callable[[str], Awaitable[tuple[bytes, str]]]
"""Gives the content and media type of the picture at a path or address; raises SourceError."""


class RunFiles:
    """The files as the steps of a run see them; one for each worker.

    `at_once` is how many `threads` there are. `made` counts derivations this worker made, `found`
    those that were there.
    """

    def __init__(
        self,
        database: Database,
        journal: Journal,
        storage: Storage,
        bring: Bring,
        threads: ThreadPoolExecutor,
        at_once: int,
    ) -> None:
        self._database = database
        self._journal = journal
        self._storage = storage
        self._bring = bring
        self._threads = threads
        # A few more than threads, so that one is read while others are worked on, and no more.
        self._room = asyncio.Semaphore(at_once + AHEAD)
        self._bringing = asyncio.Semaphore(at_once + AHEAD)
        self.made = 0
        self.found = 0
        self._making: Once[Any] = Once()

    async def read(self, reference: str) -> bytes:
        """Read the content of a reference; raises NotFound."""
        return await self._storage.read(reference)

    async def keep(self, content: bytes, media_type: str) -> str:
        """Store content and give its reference."""
        return await self._storage.keep(content, media_type)

    async def bring(self, source: str) -> str:
        """Store the picture at a path or address and give its reference; raises SourceError."""
        async with self._bringing:  # whole files are in memory meanwhile
            return await self.keep(*await self._bring(source))

    async def compute(self, function: Callable[..., T], *args: Any) -> T:
        """Run a function on one of the worker's threads; so many at once, the others wait."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    async def derive(self, derivation: Derivation, make: Callable[[], Awaitable[Any]]) -> Any:
        """Give what a derivation gave before, in this run or any other; else make it now.

        Whoever asks for the same while it is being made waits for it.
        """
        digest = derivation_hash(derivation)
        return await self._making.get(digest, lambda: self._made(digest, derivation, make))

    async def _whole(self, value: Any) -> bool:
        """Say whether all files of a derivation are there: storage may have been cleared."""
        return all([await self._storage.has(one) for one in _references(value)])

    async def _made(
        self, digest: bytes, derivation: Derivation, make: Callable[[], Awaitable[Any]]
    ) -> Any:
        known = await self._database.read(_find, digest)
        if known is not None:
            value = orjson.loads(known)
            if await self._whole(value):
                self.found += 1
                return value
        async with self._room:
            started = time.monotonic()
            value = await make()
            seconds = time.monotonic() - started
        row = {
            "hash": digest, "what": derivation.what, "value": dumps(value),
            "seconds": seconds, "created_at": time.time(),
        }  # fmt: skip
        await self._journal.put("derivations", [row])
        self.made += 1
        return value


def _references(value: Any) -> Iterator[str]:
    """Give every reference within a JSON value."""
    if isinstance(value, str):
        if refers(value):
            yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _references(part)


def derivation_hash(derivation: Derivation) -> bytes:
    """Hash a derivation: 16 bytes of BLAKE2b over its parts as JSON with sorted names."""
    parts = [
        derivation.what, derivation.version, dict(derivation.options), list(derivation.inputs),
    ]  # fmt: skip
    return blake2b(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def _find(conn: Connection, digest: bytes) -> str | None:
    found: str | None = conn.execute(
        select(derivations.c.value).where(derivations.c.hash == digest)
    ).scalar()
    return found
