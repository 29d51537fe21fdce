"""What Prometheus is told: true sums, few labels, no walk over items; and the dashboard."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, insert, select, update
from tests.databases import database, database_url, migrated_postgres, migrated_sqlite
from tests.web.shops import Shop, shop, stocked, vendor_url

from waremill.app.measuring import figures
from waremill.store import metering
from waremill.store.database import Database
from waremill.store.ledger import WAITS
from waremill.store.runs import clock
from waremill.store.tables import outcomes, runs, waits
from waremill.store.tables_batches import batches
from waremill.store.tables_people import teams
from waremill.store.tables_publishing import publications
from waremill.store.tables_schedules import schedule_slots, schedules

__all__ = [
    "database", "database_url", "migrated_postgres", "migrated_sqlite", "shop", "stocked",
    "vendor_url",
]  # fmt: skip
DASHBOARD = Path(__file__).resolve().parents[2] / "deploy" / "grafana.json"
SUMS = {"input": 10, "cached": 4, "output": 5, "reasoning": 1, "paid": 1_000_000_000,
        "list_cost": 1_000_000_000, "priced": 2, "charged": 2, "seconds": 3.0}  # fmt: skip


async def scraped(shop: Shop) -> dict[str, dict[frozenset[tuple[str, str]], float]]:
    """All samples of /metrics, by name and labels."""
    found: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
    text = (await shop.client.get("/metrics")).text
    for family in text_string_to_metric_families(text):
        found.setdefault(family.name, {})
        for sample in family.samples:
            labels = frozenset(sample.labels.items())
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


async def test_the_ledger_is_told_by_model_and_outcome(shop: Shop) -> None:
    run = (await shop.workspace.runs())[0]

    def add(conn: Connection) -> None:
        for outcome in ("complete", "rate_limited"):
            conn.execute(insert(outcomes).values(
                run_id=run.id, model="mill", outcome=outcome, calls=2, **SUMS
            ))  # fmt: skip
        conn.execute(update(teams).values(monthly_budget=5_000_000_000))

    await shop.workspace.database.write(add)
    found = await scraped(shop)
    limited = frozenset({("model", "mill"), ("outcome", "rate_limited")})
    assert found["waremill_calls_total"][limited] == 2
    assert found["waremill_call_seconds_total"][limited] == 3
    assert found["waremill_tokens_total"][frozenset({("model", "mill"), ("kind", "cached")})] == 8
    assert found["waremill_paid_total"][frozenset({("model", "mill"), ("currency", "USD")})] == 2
    (left,) = found["waremill_team_budget_left"].values()
    assert 0 <= left <= 5


async def test_waits_batches_publications_and_schedules_are_told(shop: Shop) -> None:
    await shop.workspace.database.write(_plant_work)
    found = await scraped(shop)

    def told(name: str, **labels: str) -> float:
        return found[f"waremill_{name}"][frozenset(labels.items())]

    below = {le: told("rate_wait_seconds_bucket", model="mill", le=le) for le in ("0.01", "+Inf")}
    assert below == {"0.01": 3, "+Inf": 5}
    assert told("rate_wait_seconds_count", model="mill") == 5
    assert told("rate_wait_seconds_sum", model="mill") == pytest.approx(400.5)
    assert told("batches", model="mill", state="submitted") == 1
    assert told("batch_requests_open", model="mill") == 6, "those of settled ones are answered"
    assert told("oldest_batch_seconds") > 90
    assert told("publications", channel="shop", state="done") == 1
    assert told("schedule_settled_total", state="missed") == 1
    assert told("schedule_slots", state="due") == 1
    assert told("schedule_overdue_seconds") > 50 and told("schedule_leader") == 0


def _plant_work(conn: Connection) -> None:
    run = conn.execute(select(runs.c.id).limit(1)).scalar_one()
    now = clock(conn)
    conn.execute(insert(waits), [
        {"run_id": run, "model": "mill", "bucket": bucket, "calls": count, "seconds": seconds}
        for bucket, count, seconds in ((0, 3, 0.0), (2, 1, 0.5), (len(WAITS), 1, 400.0))
    ])  # fmt: skip
    conn.execute(insert(batches), [
        {"run_id": run, "key": key, "model": "mill", "state": state, "requests": 10, "bytes": 1,
         "tokens": 1, "reserved": 0, "paid": 0, "done": 0, "failed": 0, "answered": answered,
         "created_at": now, "submitted_at": now - 100}
        for key, state, answered in (("a", "submitted", 4), ("b", "settled", 9))
    ])  # fmt: skip
    conn.execute(insert(publications).values(
        name="p1", run_id=run, channel="shop", format="workbook", stage="all", state="done",
        mapping="{}", outputs="[]", by="ann", created_at=now,
    ))  # fmt: skip
    number = conn.execute(insert(schedules).values(
        name="nightly", pipeline="copy", cron="0 3 * * *", timezone="UTC", options="{}",
        only="[]", budget=1, overlap="skip", catch_up="last", active=True, by="ann", created_at=0,
        next_at=now - 60,
    ).returning(schedules.c.id)).scalar_one()  # fmt: skip
    conn.execute(insert(schedule_slots), [
        {"schedule_id": number, "at": at, "cause": "cron", "state": state, "live": live,
         "missed": 0, "starts": 0, "by": "ann", "created_at": at}
        for at, state, live in ((1.0, "missed", False), (2.0, "due", True))
    ])  # fmt: skip


async def test_no_label_has_a_name_per_run_product_or_item(shop: Shop) -> None:
    allowed = {"model", "outcome", "kind", "currency", "state", "team", "method", "route",
               "status", "le", "channel"}  # fmt: skip
    await shop.workspace.database.write(_plant_work)
    for samples in (await scraped(shop)).values():
        assert {name for labels in samples for name, _ in labels} <= allowed


async def test_each_metric_of_the_dashboard_exists(shop: Shop) -> None:
    await shop.ask("GET", "/v1/runs/last")
    await shop.workspace.database.write(_plant_work)
    found = await scraped(shop)
    board: dict[str, Any] = orjson.loads(DASHBOARD.read_bytes())
    assert board["schemaVersion"] >= 41 and board["uid"] and board["templating"]["list"]
    exprs = [one["expr"] for panel in board["panels"] for one in panel["targets"]]
    named = {name for expr in exprs for name in re.findall(r"\bwaremill_\w+", expr)}
    assert named - set(found) == {
        name for name in named if name.endswith("_total") and name.removesuffix("_total") in found
    } - set(found)
    own = {name for name in found if name.startswith("waremill_")}
    families = {re.sub(r"_(total|bucket|count|sum|created)$", "", name) for name in own}
    shown = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in named}
    assert families == shown, "what is measured is shown, and nothing else"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))


def test_what_several_servers_tell_alike_is_not_added_up() -> None:
    """All servers tell the database's sums: only a server's own requests are summed over them."""
    board: dict[str, Any] = orjson.loads(DASHBOARD.read_bytes())
    own = re.compile(r"waremill_(requests|request_seconds|open_requests)")
    exprs = [one["expr"] for panel in board["panels"] for one in panel["targets"]]
    shared = [expr for expr in exprs if not own.search(expr)]
    assert len(shared) > 15
    for expr in shared:
        around = re.findall(r"(\w+)(?: by \([\w, ]+\))? ?\((?:rate\()?waremill_", expr)
        assert around and set(around) <= {"max", "min"}, expr


async def test_a_scrape_reads_sums_alone(database: Database) -> None:
    """A thousand runs with four models each, on both databases: some hundredths of a second."""

    def fill(conn: Connection) -> None:
        conn.execute(insert(outcomes), [
            {"run_id": run, "model": f"m{model}", "outcome": outcome, "calls": 1000, **SUMS}
            for run in range(1000) for model in range(2) for outcome in ("complete", "truncated")
        ])  # fmt: skip

    await database.write(fill)
    started = time.monotonic()
    found = await database.read(metering.calls_by_outcome, None)
    assert time.monotonic() - started < 1
    assert found["m0", "complete"]["calls"] == 1_000_000


async def test_somebody_of_a_team_is_told_of_that_team(database: Database) -> None:
    assert await database.read(metering.calls_by_outcome, []) == {}
    assert await database.read(metering.budgets_left, []) == 0
    assert await database.read(metering.waiting_slots, []) == {}
    assert await database.read(metering.monthly_left, [], "2026-01-01") == {}


@pytest.mark.parametrize("name", ["calls", "budget_left", "slots", "items_per_second"])
async def test_an_empty_workspace_has_figures_too(shop: Shop, name: str) -> None:
    assert getattr(await figures(shop.workspace), name) is not None
