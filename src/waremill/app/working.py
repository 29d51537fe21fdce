"""The use case *work*: claim a run, build what it was frozen with, work it, settle it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import orjson
from sqlalchemy import ColumnElement, Connection

from waremill.app import notifying
from waremill.app.assembly import Assembly, Endpoints, assemble, identities, require_prices
from waremill.app.batching.opening import is_batched, open_batching, wind_up
from waremill.app.deciding import accept_by_rule
from waremill.app.keeping import open_files, storage_at
from waremill.app.operations.tracing import tracer_of
from waremill.app.slotting import item_conditions
from waremill.app.status import money, priority_of
from waremill.calls import Caller, Endpoint
from waremill.calls.batching import Stock
from waremill.calls.budget import Budget
from waremill.catalog.selection import compile_where
from waremill.errors import ConfigError, Conflict, DatabaseGone
from waremill.runs.files import RunFiles
from waremill.runs.trace import Watch
from waremill.runs.work import AtWork, Ended, Worker, WorkLimits
from waremill.settings import Settings
from waremill.store import pipelines as store_pipelines
from waremill.store import runs as store_runs
from waremill.store.database import Database, Dialect
from waremill.store.journal import Journal
from waremill.store.limits import draw_money, find_quota, team_left
from waremill.store.runs import Run
from waremill.store.tables import dumps, items, products
from waremill.store.workers import Hold, at_work

PULSE_SECONDS = 5.0
PATIENCE_SECONDS = 120.0
"""How long a run at work waits for a database that does not answer: a restart, a fail-over."""
OnStart = Callable[[AtWork], None]
"""Is handed what works a run once it does: for a progress bar, and to stop it."""


def owner_name() -> str:
    """Name this process so that others on the machine can see whether it lives."""
    return f"{socket.gethostname()}:{os.getpid()}:{_born(os.getpid())}"


def owner_is_dead(owner: str | None) -> bool:
    """Say whether a run's owner was a process of this machine that is gone."""
    if owner is None:
        return True
    host, _, rest = owner.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not rest.isdecimal():
        return False
    return _born(int(rest)) != owner.rpartition(":")[2]


def owner_is_alive(owner: str) -> bool:
    """Say whether a run's owner is known to be a living process of this machine."""
    host = owner.rpartition(":")[0].rpartition(":")[0]
    return host == socket.gethostname() and not owner_is_dead(owner)


def _born(pid: int) -> str:
    """Say when a process was started, in ticks where the system tells; '' when it is gone."""
    with contextlib.suppress(PermissionError):  # somebody else's process lives too
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return ""
    status = Path(f"/proc/{pid}/stat")
    if status.exists():
        with contextlib.suppress(OSError, IndexError):
            after_name = status.read_text().rpartition(")")[2].split()
            return "" if after_name[0] == "Z" else after_name[19]
    return "alive"


def waits_because(settings: Settings, cost: int | None, above: int) -> str:
    """Say why a run that may cost `cost` waits, where above `above` nano-USD two must agree."""
    shown = "an unknown amount" if cost is None else f"{money(cost, settings.per_usd):g}"
    return (
        f"waits for a second person: it may cost {shown} {settings.currency}, and above "
        f"{money(above, settings.per_usd):g} {settings.currency} somebody else must approve"
    )


@dataclass(frozen=True, slots=True)
class Desk:
    """All that working a run takes in one process; it makes workers of it, or of spans of it.

    `stock` is what batches are made with, where the run goes through them.
    """

    database: Database
    hold: Hold
    assembly: Assembly
    journal: Journal
    caller: Caller
    files: RunFiles
    limits: WorkLimits
    endpoints: Mapping[str, Endpoint]
    stock: Stock
    watch: Watch | None = None

    def worker(self, span: tuple[int, int] | None = None) -> Worker:
        """Make a worker of the whole run, or of the items after one id and up to another."""
        made = Worker(
            self.database, self.hold.run, self.journal, self.caller, self.assembly.steps,
            self.files, replace(self.limits, span=span),
        )  # fmt: skip
        made.watch = self.watch
        return made


@asynccontextmanager
async def open_desk(
    settings: Settings, database: Database, hold: Hold, assembly: Assembly
) -> AsyncIterator[Desk]:
    """Open models, journal and budget for working a run; what was drawn and not spent goes back."""
    run = hold.run
    quota = await database.read(find_quota, run.team_id)
    budget: Budget | None = None
    tracer = tracer_of(settings, run)
    try:
        models = Endpoints(settings, database, assembly.models, quota, priority_of(run))
        async with models as endpoints:
            journal = Journal(database, hold)
            parts = 1 if hold.worker is None else await database.read(at_work, run)
            budget = await open_budget(settings, database, run, assembly.models, parts)
            most = [endpoints[name].limiter.most for name in assembly.models]
            limits = WorkLimits(
                max(most, default=settings.limits.concurrency), settings.limits.error_rate,
                settings.limits.deadline * 60 if settings.limits.deadline else None,
            )  # fmt: skip
            assets = storage_at(settings.pictures.storage)
            caller = Caller(endpoints, journal, budget, assets=assets)
            files = open_files(settings, database, journal)
            stock = Stock(database, run, journal, budget, assets)
            yield Desk(
                database, hold, assembly, journal, caller, files, limits, endpoints, stock,
                None if tracer is None else tracer.watch,
            )  # fmt: skip
    finally:
        if tracer is not None:
            await asyncio.to_thread(tracer.close)
        if budget is not None and (unspent := budget.unspent()):
            with contextlib.suppress(Conflict):
                await database.repeat(hold.give_back, secrets.randbits(62), unspent)


async def work_here(
    settings: Settings,
    database: Database,
    run: Run,
    assembly: Assembly,
    on_start: Callable[[Worker], None],
) -> Ended:
    """Work a claimed run in this process."""
    async with open_desk(settings, database, Hold(run), assembly) as desk:
        worker = desk.worker()
        if is_batched(run):
            return await _work_in_batches(settings, desk, worker, on_start)
        on_start(worker)
        ended = await worker.work()
        await database.repeat(store_runs.beat, run, worker.progress())
        return ended


async def _work_in_batches(
    settings: Settings, desk: Desk, worker: Worker, on_start: Callable[[Worker], None]
) -> Ended:
    """Work a claimed run through its vendors' batches, and do what an ended one owes them."""
    names = desk.assembly.models
    async with open_batching(settings, desk.stock, desk.caller, desk.endpoints, names) as batching:
        worker.batch(batching)
        on_start(worker)
        if worker.run.command == "cancel":
            worker.stop(Ended("cancelled", "cancelled by a user"))
        ended = await wind_up(batching, await worker.work())
        await desk.database.repeat(store_runs.beat, worker.run, worker.progress())
        return ended


async def work_run(
    settings: Settings,
    database: Database,
    run: Run,
    engine: Callable[[Run, Assembly], Awaitable[Ended]],
) -> Run:
    """Work a run to its end, a stop or an error; give it as it is then.

    `engine` works the claimed run. Raises Conflict when somebody alive owns it or took it over
    meanwhile, and when it waits for a second person.
    """
    run = await database.read(store_runs.get_run, run.id)
    if run.state in store_runs.ENDED:
        raise Conflict(f"run {run.name} is {run.state}; there is nothing left to work")
    cancelling = run.command == "cancel"  # left where nobody worked it: its batches must be stopped
    run = await database.write(
        store_runs.claim, run.id, owner_name(), owner_is_dead, owner_is_alive,
        partial(waits_because, settings),
    )  # fmt: skip
    pulse = asyncio.create_task(_pulse(database, run))
    started = time.monotonic()
    ended = Ended("paused", "the worker could not start")
    database.patience = PATIENCE_SECONDS
    try:
        assembly = await thaw(settings, database, run)
        ended = await engine(replace(run, command="cancel") if cancelling else run, assembly)
        if ended.state == "done":
            await _accept(database, run, assembly)
    except Conflict:
        raise
    except (asyncio.CancelledError, KeyboardInterrupt):
        ended = Ended("interrupted")
        database.patience = 0.0
        raise
    except BaseException as error:
        ended = Ended("paused", str(error) or type(error).__name__)
        if isinstance(error, DatabaseGone):  # it was waited for
            database.patience = 0.0
        raise
    finally:
        state = "paused" if ended.state == "interrupted" else ended.state
        reason = "interrupted" if ended.state == "interrupted" else ended.reason
        pulse.cancel()
        # A release that comes too late is a Conflict: the run is somebody else's, who settles it,
        # or it was released and no word of it came.
        with contextlib.suppress(Conflict):
            seconds = time.monotonic() - started
            await database.repeat(_release, run, Ended(state, reason), seconds)
        database.patience = 0.0
    return await database.read(store_runs.get_run, run.id)


def _release(conn: Connection, run: Run, ended: Ended, seconds: float) -> None:
    """Give a run up, and tell who listens that it has ended."""
    store_runs.release(conn, run, ended.state, ended.reason, seconds)
    if ended.state in store_runs.ENDED:
        notifying.run_finished(conn, store_runs.get_run(conn, run.id))


async def open_budget(
    settings: Settings, database: Database, run: Run, models: Iterable[str], parts: int = 1
) -> Budget | None:
    """Open what a run may spend: its own budget, and what is left of its team's month.

    None where there is neither; `parts` is how many processes share it. Raises ConfigError for a
    team with a budget and a model without a price.
    """
    left = await database.write(team_left, run.team_id)
    if left is not None:
        require_prices(settings, models, "the team's monthly budget")
    if run.budget is None and left is None:
        return None

    async def draw(amount: int) -> bool:
        # Twice where no word came of the first: what was drawn then counts as spent.
        refused = await database.repeat(draw_money, run, amount)
        if refused == "team":
            budget.whose = "the team's monthly budget"
        return refused is None

    budget = Budget(run.budget if run.budget is not None else max(left or 0, 0), draw, parts)
    return budget


async def _pulse(database: Database, run: Run) -> None:
    """Say that the owner lives from the claim to the release, also while nothing is worked yet."""
    while True:
        await asyncio.sleep(PULSE_SECONDS)
        try:
            await database.repeat(store_runs.touch, run)
        except Conflict:  # the next commit of the work says so
            return


async def thaw(
    settings: Settings, database: Database, run: Run, *, check_models: bool = True
) -> Assembly:
    """Build a run's pipeline from the files it was planned with.

    `check_models` refuses to work it with models other than the planned ones.
    """
    _, files = await database.read(store_pipelines.load_pipeline_files, run.pipeline_version_id)
    assembly = assemble(settings, run.pipeline, run.plan.get("model"), files)
    planned = run.plan.get("identities")
    now = orjson.loads(dumps(identities(settings, assembly.models)))  # as the plan was frozen
    if check_models and planned and planned != now:
        raise ConfigError(
            f"run {run.name} was planned with other models than waremill.toml names now; "
            "set them back, or start a new run"
        )
    return assembly


async def _accept(database: Database, run: Run, assembly: Assembly) -> None:
    """Apply the pipeline's review rule, if it has one."""
    rule = assembly.pipeline.accept
    if rule is None:
        return
    await accept_by_rule(database, run, condition_of(run, rule, database.dialect), rule)


def condition_of(run: Run, rule: str, dialect: Dialect) -> ColumnElement[bool]:
    """Compile a condition over a run's items with the names that were frozen with it."""
    return review_condition(
        rule, tuple(run.plan["columns"]), dialect, tuple(run.plan.get("slots", ()))
    )


def review_condition(
    rule: str, columns: tuple[str, ...], dialect: Dialect, slots: Sequence[str] = ()
) -> ColumnElement[bool]:
    """Compile a review rule: attributes, and `_findings`, `_status`, `_target`, `_key`.

    A picture slot is filled where something was made for the item's target, or for all.
    """
    return compile_where(
        rule, products.c.attributes, columns, dialect,
        extra={"_findings": items.c.findings, "_status": items.c.state, "_target": items.c.target,
               "_key": products.c.key},
        slots=item_conditions(slots, dialect),
    )  # fmt: skip
