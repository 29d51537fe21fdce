"""What batches are made with: a model's way to its vendor, the rules of a run, what is at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from waremill.calls.assets import Assets
from waremill.calls.budget import Budget
from waremill.calls.caller import Endpoint
from waremill.domain import Price
from waremill.providers.batches import Batches
from waremill.store.database import Database
from waremill.store.journal import Journal
from waremill.store.runs import Run


@dataclass(frozen=True, slots=True)
class BatchRules:
    """How a run goes through batches; see `[batch]` in the settings.

    `requests` and `size` (bytes) bound a batch below the vendor's limits. `poll` seconds lie
    between two looks at most. `retries` further batches take what one left unanswered; `then` it
    is sent live or fails.
    """

    requests: int = 50_000
    size: int = 100_000_000
    poll: float = 60.0
    retries: int = 2
    then: Literal["live", "fail"] = "live"


@dataclass(slots=True)
class Lane:
    """One model whose calls go into batches: how it is called, its batches, and their price.

    No batch is begun until `rests_until` (monotonic clock); `rest` is how long the last wait was.
    """

    endpoint: Endpoint
    batches: Batches
    price: Price | None
    rests_until: float = 0.0
    rest: float = 0.0

    @property
    def name(self) -> str:
        """The model's alias."""
        return self.endpoint.model.alias


@dataclass(frozen=True, slots=True)
class Stock:
    """What batching works with: the store, the run, money, pictures."""

    database: Database
    run: Run
    journal: Journal
    budget: Budget | None = None
    assets: Assets | None = None
