"""Exports side by side: every sheet keeps the pictures it was written with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import openpyxl
import orjson
import pytest_asyncio
from PIL import Image
from tests.workspaces import make_workspace, rows_of

import waremill as library
from waremill.app import Workspace
from waremill.app.picture_files import folder_of

PIPELINE = (
    "name: small\nsteps:\n  - resize: {image: photo, longest: %d, into: small, per: product}\n"
)


@pytest_asyncio.fixture
async def workspace(tmp_path: Path) -> AsyncIterator[Workspace]:
    root = make_workspace(
        tmp_path / "shop", "http://127.0.0.1:9/v1", files={"pipelines/small.yaml": PIPELINE % 40}
    )
    for name in ("a", "b"):
        Image.new("RGB", (80, 60), (200, 90, ord(name))).save(root / f"{name}.png")
    sheet = root / "products.csv"
    sheet.write_text("sku,photo\nA,a.png\nB,b.png\n", encoding="utf-8")
    async with library.open(root) as opened:
        await opened.import_catalog([sheet], key="sku", catalog="things")
        yield opened


def sides(folder: Path, paths: list[str]) -> list[int]:
    """Give how wide each picture is that a sheet names."""
    return [Image.open(folder / path).width for path in paths]


async def test_a_second_export_of_the_same_name_changes_nothing_of_the_first(
    workspace: Workspace, tmp_path: Path
) -> None:
    root = workspace.settings.root
    first = await workspace.run("small", catalog="things", output=str(tmp_path / "p.csv"))
    (root / "pipelines" / "small.yaml").write_text(PIPELINE % 20, encoding="utf-8")
    second = await workspace.run("small", catalog="things")
    await workspace.export(second.run, tmp_path / "p.xlsx")
    await workspace.export(second.run, tmp_path / "p.jsonl", accepted=True)  # none is
    named = [row["small"] for row in rows_of(tmp_path / "p.csv")]
    assert sides(tmp_path, named) == [40, 40]
    sheet = openpyxl.load_workbook(tmp_path / "p.xlsx").active
    assert sheet is not None
    column = [cell.value for cell in sheet[1]].index("small")
    cells = [str(row[column]) for row in sheet.iter_rows(min_row=2, values_only=True)]
    assert sides(tmp_path, cells) == [20, 20]
    assert not set(named) & set(cells)
    # Written again, a sheet has its new pictures, and the others theirs.
    await workspace.export(second.run, tmp_path / "p.csv")
    await workspace.export(first.run, tmp_path / "p.jsonl")
    assert sides(tmp_path, [row["small"] for row in rows_of(tmp_path / "p.csv")]) == [20, 20]
    lines = [orjson.loads(line) for line in (tmp_path / "p.jsonl").read_bytes().splitlines()]
    assert sides(tmp_path, [line["small"] for line in lines]) == [40, 40]


def test_no_two_sheets_of_a_folder_share_one_for_pictures(tmp_path: Path) -> None:
    names = ("p.csv", "p.xlsx", "p-csv.csv", "p.csv.xlsx", "p-xlsx.csv", "p-csv.xlsx")
    folders = {folder_of(tmp_path / name) for name in names}
    assert len(folders) == len(names)
    assert folder_of(tmp_path / "p.csv") == tmp_path / "p-csv-pictures"


async def test_long_keys_and_equal_ones_give_names_a_folder_can_hold(
    workspace: Workspace, tmp_path: Path
) -> None:
    root = workspace.settings.root
    long = "蓝色儿童纯棉短袖圆领" * 9
    sheet = root / "long.csv"
    rows = [f"{long}{end},a.png" for end in "甲乙"] + ["k/1,a.png", "k 1,b.png", "k:1,a.png"]
    sheet.write_text("sku,photo\n" + "\n".join(rows) + "\n", encoding="utf-8")
    await workspace.import_catalog([sheet], key="sku", catalog="long")
    await workspace.run("small", catalog="long", output=str(tmp_path / "long.csv"))
    named = [row["small"] for row in rows_of(tmp_path / "long.csv")]
    assert sides(tmp_path, named) == [40] * 5
    assert len(set(named)) == 5
    assert {Path(one).name for one in named} >= {
        "k_1-small.png", "k_1-small-2.png", "k_1-small-3.png",
    }  # fmt: skip
