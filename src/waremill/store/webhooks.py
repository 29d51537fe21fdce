"""Webhooks and their deliveries: who is told of what, and what was sent with which result.

A delivery is claimed for a while before it is sent, so that of several servers one sends it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from waremill.store.tables import AnyRow, dumps
from waremill.store.tables_people import deliveries, webhooks

WAITING, DELIVERED, FAILED = "waiting", "delivered", "failed"
PING = "ping"
"""The event of a test message; it is sent to a webhook that is switched off, too."""
ATTEMPTS = 12
"""Attempts a delivery gets, those included after which the server was gone."""
AT_ONCE_A_HOST, AT_ONCE_A_TEAM = 4, 16
"""Messages on their way at once, to one host and of one team: slow ones must not take all room."""


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

    @property
    def takes(self) -> tuple[str, int]:
        """The host and the team whose room it takes while it is on its way."""
        return _host(self.webhook.url), self.webhook.team_id


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


def claim_due(
    conn: Connection,
    now: float,
    lease: float,
    limit: int,
    busy: Mapping[str | int, int] | None = None,
) -> list[Due]:
    """Claim deliveries that are due: they are nobody else's for `lease` seconds.

    Each claim counts as an attempt, so that one which takes the server down is not tried for ever.
    `busy` counts by host and by team's id what is on its way already.
    """
    taken = Counter(busy or {})
    known = _with_room(conn, now, taken)
    claimed: list[Due] = []
    while known and len(claimed) < limit:
        query = (
            select(deliveries)
            .where(_due(now), deliveries.c.webhook_id.in_(known),
                   deliveries.c.id.not_in([one.delivery.id for one in claimed]))
            .order_by(deliveries.c.next_at, deliveries.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )  # fmt: skip
        rows = [_delivery(row) for row in conn.execute(query)]
        for row in rows:
            if row.webhook_id in known and len(claimed) < limit:
                claimed.append(Due(row, known[row.webhook_id]))
                taken.update(claimed[-1].takes)
                known = {n: one for n, one in known.items() if _has_room(one, taken)}
        if len(rows) < limit:
            break
    if claimed:
        conn.execute(
            update(deliveries)
            .where(deliveries.c.id.in_([one.delivery.id for one in claimed]))
            .values(attempts=deliveries.c.attempts + 1, next_at=now + lease)
        )
    return claimed


def is_due(conn: Connection, now: float, busy: Mapping[str | int, int] | None = None) -> bool:
    """Say whether `claim_due` would find anything; it takes no lock."""
    return bool(_with_room(conn, now, Counter(busy or {})))


def give_up(conn: Connection, now: float, before: float) -> None:
    """End deliveries whose last attempt never ended, and those that wait since before a moment."""
    spent = (deliveries.c.attempts >= ATTEMPTS) & (deliveries.c.next_at <= now)
    conn.execute(
        update(deliveries)
        .where(deliveries.c.state == WAITING, spent | (deliveries.c.created_at < before))
        .values(state=FAILED, error="it was given up")
    )


def _due(now: float) -> ColumnElement[bool]:
    """The condition of a delivery that is to be sent now."""
    active = select(webhooks.c.id).where(webhooks.c.active)
    return and_(
        deliveries.c.state == WAITING,
        deliveries.c.next_at <= now,
        deliveries.c.attempts < ATTEMPTS,
        or_(deliveries.c.event == PING, deliveries.c.webhook_id.in_(active)),
    )


def _with_room(conn: Connection, now: float, taken: Mapping[str | int, int]) -> dict[int, Webhook]:
    """Give the webhooks that something is due for and that there is room for, by id."""
    wanted = select(deliveries.c.webhook_id).where(_due(now))
    rows = conn.execute(select(webhooks).where(webhooks.c.id.in_(wanted)))
    return {one.id: one for row in rows if _has_room(one := _webhook(row), taken)}


def _has_room(webhook: Webhook, taken: Mapping[str | int, int]) -> bool:
    return (
        taken.get(_host(webhook.url), 0) < AT_ONCE_A_HOST
        and taken.get(webhook.team_id, 0) < AT_ONCE_A_TEAM
    )


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


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
    query = select(func.count(deliveries.c.id)).where(_due(now))
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
