"""The main job through the command line, in a fresh folder, against a vendor that misbehaves."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

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
    wait_for_calls,
    waremill,
    write_sheet,
)

MODEL = f"{PRICE}\nconcurrency = 24"


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


def products_in(folder: Path) -> int:
    """How many products the workspace's database holds."""
    database = folder / ".waremill" / "waremill.db"
    if not database.exists():
        return 0
    with closing(sqlite3.connect(database, timeout=30)) as conn:
        try:
            count: int = conn.execute("SELECT count(*) FROM products").fetchone()[0]
        except sqlite3.OperationalError:  # nobody has made its tables yet
            return 0
    return count


def test_624_perfumes_survive_a_bad_vendor_and_a_kill(folder: Path, shared_data: Path) -> None:
    sheet = shared_data / "catalogues-beauty" / "perfume_descriptions_open.csv"
    faults = ["--rate-limited", "0.05", "--unavailable", "0.02", "--malformed", "0.01",
              "--truncated", "0.01", "--slow", "0.01", "--slow-seconds", "0.5"]  # fmt: skip
    with vendor_process("--seed", "7", "--latency", "0.02", *faults) as url:
        make_workspace(folder, url, concurrency=64, model=MODEL)
        assert waremill(folder, "import", str(sheet), "--key", "sku").code == 0
        first = start_waremill(folder, "run", "copy", "-o", "copy.csv")
        wait_for_calls(url, 330, first)
        first.send_signal(signal.SIGKILL)
        finish(first)
        half = waremill(folder, "status", "last", "--json").json
        assert 0 < half["done"] < 624
        resumed = waremill(folder, "resume", "last", "--json")
        assert resumed.code == 0, resumed.err
        stats = vendor_stats(url)
    counted = {name: stats[name] for name in ("calls", "outcomes", "repeated", "peak_in_flight")}
    print(f"the server counted {counted}")  # shown by pytest -s
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


def test_ctrl_c_ends_with_130_and_resume_goes_on(folder: Path) -> None:
    with vendor_process("--latency", "0.05") as url:
        make_workspace(folder, url, concurrency=4)
        catalogue(folder, 60)
        running = start_waremill(folder, "run", "copy", "-o", "out.csv", "--json")
        wait_for_calls(url, 12, running)
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


def test_an_interrupted_import_keeps_its_rows_and_can_be_repeated(folder: Path) -> None:
    make_workspace(folder, "http://127.0.0.1:9/v1", concurrency=4)
    row = f"{{}},{'x' * 200}\n"
    (folder / "large.csv").write_text("sku,name\n" + "".join(map(row.format, range(60_000))))
    importing = start_waremill(folder, "import", "large.csv", "--key", "sku")
    while products_in(folder) == 0:
        assert importing.poll() is None, finish(importing).err
    importing.send_signal(signal.SIGINT)
    stopped = finish(importing)
    assert stopped.code == 130, stopped.err
    assert stopped.err.splitlines()[-1] == (
        "interrupted; the rows so far are imported, and the same command brings the others"
    )
    kept = products_in(folder)
    assert 0 < kept < 60_000
    again = waremill(folder, "import", "large.csv", "--key", "sku", "--json").json
    assert (again["new"], again["unchanged"]) == (60_000 - kept, kept)


def test_two_ctrl_cs_stop_at_once_and_nothing_is_lost(folder: Path) -> None:
    with vendor_process("--latency", "1.5") as url:
        make_workspace(folder, url, concurrency=4)
        catalogue(folder, 8)
        running = start_waremill(folder, "run", "copy")
        wait_for_calls(url, 4, running)
        running.send_signal(signal.SIGINT)
        assert running.stderr is not None
        while "calls in flight" not in running.stderr.readline():
            pass
        running.send_signal(signal.SIGINT)
        stopped = finish(running)
        assert stopped.code == 130, stopped.err
        assert "interrupted; `waremill resume last` goes on" in stopped.err
        assert "Traceback" not in stopped.err
        status = waremill(folder, "status", "last", "--json").json
        assert status["state"] == "paused"
        assert status["states"] == {"pending": 8}
        assert status["reason"] == "interrupted"
