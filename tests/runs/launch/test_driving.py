"""What a driver does when workers die, never come, or run out of memory; a cluster stands in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import ray.exceptions
from sqlalchemy import Connection, update
from tests.planned import claimed, item_rows, planned

from waremill.runs.launch.ray import Build, Crew, Driver, Span, WorkSpan
from waremill.runs.work import Ended
from waremill.store import items as store_items
from waremill.store.database import Database
from waremill.store.runs import Run
from waremill.store.tables import items
from waremill.store.workers import Hold

_DIED = ray.exceptions.ActorDiedError()
Fate = Callable[[int], Exception | None]


class Reference:
    """What a call of an actor gives: it can be awaited."""

    def __init__(self, made: Awaitable[Any]) -> None:
        self._made = made

    def __await__(self) -> Any:
        return self._made.__await__()


class Method:
    """A method of an actor; it fails as the actor's fate has it."""

    def __init__(self, run: Callable[..., Awaitable[Any]], fate: Exception | None) -> None:
        self._run = run
        self._fate = fate

    def remote(self, *arguments: Any) -> Reference:
        async def answer() -> Any:
            if self._fate is not None:
                raise self._fate
            return await self._run(*arguments)

        return Reference(answer())


class Actor:
    """An actor in this process."""

    def __init__(
        self,
        part: Any,
        at_birth: Exception | None,
        at_work: Exception | None,
        wait: Callable[[], Awaitable[Any]],
    ) -> None:
        async def node() -> str:
            await wait()
            return str(await part.node())

        self.node = Method(node, at_birth)
        self.work = Method(part.work, at_work)
        self.close = Method(part.close, None)


class InProcess:
    """Does what a driver asks of Ray inside this process.

    `birth` and `work` say by an actor's number how it dies before it answers, and at a span; `wait`
    gives what it waits for before it has a place.
    """

    exceptions = ray.exceptions

    def __init__(self, birth: Fate = lambda _: None, work: Fate = lambda _: None) -> None:
        self._birth = birth
        self._work = work
        self.wait: Callable[[int], Awaitable[Any]] = lambda _: asyncio.sleep(0)
        self._made: Any = None
        self.actors = 0

    def remote(self, *arguments: Any) -> Any:
        """Take a class, then make an actor of it, as Ray does."""
        if len(arguments) == 1:
            self._made = arguments[0]
            return self
        number = self.actors
        self.actors += 1
        part = self._made(*arguments)
        return Actor(part, self._birth(number), self._work(number), partial(self.wait, number))

    def options(self, **_options: Any) -> InProcess:
        """Any place will do."""
        return self

    def cluster_resources(self) -> dict[str, float]:
        """There is room for all."""
        return {"CPU": 1.0}

    def kill(self, _actor: Any) -> None:
        """It dies with what it was asked."""


def building(database: Database, run: Run) -> Build:
    """Build workers that finish the pending items of a span without asking anybody."""

    @asynccontextmanager
    async def build(worker: int) -> AsyncIterator[WorkSpan]:
        async def work(span: Span) -> Ended:
            def finish(conn: Connection) -> None:
                Hold(run, worker).commit(conn, 1)
                page = store_items.pending_page(conn, run, span[0], 1000, span[1])
                conn.execute(
                    update(items)
                    .where(items.c.id.in_([one.id for one in page]))
                    .values(state="ready", attempts=items.c.attempts + 1)
                )

            await database.write(finish)
            return Ended("done")

        yield work

    return build


async def driven(database: Database, cluster: InProcess, places: int = 2) -> tuple[Ended, set[Any]]:
    """Drive a run over a cluster; give how it ended, and its items' states and attempts."""
    run = await claimed(database, await planned(database, 250))
    driver = Driver(database, run, Crew(workers=places), building(database, run), None)
    ended = await driver.drive(cluster)
    return ended, {(row.state, row.attempts) for row in await item_rows(database, run)}


@pytest.mark.parametrize(
    "death",
    [
        _DIED,
        ray.exceptions.OutOfMemoryError("the node ran low on memory"),
        ray.exceptions.ActorUnavailableError("no answer", None),
        ray.exceptions.NodeDiedError("gone"),
    ],
    ids=lambda one: type(one).__name__,
)
async def test_however_a_worker_dies_its_span_is_worked_by_another(
    database: Database, death: Exception
) -> None:
    cluster = InProcess(work=lambda number: death if number == 0 else None)
    ended, states = await driven(database, cluster)
    assert (ended.state, states) == ("done", {("ready", 1)})
    assert cluster.actors == 3


async def test_workers_that_cannot_even_start_pause_the_run_and_say_why(database: Database) -> None:
    died = ray.exceptions.RayError("because of its creation task\nModuleNotFoundError: waremill")
    ended, states = await driven(database, InProcess(birth=lambda _: died), places=3)
    assert ended.state == "paused"
    assert ended.reason is not None
    assert ended.reason.endswith("could begin: ModuleNotFoundError: waremill")
    assert states == {("pending", 0)}


async def test_a_bug_of_ours_is_no_loss_of_a_worker(database: Database) -> None:
    bug = ray.exceptions.RayTaskError("work", "Traceback …", ValueError("ours"))
    cluster = InProcess(work=lambda _: bug)
    with pytest.raises(ray.exceptions.RayTaskError):
        await driven(database, cluster, places=1)
    assert cluster.actors == 1


async def test_a_place_whose_next_worker_never_comes_keeps_nobody_waiting(
    database: Database,
) -> None:
    """After a node is lost there may be no room for another; who is left ends the run at once."""
    never = asyncio.Event()
    cluster = InProcess(work=lambda number: _DIED if number == 0 else None)
    cluster.wait = lambda number: never.wait() if number > 1 else asyncio.sleep(0)
    async with asyncio.timeout(10):
        ended, states = await driven(database, cluster)
    assert (ended.state, states) == ("done", {("ready", 1)})


async def test_a_stop_is_heard_while_nobody_has_a_place(database: Database) -> None:
    run = await claimed(database, await planned(database))
    driver = Driver(database, run, Crew(workers=2), building(database, run), None)
    cluster = InProcess()

    async def stopped_then_never(number: int) -> None:
        driver.stop(Ended("interrupted"))
        await asyncio.Event().wait()

    cluster.wait = stopped_then_never
    async with asyncio.timeout(10):
        assert await driver.drive(cluster) == Ended("interrupted")


async def test_a_run_that_is_left_without_any_worker_pauses_and_says_what_it_asks_for(
    database: Database,
) -> None:
    cluster = InProcess(work=lambda _: _DIED)
    cluster.wait = lambda number: asyncio.Event().wait() if number else asyncio.sleep(0)
    run = await claimed(database, await planned(database))
    crew = Crew(workers=1, gpus=2, room_seconds=0.5)
    ended = await Driver(database, run, crew, building(database, run), None).drive(cluster)
    assert ended.state == "paused"
    assert ended.reason is not None
    assert "no room for a worker, which asks for 1 CPU and 2 GPU" in ended.reason
