"""A pipeline for pictures out of choices: it loads, and it goes the way of every draft."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.picture_servers import WebUI
from tests.web.drawn_photos import bottle, pixels
from tests.workspaces import PRICE, make_workspace

import waremill as library
from waremill.app import Workspace
from waremill.app.accounts import Accounts
from waremill.app.acting import Actor
from waremill.app.assembly import assemble
from waremill.app.browsing import Browse
from waremill.app.editing import Editor
from waremill.app.keeping import storage_at
from waremill.app.owning import Owners
from waremill.app.picture_offers import offered
from waremill.app.picture_plans import PicturePlan, draft_pipeline, pipeline_of
from waremill.errors import ConfigError, Conflict, Forbidden, NotFound

PRESET = """\
marketplace: Our shop
sure: stated
presets:
  our-shop: {about: Square on sand, size: 300x300, background: "#f3ede2", fill: 70%-85%}
  our-scenes: {about: In a room, size: 300x300, formats: [webp]}
"""
ROOM = """\
name: room
description: A room for the product
instruction: A quiet room for {{ name }}.
input: [name]
output: {room: {type: picture, width: 320, height: 320}}
"""
LOCAL = """\
name: local-room
instruction: A quiet room in {{ market }} for {{ name }}.
input: [name]
output: {local_room: {type: picture, width: 320, height: 320}}
"""
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
        assert saved.text == pipeline_of(plan, workspace.settings)
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
        text = pipeline_of(PLANS[0], workspace.settings)
        assert (root / "pipelines" / "plain.yaml").read_text() == text
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


async def test_what_is_there_is_offered(tmp_path: Path) -> None:
    root = make_workspace(
        tmp_path / "shop", "http://127.0.0.1:9/v1",
        model=f'{PRICE}\n[models.painter]\nuse = "automatic1111:base"\n'
        '[models.writer]\nuse = "ollama:x"',
        files={"presets/own.yaml": PRESET, "templates/room.yaml": ROOM,
               "templates/wrong.yaml": "instruction: {"},
    )  # fmt: skip
    for name in ("oak.jpg", "deep/stone.PNG", "notes.txt", ".hidden.jpg"):
        place = root / "backdrops" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"picture")
    outside = tmp_path / "elsewhere.jpg"
    outside.write_bytes(b"picture")
    (root / "backdrops" / "linked.jpg").symlink_to(outside)
    async with library.open(root) as workspace:
        found = offered(workspace.settings)
    assert found.presets["amazon-main"] == "Amazon main image, pure white · 2000 × 2000"
    assert found.presets["our-shop"] == "Square on sand · 300 × 300"
    assert {"amazon-main", "our-shop"} <= found.plain and "our-scenes" not in found.plain
    assert found.backdrops == ("backdrops/deep/stone.PNG", "backdrops/oak.jpg")
    assert dict(found.scenes) == {"room": "A room for the product"}
    assert dict(found.painters) == {"painter": "automatic1111:base"}
    assert {"cutout", "compose", "transcode", "resize", "upscale"} <= found.operations
    assert "product-unchanged" in found.checks


async def test_another_teams_template_is_not_offered(tmp_path: Path) -> None:
    root = make_workspace(
        tmp_path / "shop", "http://127.0.0.1:9/v1", files={"templates/room.yaml": ROOM}
    )
    async with library.open(root) as workspace:
        accounts = Accounts(workspace)
        await accounts.add_team("paris")
        await Owners(workspace).give("template", "room", "paris")
        other = workspace.acting(Actor("Ann", {1: "operator"}))
        assert not offered((await other.seen()).settings).scenes
        with pytest.raises(NotFound):
            await draft_pipeline(other, PicturePlan("x", "photo", scene="room"))


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (PicturePlan("x", "photo", backdrop="backdrops/oak.png", cut_out=False), "is cut out"),
        (PicturePlan("x", "photo", backdrop="backdrops/oak.png", preset="amazon-main"), "plain"),
        (PicturePlan("x", "photo", scene="copy"), "makes no picture"),
        (PicturePlan("x", "room", scene="room"), "has already"),
    ],
)
async def test_backgrounds_that_cannot_be_are_said(
    plan: PicturePlan, said: str, tmp_path: Path
) -> None:
    root = make_workspace(
        tmp_path / "shop", "http://127.0.0.1:9/v1", files={"templates/room.yaml": ROOM}
    )
    async with library.open(root) as workspace:
        with pytest.raises(ConfigError, match=said):
            await draft_pipeline(workspace, plan)


# Written pipelines at work: what lies behind the product is what was chosen.

BEHIND = [
    (PicturePlan("sand", "photo", preset="our-shop"), (243, 237, 226)),
    (PicturePlan("oak", "photo", size=300, backdrop="backdrops/oak.png"), (20, 90, 40)),
    (PicturePlan("own", "photo", preset="our-scenes", backdrop="wall"), (90, 20, 60)),
    (PicturePlan("room", "photo", size=300, scene="room", painter="painter"), None),
    (PicturePlan("rooms", "photo", size=300, scene="local-room", painter="painter"), None),
]  # fmt: skip


@pytest.mark.parametrize(("plan", "ground"), BEHIND, ids=lambda one: getattr(one, "name", ""))
async def test_what_was_chosen_lies_behind_the_product(
    plan: PicturePlan, ground: tuple[int, int, int] | None, tmp_path: Path
) -> None:
    async with WebUI() as server:
        model = f'{PRICE}\n[models.painter]\nuse = "automatic1111:base"\nbase_url = "{server.url}"'
        root = make_workspace(
            tmp_path / "shop", "http://127.0.0.1:9/v1", model=model,
            files={"presets/own.yaml": PRESET, "templates/room.yaml": ROOM,
                   "templates/local-room.yaml": LOCAL},
        )  # fmt: skip
        for folder in ("backdrops", "photos"):
            (root / folder).mkdir()
        bottle(1, 360).save(root / "photos" / "cut.png")
        Image.new("RGB", (400, 300), (20, 90, 40)).save(root / "backdrops" / "oak.png")
        Image.new("RGB", (300, 400), (90, 20, 60)).save(root / "photos" / "wall.png")
        sheet = root / "products.csv"
        sheet.write_text("sku,name,photo,wall\nP1,Mare,photos/cut.png,photos/wall.png\n")
        async with library.open(root) as workspace:
            await workspace.import_catalog([sheet], key="sku", catalog="things")
            _, usable = await draft_pipeline(workspace, plan)
            assert usable
            targets = ["de-DE", "fr-FR"] if plan.scene == "local-room" else []
            status = await workspace.run(plan.name, catalog="things", targets=targets)
            assert (status.state, status.failed) == ("done", 0)
            rows = (await Browse(workspace).items(status.run)).rows
            assert len(rows) == max(1, len(targets))
            for row in rows:
                assert row.found == ()  # the product is what it was, and large enough
                assert Image.open(BytesIO(await read(workspace, row.values["main_file"]))).format
                made = pixels(await read(workspace, row.values["main_image"]))
                behind = ground
                if behind is None:
                    field = "room" if plan.scene == "room" else "local_room"
                    painted = pixels(await read(workspace, row.values[field]))
                    behind = tuple(painted[0, 0])
                assert made.shape == (300, 300, 3)
                assert np.abs(made[:4, :4].astype(int) - behind).max() <= 3


async def read(workspace: Workspace, reference: str) -> bytes:
    return await storage_at(workspace.settings.pictures.storage).read(reference)
