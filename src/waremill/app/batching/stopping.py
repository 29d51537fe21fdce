"""The use case *stop batches*: cancel a run that nobody works and whose batches are at a vendor.

Stopping them takes minutes, and what they did is kept: a process of its own does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection

from waremill.app import auditing
from waremill.app.batching.opening import is_batched
from waremill.errors import UserError
from waremill.store import batches as store
from waremill.store import runs as store_runs
from waremill.store.runs import Run

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace


async def stop_batches(workspace: Workspace, run: Run) -> bool:
    """Have a process stop the batches of a run that nobody works, then end it.

    False where it has none, or no process can begin: what is at the vendor is then left there.
    """
    if not is_batched(run):
        return False

    def ask(conn: Connection) -> bool:
        now = store_runs.locked(conn, run.id)
        if now.epoch != run.epoch or now.state in ("done", "cancelled", "planning"):
            return False
        if not store.of_run(conn, run.id, opened=True):
            return False
        store_runs.set_run(conn, run.id, {"command": "cancel"})
        auditing.record(conn, workspace.actor, "run.cancel", f"run {run.name}", run.team_id)
        return True

    if not await workspace.database.write(ask):
        return False
    from waremill.app.launching import start

    try:
        await start(workspace, run.name)
    except UserError:  # no key any more, for example
        return False
    return True
