"""Settle an ended batch: its lines become answers and calls, or go another way.

What is settled is committed in groups; results may be read again from their start at any time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from waremill.calls.batching.decoding import chat_from
from waremill.calls.batching.forming import PAGE, key_of
from waremill.calls.batching.lanes import BatchRules, Lane, Stock
from waremill.calls.caller import OUTCOMES
from waremill.calls.envelope import CALLS, sealed
from waremill.domain import Response, storable
from waremill.errors import AccessDenied, ProviderError, Transient
from waremill.providers.batches import BatchLook, Line, Problem
from waremill.store import batches as store
from waremill.store.batches import Asked, Batch, Settled, Tallied
from waremill.store.journal import Record


class Foreign(Exception):
    """The results are another batch's: the vendor has ours under another id, or not at all."""


class Settling:
    """Settles one batch. `denied` is the first sign that no request can be answered as it is."""

    def __init__(self, stock: Stock, lane: Lane, rules: BatchRules, batch: Batch) -> None:
        self._stock = stock
        self._lane = lane
        self._rules = rules
        self._batch = batch
        self.exceptions: dict[bytes, tuple[str, str]] = {}
        self.tallied: list[Tallied] = []
        self.denied: AccessDenied | None = None

    @property
    def woken(self) -> int:
        """How many items were woken."""
        return sum(one.woken for one in self.tallied)

    async def read(self, look: BatchLook) -> None:
        """Read the results of an ended batch and settle each; raises Transient where they break
        off, after all that came before was settled, and Foreign where they are another batch's.
        """
        lines: list[Line] = []
        try:
            async for line in self._lane.batches.results(look):
                if key_of(line.name)[0] != self._batch.key:
                    raise Foreign
                lines.append(line)
                if len(lines) >= store.AT_ONCE:
                    await self._group(lines)
                    lines = []
        finally:
            await self._group(lines)

    async def _group(self, lines: Sequence[Line]) -> None:
        by_id = {key_of(line.name)[1]: line for line in lines}
        found = await self._stock.database.read(store.some_requests, self._batch.id, list(by_id))
        await self._commit([self._one(asked, by_id[id]) for id, asked in found.items()])

    async def rest(self, words: str) -> None:
        """Settle what the batch left unanswered: into the next one, or as the rules say."""
        while page := await self._stock.database.read(store.requests_of, self._batch.id, 0, PAGE):
            await self._commit([self._unanswered(one, None, words) for one in page])

    async def back(self, *, counts: bool = False) -> None:
        """Give all requests back to the next batch, for this one was never begun."""
        while page := await self._stock.database.read(store.requests_of, self._batch.id, 0, PAGE):
            await self._commit([Settled(one, state="new", counts=counts) for one in page])

    async def refused(self, problems: Sequence[Problem]) -> bool:
        """Fail the requests that kept a batch from beginning; say whether any was named."""
        named = {one.line: one for one in problems if one.line}
        place, after, rows = 0, 0, []
        while named and (
            page := await self._stock.database.read(store.requests_of, self._batch.id, after, PAGE)
        ):
            after = page[-1].id
            for asked in page:
                place += 1
                if (problem := named.get(place)) is not None:
                    rows.append(Settled(asked, state="failed", error=problem.words[:500]))
        await self._commit(rows)
        return bool(rows)

    async def _commit(self, rows: Sequence[Settled]) -> None:
        if not rows:
            return
        done = await self._stock.database.write(store.settle, self._stock.run, rows, self._batch)
        self.tallied.append(done)
        for row in rows:
            if row.state in ("live", "failed"):
                self.exceptions[row.asked.hash] = (row.state, row.error or "")

    def _one(self, asked: Asked, line: Line) -> Settled:
        if line.status is None:
            return self._unanswered(asked, None, line.words)
        try:
            response = self._lane.batches.read(line, chat_from(asked.body))
        except Transient as error:
            return self._unanswered(asked, error, str(error))
        except AccessDenied as error:
            self.denied = self.denied or error
            return Settled(asked, state="new", call=self._failed(asked, error), counts=False)
        except ProviderError as error:
            call = self._failed(asked, error)
            return Settled(asked, state="failed", call=call, error=str(error)[:500])
        return self._answered(asked, response, line)

    def _unanswered(self, asked: Asked, error: ProviderError | None, words: str) -> Settled:
        call = self._call(asked)
        status = None if error is None else error.status
        outcome = "unavailable" if error is None else OUTCOMES.get(type(error), "unavailable")
        call.update(outcome=outcome, status=status, error=storable(words[:500]), paid=0)
        if asked.tries <= self._rules.retries:
            return Settled(asked, state="new", call=call)
        times = "once" if asked.tries == 1 else f"{asked.tries} times"
        said = f"batches left it unanswered {times}: {words}"[:500]
        if self._rules.then == "live":
            return Settled(asked, state="live", call=call, error=said)
        return Settled(asked, state="failed", call=call, error=said)

    def _failed(self, asked: Asked, error: ProviderError) -> Record:
        call = self._call(asked)
        call.update(
            outcome=OUTCOMES.get(type(error), "unavailable"), status=error.status,
            request_id=error.request_id, error=storable(str(error)[:500]), paid=0,
        )  # fmt: skip
        return call

    def _answered(self, asked: Asked, response: Response, line: Line) -> Settled:
        usage, endpoint = response.usage, self._lane.endpoint
        listed = None if endpoint.price is None else endpoint.price.cost(usage)
        paid = None if self._lane.price is None else self._lane.price.cost(usage)
        counted = {"input": usage.input, "cached": usage.cached, "output": usage.output,
                   "reasoning": usage.reasoning, "list_cost": listed}  # fmt: skip
        call = self._call(asked)
        call.update(counted, outcome=response.outcome, paid=paid, status=200,
                    request_id=response.request_id)  # fmt: skip
        outcome, text = str(response.outcome), response.text
        if response.calls:
            outcome, text = CALLS, sealed(response)
        answer = {
            "hash": asked.hash, "model": endpoint.provider.identity, "outcome": outcome,
            "text": storable(text), "reported_model": storable(response.model),
            "request_id": response.request_id, "request_bytes": len(asked.body), **counted,
            "created_at": time.time(),
        }  # fmt: skip
        return Settled(asked, answer=answer, call=call)

    def _call(self, asked: Asked) -> Record:
        """Begin a call's row. Its latency is 0, which stands for “not measured”: how long a batch
        took says nothing about how long a reply does.
        """
        return {
            "run_id": self._stock.run.id, "item_id": asked.item_id, "step": asked.step,
            "target": asked.target, "model": self._lane.name, "request_hash": asked.hash,
            "attempt": asked.tries, "outcome": "", "status": None, "request_id": None,
            "latency": 0.0, "input": 0, "cached": 0, "output": 0, "reasoning": 0, "paid": None,
            "list_cost": None, "error": None,
            "started_at": self._batch.submitted_at or self._batch.created_at,
        }  # fmt: skip
