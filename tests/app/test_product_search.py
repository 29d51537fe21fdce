"""Semantic selections: found by meaning, bounded by filters, kept up with the catalogue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.vendor import Reply, Vendor
from tests.workspaces import PRICE, make_workspace, write_sheet

from waremill.app import Workspace, open_workspace
from waremill.app.browsing import Browse
from waremill.app.product_index import product_text
from waremill.app.product_search import LISTED, find
from waremill.errors import ConfigError, Conflict

EMBED = f"""{PRICE}
[models.embed]
use = "openai:tiny"
base_url = "URL"
price = {{input = 1.0, output = 0.0}}
[knowledge]
embedder = "embed"
"""
ROWS = [
    {"sku": "a", "name": "Rose perfume", "category": "Perfume", "price": "30"},
    {"sku": "b", "name": "Running shoe", "category": "Shoes", "price": "80"},
    {"sku": "c", "name": "Trail shoe", "category": "Shoes", "price": "120"},
    {"sku": "d", "name": "Oak table", "category": "Furniture", "price": "300"},
]
TOPICS = ("perfume rose scent", "shoe running trail foot", "table oak wood furniture")


def by_topic(request: dict[str, Any], path: str) -> Reply | None:
    """Give a vector that says how often a text speaks of each topic."""
    if not path.endswith("/embeddings"):
        return None
    rows = []
    for number, text in enumerate(request["input"]):
        words = text.lower().split()
        counts = [sum(word in topic.split() for word in words) + 0.01 for topic in TOPICS]
        rows.append({"index": number, "embedding": counts})
    return Reply(body={"data": rows, "usage": {"prompt_tokens": 1}})


@pytest_asyncio.fixture
async def vendor() -> AsyncIterator[Vendor]:
    """A vendor that embeds, and writes copy."""
    async with Vendor(reply=by_topic) as running:
        yield running


@pytest_asyncio.fixture
async def workspace(tmp_path: Path, vendor: Vendor) -> AsyncIterator[Workspace]:
    """A workspace whose embedder is at the vendor, with a catalogue."""
    folder = make_workspace(tmp_path / "shop", vendor.url, model=EMBED.replace("URL", vendor.url))
    sheet = write_sheet(tmp_path / "shop.csv", ROWS)
    async with open_workspace(folder) as opened:
        await opened.import_catalog([sheet], key="sku", catalog="shop")
        yield opened


async def keys(workspace: Workspace, search: str, **more: Any) -> list[str]:
    _, products, _ = await workspace.products(search=search, **more)
    return [one.key for one in products]


async def test_the_best_come_first(workspace: Workspace) -> None:
    assert (await keys(workspace, "something for the foot", limit=2)) in (["b", "c"], ["c", "b"])
    assert await keys(workspace, "a scent", limit=1) == ["a"]


async def test_a_filter_bounds_before_the_ranking(workspace: Workspace) -> None:
    found = await keys(workspace, "a scent", where="category = 'Shoes'", limit=5)
    assert sorted(found) == ["b", "c"]
    assert await keys(workspace, "a scent", where="category = 'Toys'", limit=5) == []


async def test_a_filter_of_many_is_asked_of_the_ranking(
    workspace: Workspace, tmp_path: Path
) -> None:
    """Of a filter that picks many, the best of all are filtered, as far down as it takes."""
    many = [
        {"sku": f"n{n}", "name": "Rose scent" if n < 60 else f"Thing {n}", "category": "Many"}
        for n in range(LISTED + 1)
    ]
    sheet = write_sheet(tmp_path / "many.csv", [{**one, "price": "1"} for one in many])
    await workspace.import_catalog([sheet], key="sku", catalog="shop")
    where = "category = 'Many' AND name <> 'Rose scent'"
    (best,) = await keys(workspace, "rose scent", where="category = 'Many'", limit=1)
    assert int(best.removeprefix("n")) < 60
    assert len(await keys(workspace, "rose scent", where=f"{where} OR sku = 'a'", limit=3)) == 3


async def test_an_order_of_its_own_is_kept(workspace: Workspace) -> None:
    assert await keys(workspace, "shoe", order_by="price DESC", limit=2) == ["c", "b"]


async def test_what_an_import_changed_is_embedded_and_nothing_else(
    workspace: Workspace, vendor: Vendor, tmp_path: Path
) -> None:
    await keys(workspace, "a scent")
    before = vendor.calls
    changed = [{**ROWS[3], "name": "Rose scent candle"}, *ROWS[:2]]
    sheet = write_sheet(tmp_path / "more.csv", changed)
    await workspace.import_catalog([sheet], key="sku", catalog="shop")
    assert (await keys(workspace, "rose scent", limit=1)) in (["a"], ["d"])
    inputs = [one.body["input"] for one in vendor.requests[before:] if "input" in one.body]
    assert [len(one) for one in inputs] == [1, 1]  # the changed product, the question
    assert sorted(await keys(workspace, "rose scent", limit=2)) == ["a", "d"]


async def test_a_run_takes_the_products_a_search_finds(workspace: Workspace) -> None:
    status = await workspace.run("copy", search="shoe", limit=2)
    assert (status.total, status.state) == (2, "done")
    run = await workspace.find_run("last")
    assert run.plan["search"] == "shoe"
    estimate = await workspace.estimate("copy", search="shoe", where="price > 200")
    assert estimate.products == 1


async def test_pages_of_a_search(workspace: Workspace) -> None:
    browse = Browse(workspace)
    first = await browse.fitting("shop", "shoe", size=3)
    rest = await browse.fitting("shop", "shoe", size=3, cursor=first.next)
    assert {one.key for one in first.rows[:2]} == {"b", "c"}
    assert sorted(one.key for one in (*first.rows, *rest.rows)) == ["a", "b", "c", "d"]
    assert rest.next is None


async def test_a_server_does_not_wait_for_a_first_index(tmp_path: Path, vendor: Vendor) -> None:
    folder = make_workspace(tmp_path / "big", vendor.url, model=EMBED.replace("URL", vendor.url))
    rows = [{"sku": f"k{n}", "name": f"Rose perfume {n}"} for n in range(1500)]
    sheet = write_sheet(tmp_path / "big.csv", rows)
    vendor.latency = 0.2
    async with open_workspace(folder, readers=2) as opened:
        await opened.import_catalog([sheet], key="sku", catalog="big")
        browse = Browse(opened)
        with pytest.raises(Conflict, match="made ready for search"):
            await browse.fitting("big", "rose")
        async with asyncio.timeout(30):
            while True:
                try:
                    page = await browse.fitting("big", "rose", size=5)
                    break
                except Conflict:
                    await asyncio.sleep(0.2)
        assert len(page.rows) == 5


async def test_a_text_or_limit_that_cannot_be(workspace: Workspace) -> None:
    catalog = await workspace.find_catalog("shop")
    for text in ("  ", "x" * 3000):
        with pytest.raises(ConfigError, match="search text"):
            await find(workspace, catalog, text, 5)
    with pytest.raises(ConfigError, match="at most 10,000"):
        await workspace.products(search="shoe", limit=20_000)


def test_a_product_is_written_by_its_values() -> None:
    text = product_text(
        {"name": "Eau", "notes": ["rose", "oud"], "volume": 50, "image": "https://a.example/b.jpg",
         "photo": "asset:" + "0" * 64 + ".png", "empty": " ", "long": "x" * 5000}
    )  # fmt: skip
    assert text.startswith("Eau\nrose, oud\nvolume: 50\nxxx")
    assert "https" not in text
    assert len(text) <= 1200
