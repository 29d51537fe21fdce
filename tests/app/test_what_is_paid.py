"""What a trial and a run pay for, and what they leave out because it was answered before."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from sqlalchemy import create_engine, update
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

from waremill.store.tables import runs


@pytest.fixture
def calm() -> Iterator[str]:
    """A vendor that answers everything."""
    with vendor_process() as url:
        yield url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A fresh folder for the workspace."""
    return tmp_path / "shop"


def catalogue(folder: Path, count: int) -> None:
    """Import so many products."""
    sheet = write_sheet(folder / "perfumes.csv", perfumes(count))
    assert waremill(folder, "import", str(sheet), "--key", "sku").code == 0


def test_one_changed_row_is_one_call(folder: Path, calm: str) -> None:
    make_workspace(folder, calm)
    catalogue(folder, 12)
    assert waremill(folder, "run", "copy").code == 0
    before = vendor_stats(calm)["calls"]
    assert before == 12
    rows = perfumes(12)
    rows[5]["name"] = "Eau another name"
    write_sheet(folder / "perfumes.csv", rows)
    changed = waremill(
        folder, "import", str(folder / "perfumes.csv"), "--key", "sku", "--json"
    ).json
    assert (changed["new"], changed["changed"], changed["unchanged"]) == (0, 1, 11)
    again = waremill(folder, "run", "copy", "-o", str(folder / "out.csv"), "--json")
    assert again.json["done"] == 12
    assert vendor_stats(calm)["calls"] == before + 1
    titles = {row["sku"]: row["title"] for row in rows_of(folder / "out.csv")}
    assert titles["P0005"] == "Eau another name"
    assert titles["P0004"] == "Eau  number 4".replace("  ", " ")


def test_a_trials_answers_are_reused_by_the_run(folder: Path, calm: str) -> None:
    make_workspace(folder, calm)
    catalogue(folder, 15)
    trial = waremill(folder, "trial", "copy", "-n", "6", "--json")
    assert trial.code == 0, trial.err
    assert vendor_stats(calm)["calls"] == 6
    assert trial.json["total"] == 6
    assert Path(trial.json["report"]).is_file()
    run = waremill(folder, "run", "copy", "--json").json
    assert (run["total"], run["done"]) == (15, 15)
    assert vendor_stats(calm)["calls"] == 15


PIPELINE = """\
name: launch
targets: [en-US, de-DE, fr-FR, en-GB]
steps:
  - generate: {template: attributes, per: product}
  - generate: {template: blurb}
"""
ATTRIBUTES = """\
name: attributes
instruction: Read the facts of a perfume.
input:
  - name: {required: true}
  - notes
output:
  top_note: {type: string, max_chars: 40}
"""
BLURB = """\
name: blurb
instruction: Write a line in {{ language }} for shoppers in {{ market }}.
input:
  - name: {required: true}
  - top_note
output:
  line: {type: string, max_chars: 80}
"""


def test_50_products_for_4_targets_extract_attributes_once(folder: Path, calm: str) -> None:
    files = {
        "pipelines/launch.yaml": PIPELINE, "templates/attributes.yaml": ATTRIBUTES,
        "templates/blurb.yaml": BLURB,
    }  # fmt: skip
    make_workspace(folder, calm, files=files, concurrency=32)
    catalogue(folder, 50)
    estimate = waremill(folder, "estimate", "launch", "--json").json
    assert (estimate["products"], estimate["items"], estimate["calls"]) == (50, 200, 250)
    run = waremill(folder, "run", "launch", "-o", str(folder / "out.csv"), "--json")
    assert run.code == 0, run.err
    assert (run.json["total"], run.json["done"]) == (200, 200)
    stats = vendor_stats(calm)
    assert stats["calls"] == 250
    assert stats["repeated"] == 0
    found = rows_of(folder / "out.csv")
    assert len(found) == 50
    assert {"line@en-US", "line@de-DE", "line@fr-FR", "line@en-GB"} <= set(found[0])
    assert all(row["line@de-DE"] for row in found)
    long = waremill(folder, "export", "last", str(folder / "long.jsonl"), "--long")
    assert long.code == 0
    lines = [orjson.loads(line) for line in (folder / "long.jsonl").read_text().splitlines()]
    pairs = Counter((line["sku"], line["_target"]) for line in lines)
    assert len(pairs) == 200
    assert set(pairs.values()) == {1}


def test_a_stratified_trial_draws_each_values_share(folder: Path, calm: str) -> None:
    make_workspace(folder, calm)
    rows = [{**row, "brand": "big" if n < 30 else "small"} for n, row in enumerate(perfumes(40))]
    sheet = write_sheet(folder / "perfumes.csv", rows)
    assert waremill(folder, "import", str(sheet), "--key", "sku").code == 0
    trial = waremill(folder, "trial", "copy", "-n", "8", "--stratify", "brand", "--json")
    assert trial.code == 0, trial.err
    out = folder / "trial.jsonl"
    assert waremill(folder, "export", "last", str(out)).code == 0
    brands = Counter(orjson.loads(line)["brand"] for line in out.read_text().splitlines())
    assert brands == {"big": 6, "small": 2}
    wrong = waremill(folder, "trial", "copy", "--stratify", "brnad")
    assert wrong.code == 2
    assert "brand" in wrong.err


def test_an_estimate_knows_what_was_answered_before(folder: Path, calm: str) -> None:
    make_workspace(folder, calm, model=f"{PRICE}\ntemperature = 0.3")
    catalogue(folder, 10)
    before = waremill(folder, "estimate", "copy", "--json").json
    assert (before["calls"], before["products"]) == (10, 10)
    assert before["cost"] > 0
    assert waremill(folder, "run", "copy").code == 0
    after = waremill(folder, "estimate", "copy", "--json").json
    assert (after["calls"], after["cost"]) == (0, 0)
    assert vendor_stats(calm)["calls"] == 10


def test_a_folder_given_with_from_is_run_whole(folder: Path, calm: str) -> None:
    make_workspace(folder, calm)
    catalogue(folder, 3)
    sheets = folder / "new"
    sheets.mkdir()
    rows = perfumes(12)
    write_sheet(sheets / "a.csv", rows[4:7])
    write_sheet(sheets / "b.csv", rows[7:9])
    run = waremill(folder, "run", "copy", "--from", str(sheets), "--json")
    assert run.code == 0, run.err
    assert run.json["total"] == 5


def test_fresh_asks_again_and_pays_again(folder: Path, calm: str) -> None:
    make_workspace(folder, calm)
    catalogue(folder, 4)
    assert waremill(folder, "run", "copy").code == 0
    assert waremill(folder, "run", "copy", "--fresh").code == 0
    assert vendor_stats(calm)["calls"] == 8


def test_the_list_cost_counts_a_shared_call_once(folder: Path, calm: str) -> None:
    files = {
        "pipelines/launch.yaml": PIPELINE, "templates/attributes.yaml": ATTRIBUTES,
        "templates/blurb.yaml": BLURB,
    }  # fmt: skip
    make_workspace(folder, calm, files=files)
    catalogue(folder, 5)
    run = waremill(folder, "run", "launch", "--json").json
    assert run["list_cost"] == pytest.approx(run["cost"], rel=0.01)


def test_a_run_whose_worker_died_does_not_look_alive(folder: Path, calm: str) -> None:
    make_workspace(folder, calm)
    catalogue(folder, 3)
    assert waremill(folder, "run", "copy", "--json").code == 0
    url = f"sqlite:///{next((folder / '.waremill').glob('*.db'))}"
    engine = create_engine(url)
    with engine.begin() as conn:
        dead = {"state": "running", "owner": f"{socket.gethostname()}:999999:1"}
        conn.execute(update(runs).values(heartbeat=time.time(), **dead))
    engine.dispose()
    status = waremill(folder, "status", "last", "--json").json
    assert status["state"] != "running"
    cancelled = waremill(folder, "cancel", "last", "--json").json
    assert cancelled["state"] == "cancelled"
    assert waremill(folder, "resume", "last").code == 2
    assert waremill(folder, "resume", "last", "--retry-failed").code == 2
