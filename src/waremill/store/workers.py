"""Under which row a worker writes: its run's own, or one of the several a run has on a cluster.

Every group commit, heartbeat and return of money names that row, so whoever lost it can write
nothing more. A run's owner shuts single workers out; claiming the run shuts all of them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, func, insert, select, update

from waremill.errors import Conflict
from waremill.store import runs as store_runs
from waremill.store.runs import Run, clock
from waremill.store.tables import dumps, runs
from waremill.store.tables_workers import workers


@dataclass(frozen=True, slots=True)
class Hold:
    """What a worker writes under: a run it owns, or with `worker` a part of a run of another's."""

    run: Run
    worker: int | None = None

    def commit(self, conn: Connection, token: int) -> None:
        """Begin a group commit under a token; raise Conflict when the hold is lost."""
        given = {"b_token": token, "b_now": clock(conn)}
        if self.worker is None:
            given |= {"b_id": self.run.id, "b_epoch": self.run.epoch}
            kept = conn.execute(_OWNED, given)
        else:
            kept = conn.execute(_HELD, {**given, "b_id": self.worker})
        if kept.rowcount != 1:
            raise self.lost()

    def committed(self, conn: Connection, token: int) -> bool:
        """Say whether the commit of a token was made."""
        query = select(runs.c.committed).where(runs.c.id == self.run.id)
        if self.worker is not None:
            query = select(workers.c.committed).where(workers.c.id == self.worker)
        return conn.execute(query).scalar() == token

    def give_back(self, conn: Connection, token: int, amount: int) -> None:
        """Return what was drawn from the run's budget and not spent, once, however often called.

        Raises Conflict when the hold is lost: somebody else counts with what was drawn.
        """
        if self.committed(conn, token):
            return
        self.commit(conn, token)
        conn.execute(
            update(runs).where(runs.c.id == self.run.id).values(drawn=runs.c.drawn - amount)
        )

    def beat(self, conn: Connection, progress: Mapping[str, Any]) -> str | None:
        """Say the worker lives and how far it is; give the command somebody left, if any."""
        if self.worker is None:
            return store_runs.beat(conn, self.run, progress)
        changed = conn.execute(
            update(workers)
            .where(workers.c.id == self.worker, workers.c.lost.is_(False))
            .values(heartbeat=clock(conn), progress=dumps(progress))
        )
        if changed.rowcount != 1:
            raise self.lost()
        command: str | None = conn.execute(
            select(runs.c.command).where(runs.c.id == self.run.id)
        ).scalar()
        return command

    def lost(self) -> Conflict:
        """Say that somebody else has what was held."""
        return Conflict(f"run {self.run.name} was taken over by another worker")


_OWNED = (
    update(runs)
    .where(runs.c.id == bindparam("b_id"), runs.c.epoch == bindparam("b_epoch"))
    .values(heartbeat=bindparam("b_now"), committed=bindparam("b_token"))
)
_HELD = (
    update(workers)
    .where(workers.c.id == bindparam("b_id"), workers.c.lost.is_(False))
    .values(heartbeat=bindparam("b_now"), committed=bindparam("b_token"))
)


def enrol(conn: Connection, run: Run) -> int:
    """Give a worker of a run its row; raise Conflict when the run is not the asker's any more."""
    held = conn.execute(
        select(runs.c.id)
        .where(runs.c.id == run.id, runs.c.epoch == run.epoch)
        .with_for_update(read=True)
    )
    if held.first() is None:
        raise Hold(run).lost()
    row = {"run_id": run.id, "epoch": run.epoch, "node": "", "lost": False,
           "heartbeat": clock(conn)}  # fmt: skip
    return int(conn.execute(insert(workers).values(row).returning(workers.c.id)).scalar_one())


def arrived(conn: Connection, worker: int, node: str) -> None:
    """Note on which machine a worker works."""
    conn.execute(update(workers).where(workers.c.id == worker).values(node=node))


def shut_out(conn: Connection, worker: int) -> None:
    """Let a worker write nothing more."""
    conn.execute(update(workers).where(workers.c.id == worker).values(lost=True))


def progress_of(conn: Connection, run: Run) -> list[dict[str, Any]]:
    """Give what each worker since the run was claimed did so far, those shut out too."""
    query = select(workers.c.progress).where(
        workers.c.run_id == run.id,
        workers.c.epoch == run.epoch,
        workers.c.progress.is_not(None),
    )
    rows = conn.execute(query.order_by(workers.c.id)).scalars()
    return [orjson.loads(row) for row in rows]


def at_work(conn: Connection, run: Run) -> int:
    """Count the workers of a run that may write."""
    query = select(func.count()).where(
        workers.c.run_id == run.id, workers.c.epoch == run.epoch, workers.c.lost.is_(False)
    )
    return int(conn.execute(query).scalar_one())


__all__ = ["Hold", "arrived", "at_work", "enrol", "progress_of", "shut_out"]
