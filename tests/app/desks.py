"""A workspace with a run whose results are written as a worker writes them, without a vendor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import select
from tests.planned import OWNER
from tests.workspaces import make_workspace, write_sheet

import waremill as library
from waremill.app import Workspace
from waremill.app.acting import Actor
from waremill.app.options import order_run
from waremill.app.reviewing import ReviewDesk
from waremill.checks import near_duplicates
from waremill.domain import Finding
from waremill.runs.plan import plan_run
from waremill.store import runs as store_runs
from waremill.store.journal import Journal, finding_rows, result_row
from waremill.store.runs import Run
from waremill.store.tables import dumps, items

TEMPLATE = """\
name: copy
instruction: Write a title and points.
input:
  - name: {required: true}
  - brand
  - volume
output:
  title: {type: string, max_chars: 60}
  points: {type: array, items: {type: string, max_chars: 80}, min: 1, max: 3}
  weight: {type: number, required: false}
checks: [grounded-numbers, no-urls]
"""
ANN, BOB = Actor("Ann", {1: "reviewer"}), Actor("Bob", {1: "reviewer"})
VIEWER, STRANGER = Actor("Vic", {1: "viewer"}), Actor("Sue", {2: "admin"})
INVENTED = Finding("title", "grounded-numbers", "error", "500 stands nowhere", "500")


def rows(count: int) -> list[dict[str, str]]:
    """Products: two brands by turns, a category of their own each."""
    return [
        {"sku": f"P{n:03}", "name": f"Eau {n}", "brand": f"House {n % 2}", "volume": "50 ml",
         "title": "An old title"}
        for n in range(count)
    ]  # fmt: skip


@asynccontextmanager
async def desk_workspace(
    folder: Path, url: str, count: int = 4, products: Sequence[Mapping[str, Any]] | None = None
) -> AsyncIterator[Workspace]:
    """Open a workspace with so many products and no run yet."""
    files = {"templates/copy.yaml": TEMPLATE}
    make_workspace(folder / "shop", "http://127.0.0.1:9/v1", database=url, files=files)
    sheet = write_sheet(folder / "stock.csv", products or rows(count))
    async with library.open(folder / "shop") as workspace:
        await workspace.import_catalog([sheet], key="sku")
        yield workspace


async def finished_run(
    workspace: Workspace, *, title: str = "Eau {n} 50 ml", every: int = 2, **options: Any
) -> Run:
    """Plan a run of all products and finish it: each `every`-th item (from 0) with a finding.

    Items that took over from an earlier run stay as they are.
    """
    prepared = await workspace._prepare("copy", options, "run")  # type: ignore[arg-type]
    order = order_run(workspace.settings, prepared, options, "run")  # type: ignore[arg-type]
    database = workspace.database
    run = await plan_run(database, order)
    run = await database.write(store_runs.claim, run.id, OWNER)
    journal = Journal(database, run)
    for n, row in enumerate(await item_rows(workspace, run)):
        if row.state != "pending":
            continue
        bad = n % every == 0
        text = title.format(n=n) if not bad else "Eau 500 ml"
        found = [INVENTED] if bad else []
        values = {"title": text, "points": ["A bottle", "of 50 ml"], "weight": None}
        objections = dumps([one.as_json() for one in found]) if found else None
        provenance = dumps({"template": "copy", "version": "v1", "model": "m", "answers": ["ab"]})
        place = (row.id, row.product_id, row.target)
        journal.add("results", [
            result_row(place, "copy", values, findings=objections, provenance=provenance)
        ])  # fmt: skip
        journal.add("findings", finding_rows(run.id, row.id, found))
        journal.add("items", [
            {"b_id": row.id, "state": "review" if bad else "ready", "attempts": 1,
             "findings": len(found), "paid": 5, "list_cost": 7, "latency": 0.5, "error": None}
        ])  # fmt: skip
    await journal.committed()
    await database.write(store_runs.release, run, "done", None, 1.0)
    return await database.read(store_runs.get_run, run.id)


async def signed(workspace: Workspace, run: Run, item_ids: Sequence[int], text: str) -> None:
    """File one text as the title of several items, as the near-duplicate check does."""
    run = await workspace.database.write(
        lambda conn: (
            store_runs.set_run(conn, run.id, {"state": "paused"})
            or store_runs.claim(conn, run.id, OWNER)
        )
    )
    journal = Journal(workspace.database, run)
    signature = near_duplicates.signature(text)
    for item_id in item_ids:
        journal.add("signatures", [
            {"item_id": item_id, "field": "title", "request": 0, "signature": signature}
        ])  # fmt: skip
        journal.add("bands", [
            {"field": "title", "band": band, "item_id": item_id}
            for band in near_duplicates.bands(signature)
        ])  # fmt: skip
    await journal.committed()
    await workspace.database.write(store_runs.release, run, "done", None, 1.0)


async def item_rows(workspace: Workspace, run: Run) -> list[Any]:
    """A run's items in order."""
    query = select(items).where(items.c.run_id == run.id).order_by(items.c.id)
    return list(await workspace.database.read(lambda conn: conn.execute(query).all()))


async def states(workspace: Workspace, run: Run) -> list[str]:
    """The states of a run's items in order."""
    return [row.state for row in await item_rows(workspace, run)]


async def ids(workspace: Workspace, run: Run) -> list[int]:
    """The ids of a run's items in order."""
    return [row.id for row in await item_rows(workspace, run)]


def desk(workspace: Workspace, actor: Actor = ANN) -> ReviewDesk:
    """The desk of somebody."""
    return ReviewDesk(workspace.acting(actor))
