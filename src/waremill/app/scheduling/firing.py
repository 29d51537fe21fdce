"""One slot of a schedule, from its moment to its run: import, estimate, trial, run.

Each step writes down where the slot is, under the lead it was taken under; a process that dies
leaves the slot where it was, and whoever leads next goes on from there. Runs are planned and begun
exactly as the console does it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from waremill.app import auditing, launching, notifying, sourcing, trialling
from waremill.app.options import TaskOptions
from waremill.app.scheduling.schedules import budget_of, options_of
from waremill.app.signing_in import actor_named
from waremill.app.status import money
from waremill.app.working import owner_is_alive, owner_is_dead
from waremill.domain import UNMADE_STATES
from waremill.errors import ConfigError, Conflict, NotFound, WaremillError
from waremill.runs.schedule import ONLY, Gate, Shown, refused, too_dear
from waremill.store import reporting
from waremill.store import runs as store_runs
from waremill.store import schedules as store
from waremill.store.runs import Run
from waremill.store.schedules import Lead, Schedule, Slot

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

LOG = logging.getLogger("waremill.schedules")
MOST_STARTS = 3
"""How often a run is begun whose worker dies, before it is left to people."""
SUMMED_SECONDS = 60.0
"""After so long a done trial's worker is taken to have died before it summed the trial up."""


_LEFT = {
    (): "the selection holds no product",
    ("new",): "no product is new",
    ("changed",): "no product has changed",
    ("empty",): "no product has an empty field",
    ("new", "changed"): "no product is new or has changed",
    ("new", "empty"): "no product is new or has an empty field",
    ("changed", "empty"): "no product has changed or has an empty field",
    ("new", "changed", "empty"): "no product is new, has changed or has an empty field",
}
"""What is said where nothing is left to do, by what was asked for."""


class Firing:
    """One slot on its way. `workspace` acts as nobody in particular until the schedule is known."""

    def __init__(self, workspace: Workspace, lead: Lead, schedule: Schedule, slot: Slot) -> None:
        self._workspace = workspace
        self._lead = lead
        self._schedule = schedule
        self._slot = slot

    async def advance(self) -> None:
        """Take the slot as far as it can go now; whatever is wrong settles it with a sentence.

        Raises Conflict where somebody else leads by now, or the schedule was removed.
        """
        steps = {store.DUE: self._begin, store.TRIAL: self._judge, store.RUN: self._follow,
                 store.QUEUED: self._wait}  # fmt: skip
        try:
            self._workspace = self._workspace.acting(
                await actor_named(self._workspace, self._slot.by, f"schedule {self._schedule.name}")
            )
            await steps[self._slot.state]()
        except WaremillError as error:
            await self._stop(store.FAILED, str(error))
        except Exception as error:
            LOG.exception("schedule %s", self._schedule.name)
            await self._stop(store.FAILED, f"this is our bug: {type(error).__name__}: {error}")

    # Its steps.

    async def _wait(self) -> None:
        """Leave the queue once nothing of the schedule is before it."""

        def write(conn: Connection) -> None:
            store.hold(conn, self._lead)
            if store.live_slots(conn, self._schedule.id)[0].id == self._slot.id:
                store.set_slot(conn, self._slot, state=store.DUE)

        await self._workspace.database.write(write)

    async def _begin(self) -> None:
        schedule = self._schedule
        if schedule.source is not None:
            done = await sourcing.import_source(
                self._workspace, schedule.source, catalog=schedule.options.get("catalog")
            )
            await self._set(imported=done.counts())
        options = self._options()
        estimate = await self._workspace.estimate(schedule.pipeline, **options)
        if not estimate.products:
            await self._settle(store.NOTHING, _nothing(options))
            return
        settings = self._workspace.settings
        batched = options.get("mode") == "batch" and estimate.batch_cost is not None
        cost = estimate.batch_cost if batched else estimate.cost
        expected = None if cost is None else money(cost.expected, settings.per_usd)
        dear = too_dear(expected, self._budget, settings.currency)
        if dear is not None:
            await self._stop(store.STOPPED, dear)
        elif schedule.trial is None:
            await self._run(options, self._budget)
        else:
            tried: TaskOptions = {
                **options, "size": schedule.trial, "seed": self._slot.id, "budget": self._budget,
                "mode": "live", "engine": "local",  # so few are worked at once, to be judged now
            }  # fmt: skip
            opened = self._opened(store.TRIAL, "trial_id")
            trial = await launching.plan(
                self._workspace, "trial", schedule.pipeline, opened, **tried
            )
            await self._start(trial)

    async def _judge(self) -> None:
        trial = await self._of(self._slot.trial_id)
        if trial is None or trial.state in ("planned", "running"):
            await self._keep_going(trial)
            return
        if trial.state != "done":
            await self._stop(store.STOPPED, f"the trial {trial.name} is {_state(trial)}")
            return
        database = self._workspace.database
        if not trial.summary:  # its worker sums it up before it ends
            now = await database.read(store_runs.clock)
            if now - (trial.ended_at or now) < SUMMED_SECONDS:
                return
            await trialling.summarise(self._workspace, trial)
            trial = await database.read(store_runs.get_run, trial.id)
        schedule = self._schedule
        gate = Gate(schedule.trial or 0, schedule.accuracy or 0.0)
        shown = _compared(trial.summary or {})
        if shown is None:
            shown = await database.read(_sound, trial.id)
        reason = refused(gate, shown)
        if reason is not None:
            await self._stop(store.STOPPED, reason)
            return
        status = await self._workspace.status(trial.name)
        left = self._budget - (status.cost or 0.0)
        if left <= 0:
            await self._stop(store.STOPPED, f"the trial {trial.name} used the budget up")
            return
        await self._run(self._options(), left)

    async def _run(self, options: TaskOptions, budget: float) -> None:
        bounded: TaskOptions = {**options, "budget": budget}
        opened = self._opened(store.RUN, "run_id")
        run = await launching.plan(
            self._workspace, "run", self._schedule.pipeline, opened, **bounded
        )
        await self._start(run)

    async def _follow(self) -> None:
        """See to it that the run is worked; settle the slot when it is over."""
        run = await self._of(self._slot.run_id)
        if run is None or run.state in ("planned", "running"):
            await self._keep_going(run)
        elif run.state == "planning":  # whoever planned it is gone: the lead is ours
            await self._workspace.database.write(self._plan_again, run)
        elif run.state == "paused":
            await self._stop(store.RUN, f"run {run.name} is {_state(run)}")
        else:
            await self._settle(store.RUN, None)

    def _plan_again(self, conn: Connection, run: Run) -> None:
        store.hold(conn, self._lead)
        store_runs.stop_orphan(conn, run, "cancelled", "its planning was cut off")
        store.set_slot(conn, self._slot, state=store.DUE, run_id=None)

    async def _keep_going(self, run: Run | None) -> None:
        """Begin a run that nobody works, again where its worker died."""
        if run is None:
            raise NotFound("the slot's run is gone")
        database = self._workspace.database
        worked = await database.read(store_runs.is_worked, run, owner_is_dead, owner_is_alive)
        if worked or await launching.waits_for(self._workspace, run) is not None:
            return
        slot = await database.read(store.find_slot, self._slot.id)
        if slot.starts >= MOST_STARTS:
            raise ConfigError(
                f"run {run.name} was begun {slot.starts} times and nobody works it: "
                f"{run.reason or 'its worker died'}"
            )
        await self._start(run)

    async def _start(self, run: Run) -> None:
        """Begin a planned run, unless it waits for a second person."""
        if await launching.waits_for(self._workspace, run) is not None:
            return

        def count(conn: Connection) -> None:
            store.hold(conn, self._lead)
            starts = store.find_slot(conn, self._slot.id).starts
            store.set_slot(conn, self._slot, starts=1 + starts)

        await self._workspace.database.write(count)
        try:
            await launching.start(self._workspace, run)
        except Conflict:  # it is worked, or over, or waits: the next look says which
            return

    # What it needs.

    @property
    def _budget(self) -> float:
        """What the slot may spend, in the workspace's currency."""
        return budget_of(self._workspace.settings, self._schedule)

    def _options(self) -> TaskOptions:
        return options_of(self._schedule)

    async def _of(self, number: int | None) -> Run | None:
        if number is None:
            return None
        return (await self._workspace.database.read(store_runs.runs_by_id, [number])).get(number)

    def _opened(self, state: str, column: str) -> Callable[[Connection, Run], None]:
        """Give what notes the slot's run in the transaction that makes it: there is no other."""

        def note(conn: Connection, run: Run) -> None:
            store.hold(conn, self._lead)
            store.set_slot(conn, self._slot, state=state, starts=0, **{column: run.id})
            auditing.record(
                conn, self._workspace.actor, "schedule.fire", f"schedule {self._schedule.name}",
                run.team_id, at=self._slot.at, run=run.name, kind=run.kind,
            )  # fmt: skip

        return note

    async def _set(self, **values: Any) -> None:
        def write(conn: Connection) -> None:
            store.hold(conn, self._lead)
            store.set_slot(conn, self._slot, **values)

        await self._workspace.database.write(write)

    async def _settle(self, state: str, reason: str | None) -> None:
        def write(conn: Connection) -> None:
            store.hold(conn, self._lead)
            store.settle_slot(conn, self._slot, state, reason)

        await self._workspace.database.write(write)

    async def _stop(self, state: str, reason: str) -> None:
        """Settle the slot without a run that is done, and tell those who listen."""
        slot = await self._workspace.database.read(store.find_slot, self._slot.id)

        def write(conn: Connection) -> None:
            store.hold(conn, self._lead)
            store.settle_slot(conn, self._slot, state, reason)
            tell_stopped(conn, self._schedule, slot, state, reason)
            actor = replace(self._workspace.actor, name=self._slot.by)
            auditing.record(
                conn, actor, "schedule.stop", f"schedule {self._schedule.name}",
                self._schedule.team_id, at=self._slot.at, state=state, reason=reason,
            )  # fmt: skip

        await self._workspace.database.write(write)


def tell_stopped(conn: Connection, schedule: Schedule, slot: Slot, state: str, reason: str) -> None:
    """Write the event down that a slot brought nothing, in the caller's transaction."""
    named = store_runs.runs_by_id(conn, [one for one in (slot.run_id, slot.trial_id) if one])
    run, trial = named.get(slot.run_id or 0), named.get(slot.trial_id or 0)
    notifying.schedule_stopped(
        conn, schedule.team_id,
        {"schedule": schedule.name, "pipeline": schedule.pipeline, "due_at": slot.at,
         "state": state, "reason": reason, "run": run.name if run else None,
         "trial": trial.name if trial else None},
    )  # fmt: skip


def _nothing(options: TaskOptions) -> str:
    if options.get("stale"):
        return "no product is outdated"
    return _LEFT[tuple(one for one in ONLY if one in options.get("only", ()))]


def _state(run: Run) -> str:
    return f"{run.state}: {run.reason}" if run.reason else run.state


def _compared(summary: Mapping[str, Any]) -> Shown | None:
    """Give what gold or marks say of a trial; None where nothing was compared."""
    lines: Sequence[Mapping[str, Any]] = summary.get("accuracy") or ()
    found = lines[-1].get("correct") if lines else None
    return Shown(found[0], found[3], compared=True) if found and found[3] else None


def _sound(conn: Connection, run_id: int) -> Shown:
    """Give the share of a trial's items without an error; one that failed has one."""
    good = count = 0
    for page in reporting.item_pages(conn, run_id):
        for item in page:
            count += 1
            errors = any(one["severity"] == "error" for one in item.findings)
            made = item.state not in UNMADE_STATES and item.error is None
            good += made and not errors
    return Shown(good / count if count else 0.0, count, compared=False)


__all__ = ["Firing", "tell_stopped"]
