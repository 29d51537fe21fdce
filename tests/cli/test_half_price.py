"""Half price over the command line: killed at its worst moments, every item is there once."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.workspaces import (
    PRICE,
    finish,
    make_workspace,
    perfumes,
    rows_of,
    start_waremill,
    vendor_process,
    vendor_stats,
    waremill,
    waremill_here,
    write_sheet,
)

PRODUCTS = 24
BATCH = "[batch]\npoll = 0.1\nrequests = 10\n"


@pytest.fixture(scope="module")
def slow() -> Iterator[str]:
    """A vendor whose batches take a second; the reply to the first submit is lost."""
    faults = {"seconds": 1.0, "submits": ["lost"], "expired": 1}
    with vendor_process("--batches", orjson.dumps(faults).decode()) as url:
        yield url


@pytest.fixture(scope="module")
def endless() -> Iterator[str]:
    """A vendor whose batches are never done by themselves."""
    with vendor_process("--batches", '{"seconds": 1000}') as url:
        yield url


def shop(folder: Path, url: str, vendor: str = "openai", more: str = "") -> Path:
    make_workspace(folder, url, model=f"{PRICE}\n{BATCH}{more}")
    text = (folder / "waremill.toml").read_text(encoding="utf-8")
    text = text.replace("openai:test-model", f"{vendor}:test-model")
    (folder / "waremill.toml").write_text(text, encoding="utf-8")
    write_sheet(folder / "perfumes.csv", perfumes(PRODUCTS))
    return folder


def wait_for(url: str, batches: int, process: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + 60
    while vendor_stats(url)["batches"] < batches:
        assert process.poll() is None, finish(process)
        assert time.monotonic() < limit, "no batch comes"
        time.sleep(0.01)


def status(folder: Path) -> Any:
    return waremill_here(folder, "status", "last", "--json").json


def test_a_run_in_batches_killed_twice_ends_with_every_item_once(tmp_path: Path, slow: str) -> None:
    folder = shop(tmp_path, slow)
    order = ("run", "copy", "--from", "perfumes.csv", "--key", "sku", "--mode", "batch")
    first = start_waremill(folder, *order, "-o", "out.csv", "--budget", "5")
    wait_for(slow, 1, first)  # the vendor has it, and the reply to that is lost
    first.kill()
    first.wait()
    shown = status(folder)
    assert (shown["mode"], shown["state"]) == ("batch", "paused")
    second = start_waremill(folder, "resume", "last")
    wait_for(slow, 2, second)
    second.kill()
    second.wait()
    done = waremill(folder, "resume", "last", "--json")
    assert done.code == 0, done.err
    rows = rows_of(folder / "out.csv")
    assert [row["_status"] for row in rows] == ["ready"] * PRODUCTS
    assert len({row["sku"] for row in rows}) == PRODUCTS
    assert vendor_stats(slow)["answered"] == {"1": PRODUCTS}
    assert done.json["cost"] == pytest.approx(done.json["list_cost"] / 2, rel=0.01)
    assert (done.json["waiting"], done.json["batches"]) == (0, [])


def test_status_says_what_is_waited_for_and_cancelling_keeps_what_was_done(
    tmp_path: Path, endless: str
) -> None:
    folder = shop(tmp_path, endless, "anthropic")
    run = start_waremill(
        folder, "run", "copy", "--from", "perfumes.csv", "--key", "sku", "--mode", "batch"
    )
    wait_for(endless, 3, run)
    run.terminate()
    finish(run)
    said = waremill_here(folder, "status", "last")
    assert f"{PRODUCTS} waiting" in said.out
    assert "of 10 requests done" in said.out
    assert len(status(folder)["batches"]) == 3
    waremill_here(folder, "cancel", "last")
    limit = time.monotonic() + 60
    while (shown := status(folder))["state"] != "cancelled":
        assert time.monotonic() < limit, shown
        time.sleep(0.05)
    assert (shown["batches"], shown["batches_settled"]) == ([], 3)
    assert shown["calls"] > 0
    assert vendor_stats(endless)["answered"] == {"1": 12}  # half of each was done
    again = waremill_here(folder, "estimate", "copy", "--json").json
    assert again["steps"][0]["answered_before"] == 12


def test_an_estimate_shows_both_prices(tmp_path: Path, slow: str) -> None:
    folder = shop(tmp_path, slow)
    waremill_here(folder, "import", str(folder / "perfumes.csv"), "--key", "sku")
    found = waremill_here(folder, "estimate", "copy", "--json").json
    assert found["batch_cost"] == pytest.approx(found["cost"] / 2, rel=0.01)
    assert "in batches: " in waremill_here(folder, "estimate", "copy").out


def test_a_model_without_batches_is_refused_in_one_sentence(tmp_path: Path, slow: str) -> None:
    folder = shop(tmp_path, slow, "vllm")
    waremill_here(folder, "import", str(folder / "perfumes.csv"), "--key", "sku")
    done = waremill_here(folder, "run", "copy", "--mode", "batch")
    assert done.code == 2
    assert "“default” (vllm:test-model) has none" in done.err
    assert "no run yet" in waremill_here(folder, "runs").out
    assert waremill_here(folder, "estimate", "copy", "--json").json["batch_cost"] is None


def test_a_trial_in_batches_is_summed_up_like_any_other(tmp_path: Path, slow: str) -> None:
    folder = shop(tmp_path, slow)
    waremill_here(folder, "import", str(folder / "perfumes.csv"), "--key", "sku")
    done = waremill(folder, "trial", "copy", "-n", "4", "--mode", "batch", "--json")
    assert done.code == 0, done.err
    assert (done.json["mode"], done.json["done"]) == ("batch", 4)
