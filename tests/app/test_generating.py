"""One product at once: paid once, within the team's month, and never a run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import select, update
from tests.vendor import Vendor
from tests.workspaces import make_workspace

from waremill.app import Workspace, generating, open_workspace
from waremill.app.acting import Actor
from waremill.app.generating import generate
from waremill.errors import ConfigError, Forbidden, LimitReached, NotFound, ProviderError
from waremill.store.limits import team_left
from waremill.store.tables import calls, items, runs
from waremill.store.tables_people import owners, teams

NANO = 1_000_000_000
EAU = {"name": "Eau", "brand": "House"}
TARGETED = """\
name: greet
instruction: Write in {{ language }}.
input: [name]
output: {hello: {type: string, max_chars: 80}}
"""


@pytest_asyncio.fixture
async def vendor() -> AsyncIterator[Vendor]:
    """A vendor in this process."""
    async with Vendor() as running:
        yield running


@pytest_asyncio.fixture
async def workspace(tmp_path: Path, vendor: Vendor) -> AsyncIterator[Workspace]:
    """An open workspace without a catalogue."""
    files = {"templates/greet.yaml": TARGETED}
    folder = make_workspace(tmp_path / "shop", vendor.url, files=files)
    async with open_workspace(folder, readers=2) as opened:
        yield opened
        await generating.close(opened)


async def test_no_catalogue_is_needed_and_no_item_is_left(workspace: Workspace) -> None:
    made = await generate(workspace, "copy", EAU)
    assert made.values["title"] and made.cost and made.cost > 0 and not made.replayed
    (row,) = await workspace.database.read(lambda conn: conn.execute(select(runs)).all())
    assert (row.kind, row.catalog_id, row.created_by, row.total) == ("generate", None, "local", 0)
    assert not await workspace.database.read(lambda conn: conn.execute(select(items)).all())
    assert await workspace.runs() == []
    with pytest.raises(NotFound):
        await workspace.find_run(row.name)


async def test_a_day_of_one_person_and_pipeline_is_one_row(
    workspace: Workspace, vendor: Vendor
) -> None:
    for name in ("a", "b", "a"):
        await generate(workspace, "copy", {**EAU, "name": name})
    await generate(workspace.acting(Actor("lin", {1: "operator"})), "copy", {**EAU, "name": "c"})
    rows = await workspace.database.read(lambda conn: conn.execute(select(runs)).all())
    assert sorted(row.created_by for row in rows) == ["lin", "local"]
    ledger = await workspace.database.read(lambda conn: conn.execute(select(calls)).all())
    assert len(ledger) == vendor.calls == 3
    assert len({row.item_id for row in ledger}) == 3 and all(row.item_id < 0 for row in ledger)


async def test_a_replayed_reply_is_streamed_at_once(workspace: Workspace) -> None:
    first: list[str] = []
    again: list[str] = []
    await generate(workspace, "copy", EAU, emit=first.append)
    await generate(workspace, "copy", EAU, emit=again.append)
    assert "".join(first) == "".join(again) and len(first) > 1


async def test_a_target_is_asked_for_where_it_matters(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match="language"):
        await generate(workspace, "greet", EAU)
    made = await generate(workspace, "greet", EAU, "de-DE")
    assert made.target == "de-DE"
    with pytest.raises(ConfigError, match="shelf"):
        await generate(workspace, "greet", EAU, "de-DE@shelf")


async def test_a_changed_template_is_used_at_once(workspace: Workspace, vendor: Vendor) -> None:
    await generate(workspace, "copy", EAU)
    path = workspace.settings.root / "templates" / "copy.yaml"
    path.write_text(path.read_text().replace("in English", "in plain English"))
    await generate(workspace, "copy", EAU)
    assert "plain English" in str(vendor.requests[-1].body)


async def month(workspace: Workspace, amount: int | None) -> None:
    """Set the first team's monthly budget in nano-USD."""
    await workspace.database.write(
        lambda conn: conn.execute(
            update(teams).where(teams.c.id == 1).values(monthly_budget=amount)
        )
    )


async def test_a_months_budget_is_kept_and_what_is_not_used_goes_back(
    workspace: Workspace, vendor: Vendor
) -> None:
    await month(workspace, NANO // 100)
    made = await generate(workspace, "copy", EAU)
    left = await workspace.database.write(team_left, 1)
    assert made.cost is not None
    assert left == NANO // 100 - round(made.cost * NANO), "nothing is held between requests"
    await month(workspace, NANO // 100 - (left or 0))
    with pytest.raises(LimitReached):
        await generate(workspace, "copy", {**EAU, "name": "another"})
    assert vendor.calls == 1
    await month(workspace, None)
    await generate(workspace, "copy", {**EAU, "name": "another"})


async def test_many_at_once_stay_within_the_month(workspace: Workspace, vendor: Vendor) -> None:
    await month(workspace, NANO // 500)
    done = await asyncio.gather(
        *(generate(workspace, "copy", {**EAU, "name": f"n{n}"}) for n in range(30)),
        return_exceptions=True,
    )
    refused = [one for one in done if isinstance(one, LimitReached)]
    assert refused and len(refused) + vendor.calls == 30
    left = await workspace.database.write(team_left, 1)
    assert left is not None and left >= 0


async def test_who_may_not_operate_may_not_generate(workspace: Workspace) -> None:
    with pytest.raises(Forbidden):
        await generate(workspace.acting(Actor("tom", {1: "reviewer"})), "copy", EAU)
    with pytest.raises(NotFound):
        await generate(workspace.acting(Actor("lin", {1: "operator"})), "copy", EAU, team=2)
    with pytest.raises(ConfigError, match="several teams"):
        both = Actor("lin", {1: "operator", 2: "operator"})
        await generate(workspace.acting(both), "copy", EAU)


async def test_a_foreign_teams_template_is_not_there(workspace: Workspace) -> None:
    def own(conn: object) -> None:
        conn.execute(teams.insert().values(id=2, name="two", share=1.0, created_at=0.0))  # type: ignore[attr-defined]
        conn.execute(owners.insert().values(kind="template", name="copy", team_id=2))  # type: ignore[attr-defined]

    await workspace.database.write(own)
    with pytest.raises(NotFound, match="copy"):
        await generate(workspace.acting(Actor("lin", {1: "operator"})), "copy", EAU)


async def test_a_vendor_that_refuses_the_key_is_a_provider_error(
    tmp_path: Path,
) -> None:
    async with Vendor(keys=("right",)) as vendor:
        folder = make_workspace(tmp_path / "other", vendor.url)
        async with open_workspace(folder) as opened:
            with pytest.raises(ProviderError):
                await generate(opened, "copy", EAU)
            await generating.close(opened)
