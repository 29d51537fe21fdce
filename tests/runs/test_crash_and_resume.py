"""Crash anywhere, resume: nothing committed twice, the budget never exceeded."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, func, select
from tests.runs.working_process import CONFLICT, DONE, PAUSED, ending, kill, start_worker
from tests.workspaces import make_workspace, perfumes, vendor_process, vendor_stats, write_sheet

from waremill.app import open_workspace
from waremill.app.options import order_run
from waremill.runs.plan import plan_run
from waremill.store.runs import Run
from waremill.store.tables import answers, calls, items, results, runs

PRODUCTS = 30
CONCURRENCY = 6
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def vendor() -> Iterator[str]:
    with vendor_process("--latency", "0.02") as url:
        yield url


@dataclass(frozen=True)
class Story:
    """When the workers are killed, in answers of the vendor, and what may be spent in USD.

    With a `rival` a second process tries to work the run while the first one lives.
    """

    kills: tuple[int, ...]
    budget: float | None
    rival: bool


# One call costs about 0.00035 USD and reserves about 0.002, so a hundredth pauses some runs early.
stories = st.builds(
    Story,
    kills=st.lists(st.integers(0, PRODUCTS - 2), min_size=1, max_size=3).map(tuple),
    budget=st.sampled_from([None, 0.004, 0.008, 0.02, 0.2]),
    rival=st.booleans(),
)


async def plan(folder: Path, name: str, budget: float | None) -> Run:
    """Import fresh products and plan a run over them, without working it."""
    sheet = write_sheet(folder / f"{name}.csv", perfumes(PRODUCTS, name))
    async with open_workspace(folder) as workspace:
        await workspace.import_catalog([sheet], key="sku", catalog=name)
        options: Any = {"catalog": name, "budget": budget}
        prepared = await workspace._prepare("copy", options)
        order = order_run(workspace.settings, prepared, options, "run")
        return await plan_run(workspace.database, order)


def wait_for_answers(vendor: str, before: int, count: int, worker: Any) -> None:
    """Wait until the vendor gave so many more answers, or the worker ended."""
    limit = time.monotonic() + 20
    while time.monotonic() < limit and worker.is_alive():
        if sum(vendor_stats(vendor)["bodies_answered"].values()) - before >= count:
            return
        time.sleep(0.002)


def tell(story: Story, folder: Path, vendor: str, database_url: str) -> None:
    name = f"example{next(NUMBERS)}"
    run = asyncio.run(plan(folder, name, story.budget))
    before = Counter(vendor_stats(vendor)["bodies_answered"])
    for count in story.kills:
        worker = start_worker(folder, run.name)
        wait_for_answers(vendor, before.total(), count, worker)
        if story.rival and worker.is_alive() and has_owner(database_url, run):
            assert ending(start_worker(folder, run.name)) in (CONFLICT, DONE, PAUSED)
        kill(worker)
    ended = ending(start_worker(folder, run.name))
    check_budget(story, run, vendor, before, database_url)
    if ended == PAUSED:
        assert story.budget is not None
        asyncio.run(resume(folder, run, 1.0))
    else:
        assert ended == DONE
    check_whole(folder, run, vendor, before, len(story.kills), database_url)


def has_owner(database_url: str, run: Run) -> bool:
    """Whether the run has an owner, so that a rival meets somebody."""
    engine = create_engine(database_url)
    with engine.connect() as conn:
        owner = conn.execute(select(runs.c.owner).where(runs.c.id == run.id)).scalar()
    engine.dispose()
    return owner is not None


async def resume(folder: Path, run: Run, budget: float) -> None:
    async with open_workspace(folder) as workspace:
        status = await workspace.resume(run.name, budget=budget)
        assert status.state == "done", status


def check_budget(
    story: Story, run: Run, vendor: str, before: Counter[str], database_url: str
) -> None:
    """What the vendor charged, uncommitted replies included, is within the budget."""
    if story.budget is None:
        return
    answered = (Counter(vendor_stats(vendor)["bodies_answered"]) - before).total()
    engine = create_engine(database_url)
    with engine.connect() as conn:
        own = calls.c.run_id == run.id
        paid, least = conn.execute(
            select(func.coalesce(func.sum(calls.c.paid), 0), func.min(calls.c.paid)).where(own)
        ).one()
        drawn = conn.execute(select(runs.c.drawn).where(runs.c.id == run.id)).scalar_one()
    engine.dispose()
    assert paid <= drawn <= story.budget * 1e9
    assert answered * (least or 0) <= story.budget * 1e9


def check_whole(
    folder: Path, run: Run, vendor: str, before: Counter[str], kills: int, database_url: str
) -> None:
    """Every item has one final state and its results once; repeated calls were in flight."""
    engine = create_engine(database_url)
    with engine.connect() as conn:
        states = conn.execute(select(items.c.id, items.c.state).where(items.c.run_id == run.id))
        found = {row.id: row.state for row in states}
        made = Counter(
            conn.execute(select(results.c.item_id).where(results.c.item_id.in_(found))).scalars()
        )
        complete = (calls.c.run_id == run.id, calls.c.outcome == "complete")
        ledger = Counter(conn.execute(select(calls.c.request_hash).where(*complete)).scalars())
        hashes = Counter(
            conn.execute(select(answers.c.hash).where(answers.c.hash.in_(ledger))).scalars()
        )
    engine.dispose()
    assert len(found) == PRODUCTS
    assert set(found.values()) == {"ready"}
    assert made == dict.fromkeys(found, 1)
    assert set(ledger.values()) == {1}, "an answer was entered in the ledger twice"
    assert hashes == dict.fromkeys(ledger, 1)
    answered = Counter(vendor_stats(vendor)["bodies_answered"]) - before
    assert len(answered) == PRODUCTS
    assert max(answered.values()) <= 1 + kills
    assert answered.total() - PRODUCTS <= CONCURRENCY * kills
    out = folder / f"{run.name}.jsonl"
    asyncio.run(export(folder, run, out))
    keys = [orjson.loads(line)["sku"] for line in out.read_text("utf-8").splitlines()]
    assert sorted(keys) == [row["sku"] for row in perfumes(PRODUCTS)]


async def export(folder: Path, run: Run, out: Path) -> None:
    async with open_workspace(folder) as workspace:
        await workspace.export(run.name, out)


def test_a_run_killed_at_any_moment_ends_with_everything_once(
    tmp_path: Path, vendor: str, database_url: str
) -> None:
    folder = make_workspace(
        tmp_path / "workspace", vendor, database=database_url, concurrency=CONCURRENCY
    )

    @settings(
        max_examples=10, deadline=None, derandomize=True, database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )  # fmt: skip
    @given(stories)
    def crash(story: Story) -> None:
        tell(story, folder, vendor, database_url)

    crash()
