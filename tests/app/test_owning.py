"""Templates, pipelines and models that belong to a team: who gives them, and who is kept out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from tests.app.staffed import PASSWORD, as_user, staff
from tests.workspaces import COPY, make_workspace, perfumes, write_sheet

from waremill.app import Workspace, auditing, launching, open_workspace
from waremill.app.accounts import Accounts
from waremill.app.acting import Actor
from waremill.app.editing import Editor
from waremill.app.generating import generate
from waremill.app.owning import Owned, Owners
from waremill.errors import ConfigError, Forbidden, NotFound
from waremill.store.versions import owned_by

PATH = "templates/copy.yaml"
SAM = Actor("sam", {2: "admin"})
ADA = Actor("ada", {1: "admin"})
BOTH = Actor("bea", {1: "admin", 2: "admin"})
MANAGER = Actor("manager", manages=True)


@pytest_asyncio.fixture
async def workspace(tmp_path: Path, database_url: str) -> AsyncIterator[Workspace]:
    """A workspace with people of two teams and a catalogue of each."""
    root = make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1", database=database_url)
    async with open_workspace(root) as opened:
        await staff(Accounts(opened))
        for actor, name in ((ADA, "main"), (SAM, "sale")):
            sheet = write_sheet(tmp_path / f"{name}.csv", perfumes(3))
            await opened.acting(actor).import_catalog([sheet], key="sku", catalog=name)
        yield opened


async def test_what_everybody_has_is_taken_by_who_manages_or_is_admin_of_every_team(
    workspace: Workspace,
) -> None:
    for actor in (ADA, Actor("vera", {1: "viewer"})):
        with pytest.raises(Forbidden):
            await Owners(workspace.acting(actor)).give("template", "copy", "main")
    both = Owners(workspace.acting(BOTH))
    assert await both.give("template", "copy", "sale") == Owned("template", "copy", "sale")
    with pytest.raises(NotFound, match="there is no template “copy”"):
        await Owners(workspace.acting(ADA)).give("template", "copy", None)
    assert (await Owners(workspace.acting(SAM)).give("template", "copy", None)).team is None
    manager = Owners(workspace.acting(MANAGER))
    assert (await manager.give("model", "default", "main")).team == "main"
    with pytest.raises(Forbidden):  # to a team that is not one's own
        await Owners(workspace.acting(Actor("eve", {1: "admin", 2: "viewer"}))).give(
            "model", "default", "sale"
        )
    for kind, name, team in (
        ("template", "nothing", "main"), ("pipeline", "copy", "main"), ("model", "x", "main"),
        ("template", "copy", "nobody"),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            await manager.give(kind, name, team)  # type: ignore[arg-type]


async def test_a_foreign_teams_things_are_in_no_list_and_giving_them_is_recorded(
    workspace: Workspace,
) -> None:
    owners = Owners(workspace)
    await owners.give("template", "copy", "sale")
    await owners.give("template", "copy", "sale")
    assert Owned("template", "copy", "sale") in await Owners(workspace.acting(SAM)).list()
    assert Owned("template", "copy", "sale") in await Owners(workspace.acting(MANAGER)).list()
    assert "copy" not in {one.name for one in await Owners(workspace.acting(ADA)).list()}
    assert (await owners.find("model", "default")).team is None
    with pytest.raises(NotFound):
        await Owners(workspace.acting(ADA)).find("template", "copy")
    (entry,) = (await auditing.entries(workspace, action="template.give")).rows
    assert (entry.subject, entry.team) == ("template copy", 2)
    assert entry.detail == {"before": None, "after": "sale"}


async def test_nothing_can_be_done_with_a_foreign_teams_template(workspace: Workspace) -> None:
    saved = Editor(workspace)
    draft = await saved.save_draft(PATH, COPY + "# new\n", (await saved.read(PATH)).etag)
    assert draft.version is not None
    version = draft.version.id
    await Owners(workspace).give("template", "copy", "sale")
    ada = workspace.acting(ADA)
    editor = Editor(ada)
    product = {"name": "Eau"}
    tries: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: editor.read(PATH), lambda: editor.save_draft(PATH, COPY, "x"),
        lambda: editor.approve(version), lambda: editor.reject(version),
        lambda: editor.text(version), lambda: editor.preview(PATH, COPY, "P0001"),
        lambda: editor.play(PATH, COPY, "P0001"), lambda: ada.estimate("copy", catalog="main"),
        lambda: ada.run("copy", catalog="main"), lambda: ada.trial("copy", catalog="main"),
        lambda: launching.plan(ada, "run", "copy", catalog="main"),
        lambda: generate(ada, "copy", product),
    )  # fmt: skip
    for one in tries:
        with pytest.raises(NotFound):
            await one()
    assert (await workspace.acting(SAM).estimate("copy", catalog="sale")).products == 3


async def test_a_foreign_teams_model_is_not_configured_for_others(workspace: Workspace) -> None:
    await Owners(workspace).give("model", "default", "sale")
    ada = workspace.acting(ADA)
    tries: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: ada.estimate("copy", catalog="main"), lambda: ada.run("copy", catalog="main"),
        lambda: generate(ada, "copy", {"name": "Eau"}),
    )  # fmt: skip
    for one in tries:
        with pytest.raises((ConfigError, NotFound), match="model"):
            await one()
    played = await Editor(ada).play(PATH, COPY, "P0001")
    assert played.error and "model" in played.error and not played.replies


async def test_a_new_template_belongs_to_the_only_team_of_its_author(
    workspace: Workspace,
) -> None:
    accounts = Accounts(workspace)
    await accounts.add_user("bea", PASSWORD)
    for team in ("main", "sale"):
        await accounts.set_role("bea", team, "operator")
    for name, path in (
        ("sam", "templates/sales.yaml"), ("bea", "templates/shared.yaml"),
        ("sam", "pipelines/sales.yaml"), ("sam", "templates/copy.yaml"),
        ("sam", "templates/includes/tone.md"), ("sam", "templates/sales.yml"),
    ):  # fmt: skip
        editor = Editor(workspace.acting((await as_user(workspace, name))._actor))
        await editor.save_draft(path, COPY + "# drafted\n", (await editor.read(path)).etag)
    editor = Editor(workspace)
    await editor.save_draft("templates/local.yaml", COPY, "new-0")
    assert await workspace.database.read(owned_by) == {
        ("template", "sales"): 2, ("pipeline", "sales"): 2,
    }  # fmt: skip
    with pytest.raises(NotFound):
        await Editor(workspace.acting(ADA)).read("templates/sales.yaml")


async def test_a_template_is_run_by_its_name_whoever_drafts_a_pipeline_of_that_name(
    workspace: Workspace,
) -> None:
    sam = Editor(workspace.acting((await as_user(workspace, "sam"))._actor))
    path = "pipelines/copy.yaml"
    await sam.save_draft(path, "name: copy\n", (await sam.read(path)).etag)
    assert (await workspace.database.read(owned_by))["pipeline", "copy"] == 2
    assert (await workspace.acting(ADA).estimate("copy", catalog="main")).products == 3
