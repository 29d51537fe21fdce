"""The index answers exactly within its bounds, and the same however it came about."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.knowledge.bagging import Bag

from waremill.errors import Conflict, LimitReached
from waremill.knowledge.index import Bounds, Index, Ranked, Row
from waremill.knowledge.searching import search

ANYTHING = Bounds({})
BAG = Bag()


async def rows(texts: Sequence[str], told: Mapping[str, Any] | None = None) -> list[Row]:
    """Rows `0`, `1`, …, each its own document."""
    vectors = await BAG.embed(texts, "passage")
    return [
        Row(f"p{number:04}", f"d{number}", text, vector, told or {})
        for number, (text, vector) in enumerate(zip(texts, vectors, strict=True))
    ]


async def filled(folder: Path, made: Sequence[Row]) -> Index:
    index = Index.open(folder, BAG.dimensions)
    async with index.rebuilding() as change:
        await change.add(made)
    return index


def ids(found: Ranked) -> list[str]:
    return [one for one, _ in found]


async def nearest(index: Index, text: str, most: int, bounds: Bounds = ANYTHING) -> list[str]:
    (vector,) = await BAG.embed([text], "query")
    return ids(await index.by_vector(vector, most, bounds))


async def test_an_index_that_is_not_there_finds_nothing(tmp_path: Path) -> None:
    index = Index.open(tmp_path / "none", BAG.dimensions)
    assert await index.count() == 0
    assert await index.by_words("perfume", 5, ANYTHING) == []
    assert await nearest(index, "perfume", 5) == []
    assert index.mark() is None


async def test_words_are_found_in_both_scripts(tmp_path: Path) -> None:
    index = await filled(tmp_path, await rows(["夏季连衣裙", "a fresh perfume", "nothing here"]))
    assert ids(await index.by_words("连衣裙", 5, ANYTHING)) == ["p0000"]
    assert ids(await index.by_words("PERFUME?", 5, ANYTHING)) == ["p0001"]
    assert await index.by_words("!!!", 5, ANYTHING) == []


async def test_bounds_hold_before_ranking(tmp_path: Path) -> None:
    """The one passage of a rare brand is found although a hundred others fit better."""
    common = await rows(["perfume perfume perfume"] * 300, {"brand": "common"})
    (vector,) = await BAG.embed(["a long text that says perfume once"], "passage")
    rare = Row("rare", "rare", "a long text that says perfume once", vector, {"brand": "Rare"})
    index = await filled(tmp_path, [*common, rare])
    bounds = Bounds({"brand": "rare"})
    assert ids(await index.by_words("perfume", 5, bounds)) == ["rare"]
    assert await nearest(index, "perfume", 5, bounds) == ["rare"]
    assert await nearest(index, "perfume", 5, Bounds({}, documents=["rare"])) == ["rare"]
    assert await nearest(index, "perfume", 5, Bounds({}, documents=[])) == []


async def test_a_passage_without_the_name_serves_everyone(tmp_path: Path) -> None:
    made = [
        *await rows(["perfume for all"]),
        *(Row(f"x{row.id}", "x", row.text, row.vector, {"market": ["DE", "FR"]})
          for row in await rows(["perfume for some"])),
    ]  # fmt: skip
    index = await filled(tmp_path, made)
    for market, expected in (("de", 2), ("US", 1), (["US", "FR"], 2)):
        found = await index.by_words("perfume", 5, Bounds({"market": market}))
        assert len(found) == expected, market


async def test_only_what_is_valid_today_is_found(tmp_path: Path) -> None:
    base = (await rows(["perfume"]))[0]
    spans = {"old": (None, "2026-01-31"), "now": ("2026-02-01", "2026-02-01"), "ever": (None, None),
             "new": ("2026-02-02", None)}  # fmt: skip
    made = [
        Row(name, name, base.text, base.vector, {"valid_from": first, "valid_to": last})
        for name, (first, last) in spans.items()
    ]
    index = await filled(tmp_path, made)
    found = await index.by_words("perfume", 9, Bounds({}, today="2026-02-01"))
    assert ids(found) == ["ever", "now"]


async def test_odd_values_are_only_values(tmp_path: Path) -> None:
    told = {"brand": "O'Neill", "it's": 'a "b" \\ %'}
    index = await filled(tmp_path, await rows(["perfume"], told))
    assert await index.by_words("perfume", 5, Bounds(told)) != []
    assert await index.by_words("perfume", 5, Bounds({"brand": "x' OR '1'='1"})) == []


async def test_a_change_shows_at_once_or_never(tmp_path: Path) -> None:
    index = await filled(tmp_path, await rows(["alpha perfume", "beta perfume"]))
    async with index.changing() as change:
        await change.remove(["d0"])
        await change.add([Row("p9", "d9", "gamma perfume", (await rows(["g"]))[0].vector, {})])
        assert sorted(ids(await index.by_words("perfume", 5, ANYTHING))) == ["p0000", "p0001"]
        change.mark = {"seen": 7}
    assert sorted(ids(await index.by_words("perfume", 5, ANYTHING))) == ["p0001", "p9"]
    assert index.mark() == {"seen": 7}
    with pytest.raises(ZeroDivisionError):
        async with index.changing() as change:
            await change.remove(["d1"])
            raise ZeroDivisionError
    assert sorted(ids(await index.by_words("perfume", 5, ANYTHING))) == ["p0001", "p9"]
    async with index.changing() as change:
        await change.remove(["d9"])
    assert ids(await index.by_words("perfume", 5, ANYTHING)) == ["p0001"]
    assert await index.count() == 1


async def test_a_rebuild_serves_until_it_is_done(tmp_path: Path) -> None:
    index = await filled(tmp_path, await rows(["alpha perfume"]))
    other = Index.open(tmp_path, BAG.dimensions)
    assert await other.count() == 1
    async with index.rebuilding() as change:
        await change.add(await rows(["beta perfume", "gamma perfume"]))
        assert ids(await other.by_words("alpha", 5, ANYTHING)) == ["p0000"]
    assert await other.by_words("alpha", 5, ANYTHING) == []
    assert await other.count() == 2


async def test_where_the_disk_takes_no_more_the_index_stays_as_it_was(tmp_path: Path) -> None:
    """A file that may not grow is refused like one on a disk without room."""
    index = await filled(tmp_path / "help", await rows(["rose", "amber"]))
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    more = await rows([f"scent {number}" for number in range(40)])
    more = [replace(one, id=f"new {one.id}", document=f"new {one.document}") for one in more]
    for change in (index.changing, index.rebuilding):
        with pytest.raises(LimitReached, match="help is full; free some space") as caught:
            async with change() as begun:
                await begun.add(more)
                resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
                try:
                    await begun.remove(["d0"])
                finally:
                    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert caught.value.limit == "disk"
        assert ids(await index.by_words("rose", 5, ANYTHING)) == ["p0000"]
        assert await index.count() == 2
    async with index.changing() as begun:
        await begun.add(more)
    assert await index.count() == 42


async def test_two_changes_at_once_are_a_conflict(tmp_path: Path) -> None:
    index = await filled(tmp_path, await rows(["alpha"]))
    async with index.changing():
        with pytest.raises(Conflict, match="being changed"):
            async with Index.open(tmp_path, BAG.dimensions).rebuilding():
                pass


async def test_another_models_length_is_a_conflict(tmp_path: Path) -> None:
    await filled(tmp_path, await rows(["alpha"]))
    other = Index.open(tmp_path, BAG.dimensions + 1)
    with pytest.raises(Conflict, match="rebuild"):
        await other.by_words("alpha", 5, ANYTHING)


@pytest.mark.parametrize("gone", [3, 60])
async def test_answers_do_not_depend_on_how_the_index_came_about(tmp_path: Path, gone: int) -> None:
    """Added piece by piece, with removals between, it answers as if it was built at once."""
    colours = ("red", "green", "blue", "amber", "grey")
    texts = [f"{colours[n % 5]} {colours[n % 3]} perfume number {n % 40}" for n in range(200)]
    made = await rows(texts)
    at_once = await filled(tmp_path / "once", made[gone:])
    grown = Index.open(tmp_path / "grown", BAG.dimensions)
    for start in range(0, 200, 50):
        async with grown.changing() as change:
            await change.add(list(reversed(made[start : start + 50])))
    async with grown.changing() as change:
        await change.remove([f"d{number}" for number in range(gone + 20)])
    async with grown.changing() as change:
        await change.add(made[gone : gone + 20])
    for query in ("red perfume", "number 7", "grey", "blue amber perfume number 12"):
        assert await grown.by_words(query, 300, ANYTHING) == await at_once.by_words(
            query, 300, ANYTHING
        )
        assert await search(grown, BAG, query, 8, ANYTHING) == await search(
            at_once, BAG, query, 8, ANYTHING
        )


async def test_a_rebuild_answers_the_same_where_parts_are_looked_into(tmp_path: Path) -> None:
    """From 10,000 passages on vectors lie in parts, which are found by chance; to 15,000 all are
    looked into, so that it shows in no answer. What is lost of the best ten is lost by rounding
    alone: these vectors lie nearer to each other than those of real texts.
    """
    chance = np.random.default_rng(3)
    about = chance.normal(size=(200, 64))
    vectors = about[chance.integers(200, size=11_000)] + chance.normal(0, 0.4, (11_000, 64))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    made = [
        Row(f"{n:05}", f"d{n // 10}", f"text {n}", vector, {"brand": f"b{n % 50}"})
        for n, vector in enumerate(vectors)
    ]
    one = await filled(tmp_path / "one", made)
    other = await filled(tmp_path / "other", made[::-1])
    hit, asked_for = 0, vectors[::550]
    for asked in asked_for:
        first = await one.by_vector(asked, 40, ANYTHING)
        assert first == await other.by_vector(asked, 40, ANYTHING)
        best = {f"{n:05}" for n in np.argsort(-(vectors @ asked), kind="stable")[:10]}
        hit += len(best & {name for name, _ in first[:10]})
        bounded = await one.by_vector(asked, 10, Bounds({"brand": "b7"}))
        assert {int(name) % 50 for name, _ in bounded} == {7}
    assert hit >= 0.95 * 10 * len(asked_for)


async def test_more_equal_passages_than_are_fetched_do_not_hide_others(tmp_path: Path) -> None:
    texts = ["perfume"] * 400 + ["perfume from paris"]
    index = await filled(tmp_path, await rows(texts))
    found = await search(index, BAG, "perfume paris", 3, ANYTHING)
    assert ids(found)[0] == "p0400"
    assert ids(found)[1:] == ["p0000", "p0001"]


async def test_the_loop_goes_on_while_the_index_is_searched(tmp_path: Path) -> None:
    index = await filled(tmp_path, await rows([f"perfume {n}" for n in range(500)]))
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0)
            beats += 1

    task = asyncio.create_task(beat())
    await search(index, BAG, "perfume", 5, ANYTHING)
    task.cancel()
    assert beats > 0


def test_a_process_ends_by_itself_after_a_search(tmp_path: Path) -> None:
    """Neither the index nor the local model leaves anything that keeps a process alive."""
    code = (
        "import asyncio, sys; from pathlib import Path\n"
        "from tests.knowledge.test_index import filled, rows, ANYTHING\n"
        "async def work():\n"
        "    index = await filled(Path(sys.argv[1]), await rows(['alpha perfume']))\n"
        "    print(await index.by_words('perfume', 5, ANYTHING))\n"
        "asyncio.run(work())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "other")], capture_output=True, timeout=60,
        cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONPATH": "."}, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr.decode()
    assert b"p0000" in ended.stdout
