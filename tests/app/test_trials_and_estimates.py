"""Estimates and trials: what they need, what they stand for, how they end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import create_engine, delete, select, update
from tests.workspaces import (
    PRICE,
    make_workspace,
    perfumes,
    rows_of,
    vendor_process,
    vendor_stats,
    write_sheet,
)
from tests.workspaces import waremill_here as waremill

import waremill as library
from waremill.app.trialling import forecast_for
from waremill.runs.work import Ended, Worker
from waremill.store.tables import catalogs, items, products, results, runs

UNPRICED = 'api_key_env = "OTHER_KEY"'
HOSTED = f'{PRICE}\napi_key_env = "SHOP_KEY"'


ALIASES = f"""{PRICE}
[models.other]
use = "openai:other-model"
base_url = "URL"
price = {{input = 2.0, output = 2.0}}
"""


@pytest.fixture
def calm() -> Iterator[str]:
    """A vendor that answers everything, each call in some hundredths of a second."""
    with vendor_process("--latency", "0.02") as url:
        yield url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A fresh folder for the workspace."""
    return tmp_path / "shop"


def catalogue(folder: Path, count: int) -> None:
    """Import so many products."""
    sheet = write_sheet(folder / "perfumes.csv", perfumes(count))
    assert waremill(folder, "import", str(sheet), "--key", "sku").code == 0


def stored(folder: Path, query: Any) -> list[Any]:
    """Ask the workspace's database."""
    engine = create_engine(f"sqlite:///{next((folder / '.waremill').glob('*.db'))}")
    with engine.begin() as conn:
        result = conn.execute(query)
        found = list(result) if result.returns_rows else []
    engine.dispose()
    return found


def forecast(trial: dict[str, Any], name: str) -> list[Any]:
    """One line of a trial's forecast: value, low, high, cases."""
    (line,) = [one for one in trial["forecast"] if one["name"] == name]
    return list(line["forecast"])


def test_an_estimate_needs_no_key(folder: Path) -> None:
    make_workspace(folder, "https://shop.example/v1", model=HOSTED)
    catalogue(folder, 3)
    ended = waremill(folder, "estimate", "copy", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["calls"] == 3


async def test_an_estimate_tells_what_is_to_pay_from_the_list_cost(folder: Path, calm: str) -> None:
    make_workspace(folder, calm)
    write_sheet(folder / "perfumes.csv", perfumes(8))
    async with library.open(folder) as workspace:
        await workspace.import_catalog([folder / "perfumes.csv"], key="sku")
        status = await workspace.run("copy", limit=4)
        assert status.done == 4
        half = await workspace.estimate("copy")
        fresh = await workspace.estimate("copy", fresh=True)
        assert (half.calls, fresh.calls) == (4, 8)
        assert half.cost is not None
        assert half.list_cost is not None
        assert fresh.cost == fresh.list_cost == half.list_cost
        assert half.cost.expected < half.list_cost.expected
        prepared = await workspace._prepare("copy", {})
        lines = {line["name"]: line for line in await forecast_for(workspace, prepared)}
        assert lines["cost"]["forecast"][0] == half.list_cost.expected


def test_a_trial_samples_within_the_limit_and_stands_for_it(folder: Path, calm: str) -> None:
    make_workspace(folder, calm)
    catalogue(folder, 30)
    order = ("--order-by", "sku DESC", "--limit", "10")
    trial = waremill(folder, "trial", "copy", "-n", "4", *order, "--json").json
    assert waremill(folder, "export", "last", str(folder / "trial.jsonl")).code == 0
    lines = [orjson.loads(line) for line in (folder / "trial.jsonl").read_text().splitlines()]
    assert len(lines) == 4
    assert min(line["sku"] for line in lines) >= "P0020"
    cost = forecast(trial, "cost")[0]
    assert cost == pytest.approx(10 * forecast(trial, "cost a product")[0])


def test_a_trials_duration_keeps_the_accounts_limits(folder: Path, calm: str) -> None:
    make_workspace(folder, calm, model=f"{PRICE}\nrpm = 6000")
    catalogue(folder, 30)
    trial = waremill(folder, "trial", "copy", "-n", "5", "--json").json
    free = forecast(trial, "duration")[0]
    assert free < 5
    text = (folder / "waremill.toml").read_text().replace("rpm = 6000", "rpm = 60")
    (folder / "waremill.toml").write_text(text)
    again = waremill(folder, "trial", "copy", "-n", "6", "--seed", "3", "--json").json
    assert forecast(again, "duration")[0] >= 29


def test_replayed_answers_say_nothing_about_the_duration(folder: Path, calm: str) -> None:
    make_workspace(folder, calm)
    catalogue(folder, 12)
    first = waremill(folder, "trial", "copy", "-n", "6", "--json").json
    again = waremill(folder, "trial", "copy", "-n", "6", "--json").json
    assert {line["name"] for line in first["forecast"]} == {"cost", "cost a product", "duration"}
    assert {line["name"] for line in again["forecast"]} == {"cost", "cost a product"}


async def test_a_trial_that_is_interrupted_gets_its_summary_when_resumed(
    folder: Path, calm: str
) -> None:
    make_workspace(folder, calm, concurrency=1, model=ALIASES.replace("URL", calm))
    write_sheet(folder / "perfumes.csv", perfumes(12))
    gold = [{"sku": row["sku"], "title": row["name"]} for row in perfumes(12)]
    write_sheet(folder / "gold.csv", gold)
    async with library.open(folder) as workspace:
        await workspace.import_catalog([folder / "perfumes.csv"], key="sku")

        def stop(worker: Worker) -> None:
            worker.stop(Ended("interrupted"))

        part = await workspace.trial("copy", stop, size=8, gold="gold.csv", against="other")
        assert (part.status.state, part.status.reason) == ("paused", "interrupted")
        assert part.against is None
        assert len(await workspace.runs()) == 1  # the other half was not begun
        status = await workspace.resume(part.status.run)
        assert status.state == "done"
        run = await workspace.find_run(status.run)
        assert run.summary is not None
        assert run.summary["sample_note"] == "8 of 12 products, seed 0"
        assert run.summary["accuracy"][-1]["field"] == "all fields"
        assert run.summary["forecast"]


def test_a_trial_against_another_model_compares_pairs(folder: Path, calm: str) -> None:
    make_workspace(folder, calm, model=ALIASES.replace("URL", calm))
    catalogue(folder, 8)
    ended = waremill(folder, "trial", "copy", "-n", "5", "--against", "other", "--json")
    assert ended.code == 0, ended.err
    comparison = ended.json["comparison"]
    assert comparison["pairs"] == 5
    names = [line["name"] for line in comparison["lines"]]
    assert {"checks passed", "cost an item", "seconds an item"} <= set(names)
    assert vendor_stats(calm)["calls"] == 10


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        (HOSTED, ()),
        (UNPRICED, ("--budget", "1")),
        (PRICE, ("--target", "no-such-place")),
        (PRICE, ("-o", "out.pdf")),
        (PRICE, ("--limit", "0")),
    ],
)
def test_what_cannot_work_is_said_before_a_file_is_imported(
    folder: Path, settings: str, arguments: tuple[str, ...]
) -> None:
    url = "http://127.0.0.1:9/v1" if settings == PRICE else "https://shop.example/v1"
    make_workspace(folder, url, model=settings)
    sheet = write_sheet(folder / "new.csv", perfumes(3))
    ended = waremill(folder, "run", "copy", "--from", str(sheet), *arguments, OTHER_KEY="sk")
    assert ended.code == 2, ended.err
    assert stored(folder, select(catalogs)) == []


RULED = """\
name: ruled
steps:
  - generate: {template: copy}
review: {accept: "brnad = 'House 1'"}
"""


def test_a_review_rule_that_cannot_work_is_found_before_anything_is_paid(
    folder: Path, calm: str
) -> None:
    make_workspace(folder, calm, files={"pipelines/ruled.yaml": RULED})
    catalogue(folder, 3)
    ended = waremill(folder, "run", "ruled")
    assert ended.code == 2
    assert "brand" in ended.err
    assert stored(folder, select(runs)) == []


TWO = """\
name: two
targets: [en-US, de-DE]
steps:
  - generate: {template: facts, per: product}
  - generate: {template: line}
"""
FACTS = """\
name: facts
instruction: Read the facts of a perfume.
input:
  - name: {required: true}
output:
  top_note: {type: string, max_chars: 40}
"""
LINE = """\
name: line
instruction: Write a line in {{ language }}.
input:
  - name: {required: true}
output:
  line: {type: string, max_chars: 80}
"""


def test_a_wide_sheet_takes_a_products_own_fields_from_any_target(folder: Path, calm: str) -> None:
    files = {
        "pipelines/two.yaml": TWO, "templates/facts.yaml": FACTS, "templates/line.yaml": LINE,
    }  # fmt: skip
    make_workspace(folder, calm, files=files)
    catalogue(folder, 2)
    assert waremill(folder, "run", "two").code == 0
    first = select(items.c.id).where(items.c.target == "en-US")
    stored(folder, delete(results).where(results.c.item_id.in_(first)))
    stored(folder, update(items).where(items.c.target == "en-US").values(state="failed"))
    assert waremill(folder, "export", "last", str(folder / "out.csv")).code == 0
    found = rows_of(folder / "out.csv")
    assert len(found) == len(stored(folder, select(products))) == 2
    assert all(row["top_note"] for row in found)
    assert not any(row["line@en-US"] for row in found)
