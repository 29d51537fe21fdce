"""What was worked out about a catalogue once, kept in memory until the catalogue changes.

A large catalogue's order, its facets' counts and its completeness take seconds to work out and are
asked for again and again. They are kept for five minutes at most, by what the catalogue was: its
import's number and its newest product. Nothing here is written down, nothing here reads products.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from waremill.store.database import Database

T = TypeVar("T")

SECONDS = 300.0
"""How long anything is believed: an import under way changes products without a new number."""
HEAVIEST = 4_000_000
"""Numbers kept in all, of eight bytes each."""


@dataclass(slots=True)
class _Kept:
    made: asyncio.Task[Any]
    weight: int
    until: float


@dataclass(slots=True)
class Remembered:
    """What is known by key; the longest unused goes first when there is too much.

    What several ask for at once is worked out once. `slowly` lets one long work run at a time, so
    that the readers stay free for everybody else.
    """

    _kept: OrderedDict[Hashable, _Kept] = field(default_factory=OrderedDict)
    slowly: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    async def get(
        self,
        key: Hashable,
        make: Callable[[], Awaitable[T]],
        weigh: Callable[[T], int] | None = None,
    ) -> T:
        """Give what is known by a key, or have it made; whoever stops waiting stops nobody else."""
        kept = self._kept.get(key)
        if kept is None or kept.until < time.monotonic():
            kept = self._start(key, make, weigh)
        else:
            self._kept.move_to_end(key)
        return cast(T, await asyncio.shield(kept.made))

    def _start(
        self, key: Hashable, make: Callable[[], Awaitable[T]], weigh: Callable[[T], int] | None
    ) -> _Kept:
        async def work() -> T:
            return await make()

        kept = _Kept(asyncio.create_task(work()), 1, time.monotonic() + SECONDS)
        self._kept[key] = kept

        def done(task: asyncio.Task[T]) -> None:
            if task.cancelled() or task.exception() is not None:
                if self._kept.get(key) is kept:  # an error is not worth keeping
                    del self._kept[key]
            elif weigh is not None:
                kept.weight = weigh(task.result())
            self._shrink()

        kept.made.add_done_callback(done)
        return kept

    def _shrink(self) -> None:
        now = time.monotonic()
        for key in [key for key, kept in self._kept.items() if kept.until < now]:
            del self._kept[key]
        while len(self._kept) > 1 and sum(one.weight for one in self._kept.values()) > HEAVIEST:
            self._kept.popitem(last=False)


_of: WeakKeyDictionary[Database, Remembered] = WeakKeyDictionary()


def remembered(database: Database) -> Remembered:
    """Give what is known about a database's catalogues."""
    return _of.setdefault(database, Remembered())


__all__ = ["Remembered", "remembered"]
