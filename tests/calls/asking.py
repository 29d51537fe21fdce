"""A caller over a real journal and the loopback vendor."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import select
from tests.planned import claimed, planned
from tests.vendor import Vendor

from waremill.calls import Caller, Endpoint
from waremill.calls.budget import Budget
from waremill.calls.caller import Sender
from waremill.calls.limiter import Limiter
from waremill.calls.rate import Rate
from waremill.domain import Chat, ImageRequest, Message, Model, Price
from waremill.providers import open_provider
from waremill.runs.files import RunFiles
from waremill.store import runs as store_runs
from waremill.store.assets import Assets
from waremill.store.database import Database
from waremill.store.journal import Journal
from waremill.store.limits import draw_rate
from waremill.store.runs import Run
from waremill.store.tables import calls
from waremill.store.workers import Hold

PRICE = Price(1_000_000_000, 1_000_000_000)
"""One USD a million tokens each way: 1,000 nano-USD a token."""


def chat(text: str = "name: Eau", **fields: Any) -> Chat:
    """A request without a schema."""
    return Chat((Message("system", "Write."), Message("user", text)), 100, **fields)


def no_wait(_attempt: int) -> float:
    """Retry at once."""
    return 0.0


async def had(vendor: Vendor, calls: int) -> None:
    """Wait until the vendor has had so many calls."""
    while vendor.calls < calls:  # noqa: ASYNC110  it lives in this loop and has no event to wait for
        await asyncio.sleep(0.01)


def files(database: Database, journal: Journal, folder: Path) -> RunFiles:
    """A run's files, kept in a folder; what products name is read from there too."""

    async def bring(source: str) -> tuple[bytes, str]:
        return (folder / source).read_bytes(), "image/png"

    return RunFiles(database, journal, Assets(str(folder)), bring, ThreadPoolExecutor(2), 2)


class Desk:
    """A run with a caller; `models` are alias to (base URL, settings of the model)."""

    def __init__(self, database: Database, run: Run) -> None:
        self.database, self.run = database, run
        self.endpoints: dict[str, Endpoint] = {}
        self.caller: Caller

    def sender(self, item: int = 1) -> Sender:
        return Sender(self.run.id, item, "copy")

    async def ask(
        self, request: Chat | ImageRequest | None = None, alias: str = "main", item: int = 1
    ) -> Any:
        return await self.caller.call(request or chat(), alias, self.sender(item))

    async def ledger(self) -> list[Any]:
        query = select(calls).order_by(calls.c.id)
        return list(await self.database.read(lambda conn: conn.execute(query).all()))

    @property
    def files(self) -> RunFiles:
        """Files for steps that hardly use them."""
        return files(self.database, self.caller._journal, Path(tempfile.gettempdir()) / "unused")

    async def row(self) -> Run:
        return await self.database.read(store_runs.get_run, self.run.id)


@asynccontextmanager
async def desk(
    database: Database,
    *models: Model,
    budget: int | None = None,
    price: Price | None = PRICE,
    most: int = 8,
    wait: Callable[[int], float] = no_wait,
    run: Run | None = None,
    assets: Assets | None = None,
) -> AsyncIterator[Desk]:
    """Open a desk; a fresh run is planned and claimed unless one is given."""
    run = run or await claimed(database, await planned(database, 1, budget=budget))
    made = Desk(database, run)
    for model in models:

        async def draw(requests: float, tokens: float, name: str = model.alias) -> float:
            return await database.write(draw_rate, name, requests, tokens, 1.0)

        made.endpoints[model.alias] = Endpoint(
            model, open_provider(model), price, Limiter(model.concurrency or most, time.monotonic),
            Rate(model.rpm, model.tpm, draw),
        )  # fmt: skip

    async def draw_money(amount: int) -> bool:
        return await database.write(store_runs.draw, run, amount)

    purse = Budget(budget, draw_money) if budget is not None else None
    journal = Journal(database, run)
    made.caller = Caller(made.endpoints, journal, purse, wait=wait, assets=assets)
    try:
        yield made
        if journal.lost is None:
            await journal.committed()
    finally:
        for endpoint in made.endpoints.values():
            await endpoint.provider.aclose()
        if purse is not None:
            await database.write(Hold(run).give_back, 1, purse.unspent())
            await database.write(store_runs.release, run, "paused", None, 0.0)


def model(url: str, alias: str = "main", **fields: Any) -> Model:
    """A model at the loopback vendor."""
    return Model(alias, f"openai:{alias}", (url,), ("sk-test",), **fields)
