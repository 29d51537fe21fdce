"""A pipeline for pictures out of choices: it loads, and it goes the way of every draft."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.workspaces import make_workspace

import waremill as library
from waremill.app.accounts import Accounts
from waremill.app.acting import Actor
from waremill.app.assembly import assemble
from waremill.app.editing import Editor
from waremill.app.picture_plans import PicturePlan, draft_pipeline, offered, pipeline_of
from waremill.errors import ConfigError, Conflict, Forbidden

PLANS = [
    PicturePlan("plain", "photo"),
    PicturePlan("amazon", "photo", preset="amazon-main", enlarge=True),
    PicturePlan("warm", "main photo", colour="#f3ede2", size=900, shadow="cast", check=False),
    PicturePlan("as-is", "photo", cut_out=False, preset="etsy"),
    PicturePlan("yes", "照片", preset="taobao-white"),
]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: str(plan.name))
async def test_every_choice_becomes_a_pipeline_that_can_run(
    plan: PicturePlan, tmp_path: Path
) -> None:
    root = make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1")
    async with library.open(root) as workspace:
        saved, usable = await draft_pipeline(workspace, plan)
        assert usable
        assert saved.text == pipeline_of(plan)
        built = assemble(workspace.settings, plan.name)
        assert built.fields[-1] == "main_file"
        kinds = [step.kind for step in built.pipeline.steps]
        assert ("cutout" in kinds) == plan.cut_out
        assert ("upscale" in kinds) == plan.enlarge
        assert ("check" in kinds) == plan.check
        assert built.steps[0].provenance["pictures"] == [plan.photo]
        with pytest.raises(Conflict, match="another name"):
            await draft_pipeline(workspace, plan)


async def test_where_two_are_needed_a_second_person_approves(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1")
    async with library.open(root) as workspace:
        accounts = Accounts(workspace)
        for name in ("Ann", "Bob"):
            await accounts.add_user(name, "correct horse battery")
        ann, bob = (Actor(name, {1: "operator"}) for name in ("Ann", "Bob"))
        saved, usable = await draft_pipeline(workspace.acting(ann), PLANS[0])
        assert not usable
        assert saved.state == "draft"
        assert saved.version is not None
        assert not (root / "pipelines" / "plain.yaml").exists()
        await Editor(workspace.acting(bob)).approve(saved.version.id)
        assert (root / "pipelines" / "plain.yaml").read_text() == pipeline_of(PLANS[0])
        viewer = workspace.acting(Actor("Vic", {1: "viewer"}))
        with pytest.raises(Forbidden):
            await draft_pipeline(viewer, PLANS[1])


async def test_what_cannot_work_is_said(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1")
    async with library.open(root) as workspace:
        with pytest.raises(ConfigError, match="no preset"):
            await draft_pipeline(workspace, PicturePlan("x", "photo", preset="nowhere"))
        with pytest.raises(ConfigError):
            await draft_pipeline(workspace, PicturePlan("../x", "photo"))
        assert not list(root.glob("pipelines/*"))


def test_every_preset_is_offered_with_its_size() -> None:
    found = offered()
    assert found.presets["amazon-main"] == "Amazon main image, pure white · 2000 × 2000"
    assert {"cutout", "compose", "transcode", "resize", "upscale"} <= found.operations
    assert "product-unchanged" in found.checks
