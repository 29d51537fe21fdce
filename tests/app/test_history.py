"""What became of fields, how a result came about, and taking a field or a run back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import update
from tests.app.desks import (
    ANN,
    BOB,
    STRANGER,
    VIEWER,
    desk,
    desk_workspace,
    finished_run,
    ids,
    states,
)
from tests.planned import current_values
from tests.vendor import Vendor
from tests.workspaces import make_workspace, perfumes, write_sheet

import waremill as library
from waremill.app import Workspace
from waremill.app.acting import Actor
from waremill.app.history import changes, made_how, revert_field, revert_run
from waremill.app.reviewing import EVERY
from waremill.errors import Conflict, Forbidden, NotFound
from waremill.store import runs as store_runs
from waremill.store.tables import items

OLGA = Actor("Olga", {1: "operator"})


@pytest.fixture
async def workspace(tmp_path: Path, database_url: str) -> AsyncIterator[Workspace]:
    async with desk_workspace(tmp_path, database_url) as opened:
        yield opened


async def edit(workspace: Workspace, run: str, item: int, title: str) -> None:
    card = await desk(workspace).card(run, item)
    await desk(workspace).edit(run, item, card.version, {"title": title})


async def current(workspace: Workspace, key: str = "P001") -> str | None:
    """A product's current title."""
    newest = (await changes(workspace, None, key, field="title"))[0]
    query = items.select().where(items.c.id == newest.item_id)
    item = await workspace.database.read(lambda conn: conn.execute(query).one())
    values = await workspace.database.read(current_values, item.product_id, "")
    found: str | None = values.get("title")
    return found


async def test_every_change_says_who_when_from_which_run_template_and_model(
    workspace: Workspace,
) -> None:
    first = await finished_run(workspace)
    await edit(workspace, first.name, (await ids(workspace, first))[1], "By Ann")
    second = await finished_run(workspace, fresh=True, title="Second {n}")
    found = await changes(workspace.acting(VIEWER), None, "P001", field="title")
    assert [(one.old, one.new, one.origin, one.run) for one in found] == [
        ("By Ann", "Second 1", "model", second.name),
        ("Eau 1 50 ml", "By Ann", "human", first.name),
        (None, "Eau 1 50 ml", "model", first.name),
    ]
    assert (found[0].template, found[0].model, found[0].version) == ("copy", "m", "v1")
    assert found[1].by == "Ann" and found[0].at >= found[1].at >= found[2].at
    assert found[1].difference[-1] == ("added", "Ann")
    fields = {one.field for one in await changes(workspace, None, "P001")}
    assert fields == {"title", "points"}  # weight never had a value
    assert await changes(workspace, None, "P001", target="de-DE") == ()
    with pytest.raises(NotFound):
        await changes(workspace, None, "nothing")
    with pytest.raises(NotFound):
        await changes(workspace.acting(STRANGER), None, "P001")


async def test_a_value_that_was_only_taken_over_is_no_change(workspace: Workspace) -> None:
    first = await finished_run(workspace)
    second = await finished_run(workspace)
    item = (await ids(workspace, second))[1]
    await edit(workspace, second.name, item, "Mine")
    found = await changes(workspace, None, "P001", field="title")
    assert [(one.new, one.run) for one in found] == [
        ("Mine", second.name), ("Eau 1 50 ml", first.name),
    ]  # fmt: skip


async def test_a_field_goes_back_to_what_a_result_made(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    item = (await ids(workspace, run))[0]
    await edit(workspace, run.name, item, "Eau 50 ml")
    first = (await changes(workspace, None, "P000", field="title"))[-1]
    assert first.result_id is not None
    with pytest.raises(Forbidden):
        await revert_field(workspace.acting(VIEWER), None, "P000", "", "title", first.result_id)
    change = await revert_field(workspace.acting(BOB), None, "P000", "", "title", first.result_id)
    assert (change.old, change.new, change.by, change.origin) == (
        "Eau 50 ml", "Eau 500 ml", "Bob", "revert",
    )  # fmt: skip
    card = await desk(workspace).card(run.name, item)
    assert (card.state, card.field("title").value) == ("edited", "Eau 500 ml")
    assert [one.rule for one in card.field("title").findings] == ["grounded-numbers"]
    assert await current(workspace, "P000") == "Eau 500 ml"
    with pytest.raises(Conflict, match="has that value now"):
        await revert_field(workspace, None, "P000", "", "title", first.result_id)
    with pytest.raises(NotFound):
        await revert_field(workspace, None, "P001", "", "title", first.result_id)
    with pytest.raises(NotFound):
        await revert_field(workspace, None, "P000", "", "colour", first.result_id)


async def test_a_whole_run_is_taken_back(workspace: Workspace) -> None:
    first = await finished_run(workspace)
    await desk(workspace).accept_all(first.name, EVERY, 4)
    second = await finished_run(workspace, fresh=True, title="Second {n}")
    await edit(workspace, second.name, (await ids(workspace, second))[1], "Second by Ann")
    assert await current(workspace) == "Second by Ann"
    with pytest.raises(Forbidden):
        await revert_run(workspace.acting(ANN), second.name)
    assert await revert_run(workspace.acting(OLGA), second.name) == 4
    assert await states(workspace, second) == ["rejected"] * 4
    assert await states(workspace, first) == ["accepted"] * 4
    assert await current(workspace) == "Eau 1 50 ml"
    newest = (await changes(workspace, None, "P001", field="title"))[0]
    assert (newest.old, newest.new, newest.by, newest.origin) == (
        "Second by Ann", "Eau 1 50 ml", "Olga", "revert",
    )  # fmt: skip
    card = await desk(workspace).card(second.name, (await ids(workspace, second))[1])
    assert card.field("title").value == "Second by Ann"
    assert card.field("title").previous == "Eau 1 50 ml"
    # The findings of the value that is back are still there.
    origin = await desk(workspace).card(first.name, (await ids(workspace, first))[0])
    assert [one.rule for one in origin.field("title").findings] == ["grounded-numbers"]
    assert await revert_run(workspace.acting(OLGA), second.name) == 0


async def test_what_had_no_value_before_a_run_has_none_after_it_is_taken_back(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("waremill.store.changes.REVERTED_AT_ONCE", 3)
    first = await finished_run(workspace)
    second = await finished_run(workspace, fresh=True, title="Second {n}")
    assert await revert_run(workspace, second.name) == 4
    assert await revert_run(workspace, first.name) == 4
    found = await changes(workspace, None, "P001", field="title")
    assert [(one.old, one.new, one.origin) for one in found] == [
        ("Eau 1 50 ml", None, "revert"),
        ("Second 1", "Eau 1 50 ml", "revert"),
        ("Eau 1 50 ml", "Second 1", "model"),
        (None, "Eau 1 50 ml", "model"),
    ]
    assert await current(workspace) is None
    # And a field can be brought back from there.
    result = found[3].result_id
    assert result is not None
    change = await revert_field(workspace, None, "P001", "", "title", result)
    assert (change.old, change.new) == (None, "Eau 1 50 ml")
    assert await current(workspace) == "Eau 1 50 ml"


async def test_a_run_that_is_worked_cannot_be_taken_back(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    await workspace.database.write(store_runs.set_run, run.id, {"state": "running"})
    with pytest.raises(Conflict, match="pause"):
        await revert_run(workspace, run.name)


async def test_a_failed_item_is_left_when_its_run_is_taken_back(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    item = (await ids(workspace, run))[0]
    failed = update(items).where(items.c.id == item).values(state="failed")
    await workspace.database.write(lambda conn: conn.execute(failed))
    assert await revert_run(workspace, run.name) == 3
    assert await states(workspace, run) == ["failed", *["rejected"] * 3]


async def test_a_result_says_its_template_prompt_and_replies(tmp_path: Path) -> None:
    async with Vendor() as vendor:
        make_workspace(tmp_path / "shop", vendor.url)
        sheet = write_sheet(tmp_path / "stock.csv", perfumes(2))
        async with library.open(tmp_path / "shop") as workspace:
            await workspace.import_catalog([sheet], key="sku")
            run = await workspace.run("copy")
            found = await changes(workspace, None, "P0001", field="title")
            assert found[0].result_id is not None
            made = await made_how(workspace, found[0].result_id)
            assert (made.run, made.step, made.origin) == (run.run, "copy", "model")
            assert "You write product copy" in (made.template_text or "")
            assert made.exact and made.messages[-1].role == "user"
            assert "number 1" in str(made.messages[-1].content)
            (answer,) = made.answers
            assert found[0].new in answer.text and answer.outcome == "complete"
            with pytest.raises(NotFound):
                await made_how(workspace, 999)
            with pytest.raises(NotFound):
                await made_how(workspace.acting(STRANGER), found[0].result_id)
