"""Verdicts on many items: some thousands a transaction, so that nobody else waits long."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import ColumnElement, Connection

from waremill.app import auditing, notifying
from waremill.app.acting import Actor
from waremill.store import verdicts
from waremill.store.database import Database
from waremill.store.reviewing import CHUNK
from waremill.store.runs import Run
from waremill.store.verdicts import Decision


async def accept_by_rule(
    database: Database,
    run: Run,
    condition: ColumnElement[bool],
    rule: str,
    actor: Actor | None = None,
) -> int:
    """Accept all waiting items of a run that a rule picks; give how many.

    The reviews name the rule, and the actor who asked for it; None for a pipeline's own rule.
    """
    total, after, first = 0, 0, True
    by = None if actor is None else actor.name

    def some(conn: Connection, after: int, first: bool) -> tuple[int, int | None]:
        if first and actor is not None:
            subject = f"run {run.name}"
            auditing.record(conn, actor, "run.accept-where", subject, run.team_id, rule=rule)
        with notifying.telling(conn, run):
            return verdicts.accept_where(conn, run, condition, rule, after, by)

    while True:
        accepted, last = await database.write(some, after, first)
        total, first = total + accepted, False
        if last is None:
            return total
        after = last


async def judge_all(
    database: Database,
    run: Run,
    ids: Sequence[int],
    decision: Decision,
    before: Callable[[Connection], None],
) -> int:
    """Judge those of many items that still wait; give how many.

    `before` is called in the first transaction, for the one entry of the audit log.
    """
    total = 0

    def some(conn: Connection, start: int) -> int:
        if start == 0:
            before(conn)
        with notifying.telling(conn, run):
            return verdicts.judge_many(conn, run.id, ids[start : start + CHUNK], decision)

    for start in range(0, max(len(ids), 1), CHUNK):
        total += await database.write(some, start)
    return total
