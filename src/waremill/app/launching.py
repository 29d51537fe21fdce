"""The use case *launch*: plan a run, and have a process of its own work it.

A launched run outlives whoever launched it: it is worked by `waremill work RUN` in a session of its
own, and all that is said to it goes through the database. What may cost more than a team's limit
waits for a second person.
"""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, Unpack
from weakref import WeakKeyDictionary

from sqlalchemy import Connection

from waremill.app import auditing, trialling
from waremill.app.assembly import all_models, require_keys
from waremill.app.exemplars import assembled
from waremill.app.generating import may_use
from waremill.app.options import TaskOptions, budget_in_nano, order_run, prepare
from waremill.app.retrying import begin_retry, set_failed_back
from waremill.app.status import RunStatus, money
from waremill.app.working import owner_is_alive, owner_is_dead, thaw, waits_because
from waremill.errors import ConfigError, Conflict, Forbidden, LimitReached, WaremillError
from waremill.runs.plan import plan_run
from waremill.store import runs as store_runs
from waremill.store.database import Database
from waremill.store.limits import is_used_up
from waremill.store.runs import Run
from waremill.store.tables import dumps

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

LOGS = ".waremill/logs"
CLAIM_SECONDS = 5.0
"""How long is waited for the new process to claim its run; mostly it takes less than one."""
_LOOK_EACH = 0.05
_SETTLED = (0, 1, 3, 130)
"""Exit codes after which the run itself says how it ended."""
_SUMMED_SECONDS = 60.0
"""After so long a done trial's worker is taken to have died before it summed the trial up."""
_BEGINNING: WeakKeyDictionary[Database, set[int]] = WeakKeyDictionary()
"""The rivals that this process is beginning just now."""


async def plan(
    workspace: Workspace,
    kind: Literal["run", "trial"],
    pipeline: str,
    opened: Callable[[Connection, Run], None] | None = None,
    **options: Unpack[TaskOptions],
) -> Run:
    """Plan a run or a trial without working it; give it.

    A trial's rival is planned with it. `opened` writes what belongs to it in the transaction that
    creates a run, or that settles a trial. Raises UserError for what cannot work, and leaves
    nothing.
    """
    assembly = await assembled(workspace, pipeline, options.get("model"))
    await may_use(workspace, assembly)
    prepared = await prepare(workspace, assembly, options, kind)

    def record(conn: Connection, run: Run, items: int) -> None:
        auditing.record(
            conn, workspace.actor, f"{kind}.plan", f"run {run.name}", run.team_id,
            pipeline=pipeline, items=items, where=options.get("where"),
        )  # fmt: skip
        if opened is not None:
            opened(conn, run)

    if kind == "run":
        forecast = await trialling.forecast_for(workspace, prepared)
        order = order_run(workspace.settings, prepared, options, "run", forecast=forecast)
        # What it may cost is set by the store as it is created: there is no run without its limit.
        return await plan_run(workspace.database, replace(order, opened=record))
    run, against = await trialling.plan_trial(workspace, prepared, options)
    rival = None if against is None else await plan_run(workspace.database, against)

    def settle(conn: Connection) -> Run:
        record(conn, run, run.total)
        if rival is not None:
            plan = {**run.plan, "rival": rival.name}
            store_runs.set_run(conn, run.id, {"plan": dumps(plan)})
        return store_runs.get_run(conn, run.id)

    return await workspace.database.write(settle)


async def launch(
    workspace: Workspace,
    kind: Literal["run", "trial"],
    pipeline: str,
    **options: Unpack[TaskOptions],
) -> RunStatus:
    """Plan a run or a trial and start it; one that needs a second person waits, and says so."""
    run = await plan(workspace, kind, pipeline, **options)
    if await waits_for(workspace, run) is None:
        return await start(workspace, run)
    return await workspace.status(run.name)


async def waits_for(workspace: Workspace, run: Run) -> str | None:
    """Say why a run waits for a second person, and note it with the run; None when it does not."""
    if await workspace.database.read(store_runs.waits_above, run) is None:
        return None

    def note(conn: Connection) -> str | None:
        now = store_runs.locked(conn, run.id)
        above = store_runs.waits_above(conn, now)
        if above is None:
            return None
        reason = waits_because(workspace.settings, _cost(now), above)
        if now.state == "planned" and now.reason != reason:
            store_runs.set_run(conn, now.id, {"reason": reason})
        return reason

    return await workspace.database.write(note)


async def start(workspace: Workspace, run: Run | str) -> RunStatus:
    """Have a process of its own work a planned or paused run; give how it is then.

    Returns when the process has claimed the run. Raises Conflict for a run that is being worked,
    has ended or waits for a second person, LimitReached when the team's month is used up, and
    ConfigError with what the process said when it could not begin.
    """
    name = run if isinstance(run, str) else run.name
    found = await workspace.find_run(name, "operator")
    if found.state in ("done", "cancelled", "planning"):
        raise Conflict(f"run {found.name} is {found.state}; it cannot be started")
    if await workspace.database.read(store_runs.is_worked, found, owner_is_dead, owner_is_alive):
        raise Conflict(f"run {found.name} is being worked already")
    if (reason := await waits_for(workspace, found)) is not None:
        raise Conflict(f"run {found.name} {reason}")
    if await workspace.database.write(is_used_up, found):
        raise LimitReached("the team's budget of this month is used up", limit="team")
    assembly = await thaw(workspace.settings, workspace.database, found)
    require_keys(workspace.settings, all_models(workspace.settings, assembly.models))
    subject = f"run {found.name}"
    await workspace.database.write(
        lambda conn: auditing.record(conn, workspace.actor, "run.start", subject, found.team_id)
    )
    await _Process(workspace, found).begin()
    return await workspace.status(found.name)


async def begin_rival(workspace: Workspace, trial: Run) -> None:
    """Begin what a finished trial is compared with, unless it began or could not begin before.

    For whoever looks at a trial: the server that launched it may be gone. Why a rival cannot begin
    is noted with it; who may not operate the team's runs begins nothing.
    """
    name = trial.plan.get("rival")
    if name is None or trial.state != "done":
        return
    if not workspace.actor.may("operator", trial.team_id):
        return
    database = workspace.database
    if not trial.summary:  # its worker sums it up before it ends
        now = await database.read(store_runs.clock)
        if now - (trial.ended_at or now) < _SUMMED_SECONDS:
            return
    rival = await database.read(store_runs.find_run, name)
    if rival.state != "planned" or rival.owner is not None or rival.reason is not None:
        return
    beginning = _BEGINNING.setdefault(database, set())
    if rival.id in beginning:
        return
    beginning.add(rival.id)
    try:
        await start(workspace, rival)
    except WaremillError as error:
        await database.write(_note, rival.id, str(error).removeprefix(f"run {rival.name} "))
    finally:
        beginning.discard(rival.id)


async def begin_rivals(workspace: Workspace) -> None:
    """Begin the rivals of the newest finished trials, as a starting server does."""
    for run in await workspace.runs():
        await begin_rival(workspace, run)


def _note(conn: Connection, run_id: int, reason: str) -> None:
    """Note why a planned run did not begin, where nothing is noted yet."""
    now = store_runs.locked(conn, run_id)
    if now.state == "planned" and now.owner is None and now.reason is None:
        store_runs.set_run(conn, run_id, {"reason": reason})


async def approve_run(workspace: Workspace, name: str, amount: float | None) -> RunStatus:
    """Approve a run that waits for a second person, and start it.

    `amount` is what the approver saw that it may cost, in the workspace's currency; None for an
    unknown amount. Raises Forbidden for who ordered it or raised its budget, Conflict for a run
    that waits for nobody and for one that may cost another amount by now.
    """
    run = await workspace.find_run(name, "operator")
    settings = workspace.settings

    def approve(conn: Connection) -> None:
        now = store_runs.locked(conn, run.id)
        above = store_runs.waits_above(conn, now)
        if above is None or now.state in store_runs.ENDED:
            raise Conflict(f"run {run.name} waits for nobody's approval")
        if now.created_by == workspace.actor.name:
            raise Forbidden(f"run {run.name} is your own; a second person must approve it")
        if now.budget_by == workspace.actor.name:
            raise Forbidden(
                f"you raised the budget of run {run.name}; a second person must approve it"
            )
        cost = money(_cost(now), settings.per_usd)
        if not _same(cost, amount):
            raise Conflict(
                f"run {run.name} {waits_because(settings, _cost(now), above)}; approve it with "
                "that amount once you have seen it"
            )
        store_runs.set_run(conn, run.id, {"approved_by": workspace.actor.name, "reason": None})
        auditing.record(
            conn, workspace.actor, "run.approve", f"run {run.name}", run.team_id,
            ordered_by=run.created_by, amount=cost,
        )  # fmt: skip

    await workspace.database.write(approve)
    return await start(workspace, run.name)


def may_cost(workspace: Workspace, run: Run) -> float | None:
    """Give the most a run may cost in the workspace's currency; None for an unknown amount."""
    return money(_cost(run), workspace.settings.per_usd)


def _cost(run: Run) -> int | None:
    return store_runs.may_cost(run.budget, run.plan)


def _same(cost: float | None, amount: float | None) -> bool:
    """Compare amounts to the six digits that a run's reason shows."""
    if cost is None or amount is None:
        return cost is amount
    return math.isclose(cost, amount, rel_tol=1e-5, abs_tol=1e-6)


async def resume(workspace: Workspace, name: str, *, retry_failed: bool = False) -> RunStatus:
    """Go on with a paused run, or try the failed items of a finished one again."""
    run = await workspace.find_run(name, "operator")
    if retry_failed:

        def revive(conn: Connection) -> Run:
            now = store_runs.locked(conn, run.id)
            if store_runs.is_worked(conn, now, owner_is_dead, owner_is_alive):
                raise Conflict(f"run {run.name} is being worked; pause it first")
            return begin_retry(conn, workspace.actor, now)

        await set_failed_back(workspace.database, await workspace.database.write(revive))
    return await start(workspace, run.name)


async def set_budget(workspace: Workspace, name: str, budget: float) -> RunStatus:
    """Set a run's budget, in the workspace's currency; a worker keeps to it from its next draw.

    A budget that needs a second person withdraws an approval given before, and who raised it may
    not give it anew.
    """
    run = await workspace.find_run(name, "operator")
    amount = budget_in_nano(workspace.settings, run.plan.get("identities", {}), budget)

    def write(conn: Connection) -> None:
        now = store_runs.set_budget(conn, run, amount, workspace.actor.name)
        if now.state in store_runs.ENDED:
            raise Conflict(f"run {now.name} is {now.state}; its budget has ended")
        auditing.record(
            conn, workspace.actor, "run.budget", f"run {run.name}", run.team_id,
            old=money(now.budget, workspace.settings.per_usd), new=budget,
        )  # fmt: skip

    await workspace.database.write(write)
    return await workspace.status(run.name)


class _Process:
    """One `waremill work RUN`, detached: it lives on when this process ends."""

    def __init__(self, workspace: Workspace, run: Run) -> None:
        self._workspace = workspace
        self._run = run
        self._log = workspace.settings.root / LOGS / f"{run.name}.log"
        self._loop = asyncio.get_running_loop()
        self._code: int | None = None

    async def begin(self) -> None:
        """Start the process and wait until it has claimed the run."""
        self._spawn()
        until = time.monotonic() + CLAIM_SECONDS
        while time.monotonic() < until:
            await asyncio.sleep(_LOOK_EACH)
            now = await self._workspace.database.read(store_runs.get_run, self._run.id)
            if now.epoch != self._run.epoch:
                return
            if self._code is not None:
                if self._code in _SETTLED:
                    return
                raise ConfigError(f"run {self._run.name} could not begin: {self._said()}")

    def _spawn(self) -> None:
        root = self._workspace.settings.root
        self._log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "waremill", "work", self._run.name, "-C", str(root)]
        with self._log.open("ab") as log:
            # Its own session: what ends the server's terminal or group does not reach it.
            process = subprocess.Popen(
                command, cwd=root, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, **_detached(),
            )  # fmt: skip
        # A thread of the interpreter's and no subprocess of the loop's: that would kill it.
        threading.Thread(
            target=self._wait, args=(process,), name=f"work {self._run.name}", daemon=True
        ).start()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        self._code = code
        if not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._ended(code), self._loop)

    async def _ended(self, code: int) -> None:
        """Say why a process ended that did not say so itself, and work a trial's rival next."""
        database = self._workspace.database
        run = await database.read(store_runs.get_run, self._run.id)
        if code not in _SETTLED and run.owner is None and run.state in ("planned", "paused"):
            await database.write(store_runs.set_run, run.id, {"reason": self._said()})
        await begin_rival(self._workspace, run)

    def _said(self) -> str:
        """Give the last line of the log that is meant for a person."""
        with self._log.open("rb") as log:
            lines = _tail(log).decode(errors="replace").splitlines()
        own = [line for line in lines if line.startswith("waremill: ")]
        return own[-1].removeprefix("waremill: ") if own else "its log does not say why"


def _tail(log: IO[bytes], size: int = 16_384) -> bytes:
    log.seek(0, os.SEEK_END)
    log.seek(max(0, log.tell() - size))
    return log.read()


def _detached() -> dict[str, Any]:
    if sys.platform != "win32":
        return {}
    return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}


def log_of(workspace: Workspace, run: Run) -> Path:
    """Give where a launched run's log is."""
    return workspace.settings.root / LOGS / f"{run.name}.log"


__all__ = [
    "approve_run",
    "begin_rival",
    "begin_rivals",
    "launch",
    "log_of",
    "may_cost",
    "plan",
    "resume",
    "set_budget",
    "start",
    "waits_for",
]
