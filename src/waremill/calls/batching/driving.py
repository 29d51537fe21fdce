"""Drive a run's batches: defer calls, send what waits, look, settle, until items can go on.

All state is in the database: a driver that dies anywhere is replaced by the next one. What is about
to be sent is written down before; whatever may have been sent is looked for at the vendor before it
is sent again, so that nothing is paid for twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from waremill.calls.batching.forming import Room, form, lines_of, refuse_short
from waremill.calls.batching.lanes import BatchRules, Lane, Stock
from waremill.calls.batching.settling import Foreign, Settling
from waremill.calls.caller import Endpoint, Sender
from waremill.domain import Chat, ImageRequest
from waremill.errors import (
    AccessDenied,
    ConfigError,
    Deferred,
    ProviderError,
    RateLimited,
    Rejected,
    Transient,
)
from waremill.providers.batches import BatchLook, Intent
from waremill.store import batches as store
from waremill.store.batches import Batch
from waremill.store.journal import Record
from waremill.store.runs import clock

FIRST_LOOK = 5.0
"""Seconds until a batch is looked at first; from then on half as long again each time."""
SLOWER = 1.5
LONGEST_REST = 600.0
"""Seconds without a new batch, at most, after a vendor said that too much is enqueued."""
READS = 8
"""How often results that break off are read; what is missing then counts as unanswered."""
DOUBTS = 2
"""Looks for a batch that may have been sent, `poll` seconds apart, before it is sent again."""
UNSURE = "unsure"
"""The outcome of an open batch that was found again and may be somebody else's: it is waited for,
and never cancelled."""
TOO_MUCH = frozenset({"token_limit_exceeded", "batch_queue_full", "request_limit_exceeded"})
"""Why a batch is not begun now but may be later (OpenAI's `errors` of a failed batch)."""


@dataclass(slots=True)
class _Watch:
    """When a batch is looked at next (monotonic), how long it was before, and what went wrong."""

    due: float = 0.0
    wait: float = 0.0
    reads: int = 0
    doubts: int = 0


class Batching:
    """The batches of one run in one process.

    `spent` is told each call that is settled. `idle` waits so many seconds, less when the run
    stops.
    """

    def __init__(
        self,
        stock: Stock,
        lanes: Mapping[str, Lane],
        rules: BatchRules,
        spent: Callable[[Record], None],
    ) -> None:
        self._stock = stock
        self._lanes = lanes
        self._rules = rules
        self._spent = spent
        self._open: dict[int, Batch] = {}
        self._watches: dict[int, _Watch] = {}
        self._exceptions: dict[bytes, tuple[str, str]] = {}
        self._short = False
        self._held = 0
        self.settled = 0

    async def begin(self) -> None:
        """Take over what earlier workers of the run left."""
        read = self._stock.database.read
        rows = await read(store.of_run, self._stock.run.id)
        self._open = {row.id: row for row in rows if row.state != "settled"}
        self.settled = len(rows) - len(self._open)
        self._exceptions = await read(store.exceptions, self._stock.run.id)
        self._held = await read(store.held, self._stock.run.id)
        for batch in self._open.values():
            self._lane(batch)

    def defer(
        self,
        endpoint: Endpoint,
        request: Chat | ImageRequest,
        body: bytes,
        digest: bytes,
        sender: Sender,
    ) -> None:
        """Write a call down for a batch and raise Deferred; return where it must be made live.

        Raises Rejected for a request that batches could not get answered.
        """
        lane = self._lanes.get(endpoint.model.alias)
        if lane is None or not isinstance(request, Chat):
            return
        state, error = self._exceptions.get(digest, ("", ""))
        if state == "live":
            return
        if state == "failed":
            raise Rejected(error, provider=endpoint.model.vendor, model=endpoint.model.name)
        row = {
            "run_id": sender.run_id, "hash": digest, "model": lane.name, "state": "new",
            "body": body, "item_id": sender.item_id, "step": sender.step, "target": sender.target,
            "tries": 0,
        }  # fmt: skip
        waits = {"run_id": sender.run_id, "hash": digest, "item_id": sender.item_id}
        self._stock.journal.add("batch_requests", [row])
        self._stock.journal.add("batch_waiters", [waits])
        raise Deferred

    async def advance(self, stopped: asyncio.Event) -> bool:
        """Send, look and settle until items can go on or the run stops; False: nothing waits.

        Everything deferred must be committed. Raises LimitReached when the budget covers no
        further request, AccessDenied when a vendor lets nothing through, Rejected when it will not
        take a batch.
        """
        while not stopped.is_set():
            woken = await self._look_at_due()
            sent = await self._send()
            if woken + sent.woken:
                return True
            if not self._open:
                if sent.short:
                    raise refuse_short(self._stock)
                if not sent.waits:
                    write = self._stock.database.write
                    return await write(store.wake_lost, self._stock.run) > 0
            await self._idle(stopped)
        return False

    async def cancel(self, patience: float) -> int:
        """Have the vendors stop all batches, and settle what they did; give how many still run.

        Waits `patience` seconds for them to end.
        """
        until = time.monotonic() + patience
        told: set[int] = set()
        while self._open:
            for batch in list(self._open.values()):
                await self._cancel(batch, told)
            await self._look_at_due()
            unsure = all(batch.outcome == UNSURE for batch in self._open.values())
            if unsure or time.monotonic() > until:
                break
            await self._idle(asyncio.Event(), until - time.monotonic())
        return len(self._open)

    async def _cancel(self, batch: Batch, told: set[int]) -> None:
        if batch.state == "intended":
            await self._recover(batch, begin=False)
            batch = self._open.get(batch.id, batch)
        if batch.state != "submitted" or batch.vendor_id is None or batch.id in told:
            return
        if batch.outcome == UNSURE:
            return
        try:
            await self._lane(batch).batches.cancel(batch.vendor_id)
        except Rejected:  # it has ended meanwhile
            told.add(batch.id)
        except Transient as error:
            await self._note(batch, str(error))
        else:
            told.add(batch.id)
        self._watches[batch.id] = _Watch()

    def progress(self) -> list[dict[str, Any]]:
        """Give the open batches as a progress line shows them."""
        return [
            {"model": one.model, "state": one.state, "requests": one.requests, "done": one.done,
             "failed": one.failed, "expires_at": one.expires_at, "note": one.note}
            for one in self._open.values()
        ]  # fmt: skip

    async def finish(self) -> None:
        """Take away what a finished run needs no more."""
        await self._stock.database.write(store.forget, self._stock.run.id)

    # Sending.

    async def _send(self) -> _Sent:
        """Form and send batches of what waits, as far as every limit allows."""
        if self._short and self._open:  # nothing can be afforded before one of these has ended
            return _Sent(waits=True)
        if self._held:
            self._held = await self._stock.database.write(store.let_go, self._stock.run)
        models = await self._stock.database.read(store.waiting_models, self._stock.run.id)
        sent = _Sent(waits=bool(models) or self._held > 0)
        for name in models:
            lane = self._lanes.get(name)
            if lane is None:
                self._lost(name)
            while time.monotonic() >= lane.rests_until:
                formed = await form(self._stock, lane, self._rules, self._room(lane))
                self._exceptions.update(formed.exceptions)
                sent.woken += formed.woken
                self._held += formed.held
                if formed.batch is None:
                    sent.short = self._short = formed.short
                    break
                self._open[formed.batch.id] = formed.batch
                await self._submit(lane, formed.batch, formed.lines)
        return sent

    def _room(self, lane: Lane) -> Room:
        """Say how many tokens may still be enqueued at a model."""
        mine = [one.tokens for one in self._open.values() if one.model == lane.name]
        most = lane.endpoint.model.enqueued_tokens
        return Room(None if most is None else most - sum(mine), bool(mine))

    async def _submit(self, lane: Lane, batch: Batch, lines: bytes) -> None:
        """Send a batch that is written down; where it is unclear whether it began, look later."""
        try:
            if batch.file_id is None:
                file = await lane.batches.upload(batch.key, lines)
                if file is not None:
                    batch = await self._change(batch, file_id=file)
        except Transient as error:
            await self._put_off(lane, batch, error)
            return
        try:
            look = await lane.batches.begin(batch.key, batch.file_id, lines)
        except RateLimited as error:
            await self._put_off(lane, batch, error)
        except Transient as error:
            self._rest(lane)
            await self._note(batch, str(error))
            self._watches[batch.id] = _Watch(time.monotonic() + self._rules.poll)
        except (Rejected, AccessDenied) as error:
            await self._back(lane, batch, str(error))
            raise
        else:
            await self._submitted(batch, look)

    async def _put_off(self, lane: Lane, batch: Batch, error: Transient) -> None:
        """Give back a batch that certainly did not begin, and try no other for a while."""
        self._rest(lane)
        await self._back(lane, batch, str(error))

    async def _submitted(self, batch: Batch, look: BatchLook) -> None:
        now = await self._stock.database.read(clock)
        batch = await self._change(
            batch, state="submitted", vendor_id=look.id, submitted_at=now, note=None,
            expires_at=look.expires_at, outcome=None if look.certain else UNSURE,
        )  # fmt: skip
        first = min(FIRST_LOOK, self._rules.poll)
        self._watches[batch.id] = _Watch(time.monotonic() + first, first)

    async def _recover(self, batch: Batch, *, begin: bool = True) -> None:
        """Find a batch that may have been sent, and send it where the vendor has none."""
        lane = self._lane(batch)
        watch = self._watches.setdefault(batch.id, _Watch())
        read = self._stock.database.read
        known = await read(store.known_ids, batch.created_at - 86_400)
        intent = Intent(
            batch.key, batch.file_id, batch.requests, batch.created_at,
            known | set(batch.others),
        )  # fmt: skip
        try:
            look = await lane.batches.find(intent)
        except Transient as error:
            await self._note(batch, str(error))
            watch.due = time.monotonic() + self._rules.poll
            return
        if look is not None:
            await self._submitted(batch, look)
            return
        watch.doubts += 1
        if watch.doubts < DOUBTS:  # a list may lag behind
            watch.due = time.monotonic() + self._rules.poll
        elif not begin:
            await self._back(lane, batch, "cancelled before it was sent")
        else:
            watch.doubts = 0
            lines = await lines_of(self._stock, lane, batch)
            self._exceptions = await read(store.exceptions, self._stock.run.id)
            await self._submit(lane, batch, lines)

    async def _back(self, lane: Lane, batch: Batch, words: str) -> None:
        """Give a batch that never began back to the next one."""
        await Settling(self._stock, lane, self._rules, batch).back()
        await self._end(batch, None, "not begun", words)

    # Looking.

    async def _look_at_due(self) -> int:
        """Look at the batches that are due, settle those that ended; give the items woken."""
        woken = 0
        for batch in list(self._open.values()):
            watch = self._watches.setdefault(batch.id, _Watch())
            if watch.due > time.monotonic():
                continue
            if batch.state == "intended":
                await self._recover(batch)
            else:
                woken += await self._look(batch, watch)
        return woken

    async def _look(self, batch: Batch, watch: _Watch) -> int:
        lane = self._lane(batch)
        watch.wait = min(max(watch.wait, min(FIRST_LOOK, self._rules.poll)) * SLOWER,
                         self._rules.poll)  # fmt: skip
        watch.due = time.monotonic() + watch.wait
        try:
            look = await lane.batches.look(batch.vendor_id or "")
        except Transient as error:
            await self._note(batch, str(error))
            return 0
        batch = await self._change(
            batch, done=look.done, failed=look.failed, note=None,
            expires_at=look.expires_at or batch.expires_at,
        )  # fmt: skip
        if look.state == "running":
            return 0
        if look.state == "failed":
            return await self._not_begun(lane, batch, look)
        return await self._settle(lane, batch, look, watch)

    async def _settle(self, lane: Lane, batch: Batch, look: BatchLook, watch: _Watch) -> int:
        settling = Settling(self._stock, lane, self._rules, batch)
        try:
            await settling.read(look)
        except Foreign:
            others = (*batch.others, look.id)
            await self._change(batch, state="intended", vendor_id=None, others=others)
            self._watches[batch.id] = _Watch()
            return 0
        except Transient as error:
            watch.reads += 1
            if watch.reads < READS:
                await self._note(batch, str(error))
                self._count(settling)
                return settling.woken
        await settling.rest(f"the batch is {look.outcome}")
        self._count(settling)
        lane.rests_until = lane.rest = 0.0
        await self._end(batch, look, look.outcome, None)
        if settling.denied is not None:
            raise settling.denied
        return settling.woken

    async def _not_begun(self, lane: Lane, batch: Batch, look: BatchLook) -> int:
        """Deal with a batch that the vendor checked and will not do."""
        settling = Settling(self._stock, lane, self._rules, batch)
        words = "; ".join(one.words for one in look.problems[:3]) or "no reason given"
        if any(one.code in TOO_MUCH for one in look.problems):
            await settling.back()
            await self._end(batch, look, "not begun", words)
            self._rest(lane)
            return 0
        named = await settling.refused(look.problems)
        await settling.back()
        self._count(settling)
        await self._end(batch, look, "refused", words)
        if not named:
            model = lane.endpoint.model
            raise Rejected(
                f"{model.vendor} did not take the batch: {words}"[:600],
                provider=model.vendor, model=model.name, status=400,
            )  # fmt: skip
        return settling.woken

    async def _end(
        self, batch: Batch, look: BatchLook | None, outcome: str, note: str | None
    ) -> None:
        """Close a batch: its money goes back, and its files are deleted at the vendor."""
        read = self._stock.database.read
        now = await read(clock)
        batch = await self._change(batch, state="settled", outcome=outcome, note=note, ended_at=now)
        del self._open[batch.id]
        self._watches.pop(batch.id, None)
        self.settled += 1
        if self._stock.budget is not None:
            paid = await read(store.paid_by, batch.id)
            self._stock.budget.release(batch.reserved, paid)
        self._short = False
        if look is not None or batch.file_id is not None:
            with suppress(ProviderError):  # a file that stays there does no harm
                gone = look or BatchLook("", "ended")
                await self._lane(batch).batches.forget(gone, batch.file_id)

    def _count(self, settling: Settling) -> None:
        """Count what was settled for the progress; what went wrong is kept at hand."""
        self._exceptions.update(settling.exceptions)
        for tallied in settling.tallied:
            for call in tallied.calls:
                self._spent(call)

    def _rest(self, lane: Lane) -> None:
        """Begin no batch for a while, twice as long each time."""
        lane.rest = min(max(lane.rest * 2, self._rules.poll), LONGEST_REST)
        lane.rests_until = time.monotonic() + lane.rest

    async def _idle(self, stopped: asyncio.Event, most: float = LONGEST_REST) -> None:
        """Wait until a batch is due, another run's may be, a lane may go on, or the run stops."""
        now = time.monotonic()
        dues = [watch.due for id, watch in self._watches.items() if id in self._open]
        dues += [lane.rests_until for lane in self._lanes.values() if lane.rests_until > now]
        dues += [now + self._rules.poll] if self._held else []
        seconds = max(min([*dues, now + most]) - now, 0.001)
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), seconds)

    async def _note(self, batch: Batch, words: str) -> None:
        await self._change(batch, note=words[:500])

    async def _change(self, batch: Batch, **values: Any) -> Batch:
        changed = await self._stock.database.write(
            lambda conn: store.change(conn, self._stock.run, batch, **values)
        )
        self._open[batch.id] = changed
        return changed

    def _lane(self, batch: Batch) -> Lane:
        lane = self._lanes.get(batch.model)
        return self._lost(batch.model) if lane is None else lane

    @staticmethod
    def _lost(name: str) -> NoReturn:
        raise ConfigError(
            f"requests of this run wait for batches of the model “{name}”, which is not called in "
            "batches any more; set it back in waremill.toml, then resume"
        )


@dataclass(slots=True)
class _Sent:
    """What sending came to: items woken on the way, whether requests wait, whether money ended."""

    waits: bool = False
    woken: int = 0
    short: bool = False
