"""Few-shot examples out of reviews: what was accepted, frozen with the run that uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.workspaces import make_workspace, perfumes, vendor_process, vendor_stats, write_sheet
from tests.workspaces import waremill_here as waremill

import waremill as package
from waremill.store import pipelines as store_pipelines

TEMPLATE = """\
name: learned
instruction: You write product copy in English.
input:
  - name: {required: true}
  - brand
examples: {from: reviews, top: 2}
output:
  title: {type: string, max_chars: 60}
"""


@pytest.fixture
def calm() -> Iterator[str]:
    """A vendor that answers everything."""
    with vendor_process() as url:
        yield url


@pytest.fixture
def shop(tmp_path: Path, calm: str) -> Path:
    folder = make_workspace(tmp_path / "shop", calm, files={"templates/learned.yaml": TEMPLATE})
    sheet = write_sheet(folder / "perfumes.csv", perfumes(8))
    assert waremill(folder, "import", str(sheet), "--key", "sku").code == 0
    return folder


def run(folder: Path, *more: str) -> dict[str, Any]:
    done = waremill(folder, "run", "learned", "--json", *more)
    assert done.code == 0, done.err
    found: dict[str, Any] = done.json
    return found


def prompt(folder: Path, key: str) -> str:
    shown = waremill(folder, "templates", "show", "learned", "--on", key, "--json")
    assert shown.code == 0, shown.err
    text: str = shown.json["prompt"]
    return text


def frozen(folder: Path, name: str) -> str | None:
    """The examples a run was frozen with."""

    async def read() -> str | None:
        async with package.open(folder) as workspace:
            found = await workspace.find_run(name)
            _, files = await workspace.database.read(
                store_pipelines.load_pipeline_files, found.pipeline_version_id
            )
        text: str | None = files.get("reviews/learned.jsonl")
        return text

    return asyncio.run(read())


def test_without_anything_accepted_there_are_no_examples(shop: Path) -> None:
    assert waremill(shop, "templates", "check", "learned").code == 0
    assert "<example>" not in prompt(shop, "P0001").replace("<context> and <example>", "")
    made = run(shop)
    assert frozen(shop, made["run"]) is None


def test_accepted_results_are_examples_of_the_next_run_and_stay_frozen_with_it(
    shop: Path, calm: str
) -> None:
    first = run(shop)
    assert waremill(shop, "review", first["run"], "--accept-where", "sku < 'P0004'").code == 0
    shown = prompt(shop, "P0006")
    assert shown.count("<example>") == 2 + shown.count("<context> and <example>")
    assert "<example>\nname: " in shown
    own = prompt(shop, "P0001")
    assert "<example>\nname: Eau number 1\n" not in own.replace("Eau  number", "Eau number")
    before = vendor_stats(calm)["calls"]
    second = run(shop)
    assert (second["asked"], second["linked"]) == (8, 0)
    assert vendor_stats(calm)["calls"] == before + 8
    lines = (frozen(shop, second["run"]) or "").splitlines()
    rows = [orjson.loads(line) for line in lines]
    assert [row["key"] for row in rows] == ["P0000", "P0001", "P0002", "P0003"]
    assert all(set(row["input"]) == {"name", "brand"} and row["output"]["title"] for row in rows)
    # Nothing was accepted meanwhile: an equal run, all of whose items are there.
    third = run(shop)
    assert (third["asked"], third["linked"]) == (0, 8)
    assert waremill(shop, "review", third["run"], "--accept-where", "sku = 'P0007'").code == 0
    assert run(shop)["linked"] == 0
    assert frozen(shop, second["run"]) == "\n".join(lines)
