"""Whose a channel is: who sees it, whose runs go there, and who is given its file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from app.publishing_shop import accepted_run, bring, make_shop, perfume_rows
from waremill.app import Workspace, open_workspace, publishing
from waremill.app.accounts import Accounts
from waremill.app.acting import Actor
from waremill.app.owning import Owners
from waremill.errors import Conflict, Forbidden, NotFound

ADA = Actor("ada", {1: "operator"})
SAM = Actor("sam", {2: "operator"})
BEA = Actor("bea", {1: "operator", 2: "operator"})


@pytest_asyncio.fixture
async def workspace(tmp_path: Path) -> AsyncIterator[Workspace]:
    async with open_workspace(make_shop(tmp_path / "shop", None)) as opened:
        await Accounts(opened).add_team("sale")
        await bring(opened, perfume_rows(3))
        yield opened


async def test_a_teams_channel_is_not_there_for_others_and_takes_its_own_runs_alone(
    workspace: Workspace,
) -> None:
    run = await accepted_run(workspace)
    await Owners(workspace).give("channel", "google", "sale")
    ada = workspace.acting(ADA)
    assert [one.name for one in await publishing.list_channels(ada)] == ["acp", "shopify"]
    with pytest.raises(NotFound, match=r"has no \[publish.google\]"):
        await publishing.publish(ada, run, "google")
    seen = {one.name: one.team for one in await publishing.list_channels(workspace.acting(SAM))}
    assert seen == {"acp": None, "google": 2, "shopify": None}
    for actor in (workspace.acting(BEA), workspace):
        with pytest.raises(Conflict, match="another team than the run"):
            await publishing.publish(actor, run, "google")
    viewer = workspace.acting(Actor("vera", {1: "operator", 2: "viewer"}))
    with pytest.raises(Forbidden, match="operator"):
        await publishing.publish(viewer, run, "google")
    await Owners(workspace).give("channel", "google", "main")
    (made,) = await publishing.publish(ada, run, "google")
    assert made.state == "done"


async def test_what_was_published_is_not_taken_back_through_a_channel_given_away(
    workspace: Workspace,
) -> None:
    run = await accepted_run(workspace)
    (made,) = await publishing.publish(workspace, run, "google")
    await Owners(workspace).give("channel", "google", "sale")
    with pytest.raises(NotFound):
        await publishing.roll_back(workspace.acting(ADA), str(made.publication))
    with pytest.raises(Conflict):
        await publishing.roll_back(workspace, str(made.publication))


async def test_a_file_with_another_teams_products_is_for_who_sees_both(
    workspace: Workspace,
) -> None:
    run = await accepted_run(workspace)
    (made,) = await publishing.publish(workspace, run, "google")
    ada = workspace.acting(ADA)
    file = await publishing.find_file(ada, str(made.publication))
    place = workspace.settings.root / "copy.xml"
    await publishing.copy_file(ada, file, place)
    assert place.read_bytes() == (workspace.settings.root / "feeds/google.xml").read_bytes()
    with pytest.raises(NotFound):
        await publishing.find_file(workspace.acting(SAM), str(made.publication))
    await _publish_another_teams(workspace)
    with pytest.raises(Forbidden, match="other teams"):
        await publishing.find_file(ada, str(made.publication))
    await publishing.find_file(workspace.acting(BEA), str(made.publication))


async def _publish_another_teams(workspace: Workspace) -> None:
    sam = workspace.acting(SAM)
    rows = [{**row, "sku": f"S{row['sku']}", "spu": ""} for row in perfume_rows(2)]
    await bring(sam, rows, catalog="sale")
    run = await accepted_run(sam, catalog="sale")
    await publishing.publish(sam, run, "google")
