"""What was spent: sums of the ledger `spend` by what a run, its model or its team is called."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, Select, func, select

from waremill.store.tables import runs, spend
from waremill.store.tables_people import teams

By: TypeAlias = Literal["model", "run", "user", "target", "month", "team"]

_NAMES: dict[By, ColumnElement[Any]] = {
    "model": spend.c.model,
    "run": runs.c.name,
    "user": func.coalesce(runs.c.created_by, ""),
    "target": spend.c.target,
    "month": func.substr(spend.c.day, 1, 7),
    "team": teams.c.name,
}


@dataclass(frozen=True, slots=True)
class Sum:
    """Calls, tokens and money (nano-USD) of one model, run, user, target, month or team.

    `failed` are calls that gave no answer, `unpriced` those whose price is not known: they are in
    no sum of money.
    """

    name: str
    calls: int
    failed: int
    unpriced: int
    input: int
    output: int
    paid: int
    list_cost: int


def sums_query(
    by: By, sees: Collection[int] | None, since: str | None, until: str | None
) -> Select[Any]:
    """Select the sums; `since` and `until` are days, YYYY-MM-DD, both included."""
    name = _NAMES[by]
    sums = (spend.c.calls, spend.c.failed, spend.c.unpriced, spend.c.input, spend.c.output,
            spend.c.paid, spend.c.list_cost)  # fmt: skip
    query = select(name.label("name"), *(func.sum(one).label(one.name) for one in sums))
    query = query.select_from(spend.join(runs, runs.c.id == spend.c.run_id))
    if by == "team":
        query = query.join(teams, teams.c.id == runs.c.team_id)
    if sees is not None:
        query = query.where(runs.c.team_id.in_(sees))
    if since is not None:
        query = query.where(spend.c.day >= since)
    if until is not None:
        query = query.where(spend.c.day <= until)
    return query.group_by(name)


def sum_spend(
    conn: Connection,
    by: By,
    sees: Collection[int] | None = None,
    since: str | None = None,
    until: str | None = None,
) -> list[Sum]:
    """Give the sums: months in order, all else by what was paid; `sees` are teams, None is all."""
    rows = conn.execute(sums_query(by, sees, since, until)).all()
    found = [Sum(str(row[0]), *(int(value) for value in row[1:])) for row in rows]
    if by == "month":
        return sorted(found, key=lambda one: one.name)
    return sorted(found, key=lambda one: (-one.paid, -one.list_cost, one.name))
