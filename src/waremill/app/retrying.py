"""The use case *retry*: a run's failed items are set back to pending, some thousands a transaction.

Cut off in between, the run is paused and some of its items are still failed: trying again goes on.
"""

from __future__ import annotations

from sqlalchemy import Connection

from waremill.app import auditing
from waremill.app.acting import Actor
from waremill.store import batches as store_batches
from waremill.store import items as store_items
from waremill.store.database import Database
from waremill.store.runs import Run


def begin_retry(conn: Connection, actor: Actor, run: Run) -> Run:
    """Take a run from whoever worked it, and note how many items are tried again; give it.

    Raises Conflict for a run that cannot be worked again.
    """
    found, count = store_items.revive_run(conn, run)
    store_batches.forget(conn, run.id, failed_only=True)  # else they would fail as before
    auditing.record(conn, actor, "run.retry", f"run {run.name}", run.team_id, items=count)
    return found


async def set_failed_back(database: Database, run: Run) -> int:
    """Set all failed items of a run back to pending; give how many.

    Raises Conflict when somebody works the run by now.
    """
    total = 0
    while count := await database.write(store_items.retry_some, run):
        total += count
    return total


__all__ = ["begin_retry", "set_failed_back"]
