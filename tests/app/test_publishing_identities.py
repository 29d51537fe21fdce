"""Ids of products and groups: one owner in a channel, over all that was published to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from app.publishing_shop import (
    accepted_run,
    bring,
    count,
    feed,
    make_shop,
    perfume_rows,
)
from waremill.app import Workspace, open_workspace, publishing
from waremill.app.accounts import Accounts
from waremill.app.acting import Actor
from waremill.app.publishing import PublicationShown, PublishOptions
from waremill.store.tables_publishing import identities


@pytest_asyncio.fixture
async def workspace(tmp_path: Path, database_url: str) -> AsyncIterator[Workspace]:
    root = make_shop(tmp_path / "shop", database_url)
    async with open_workspace(root) as opened:
        await bring(opened, perfume_rows(3), catalog="香水")
        await published(opened, "香水")
        yield opened


async def published(
    workspace: Workspace, catalog: str, channel: str = "google", **options: Any
) -> PublicationShown:
    run = await accepted_run(workspace, catalog=catalog)
    (made,) = await publishing.publish(workspace, run, channel, PublishOptions(**options))
    return made


def renamed(**columns: str) -> list[dict[str, Any]]:
    """Products of another catalogue, whose keys, groups and so on begin otherwise."""
    return [
        {**row, **{name: f"{prefix}{row[name]}" for name, prefix in columns.items() if row[name]}}
        for row in perfume_rows(3)
    ]


def refusals(made: PublicationShown) -> dict[str, str]:
    return {one.key: one.message for one in made.refusals}


async def test_an_id_another_catalogues_product_is_live_under_is_refused(
    workspace: Workspace,
) -> None:
    await bring(workspace, renamed(spu="B"), catalog="sale")
    dry = await published(workspace, "sale", dry_run=True)
    made = await published(workspace, "sale")
    said = "“P001” is what the product P001 of the catalogue “香水” has already"
    assert made.refused == 3 and refusals(made)["P001"] == said and made.refusals == dry.refusals
    assert len(feed(workspace)) == 3
    again = await published(workspace, "香水")
    assert again.rows["unchanged"] == 3 and await count(workspace, identities) == 3 + 2


async def test_two_groups_of_one_name_are_refused_where_the_channel_would_join_them(
    workspace: Workspace,
) -> None:
    """P000 has no group; the others are G1, which the first catalogue's G1 is not."""
    await bring(workspace, renamed(sku="B"), catalog="sale")
    made = await published(workspace, "sale")
    assert set(feed(workspace)) == {"P000", "P001", "P002", "BP000"}
    said = "“G1” is what the group G1 of the catalogue “香水” has already"
    assert refusals(made) == {"BP001": said, "BP002": said}
    grown = [*perfume_rows(3), {**perfume_rows(4)[3], "spu": "G1"}]
    await bring(workspace, grown, catalog="香水")
    more = await published(workspace, "香水")
    assert more.refused == 0 and feed(workspace)["P003"]["item_group_id"] == "G1"


async def test_an_id_that_its_product_gave_up_is_free(workspace: Workspace) -> None:
    mapping = workspace.settings.root / "publish/google.yaml"
    text = mapping.read_text(encoding="utf-8")
    mapping.write_text(text.replace("id: sku", "id: name"), encoding="utf-8")
    assert (await published(workspace, "香水")).rows["changed"] == 3
    mapping.write_text(text, encoding="utf-8")
    await bring(workspace, renamed(spu="B"), catalog="sale")
    made = await published(workspace, "sale")
    assert made.refused == 0 and len(feed(workspace)) == 6 and "P001" in feed(workspace)


async def test_a_rollback_gives_no_id_back_that_another_product_has_by_now(
    workspace: Workspace,
) -> None:
    mapping = workspace.settings.root / "publish/google.yaml"
    text = mapping.read_text(encoding="utf-8")
    mapping.write_text(text.replace("id: sku", "id: name"), encoding="utf-8")
    moved = await published(workspace, "香水")
    mapping.write_text(text, encoding="utf-8")
    await bring(workspace, renamed(spu="B")[:1], catalog="sale")
    await published(workspace, "sale")
    back = await publishing.roll_back(workspace, str(moved.publication))
    assert back.rows["changed"] == 2
    assert back.notes == ("1 products stay as they are: others have their ids now",)
    assert sorted(feed(workspace)) == ["P000", "P001", "P002", "香水 0"]


async def test_of_another_teams_product_nothing_is_told(workspace: Workspace) -> None:
    await Accounts(workspace).add_team("sale")
    sam = workspace.acting(Actor("sam", {2: "operator"}))
    await bring(sam, renamed(spu="B"), catalog="sale")
    made = await published(sam, "sale")
    assert refusals(made)["P002"] == "“P002” is what another team's product has already"
