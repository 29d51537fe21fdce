"""The main job through the command line, in a fresh folder, against a vendor that misbehaves."""

from __future__ import annotations

import csv
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from tests.workspaces import (
    PRICE,
    finish,
    make_workspace,
    perfumes,
    start_waremill,
    vendor_process,
    vendor_stats,
    wait_for_calls,
    waremill,
    write_sheet,
)

MODEL = f"{PRICE}\nconcurrency = 24"


@pytest.fixture
def calm() -> Iterator[str]:
    """A vendor that answers everything."""
    with vendor_process() as url:
        yield url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A fresh folder for the workspace."""
    return tmp_path / "shop"


def catalogue(folder: Path, count: int, word: str = "") -> Path:
    """Import so many products; give their sheet."""
    sheet = write_sheet(folder / "perfumes.csv", perfumes(count, word))
    ended = waremill(folder, "import", str(sheet), "--key", "sku")
    assert ended.code == 0, ended.err
    return sheet


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_624_perfumes_survive_a_bad_vendor_and_a_kill(folder: Path, shared_data: Path) -> None:
    sheet = shared_data / "catalogues-beauty" / "perfume_descriptions_open.csv"
    faults = ["--rate-limited", "0.05", "--unavailable", "0.02", "--malformed", "0.01",
              "--truncated", "0.01", "--slow", "0.01", "--slow-seconds", "1"]  # fmt: skip
    with vendor_process("--seed", "7", "--latency", "0.02", *faults) as url:
        make_workspace(folder, url, concurrency=64, model=MODEL)
        assert waremill(folder, "import", str(sheet), "--key", "sku").code == 0
        first = start_waremill(folder, "run", "copy", "-o", "copy.csv")
        wait_for_calls(url, 330)
        first.send_signal(signal.SIGKILL)
        finish(first)
        half = waremill(folder, "status", "last", "--json").json
        assert 0 < half["done"] < 624
        resumed = waremill(folder, "resume", "last", "--json")
        assert resumed.code == 0, resumed.err
        stats = vendor_stats(url)
    status = resumed.json
    assert (status["state"], status["total"], status["done"]) == ("done", 624, 624)
    assert status["cost"] > 0
    assert status["list_cost"] == pytest.approx(status["cost"], rel=0.05)
    found = rows_of(folder / "copy.csv")
    source = [row["sku"] for row in rows_of(sheet)]
    assert [row["sku"] for row in found] == source
    assert len(found) == 624
    assert all(row["title"] for row in found)
    assert {row["_status"] for row in found} <= {"ready", "review"}
    assert stats["repeated"] <= 24, "more answers were paid twice than calls were in flight"
    assert {"rate_limited", "unavailable", "malformed", "truncated", "slow"} <= set(
        stats["outcomes"]
    )


def test_one_changed_row_is_one_call(folder: Path, calm: str) -> None:
    make_workspace(folder, calm)
    catalogue(folder, 12)
    assert waremill(folder, "run", "copy").code == 0
    before = vendor_stats(calm)["calls"]
    assert before == 12
    rows = perfumes(12)
    rows[5]["name"] = "Eau another name"
    write_sheet(folder / "perfumes.csv", rows)
    changed = waremill(folder, "import", "perfumes.csv", "--key", "sku", "--json").json
    assert (changed["new"], changed["changed"], changed["unchanged"]) == (0, 1, 11)
    again = waremill(folder, "run", "copy", "-o", "out.csv", "--json")
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
    run = waremill(folder, "run", "launch", "-o", "out.csv", "--json")
    assert run.code == 0, run.err
    assert (run.json["total"], run.json["done"]) == (200, 200)
    stats = vendor_stats(calm)
    assert stats["calls"] == 250
    assert stats["repeated"] == 0
    found = rows_of(folder / "out.csv")
    assert len(found) == 50
    assert {"line@en-US", "line@de-DE", "line@fr-FR", "line@en-GB"} <= set(found[0])
    assert all(row["line@de-DE"] for row in found)
    long = waremill(folder, "export", "last", "long.jsonl", "--long")
    assert long.code == 0
    lines = [orjson.loads(line) for line in (folder / "long.jsonl").read_text().splitlines()]
    pairs = Counter((line["sku"], line["_target"]) for line in lines)
    assert len(pairs) == 200
    assert set(pairs.values()) == {1}


def test_ctrl_c_ends_with_130_and_resume_goes_on(folder: Path) -> None:
    with vendor_process("--latency", "0.05") as url:
        make_workspace(folder, url, concurrency=4)
        catalogue(folder, 60)
        running = start_waremill(folder, "run", "copy", "-o", "out.csv", "--json")
        wait_for_calls(url, 12)
        running.send_signal(signal.SIGINT)
        stopped = finish(running)
        assert stopped.code == 130, stopped.err
        assert stopped.json["state"] == "paused"
        assert 0 < stopped.json["done"] < 60
        assert "Traceback" not in stopped.err
        resumed = waremill(folder, "resume", "last", "--json")
        assert resumed.code == 0
        assert resumed.json["done"] == 60
        assert vendor_stats(url)["repeated"] == 0
    assert len(rows_of(folder / "out.csv")) == 60


def test_two_ctrl_cs_stop_at_once_and_nothing_is_lost(folder: Path) -> None:
    with vendor_process("--latency", "1.5") as url:
        make_workspace(folder, url, concurrency=4)
        catalogue(folder, 8)
        running = start_waremill(folder, "run", "copy")
        wait_for_calls(url, 4)
        running.send_signal(signal.SIGINT)
        assert running.stderr is not None
        while "calls in flight" not in running.stderr.readline():
            pass
        running.send_signal(signal.SIGINT)
        stopped = finish(running)
        assert stopped.code == 130, stopped.err
        assert "Traceback" not in stopped.err
        status = waremill(folder, "status", "last", "--json").json
        assert status["state"] == "paused"
        assert status["states"] == {"pending": 8}
        assert status["reason"] == "interrupted"


def test_a_wrong_key_pauses_the_run_with_every_item_pending(folder: Path) -> None:
    with vendor_process("--key", "sk-right") as url:
        make_workspace(folder, url, model=f'{PRICE}\napi_key_env = "SHOP_KEY"')
        catalogue(folder, 40)
        wrong = waremill(folder, "run", "copy", "--json", SHOP_KEY="sk-wrong")
        assert wrong.code == 3, wrong.err
        assert wrong.json["state"] == "paused"
        assert wrong.json["states"] == {"pending": 40}
        assert "sk-wrong" not in wrong.out + wrong.err
        right = waremill(folder, "resume", "last", "--json", SHOP_KEY="sk-right")
        assert (right.code, right.json["done"]) == (0, 40)
        absent = waremill(folder, "run", "copy", "--fresh")
        assert absent.code == 2
        assert "SHOP_KEY" in absent.err


def test_a_budget_pauses_with_3_and_a_larger_one_goes_on(folder: Path, calm: str) -> None:
    make_workspace(folder, calm)
    catalogue(folder, 40)
    poor = waremill(folder, "run", "copy", "--budget", "0.01", "--json")
    assert poor.code == 3, poor.err
    assert poor.json["cost"] <= 0.01
    assert 0 < poor.json["done"] < 40
    assert "budget" in poor.json["reason"]
    rich = waremill(folder, "resume", "last", "--budget", "1", "--json")
    assert (rich.code, rich.json["done"]) == (0, 40)
    assert vendor_stats(calm)["repeated"] == 0


def test_a_budget_with_an_unknown_price_starts_nothing(folder: Path, calm: str) -> None:
    make_workspace(folder, calm, model="")
    catalogue(folder, 3)
    ended = waremill(folder, "run", "copy", "--budget", "1")
    assert ended.code == 2
    assert "price" in ended.err
    assert "Traceback" not in ended.err
    assert vendor_stats(calm)["calls"] == 0
    assert waremill(folder, "runs", "--json").json == []
    unpriced = waremill(folder, "run", "copy", "--json")
    assert unpriced.code == 0
    assert unpriced.json["list_cost"] is None
    later = waremill(folder, "resume", "last", "--budget", "1")
    assert later.code in (0, 2)


def test_a_failed_item_ends_with_1_and_can_be_retried(folder: Path, calm: str) -> None:
    make_workspace(folder, calm)
    rows = perfumes(6)
    rows[2]["name"] = ""
    write_sheet(folder / "perfumes.csv", rows)
    assert waremill(folder, "import", "perfumes.csv", "--key", "sku").code == 0
    ended = waremill(folder, "run", "copy", "-o", "out.csv", "--json")
    assert ended.code == 1, ended.err
    assert (ended.json["done"], ended.json["failed"]) == (5, 1)
    failed = [row for row in rows_of(folder / "out.csv") if row["_status"] == "failed"]
    assert [row["sku"] for row in failed] == ["P0002"]
    assert "name" in failed[0]["_findings"]
    again = waremill(folder, "resume", "last", "--retry-failed", "--json")
    assert again.code == 1
    assert vendor_stats(calm)["calls"] == 5


@pytest.mark.parametrize(
    "arguments",
    [
        ("import", "nothing-here.xlsx", "--key", "sku"),
        ("import", "broken.xlsx", "--key", "sku"),
        ("import", "perfumes.csv", "--key", "skuu"),
        ("run", "copi"),
        ("run", "copy", "-o", "out.docx"),
        ("run", "copy", "--where", "brandd = 'x'"),
        ("run", "copy", "--target", "german"),
        ("run", "copy", "--limit", "0"),
        ("run", "copy", "--budget", "-1"),
        ("run", "copy", "--model", "nobody"),
        ("status", "nothing"),
        ("resume", "nothing"),
        ("export", "last", "x.csv"),
    ],
)
def test_what_the_user_must_fix_is_one_sentence_and_2(
    folder: Path, arguments: tuple[str, ...]
) -> None:
    make_workspace(folder, "http://127.0.0.1:9/v1")
    (folder / "broken.xlsx").write_bytes(b"PK\x03\x04 this is no workbook")
    catalogue(folder, 3)
    ended = waremill(folder, *arguments)
    assert ended.code == 2, (ended.code, ended.out, ended.err)
    lines = [line for line in ended.err.splitlines() if line.strip()]
    assert lines[-1].startswith(("waremill: ", "Error: "))
    assert "Traceback" not in ended.err
