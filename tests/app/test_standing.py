"""What stands ready between single products is bounded, and nothing is lost when it is closed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import select, update
from tests.vendor import Vendor
from tests.workspaces import COPY, PRICE, make_workspace

from waremill.app import Workspace, generating, open_workspace
from waremill.app.assembly import Assembly
from waremill.app.linting import built
from waremill.app.standing import Desk
from waremill.calls.caller import Sender
from waremill.domain import Chat, Message
from waremill.errors import ProviderError
from waremill.store.tables import calls, runs
from waremill.store.tables_people import teams

OTHER = f"""{PRICE}
[models.other]
use = "openai:other-model"
base_url = "URL"
price = {{input = 1.0, output = 1.0}}
"""


@pytest_asyncio.fixture
async def vendor() -> AsyncIterator[Vendor]:
    """A vendor in this process."""
    async with Vendor() as running:
        yield running


@pytest_asyncio.fixture
async def workspace(tmp_path: Path, vendor: Vendor) -> AsyncIterator[Workspace]:
    """An open workspace with two models."""
    model = OTHER.replace("URL", vendor.url)
    folder = make_workspace(tmp_path / "shop", vendor.url, model=model)
    async with open_workspace(folder, readers=2) as opened:
        yield opened
        await generating.close(opened)


@pytest_asyncio.fixture
async def desk(workspace: Workspace) -> AsyncIterator[Desk]:
    """A desk that keeps little."""
    small = Desk(workspace.settings, workspace.database, most_standing=2, most_opened=1)
    yield small
    await small.close()


def text(workspace: Workspace, number: int, model: str | None = None) -> Assembly:
    """One of the texts somebody tries."""
    tried = COPY.replace("in English", f"in English, try {number}")
    return built(workspace.settings, "templates/copy.yaml", tried, model)


async def test_however_many_texts_are_tried_few_stand_ready(
    workspace: Workspace, desk: Desk
) -> None:
    for number in range(6):
        async with desk.standing(workspace, text(workspace, number), 1) as one:
            last = one
    assert desk.kept == (2, 1)
    async with desk.standing(workspace, text(workspace, 5), 1) as again:
        assert again is last, "the one used last stands ready"
    async with desk.standing(workspace, text(workspace, 0), 1) as first:
        assert first.run.id != last.run.id
    rows = await workspace.database.read(lambda conn: conn.execute(select(runs)).all())
    assert len(rows) == 6, "a day's row is found again, not made anew"


async def test_what_is_at_work_is_not_closed(workspace: Workspace, desk: Desk) -> None:
    async with AsyncExitStack() as held:
        every = [
            await held.enter_async_context(desk.standing(workspace, text(workspace, n, model), 1))
            for n, model in enumerate((None, "other", None, "other"))
        ]
        assert desk.kept == (4, 2)
        for one, name in zip(every, ("default", "other", "default", "other"), strict=True):
            request = Chat((Message("user", f"Write about {one.run.id}."),), 100)
            answer = await one.caller.call(request, name, Sender(one.run.id, -1, "copy"))
            assert answer.response.text
    assert desk.kept == (2, 2), "both of what is left use models of their own"
    async with desk.standing(workspace, text(workspace, 9), 1):
        pass
    async with desk.standing(workspace, text(workspace, 10), 1):
        pass
    assert desk.kept == (2, 1)


async def test_closed_models_are_opened_again(
    workspace: Workspace, desk: Desk, vendor: Vendor
) -> None:
    for n, name in enumerate(("default", "other", "default", "other")):
        model = None if name == "default" else name
        for number in (n, n + 10):  # two texts, so that nothing else stands
            async with desk.standing(workspace, text(workspace, number, model), 1) as one:
                request = Chat((Message("user", f"Write about {number}."),), 100)
                await one.caller.call(request, name, Sender(one.run.id, -1, "copy"))
        assert desk.kept == (2, 1)
    assert vendor.calls == 8


async def test_money_that_was_drawn_goes_back_before_a_row_is_closed(
    workspace: Workspace, desk: Desk
) -> None:
    month = update(teams).where(teams.c.id == 1).values(monthly_budget=10**9)
    await workspace.database.write(lambda conn: conn.execute(month))
    for number in range(4):
        async with desk.standing(workspace, text(workspace, number), 1) as one:
            request = Chat((Message("user", f"Write about {number}."),), 100)
            await one.caller.call(request, "default", Sender(one.run.id, -1, "copy"))
    drawn = await workspace.database.read(
        lambda conn: conn.execute(select(runs.c.id, runs.c.drawn)).all()
    )
    paid = await workspace.database.read(
        lambda conn: conn.execute(select(calls.c.run_id, calls.c.paid)).all()
    )
    assert sorted(tuple(row) for row in drawn) == sorted(tuple(row) for row in paid)


async def test_a_failed_call_is_in_the_ledger_although_nobody_asks_again(
    tmp_path: Path,
) -> None:
    async with Vendor(keys=("right",)) as vendor:
        folder = make_workspace(tmp_path / "other", vendor.url)
        async with open_workspace(folder) as opened:
            with pytest.raises(ProviderError):
                await generating.generate(opened, "copy", {"name": "Eau", "brand": "House"})
            rows = await opened.database.read(lambda conn: conn.execute(select(calls)).all())
            assert [row.outcome for row in rows] == ["denied"]
            await generating.close(opened)
