"""The audit log: append an entry, page through the newest. The database refuses all else."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection, insert, select

from waremill.store.runs import clock
from waremill.store.tables import AnyRow, dumps
from waremill.store.tables_people import audit


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change: who did what to what, when, from where.

    `at` is in Unix seconds; `team` is None for what concerns no team; `detail` is JSON.
    """

    id: int
    at: float
    by: str
    team: int | None
    action: str
    subject: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Entered:
    """What an entry says besides its time and detail."""

    by: str
    team: int | None
    action: str
    subject: str
    address: str | None = None


def append(conn: Connection, entry: Entered, detail: Mapping[str, Any]) -> None:
    """Append an entry in the caller's transaction, at the database's time."""
    conn.execute(
        insert(audit).values(
            at=clock(conn),
            by=entry.by,
            team_id=entry.team,
            action=entry.action,
            subject=entry.subject,
            detail=dumps(dict(detail)) if detail else None,
            address=entry.address,
        )
    )


def newest(
    conn: Connection,
    teams: Collection[int] | None,
    *,
    before: int | None,
    limit: int,
    action: str | None = None,
    by: str | None = None,
) -> list[AuditEntry]:
    """Give at most `limit` entries below the id `before`, newest first.

    `teams` are the teams whose entries count; None counts every entry, those of no team included.
    Each team is one walk along its index, so the cost does not grow with the log.
    """
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(audit.c.id < before)
    if action is not None:
        query = query.where(audit.c.action == action)
    if by is not None:
        query = query.where(audit.c.by == by)
    if teams is None:
        rows = list(conn.execute(query))
    else:
        each = (conn.execute(query.where(audit.c.team_id == team)) for team in sorted(teams))
        rows = sorted((row for part in each for row in part), key=lambda row: -int(row.id))
    return [_as_entry(row) for row in rows[:limit]]


def _as_entry(row: AnyRow) -> AuditEntry:
    detail = orjson.loads(row.detail) if row.detail else {}
    return AuditEntry(
        row.id, row.at, row.by, row.team_id, row.action, row.subject, detail, row.address
    )
