"""Make a call: from a request to a committed answer."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from waremill.calls.assets import IN_BODY, Assets, filled, is_plain, require, stored
from waremill.calls.budget import Budget
from waremill.calls.envelope import CALLS, sealed, unsealed
from waremill.calls.limiter import Limiter
from waremill.calls.rate import Rate
from waremill.calls.request import canonical, configured, request_hash
from waremill.domain import (
    Answer,
    Chat,
    Emit,
    ImageRequest,
    Model,
    Price,
    Provider,
    Response,
    Usage,
    storable,
)
from waremill.errors import (
    AccessDenied,
    ConfigError,
    LimitReached,
    ProviderError,
    RateLimited,
    Refused,
    Rejected,
    Transient,
    Unavailable,
    UserError,
)
from waremill.store.journal import Journal, Record

ATTEMPTS = 6
"""Attempts of one request on one model before the next fallback."""
FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
PICTURE_TOKENS = 8_192
"""What a picture to look at is reserved as; it is settled to what the vendor counts. Vendors count
85 to some 6,000 for one (OpenAI, Anthropic, Google: their pages on vision, read 2026-11)."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A configured model, ready to be called. `price` None means unknown, not free.

    `allowance` is how many tokens of reasoning may be spent on top of a request's `max_tokens`.
    """

    model: Model
    provider: Provider
    price: Price | None
    limiter: Limiter
    rate: Rate
    allowance: int = 0


@dataclass(frozen=True, slots=True)
class Sender:
    """For whom a call is made: the run, the item, the step, and the item's target as written."""

    run_id: int
    item_id: int
    step: str
    target: str = ""


Defer = Callable[[Endpoint, Chat | ImageRequest, bytes, bytes, Sender], None]
"""Is asked before a call is made: it raises Deferred, having written the call (request, canonical
body, hash) down for a batch, or returns where it must be made now."""


class Caller:
    """Calls models for one run in one process.

    `assets` is where pictures lie; without it, requests with or for pictures are refused. `spent`
    counts what this process paid and used, for progress. `defer` is set where answers come in
    batches; of a chain of fallbacks only the first model's do.
    """

    defer: Defer | None = None

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        journal: Journal,
        budget: Budget | None,
        *,
        wait: Callable[[int], float] | None = None,
        assets: Assets | None = None,
    ) -> None:
        self._endpoints = endpoints
        self._journal = journal
        self._budget = budget
        self._assets = assets
        self._wait = wait or _backoff
        self._flying: dict[bytes, asyncio.Future[Answer] | None] = {}
        self._chains: dict[str, list[Endpoint]] = {}
        self._stopped = False
        self.spent = Spent()

    def stop(self) -> None:
        """Send nothing more; calls in flight go on, whoever waits to send gets LimitReached."""
        self._stopped = True

    async def call(
        self,
        request: Chat | ImageRequest,
        alias: str,
        sender: Sender,
        emit: Emit | None = None,
    ) -> Answer:
        """Give the answer to a request: from the journal, from a call in flight, or by asking.

        Goes through the model's fallbacks when its endpoint stays unavailable. Raises the last
        ProviderError, LimitReached when the budget is used up, or the UserError of a request that
        cannot be sent.
        """
        chain = self._chains.get(alias) or self._chain(alias)
        if len(chain) == 1:
            asked_once = configured(request, chain[0].model)
            return await self._coalesced(chain[0], asked_once, canonical(asked_once), sender, emit)
        asked = [configured(request, endpoint.model) for endpoint in chain]
        bodies = [canonical(one) for one in asked]
        for endpoint, body in zip(chain, bodies, strict=True):
            digest = request_hash(endpoint.provider.identity, body)
            if (row := await self._journal.find(digest)) is not None:
                return _answer(row, replayed=True)
        for position, endpoint in enumerate(chain):
            try:
                return await self._coalesced(
                    endpoint, asked[position], bodies[position], sender, emit
                )
            except Transient:
                if position == len(chain) - 1:
                    raise
        raise AssertionError("a chain has at least one model")

    def _chain(self, alias: str) -> list[Endpoint]:
        """Give a model and its fallbacks, and theirs, each once."""
        names = [alias]
        for name in names:
            names += (one for one in self._endpoints[name].model.fallback if one not in names)
        chain = self._chains[alias] = [self._endpoints[name] for name in names]
        return chain

    async def _coalesced(
        self,
        endpoint: Endpoint,
        request: Chat | ImageRequest,
        body: bytes,
        sender: Sender,
        emit: Emit | None,
    ) -> Answer:
        digest = request_hash(endpoint.provider.identity, body)
        while digest in self._flying:
            flying = self._flying[digest]
            if flying is None:  # made by the first who waits: hardly any call is waited for twice
                flying = self._flying[digest] = asyncio.get_running_loop().create_future()
            try:
                return replace(await asyncio.shield(flying), replayed=True)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not flying.cancelled() or (task is not None and task.cancelling()):
                    raise
                # Whoever asked was cancelled, not we: look again, and ask if nobody else does.
        self._flying[digest] = None
        try:
            row = await self._journal.find(digest)
            if row is not None:
                answer = _answer(row, replayed=True)
            else:
                if self.defer is not None:
                    self.defer(endpoint, request, body, digest, sender)
                answer = await self._ask(endpoint, request, body, digest, sender, emit)
        except BaseException as error:
            waiting = self._flying.pop(digest)
            if waiting is not None and isinstance(error, Exception):
                waiting.set_exception(error)
                waiting.exception()  # whoever waited may have stopped waiting
            elif waiting is not None:
                waiting.cancel()
            raise
        if (waiting := self._flying.pop(digest)) is not None:
            waiting.set_result(answer)
        return answer

    async def _ask(
        self,
        endpoint: Endpoint,
        request: Chat | ImageRequest,
        body: bytes,
        digest: bytes,
        sender: Sender,
        emit: Emit | None,
    ) -> Answer:
        if isinstance(request, ImageRequest):
            require(self._assets)
        pictures = 0 if is_plain(request) else body.count(IN_BODY)
        given = len(body) + PICTURE_TOKENS * pictures
        output = request.max_tokens + endpoint.allowance
        most = given + output
        reserved = self._reservation(endpoint, Usage(given, output))
        for attempt in range(1, ATTEMPTS + 1):
            if self._budget is not None:
                await self._budget.reserve(reserved)
            kept = reserved
            try:
                waited = await endpoint.rate.take(most)
                started = await endpoint.limiter.acquire()
                wall = time.time()
                if self._stopped:
                    endpoint.limiter.left()
                    raise LimitReached("the run stops", limit="stop")
                try:
                    sent = await filled(request, self._assets) if pictures else request
                    hearing = None if emit is None else _Hearing(emit)
                    response = await endpoint.provider(sent, hearing)
                except ProviderError as error:
                    record = self._record(endpoint, digest, sender, attempt, wall, waited)
                    kept = self._failed(endpoint, error, record, started, reserved)
                    if not isinstance(error, Transient) or attempt == ATTEMPTS:
                        raise
                    pause = self._pause(error, attempt)
                except UserError:  # nothing was sent
                    endpoint.limiter.left()
                    raise
                except BaseException:
                    endpoint.limiter.left()
                    kept = 0
                    record = self._record(endpoint, digest, sender, attempt, wall, waited)
                    self._journal.add("calls", [{**record, "outcome": "cancelled"}])
                    raise
                else:
                    record = self._record(endpoint, digest, sender, attempt, wall, waited)
                    endpoint.limiter.succeeded(record["latency"], response.usage.output)
                    usage = response.usage
                    endpoint.rate.settle(most, usage.input + usage.output)
                    record["first"] = response.first if hearing is None else hearing.first
                    cost = endpoint.price.cost(usage) if endpoint.price else None
                    kept = reserved - (cost or 0)
                    return await self._answered(endpoint, response, record, len(body), cost)
            finally:
                if self._budget is not None:
                    self._budget.settle(reserved, reserved - kept)
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _reservation(self, endpoint: Endpoint, most: Usage) -> int:
        """Give what a call can cost at most, in nano-USD; nothing where no budget is kept."""
        if self._budget is None:
            return 0
        if endpoint.price is None:
            raise ConfigError(
                f"the price of “{endpoint.model.alias}” is unknown, so the budget cannot be "
                "kept; give it in waremill.toml, then resume"
            )
        return endpoint.price.cost(most)

    def _failed(
        self,
        endpoint: Endpoint,
        error: ProviderError,
        record: Record,
        started: float,
        reserved: int,
    ) -> int:
        """Enter a failed attempt in the ledger; give how much of its reservation is free again."""
        if isinstance(error, RateLimited):
            endpoint.limiter.rate_limited(started, error.retry_after)
        elif isinstance(error, Transient):
            endpoint.limiter.unavailable()
        else:
            endpoint.limiter.left()
        refused = error.status is not None and error.status != 200
        free = refused or not error_was_sent(error)
        record.update(
            outcome=OUTCOMES.get(type(error), "unavailable"), status=error.status,
            request_id=error.request_id, error=storable(str(error)[:500]),
            paid=0 if free else None,
        )  # fmt: skip
        self._journal.add("calls", [record])
        self.spent.count(record)
        return reserved if free else 0

    async def _answered(
        self, endpoint: Endpoint, response: Response, record: Record, size: int, cost: int | None
    ) -> Answer:
        if response.blobs:
            response = await self._kept(response, record, cost)
        usage = response.usage
        counted = {"input": usage.input, "cached": usage.cached, "output": usage.output,
                   "reasoning": usage.reasoning, "list_cost": cost}  # fmt: skip
        record.update(counted, outcome=response.outcome, paid=cost, status=200,
                      request_id=response.request_id)  # fmt: skip
        outcome: str = response.outcome
        text = response.text
        if response.calls:
            outcome, text = CALLS, sealed(response)
        answer = {
            "hash": record["request_hash"], "model": endpoint.provider.identity,
            "outcome": outcome, "text": storable(text),
            "reported_model": storable(response.model), "request_id": response.request_id,
            "request_bytes": size, **counted, "created_at": time.time(),
        }  # fmt: skip
        self.spent.count(record)
        self._journal.add("calls", [record])
        await self._journal.put("answers", [answer])
        return Answer(record["request_hash"], response, endpoint.model.alias, cost)

    async def _kept(self, response: Response, record: Record, cost: int | None) -> Response:
        """Store a reply's bytes; where that fails the call is in the ledger all the same."""
        try:
            return await stored(response, self._assets)
        except BaseException as error:
            usage = response.usage
            record.update(
                outcome=response.outcome, status=200, request_id=response.request_id,
                input=usage.input, cached=usage.cached, output=usage.output,
                reasoning=usage.reasoning, list_cost=cost, paid=cost,
                error=storable((str(error) or type(error).__name__)[:500]),
            )  # fmt: skip
            self.spent.count(record)
            self._journal.add("calls", [record])
            raise

    def _record(
        self,
        endpoint: Endpoint,
        digest: bytes,
        sender: Sender,
        attempt: int,
        wall: float,
        waited: float | None,
    ) -> Record:
        return {
            "run_id": sender.run_id, "item_id": sender.item_id, "step": sender.step,
            "target": sender.target,
            "model": endpoint.model.alias, "request_hash": digest, "attempt": attempt,
            "outcome": "", "status": None, "request_id": None, "latency": time.time() - wall,
            "input": 0, "cached": 0, "output": 0, "reasoning": 0, "paid": None,
            "list_cost": None, "error": None, "started_at": wall, "waited": waited,
        }  # fmt: skip

    def _pause(self, error: ProviderError, attempt: int) -> float:
        pause = self._wait(attempt)
        asked = getattr(error, "retry_after", None)
        return pause if asked is None else max(pause, min(float(asked), 120.0))


OUTCOMES: dict[type[ProviderError], str] = {
    RateLimited: "rate_limited",
    Unavailable: "unavailable",
    Refused: "refused",
    Rejected: "rejected",
    AccessDenied: "denied",
}


class _Hearing:
    """Hands a reply's pieces on and notes when the first one came."""

    __slots__ = ("_emit", "_started", "first")

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._started = time.monotonic()
        self.first: float | None = None

    def __call__(self, text: str) -> None:
        if self.first is None:
            self.first = time.monotonic() - self._started
        self._emit(text)


def error_was_sent(error: ProviderError) -> bool:
    """Say whether a failed request may have reached the endpoint, so that it may be charged."""
    return bool(getattr(error, "sent", True))


def _backoff(attempt: int) -> float:
    """Exponential backoff with full jitter, in seconds."""
    return random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2**attempt))


def _answer(row: Record, *, replayed: bool) -> Answer:
    usage = Usage(row["input"], row["output"], row["cached"], row["reasoning"])
    if row["outcome"] == CALLS:
        return Answer(row["hash"], unsealed(row, usage), row["model"], row["list_cost"], replayed)
    response = Response(
        row["text"], row["outcome"], usage, row["reported_model"], row["request_id"]
    )
    return Answer(row["hash"], response, row["model"], row["list_cost"], replayed)


@dataclass(slots=True)
class Spent:
    """What a process's calls came to: attempts, tokens, nano-USD, and latencies in seconds."""

    calls: int = 0
    failed: int = 0
    input: int = 0
    cached: int = 0
    output: int = 0
    paid: int = 0
    unpriced: int = 0

    def count(self, record: Mapping[str, Any]) -> None:
        """Add one attempt."""
        self.calls += 1
        self.input += record["input"]
        self.cached += record["cached"]
        self.output += record["output"]
        if record["outcome"] not in ("complete", "truncated", "refused"):
            self.failed += 1
        elif record["paid"] is None:
            self.unpriced += 1
        self.paid += record["paid"] or 0
