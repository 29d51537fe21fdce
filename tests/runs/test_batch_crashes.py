"""Kill a worker at any point of a batch's life: whoever resumes pays for nothing twice."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, func, select
from tests.runs.working_process import DONE, ending, start_worker
from tests.vendor import Vendor
from tests.vendor_batches import BatchFaults
from tests.workspaces import PRICE, make_workspace, perfumes, write_sheet

from waremill.app import open_workspace
from waremill.app.options import order_run
from waremill.runs.plan import plan_run
from waremill.store.runs import Run
from waremill.store.tables import answers, calls, items
from waremill.store.tables_batches import batches

PRODUCTS = 9
NUMBERS = itertools.count()
BATCH = "[batch]\npoll = 0.02\nrequests = 5\n"


@dataclass(frozen=True)
class Kill:
    """At which request about files and batches a worker is killed: before the vendor acts on it,
    or after it did and before, or some milliseconds after, the reply goes out.
    """

    request: int
    when: str
    later: int


@dataclass(frozen=True)
class Story:
    """What happens to one run: by which protocol, who is killed when, what the vendor does."""

    protocol: str
    kills: tuple[Kill, ...]
    faults: BatchFaults


kills = st.builds(
    Kill, st.integers(1, 10), st.sampled_from(["before", "after"]), st.sampled_from([0, 0, 4, 15])
)
faults = st.builds(
    BatchFaults,
    seconds=st.sampled_from([0.0, 0.05]),
    submits=st.lists(st.sampled_from(["lost", "500", "429", "ok"]), max_size=2),
    expired=st.integers(0, 1),
    cut=st.integers(0, 1),
)
stories = st.builds(
    Story,
    protocol=st.sampled_from(["openai", "anthropic"]),
    kills=st.lists(kills, min_size=1, max_size=3).map(tuple),
    faults=faults,
)


async def plan(folder: Path, name: str) -> Run:
    """Import fresh products and plan a run in batches over them."""
    sheet = write_sheet(folder / f"{name}.csv", perfumes(PRODUCTS, name))
    async with open_workspace(folder) as workspace:
        await workspace.import_catalog([sheet], key="sku", catalog=name)
        options: Any = {"catalog": name, "mode": "batch", "budget": 5.0}
        prepared = await workspace._prepare("copy", options)
        return await plan_run(
            workspace.database, order_run(workspace.settings, prepared, options, "run")
        )


def strike(vendor: Vendor, pid: int, kill: Kill) -> None:
    """Have a process killed when the vendor has its so-manieth request."""
    first = vendor.desk.requests

    def watch(when: str, number: int) -> None:
        if number - first == kill.request and when == kill.when:
            if kill.later:
                asyncio.get_running_loop().call_later(
                    kill.later / 1000, os.kill, pid, signal.SIGKILL
                )
            else:
                os.kill(pid, signal.SIGKILL)

    vendor.desk.watch = watch


async def tell(story: Story, folder: Path, database_url: str) -> None:
    given = replace(story.faults, submits=list(story.faults.submits))
    async with Vendor(batches=given) as vendor:
        make_workspace(folder, vendor.url, database=database_url, model=f"{PRICE}\n{BATCH}")
        text = (folder / "waremill.toml").read_text(encoding="utf-8")
        text = text.replace("openai:test-model", f"{story.protocol}:test-model")
        (folder / "waremill.toml").write_text(text, encoding="utf-8")
        run = await plan(folder, f"example{next(NUMBERS)}")
        for kill in story.kills:
            worker = start_worker(folder, run.name)
            assert worker.pid is not None
            strike(vendor, worker.pid, kill)
            await asyncio.to_thread(worker.join, 30)
            assert worker.exitcode is not None, "the worker hangs"
        vendor.desk.watch = None
        last = start_worker(folder, run.name)
        code = await asyncio.to_thread(ending, last)
        assert code in (DONE, 12)  # 12: an earlier one ended before its kill
        stats = vendor.stats()
    assert stats["answered"] == {"1": PRODUCTS}, stats
    check(run, database_url)


def check(run: Run, database_url: str) -> None:
    """Every item ended once, and the ledger has each answer once at half its price."""
    engine = create_engine(database_url)
    with engine.connect() as conn:
        mine = items.c.run_id == run.id
        states = conn.execute(select(items.c.state, func.count()).where(mine).group_by("state"))
        assert dict(tuple(row) for row in states) == {"ready": PRODUCTS}
        good = (calls.c.run_id == run.id) & (calls.c.outcome == "complete")
        hashes = conn.execute(select(calls.c.request_hash).where(good)).scalars().all()
        assert len(hashes) == len(set(hashes)) == PRODUCTS
        found = conn.execute(select(func.count()).where(answers.c.hash.in_(hashes))).scalar()
        assert found == PRODUCTS
        paid = conn.execute(select(func.sum(calls.c.paid)).where(good)).scalar()
        assert paid == conn.execute(select(func.sum(items.c.paid)).where(mine)).scalar()
        own = (batches.c.run_id == run.id) & (batches.c.state != "settled")
        assert conn.execute(select(func.count()).where(own)).scalar() == 0
    engine.dispose()


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("request_number", [1, 2, 3, 5])
async def test_a_worker_killed_at_any_request_is_replaced_without_paying_twice(
    protocol: str, when: str, request_number: int, tmp_path: Path
) -> None:
    story = Story(protocol, (Kill(request_number, when, 0),), BatchFaults())
    await tell(story, tmp_path, f"sqlite:///{tmp_path}/waremill.db")


@given(story=stories)
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_crashes_and_a_vendor_s_faults_together_cost_nothing_twice(
    story: Story, tmp_path: Path, database_url: str
) -> None:
    asyncio.run(tell(story, tmp_path, database_url))
