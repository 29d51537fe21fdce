"""Spread a claimed run over the actors of a Ray cluster: spans of item ids out, receipts back.

The process that owns the run drives: it counts, beats, hands out spans and takes them back from
actors that died. An actor writes under a row in `workers`; before its span is given to another it
is shut out there, so one that only seemed dead cannot write any more. What it had finished is
committed, so only calls in flight are made again. The driver may die too: whoever claims the run
next shuts out all its actors and goes on with what is pending.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    contextmanager,
    suppress,
)
from dataclasses import dataclass
from typing import Any, cast

from waremill.errors import ConfigError, Conflict, DatabaseGone, WaremillError
from waremill.runs.work import BEAT_SECONDS, Ended
from waremill.store import items as store_items
from waremill.store import runs as store_runs
from waremill.store import workers as store_workers
from waremill.store.database import Database
from waremill.store.runs import Run

INSTALL = "runs on a cluster need the extra “ray”: pip install 'waremill[ray]'"
CLIENT = "ray://"
"""Begins the address of a cluster that is reached through its client server."""
Span = tuple[int, int]
"""Items with ids above the first and up to the second."""
WorkSpan = Callable[[Span], Awaitable[Ended]]
Build = Callable[[int], AbstractAsyncContextManager[WorkSpan]]
"""Opens, in an actor, what works spans under the worker's row of the given id; pickled by Ray."""
SPANS_A_WORKER = 2
"""Each span is the rest over so many times the workers: large ones first, so that little is waited
for, small ones last, so that all end together (guided self-scheduling, Polychronopoulos and Kuck
1987)."""
FEWEST, MOST = 100, 20_000
"""Items of a span."""
LOSSES = 3
"""Workers that may be lost over one span before it is taken to be the span's fault."""
ANSWER_SECONDS = 10.0
"""How long a cluster's address may take to answer at all."""
START_SECONDS = 300.0
"""How long a run may be without any worker: a cluster may have to start a machine for one."""
LONGEST_PAUSE = 60.0
"""Seconds between two actors of one place, where one after the other dies before it works."""
GRACE_SECONDS = 30.0
"""How long workers may finish their calls in flight after a stop."""


@dataclass(frozen=True, slots=True)
class Crew:
    """Where the workers are, how many, and what each asks its node for.

    `address` None starts a cluster on this machine for the run; `workers` None takes as many as
    the cluster has room for at the start. A run may be without any worker for `room_seconds`.
    """

    address: str | None = None
    workers: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    room_seconds: float = START_SECONDS


class Part:
    """An actor: works one span after the other with what it opened for the first."""

    def __init__(self, build: Build, worker: int) -> None:
        self._build = build
        self._worker = worker
        self._stack = AsyncExitStack()
        self._work: WorkSpan | None = None

    async def node(self) -> str:
        """Name the machine."""
        return socket.gethostname()

    async def work(self, span: Span) -> Ended:
        """Work a span; what stopped it is given back, and raised only where it is a bug."""
        try:
            if self._work is None:
                self._work = await self._stack.enter_async_context(self._build(self._worker))
            return await self._work(span)
        except Conflict as error:
            return Ended("lost", str(error))
        except WaremillError as error:
            return Ended("paused", f"{socket.gethostname()}: {error}")

    async def close(self) -> None:
        """Give back what was drawn and not used, and close all that was opened."""
        with suppress(WaremillError):  # shut out meanwhile: nothing is its to give back
            await self._stack.aclose()


class Driver:
    """Drives one claimed run over a cluster; `deadline` is in seconds."""

    def __init__(
        self, database: Database, run: Run, crew: Crew, build: Build, deadline: float | None
    ) -> None:
        self.run = run
        self._database = database
        self._crew = crew
        self._build = build
        self._deadline = deadline
        self._started = time.monotonic()
        self._states: Counter[str] = Counter()
        self._asked = int((run.progress or {}).get("asked", 0))
        self._progress: dict[str, Any] = {}
        self._back: deque[Span] = deque()
        self._after = 0
        self._rest = 0
        self._exhausted = False
        self._at_work = 0
        self._present: set[asyncio.Task[Any]] = set()
        self._alone_since = self._started
        self._stillborn = 0
        self._losses: Counter[Span] = Counter()
        self._changed = asyncio.Condition()
        self._stop: Ended | None = None
        self._stopping = asyncio.Event()
        self._places = 1

    def stop(self, ended: Ended) -> None:
        """Hand out no more spans, and have the workers finish what is in flight."""
        if self._stop is None:
            self._stop = ended
            self._stopping.set()

    def progress(self) -> dict[str, Any]:
        """Give what all workers did since the run was claimed, in a worker's own terms."""
        seconds = max(time.monotonic() - self._started, 1e-9)
        told = dict(self._progress)
        states = Counter(self._states)
        states.update(told.pop("states", {}))
        done = {**dict.fromkeys(_SUMMED, 0), **told}
        return {
            **done, "asked": done["asked"] + self._asked, "states": dict(states),
            "seconds": seconds, "items_per_second": done["worked"] / seconds,
        }  # fmt: skip

    async def work(self) -> Ended:
        """Work until nothing is pending or something stops the run."""
        await self._count()
        await _answers(self._crew.address)
        with _own_output():
            return await self._connect_and_drive()

    async def _connect_and_drive(self) -> Ended:
        ray = await asyncio.to_thread(_connected, self._crew)
        try:
            return await self.drive(ray)
        except ConnectionError as error:  # the client of `ray://` lost its server
            told, *_ = str(error).strip().splitlines() or [type(error).__name__]
            return Ended("paused", f"the connection to the cluster was lost: {told}")
        finally:
            await asyncio.to_thread(ray.shutdown)

    async def _count(self) -> None:
        self._states.update(await self._database.read(store_items.count_states, self.run.id))
        self._rest = self._states["pending"]

    async def drive(self, ray: Any) -> Ended:
        """Work as `work` does, over a cluster that `ray` is connected to."""
        room = int(ray.cluster_resources().get("CPU", 1) / max(self._crew.cpus, 0.01))
        self._places = self._crew.workers or max(1, room)
        if not self._states:
            await self._count()
        self._alone_since = time.monotonic()
        places = {asyncio.create_task(self._place(ray)) for _ in range(self._places)}
        heart = asyncio.create_task(self._heart())
        watch = {*places, heart, asyncio.create_task(self._stopping.wait())}
        over = asyncio.create_task(self._over())
        try:
            await asyncio.wait({*watch, over}, return_when=asyncio.FIRST_COMPLETED)
            while not (over.done() or self._stopping.is_set() or _raised(watch)):
                waiting = {one for one in (*watch, over) if not one.done()}
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if self._stopping.is_set():
                # Workers read the command themselves, with their next beat.
                command = "cancel" if self._stop == _CANCELLED else "pause"
                await self._database.repeat(store_runs.leave_command, self.run, command)
                async with self._changed:  # nobody may be at work, and nothing is to be handed out
                    self._changed.notify_all()
                await asyncio.wait({over}, timeout=GRACE_SECONDS)
            if over.done() and self._present:  # they give back what they drew and did not use
                await asyncio.wait(self._present, timeout=GRACE_SECONDS)
            if (error := _raised(watch)) is not None:
                if isinstance(error, DatabaseGone):  # it was waited for
                    self._database.patience = 0.0
                raise error
        finally:
            for task in (*watch, over):
                task.cancel()
            await asyncio.gather(*watch, over, return_exceptions=True)
            self._progress = _summed(await self._database.read(store_workers.progress_of, self.run))
        with suppress(Conflict):
            await self._database.repeat(store_runs.beat, self.run, self.progress())
        return self._stop or Ended("done")

    async def _over(self) -> None:
        """Return when no span is at work and none is left to hand out."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: (
                    self._at_work == 0
                    and (self._stop is not None or (self._exhausted and not self._back))
                )
            )

    async def _place(self, ray: Any) -> None:
        """Keep one actor and give it spans; a new one where it is lost."""
        options = {"num_cpus": self._crew.cpus, "num_gpus": self._crew.gpus, "max_restarts": 0,
                   "scheduling_strategy": "SPREAD"}  # fmt: skip
        pause = BEAT_SECONDS
        while self._stop is None:
            worker = await self._database.repeat(store_workers.enrol, self.run)
            actor = ray.remote(Part).options(**options).remote(self._build, worker)
            try:
                node = await _answer(actor.node.remote())
                self._came()
                pause = BEAT_SECONDS
                await self._database.repeat(store_workers.arrived, worker, node)
                if await self._kept_busy(ray, actor, worker):
                    return
            except ray.exceptions.RayTaskError:
                raise
            except ray.exceptions.RayError as error:  # it died before it had a span
                self._died_young(error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            finally:
                self._left()
                try:
                    ray.kill(actor)
                finally:
                    await self._database.repeat(store_workers.shut_out, worker)

    def _came(self) -> None:
        """Note that this place's actor is there."""
        self._stillborn = 0
        self._present.add(cast("asyncio.Task[Any]", asyncio.current_task()))

    def _left(self) -> None:
        """Note that this place's actor is not there any more."""
        self._present.discard(cast("asyncio.Task[Any]", asyncio.current_task()))
        if not self._present:
            self._alone_since = time.monotonic()

    def _died_young(self, error: Exception) -> None:
        """Stop the run where no worker can even start, as where nodes lack what it is made of."""
        self._stillborn += 1
        if self._stillborn >= LOSSES and not self._present:
            words = [line for line in str(error).splitlines() if line.strip()] or [repr(error)]
            reason = f"workers: {LOSSES} died before they could begin: {words[-1].strip()}"
            self.stop(Ended("paused", reason))

    async def _kept_busy(self, ray: Any, actor: Any, worker: int) -> bool:
        """Give an actor spans until none is left; False when it is lost before that."""
        while (span := await self._next()) is not None:
            try:
                ended = await _answer(actor.work.remote(span))
            except ray.exceptions.RayTaskError:  # raised by us, and no loss of a worker
                raise
            except ray.exceptions.RayError as error:  # it, its memory or its node is gone
                ended = Ended("lost", str(error))
            except asyncio.CancelledError:
                await self._put(span)
                raise
            if ended.state == "lost":
                await self._lost(worker, span, ended)
                return False
            if ended.state != "done":
                self.stop(ended)
            await self._put(None)
        with suppress(ray.exceptions.RayError):
            await _answer(actor.close.remote())
        return True

    async def _next(self) -> Span | None:
        """Take the next span; wait for one that may come back. None when the work is over."""
        async with self._changed:
            while self._stop is None:
                if self._back:
                    span: Span | None = self._back.popleft()
                else:
                    span = await self._cut()
                if span is not None:
                    self._at_work += 1
                    return span
                if self._at_work == 0:
                    break
                await self._changed.wait()
            self._changed.notify_all()
            return None

    async def _cut(self) -> Span | None:
        """Cut the next span off what is pending and was not handed out."""
        if self._exhausted:
            return None
        size = min(MOST, max(FEWEST, self._rest // (SPANS_A_WORKER * self._places)))
        found = await self._database.read(store_items.pending_span, self.run, self._after, size)
        if found is None:
            self._exhausted = True
            return None
        last, count = found
        span = (self._after, last)
        self._after = last
        self._rest -= count
        return span

    async def _put(self, span: Span | None) -> None:
        """Say that a span is not at work any more; one that is given must be worked again."""
        async with self._changed:
            self._at_work -= 1
            if span is not None:
                self._back.append(span)
            self._changed.notify_all()

    async def _lost(self, worker: int, span: Span, ended: Ended) -> None:
        """Shut a worker out, and have its span worked again."""
        await self._database.repeat(store_workers.shut_out, worker)
        self._losses[span] += 1
        if self._losses[span] >= LOSSES:
            reason = (ended.reason or "").partition("\n")[0]
            self.stop(Ended("paused", f"workers: {LOSSES} were lost over the same items: {reason}"))
        await self._put(span)

    async def _heart(self) -> None:
        crew = self._crew
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            told = await self._database.read(store_workers.progress_of, self.run)
            self._progress = _summed(told)
            command = await self._database.repeat(store_runs.beat, self.run, self.progress())
            seconds = time.monotonic() - self._started
            if command == "pause":
                self.stop(Ended("paused", "paused by a user"))
            elif command == "cancel":
                self.stop(_CANCELLED)
            elif self._deadline is not None and seconds > self._deadline:
                self.stop(Ended("paused", "deadline: the time for this run is over"))
            elif not self._present and time.monotonic() - self._alone_since > crew.room_seconds:
                self.stop(
                    Ended("paused", f"the cluster has had no room for a worker, which asks for "
                          f"{crew.cpus:g} CPU and {crew.gpus:g} GPU, for {crew.room_seconds:g} s")
                )  # fmt: skip


_CANCELLED = Ended("cancelled", "cancelled by a user")


async def _answer(reference: Any) -> Any:
    """Wait for what an actor answers.

    Whoever gives up waiting leaves Ray's own future alone: the client of `ray://` dies loudly of an
    answer to one that was cancelled.
    """
    answer = asyncio.ensure_future(reference)
    answer.add_done_callback(lambda one: one.cancelled() or one.exception())  # it was looked at
    return await asyncio.shield(answer)


_SUMMED = ("worked", "calls", "failed_calls", "input_tokens", "cached_tokens", "output_tokens",
           "paid", "unpriced_calls", "made", "found", "asked")  # fmt: skip


def _summed(told: list[dict[str, Any]]) -> dict[str, Any]:
    """Add up what workers say they did."""
    states: Counter[str] = Counter()
    for one in told:
        states.update(one["states"])
    return {name: sum(one[name] for one in told) for name in _SUMMED} | {"states": dict(states)}


def _raised(tasks: set[asyncio.Task[Any]]) -> BaseException | None:
    for task in tasks:
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            return error
    return None


@contextmanager
def _own_output() -> Iterator[None]:
    """Send what Ray's core prints to standard error: the other is for what scripts read."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


async def _answers(address: str | None) -> None:
    """Raise ConfigError where nobody listens at HOST:PORT; Ray itself would try for minutes."""
    host, colon, port = (address or "").removeprefix(CLIENT).rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, TimeoutError, OverflowError) as error:
        told = str(error) or f"no answer in {ANSWER_SECONDS:g} s"
        raise ConfigError(f"Ray at {address} cannot be reached: {told}") from error
    writer.close()


def _connected(crew: Crew) -> Any:
    """Connect to the cluster, or start one on this machine; raise ConfigError where that fails."""
    try:
        import ray
    except ImportError:
        raise ConfigError(INSTALL) from None
    options: Mapping[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    try:
        if crew.address is None:
            ray.init(address="local", include_dashboard=False, **options)
        else:
            ray.init(address=crew.address, **options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = "a cluster on this machine" if crew.address is None else crew.address
        told, *_ = str(error).strip().splitlines() or [type(error).__name__]
        if where.startswith(CLIENT):  # which says no more than that nobody answered in time
            raise ConfigError(
                f"Ray at {where} cannot be reached: {told}; where the cluster asks for a token, "
                "set RAY_AUTH_MODE=token in the environment"
            ) from error
        raise ConfigError(f"Ray at {where} cannot be reached: {told}") from error
    return ray


__all__ = ["CLIENT", "Build", "Crew", "Driver", "Span", "WorkSpan"]
