"""Formats over the whole way: variants in Shopify's CSV, a marketplace's workbook."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from pathlib import Path

import openpyxl
import pytest
import pytest_asyncio

from app.publishing_shop import accepted_run, bring, make_shop, perfume_rows
from catalog.marketplace_books import amazon_book
from waremill.app import Workspace, open_workspace, publishing
from waremill.app.publishing import PublishOptions
from waremill.errors import ConfigError


@pytest_asyncio.fixture
async def workspace(tmp_path: Path, database_url: str) -> AsyncIterator[Workspace]:
    root = make_shop(tmp_path / "shop", database_url)
    async with open_workspace(root) as opened:
        await bring(opened, perfume_rows(9))
        yield opened


async def test_variants_of_a_product_stand_below_each_other(workspace: Workspace) -> None:
    rows = perfume_rows(9)
    rows[8]["spu"] = "G1"
    rows[8]["size"] = "90 ml"
    await bring(workspace, rows)
    run = await accepted_run(workspace)
    await publishing.publish(workspace, run, "shopify")
    with (workspace.settings.root / "feeds/shopify-en-US.csv").open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    handles = [row["URL handle"] for row in found]
    assert handles == ["p000", "g1", "g1", "g1", "g2", "g2", "g3", "g3", "g4"]
    assert [row["SKU"] for row in found[1:4]] == ["P001", "P002", "P008"]
    assert [bool(row["Title"]) for row in found[1:4]] == [True, False, False]
    assert [bool(row["Price"]) for row in found[1:4]] == [True, True, True]
    assert found[0]["Description"] == "<ul><li>One</li><li>第二点</li></ul>"


async def test_shopify_refuses_a_cell_it_would_clear_and_a_variant_like_another(
    workspace: Workspace,
) -> None:
    rows = perfume_rows(4)
    rows[0]["brand"] = ""
    rows[2]["size"] = rows[1]["size"]
    await bring(workspace, rows)
    run = await accepted_run(workspace)
    (made,) = await publishing.publish(workspace, run, "shopify")
    said = {one.key: one.message for one in made.refusals}
    assert "Shopify clears" in said["P000"] and "P001 has already" in said["P002"]


async def test_a_marketplaces_workbook_is_filled_from_a_run(
    tmp_path: Path, database_url: str
) -> None:
    mapping = (
        "key: item_sku\ncolumns:\n  item_sku: sku\n  item_name: title\n  brand_name: brand\n"
        "  condition_type: {value: 翻新}\n"
    )
    channels = '[publish.amazon]\nformat = "workbook"\ntemplate = "publish/a.xlsx"\n'
    root = make_shop(tmp_path / "shop", database_url, {"publish/amazon.yaml": mapping}, channels)
    amazon_book(root / "publish/a.xlsx")
    before = (root / "publish/a.xlsx").read_bytes()
    rows = perfume_rows(4, brand="Rose & Co")
    rows[3]["brand"] = "Rose und Co"
    async with open_workspace(root) as workspace:
        await bring(workspace, rows)
        run = await accepted_run(workspace)
        with pytest.raises(ConfigError, match=r"the template is \.xlsx"):
            await publishing.publish(workspace, run, "amazon", PublishOptions(out=("a.xlsm",)))
        out = PublishOptions(out=(str(tmp_path / "filled.xlsx"),))
        (made,) = await publishing.publish(workspace, run, "amazon", out)
        assert made.refused == 1 and made.refusals[0].place == "sheet “Template”, column C"
        first = (tmp_path / "filled.xlsx").read_bytes()
        (again,) = await publishing.publish(workspace, run, "amazon", out)
        assert again.rows["unchanged"] == 3 and (tmp_path / "filled.xlsx").read_bytes() == first
    sheet = openpyxl.load_workbook(tmp_path / "filled.xlsx")["Template"]
    found = [[cell.value for cell in row[:3]] for row in sheet["A4:C7"]]
    assert found[:3] == [[f"P{n:03}", f"Title P{n:03} 清新", "Rose & Co"] for n in range(3)]
    assert (root / "publish/a.xlsx").read_bytes() == before
