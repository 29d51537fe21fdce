"""The use case *launch*: plan a run, and have a process of its own work it.

A launched run outlives whoever launched it: it is worked by `waremill work RUN` in a session of its
own, and all that is said to it goes through the database. What may cost more than a team's limit
waits for a second person.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, Unpack

from sqlalchemy import Connection, select

from waremill.app import auditing, trialling
from waremill.app.assembly import all_models, require_keys
from waremill.app.generating import may_use
from waremill.app.options import TaskOptions, budget_in_nano, order_run, prepare
from waremill.app.status import RunStatus, money
from waremill.app.working import owner_is_dead, thaw
from waremill.errors import ConfigError, Conflict, Forbidden, LimitReached
from waremill.runs.plan import plan_run
from waremill.store import items as store_items
from waremill.store import runs as store_runs
from waremill.store.limits import team_left
from waremill.store.runs import Run
from waremill.store.tables import dumps
from waremill.store.tables_people import teams

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

LOGS = ".waremill/logs"
CLAIM_SECONDS = 5.0
"""How long is waited for the new process to claim its run; mostly it takes less than one."""
_LOOK_EACH = 0.05
_SETTLED = (0, 1, 3, 130)
"""Exit codes after which the run itself says how it ended."""


async def plan(
    workspace: Workspace,
    kind: Literal["run", "trial"],
    pipeline: str,
    **options: Unpack[TaskOptions],
) -> Run:
    """Plan a run or a trial without working it; give it.

    A trial's rival is planned with it. Raises UserError for what cannot work, and leaves nothing.
    """
    assembly = (await workspace.seen()).assemble(pipeline, options.get("model"))
    await may_use(workspace, assembly)
    prepared = await prepare(workspace, assembly, options, kind)
    rival = None
    if kind == "trial":
        run, order = await trialling.plan_trial(workspace, prepared, options)
        if order is not None:
            rival = await plan_run(workspace.database, order)
    else:
        forecast = await trialling.forecast_for(workspace, prepared)
        order = order_run(workspace.settings, prepared, options, "run", forecast=forecast)
        run = await plan_run(workspace.database, order)
    detail: dict[str, Any] = {
        "pipeline": pipeline,
        "items": run.total,
        "where": options.get("where"),
    }

    def settle(conn: Connection) -> Run:
        auditing.record(
            conn, workspace.actor, f"{kind}.plan", f"run {run.name}", run.team_id, **detail
        )
        _cap(conn, run)
        if rival is not None:
            _cap(conn, rival)
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
    above = await workspace.database.read(_approval_above, run.team_id)
    if above is None or run.approved_by is not None or not _dear(run, above):
        return None
    settings = workspace.settings
    cost = _may_cost(run)
    shown = "an unknown amount" if cost is None else f"{money(cost, settings.per_usd):g}"
    reason = (
        f"waits for a second person: it may cost {shown} {settings.currency}, and above "
        f"{money(above, settings.per_usd):g} {settings.currency} somebody else must approve"
    )
    if run.state == "planned" and run.reason != reason:
        await workspace.database.write(store_runs.set_run, run.id, {"reason": reason})
    return reason


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
    if found.owner is not None and not owner_is_dead(found.owner):
        raise Conflict(f"run {found.name} is being worked already")
    if (reason := await waits_for(workspace, found)) is not None:
        raise Conflict(f"run {found.name} {reason}")
    left = await workspace.database.write(team_left, found.team_id)
    if left is not None and left <= 0:
        raise LimitReached("the team's budget of this month is used up", limit="team")
    assembly = await thaw(workspace.settings, workspace.database, found)
    require_keys(workspace.settings, all_models(workspace.settings, assembly.models))
    subject = f"run {found.name}"
    await workspace.database.write(
        lambda conn: auditing.record(conn, workspace.actor, "run.start", subject, found.team_id)
    )
    await _Process(workspace, found).begin()
    return await workspace.status(found.name)


async def approve_run(workspace: Workspace, name: str) -> RunStatus:
    """Approve a run that waits for a second person, and start it.

    Raises Forbidden for who ordered it, Conflict for a run that waits for nobody.
    """
    run = await workspace.find_run(name, "operator")
    if await waits_for(workspace, run) is None:
        raise Conflict(f"run {run.name} waits for nobody's approval")
    if run.created_by == workspace.actor.name:
        raise Forbidden(f"run {run.name} is your own; a second person must approve it")

    def approve(conn: Connection) -> None:
        store_runs.set_run(conn, run.id, {"approved_by": workspace.actor.name, "reason": None})
        auditing.record(
            conn, workspace.actor, "run.approve", f"run {run.name}", run.team_id,
            ordered_by=run.created_by,
        )  # fmt: skip

    await workspace.database.write(approve)
    return await start(workspace, run.name)


async def resume(workspace: Workspace, name: str, *, retry_failed: bool = False) -> RunStatus:
    """Go on with a paused run, or try the failed items of a finished one again."""
    run = await workspace.find_run(name, "operator")
    if retry_failed:
        if run.owner is not None and not owner_is_dead(run.owner):
            raise Conflict(f"run {run.name} is being worked; pause it first")

        def revive(conn: Connection) -> None:
            count = store_items.revive_failed(conn, run)
            auditing.record(
                conn, workspace.actor, "run.retry", f"run {run.name}", run.team_id, items=count
            )

        await workspace.database.write(revive)
    return await start(workspace, run.name)


async def set_budget(workspace: Workspace, name: str, budget: float) -> RunStatus:
    """Set a run's budget, in the workspace's currency; a worker keeps to it from its next draw.

    A budget that needs a second person withdraws an approval given before.
    """
    run = await workspace.find_run(name, "operator")
    if run.state in ("done", "cancelled"):
        raise Conflict(f"run {run.name} is {run.state}; its budget has ended")
    amount = budget_in_nano(workspace.settings, run.plan.get("identities", {}), budget)

    def write(conn: Connection) -> None:
        above = _approval_above(conn, run.team_id)
        if above is not None and amount > above and amount > (run.budget or 0):
            if run.state == "running":
                raise Conflict(
                    f"run {run.name} is being worked; pause it before its budget rises that far"
                )
            store_runs.set_run(conn, run.id, {"approved_by": None})
        store_runs.set_budget(conn, run, amount)
        auditing.record(
            conn, workspace.actor, "run.budget", f"run {run.name}", run.team_id,
            old=money(run.budget, workspace.settings.per_usd), new=budget,
        )  # fmt: skip

    await workspace.database.write(write)
    return await workspace.status(run.name)


def _approval_above(conn: Connection, team_id: int) -> int | None:
    """Give above how many nano-USD a run of a team needs a second person; None for never."""
    found = conn.execute(select(teams.c.approve_above).where(teams.c.id == team_id))
    amount: int | None = found.scalar_one_or_none()
    return amount


def _may_cost(run: Run) -> int | None:
    """Give the most a run may cost in nano-USD: its budget, else the forecast; None if unknown."""
    if run.budget is not None:
        return run.budget
    for line in run.plan.get("forecast") or ():
        if line["name"] == "cost" and line["forecast"]:
            value, _, high, _ = line["forecast"]
            return int(value if high is None else high)
    return None


def _dear(run: Run, above: int) -> bool:
    cost = _may_cost(run)
    if cost is None and run.kind == "trial":
        return False  # it is capped
    return cost is None or cost > above


def _cap(conn: Connection, run: Run) -> None:
    """Hold a run without a budget to what its team lets one person spend."""
    above = _approval_above(conn, run.team_id)
    if above is not None and run.budget is None and not _dear(run, above):
        store_runs.set_run(conn, run.id, {"budget": above})


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
        if run.state == "done" and (rival := run.plan.get("rival")):
            second = await database.read(store_runs.find_run, rival)
            if second.state == "planned" and second.owner is None:
                await _Process(self._workspace, second).begin()

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
    "launch",
    "log_of",
    "plan",
    "resume",
    "set_budget",
    "start",
    "waits_for",
]
