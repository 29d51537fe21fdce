"""Sums for a monitoring system, from derived tables alone, never over items or calls."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from waremill.store.ledger import WAITS
from waremill.store.runs import clock
from waremill.store.tables import outcomes, runs, spend, waits
from waremill.store.tables_batches import batches
from waremill.store.tables_people import deliveries, teams
from waremill.store.tables_publishing import publications
from waremill.store.tables_schedules import leads, schedule_slots, schedules
from waremill.store.webhooks import WAITING

_SUMMED = ("calls", "input", "cached", "output", "reasoning", "paid", "seconds")


def _mine(column: ColumnElement[Any], of: Collection[int] | None) -> ColumnElement[bool]:
    return column.is_not(None) if of is None else column.in_(of)


def calls_by_outcome(
    conn: Connection, of: Collection[int] | None
) -> dict[tuple[str, str], dict[str, float]]:
    """Give the ledger's sums by model and outcome, of these teams or all."""
    query = (
        select(outcomes.c.model, outcomes.c.outcome,
               *(func.sum(outcomes.c[name]).label(name) for name in _SUMMED))
        .group_by(outcomes.c.model, outcomes.c.outcome)
    )  # fmt: skip
    if of is not None:
        query = query.where(outcomes.c.run_id.in_(select(runs.c.id).where(runs.c.team_id.in_(of))))
    return {
        (row.model, row.outcome): {name: float(getattr(row, name) or 0) for name in _SUMMED}
        for row in conn.execute(query)
    }


def budgets_left(conn: Connection, of: Collection[int] | None) -> int:
    """Give what running runs with a budget may still draw, nano-USD together."""
    query = select(func.coalesce(func.sum(runs.c.budget - runs.c.drawn), 0)).where(
        _mine(runs.c.team_id, of), runs.c.state == "running", runs.c.budget.is_not(None)
    )
    return int(conn.execute(query).scalar_one())


def monthly_left(conn: Connection, of: Collection[int] | None, month: str) -> dict[str, int]:
    """Give what is left of each team's monthly budget since a day, nano-USD by team's name."""
    paid = (
        select(func.coalesce(func.sum(spend.c.paid), 0))
        .join(runs, runs.c.id == spend.c.run_id)
        .where(spend.c.day >= month, runs.c.team_id == teams.c.id)
        .correlate(teams)
        .scalar_subquery()
    )
    query = select(teams.c.name, teams.c.monthly_budget, paid.label("paid")).where(
        _mine(teams.c.id, of), teams.c.monthly_budget.is_not(None)
    )
    return {
        row.name: max(0, int(row.monthly_budget) - int(row.paid)) for row in conn.execute(query)
    }


def waiting_slots(conn: Connection, of: Collection[int] | None) -> dict[str, int]:
    """Count the schedules' moments that are not settled, by state."""
    query = (
        select(schedule_slots.c.state, func.count().label("found"))
        .join(schedules, schedules.c.id == schedule_slots.c.schedule_id)
        .where(schedule_slots.c.live, _mine(schedules.c.team_id, of))
        .group_by(schedule_slots.c.state)
    )
    return {row.state: int(row.found) for row in conn.execute(query)}


def waiting_messages(conn: Connection) -> int:
    """Count the messages to webhooks that are still to be sent, now or later."""
    query = select(func.count()).where(deliveries.c.state == WAITING)
    return int(conn.execute(query).scalar_one())


def waits_by_model(
    conn: Connection, of: Collection[int] | None
) -> dict[str, tuple[list[int], float]]:
    """Give how long calls waited for a rate limit, by model: calls a bucket, seconds together.

    The buckets are those below each of `ledger.WAITS`, and one above all.
    """
    query = select(
        waits.c.model, waits.c.bucket, func.sum(waits.c.calls).label("calls"),
        func.sum(waits.c.seconds).label("seconds"),
    ).group_by(waits.c.model, waits.c.bucket)  # fmt: skip
    if of is not None:
        query = query.where(waits.c.run_id.in_(select(runs.c.id).where(runs.c.team_id.in_(of))))
    found: dict[str, tuple[list[int], float]] = {}
    for row in conn.execute(query):
        counts, seconds = found.get(row.model, ([0] * (len(WAITS) + 1), 0.0))
        counts[row.bucket] += int(row.calls)
        found[row.model] = (counts, seconds + float(row.seconds))
    return found


def mean_wait(conn: Connection, run: int) -> float | None:
    """Give how many seconds a run's calls waited for a rate limit on average; None for no limit."""
    query = select(func.sum(waits.c.seconds), func.sum(waits.c.calls)).where(waits.c.run_id == run)
    seconds, calls = conn.execute(query).one()
    return float(seconds) / int(calls) if calls else None


def batches_by_state(
    conn: Connection, of: Collection[int] | None
) -> dict[tuple[str, str], tuple[int, int]]:
    """Count batches by model and state, with their requests that are not answered."""
    open_requests = func.sum(batches.c.requests - batches.c.answered)
    query = select(
        batches.c.model, batches.c.state, func.count().label("found"), open_requests.label("open")
    ).group_by(batches.c.model, batches.c.state)
    if of is not None:
        query = query.where(batches.c.run_id.in_(select(runs.c.id).where(runs.c.team_id.in_(of))))
    return {(row.model, row.state): (int(row.found), int(row.open)) for row in conn.execute(query)}


def oldest_batch(conn: Connection, of: Collection[int] | None) -> float:
    """Give for how many seconds the batch that is out longest has been out; 0 for none."""
    query = select(func.min(batches.c.submitted_at)).where(batches.c.state == "submitted")
    if of is not None:
        query = query.where(batches.c.run_id.in_(select(runs.c.id).where(runs.c.team_id.in_(of))))
    since = conn.execute(query).scalar_one()
    return 0.0 if since is None else max(0.0, clock(conn) - float(since))


def publications_by_state(
    conn: Connection, of: Collection[int] | None
) -> dict[tuple[str, str], int]:
    """Count publications by channel and state."""
    query = (
        select(publications.c.channel, publications.c.state, func.count().label("found"))
        .where(_mine(publications.c.team_id, of))
        .group_by(publications.c.channel, publications.c.state)
    )
    return {(row.channel, row.state): int(row.found) for row in conn.execute(query)}


def settled_slots(conn: Connection, of: Collection[int] | None) -> dict[str, int]:
    """Count the schedules' moments that are settled, by what came of them."""
    query = (
        select(schedule_slots.c.state, func.count().label("found"))
        .join(schedules, schedules.c.id == schedule_slots.c.schedule_id)
        .where(~schedule_slots.c.live, _mine(schedules.c.team_id, of))
        .group_by(schedule_slots.c.state)
    )
    return {row.state: int(row.found) for row in conn.execute(query)}


def overdue_schedules(conn: Connection, of: Collection[int] | None) -> float:
    """Give by how many seconds the schedule that is late most is late; 0 where none is."""
    query = select(func.min(schedules.c.next_at)).where(
        schedules.c.active, _mine(schedules.c.team_id, of)
    )
    due = conn.execute(query).scalar_one()
    return 0.0 if due is None else max(0.0, clock(conn) - float(due))


def schedules_worked(conn: Connection, of: Collection[int] | None) -> tuple[int, bool]:
    """Count the active schedules, and say whether somebody leads the work of all."""
    active = select(func.count()).where(schedules.c.active, _mine(schedules.c.team_id, of))
    led = select(leads.c.name).where(leads.c.until > clock(conn)).limit(1)
    return int(conn.execute(active).scalar_one()), conn.execute(led).scalar() is not None
