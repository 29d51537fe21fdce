"""The ledger's sums, what is found by its findings, and a team's month, over real runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.workspaces import make_workspace, perfumes, vendor_process, write_sheet
from tests.workspaces import waremill_here as waremill

PAUSED = 3


@pytest.fixture
def faulty() -> Iterator[str]:
    """A vendor that says 429 and 500 now and then."""
    faults = ("--unavailable", "0.1", "--rate-limited", "0.1", "--retry-after", "0")
    with vendor_process(*faults) as url:
        yield url


@pytest.fixture
def folder(tmp_path: Path, faulty: str) -> Path:
    """A workspace with twenty products."""
    place = make_workspace(tmp_path / "shop", faulty)
    sheet = write_sheet(place / "perfumes.csv", perfumes(20))
    assert waremill(place, "import", str(sheet), "--key", "sku").code == 0
    return place


def query(folder: Path, sql: str) -> list[Any]:
    """Ask the workspace's database; a change is committed."""
    path = folder / ".waremill" / "waremill.db"
    with closing(sqlite3.connect(path)) as conn, conn:
        return conn.execute(sql).fetchall()


def test_the_sums_are_those_of_the_ledger(folder: Path) -> None:
    assert waremill(folder, "run", "copy", "--target", "de-DE", "--target", "fr-FR").code == 0
    summed = query(
        folder,
        "SELECT sum(calls), sum(failed), sum(input), sum(output), sum(paid), sum(list_cost) "
        "FROM spend",
    )
    ledger = query(
        folder,
        "SELECT count(*), sum(outcome NOT IN ('complete', 'truncated', 'refused')), sum(input), "
        "sum(output), sum(coalesce(paid, 0)), sum(coalesce(list_cost, 0)) FROM calls",
    )
    assert summed == ledger
    assert ledger[0][0] >= 20


def test_the_sums_by_outcome_are_those_of_the_ledger(folder: Path) -> None:
    assert waremill(folder, "run", "copy", "--target", "de-DE", "--target", "fr-FR").code == 0
    figures = "count(*), count(list_cost), count(paid), sum(input), sum(output)"
    ledger = query(
        folder,
        f"SELECT run_id, model, outcome, {figures}, coalesce(sum(paid), 0), "
        "round(sum(latency), 6) FROM calls GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    )
    summed = query(
        folder,
        "SELECT run_id, model, outcome, calls, priced, charged, input, output, paid, "
        "round(seconds, 6) FROM outcomes ORDER BY 1, 2, 3",
    )
    assert summed == ledger
    assert {line[2] for line in ledger} > {"complete"}
    status = waremill(folder, "status", "last", "--json").json
    assert status["calls"] == sum(line[3] for line in ledger)
    assert status["input_tokens"] == sum(line[6] for line in ledger)


def test_a_team_that_used_its_month_up_pauses_and_goes_on_with_more(folder: Path) -> None:
    query(folder, "UPDATE teams SET monthly_budget = 2000000")  # 0.002 USD, a few calls
    paused = waremill(folder, "run", "copy", "--json")
    assert paused.code == PAUSED, paused.err
    assert "the team's monthly budget does not cover the next call" in paused.json["reason"]
    ((paid,),) = query(folder, "SELECT sum(paid) FROM spend")
    assert 0 < paid <= 2_000_000
    query(folder, "UPDATE teams SET monthly_budget = 2000000000")
    assert waremill(folder, "resume", "last", "--json").json["done"] == 20


def test_items_are_found_by_the_rules_they_broke(folder: Path) -> None:
    template = folder / "templates" / "copy.yaml"
    template.write_text(template.read_text() + "checks: [forbidden]\n", encoding="utf-8")
    (folder / "forbidden").mkdir()
    (folder / "forbidden" / "words.csv").write_text("term\nEau\n", encoding="utf-8")
    assert waremill(folder, "run", "copy").code == 0
    found = query(folder, "SELECT rule, field, count(*) FROM findings GROUP BY 1, 2")
    assert found == [("forbidden", "title", 20)]  # a warning: the term is part of the name


def test_status_tells_the_priority_and_how_long_calls_waited(folder: Path) -> None:
    done = waremill(folder, "run", "copy", "--limit", "1", "--priority", "low", "--json")
    assert (done.json["priority"], done.json["rate_wait"]) == ("low", None), "there is no limit"
    assert "rate limits" not in waremill(folder, "status", "last").out
    query(folder, "INSERT INTO waits SELECT id, 'default', 5, 2, 8.0 FROM runs")
    query(folder, "INSERT INTO waits SELECT id, 'default', 0, 2, 0.0 FROM runs")
    assert waremill(folder, "status", "last", "--json").json["rate_wait"] == 2
    said = waremill(folder, "status", "last").out
    assert "a call waited 2 s for rate limits on average" in said
    assert waremill(folder, "trial", "copy", "-n", "1", "--json").json["priority"] == "high"
