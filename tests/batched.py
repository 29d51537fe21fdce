"""Runs through the loopback vendor's batches, made without a workspace."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from tests.calls.asking import PRICE, Desk, desk
from tests.planned import claimed, item_states, planned
from tests.vendor import Vendor

from waremill.calls.batching import Batching, BatchRules, Lane, Stock
from waremill.domain import Chat, Item, Message, Model, Price
from waremill.pipeline import BoundStep
from waremill.providers.batches import batch_price, open_batches
from waremill.runs.work import Ended, Worker, WorkLimits
from waremill.store import runs as store_runs
from waremill.store.database import Database
from waremill.store.runs import Run
from waremill.store.tables import answers, calls, items
from waremill.store.tables_batches import batch_requests, batch_waiters, batches

RULES = BatchRules(poll=0.02)


def model(vendor: Vendor, protocol: str = "openai", alias: str = "main", **fields: Any) -> Model:
    """A model with batches at the loopback vendor."""
    return Model(alias, f"{protocol}:{alias}", (vendor.url,), ("sk-test",), **fields)


async def write(item: Item, ctx: Any) -> dict[str, Any]:
    """Ask for one text about the product."""
    text = f"name: {item.product.attributes['name']} {item.target or ''}"
    answer = await ctx.call(item, Chat((Message("user", text),), 50), "main")
    return {"title": answer.response.text}


async def translate(item: Item, ctx: Any) -> dict[str, Any]:
    """Ask again, with what the first step made."""
    text = f"translate: {item.fields['title']} of {item.product.key}"
    answer = await ctx.call(item, Chat((Message("user", text),), 50), "main")
    return {"body": answer.response.text}


def steps(*functions: Any) -> tuple[BoundStep, ...]:
    """Bind steps."""
    return tuple(
        BoundStep(one.__name__, "generate", "target", one) for one in functions or (write,)
    )


@dataclass
class Batched:
    """A claimed run whose calls go into batches."""

    desk: Desk
    worker: Worker
    batching: Batching

    async def work(self) -> Ended:
        """Work to an end, as the use case does."""
        ended = await self.worker.work(grace=2.0)
        if ended.state == "done":
            await self.batching.finish()
        if ended.state == "cancelled":
            await self.batching.cancel(5.0)
        return ended


@asynccontextmanager
async def batched(
    database: Database,
    run: Run,
    *models: Model,
    rules: BatchRules = RULES,
    price: Price | None = PRICE,
    work: tuple[BoundStep, ...] = (),
) -> AsyncIterator[Batched]:
    """Open a worker over a claimed run."""
    async with desk(database, *models, run=run, budget=run.budget, price=price) as one:
        lanes = {}
        for name, endpoint in one.endpoints.items():
            if endpoint.model.vendor in ("openai", "anthropic", "dashscope"):
                own = price and batch_price(endpoint.model, price)
                lanes[name] = Lane(endpoint, open_batches(endpoint.model), own)
        journal = one.caller._journal
        stock = Stock(database, run, journal, one.caller._budget)
        batching = Batching(stock, lanes, rules, one.caller.spent.count)
        worker = Worker(
            database, run, journal, one.caller, work or steps(), one.files, WorkLimits(8)
        )
        worker.batch(batching)
        try:
            await batching.begin()
            yield Batched(one, worker, batching)
        finally:
            for lane in lanes.values():
                await lane.batches.aclose()


async def start(database: Database, count: int = 12, **more: Any) -> Run:
    """Plan a run over so many products and claim it."""
    return await claimed(database, await planned(database, count, **more))


async def again(database: Database, run: Run) -> Run:
    """Claim a run whose worker is gone."""
    now = await database.read(store_runs.get_run, run.id)
    if now.owner is not None:
        await database.write(store_runs.release, now, "paused", None, 0.0)
    return await claimed(database, now)


async def states(database: Database, run: Run) -> Counter[str]:
    """Count a run's items by state."""
    return Counter(await item_states(database, run))


@dataclass(frozen=True)
class Left:
    """What a database holds of batches, and what a run paid; money in nano-USD."""

    requests: int
    waiters: int
    opened: int
    batches: int
    paid: int
    listed: int
    item_paid: int
    answers: int


async def left(database: Database, run: Run) -> Left:
    """Look at what is left of a run's batches."""

    def read(conn: Any) -> Left:
        def one(query: Any) -> int:
            return int(conn.execute(query).scalar() or 0)

        count = func.count()
        good = calls.c.outcome == "complete"
        return Left(
            one(select(count).select_from(batch_requests)),
            one(select(count).select_from(batch_waiters)),
            one(select(count).select_from(batches).where(batches.c.state != "settled")),
            one(select(count).select_from(batches)),
            one(select(func.sum(calls.c.paid)).where(calls.c.run_id == run.id)),
            one(select(func.sum(calls.c.list_cost)).where(calls.c.run_id == run.id, good)),
            one(select(func.sum(items.c.paid)).where(items.c.run_id == run.id)),
            one(select(count).select_from(answers)),
        )

    return await database.read(read)
