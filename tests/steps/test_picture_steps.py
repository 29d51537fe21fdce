"""Steps over pictures: read what a product names, operate, keep, and make nothing twice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from tests.steps.filed import Filed, as_png

from waremill import steps
from waremill.checks import Rules
from waremill.domain import (
    Answer,
    Asset,
    Chat,
    Finding,
    Image,
    ImageRequest,
    Item,
    Outcome,
    Product,
    Request,
    Response,
    Usage,
)
from waremill.errors import ConfigError, Refused, SourceError
from waremill.images.operation import Tools, operations
from waremill.images.reading import read_picture
from waremill.pipeline import BoundStep, Context, StepSettings
from waremill.steps import Kit

SCENE = """\
name: scene
instruction: A photograph of {{ name }} on a beach.
input:
  - notes: {label: Mood}
output:
  scene: {type: picture, width: 128, height: 96, negative: people}
"""
DESCRIBE = """\
name: alt
instruction: Describe the picture.
input:
  - photo: {picture: true, required: true}
  - name
output:
  alt_text: {max_chars: 120}
checks: []
"""


class Desk:
    """A context with real files; its model gives the pictures or texts it is told to."""

    def __init__(self, folder: Path, *replies: bytes | str, outcome: Outcome = "complete") -> None:
        self.files = Filed(folder)
        self.replies = list(replies)
        self.outcome = outcome
        self.asked: list[Request] = []
        self.findings: list[Finding] = []
        self.recorded: dict[str, Any] = {}
        self.context = Context(self.call, self.report, self.record, self.similar, self.files)

    async def call(self, item: Item, request: Request, model: str | None = None) -> Answer:
        self.asked.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        text = reply if isinstance(reply, str) else await self._pictures(reply)
        return Answer(b"0" * 16, Response(text, self.outcome, Usage(1, 1)), model or "default", 1)

    async def _pictures(self, content: bytes) -> str:
        reference = await self.files.keep(content, "image/png")
        return orjson.dumps({"images": [reference]}).decode()

    def report(self, item: Item, findings: Any) -> None:
        self.findings.extend(findings)

    async def record(self, item: Item, name: str, make: Any) -> Any:
        if name not in self.recorded:
            self.recorded[name] = await make()
        return self.recorded[name]

    async def similar(self, item: Item, name: str, text: str) -> Any:
        return ()

    async def picture(self, reference: str) -> Any:
        return read_picture(await self.files.read(reference))


def made(kind: str, files: Mapping[str, str] | None = None, **settings: Any) -> BoundStep:
    step = StepSettings(kind, kind, settings, file="pipelines/p.yaml", line=3)
    return steps.make(step, Kit(dict(files or {}), Rules(), {}))


def item(**attributes: Any) -> Item:
    return Item(1, Product(1, "P1", attributes, 1), None, {})


def photo(folder: Path, name: str = "photo.png", side: int = 120) -> np.ndarray[Any, Any]:
    """Write a picture of a red disc on grey; give its pixels."""
    rows, columns = np.mgrid[:side, :side]
    inside = (rows - side / 2) ** 2 + (columns - side / 2) ** 2 < (side / 3) ** 2
    pixels = np.where(inside[..., None], (200, 20, 30), (128, 128, 128)).astype(np.uint8)
    (folder / name).write_bytes(as_png(pixels))
    return pixels


def cut(folder: Path, name: str = "cut.png", side: int = 120) -> np.ndarray[Any, Any]:
    """Write the same disc cut out."""
    pixels = photo(folder, "unused.png", side)
    alpha = np.where(pixels[..., 1] == 20, 255, 0).astype(np.uint8)
    (folder / name).write_bytes(as_png(np.dstack([pixels, alpha])))
    return alpha


def test_every_operation_is_a_step_of_its_name() -> None:
    assert tuple(operations()) == steps.operation_names()
    assert set(steps.operation_names()) <= set(steps.kinds())


async def test_an_operation_reads_a_picture_and_keeps_another(tmp_path: Path) -> None:
    photo(tmp_path)
    desk = Desk(tmp_path)
    step = made("resize", image="photo", into="small", longest="60")
    found = await step.run(item(photo="photo.png"), desk.context)
    assert step.fields == ("small",) and Asset.parse(found["small"]) is not None
    assert (await desk.picture(found["small"])).width == 60


async def test_the_same_picture_is_worked_on_once(tmp_path: Path) -> None:
    photo(tmp_path)
    desk = Desk(tmp_path)
    step = made("resize", image="photo", longest="60")
    first = await step.run(item(photo="photo.png"), desk.context)
    assert await step.run(item(photo="photo.png"), desk.context) == first
    await made("resize", image="photo", longest="50").run(item(photo="photo.png"), desk.context)
    assert [one.options["longest"] for one in desk.files.made] == [60, 50]


async def test_several_results_are_a_list_in_order(tmp_path: Path) -> None:
    cut(tmp_path)
    step = made("compose", image="cut", ratios="1:1,2:1", size="200", enlarge="4", into="main")
    desk = Desk(tmp_path)
    found = await step.run(item(cut="cut.png"), desk.context)
    shapes = [await desk.picture(one) for one in found["main"]]
    assert [one.width / one.height for one in shapes] == [1, 2]


async def test_a_second_picture_is_a_field_or_a_file_all_products_share(tmp_path: Path) -> None:
    cut(tmp_path)
    (tmp_path / "backs").mkdir()
    back = np.full((40, 40, 3), (10, 20, 220), np.uint8)
    (tmp_path / "backs" / "blue.png").write_bytes(as_png(back))
    desk = Desk(tmp_path)
    for name in ("backs/blue.png", "wall"):
        step = made("background", image="cut", picture=name, into="framed")
        found = await step.run(item(cut="cut.png", wall="backs/blue.png"), desk.context)
        corner = (await desk.picture(found["framed"])).pixels[2, 2]
        assert corner[2] > 200 > corner[0]
    assert len(desk.files.made) == 1  # the same background, whoever names it


@pytest.mark.parametrize("value", [None, "", []])
async def test_a_product_without_the_picture_says_so(tmp_path: Path, value: Any) -> None:
    with pytest.raises(SourceError, match="no picture in `photo`"):
        await made("resize", image="photo").run(item(photo=value), Desk(tmp_path).context)


async def test_a_reference_that_stands_in_a_sheet_opens_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    foreign = await desk.files.keep(as_png(np.zeros((9, 9, 3), np.uint8)), "image/png")
    step = made("resize", image="photo", longest="5")
    with pytest.raises(FileNotFoundError):  # a path like any other, which is not there
        await step.run(item(photo=foreign), desk.context)
    made_before = Item(1, Product(1, "P1", {}, 1), None, {"photo": foreign})
    assert Asset.parse((await step.run(made_before, desk.context))["resize"]) is not None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"longst": "60"}, "did you mean “longest”"),
        ({"longest": "much"}, "a whole number"),
        ({"longest": "0"}, "longest must be"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_line(settings: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        made("resize", **settings)
    assert str(caught.value.where) == "pipelines/p.yaml:3"


async def test_a_template_of_a_picture_is_drawn(tmp_path: Path) -> None:
    desk = Desk(tmp_path, as_png(np.zeros((96, 128, 3), np.uint8)))
    step = made("generate", {"templates/scene.yaml": SCENE}, template="scene")
    found = await step.run(item(name="Eau Sauvage", notes="calm"), desk.context)
    (request,) = desk.asked
    assert isinstance(request, ImageRequest)
    assert request.prompt == "A photograph of Eau Sauvage on a beach.\nMood: calm"
    assert (request.width, request.height, request.negative) == (128, 96, "people")
    assert Asset.parse(found["scene"]) is not None
    assert step.provenance["made_by_model"] == "made"


async def test_samples_give_variants_to_choose_from(tmp_path: Path) -> None:
    pictures = [as_png(np.full((96, 128, 3), n, np.uint8)) for n in (10, 90, 200)]
    desk = Desk(tmp_path, *pictures)
    step = made("generate", {"templates/scene.yaml": SCENE}, template="scene", samples="3")
    found = await step.run(item(name="Eau"), desk.context)
    assert step.calls == 3 and step.fields == ("scene", "scene_variants")
    assert len(set(found["scene_variants"])) == 3
    assert found["scene"] == found["scene_variants"][0]
    assert [request.sample for request in desk.asked if isinstance(request, ImageRequest)] == [
        0, 1, 2,
    ]  # fmt: skip


async def test_a_picture_the_model_declines_goes_to_review(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "against our policy", outcome="refused")
    step = made("generate", {"templates/scene.yaml": SCENE}, template="scene")
    with pytest.raises(Refused, match="against our policy"):
        await step.run(item(name="Eau"), desk.context)


async def test_a_model_is_shown_the_pictures_a_template_reads(tmp_path: Path) -> None:
    photo(tmp_path, side=1500)
    desk = Desk(tmp_path, '{"alt_text": "A red disc."}')
    step = made("generate", {"templates/alt.yaml": DESCRIBE}, template="alt")
    found = await step.run(item(name="Disc", photo="photo.png"), desk.context)
    assert found == {"alt_text": "A red disc."}
    (request,) = desk.asked
    assert isinstance(request, Chat)
    content = request.messages[-1].content
    assert isinstance(content, tuple) and isinstance(content[1], Image)
    assert isinstance(content[0], str) and "Disc" in content[0] and "photo.png" not in content[0]
    seen = await desk.picture(content[1].url)
    assert max(seen.width, seen.height) == 1024


async def test_what_the_product_covers_stays_as_it_is(tmp_path: Path) -> None:
    before, alpha = photo(tmp_path), cut(tmp_path)
    blue = as_png(np.full((96, 128, 3), (0, 0, 255), np.uint8))
    desk = Desk(tmp_path, blue)
    step = made("recreate", {"templates/scene.yaml": SCENE}, template="scene", image="photo",
                product="cut", strength="0.9", into="beach")  # fmt: skip
    one = item(name="Disc", photo="photo.png", cut="cut.png")
    found = await step.run(one, desk.context)
    after = (await desk.picture(found["beach"])).pixels
    assert (after[alpha == 255] == before[alpha == 255]).all()
    assert (after[:5, :5] == (0, 0, 255)).all()
    (request,) = desk.asked
    assert isinstance(request, ImageRequest)
    assert request.strength == 0.9 and len(request.images) == 1 and request.mask is not None
    sent, mask = await desk.picture(request.images[0]), await desk.picture(request.mask)
    assert (sent.width, sent.height) == (mask.width, mask.height) == (128, 96)
    assert mask.pixels[48, 64].max() == 0 and mask.pixels[1, 1].min() == 255
    assert await step.run(one, desk.context) == found
    assert len(desk.files.made) == 2  # what was sent and what was kept, each once


@pytest.mark.parametrize("role", ["product", "mask"])
async def test_what_has_to_stay_must_show_the_same_frame(tmp_path: Path, role: str) -> None:
    before, alpha = photo(tmp_path), cut(tmp_path)
    whole = np.dstack((before, alpha))
    (tmp_path / "cropped.png").write_bytes(as_png(whole[:, 20:90]))
    (tmp_path / "twice.png").write_bytes(as_png(whole.repeat(2, axis=0).repeat(2, axis=1)))
    desk = Desk(tmp_path, as_png(np.full((96, 128, 3), (0, 0, 255), np.uint8)))
    step = made("recreate", {"templates/scene.yaml": SCENE}, template="scene", image="photo",
                **{role: "cut"})  # fmt: skip
    with pytest.raises(SourceError, match="must show the same frame"):
        await step.run(item(name="Disc", photo="photo.png", cut="cropped.png"), desk.context)
    assert desk.asked == []
    await step.run(item(name="Disc", photo="photo.png", cut="twice.png"), desk.context)


async def test_without_keep_everything_may_change(tmp_path: Path) -> None:
    photo(tmp_path)
    desk = Desk(tmp_path, as_png(np.full((96, 128, 3), (0, 0, 255), np.uint8)))
    step = made("recreate", {"templates/scene.yaml": SCENE}, template="scene", image="photo",
                keep="false", mode="img2img")  # fmt: skip
    found = await step.run(item(name="Disc", photo="photo.png"), desk.context)
    after = (await desk.picture(found["scene"])).pixels
    assert after.shape[:2] == (120, 120) and (after == (0, 0, 255)).all()
    (request,) = desk.asked
    assert isinstance(request, ImageRequest) and request.mask is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "needs a template"),
        ({"template": "alt"}, "makes no picture"),
        ({"template": "scene", "strength": "2"}, "from 0 to 1"),
        ({"template": "scene", "mode": "outpaint"}, "inpaint or img2img"),
        ({"template": "scene", "samples": "99"}, "from 1 to 8"),
        ({"template": "scene", "produkt": "cut"}, "did you mean “product”"),
    ],
)
def test_recreate_refuses_what_it_cannot_do(settings: Any, said: str) -> None:
    files = {"templates/scene.yaml": SCENE, "templates/alt.yaml": DESCRIBE}
    with pytest.raises(ConfigError, match=said):
        made("recreate", files, **settings)


async def test_another_font_of_the_workspace_makes_another_picture(tmp_path: Path) -> None:
    fonts = tmp_path / "fonts"
    fonts.mkdir()
    overlay = operations()["overlay"]
    tools = Tools(steps.no_weights, fonts=(fonts,))
    before = overlay.used(overlay.options(), tools)
    (fonts / "Own.ttf").write_bytes(b"a font")
    assert overlay.used(overlay.options(), tools) != before


def test_another_file_of_ones_own_weights_makes_another_picture(tmp_path: Path) -> None:
    mine = tmp_path / "mine.onnx"
    cutout = operations()["cutout"]
    tools = Tools(lambda name: tmp_path / name)
    states = []
    for content in (b"one", b"another"):
        mine.write_bytes(content)
        states.append(cutout.used(cutout.options(model="mine.onnx"), tools))
    assert states[0] != states[1]
