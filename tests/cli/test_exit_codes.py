"""The command line's contract: exit codes, the shapes of `--json`, one plain sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
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


@pytest.fixture(scope="module")
def vendor() -> Iterator[str]:
    """A vendor that answers everything."""
    with vendor_process() as url:
        yield url


@pytest.fixture
def calls(vendor: str) -> Callable[[], int]:
    """How many calls this test made so far."""
    before = vendor_stats(vendor)["calls"]
    return lambda: int(vendor_stats(vendor)["calls"] - before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A fresh folder for the workspace."""
    return tmp_path / "shop"


def catalogue(folder: Path, count: int) -> Path:
    sheet = write_sheet(folder / "perfumes.csv", perfumes(count))
    ended = waremill(folder, "import", str(sheet), "--key", "sku")
    assert ended.code == 0, ended.err
    return sheet


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


def test_a_missing_key_starts_nothing(folder: Path) -> None:
    make_workspace(folder, "https://shop.example/v1", model=f'{PRICE}\napi_key_env = "SHOP_KEY"')
    catalogue(folder, 3)
    absent = waremill(folder, "run", "copy")
    assert absent.code == 2
    assert "SHOP_KEY" in absent.err
    assert waremill(folder, "runs", "--json").json == []


def test_a_budget_pauses_with_3_and_a_larger_one_goes_on(
    folder: Path, vendor: str, calls: Callable[[], int]
) -> None:
    make_workspace(folder, vendor)
    catalogue(folder, 40)
    poor = waremill(folder, "run", "copy", "--budget", "0.01", "--json")
    assert poor.code == 3, poor.err
    assert poor.json["cost"] <= 0.01
    assert 0 < poor.json["done"] < 40
    assert "budget" in poor.json["reason"]
    rich = waremill(folder, "resume", "last", "--budget", "1", "--json")
    assert (rich.code, rich.json["done"]) == (0, 40)
    assert calls() == 40


def test_a_budget_with_an_unknown_price_starts_nothing(folder: Path) -> None:
    make_workspace(folder, "https://shop.example/v1", model='api_key_env = "SHOP_KEY"')
    catalogue(folder, 3)
    ended = waremill(folder, "run", "copy", "--budget", "1", SHOP_KEY="sk-some")
    assert ended.code == 2
    assert "price" in ended.err
    assert waremill(folder, "runs", "--json").json == []
    estimate = waremill(folder, "estimate", "copy", "--json", SHOP_KEY="sk-some").json
    assert estimate["cost"] is None
    assert estimate["unknown_prices"] == ["default"]


def test_a_failed_item_ends_with_1_and_can_be_retried(
    folder: Path, vendor: str, calls: Callable[[], int]
) -> None:
    make_workspace(folder, vendor)
    rows = perfumes(6)
    rows[2]["name"] = ""
    write_sheet(folder / "perfumes.csv", rows)
    assert waremill(folder, "import", str(folder / "perfumes.csv"), "--key", "sku").code == 0
    ended = waremill(folder, "run", "copy", "-o", str(folder / "out.csv"), "--json")
    assert ended.code == 1, ended.err
    assert (ended.json["done"], ended.json["failed"]) == (5, 1)
    failed = [row for row in rows_of(folder / "out.csv") if row["_status"] == "failed"]
    assert [row["sku"] for row in failed] == ["P0002"]
    assert "name" in failed[0]["_findings"]
    again = waremill(folder, "resume", "last", "--retry-failed", "--json")
    assert again.code == 1
    assert calls() == 5


@pytest.mark.parametrize(
    "arguments",
    [
        ("import", "nothing-here.xlsx", "--key", "sku"),
        ("import", "{folder}/broken.xlsx", "--key", "sku"),
        ("import", "{folder}/perfumes.csv", "--key", "skuu"),
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
    ended = waremill(folder, *(text.format(folder=folder) for text in arguments))
    assert ended.code == 2, (ended.code, ended.out, ended.err)
    lines = [line for line in ended.err.splitlines() if line.strip()]
    assert lines[-1].startswith(("waremill: ", "Error: "))
    assert "Traceback" not in ended.err


STATUS = {
    "run": str, "kind": str, "pipeline": str, "state": str, "total": int, "done": int,
    "failed": int, "in_review": int, "cost": float, "list_cost": float, "currency": str,
    "states": dict, "calls": int, "input_tokens": int, "cached_tokens": int,
    "output_tokens": int, "seconds": float,
}  # fmt: skip


def assert_shape(document: Any, shape: Mapping[str, type]) -> None:
    assert set(shape) <= set(document), set(shape) - set(document)
    for name, kind in shape.items():
        assert isinstance(document[name], kind), (name, document[name])


def test_json_documents_have_the_shapes_scripts_depend_on(folder: Path, vendor: str) -> None:
    make_workspace(folder, vendor)
    sheet = write_sheet(folder / "perfumes.csv", perfumes(4))
    imported = waremill(folder, "import", str(sheet), "--key", "sku", "--json").json
    assert_shape(
        imported,
        {"catalog": str, "key": str, "new": int, "changed": int, "unchanged": int,
         "problems": int, "notes": list, "first_problems": list},
    )  # fmt: skip
    found = waremill(folder, "products", "--where", "brand = 'House 1'", "--json").json
    assert_shape(found, {"catalog": str, "total": int, "products": list})
    assert [product["key"] for product in found["products"]] == ["P0001"]
    estimate = waremill(folder, "estimate", "copy", "--json").json
    assert_shape(
        estimate,
        {"products": int, "items": int, "calls": int, "cost": float, "cost_range": list,
         "cost_per_product": float, "currency": str, "seconds": float, "seconds_range": list,
         "unknown_prices": list, "notes": list, "steps": list},
    )  # fmt: skip
    trial = waremill(folder, "trial", "copy", "-n", "2", "--json").json
    assert_shape(trial, {**STATUS, "cost_per_product": float, "accuracy": list, "forecast": list})
    out = folder / "out.xlsx"
    run = waremill(folder, "run", "copy", "-o", str(out), "--json").json
    assert_shape(run, {**STATUS, "output": str})
    assert run["output"] == str(out)
    assert out.is_file()
    status = waremill(folder, "status", run["run"], "--json").json
    assert status == run
    listed = waremill(folder, "runs", "--json").json
    assert [one["run"] for one in listed] == [run["run"], trial["run"]]
    written = waremill(folder, "export", "last", str(folder / "x.parquet"), "--json").json
    assert_shape(written, {"path": str, "rows": int, "notes": list})
    accept = ("review", "last", "--accept-where", "_findings = 0", "--json")
    assert waremill(folder, *accept).json["accepted"] == 4
    assert waremill(folder, "status", "last", "--json").json["states"] == {"accepted": 4}
    error = waremill(folder, "run", "copi", "--json")
    assert error.code == 2
    assert_shape(error.json["error"], {"type": str, "message": str, "exit": int})


def test_resuming_a_run_that_is_done_writes_its_output_again(folder: Path, vendor: str) -> None:
    make_workspace(folder, vendor)
    catalogue(folder, 3)
    out = folder / "out.csv"
    assert waremill(folder, "run", "copy", "-o", str(out)).code == 0
    out.unlink()
    assert waremill(folder, "resume", "last").code == 0
    assert len(rows_of(out)) == 3


def test_what_a_run_and_resume_could_not_write_as_it_is_is_said(folder: Path, vendor: str) -> None:
    make_workspace(folder, vendor)
    rows = perfumes(2)
    rows[1]["story"] = "long " * 10_000
    sheet = write_sheet(folder / "perfumes.csv", [{"story": "", **row} for row in rows])
    assert waremill(folder, "import", str(sheet), "--key", "sku").code == 0
    out = str(folder / "out.xlsx")
    ran = waremill(folder, "run", "copy", "-o", out)
    assert ran.code == 0
    assert ran.err.count("note: ") == 1 and "note: " not in ran.out
    (said,) = [line for line in ran.err.splitlines() if line.startswith("note: ")]
    again = waremill(folder, "resume", "last")
    assert said in again.err.splitlines()
    document = waremill(folder, "resume", "last", "--json").json
    assert [f"note: {one}" for one in document["notes"]] == [said]
    exported = waremill(folder, "export", "last", out, "--json").json
    assert exported["notes"] == document["notes"]
    assert waremill(folder, "status", "last", "--json").json["notes"] == []


def test_a_budget_given_on_resume_is_checked_too(folder: Path, vendor: str) -> None:
    make_workspace(folder, vendor)
    catalogue(folder, 3)
    assert waremill(folder, "run", "copy", "--budget", "0.0001").code == 3
    wrong = waremill(folder, "resume", "last", "--budget", "0")
    assert wrong.code == 2
    assert "above zero" in wrong.err
