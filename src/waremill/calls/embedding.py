"""Vectors of texts: those that are kept, and the missing ones from a model.

`Kept` stands before any embedder and asks it only for what nobody asked it before. `Hosted` is an
embedder behind a network: its calls go through budget, rate and retries, and into the ledger, as
every call does. Vectors are no answers: they are kept by model and text.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from waremill.calls.budget import Budget
from waremill.calls.caller import (
    ATTEMPTS,
    FIRST_WAIT,
    LONGEST_WAIT,
    OUTCOMES,
    Sender,
    error_was_sent,
)
from waremill.calls.limiter import Limiter
from waremill.calls.rate import Rate
from waremill.calls.request import canonical_embed, request_hash
from waremill.domain import Embed, Embedded, Model, Price, Usage
from waremill.errors import ConfigError, ProviderError, RateLimited, Transient
from waremill.store import vectors as store_vectors
from waremill.store.database import Database
from waremill.store.journal import Journal, Record

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[numpy.float32]

Purpose: TypeAlias = Literal["query", "passage"]
AT_ONCE = 4
"""Requests for vectors in flight for one call of `embed`."""
LOOKED_UP = 2_000
"""Texts that are looked up, and then embedded, at once."""


class Embeds(Protocol):
    """What gives vectors of unit length, near or far."""

    @property
    def identity(self) -> str:
        """What makes vectors comparable."""

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> Vectors:
        """Give a float32 array of shape (texts, dimensions), each row of unit length."""

    async def aclose(self) -> None:
        """Free what is held."""


class Endpoint(Protocol):
    """A model's embeddings endpoint; calling it sends one request once."""

    most_texts: int
    most_characters: int

    @property
    def identity(self) -> str:
        """What is hashed into a request."""

    async def __call__(self, request: Embed) -> Embedded:
        """Send one request; raise a `ProviderError` for whatever goes wrong outside."""

    async def aclose(self) -> None:
        """Close connections."""


class Kept:
    """An embedder whose vectors are kept in the database, each made once."""

    def __init__(self, embedder: Embeds, database: Database) -> None:
        self._embedder = embedder
        self._database = database

    @property
    def identity(self) -> str:
        """The embedder's own."""
        return self._embedder.identity

    @property
    def dimensions(self) -> int:
        """The embedder's own."""
        return self._embedder.dimensions

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> Vectors:
        """Give the vectors of texts; a query's is not kept, for hardly one is asked twice."""
        import numpy

        if purpose == "query":
            return await self._embedder.embed(texts, purpose)
        found = numpy.empty((len(texts), self.dimensions), dtype=numpy.float32)
        for start in range(0, len(texts), LOOKED_UP):
            await self._fill(texts[start : start + LOOKED_UP], found[start : start + LOOKED_UP])
        return found

    async def _fill(self, texts: Sequence[str], into: Vectors) -> None:
        import numpy

        keys = [store_vectors.key_of(self.identity, text) for text in texts]
        known = await self._database.read(store_vectors.find, keys)
        missing: dict[bytes, int] = {}
        for place, key in enumerate(keys):
            if (content := known.get(key)) is not None:
                into[place] = numpy.frombuffer(content, dtype="<f4")
            else:
                missing.setdefault(key, place)
        if not missing:
            return
        made = await self._embedder.embed([texts[place] for place in missing.values()], "passage")
        for row, key in zip(made, missing, strict=True):
            known[key] = row.astype("<f4").tobytes()
        rows = [(key, self.identity, known[key]) for key in missing]
        await self._database.write(store_vectors.save, rows)
        for place, key in enumerate(keys):
            if key in missing:
                into[place] = numpy.frombuffer(known[key], dtype="<f4")

    async def aclose(self) -> None:
        """Free what the embedder holds."""
        await self._embedder.aclose()


@dataclass(frozen=True, slots=True)
class Account:
    """What calls for vectors are paid and counted with; `price` None means unknown, not free."""

    model: Model
    price: Price | None
    limiter: Limiter
    rate: Rate
    journal: Journal
    budget: Budget | None
    sender: Sender


class Hosted:
    """An embedder behind a network; see `Embeds`."""

    def __init__(self, endpoint: Endpoint, account: Account, dimensions: int) -> None:
        self._endpoint = endpoint
        self._account = account
        self._dimensions = dimensions

    @property
    def identity(self) -> str:
        """The endpoint's own."""
        return self._endpoint.identity

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""
        return self._dimensions

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> Vectors:
        """Give the vectors of texts; raise what a call raises.

        Texts go out in batches, some at a time; a batch that came is in the ledger whatever becomes
        of the others.
        """
        import numpy

        found = numpy.empty((len(texts), self._dimensions), dtype=numpy.float32)
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(places: range) -> None:
            async with slots:
                request = Embed(tuple(texts[place] for place in places), purpose)
                made = await self._ask(request)
            if made.dimensions != self._dimensions:
                raise ConfigError(
                    f"the model “{self._account.model.alias}” gives vectors of {made.dimensions}"
                    f" numbers and gave {self._dimensions} before; was it changed?"
                )
            rows = numpy.frombuffer(made.vectors, dtype="<f4").reshape(-1, self._dimensions)
            lengths = numpy.linalg.norm(rows, axis=1, keepdims=True)
            found[places.start : places.stop] = rows / numpy.maximum(lengths, 1e-12)

        try:
            async with asyncio.TaskGroup() as group:
                for places in self._batches(texts):
                    group.create_task(one(places))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
        await self._account.journal.committed()
        return found

    async def probe(self, text: str) -> bytes:
        """Give one text's vector as it is kept, whatever its length."""
        import numpy

        made = await self._ask(Embed((text,)))
        await self._account.journal.committed()
        row = numpy.frombuffer(made.vectors, dtype="<f4")
        unit: bytes = (row / max(float(numpy.linalg.norm(row)), 1e-12)).astype("<f4").tobytes()
        return unit

    def _batches(self, texts: Sequence[str]) -> Iterator[range]:
        start, size = 0, 0
        for place, text in enumerate(texts):
            full = place - start == self._endpoint.most_texts
            if place > start and (full or size + len(text) > self._endpoint.most_characters):
                yield range(start, place)
                start, size = place, 0
            size += len(text)
        if start < len(texts):
            yield range(start, len(texts))

    async def _ask(self, request: Embed) -> Embedded:
        account = self._account
        body = canonical_embed(request)
        digest = request_hash(self._endpoint.identity, body)
        most = self._reservation(len(body))
        for attempt in range(1, ATTEMPTS + 1):
            if account.budget is not None:
                await account.budget.reserve(most)
            kept = most
            try:
                waited = await account.rate.take(len(body))
                started = await account.limiter.acquire()
                wall = time.time()
                try:
                    made = await self._endpoint(request)
                except ProviderError as error:
                    free = self._failed(error, started)
                    kept = most if free else 0
                    self._note(digest, attempt, wall, {
                        "outcome": OUTCOMES.get(type(error), "unavailable"),
                        "status": error.status, "request_id": error.request_id,
                        "error": str(error)[:500].replace("\x00", "\ufffd"),
                        "paid": 0 if free else None, "waited": waited,
                    })  # fmt: skip
                    if not isinstance(error, Transient) or attempt == ATTEMPTS:
                        raise
                    pause = _pause(error, attempt)
                except BaseException:
                    account.limiter.left()
                    broken = {"outcome": "cancelled", "paid": None, "waited": waited}
                    self._note(digest, attempt, wall, broken)
                    kept = 0
                    raise
                else:
                    account.limiter.succeeded(time.time() - wall, 0)
                    account.rate.settle(len(body), made.usage.input)
                    cost = account.price.cost(made.usage) if account.price else None
                    kept = most - (cost or 0)
                    self._note(digest, attempt, wall, {
                        "outcome": "complete", "status": 200, "request_id": made.request_id,
                        "input": made.usage.input, "paid": cost, "list_cost": cost,
                        "waited": waited,
                    })  # fmt: skip
                    return made
            finally:
                if account.budget is not None:
                    account.budget.settle(most, most - kept)
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _reservation(self, size: int) -> int:
        """Give what a request of so many bytes can cost at most, in nano-USD."""
        account = self._account
        if account.budget is None:
            return 0
        if account.price is None:
            raise ConfigError(
                f"the price of “{account.model.alias}” is unknown, so the budget cannot be "
                "kept; give it in waremill.toml"
            )
        return account.price.cost(Usage(size))

    def _failed(self, error: ProviderError, started: float) -> bool:
        """Tell the limiter of a failure; say whether the attempt certainly costs nothing."""
        if isinstance(error, RateLimited):
            self._account.limiter.rate_limited(started, error.retry_after)
        elif isinstance(error, Transient):
            self._account.limiter.unavailable()
        else:
            self._account.limiter.left()
        refused = error.status is not None and error.status != 200
        return refused or not error_was_sent(error)

    def _note(self, digest: bytes, attempt: int, wall: float, values: Record) -> None:
        sender = self._account.sender
        row: dict[str, Any] = {
            "run_id": sender.run_id, "item_id": sender.item_id, "step": sender.step,
            "target": sender.target, "model": self._account.model.alias, "request_hash": digest,
            "attempt": attempt, "status": None, "request_id": None, "latency": time.time() - wall,
            "input": 0, "cached": 0, "output": 0, "reasoning": 0, "paid": None, "list_cost": None,
            "error": None, "started_at": wall,
        }  # fmt: skip
        self._account.journal.add("calls", [{**row, **values}])

    async def aclose(self) -> None:
        """Close the endpoint's connections."""
        await self._endpoint.aclose()


def _pause(error: ProviderError, attempt: int) -> float:
    """Give the seconds to wait: exponential with full jitter, or what the vendor asked for."""
    pause = random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2**attempt))
    asked = getattr(error, "retry_after", None)
    return pause if asked is None else max(pause, min(float(asked), 120.0))
