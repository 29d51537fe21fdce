"""Runs and their items: create, plan, claim, page through, count.

A run has one owner at a time. Claiming it raises its epoch; every commit of its work checks the
epoch, so a worker that lost the run cannot write any more. What may cost more than its team lets
one person spend cannot be claimed before a second person approved it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    func,
    insert,
    or_,
    select,
    update,
)

from waremill.errors import Conflict, NotFound
from waremill.store.tables import (
    AnyRow,
    dumps,
    runs,
    spend,
)
from waremill.store.tables_people import teams as team_rows
from waremill.store.tables_workers import workers

ALIVE_SECONDS = 20.0
"""A heartbeat older than this is a dead owner's; workers beat every 2 s."""


GENERATE = "generate"
"""The kind of the rows under which single products are generated; they are never listed."""
ENDED = ("done", "cancelled")
"""States that a run does not leave."""
_NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Run:
    """A run's row. `plan` is its frozen JSON: selection, targets, params, models, limits."""

    id: int
    name: str
    kind: str
    state: str
    reason: str | None
    catalog_id: int | None
    pipeline_version_id: int
    pipeline: str
    plan: Mapping[str, Any]
    take: int
    total: int
    budget: int | None
    drawn: int
    owner: str | None
    epoch: int
    heartbeat: float | None
    command: str | None
    progress: Mapping[str, Any] | None
    summary: Mapping[str, Any] | None
    output: str | None
    created_at: float
    started_at: float | None
    ended_at: float | None
    worked_seconds: float
    team_id: int
    created_by: str | None
    approved_by: str | None
    budget_by: str | None
    """Who raised the budget last after the run was ordered."""


def as_run(row: AnyRow) -> Run:
    """Make a Run of a row of `runs`."""
    values = dict(row._mapping)
    del values["committed"]  # the journal's own
    for name in ("plan", "progress", "summary"):
        if values[name] is not None:
            values[name] = orjson.loads(values[name])
    return Run(**values)


def create_run(conn: Connection, values: Mapping[str, Any]) -> int:
    """Insert a run, not yet owned; give its id. Names are short, random and sortable by eye.

    A run without a budget that needs no second person gets what its team lets one person spend as
    its budget.
    """
    row = {
        "name": f"{time.strftime('%m%d')}-{secrets.token_hex(3)}", "state": "planning",
        "reason": None, "drawn": 0, "owner": None, "epoch": 0, "heartbeat": None,
        "command": None, "total": 0, "created_at": time.time(), "worked_seconds": 0.0, **values,
    }  # fmt: skip
    if row["kind"] != GENERATE and row.get("budget") is None:
        above = _approval_above(conn, row["team_id"])
        if above is not None and not _dear(row["kind"], None, orjson.loads(row["plan"]), above):
            row["budget"] = above
    return int(conn.execute(insert(runs).values(row).returning(runs.c.id)).scalar_one())


def may_cost(budget: int | None, plan: Mapping[str, Any]) -> int | None:
    """Give the most a run may cost in nano-USD: its budget, else its plan's forecast.

    None where neither is known.
    """
    if budget is not None:
        return budget
    for line in plan.get("forecast") or ():
        if line["name"] == "cost" and line["forecast"]:
            value, _, high, _ = line["forecast"]
            return int(value if high is None else high)
    return None


def waits_above(conn: Connection, run: Run) -> int | None:
    """Give the amount (nano-USD) above which a run waits for a second person; None: it does not."""
    above = _approval_above(conn, run.team_id)
    if above is None or run.approved_by is not None:
        return None
    return above if _dear(run.kind, run.budget, run.plan, above) else None


def _approval_above(conn: Connection, team_id: int) -> int | None:
    """Give above how many nano-USD a run of a team needs a second person; None for never."""
    found = conn.execute(select(team_rows.c.approve_above).where(team_rows.c.id == team_id))
    amount: int | None = found.scalar_one_or_none()
    return amount


def _dear(kind: str, budget: int | None, plan: Mapping[str, Any], above: int) -> bool:
    cost = may_cost(budget, plan)
    if cost is None and kind == "trial":
        return False  # it is held to what one person may spend
    return cost is None or cost > above


def _in_dollars(cost: int | None, above: int) -> str:
    """Say why a run waits where nobody told in which currency."""
    shown = "an unknown amount" if cost is None else f"{cost / _NANO:g} USD"
    return (
        f"waits for a second person: it may cost {shown}, and above {above / _NANO:g} USD "
        "somebody else must approve"
    )


def add_planned(conn: Connection, run: Run, count: int) -> None:
    """Count items that were just written; raise Conflict when the run is not planned any more."""
    changed = conn.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.state == "planning")
        .values(total=runs.c.total + count)
    )
    if changed.rowcount != 1:
        raise Conflict(f"run {run.name} was cancelled while it was being planned")


def planned(conn: Connection, run_id: int) -> Run:
    """Say that all items of a run are written; give it."""
    conn.execute(
        update(runs).where(runs.c.id == run_id, runs.c.state == "planning").values(state="planned")
    )
    return get_run(conn, run_id)


def find_run(conn: Connection, name: str, teams: Collection[int] | None = None) -> Run:
    """Find a run by its name, a unique prefix, or `last`; among those of `teams`, if given."""
    if name == "last":
        found = list_runs(conn, 1, teams)
        if not found:
            raise NotFound("there is no run yet")
        return found[0]
    query = _of_teams(select(runs), teams)
    rows = conn.execute(query.where(runs.c.name.startswith(name, autoescape=True)).limit(2)).all()
    exact = [row for row in rows if row.name == name]
    if not rows:
        raise NotFound(f"there is no run “{name}”; `waremill runs` lists them")
    if len(rows) > 1 and not exact:
        raise NotFound(f"more than one run starts with “{name}”; write more of it")
    return as_run((exact or rows)[0])


def get_run(conn: Connection, run_id: int) -> Run:
    """Give a run by its row id."""
    return as_run(conn.execute(select(runs).where(runs.c.id == run_id)).one())


def runs_by_id(conn: Connection, numbers: Collection[int]) -> dict[int, Run]:
    """Give some runs by their row ids; those that are not there are left out."""
    query = select(runs).where(runs.c.id.in_(set(numbers)))
    return {row.id: as_run(row) for row in conn.execute(query)} if numbers else {}


def locked(conn: Connection, run_id: int) -> Run:
    """Give a run as it is now, and let nobody change it until this write transaction ends."""
    return as_run(conn.execute(select(runs).where(runs.c.id == run_id).with_for_update()).one())


def list_runs(
    conn: Connection, limit: int = 100, teams: Collection[int] | None = None
) -> list[Run]:
    """Give the newest runs first; those of `teams`, if given."""
    query = _of_teams(select(runs), teams).order_by(runs.c.id.desc()).limit(limit)
    return [as_run(row) for row in conn.execute(query)]


def list_running(conn: Connection, teams: Collection[int] | None) -> list[Run]:
    """Give the runs and trials that are at work, of these teams or all."""
    query = select(runs).where(runs.c.state == "running")
    return [as_run(row) for row in conn.execute(_of_teams(query.order_by(runs.c.id), teams))]


def _of_teams(query: Select[Any], teams: Collection[int] | None) -> Select[Any]:
    query = query.where(runs.c.kind != GENERATE)  # nobody ordered these as a run
    return query if teams is None else query.where(runs.c.team_id.in_(teams))


def is_worked(
    conn: Connection,
    run: Run,
    is_dead: Callable[[str], bool] = lambda _owner: False,
    is_alive: Callable[[str], bool] = lambda _owner: False,
) -> bool:
    """Say whether a run has an owner who lives.

    `is_dead` says of an owner that was heard lately whether it is known to be gone, `is_alive` of
    one that was not whether it is known to live.
    """
    if not run.owner or is_dead(run.owner):
        return False
    beating = run.heartbeat is not None and clock(conn) - run.heartbeat < ALIVE_SECONDS
    return beating or is_alive(run.owner)


def claim(
    conn: Connection,
    run_id: int,
    owner: str,
    is_dead: Callable[[str], bool] = lambda _owner: False,
    is_alive: Callable[[str], bool] = lambda _owner: False,
    waits: Callable[[int | None, int], str] = _in_dollars,
) -> Run:
    """Become a run's owner and raise its epoch.

    `is_dead` and `is_alive` are asked as in `is_worked`, about the owner of this moment and not of
    when the caller last looked. `waits` says for people that what may cost the first amount, above
    the second, waits. Raises Conflict when the owner lives, and for a run that waits for a second
    person; one without a budget that needs none is held to what one person may spend.
    """
    now = clock(conn)
    run = locked(conn, run_id)
    taken = Conflict(
        f"run {run.name} is being worked by {run.owner}; pause it first, or wait until it ends"
    )
    # One process may work several runs, but each only once: its own name is no exception.
    if is_worked(conn, run, is_dead, is_alive):
        raise taken
    if run.state in ENDED:
        raise Conflict(f"run {run.name} is {run.state}; there is nothing left to work")
    if run.state == "planning":
        raise Conflict(
            f"run {run.name} is still being planned; if that was cut off, "
            f"`waremill cancel {run.name}` and start it anew"
        )
    above = waits_above(conn, run)
    if above is not None:
        raise Conflict(f"run {run.name} {waits(may_cost(run.budget, run.plan), above)}")
    if run.budget is None and run.approved_by is None:  # planned before its team had a limit
        above = _approval_above(conn, run.team_id)
        if above is not None:
            set_run(conn, run_id, {"budget": above, "drawn": _drawn(conn, run)})
    claimed = conn.execute(
        update(runs)
        .where(runs.c.id == run_id, runs.c.epoch == run.epoch)
        .values(owner=owner, epoch=run.epoch + 1, heartbeat=now, state="running", command=None,
                reason=None, started_at=func.coalesce(runs.c.started_at, now), ended_at=None)
    )  # fmt: skip
    if claimed.rowcount != 1:  # somebody else claimed it between our look and our update
        raise taken
    shut_all_out(conn, run_id)
    return get_run(conn, run_id)


def shut_all_out(conn: Connection, run_id: int) -> None:
    """Let no worker that came under an earlier epoch write any more."""
    late = (workers.c.run_id == run_id) & workers.c.lost.is_(False)
    conn.execute(update(workers).where(late).values(lost=True))


def release(conn: Connection, run: Run, state: str, reason: str | None, seconds: float) -> None:
    """Give a run up: its state, and the seconds it was worked.

    Raises Conflict where somebody else has it, or it was given up already.
    """
    changed = conn.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.epoch == run.epoch, runs.c.owner.is_not(None))
        .values(owner=None, heartbeat=None, state=state, reason=reason, command=None,
                ended_at=clock(conn),
                worked_seconds=runs.c.worked_seconds + seconds)
    )  # fmt: skip
    if changed.rowcount != 1:
        raise Conflict(f"run {run.name} was taken over by another worker")


def beat(conn: Connection, run: Run, progress: Mapping[str, Any]) -> str | None:
    """Say the owner lives and how far it is; give the command somebody left, if any."""
    changed = conn.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.epoch == run.epoch)
        .values(heartbeat=clock(conn), progress=dumps(progress))
    )
    if changed.rowcount != 1:
        raise Conflict(f"run {run.name} was taken over by another worker")
    command: str | None = conn.execute(select(runs.c.command).where(runs.c.id == run.id)).scalar()
    return command


def touch(conn: Connection, run: Run) -> None:
    """Say the owner lives; raise Conflict when the run is somebody else's."""
    changed = conn.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.epoch == run.epoch)
        .values(heartbeat=clock(conn))
    )
    if changed.rowcount != 1:
        raise Conflict(f"run {run.name} was taken over by another worker")


def set_budget(conn: Connection, run: Run, amount: int, by: str | None = None) -> Run:
    """Set a run's budget; give the run as it was before. What it paid so far counts.

    A budget that rises above what one person of the team may spend withdraws an approval; raises
    Conflict where the run is being worked then. `by` is who raises it, and may not approve it.
    """
    now = locked(conn, run.id)
    values: dict[str, Any] = {"budget": amount, "drawn": _drawn(conn, now)}
    if now.budget is None or amount > now.budget:
        values["budget_by"] = by
        above = _approval_above(conn, now.team_id)
        if above is not None and amount > above:
            if now.state == "running":
                raise Conflict(
                    f"run {now.name} is being worked; pause it before its budget rises that far"
                )
            values["approved_by"] = None
    set_run(conn, now.id, values)
    return now


def _drawn(conn: Connection, run: Run) -> int:
    """Give what a run drew, with what it paid while it had no budget.

    From the ledger's sums: its lines may be millions, and the run's row is locked meanwhile.
    """
    paid = conn.execute(select(func.sum(spend.c.paid)).where(spend.c.run_id == run.id)).scalar()
    return max(run.drawn, int(paid or 0))


def is_beating(conn: Connection) -> tuple[ColumnElement[bool], ...]:
    """Give the conditions that a run has an owner who was heard lately."""
    return (runs.c.owner.is_not(None), runs.c.heartbeat > clock(conn) - ALIVE_SECONDS)


def leave_command(conn: Connection, run: Run, command: str) -> bool:
    """Ask a run's owner to pause or cancel; False when nobody owns it."""
    changed = conn.execute(
        update(runs).where(runs.c.id == run.id, *is_beating(conn)).values(command=command)
    )
    return bool(changed.rowcount)


def stop_orphan(conn: Connection, run: Run, state: str, reason: str) -> bool:
    """Set a run nobody works to a state; False when somebody claimed it since it was read.

    The epoch is raised, so that an owner who only seemed dead cannot write any more.
    """
    changed = conn.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.epoch == run.epoch)
        .values(state=state, reason=reason, owner=None, heartbeat=None, command=None,
                epoch=run.epoch + 1, ended_at=clock(conn))
    )  # fmt: skip
    if changed.rowcount != 1:
        return False
    shut_all_out(conn, run.id)
    return True


def set_run(conn: Connection, run_id: int, values: Mapping[str, Any]) -> None:
    """Set plain columns of a run."""
    conn.execute(update(runs).where(runs.c.id == run_id).values(dict(values)))


def clock(conn: Connection) -> float:
    """Give the database's clock, so that machines agree on who is alive."""
    if conn.dialect.name == "sqlite":
        return time.time()
    return float(conn.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())


def draw(conn: Connection, run: Run, amount: int) -> bool:
    """Draw a slice of the run's budget; False when that much is not left."""
    changed = conn.execute(
        update(runs)
        .where(
            runs.c.id == run.id,
            runs.c.epoch == run.epoch,
            or_(runs.c.budget.is_(None), runs.c.drawn + amount <= runs.c.budget),
        )
        .values(drawn=runs.c.drawn + amount)
    )
    return changed.rowcount == 1
