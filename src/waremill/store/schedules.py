"""Schedules and their slots, who leads, and which products a schedule has not worked yet.

Who leads holds a lease by the database's clock. Everything a leader writes names the epoch it leads
under, in the same transaction: one that was taken over from can write nothing more. A slot's row is
unique, so that a slot is fired once whatever clocks and leaders do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    distinct,
    func,
    insert,
    literal,
    literal_column,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from waremill.domain import UNMADE_STATES
from waremill.errors import Conflict, NotFound
from waremill.store.runs import clock
from waremill.store.tables import AnyRow, dumps, items, products
from waremill.store.tables_schedules import leads, schedule_slots, schedules

SCHEDULER = "scheduler"
"""The name of the lead over all schedules."""
SKIPPED, MISSED, NOTHING, STOPPED, FAILED = "skipped", "missed", "nothing", "stopped", "failed"
DUE, QUEUED, TRIAL, RUN = "due", "queued", "trial", "run"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule's row. `options` is what else was said of the run, `budget` nano-USD.

    `next_at` is the first slot that nobody has looked at yet, in Unix seconds.
    """

    id: int
    name: str
    team_id: int
    pipeline: str
    cron: str
    timezone: str
    options: Mapping[str, Any]
    only: tuple[str, ...]
    source: str | None
    budget: int
    trial: int | None
    accuracy: float | None
    overlap: str
    catch_up: str
    active: bool
    next_at: float | None
    by: str
    created_at: float
    removed_at: float | None


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot's row: when it was due, why it is there, and what came of it.

    `missed` counts the slots it stands for that nobody fired; `starts` how often its run was begun.
    """

    id: int
    schedule_id: int
    at: float
    cause: str
    state: str
    live: bool
    reason: str | None
    missed: int
    run_id: int | None
    trial_id: int | None
    imported: Mapping[str, Any] | None
    starts: int
    by: str
    created_at: float
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class Lead:
    """A lease on leading, as it was taken."""

    owner: str
    epoch: int


# Who leads.


def take_lead(
    conn: Connection, owner: str, seconds: float, is_dead: Callable[[str], bool]
) -> Lead | None:
    """Become or stay the leader for some seconds; None while somebody else is.

    `is_dead` says of another owner whether it is known to be gone.
    """
    now = clock(conn)
    mine = {"owner": owner, "until": now + seconds}
    row = conn.execute(select(leads).where(leads.c.name == SCHEDULER)).one_or_none()
    if row is None:
        try:
            with conn.begin_nested():
                conn.execute(insert(leads).values(name=SCHEDULER, epoch=1, **mine))
        except IntegrityError:  # another one was first
            return None
        return Lead(owner, 1)
    if row.owner == owner and row.until > now:
        epoch = row.epoch
    elif row.until <= now or row.owner == owner or is_dead(row.owner):
        epoch = row.epoch + 1
    else:
        return None
    same = (leads.c.name == SCHEDULER, leads.c.epoch == row.epoch, leads.c.until == row.until)
    taken = conn.execute(update(leads).where(*same).values(epoch=epoch, **mine))
    return Lead(owner, epoch) if taken.rowcount == 1 else None


def leave_lead(conn: Connection, lead: Lead) -> None:
    """Let somebody else lead at once."""
    conn.execute(
        update(leads)
        .where(leads.c.name == SCHEDULER, leads.c.owner == lead.owner, leads.c.epoch == lead.epoch)
        .values(until=0)
    )


def leader(conn: Connection) -> str | None:
    """Give who leads just now; None where nobody does."""
    row = conn.execute(select(leads).where(leads.c.name == SCHEDULER)).one_or_none()
    return row.owner if row is not None and row.until > clock(conn) else None


def hold(conn: Connection, lead: Lead) -> None:
    """Keep the lead until the transaction ends; raise Conflict where it is somebody else's."""
    query = select(leads.c.epoch).where(leads.c.name == SCHEDULER, leads.c.owner == lead.owner)
    if conn.execute(query.with_for_update()).scalar_one_or_none() != lead.epoch:
        raise Conflict("another server leads the schedules by now")


def is_wanted(conn: Connection) -> bool:
    """Say whether there is anything to lead: an active schedule, or a slot that is not settled."""
    active = select(schedules.c.id).where(schedules.c.active, schedules.c.next_at.is_not(None))
    live = select(schedule_slots.c.id).where(schedule_slots.c.live)
    return any(conn.execute(query.limit(1)).first() is not None for query in (active, live))


# Schedules.


def insert_schedule(conn: Connection, values: Mapping[str, Any]) -> Schedule:
    """Add a schedule; raise Conflict for a name that is taken."""
    row = {
        **values, "options": dumps(values["options"]), "only": dumps(list(values["only"])),
        "created_at": clock(conn),
    }  # fmt: skip
    try:
        with conn.begin_nested():
            conn.execute(insert(schedules).values(row))
    except IntegrityError:
        raise Conflict(f"there is a schedule “{values['name']}” already") from None
    return find_schedule(conn, values["name"])


def find_schedule(conn: Connection, name: str, *, removed: bool = False) -> Schedule:
    """Find a schedule by its name; with `removed` the newest removed one, where no other has it."""
    query = select(schedules).where(schedules.c.name == name)
    if not removed:
        query = query.where(schedules.c.removed_at.is_(None))
    present = schedules.c.removed_at.is_not(None)  # false sorts first
    row = conn.execute(query.order_by(present, schedules.c.id.desc()).limit(1)).one_or_none()
    if row is None:
        raise NotFound(f"there is no schedule “{name}”")
    return _schedule(row)


def get_schedule(conn: Connection, number: int) -> Schedule:
    """Give a schedule by its row id."""
    return _schedule(conn.execute(select(schedules).where(schedules.c.id == number)).one())


def list_schedules(
    conn: Connection, teams: Collection[int] | None = None, *, removed: bool = False
) -> list[Schedule]:
    """Give the schedules of teams (None: of all) by name, or those that were removed."""
    gone = schedules.c.removed_at
    query = select(schedules).where(gone.is_not(None) if removed else gone.is_(None))
    query = query.order_by(schedules.c.name, schedules.c.id.desc())
    if teams is not None:
        query = query.where(schedules.c.team_id.in_(teams))
    return [_schedule(row) for row in conn.execute(query)]


def active_schedules(conn: Connection) -> list[Schedule]:
    """Give the schedules that have slots to come."""
    own = select(schedules).where(schedules.c.active, schedules.c.next_at.is_not(None))
    return [_schedule(row) for row in conn.execute(own.order_by(schedules.c.id))]


def set_schedule(conn: Connection, number: int, **values: Any) -> None:
    """Set plain columns of a schedule."""
    conn.execute(update(schedules).where(schedules.c.id == number).values(**values))


def remove_schedule(conn: Connection, number: int, reason: str) -> None:
    """Remove a schedule: no slot comes any more, and what is under way is settled.

    Its history stays, and so do the runs it began, which go on; a slot without one is stopped.
    """
    now = clock(conn)
    set_schedule(conn, number, active=False, next_at=None, removed_at=now)
    live = (schedule_slots.c.schedule_id == number, schedule_slots.c.live)
    settled = {"live": False, "ended_at": now}
    begun = schedule_slots.c.state == RUN
    conn.execute(update(schedule_slots).where(*live, begun).values(settled))
    conn.execute(
        update(schedule_slots).where(*live).values(**settled, state=STOPPED, reason=reason)
    )


# Slots.


def insert_slot(
    conn: Connection, schedule: Schedule, at: float, state: str, **values: Any
) -> Slot | None:
    """Add a slot; None where it is there already, and so was fired before."""
    now = clock(conn)
    live = state in (DUE, QUEUED)
    row = {
        "schedule_id": schedule.id, "at": at, "state": state, "live": live, "cause": "cron",
        "missed": 0, "starts": 0, "by": schedule.by, "created_at": now,
        "ended_at": None if live else now, **values,
    }  # fmt: skip
    try:
        with conn.begin_nested():
            made = conn.execute(insert(schedule_slots).values(row).returning(schedule_slots.c.id))
            number = int(made.scalar_one())
    except IntegrityError:
        return None
    return find_slot(conn, number)


def find_slot(conn: Connection, number: int) -> Slot:
    """Give a slot by its id."""
    row = conn.execute(select(schedule_slots).where(schedule_slots.c.id == number)).one()
    return _slot(row)


def live_slots(conn: Connection, schedule: int | None = None) -> list[Slot]:
    """Give the slots that are not settled, oldest first; those of one schedule, if given."""
    query = select(schedule_slots).where(schedule_slots.c.live).order_by(schedule_slots.c.id)
    if schedule is not None:
        query = query.where(schedule_slots.c.schedule_id == schedule)
    return [_slot(row) for row in conn.execute(query)]


def set_slot(conn: Connection, slot: Slot, **values: Any) -> None:
    """Set columns of a slot that is not settled; raise Conflict where it is."""
    if "imported" in values and values["imported"] is not None:
        values["imported"] = dumps(values["imported"])
    same = (schedule_slots.c.id == slot.id, schedule_slots.c.live)
    if conn.execute(update(schedule_slots).where(*same).values(**values)).rowcount != 1:
        raise Conflict("the schedule's slot is settled already")


def settle_slot(conn: Connection, slot: Slot, state: str, reason: str | None = None) -> None:
    """End a slot."""
    set_slot(conn, slot, state=state, reason=reason, live=False, ended_at=clock(conn))


def list_slots(
    conn: Connection, schedule: Schedule, before: int | None, limit: int, *, earlier: bool = False
) -> list[Slot]:
    """Give a schedule's slots below the id `before`, newest first.

    With `earlier` also those of the team's removed schedules that had its name.
    """
    own = schedule_slots.c.schedule_id == schedule.id
    if earlier:
        named = select(schedules.c.id).where(
            schedules.c.name == schedule.name, schedules.c.team_id == schedule.team_id,
            schedules.c.removed_at.is_not(None),
        )  # fmt: skip
        own = own | schedule_slots.c.schedule_id.in_(named)
    query = select(schedule_slots).where(own)
    if before is not None:
        query = query.where(schedule_slots.c.id < before)
    rows = conn.execute(query.order_by(schedule_slots.c.id.desc()).limit(limit))
    return [_slot(row) for row in rows]


def _schedule(row: AnyRow) -> Schedule:
    values = dict(row._mapping)
    options, only = orjson.loads(values["options"]), tuple(orjson.loads(values["only"]))
    return Schedule(**{**values, "options": options, "only": only})


def _slot(row: AnyRow) -> Slot:
    values = dict(row._mapping)
    told = values["imported"]
    return Slot(**{**values, "imported": None if told is None else orjson.loads(told)})


# Increments: what a schedule has not worked yet, as conditions over `products`.


def never_worked(schedule: int, targets: Sequence[str]) -> ColumnElement[bool]:
    """Give the condition that no run of a schedule finished a product, for one of its targets."""
    return _fewer(_finished(schedule, targets), targets)


def worked_before(schedule: int, targets: Sequence[str]) -> ColumnElement[bool]:
    """Give the condition that a run of a schedule finished a product for each of its targets."""
    return ~never_worked(schedule, targets)


def not_as_worked(
    schedule: int, targets: Sequence[str], *, with_groups: bool
) -> ColumnElement[bool]:
    """Give the condition that what a schedule finished last was of another version of a product.

    A group's version counts where a step works per group.
    """
    later = items.alias("later")
    newer = (
        select(literal_column("1", Integer))
        .where(later.c.product_id == products.c.id, later.c.target == items.c.target,
               later.c.id > items.c.id, *_counts(later, schedule))
        .limit(1)
    )  # fmt: skip
    query = _finished(schedule, targets).where(items.c.product_version == products.c.version)
    if with_groups:
        group = products.alias("grp")
        version = select(group.c.version).where(group.c.id == products.c.group_id)
        now = func.coalesce(version.correlate(products).scalar_subquery(), 0)
        query = query.where(items.c.group_version == now)
    found = newer.correlate(products, items).scalar_subquery()
    # A value and not EXISTS, so that no database turns it into a walk over all items.
    return _fewer(query.where(func.coalesce(found, 0) == 0), targets)


def _finished(schedule: int, targets: Sequence[str]) -> Select[Any]:
    query = select(distinct(items.c.target)).where(
        items.c.product_id == products.c.id, *_counts(items, schedule)
    )
    return query.where(items.c.target.in_(targets)).correlate(products)


def _counts(one: Any, schedule: int) -> tuple[ColumnElement[bool], ...]:
    own = select(schedule_slots.c.run_id).where(
        schedule_slots.c.schedule_id == schedule, schedule_slots.c.run_id.is_not(None)
    )
    return (one.c.run_id.in_(own), one.c.state.not_in(UNMADE_STATES))


def _fewer(query: Select[Any], targets: Sequence[str]) -> ColumnElement[bool]:
    count = query.with_only_columns(func.count(distinct(items.c.target))).scalar_subquery()
    return count < literal(len(set(targets)), Integer)


__all__ = [
    "Lead",
    "Schedule",
    "Slot",
    "active_schedules",
    "find_schedule",
    "find_slot",
    "get_schedule",
    "hold",
    "insert_schedule",
    "insert_slot",
    "is_wanted",
    "leader",
    "leave_lead",
    "list_schedules",
    "list_slots",
    "live_slots",
    "never_worked",
    "not_as_worked",
    "remove_schedule",
    "set_schedule",
    "set_slot",
    "settle_slot",
    "take_lead",
    "worked_before",
]
