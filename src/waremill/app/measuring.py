"""What a monitoring system asks a server about its workspace: few figures, cheap to add up."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import Connection, func, select

from waremill.app.status import NANO
from waremill.store import webhooks as store_webhooks
from waremill.store.runs import GENERATE
from waremill.store.tables import runs, spend

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace


@dataclass(slots=True)
class Figures:
    """Runs by kind and state, items of running runs by state, this month's money (UTC) in the
    workspace's currency, webhook messages that are due.
    """

    runs: Counter[tuple[str, str]] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)
    spent: float = 0.0
    due: int = 0


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
            found.items.update(orjson.loads(progress).get("states", {}))
        month = time.strftime("%Y-%m-01", time.gmtime())
        paid = select(func.coalesce(func.sum(spend.c.paid), 0)).where(spend.c.day >= month)
        if teams is not None:
            paid = paid.where(spend.c.run_id.in_(select(runs.c.id).where(mine)))
        nano = int(conn.execute(paid).scalar_one())
        found.spent = nano / NANO * workspace.settings.per_usd
        found.due = store_webhooks.count_due(conn, time.time(), teams)
        return found

    return await workspace.database.read(read)


async def is_ready(workspace: Workspace) -> bool:
    """Say whether the database answers."""
    from waremill.errors import WaremillError

    try:
        await workspace.database.read(lambda conn: conn.execute(select(1)).scalar_one())
    except WaremillError:
        return False
    return True
