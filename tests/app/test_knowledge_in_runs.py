"""Knowledge in runs: what a change of it asks anew, what a result says of it, what it costs."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.workspaces import make_workspace, perfumes, vendor_process, vendor_stats, write_sheet
from tests.workspaces import waremill_here as waremill

import waremill as package
from waremill.app import knowing
from waremill.app.acting import Actor
from waremill.app.knowing import add_documents
from waremill.errors import NotFound
from waremill.runs.work import Ended
from waremill.store.recordings import searches
from waremill.store.runs import get_run
from waremill.store.tables import items, results

TEMPLATE = """\
name: story
instruction: You write product copy in English.
context: {knowledge: houses, query: "{{ brand }}", top: 1, where: {brand: "{{ brand }}"}}
input:
  - name: {required: true}
  - brand
output:
  title: {type: string, max_chars: 60}
"""
HOUSE = """\
---
brand: House {n}
---
# House {n}

House {n} was founded in {year} and makes scents by hand.
"""


@pytest.fixture(scope="module")
def calm() -> Iterator[str]:
    """A vendor that answers everything."""
    with vendor_process() as url:
        yield url


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory, calm: str) -> Path:
    """A shop with fourteen perfumes of seven houses, and a page about each house."""
    folder = tmp_path_factory.mktemp("stocked") / "shop"
    make_workspace(folder, calm, files={"templates/story.yaml": TEMPLATE})
    sheet = write_sheet(folder / "perfumes.csv", perfumes(14))
    assert waremill(folder, "import", str(sheet), "--key", "sku").code == 0
    for n in range(7):
        tell(folder, n, 1900 + n)
    add(folder)
    return folder


@pytest.fixture
def shop(stocked: Path, tmp_path: Path) -> Path:
    """A copy of the shop, for one test."""
    return Path(shutil.copytree(stocked, tmp_path / "shop"))


def calls(calm: str) -> int:
    return int(vendor_stats(calm)["calls"])


def tell(folder: Path, n: int, year: int) -> None:
    place = folder / "knowledge" / "houses" / f"house-{n}.md"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(HOUSE.format(n=n, year=year), encoding="utf-8")


def add(folder: Path) -> None:
    async def work() -> None:
        async with package.open(folder) as workspace:
            assert not (await add_documents(workspace, "houses")).problems

    asyncio.run(work())


def run(folder: Path, *more: str) -> dict[str, Any]:
    done = waremill(folder, "run", "story", "--json", *more)
    assert done.code == 0, done.err
    found: dict[str, Any] = done.json
    return found


def provenance(folder: Path) -> list[dict[str, Any]]:
    """The provenance of all results, and what was recorded for the first item."""

    async def read() -> list[dict[str, Any]]:
        import orjson

        async with package.open(folder) as workspace:
            rows = await workspace.database.read(
                lambda conn: conn.execute(select(results.c.provenance)).scalars().all()
            )
        return [orjson.loads(row) for row in rows]

    return asyncio.run(read())


def test_only_the_items_a_change_touches_are_asked_again(shop: Path, calm: str) -> None:
    before = calls(calm)
    first = run(shop)
    assert (first["done"], first["asked"], first["linked"]) == (14, 14, 0)
    assert calls(calm) == before + 14
    again = run(shop)
    assert (again["asked"], again["linked"]) == (0, 14)
    assert again["knowledge"] == first["knowledge"]
    tell(shop, 3, 1850)
    add(shop)
    changed = run(shop)
    assert changed["knowledge"] != first["knowledge"]
    # All items replay; the two of this house are asked anew, for the others nothing is paid.
    assert (changed["done"], changed["asked"], changed["linked"]) == (14, 2, 0)
    assert calls(calm) == before + 16
    shown = waremill(shop, "status", changed["run"]).out
    assert "knowledge: houses; a model was asked anew for 2 items" in shown
    report = waremill(shop, "report", changed["run"], "-o", str(shop / "report.html"))
    assert report.code == 0
    assert "asked anew for 2 of 14 items" in (shop / "report.html").read_text(encoding="utf-8")


def test_a_result_says_which_passages_it_was_made_with(shop: Path) -> None:
    run(shop)
    made = provenance(shop)
    assert len(made) == 14
    for one in made:
        (entry,) = one["passages"]
        assert entry["knowledge"] == "houses"
        assert entry["document"].endswith(".md")
        assert entry["place"].startswith("House ")

    async def recorded() -> Any:
        async with package.open(shop) as workspace:
            return await workspace.database.read(
                lambda conn: searches(conn, conn.execute(select(items.c.id)).scalars().first() or 0)
            )

    ((passage,),) = asyncio.run(recorded())
    assert "founded in 19" in passage["text"]
    assert passage["id"] in {entry["id"] for one in made for entry in one["passages"]}


def test_each_product_is_given_its_own_houses_passage(shop: Path) -> None:
    shown = waremill(shop, "templates", "show", "story", "--on", "P0003", "--json")
    assert shown.code == 0, shown.err
    assert "[1] (House 3)" in shown.json["prompt"]
    assert "founded in 1903" in shown.json["prompt"]


def test_an_estimate_counts_the_passages_and_knows_what_is_answered(shop: Path, calm: str) -> None:
    before = calls(calm)
    plain = TEMPLATE.replace("context:", "# context:").replace("name: story", "name: bare")
    (shop / "templates" / "bare.yaml").write_text(plain, encoding="utf-8")
    bare = waremill(shop, "estimate", "bare", "--json").json
    told = waremill(shop, "estimate", "story", "--json").json
    assert told["steps"][0]["input_tokens"] > bare["steps"][0]["input_tokens"] + 14 * 10
    assert calls(calm) == before
    run(shop)
    assert waremill(shop, "estimate", "story", "--json").json["calls"] == 0
    tell(shop, 3, 1850)
    add(shop)
    assert waremill(shop, "estimate", "story", "--json").json["calls"] == 2


def test_an_unknown_base_is_told_with_its_place_before_anything_starts(shop: Path) -> None:
    wrong = TEMPLATE.replace("knowledge: houses", "knowledge: house")
    (shop / "templates" / "story.yaml").write_text(wrong, encoding="utf-8")
    checked = waremill(shop, "templates", "check", "story", "--json")
    (problem,) = [one for one in checked.json if one["severity"] == "error"]
    assert problem["where"] == "templates/story.yaml:3"
    assert "unknown knowledge `house`, did you mean `houses`?" in problem["message"]
    ended = waremill(shop, "run", "story")
    assert ended.code == 2
    assert "house" in ended.err


def test_a_base_that_became_another_teams_is_not_read_by_a_run_that_goes_on(
    shop: Path, calm: str
) -> None:
    before = calls(calm)

    async def work() -> tuple[Any, Any]:
        async with package.open(shop) as workspace:
            await workspace.run("story", lambda worker: worker.stop(Ended("paused", "for now")))
            await knowing.remove_base(workspace, "houses")
            await knowing.add_documents(workspace.acting(Actor("sam", {2: "admin"})), "houses")
            run = await workspace.database.read(get_run, 1)
            with pytest.raises(NotFound, match="no knowledge base “houses”"):
                await workspace.run("story")  # nor is one planned that could not search it
            return run, await workspace.work(run)

    run, ended = asyncio.run(work())
    assert run.state == "paused"
    assert (ended.state, ended.done, ended.failed) == ("paused", 0, 0)
    assert "there is no knowledge base “houses”" in ended.reason
    assert calls(calm) == before


def test_one_product_made_now_tells_its_passages(shop: Path) -> None:
    async def make() -> Any:
        from waremill.app import generating

        async with package.open(shop) as workspace:
            made = await generating.generate(
                workspace, "story", {"name": "Eau", "brand": "House 5"}
            )
            await generating.close(workspace)
            return made

    made = asyncio.run(make())
    assert [one.place for one in made.passages] == ["House 5"]
    assert made.notes["story"]["passages"][0]["id"] == made.passages[0].id
