"""What items look for in the shop's knowledge: equal searches once, what was found as JSON.

Where a search goes is handed in. What it finds is recorded by whoever works the item, so that a
replay sees the same passages whatever became of the documents.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeAlias

import orjson

from waremill.domain import Passage, Search

Searcher: TypeAlias = Callable[[Search], Awaitable[Sequence[Passage]]]
KEPT = 2_000
"""Searches whose finds are kept: a product's targets, and a group's members, follow each other."""


class Searches:
    """Searches for many items: equal ones at the same time, or one after the other, are one."""

    def __init__(self, search: Searcher) -> None:
        self._search = search
        self._found: dict[bytes, asyncio.Task[tuple[Passage, ...]]] = {}

    async def __call__(self, search: Search) -> tuple[Passage, ...]:
        """Give what a search finds, best first; raises what the search raises."""
        key = orjson.dumps(
            [search.knowledge, search.query, search.top, dict(search.where)],
            option=orjson.OPT_SORT_KEYS, default=str,
        )  # fmt: skip
        task = self._found.get(key)
        if task is None:
            if len(self._found) >= KEPT:
                del self._found[next(iter(self._found))]
            task = self._found[key] = asyncio.create_task(self._look(search))
        try:
            return await asyncio.shield(task)
        except BaseException:
            if task.done() and self._found.get(key) is task:  # somebody may do better later
                del self._found[key]
            raise

    async def _look(self, search: Search) -> tuple[Passage, ...]:
        return tuple(await self._search(search))


def as_json(passages: Sequence[Passage]) -> list[dict[str, Any]]:
    """Give passages as JSON values, to be recorded."""
    return [
        {**asdict(one), "headings": list(one.headings), "score": float(one.score)}
        for one in passages
    ]


def from_json(recorded: Sequence[Mapping[str, Any]]) -> tuple[Passage, ...]:
    """Read passages as they were recorded."""
    return tuple(Passage(**{**one, "headings": tuple(one["headings"])}) for one in recorded)


def entries(search: Search, passages: Sequence[Passage]) -> list[dict[str, Any]]:
    """Give what a result's provenance says of passages: their base, id, place, and how near.

    Their texts are in the item's recording.
    """
    return [
        {"knowledge": search.knowledge, "id": one.id, "document": one.document,
         "place": one.place, "score": round(float(one.score), 4)}
        for one in passages
    ]  # fmt: skip
