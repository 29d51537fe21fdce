"""Work a run's items: one loop, a pool of tasks over a lazy iterator, flat memory.

An item replays from its start after a crash: its answers are in the journal, so a replay costs
nothing. Where the steps come from and what calls a model is handed in.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import orjson

from waremill.calls.batching import Batching
from waremill.calls.caller import Caller, Sender
from waremill.domain import Answer, Finding, Item, Passage, Request, Search, Signature
from waremill.errors import (
    ConfigError,
    Conflict,
    Deferred,
    NotFound,
    ProviderError,
    UserError,
    WaremillError,
)
from waremill.pipeline import BoundStep, Context, Embed, Use, no_knowledge, no_tools
from waremill.runs.collecting import fewer_collections
from waremill.runs.decide import ITEM_ATTEMPTS, Fail, Pause, Retry, Review, decide
from waremill.runs.files import RunFiles
from waremill.runs.likeness import Likeness
from waremill.runs.searching import Searcher, Searches, as_json, entries, from_json
from waremill.runs.stop import StopRules
from waremill.runs.trace import Trace, Watch, ending_of
from waremill.store import batches as store_batches
from waremill.store import items as store_items
from waremill.store import recordings
from waremill.store.database import Database
from waremill.store.journal import Journal, finding_rows, result_row
from waremill.store.runs import Run
from waremill.store.tables import dumps

PAGE = 1000
BACKLOG = 4000
BEAT_SECONDS = 2.0
USED_KEPT = 20_000


@dataclass(slots=True)
class Tally:
    """How far this process is; `states` counts items by state.

    `asked` are the items a model was asked anew for: all others found every answer there already.
    """

    states: dict[str, int] = field(default_factory=dict)
    worked: int = 0
    asked: int = 0
    started: float = field(default_factory=time.monotonic)

    def move(self, state: str) -> None:
        """Count an item that left pending for `state`; one that only waits is not worked yet."""
        self.worked += state != "waiting"
        self.states["pending"] = self.states.get("pending", 0) - 1
        self.states[state] = self.states.get(state, 0) + 1


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run's work ended: `done`, `paused`, `cancelled`, `interrupted`, and why."""

    state: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class WorkLimits:
    """What bounds the work in one process.

    `concurrency` items at once; `error_rate` is the share of recent items whose failure pauses the
    run; `deadline` is in seconds of this process's work. With a `span`, only items after its first
    id and up to its second are worked, as a part of a run that others work too.
    """

    concurrency: int = 64
    error_rate: float = 0.2
    deadline: float | None = None
    span: tuple[int, int] | None = None


class AtWork(Protocol):
    """What works a run, to whoever follows it."""

    run: Run

    def progress(self) -> dict[str, Any]:
        """Give what was done so far."""

    def stop(self, ended: Ended) -> None:
        """Take no more items; what is in flight may finish."""


class Worker:
    """Works one claimed run, or a span of it, in this process."""

    def __init__(
        self,
        database: Database,
        run: Run,
        journal: Journal,
        caller: Caller,
        steps: Sequence[BoundStep],
        files: RunFiles,
        limits: WorkLimits,
    ) -> None:
        self._database = database
        self.run = run
        self._journal = journal
        self.caller = caller
        self._steps = steps
        self._files = files
        self._limits = limits
        self._likeness = Likeness(database, journal, run.id)
        self._searches: Searches | None = None
        self.watch: Watch | None = None
        self._batching: Batching | None = None
        self._before: dict[int, int] = {}
        self._traces: dict[int, Trace] = {}
        self._used: dict[bytes, int] = {}
        self._queue: deque[Item] = deque()
        self._after = limits.span[0] if limits.span else 0
        self._until = limits.span[1] if limits.span else None
        self._exhausted = False
        self._feeding = asyncio.Lock()
        self._stop: Ended | None = None
        self._stopping = asyncio.Event()
        self._rules = StopRules(limits.error_rate)
        self.tally = Tally(asked=int((run.progress or {}).get("asked", 0)))
        self._context = Context(
            call=self._call,
            report=self._report,
            record=self._record,
            similar=self._similar,
            files=files,
            params=run.plan.get("params", {}),
            retrieve=self._retrieve,
            note=self._note,
        )

    def reach(self, search: Searcher, embed: Embed | None = None, use: Use = no_tools) -> None:
        """Let the steps search knowledge, give texts vectors where somebody does, call tools."""
        self._searches = Searches(search)
        self._context = replace(self._context, embed=embed, use=use)

    def batch(self, batching: Batching) -> None:
        """Let calls be answered by batches: items wait for them and replay when they are there."""
        self._batching = batching
        self.caller.defer = batching.defer

    def stop(self, ended: Ended) -> None:
        """Take no more items; what is in flight may finish."""
        if self._stop is None:
            self._stop = ended
            self._stopping.set()
            self.caller.stop()

    async def work(self, grace: float = 15.0) -> Ended:
        """Work until nothing is pending or something stops the run.

        After a stop, items in flight get `grace` seconds to finish; they stay pending otherwise
        and replay later. Everything finished is committed on return.
        """
        with fewer_collections():
            return await self._work(grace)

    async def _work(self, grace: float) -> Ended:
        if self._until is None:  # whoever hands spans out knows what all of the run is
            self.tally.states = await self._database.read(store_items.count_states, self.run.id)
        everyone = asyncio.create_task(self._passes())
        heart = asyncio.create_task(self._heart())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({everyone, stopping, heart}, return_when=asyncio.FIRST_COMPLETED)
            if heart.done() and not everyone.done():
                self.stop(Ended("paused", str(heart.exception())))
            if not everyone.done():
                await asyncio.wait({everyone}, timeout=grace)
            if everyone.done():
                everyone.result()
        finally:
            for task in (everyone, heart, stopping):
                task.cancel()
            await asyncio.gather(everyone, heart, stopping, return_exceptions=True)
            if self._journal.lost is None:
                await self._journal.committed()
        if self._journal.lost is not None:
            raise self._journal.lost
        return self._stop or Ended("done")

    async def _passes(self) -> None:
        """Work what is pending; where calls go into batches, again until no item waits for one."""
        while True:
            tasks = {asyncio.create_task(self._worker()) for _ in range(self._limits.concurrency)}
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            if self._batching is None or self._stop is not None:
                return
            await self._journal.committed()
            if not await self._advance(self._batching):
                return
            self._after, self._exhausted = 0, False
            self.tally.states = await self._database.read(store_items.count_states, self.run.id)

    async def _advance(self, batching: Batching) -> bool:
        """Let the batches go on until items can; False when none can, or the run stops."""
        try:
            return await batching.advance(self._stopping)
        except WaremillError as error:
            decision = decide(error, ITEM_ATTEMPTS)
            reason = decision.reason if isinstance(decision, Pause) else "batch"
            self.stop(Ended("paused", f"{reason}: {error}"))
            if isinstance(error, Conflict):
                self._journal.lost = self._journal.lost or error
            return False

    async def _worker(self) -> None:
        while self._stop is None:
            item = self._queue.popleft() if self._queue else await self._feed()
            if item is None:
                return
            await self._work_item(item)

    async def _feed(self) -> Item | None:
        async with self._feeding:
            if not self._queue and not self._exhausted:
                page = await self._database.read(
                    store_items.pending_page, self.run, self._after, PAGE, self._until
                )
                if page:
                    if self._batching is not None:
                        ids = [item.id for item in page]
                        self._before.update(await self._database.read(store_batches.paid_for, ids))
                    self._after = page[-1].id
                    self._queue.extend(page)
                else:
                    self._exhausted = True
            return self._queue.popleft() if self._queue else None

    async def _heart(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            if self._journal.lost is not None:
                raise self._journal.lost
            await self._journal.committed()
            command = await self._journal.beat(self.progress())
            if command == "pause":
                self.stop(Ended("paused", "paused by a user"))
            elif command == "cancel":
                self.stop(Ended("cancelled", "cancelled by a user"))
            deadline = self._limits.deadline
            if deadline is not None and time.monotonic() - self.tally.started > deadline:
                self.stop(Ended("paused", "deadline: the time for this run is over"))

    def progress(self) -> dict[str, Any]:
        """Give what this process did so far, for a progress bar or another terminal."""
        seconds = max(time.monotonic() - self.tally.started, 1e-9)
        spent = self.caller.spent
        return {
            "states": dict(self.tally.states), "worked": self.tally.worked, "seconds": seconds,
            "items_per_second": self.tally.worked / seconds, "calls": spent.calls,
            "failed_calls": spent.failed, "input_tokens": spent.input,
            "cached_tokens": spent.cached, "output_tokens": spent.output, "paid": spent.paid,
            "unpriced_calls": spent.unpriced, "made": self._files.made,
            "found": self._files.found, "asked": self.tally.asked,
            "batches": [] if self._batching is None else self._batching.progress(),
        }  # fmt: skip

    async def _work_item(self, item: Item) -> None:
        attempt = 0
        started = time.monotonic()
        target = str(item.target) if item.target is not None else ""
        before = self._before.pop(item.id, None)
        while True:
            attempt += 1
            trace = Trace(item, target, paid=before or 0, sent=before is not None)
            trace.watched = self.watch(item, target) if self.watch is not None else None
            self._traces[item.id] = trace
            try:
                await self._run_steps(item, trace)
            except Deferred:
                self._journal.add("parked", [{"b_id": item.id, "state": "waiting"}])
                self.tally.move("waiting")
            except Exception as error:
                decision = decide(error, attempt)
                if isinstance(decision, Retry) and self._stop is None:
                    await asyncio.sleep(decision.seconds)
                    continue
                self._escaped(item, trace, error, decision, attempt)
            else:
                self._finished(item, trace, attempt, time.monotonic() - started)
            finally:
                self._traces.pop(item.id, None)
                if trace.watched is not None:
                    trace.watched.end(attempt, len(trace.findings))
            break
        if self._journal.backlog > BACKLOG:
            await self._journal.committed()

    async def _run_steps(self, item: Item, trace: Trace) -> None:
        every: dict[str, Any] = {}
        common: dict[str, Any] = {}  # what does not depend on the target: all a shared step may see
        for step in self._steps:
            fields = every if step.per == "target" else common
            if step.when is not None and not step.when({**item.product.attributes, **fields}):
                continue
            view = replace(item, fields=dict(fields)) if fields else item
            trace.step, trace.shared = step.name, step.per != "target"
            seen, asked = len(trace.findings), len(trace.answers)
            trace.request = 0
            trace.noted = None
            made = await trace.step_made(step.name, step.run(view, self._context))
            trace.requests.update(dict.fromkeys(made, trace.request))
            findings = trace.findings[seen:]
            if not made and not findings:
                continue
            every.update(made)
            if step.per != "target":
                common.update(made)
            place = item.product.id
            if step.per == "group" and item.group is not None:
                place = item.group.id
            target = trace.target if step.per == "target" else ""
            how = {**step.provenance, "answers": trace.answers[asked:]}
            if trace.noted:
                how.update(trace.noted)
            trace.rows.append(
                result_row(
                    (item.id, place, target), step.name, made,
                    findings=dumps([f.as_json() for f in findings]) if findings else None,
                    provenance=dumps(how),
                )
            )  # fmt: skip

    def _finished(self, item: Item, trace: Trace, attempt: int, seconds: float) -> None:
        ending = ending_of(trace, "ready", attempt, seconds, None)
        if ending["findings"]:
            ending["state"] = "review"
        if trace.findings:  # warnings too: they are filtered by
            self._journal.add("findings", finding_rows(self.run.id, item.id, trace.findings))
        state = ending["state"]
        self._journal.add("results", trace.rows)
        self._journal.add("items", [ending])
        self.tally.move(state)
        self.tally.asked += trace.sent
        self._rules.succeeded()

    def _escaped(
        self, item: Item, trace: Trace, error: Exception, decision: Any, attempt: int
    ) -> None:
        match decision:
            case Pause(reason):
                self.stop(Ended("paused", f"{reason}: {error}"))
                if isinstance(error, Conflict):
                    self._journal.lost = self._journal.lost or error
                return
            case Retry():  # the run stops: the item stays pending
                return
            case Review():
                finding = Finding("", type(error).__name__.lower(), "error", str(error)[:500])
                trace.findings.append(finding)
                found = [f.as_json() for f in (*getattr(error, "findings", ()), finding)]
                refused = result_row(
                    (item.id, item.product.id, trace.target), trace.step, {},
                    findings=dumps(found), provenance=None,
                )  # fmt: skip
                self._journal.add("findings", finding_rows(self.run.id, item.id, trace.findings))
                # What the steps before this one made is paid for and worth a look.
                self._journal.add("results", [*trace.rows, refused])
                self._journal.add("items", [ending_of(trace, "review", attempt, None, None)])
                self.tally.move("review")
                self._rules.succeeded()
            case Fail(ours):
                described: dict[str, Any] = {"type": type(error).__name__, "step": trace.step,
                             "message": str(error)[:1000]}  # fmt: skip
                if isinstance(error, ProviderError):
                    described |= {"model": error.model, "status": error.status}
                if ours:
                    described["traceback"] = "".join(traceback.format_exception(error))[-8000:]
                self._journal.add(
                    "items", [ending_of(trace, "failed", attempt, None, dumps(described))]
                )
                self.tally.move("failed")
                # An input the user must mend cost nothing and says nothing about the endpoint.
                limit = None if isinstance(error, UserError) else self._rules.failed(error)
                if limit is not None:
                    self.stop(Ended("paused", f"{limit.limit}: {limit}"))

    # What the context offers to steps.

    async def _call(self, item: Item, request: Request, model: str | None = None) -> Answer:
        trace = self._traces[item.id]
        if item.take:
            request = replace(request, take=item.take)
        sender = Sender(self.run.id, item.id, trace.step, trace.target)
        alias = model or "default"
        answer = await trace.call_answered(alias, self.caller.call(request, alias, sender))
        trace.request = int.from_bytes(answer.hash[:8], "big", signed=True)
        trace.answers.append(answer.hash.hex())
        if not answer.replayed:
            trace.sent = True
        if answer.list_cost is None:
            trace.priced = False
        elif not trace.shared or self._first_use(answer.hash, item.id):
            trace.list_cost += answer.list_cost
            if not answer.replayed:
                trace.paid += answer.list_cost
        return answer

    def _first_use(self, digest: bytes, item_id: int) -> bool:
        """Say whether an item is the one a shared answer's list cost is counted to.

        A product's targets, and mostly a group's members, follow each other, so few are kept.
        """
        first = self._used.setdefault(digest, item_id)
        if len(self._used) > USED_KEPT:
            del self._used[next(iter(self._used))]
        return first == item_id

    def _report(self, item: Item, findings: Sequence[Finding]) -> None:
        self._traces[item.id].findings.extend(findings)

    async def _record(self, item: Item, name: str, make: Callable[[], Awaitable[Any]]) -> Any:
        known = await self._database.read(recordings.find, item.id, name)
        if known is not None:
            return orjson.loads(known)
        value = await make()
        row = {"item_id": item.id, "name": name, "value": dumps(value)}
        await self._journal.put("recordings", [row])
        return value

    async def _retrieve(self, item: Item, search: Search) -> tuple[Passage, ...]:
        trace = self._traces[item.id]
        trace.searches += 1

        async def look() -> list[dict[str, Any]]:
            if self._searches is None:
                return as_json(await no_knowledge(item, search))
            try:
                return as_json(await self._searches(search))
            except NotFound as error:  # it was there when the run was planned: no item has it now
                raise ConfigError(str(error)) from error

        found = from_json(await self._record(item, f"search {trace.searches}", look))
        trace.noted = trace.noted or {}
        trace.noted.setdefault("passages", []).extend(entries(search, found))
        return found

    def _note(self, item: Item, name: str, value: Any) -> None:
        trace = self._traces[item.id]
        trace.noted = {**(trace.noted or {}), name: value}

    async def _similar(self, item: Item, name: str, made: Signature) -> Sequence[tuple[str, float]]:
        trace = self._traces[item.id]
        request = trace.requests.get(name, trace.request)
        return await self._likeness.similar(item, name, made, request)
