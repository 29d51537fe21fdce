"""Searches of a run: equal ones are one, failures are not kept, what was found survives as JSON."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from waremill.domain import Passage, Search
from waremill.errors import ConfigError
from waremill.runs.searching import KEPT, Searches, as_json, entries, from_json

FOUND = Passage("p1", "a.md", "Text.", "Title", ("One", "Two"), 3, 0.25, {"brand": "Aesop"})


class Desk:
    def __init__(self) -> None:
        self.asked: list[Search] = []
        self.fails = False

    async def __call__(self, search: Search) -> list[Passage]:
        self.asked.append(search)
        await asyncio.sleep(0)
        if self.fails:
            raise ConfigError("not today")
        return [FOUND]


async def test_equal_searches_at_once_and_later_are_one() -> None:
    desk = Desk()
    searches = Searches(desk)
    one, same = Search("a", "x", 2, {"b": 1, "c": "d"}), Search("a", "x", 2, {"c": "d", "b": 1})
    found = await asyncio.gather(searches(one), searches(same))
    assert await searches(one) == found[0] == found[1] == (FOUND,)
    assert len(desk.asked) == 1
    await searches(Search("a", "x", 3))
    assert len(desk.asked) == 2


async def test_a_failure_is_told_to_all_who_wait_and_tried_again_later() -> None:
    desk = Desk()
    searches = Searches(desk)
    desk.fails = True
    one = Search("a", "x")
    ended = await asyncio.gather(searches(one), searches(one), return_exceptions=True)
    assert [type(error) for error in ended] == [ConfigError, ConfigError]
    desk.fails = False
    assert await searches(one) == (FOUND,)


async def test_no_more_searches_are_kept_than_a_bound() -> None:
    desk = Desk()
    searches = Searches(desk)
    for n in range(KEPT + 10):
        await searches(Search("a", str(n)))
    assert len(searches._found) == KEPT
    await searches(Search("a", "0"))
    assert len(desk.asked) == KEPT + 11


async def test_whoever_stops_waiting_stops_nobody_else() -> None:
    desk = Desk()
    searches = Searches(desk)
    first = asyncio.create_task(searches(Search("a", "x")))
    await asyncio.sleep(0)
    second = asyncio.create_task(searches(Search("a", "x")))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await second == (FOUND,)


def test_passages_come_back_from_json_as_they_were() -> None:
    assert from_json(orjson.loads(orjson.dumps(as_json([FOUND])))) == (FOUND,)


def test_the_provenance_names_the_base_the_place_and_the_score_but_repeats_no_text() -> None:
    assert entries(Search("guides", "x"), [FOUND]) == [
        {"knowledge": "guides", "id": "p1", "document": "a.md",
         "place": "Title › One › Two › p. 3", "score": 0.25}
    ]  # fmt: skip
