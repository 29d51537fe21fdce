"""The use case *open batches*: from a run and its models to what drives its batches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from waremill.app.batching.allowing import batched
from waremill.calls import Caller, Endpoint
from waremill.calls.batching import Batching, BatchRules, Lane, Stock
from waremill.errors import ProviderError
from waremill.providers.batches import batch_price, open_batches
from waremill.runs.work import Ended
from waremill.settings import Settings
from waremill.store.runs import Run

MEGABYTE = 1_000_000
PATIENCE = 900.0
"""Seconds a cancelled run waits for its batches to end: OpenAI takes up to 600."""


def is_batched(run: Run) -> bool:
    """Say whether a run was ordered to go through batches."""
    return run.plan.get("mode") == "batch"


def rules_of(settings: Settings) -> BatchRules:
    """Give the rules a workspace's runs go through batches by."""
    batch = settings.batch
    return BatchRules(
        batch.requests, int(batch.megabytes * MEGABYTE), batch.poll, batch.retries, batch.then
    )


@asynccontextmanager
async def open_batching(
    settings: Settings,
    stock: Stock,
    caller: Caller,
    endpoints: Mapping[str, Endpoint],
    names: Iterable[str],
) -> AsyncIterator[Batching]:
    """Open the batches of the models a run calls; close their connections in the end."""
    lanes: dict[str, Lane] = {}
    for name in batched(settings, names):
        endpoint = endpoints[name]
        price = endpoint.price and batch_price(endpoint.model, endpoint.price)
        lanes[endpoint.model.alias] = Lane(endpoint, open_batches(endpoint.model), price)
    try:
        batching = Batching(stock, lanes, rules_of(settings), caller.spent.count)
        await batching.begin()
        yield batching
    finally:
        await asyncio.gather(*(lane.batches.aclose() for lane in lanes.values()))


async def wind_up(batching: Batching, ended: Ended) -> Ended:
    """Do what an ended run owes its batches.

    A finished run needs nothing of them any more. A cancelled one has them stopped at the vendor,
    and keeps what they did; a paused one leaves them there.
    """
    if ended.state == "done":
        await batching.finish()
    if ended.state != "cancelled":
        return ended
    try:
        left = await batching.cancel(PATIENCE)
    except ProviderError as error:
        return replace(ended, reason=f"{ended.reason}; its batches could not be stopped: {error}")
    if left:
        return replace(ended, reason=f"{ended.reason}; {left} of its batches have not ended yet")
    return ended
