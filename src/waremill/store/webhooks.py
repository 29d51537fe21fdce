"""Webhooks and their deliveries: who is told of what, and what was sent with which result.

A delivery is claimed for a while before it is sent, so that of several servers one sends it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection, delete, func, insert, select, update

from waremill.store.tables import AnyRow, dumps
from waremill.store.tables_people import deliveries, webhooks

WAITING, DELIVERED, FAILED = "waiting", "delivered", "failed"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Somebody who is told: at `url`, of `events`, with bodies signed with `secret`."""

    id: int
    team_id: int
    url: str
    secret: str = field(repr=False)
    events: tuple[str, ...]
    active: bool
    by: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one webhook. `state` is waiting, delivered or failed; times in Unix seconds."""

    id: int
    webhook_id: int
    event: str
    body: str
    state: str
    attempts: int
    next_at: float
    status: int | None
    error: str | None
    created_at: float


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery to send now, with where it goes."""

    delivery: Delivery
    webhook: Webhook


def insert_webhook(conn: Connection, values: Mapping[str, Any]) -> Webhook:
    """Add a webhook; `events` is a sequence of names."""
    row = {**values, "events": dumps(list(values["events"])), "created_at": time.time()}
    number = conn.execute(insert(webhooks).values(row).returning(webhooks.c.id)).scalar_one()
    found = find_webhook(conn, int(number))
    assert found is not None, "it was just written"
    return found


def find_webhook(conn: Connection, number: int) -> Webhook | None:
    """Find a webhook by its id."""
    row = conn.execute(select(webhooks).where(webhooks.c.id == number)).one_or_none()
    return None if row is None else _webhook(row)


def list_webhooks(conn: Connection, teams: Collection[int] | None) -> list[Webhook]:
    """Give the webhooks of teams (None: of all), oldest first."""
    query = select(webhooks).order_by(webhooks.c.id)
    if teams is not None:
        query = query.where(webhooks.c.team_id.in_(teams))
    return [_webhook(row) for row in conn.execute(query)]


def update_webhook(conn: Connection, number: int, values: Mapping[str, Any]) -> None:
    """Change a webhook's columns; `events`, where given, is a sequence of names."""
    row = dict(values)
    if "events" in row:
        row["events"] = dumps(list(row["events"]))
    conn.execute(update(webhooks).where(webhooks.c.id == number).values(row))


def delete_webhook(conn: Connection, number: int) -> None:
    """Remove a webhook with its deliveries."""
    conn.execute(delete(deliveries).where(deliveries.c.webhook_id == number))
    conn.execute(delete(webhooks).where(webhooks.c.id == number))


def subscribed(conn: Connection, team: int, event: str) -> list[int]:
    """Give the ids of a team's active webhooks that are told of an event."""
    own = select(webhooks).where(webhooks.c.team_id == team, webhooks.c.active)
    return [one.id for row in conn.execute(own) if event in (one := _webhook(row)).events]


def enqueue(conn: Connection, numbers: Sequence[int], event: str, body: str) -> list[int]:
    """Add a delivery of an event for each webhook; give the deliveries' ids."""
    now = time.time()
    row = {"event": event, "body": body, "state": WAITING, "attempts": 0, "next_at": now,
           "created_at": now}  # fmt: skip
    made = []
    for number in numbers:
        statement = insert(deliveries).values(webhook_id=number, **row).returning(deliveries.c.id)
        made.append(int(conn.execute(statement).scalar_one()))
    return made


def claim_due(conn: Connection, now: float, lease: float, limit: int) -> list[Due]:
    """Claim deliveries that are due: they are nobody else's for `lease` seconds.

    Each claim counts as an attempt, so that one which takes the server down is not tried for ever.
    """
    query = (
        select(deliveries)
        .where(deliveries.c.state == WAITING, deliveries.c.next_at <= now)
        .order_by(deliveries.c.next_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = [_delivery(row) for row in conn.execute(query)]
    if not rows:
        return []
    conn.execute(
        update(deliveries)
        .where(deliveries.c.id.in_([row.id for row in rows]))
        .values(attempts=deliveries.c.attempts + 1, next_at=now + lease)
    )
    wanted = {row.webhook_id for row in rows}
    known = {
        row.id: _webhook(row)
        for row in conn.execute(select(webhooks).where(webhooks.c.id.in_(wanted)))
    }
    return [Due(row, known[row.webhook_id]) for row in rows]


def settle(
    conn: Connection,
    number: int,
    state: str,
    *,
    next_at: float,
    status: int | None,
    error: str | None,
) -> None:
    """Say how an attempt to deliver went."""
    conn.execute(
        update(deliveries)
        .where(deliveries.c.id == number)
        .values(state=state, next_at=next_at, status=status, error=error)
    )


def list_deliveries(
    conn: Connection, webhook: int, before: int | None, limit: int
) -> list[Delivery]:
    """Give a webhook's deliveries below the id `before`, newest first."""
    query = select(deliveries).where(deliveries.c.webhook_id == webhook)
    if before is not None:
        query = query.where(deliveries.c.id < before)
    rows = conn.execute(query.order_by(deliveries.c.id.desc()).limit(limit))
    return [_delivery(row) for row in rows]


def find_delivery(conn: Connection, number: int) -> Delivery | None:
    """Find a delivery by its id."""
    row = conn.execute(select(deliveries).where(deliveries.c.id == number)).one_or_none()
    return None if row is None else _delivery(row)


def forget_before(conn: Connection, moment: float) -> int:
    """Delete deliveries that ended and were made before a moment; give how many."""
    done = conn.execute(
        delete(deliveries).where(
            deliveries.c.state.in_((DELIVERED, FAILED)),
            deliveries.c.next_at < moment,
            deliveries.c.created_at < moment,
        )
    )
    return int(done.rowcount)


def count_due(conn: Connection, now: float, teams: Collection[int] | None = None) -> int:
    """Count the deliveries that are due; those to webhooks of `teams`, if given."""
    query = select(func.count(deliveries.c.id)).where(
        deliveries.c.state == WAITING, deliveries.c.next_at <= now
    )
    if teams is not None:
        own = select(webhooks.c.id).where(webhooks.c.team_id.in_(teams))
        query = query.where(deliveries.c.webhook_id.in_(own))
    return int(conn.execute(query).scalar_one())


def _webhook(row: AnyRow) -> Webhook:
    return Webhook(
        row.id, row.team_id, row.url, row.secret, tuple(orjson.loads(row.events)), row.active,
        row.by, row.created_at,
    )  # fmt: skip


def _delivery(row: AnyRow) -> Delivery:
    return Delivery(**row._mapping)
