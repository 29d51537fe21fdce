"""Stale results: which products a pipeline would make anew, after what it was made from changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.vendor import Vendor
from tests.workspaces import (
    COPY,
    PRICE,
    make_workspace,
    perfumes,
    vendor_process,
    write_sheet,
)
from tests.workspaces import waremill_here as waremill

from waremill.app import Workspace, knowing, open_workspace
from waremill.app.increments.stale import count_stale, stale_products
from waremill.errors import ConfigError, NotFound

STORY = """\
name: story
instruction: You write product copy in {{ language }}.
context: {knowledge: houses, query: "{{ brand }}", top: 1}
input: [name, brand]
output: {title: {type: string, max_chars: 60}}
"""
FAMILY = """\
name: family
steps:
  - generate: {template: copy, per: group}
"""
BESIDE = """\
name: beside
steps:
  - generate: {template: copy, per: group, name: shared}
  - generate: {template: copy, name: own}
"""


@asynccontextmanager
async def shop(
    folder: Path, database: str | None = None, **files: str
) -> AsyncIterator[tuple[Workspace, Path]]:
    """Six perfumes in a workspace."""
    async with Vendor() as vendor:
        root = make_workspace(
            folder / "shop", vendor.url, database=database, model=PRICE,
            files={name.replace("__", "/") + ".yaml": text for name, text in files.items()},
        )  # fmt: skip
        async with open_workspace(root) as workspace:
            sheet = write_sheet(root / "perfumes.csv", rows())
            await workspace.import_catalog([sheet], key="sku", group="line")
            yield workspace, root


def rows(*changed: int) -> list[dict[str, str]]:
    """Six perfumes of two lines; the changed ones have another name."""
    found = [{**one, "line": f"L{n % 2}"} for n, one in enumerate(perfumes(6))]
    for n in changed:
        found[n]["name"] = f"Eau anew {n}"
    return found


async def keys(workspace: Workspace, pipeline: str, **more: Any) -> list[str]:
    """The keys of stale products: listed, as a page, and counted, which are the same."""
    _, products, total = await workspace.products(stale=pipeline, limit=100, **more)
    found = [one.key for one in products]
    page = await stale_products(workspace, None, pipeline, **more)
    assert [one.key for one in page.rows] == found
    assert await count_stale(workspace, None, pipeline, **more) == total == len(found)
    return found


async def anew(workspace: Workspace, root: Path, *changed: int) -> None:
    sheet = write_sheet(root / "perfumes.csv", rows(*changed))
    await workspace.import_catalog([sheet], key="sku", group="line")


async def test_a_product_that_changed_is_stale_until_it_is_made_anew(
    tmp_path: Path, database_url: str
) -> None:
    async with shop(tmp_path, database_url) as (workspace, root):
        assert await keys(workspace, "copy") == []  # nothing was made, so nothing is outdated
        await workspace.run("copy", limit=5)
        assert await keys(workspace, "copy") == []
        await anew(workspace, root, 1, 3, 5)
        assert await keys(workspace, "copy") == ["P0001", "P0003"]
        assert await keys(workspace, "copy", where="_key = 'P0003'") == ["P0003"]
        assert (await workspace.estimate("copy", stale=True)).items == 2
        status = await workspace.run("copy", stale=True)
        assert (status.total, status.asked) == (2, 2)
        assert await keys(workspace, "copy") == []
        with pytest.raises(NotFound):
            await workspace.run("copy", stale=True)


async def test_what_goes_back_to_what_it_was_is_stale_no_more(tmp_path: Path) -> None:
    async with shop(tmp_path) as (workspace, root):
        await workspace.run("copy")
        await anew(workspace, root, 2)
        assert await keys(workspace, "copy") == ["P0002"]
        await anew(workspace, root)
        assert await keys(workspace, "copy") == []


async def test_a_changed_template_makes_all_that_was_made_stale(
    tmp_path: Path, database_url: str
) -> None:
    async with shop(tmp_path, database_url) as (workspace, root):
        await workspace.run("copy", limit=4)
        text = COPY.replace("You write", "You carefully write")
        (root / "templates" / "copy.yaml").write_text(text, encoding="utf-8")
        async with open_workspace(root) as again:
            assert await keys(again, "copy") == ["P0000", "P0001", "P0002", "P0003"]
            await again.run("copy", limit=3)
            assert await keys(again, "copy") == ["P0003"]


async def test_staleness_is_by_target_and_any_stale_target_counts(tmp_path: Path) -> None:
    texts = {
        "templates__story": STORY.replace(
            'context: {knowledge: houses, query: "{{ brand }}", top: 1}\n', ""
        )
    }
    async with shop(tmp_path, **texts) as (workspace, root):
        await workspace.run("story", targets=["de-DE", "fr-FR"], limit=2)
        await anew(workspace, root, 0, 1)
        await workspace.run("story", targets=["de-DE"], where="_key = 'P0000'")
        assert await keys(workspace, "story", targets=["de-DE"]) == ["P0001"]
        assert await keys(workspace, "story", targets=["fr-FR"]) == ["P0000", "P0001"]
        assert await keys(workspace, "story", targets=["de-DE", "fr-FR"]) == ["P0000", "P0001"]
        with pytest.raises(ConfigError, match="writes for a language"):
            await workspace.products(stale="story")


async def test_changed_knowledge_makes_stale_what_searches_it(tmp_path: Path) -> None:
    async with shop(tmp_path, templates__story=STORY) as (workspace, root):
        (root / "house.md").write_text("# House 1\n\nFounded in 1900.\n", encoding="utf-8")
        await knowing.add_documents(workspace, "houses", [str(root / "house.md")])
        await workspace.run("story", targets=["en-US"], limit=2)
        await workspace.run("copy", limit=2)
        assert await keys(workspace, "story", targets=["en-US"]) == []
        (root / "house.md").write_text("# House 1\n\nFounded in 1901.\n", encoding="utf-8")
        await knowing.add_documents(workspace, "houses", [str(root / "house.md")])
        assert await keys(workspace, "story", targets=["en-US"]) == ["P0000", "P0001"]
        assert await keys(workspace, "copy") == []


async def test_products_are_stale_with_the_group_their_content_is_made_for(
    tmp_path: Path, database_url: str
) -> None:
    files = {"pipelines__family": FAMILY, "pipelines__beside": BESIDE}
    async with shop(tmp_path, database_url, **files) as (workspace, root):
        await workspace.run("family")
        await workspace.run("beside")
        assert await keys(workspace, "family") == await keys(workspace, "beside") == []
        await anew(workspace, root, 1)
        line = ["P0001", "P0003", "P0005"]
        assert await keys(workspace, "family") == await keys(workspace, "beside") == line
        assert (await workspace.run("family", stale=True)).total == 1
        assert (await workspace.run("beside", stale=True)).total == 3
        assert await keys(workspace, "family") == await keys(workspace, "beside") == []


async def test_pages_go_on_where_they_ended(tmp_path: Path) -> None:
    async with shop(tmp_path) as (workspace, root):
        await workspace.run("copy")
        await anew(workspace, root, 0, 2, 4)
        first = await stale_products(workspace, None, "copy", size=2)
        assert [one.key for one in first.rows] == ["P0000", "P0002"]
        last = await stale_products(workspace, None, "copy", size=2, cursor=first.next)
        assert ([one.key for one in last.rows], last.next) == (["P0004"], None)
        with pytest.raises(ConfigError):
            await stale_products(workspace, None, "copy", "_key = 'P0000'", cursor=first.next)


def test_the_command_line_lists_and_runs_what_is_stale(tmp_path: Path) -> None:
    with vendor_process() as url:
        root = make_workspace(tmp_path / "shop", url, model=PRICE)
        sheet = str(write_sheet(root / "perfumes.csv", rows()))
        assert waremill(root, "import", sheet, "--key", "sku").code == 0
        assert waremill(root, "run", "copy").code == 0
        write_sheet(root / "perfumes.csv", rows(4))
        assert waremill(root, "import", sheet, "--key", "sku").code == 0
        shown = waremill(root, "products", "--stale", "copy", "--json").json
        assert (shown["total"], shown["products"][0]["key"]) == (1, "P0004")
        assert waremill(root, "run", "copy", "--stale", "--json").json["total"] == 1
        assert waremill(root, "products", "--stale", "copy", "--json").json["total"] == 0
        nothing = waremill(root, "products", "--stale", "cpy")
        assert nothing.code == 2 and "did you mean “copy”" in nothing.err
