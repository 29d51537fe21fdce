"""Shares of what several processes draw from together: requests and tokens per minute, and money.

Each model has one row with two clocks: the time at which the next request, and the next token, is
due. A draw moves a clock forward by what it takes and says from when it may be used (the generic
cell rate algorithm, ITU-T I.371). What a dead process drew and did not use is lost, never doubled.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from waremill.store.runs import Run, clock, draw
from waremill.store.tables import rates, runs, spend
from waremill.store.tables_people import teams


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

    What its running runs drew and have not paid yet counts as used. The team's row stays locked
    until the transaction ends, so that two draws cannot both take the last of it.
    """
    query = select(teams.c.monthly_budget).where(teams.c.id == team_id)
    budget = conn.execute(query.with_for_update()).scalar_one_or_none()
    if budget is None:
        return None
    month = time.strftime("%Y-%m-01", time.gmtime(clock(conn)))
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
    return int(budget) - int(conn.execute(paid).scalar_one()) - held


def draw_money(conn: Connection, run: Run, amount: int) -> str | None:
    """Draw a slice of a run's budget and of its team's month; None, or whose budget refused."""
    left = team_left(conn, run.team_id)
    if left is not None and left < amount:
        return "team"
    return None if draw(conn, run, amount) else "run"


def draw_shared_rate(
    conn: Connection, model: str, quota: Quota, slices: tuple[float, float], burst: float
) -> float:
    """Draw a slice (requests, tokens) for a team: from the model's limits and from its own part.

    Gives how many seconds to wait, as `draw_rate` does.
    """
    wait = draw_rate(conn, model, *slices, burst)
    if quota.share >= 1:
        return wait
    requests, tokens = (seconds / quota.share for seconds in slices)
    own = draw_rate(conn, f"{model} of team {quota.team_id}", requests, tokens, burst)
    return max(wait, own)


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
