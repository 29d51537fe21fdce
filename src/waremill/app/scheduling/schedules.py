"""The use cases about schedules: add, look at, pause, remove, run now, and their history."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Connection

from waremill.app import auditing
from waremill.app.assembly import Assembly
from waremill.app.clustering import ENGINES
from waremill.app.exemplars import assembled
from waremill.app.finding import find_catalog
from waremill.app.generating import may_use
from waremill.app.gold import gold_place, load_gold
from waremill.app.options import TaskOptions, budget_in_nano, check_engine, prepare
from waremill.app.paging import Page, bad_cursor, decode_cursor, encode_cursor, page_size
from waremill.app.status import money
from waremill.errors import ConfigError, Conflict, Forbidden, NotFound
from waremill.runs.schedule import CATCH_UPS, ONLY, OVERLAPS, Cron, parse_cron
from waremill.settings import Settings
from waremill.store import runs as store_runs
from waremill.store import schedules as store
from waremill.store.limits import PRIORITIES
from waremill.store.runs import Run
from waremill.store.schedules import Schedule, Slot

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

KEPT = (
    "where", "search", "stale", "limit", "order_by", "catalog", "targets", "params", "model",
    "mode", "engine", "priority", "fresh", "gold",
)  # fmt: skip
"""What of a task's options a schedule keeps as it was said."""
USUAL: Mapping[str, Any] = {
    "stale": False, "mode": "live", "engine": "local", "priority": "normal", "fresh": False,
}  # fmt: skip
"""What holds where nothing was said."""
_NAME = re.compile(r"[^\W_][\w. -]{0,79}")
LONGEST_TRIAL = 5000
MODES = ("live", "batch")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A schedule as somebody asks for it; `budget` is in the workspace's currency.

    `options` are a run's; `source` is a named one, imported before each run. A `trial` of so many
    products must reach `accuracy`, or its run is not started.
    """

    name: str
    pipeline: str
    cron: str
    budget: float | None
    timezone: str | None = None
    options: TaskOptions = field(default_factory=lambda: TaskOptions())
    only: tuple[str, ...] = ()
    source: str | None = None
    trial: int | None = None
    accuracy: float | None = None
    overlap: str = "skip"
    catch_up: str = "once"


@dataclass(frozen=True, slots=True)
class SlotView:
    """A slot as people see it, with its run and trial as they are now."""

    slot: Slot
    run: Run | None = None
    trial: Run | None = None

    @property
    def id(self) -> int:
        """The slot's row id."""
        return self.slot.id

    def as_json(self) -> dict[str, Any]:
        """Give the slot in the shape `--json` prints; times are Unix seconds."""
        slot, run = self.slot, self.run
        return {
            "at": slot.at, "cause": slot.cause, "state": slot.state, "settled": not slot.live,
            "reason": slot.reason or (run.reason if run is not None else None),
            "missed": slot.missed, "run": run.name if run else None,
            "run_state": run.state if run else None,
            "trial": self.trial.name if self.trial else None,
            "imported": slot.imported, "by": slot.by, "ended_at": slot.ended_at,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """A schedule as people see it, with its newest slot; `budget` is in `currency`."""

    schedule: Schedule
    budget: float
    currency: str
    last: SlotView | None = None

    @property
    def state(self) -> str:
        """`active`, `paused`, `over` where no slot comes any more, or `removed`."""
        if self.schedule.removed_at is not None:
            return "removed"
        if not self.schedule.active:
            return "paused"
        return "over" if self.schedule.next_at is None else "active"

    def as_json(self) -> dict[str, Any]:
        """Give the schedule in the shape `--json` prints; times are Unix seconds."""
        one = self.schedule
        return {
            "name": one.name, "pipeline": one.pipeline, "cron": one.cron,
            "timezone": one.timezone, "state": self.state, "next_at": self.next_at,
            "only": list(one.only), "source": one.source,
            "options": {name: one.options.get(name, USUAL.get(name)) for name in KEPT},
            "budget": self.budget, "currency": self.currency, "trial": one.trial,
            "accuracy": one.accuracy, "overlap": one.overlap, "catch_up": one.catch_up,
            "by": one.by, "created_at": one.created_at, "removed_at": one.removed_at,
            "last": None if self.last is None else self.last.as_json(),
        }  # fmt: skip

    @property
    def next_at(self) -> float | None:
        """When it is due next; None while it is paused."""
        return self.schedule.next_at if self.schedule.active else None


async def add(workspace: Workspace, wanted: Wanted, *, column_only: bool = False) -> ScheduleView:
    """Add a schedule; what cannot work is said now and not at three in the morning.

    The runs are begun as who adds it, with the rights that person has by then. With `column_only`
    gold is a column and no file: a request names no path. Raises UserError.
    """
    actor = workspace.actor
    _check(wanted)
    if gold := wanted.options.get("gold"):
        if column_only:
            found = await find_catalog(workspace.database, actor, wanted.options.get("catalog"))
            if str(gold) not in found.columns:
                raise ConfigError(f"the catalogue “{found.name}” has no column “{gold}”")
        else:  # who fires it stands in another folder
            gold = gold_place(gold, workspace.settings.root)
        wanted = replace(wanted, options={**wanted.options, "gold": gold})
    zone = wanted.timezone or _own_zone()
    cron = parse_cron(wanted.cron, zone)
    budget, team = await _understood(workspace, wanted)

    def write(conn: Connection) -> Schedule:
        now = store_runs.clock(conn)
        made = store.insert_schedule(
            conn,
            {"name": wanted.name, "team_id": team, "pipeline": wanted.pipeline,
             "cron": wanted.cron, "timezone": zone, "options": kept(wanted.options),
             "only": [one for one in ONLY if one in wanted.only], "source": wanted.source,
             "budget": budget,
             "trial": wanted.trial, "accuracy": wanted.accuracy, "overlap": wanted.overlap,
             "catch_up": wanted.catch_up, "active": True, "next_at": _first(cron, now),
             "by": actor.name},
        )  # fmt: skip
        auditing.record(
            conn, actor, "schedule.add", f"schedule {made.name}", team,
            pipeline=made.pipeline, cron=made.cron, timezone=zone, budget=wanted.budget,
        )  # fmt: skip
        return made

    return _view(workspace, await workspace.database.write(write))


def kept(options: TaskOptions) -> dict[str, Any]:
    """Give what a schedule keeps of a task's options."""
    given = {name: options.get(name) for name in KEPT}
    return {
        name: value for name, value in given.items()
        if value not in (None, (), [], {}, USUAL.get(name))
    }  # fmt: skip


def options_of(schedule: Schedule) -> TaskOptions:
    """Give the options of a schedule's runs, its budget not among them."""
    given = cast("TaskOptions", {**schedule.options, "schedule": schedule.id})
    return {**given, "only": schedule.only} if schedule.only else given


def _check(wanted: Wanted) -> None:
    if not _NAME.fullmatch(wanted.name):
        raise ConfigError(
            "a schedule's name has up to 80 letters, digits, blanks and . _ - and begins with a "
            "letter or digit"
        )
    priority = wanted.options.get("priority") or USUAL["priority"]
    for value, known, option in (
        (wanted.overlap, OVERLAPS, "--overlap"), (wanted.catch_up, CATCH_UPS, "--catch-up"),
        (priority, PRIORITIES, "--priority"),
    ):  # fmt: skip
        if value not in known:
            raise ConfigError(f"{option} is {' or '.join(known)}, not “{value}”")
    if unknown := set(wanted.only) - set(ONLY):
        raise ConfigError(f"--only takes {', '.join(ONLY)}, not “{min(unknown)}”")
    if wanted.only and wanted.options.get("stale"):
        raise ConfigError("--only and --stale each say what is left to do; give one of them")
    if wanted.budget is None:
        raise ConfigError("a scheduled run needs a budget: nobody watches it; give --budget")
    if (wanted.trial is None) != (wanted.accuracy is None):
        raise ConfigError("a trial needs an accuracy to reach, and an accuracy a trial: give both")
    if wanted.trial is not None and not 1 <= wanted.trial <= LONGEST_TRIAL:
        raise ConfigError(f"a trial has 1 to {LONGEST_TRIAL} products")
    if wanted.accuracy is not None and not 0 < wanted.accuracy <= 1:
        raise ConfigError("the accuracy to reach is above 0 and at most 1, such as 0.9")
    if wanted.options.get("gold") and wanted.trial is None:
        raise ConfigError("right values are compared by a trial: give --trial and --accuracy")


async def _understood(workspace: Workspace, wanted: Wanted) -> tuple[int, int]:
    """Check that the task can work; give its budget in nano-USD and the team it belongs to."""
    from waremill.app.sourcing import find_source

    assembly = await assembled(workspace, wanted.pipeline, wanted.options.get("model"))
    await may_use(workspace, assembly)
    check_engine(workspace.settings, assembly, wanted.options)
    if wanted.source is not None:
        find_source(workspace, wanted.source)
    assert wanted.budget is not None, "it was checked"
    budget = budget_in_nano(workspace.settings, assembly.models, wanted.budget)
    return budget, await _team(workspace, assembly, wanted)


async def _team(workspace: Workspace, assembly: Assembly, wanted: Wanted) -> int:
    actor, options = workspace.actor, wanted.options
    try:
        found = await find_catalog(workspace.database, actor, options.get("catalog"), "operator")
    except NotFound:
        if wanted.source is None:
            raise
        # The source may bring the catalogue; its selection is understood when it is there.
        team = actor.first_team("operator")
        if team is None:
            raise Forbidden("a schedule needs the role operator") from None
        return team
    asked: TaskOptions = {**options, "only": wanted.only, "schedule": 0}
    await prepare(workspace, assembly, asked)
    if gold := options.get("gold"):
        settings = workspace.settings
        load_gold(str(gold), settings.root, found.columns, assembly.fields, found.key_column)
    return found.team_id


def sources_of(workspace: Workspace) -> tuple[str, ...]:
    """Give the sources that the actor may have imported before each run: an admin all of them."""
    admin = workspace.actor.first_team("admin") is not None
    return tuple(sorted(workspace.settings.sources)) if admin else ()


def zones() -> tuple[str, ...]:
    """Give the time zones people live in by name, and UTC."""
    from zoneinfo import available_timezones

    known = (one for one in available_timezones() if "/" in one and not one.startswith("Etc/"))
    return ("UTC", *sorted(known))


def _own_zone() -> str:
    from tzlocal import get_localzone_name

    return get_localzone_name() or "UTC"


def _first(cron: Cron, now: float) -> float:
    found = cron.after(now)
    if found is None:
        raise ConfigError(f"the cron line “{cron.text}” names a day that never comes")
    return found


async def find(
    workspace: Workspace, name: str, role: str = "viewer", *, removed: bool = False
) -> Schedule:
    """Find a schedule by its name, for somebody of a role; with `removed` a removed one as well."""
    found = await workspace.database.read(partial(store.find_schedule, removed=removed), name)
    workspace.actor.need(cast("Any", role), found.team_id, f"schedule “{name}”")
    return found


async def list_schedules(workspace: Workspace, *, removed: bool = False) -> list[ScheduleView]:
    """Give the schedules of the actor's teams by name, each with its newest slot.

    With `removed` those that were removed instead.
    """

    def read(conn: Connection) -> list[tuple[Schedule, SlotView | None]]:
        known = store.list_schedules(conn, workspace.actor.sees, removed=removed)
        return [(one, _last(conn, one)) for one in known]

    return [_view(workspace, one, last) for one, last in await workspace.database.read(read)]


async def show(workspace: Workspace, name: str) -> ScheduleView:
    """Give a schedule with its newest slot; one that was removed, where no other has its name."""
    found = await find(workspace, name, removed=True)
    return _view(workspace, found, await workspace.database.read(_last, found))


async def history(
    workspace: Workspace, name: str, *, cursor: str | None = None, size: int = 50
) -> Page[SlotView]:
    """Page through a schedule's slots with what came of each, newest first.

    What removed schedules of the team did under the same name comes after its own.
    """
    size = page_size(size)
    found = await find(workspace, name, removed=True)
    before = None
    if cursor is not None:
        before = decode_cursor(cursor).get("id")
        if type(before) is not int or not 0 <= before < 2**63:
            raise bad_cursor()

    def read(conn: Connection) -> list[SlotView]:
        return _seen(conn, store.list_slots(conn, found, before, size + 1, earlier=True))

    rows = await workspace.database.read(read)
    more = encode_cursor({"id": rows[size - 1].id}) if len(rows) > size else None
    return Page(tuple(rows[:size]), more)


async def pause(workspace: Workspace, name: str) -> ScheduleView:
    """Fire no further slot; what is under way goes on."""
    return await _switch(workspace, name, active=False)


async def resume(workspace: Workspace, name: str) -> ScheduleView:
    """Fire slots again from the next one on; those of the pause were not missed."""
    return await _switch(workspace, name, active=True)


async def _switch(workspace: Workspace, name: str, *, active: bool) -> ScheduleView:
    found = await find(workspace, name, "operator")
    if found.active == active:
        raise Conflict(f"schedule “{name}” is {'active' if active else 'paused'} already")
    cron = parse_cron(found.cron, found.timezone)

    def write(conn: Connection) -> Schedule:
        values: dict[str, Any] = {"active": active}
        if active:
            values["next_at"] = cron.after(store_runs.clock(conn))
        store.set_schedule(conn, found.id, **values)
        action = "schedule.resume" if active else "schedule.pause"
        auditing.record(conn, workspace.actor, action, f"schedule {name}", found.team_id)
        return store.find_schedule(conn, name)

    changed = await workspace.database.write(write)
    return _view(workspace, changed, await workspace.database.read(_last, changed))


async def remove(workspace: Workspace, name: str) -> None:
    """Remove a schedule; its history and the runs it started stay, those at work go on."""
    found = await find(workspace, name, "operator")

    def write(conn: Connection) -> None:
        store.remove_schedule(conn, found.id, "the schedule was removed")
        auditing.record(
            conn, workspace.actor, "schedule.remove", f"schedule {name}", found.team_id,
            pipeline=found.pipeline, cron=found.cron,
        )  # fmt: skip

    await workspace.database.write(write)


async def run_now(workspace: Workspace, name: str) -> Slot:
    """Make a slot of this moment; whoever leads fires it.

    Raises Conflict while an earlier one of the schedule is under way.
    """
    found = await find(workspace, name, "operator")

    def write(conn: Connection) -> Slot:
        if store.live_slots(conn, found.id):
            raise Conflict(f"a run of schedule “{name}” is under way; `schedule show` says how far")
        now = store_runs.clock(conn)
        made = store.insert_slot(
            conn, found, now, store.DUE, cause="person", by=workspace.actor.name
        )
        assert made is not None, "a slot of this very moment was not there"
        auditing.record(conn, workspace.actor, "schedule.run", f"schedule {name}", found.team_id)
        return made

    return await workspace.database.write(write)


async def slot_view(workspace: Workspace, number: int) -> SlotView:
    """Give a slot as it is now."""

    def read(conn: Connection) -> SlotView:
        return _seen(conn, [store.find_slot(conn, number)])[0]

    return await workspace.database.read(read)


def _last(conn: Connection, schedule: Schedule) -> SlotView | None:
    found = _seen(conn, store.list_slots(conn, schedule, None, 1))
    return found[0] if found else None


def _seen(conn: Connection, slots: list[Slot]) -> list[SlotView]:
    named: Mapping[int, Run] = store_runs.runs_by_id(
        conn, [one for slot in slots for one in (slot.run_id, slot.trial_id) if one is not None]
    )
    return [
        SlotView(slot, named.get(slot.run_id or 0), named.get(slot.trial_id or 0))
        for slot in slots
    ]  # fmt: skip


def _view(workspace: Workspace, schedule: Schedule, last: SlotView | None = None) -> ScheduleView:
    settings = workspace.settings
    return ScheduleView(schedule, budget_of(settings, schedule), settings.currency, last)


def budget_of(settings: Settings, schedule: Schedule) -> float:
    """Give what a schedule may spend a run, in the workspace's currency."""
    return money(schedule.budget, settings.per_usd) or 0.0


__all__ = [
    "CATCH_UPS",
    "ENGINES",
    "KEPT",
    "MODES",
    "ONLY",
    "OVERLAPS",
    "PRIORITIES",
    "ScheduleView",
    "SlotView",
    "Wanted",
    "add",
    "budget_of",
    "find",
    "history",
    "kept",
    "list_schedules",
    "options_of",
    "pause",
    "remove",
    "resume",
    "run_now",
    "show",
    "slot_view",
    "sources_of",
    "zones",
]
