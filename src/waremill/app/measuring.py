"""What a monitoring system asks a server about its workspace: few figures, cheap to add up."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import orjson
from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from waremill.app.status import NANO
from waremill.errors import WaremillError
from waremill.store import metering
from waremill.store import webhooks as store_webhooks
from waremill.store.database import Database
from waremill.store.ledger import WAITS
from waremill.store.runs import GENERATE
from waremill.store.tables import documents, runs, spend

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

EVERY_SECONDS = 5.0
"""For so long a write that went well speaks for the next ones."""
PATIENCE = 1.0
PROBE_SIZE = 16 * 1024


@dataclass(slots=True)
class Figures:
    """Runs by kind and state, items of running runs by state, this month's money (UTC) in the
    workspace's currency, webhook messages that are due and that wait at all.

    `calls` are the ledger's sums by model and outcome, `paid` in the currency. `budget_left` is
    what running runs may still spend, `teams_left` what teams may this month; `slots` are the
    schedules' unsettled moments by state, `settled` the others by what came of them; `overdue` and
    `oldest_batch` are in seconds. `waits` are calls by how long they waited for a rate limit (calls
    a bucket of `WAITS`, seconds together), by model; `batches` are counts and open requests by
    model and state, `publications` counts by channel and state.
    """

    runs: Counter[tuple[str, str]] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)
    spent: float = 0.0
    due: int = 0
    messages: int = 0
    items_per_second: float = 0.0
    calls: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    budget_left: float = 0.0
    teams_left: dict[str, float] = field(default_factory=dict)
    slots: dict[str, int] = field(default_factory=dict)
    settled: dict[str, int] = field(default_factory=dict)
    overdue: float = 0.0
    led: bool = False
    waits: dict[str, tuple[list[int], float]] = field(default_factory=dict)
    batches: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    oldest_batch: float = 0.0
    publications: dict[tuple[str, str], int] = field(default_factory=dict)


async def figures(workspace: Workspace) -> Figures:
    """Add up what the actor sees; nothing of it walks through items."""
    workspace.actor.need_somewhere("viewer", "the figures")
    teams = workspace.actor.sees

    def read(conn: Connection) -> Figures:
        found = Figures()
        mine = runs.c.team_id.in_(teams) if teams is not None else runs.c.id.is_not(None)
        query = select(runs.c.kind, runs.c.state, func.count()).where(mine, runs.c.kind != GENERATE)
        for kind, state, count in conn.execute(query.group_by(runs.c.kind, runs.c.state)):
            found.runs[kind, state] = count
        # A worker writes how far it is every two seconds; counting its items would be dearer.
        working = select(runs.c.progress).where(
            mine, runs.c.state == "running", runs.c.kind != GENERATE, runs.c.progress.is_not(None)
        )
        for (progress,) in conn.execute(working):
            told = orjson.loads(progress)
            found.items.update(told.get("states", {}))
            found.items_per_second += told.get("items_per_second") or 0.0
        month = time.strftime("%Y-%m-01", time.gmtime())
        paid = select(func.coalesce(func.sum(spend.c.paid), 0)).where(spend.c.day >= month)
        if teams is not None:
            paid = paid.where(spend.c.run_id.in_(select(runs.c.id).where(mine)))
        nano = int(conn.execute(paid).scalar_one())
        found.spent = nano / NANO * workspace.settings.per_usd
        found.due = store_webhooks.count_due(conn, time.time(), teams)
        found.messages = metering.waiting_messages(conn) if teams is None else found.due
        _add_ledger(conn, found, teams, workspace.settings.per_usd / NANO)
        _add_work(conn, found, teams)
        return found

    return await workspace.database.read(read)


def _add_ledger(
    conn: Connection, found: Figures, teams: Sequence[int] | None, currency: float
) -> None:
    """Add what the ledger's sums, budgets and schedules say; `currency` is of one nano-USD."""
    found.calls = metering.calls_by_outcome(conn, teams)
    for sums in found.calls.values():
        sums["paid"] *= currency
    found.budget_left = metering.budgets_left(conn, teams) * currency
    month = time.strftime("%Y-%m-01", time.gmtime())
    for name, left in metering.monthly_left(conn, teams, month).items():
        found.teams_left[name] = left * currency
    found.waits = metering.waits_by_model(conn, teams)


def _add_work(conn: Connection, found: Figures, teams: Sequence[int] | None) -> None:
    """Add what schedules, batches and publications came to."""
    found.slots = metering.waiting_slots(conn, teams)
    found.settled = metering.settled_slots(conn, teams)
    found.overdue = metering.overdue_schedules(conn, teams)
    found.led = metering.schedules_worked(conn, teams)[1]
    found.batches = metering.batches_by_state(conn, teams)
    found.oldest_batch = metering.oldest_batch(conn, teams)
    found.publications = metering.publications_by_state(conn, teams)


async def is_ready(workspace: Workspace) -> bool:
    """Say whether the database answers, and takes what is written.

    A write that waits for another one counts as taken; it is waited for no longer than a second.
    """
    database = workspace.database
    probe = _PROBES.setdefault(database, _Probe())
    try:
        await database.read(lambda conn: conn.execute(select(1)).scalar_one())
        return await probe.takes_writes(database)
    except (WaremillError, SQLAlchemyError):
        return False


class _Probe:
    """Writes now and then, one write at a time: whoever asks often must not wear the disk."""

    def __init__(self) -> None:
        self._good_at = -EVERY_SECONDS
        self._writing: asyncio.Task[None] | None = None

    async def takes_writes(self, database: Database) -> bool:
        """Raise what the database said against a write."""
        if time.monotonic() - self._good_at < EVERY_SECONDS:
            return True
        if self._writing is None:
            self._writing = asyncio.create_task(database.write(_write_something))
        writing = self._writing
        await asyncio.wait({writing}, timeout=PATIENCE)
        if not writing.done():
            return True
        if self._writing is writing:
            self._writing = None
        writing.result()
        self._good_at = time.monotonic()
        return True


_PROBES: WeakKeyDictionary[Database, _Probe] = WeakKeyDictionary()


def _write_something(conn: Connection) -> None:
    """Add a text and take it away again: it needs room, and nobody sees it."""
    name = f"probe {secrets.token_hex(8)}"
    conn.execute(insert(documents).values(hash=name, body="x" * PROBE_SIZE))
    conn.execute(delete(documents).where(documents.c.hash == name))


__all__ = ["WAITS", "Figures", "figures", "is_ready"]
