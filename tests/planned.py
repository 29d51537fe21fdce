"""Planned runs for the store's and the engine's tests, made without a workspace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, select

from waremill.pipeline import Pipeline, StepSettings
from waremill.runs.plan import Choice, Order, plan_run
from waremill.store import products as store_products
from waremill.store import runs as store_runs
from waremill.store.database import Database
from waremill.store.products import Catalog, Counts, NewProduct
from waremill.store.runs import Run
from waremill.store.tables import current, items, results

OWNER = "test-host:1:1"


async def stock(
    database: Database, rows: Sequence[Mapping[str, Any]], *, group: str | None = None
) -> Catalog:
    """Put products into the only catalogue; rows are keyed by `sku`."""
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    wanted = Catalog(0, "stock", "sku", group, columns)
    catalog = await database.write(store_products.save_catalog, wanted)
    fresh = [
        NewProduct(str(row["sku"]), row.get(group) if group else None, n, dict(row))
        for n, row in enumerate(rows)
    ]
    counts = Counts()
    await database.write(store_products.upsert, catalog, columns, fresh, counts)
    return catalog


def plain(count: int) -> list[dict[str, Any]]:
    """Rows of so many products."""
    return [{"sku": f"P{n:03}", "name": f"Eau number {n}"} for n in range(count)]


async def planned(
    database: Database,
    rows: Sequence[Mapping[str, Any]] | int = 3,
    *,
    targets: tuple[str, ...] = ("",),
    instruction: str = "Write.",
    groups: bool = False,
    **order: Any,
) -> Run:
    """Plan a run over rows (or so many plain products); `order` goes into the run's order."""
    rows = plain(rows) if isinstance(rows, int) else rows
    catalog = await stock(database, rows, group="spu" if groups else None)
    step = StepSettings("generate", "copy", {}, per="group" if groups else "target")
    made = Order(
        kind="run", pipeline=Pipeline("copy", (step,)), files={"templates/copy.yaml": instruction},
        templates={"copy": "v1"}, choice=Choice(catalog), targets=targets,
        models={"default": "test"}, plan={"params": {}, "columns": catalog.columns}, **order,
    )  # fmt: skip
    return await plan_run(database, made)


async def claimed(database: Database, run: Run, owner: str = OWNER) -> Run:
    """Claim a run."""
    return await database.write(store_runs.claim, run.id, owner)


async def item_rows(database: Database, run: Run) -> list[Any]:
    """A run's items in order."""
    query = select(items).where(items.c.run_id == run.id).order_by(items.c.id)
    return list(await database.read(lambda conn: conn.execute(query).all()))


async def item_states(database: Database, run: Run) -> list[str]:
    """The states of a run's items in order."""
    return [row.state for row in await item_rows(database, run)]


def current_values(conn: Connection, product_id: int, target: str) -> dict[str, Any]:
    """Give a product's newest fields for a target."""
    query = (
        select(current.c.field, results.c["values"])
        .join(results, results.c.id == current.c.result_id)
        .where(current.c.product_id == product_id, current.c.target == target)
    )
    return {name: orjson.loads(values)[name] for name, values in conn.execute(query)}
