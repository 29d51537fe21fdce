"""Spend: sums by model, run, user, target, month and team; and as CSV."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import insert, update
from tests.browsed import workspace_on
from tests.planned import planned

from waremill.app.acting import Actor
from waremill.app.spending import BY, Spent, as_csv, spending
from waremill.app.workspace import Workspace
from waremill.errors import UserError
from waremill.store.tables import runs, spend
from waremill.store.tables_people import teams

DOLLAR = 1_000_000_000


@pytest_asyncio.fixture
async def workspace(tmp_path: Path, database_url: str) -> AsyncIterator[Workspace]:
    async with workspace_on(tmp_path, database_url) as opened:
        await _spend(opened)
        yield opened


async def _spend(workspace: Workspace) -> None:
    """Two runs of two teams; the first has two models, targets and months."""
    database = workspace.database
    first, second = await planned(database, 1), await planned(database, 1)

    def write(conn: Any) -> None:
        conn.execute(insert(teams).values(id=7, name="=paris", share=1.0, created_at=0.0))
        conn.execute(update(runs).where(runs.c.id == first.id).values(created_by="mia"))
        conn.execute(update(runs).where(runs.c.id == second.id).values(team_id=7))
        lines = (
            (first.id, "gpt", "de-DE", "2026-06-30", 10, 1, 0, 100, 2 * DOLLAR),
            (first.id, "gpt", "fr-FR", "2026-07-01", 10, 0, 0, 100, 1 * DOLLAR),
            (first.id, "claude", "de-DE", "2026-07-02", 5, 2, 3, 50, 4 * DOLLAR),
            (second.id, "gpt", "", "2026-07-03", 1, 0, 0, 10, DOLLAR // 2),
        )
        for run, model, target, day, calls, failed, unpriced, tokens, paid in lines:
            conn.execute(
                insert(spend).values(
                    run_id=run, model=model, target=target, day=day, calls=calls, failed=failed,
                    unpriced=unpriced, input=tokens, cached=0, output=tokens * 2, reasoning=0,
                    paid=paid, list_cost=paid * 2,
                )
            )  # fmt: skip

    await database.write(write)


def paid(found: tuple[Spent, ...]) -> list[tuple[str, float]]:
    return [(one.name, one.paid) for one in found]


async def test_sums_are_by_each_name_the_most_expensive_first(workspace: Workspace) -> None:
    assert paid(await spending(workspace, by="model")) == [("claude", 4.0), ("gpt", 3.5)]
    assert paid(await spending(workspace, by="target")) == [
        ("de-DE", 6.0), ("fr-FR", 1.0), ("", 0.5),
    ]  # fmt: skip
    assert paid(await spending(workspace, by="user")) == [("mia", 7.0), ("", 0.5)]
    assert paid(await spending(workspace, by="team")) == [("main", 7.0), ("=paris", 0.5)]
    assert paid(await spending(workspace, by="month")) == [("2026-06", 2.0), ("2026-07", 5.5)]
    assert [number for _, number in paid(await spending(workspace, by="run"))] == [7.0, 0.5]
    (claude, _) = await spending(workspace, by="model")
    assert (claude.calls, claude.failed, claude.unpriced) == (5, 2, 3)
    assert (claude.tokens_in, claude.tokens_out, claude.list_cost) == (50, 100, 8.0)


async def test_days_bound_the_sums_both_included(workspace: Workspace) -> None:
    found = await spending(workspace, by="month", since="2026-07-01", until=date(2026, 7, 2))
    assert paid(found) == [("2026-07", 5.0)]
    assert await spending(workspace, since="2027-01-01") == ()


async def test_only_the_own_teams_runs_are_in(workspace: Workspace) -> None:
    mia = workspace.acting(Actor("mia", {7: "viewer"}))
    for by in BY:
        assert [one.paid for one in await spending(mia, by=by)] == [0.5]
    nobody = workspace.acting(Actor("joe", {}))
    assert await spending(nobody) == ()


async def test_what_is_not_understood_is_refused(workspace: Workspace) -> None:
    with pytest.raises(UserError, match="not by “colour”"):
        await spending(workspace, by="colour")  # type: ignore[arg-type]  # as a query string says
    with pytest.raises(UserError, match="“July” is no day"):
        await spending(workspace, since="July")


async def test_the_csv_opens_in_a_spreadsheet_and_runs_no_formula(workspace: Workspace) -> None:
    text = as_csv(await spending(workspace, by="team"), "team")
    assert text.startswith("\ufeff")
    rows = list(csv.DictReader(StringIO(text.removeprefix("\ufeff"), newline="")))
    assert [(row["team"], row["paid_usd"]) for row in rows] == [
        ("main", "7.000000"), ("'=paris", "0.500000"),
    ]  # fmt: skip
    assert as_csv((), "model").count("\r\n") == 1
