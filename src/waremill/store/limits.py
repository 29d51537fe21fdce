"""Shares of what several processes draw from together: requests and tokens per minute, and money.

Each model has one row with two clocks: the time at which the next request, and the next token, is
due. A draw moves a clock forward by what it takes and says from when it may be used (the generic
cell rate algorithm, ITU-T I.371). What a dead process drew and did not use is lost, never doubled.

Runs and single calls draw differently. A part of every limit is reserved for single calls, which
somebody waits for; runs use it too while nobody made one for a minute. Among runs the more urgent
one goes first: while it waits for its turn, the others draw nothing.
"""

from __future__ import annotations

import time
from calendar import timegm
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from waremill.store.runs import Run, clock, draw
from waremill.store.tables import rates, runs, spend
from waremill.store.tables_batches import OPENED, batches
from waremill.store.tables_people import teams

PRIORITIES = ("high", "normal", "low")
RESERVED = 0.1
"""The part of every rate that is kept for single calls."""
RESERVED_SECONDS = 60.0
"""How long after a single call its part stays reserved: a vendor counts by the minute."""
LOOK_AGAIN_SECONDS = 0.5
"""After how long a run looks again whether a more urgent one still waits."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What a team may use: nano-USD a month (None: no limit), a part of every rate."""

    team_id: int
    monthly_budget: int | None
    share: float


def find_quota(conn: Connection, team_id: int) -> Quota:
    """Give a team's quota."""
    query = select(teams.c.id, teams.c.monthly_budget, teams.c.share)
    return Quota(*conn.execute(query.where(teams.c.id == team_id)).one())


def team_left(conn: Connection, team_id: int) -> int | None:
    """Say how much of its budget a team has left this month (UTC); None where it has none.

    What its running runs drew and have not paid yet counts as used, and so does what was set aside
    for batches that are at a vendor, whoever works their run. The team's row stays locked until the
    transaction ends, so that two draws cannot both take the last of it.
    """
    query = select(teams.c.monthly_budget).where(teams.c.id == team_id)
    budget = conn.execute(query.with_for_update()).scalar_one_or_none()
    if budget is None:
        return None
    now = time.gmtime(clock(conn))
    month = time.strftime("%Y-%m-01", now)
    own = select(runs.c.id).where(runs.c.team_id == team_id)
    paid = select(func.coalesce(func.sum(spend.c.paid), 0)).where(
        spend.c.day >= month, spend.c.run_id.in_(own)
    )
    of_run = (
        select(func.coalesce(func.sum(spend.c.paid), 0))
        .where(spend.c.run_id == runs.c.id)
        .correlate(runs)
        .scalar_subquery()
    )
    drawn = select(runs.c.drawn, of_run).where(
        runs.c.team_id == team_id, runs.c.state == "running", runs.c.drawn > 0
    )
    held = sum(max(0, int(taken) - int(spent)) for taken, spent in conn.execute(drawn))
    held += _at_vendors(conn, team_id, timegm((now.tm_year, now.tm_mon, 1, 0, 0, 0)))
    return int(budget) - int(conn.execute(paid).scalar_one()) - held


def _at_vendors(conn: Connection, team_id: int, since: float) -> int:
    """Say what batches begun since a moment may still cost, of runs that nobody works.

    A run that is worked holds it in what it drew.
    """
    query = (
        select(batches.c.reserved, batches.c.paid)
        .join(runs, runs.c.id == batches.c.run_id)
        .where(OPENED, batches.c.created_at >= since,
               runs.c.team_id == team_id, runs.c.state != "running")
    )  # fmt: skip
    return sum(max(0, int(reserved) - int(paid)) for reserved, paid in conn.execute(query))


def is_used_up(conn: Connection, run: Run) -> bool:
    """Say whether a run has nothing to begin for: its team's month is used up.

    One with batches at a vendor goes on: what they bring is paid for.
    """
    left = team_left(conn, run.team_id)
    if left is None or left > 0:
        return False
    mine = select(batches.c.id).where(batches.c.run_id == run.id, OPENED)
    return conn.execute(mine.limit(1)).first() is None


def draw_money(conn: Connection, run: Run, amount: int) -> str | None:
    """Draw a slice of a run's budget and of its team's month; None, or whose budget refused."""
    left = team_left(conn, run.team_id)
    if left is not None and left < amount:
        return "team"
    return None if draw(conn, run, amount) else "run"


def draw_shared_rate(
    conn: Connection,
    model: str,
    quota: Quota,
    slices: tuple[float, float],
    burst: float,
    priority: str | None = None,
) -> float:
    """Draw a slice (requests, tokens) for a team: from the model's limits and from its own part.

    `priority` is a run's; None draws for a single call. Gives how many seconds to wait before the
    slice may be used, as `draw_rate` does; below zero nothing was drawn, since a more urgent run
    waits, and after so many seconds it may be tried again.
    """
    if priority is None:
        wait = _draw_single(conn, model, slices, burst)
    elif _is_waited_for(conn, model, priority):
        return -LOOK_AGAIN_SECONDS
    else:
        wait = draw_rate(conn, model, *_beside_single(conn, model, slices), burst)
        if wait > 0:
            _note_waiting(conn, model, priority, wait)
    if quota.share >= 1:
        return wait
    own = _parts(slices, quota.share)
    return max(wait, draw_rate(conn, f"{model} of team {quota.team_id}", *own, burst))


def _parts(slices: tuple[float, float], share: float) -> tuple[float, float]:
    """Give how long slices are of a part of the limits."""
    return slices[0] / share, slices[1] / share


def _draw_single(conn: Connection, model: str, slices: tuple[float, float], burst: float) -> float:
    """Draw for a single call: from what is reserved, and beside the runs where that is used up."""
    reserved = f"{model} reserved"
    wait = draw_rate(conn, reserved, *_parts(slices, RESERVED), burst)
    if wait <= 0:
        return wait
    # What was just drawn of the reserve is given back: the slice comes from the runs' clock.
    move_rate(conn, reserved, *(-one for one in _parts(slices, RESERVED)))
    return draw_rate(conn, model, *_beside_single(conn, model, slices), burst)


def _beside_single(
    conn: Connection, model: str, slices: tuple[float, float]
) -> tuple[float, float]:
    """Give a run's slices: of what is not reserved, while there are single calls."""
    query = select(rates.c.requests_at).where(rates.c.model == f"{model} reserved")
    last = conn.execute(query).scalar_one_or_none()
    if last is None or last < clock(conn) - RESERVED_SECONDS:
        return slices
    return _parts(slices, 1 - RESERVED)


def _is_waited_for(conn: Connection, model: str, priority: str) -> bool:
    """Say whether a run more urgent than `priority` waits for this model."""
    above = PRIORITIES[: PRIORITIES.index(priority)]
    if not above:
        return False
    query = select(func.max(rates.c.requests_at)).where(
        rates.c.model.in_([_waiting(model, one) for one in above])
    )
    until = conn.execute(query).scalar_one_or_none()
    return until is not None and until > clock(conn)


def _note_waiting(conn: Connection, model: str, priority: str, wait: float) -> None:
    """Note that a run waits, so that less urgent ones do not draw before its next turn."""
    if priority == PRIORITIES[-1]:
        return
    name, until = _waiting(model, priority), clock(conn) + wait + LOOK_AGAIN_SECONDS
    values = {"requests_at": until, "tokens_at": until}
    if conn.execute(update(rates).where(rates.c.model == name).values(values)).rowcount == 0:
        draw_rate(conn, name, 0, 0, 0)
        conn.execute(update(rates).where(rates.c.model == name).values(values))


def _waiting(model: str, priority: str) -> str:
    return f"{model} waited for by {priority}"


def move_rate(conn: Connection, model: str, requests: float, tokens: float) -> None:
    """Move a row's clocks by so many seconds, back where they are below zero."""
    conn.execute(
        update(rates)
        .where(rates.c.model == model)
        .values(requests_at=rates.c.requests_at + requests, tokens_at=rates.c.tokens_at + tokens)
    )


def draw_rate(conn: Connection, model: str, requests: float, tokens: float, burst: float) -> float:
    """Draw a slice; give how many seconds to wait before it may be used.

    `requests` and `tokens` are the slice's length in seconds of each limit (amount × 60 / limit);
    0 for an absent limit. `burst` seconds of unused rate may be saved up.
    """
    now = clock(conn)
    query = select(rates.c.requests_at, rates.c.tokens_at).where(rates.c.model == model)
    row = conn.execute(query.with_for_update()).one_or_none()
    if row is None:
        try:
            with conn.begin_nested():
                conn.execute(
                    insert(rates).values(
                        model=model, requests_at=now - burst, tokens_at=now - burst
                    )
                )
        except IntegrityError:
            pass_through = conn.execute(query.with_for_update()).one()
            row = pass_through
        else:
            row = conn.execute(query).one()
    requests_at = max(row.requests_at, now - burst)
    tokens_at = max(row.tokens_at, now - burst)
    conn.execute(
        update(rates)
        .where(rates.c.model == model)
        .values(requests_at=requests_at + requests, tokens_at=tokens_at + tokens)
    )
    due = max(requests_at if requests else now, tokens_at if tokens else now)
    return max(0.0, due - now)
