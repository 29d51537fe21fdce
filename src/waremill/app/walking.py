"""Walking through a listing a stretch at a time: a page, a count, a sample.

Each stretch is a read of its own, so whoever stops waiting stops the work, and everybody else's
reads come in between. A page that a rare filter does not fill in time is given short, with the
place to go on from.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeAlias, TypeVar

from sqlalchemy import Connection

from waremill.domain import Product
from waremill.store import browsing, run_items
from waremill.store.browsing import Stream, Stretch
from waremill.store.database import Database
from waremill.store.run_items import ItemStream

T = TypeVar("T", Product, int)

PATIENCE = 1.0
"""Seconds until a page that is not full yet is given as it is."""
FIRST_ROWS = 2_000
MOST_ROWS = 50_000
"""Index entries of the first stretch, and of the longest."""

Look: TypeAlias = Callable[[Connection, int, int, int], tuple[list[T], int | None]]
"""Reads rows after an id, from so many index entries, up to a limit; gives where they end."""
Count: TypeAlias = Callable[[Connection, int, int], tuple[int, int | None]]
"""Counts what comes after an id among so many index entries; gives where they end."""


async def walk(
    database: Database, look: Look[T], after: int, size: int, until: float | None = None
) -> tuple[list[T], int | None]:
    """Give a listing's next rows, and the id after which to go on; None at the end.

    `until` is the moment of `time.monotonic()` at which an unfilled page is given.
    """
    until = time.monotonic() + PATIENCE if until is None else until
    found: list[T] = []
    rows = FIRST_ROWS
    while True:
        part, end = await database.read(look, after, rows, size + 1 - len(found))
        found += part
        if len(found) > size:
            last = found[size - 1]
            return found[:size], last if isinstance(last, int) else last.id
        if end is None:
            return found, None
        if time.monotonic() > until:
            return found, end
        after, rows = end, min(rows * 4, MOST_ROWS)


async def counting(database: Database, count: Count) -> AsyncIterator[int]:
    """Give growing counts of a listing; the last one is the whole."""
    total = 0
    after: int | None = 0
    while after is not None:
        number, after = await database.read(count, after, MOST_ROWS)
        total += number
        yield total


def of_products(streams: Sequence[Stream]) -> Look[Product]:
    """Give what reads a stretch of products."""
    # What an index gives by itself needs no stretches.
    whole = all(one.where is None for one in streams)

    def look(
        conn: Connection, after: int, rows: int, limit: int
    ) -> tuple[list[Product], int | None]:
        end = None if whole else browsing.stretch_end(conn, streams, after, rows)
        return browsing.read_page(conn, streams, Stretch(after, end), limit), end

    return look


def of_items(streams: Sequence[ItemStream]) -> Look[int]:
    """Give what reads the ids of a stretch of items."""
    whole = _is_whole(streams)

    def look(conn: Connection, after: int, rows: int, limit: int) -> tuple[list[int], int | None]:
        end = None if whole else run_items.stretch_end(conn, streams, after, rows)
        return run_items.read_ids(conn, streams, Stretch(after, end), limit), end

    return look


def products_in(streams: Sequence[Stream]) -> Count:
    """Give what counts a stretch of products; what an index can count alone it counts at once."""
    plain = [one for one in streams if one.where is None]
    filtered = [one for one in streams if one.where is not None]

    def count(conn: Connection, after: int, rows: int) -> tuple[int, int | None]:
        end = browsing.stretch_end(conn, filtered, after, rows)
        number = browsing.count_stretch(conn, filtered, Stretch(after, end))
        if not after:
            number += browsing.count_stretch(conn, plain, Stretch())
        return number, end

    return count


def items_in(streams: Sequence[ItemStream]) -> Count:
    """Give what counts a stretch of items."""
    whole = _is_whole(streams)

    def count(conn: Connection, after: int, rows: int) -> tuple[int, int | None]:
        end = None if whole else run_items.stretch_end(conn, streams, after, rows)
        return run_items.count_stretch(conn, streams, Stretch(after, end)), end

    return count


def _is_whole(streams: Sequence[ItemStream]) -> bool:
    """Say whether no stretches are needed: few products' items are all looked up at once."""
    return all(one.where is None or one.chosen for one in streams)


async def stretches(database: Database, streams: Sequence[Stream]) -> AsyncIterator[Stretch]:
    """Give all of streams, a stretch at a time."""
    after: int | None = 0
    while after is not None:
        end = await database.read(browsing.stretch_end, streams, after, MOST_ROWS)
        yield Stretch(after, end)
        after = end


def spread(conn: Connection, catalog_id: int, pieces: int, rows: int) -> list[Stretch]:
    """Give stretches of so many products each, spread over a catalogue: a stratified sample.

    Products of one kind often stand together in a source, so many short pieces are taken; each
    begins at random in its part, since kinds may also take turns. The same sample every time.
    """
    first, last = browsing.first_and_last(conn, catalog_id)
    whole = Stream(catalog_id)
    chance = random.Random(catalog_id)
    found: list[Stretch] = []
    after = first - 1
    for number in range(pieces):
        after = max(after, first - 1 + int((last - first) * (number + chance.random()) / pieces))
        end = browsing.stretch_end(conn, (whole,), after, rows)
        found.append(Stretch(after, last if end is None else end))
        if end is None:
            break
        after = end
    return found


__all__ = [
    "PATIENCE",
    "counting",
    "items_in",
    "of_items",
    "of_products",
    "products_in",
    "spread",
    "stretches",
    "walk",
]
