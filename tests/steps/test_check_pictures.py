"""The `check` step over a picture: rules, limits and presets, heat maps, duplicates of a run."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tests.images.made_pictures import bottle
from tests.steps.filed import as_png
from tests.steps.test_picture_steps import Desk, item, made, photo

from waremill.domain import Asset
from waremill.errors import ConfigError


def on_white(folder: Path, side: int, product: int, name: str = "main.png") -> None:
    """Write a dark square on white."""
    pixels = np.full((side, side, 3), 255, np.uint8)
    start = (side - product) // 2
    pixels[start : start + product, start : start + product] = (60, 20, 90)
    (folder / name).write_bytes(as_png(pixels))


def rules(desk: Desk) -> list[tuple[str, str]]:
    return [(finding.rule, finding.severity) for finding in desk.findings]


async def test_a_preset_sets_the_limits_of_a_marketplace(tmp_path: Path) -> None:
    on_white(tmp_path, 1200, 1080)
    on_white(tmp_path, 600, 200, "poor.png")
    desk = Desk(tmp_path)
    step = made("check", image="main", preset="amazon-main",
                rules=["resolution", "background-purity", "fill", "uncropped"])  # fmt: skip
    assert await step.run(item(main="main.png"), desk.context) == {}
    assert desk.findings == []
    await step.run(item(main="poor.png"), desk.context)
    assert rules(desk) == [("resolution", "error"), ("fill", "error")]
    assert {finding.field for finding in desk.findings} == {"main"}


async def test_a_limit_is_set_by_its_name(tmp_path: Path) -> None:
    on_white(tmp_path, 300, 250)
    desk = Desk(tmp_path)
    step = made(
        "check", image="main", rules=["resolution"], least_side="300", least_long_side="300"
    )
    await step.run(item(main="main.png"), desk.context)
    assert desk.findings == []


async def test_judging_one_picture_is_done_once(tmp_path: Path) -> None:
    on_white(tmp_path, 300, 250)
    desk = Desk(tmp_path)
    step = made("check", image="main", rules=["resolution"])
    for _ in range(2):
        await step.run(item(main="main.png"), desk.context)
    assert len(desk.files.made) == 1
    assert len(desk.findings) == 2  # said of both items all the same


async def test_a_judgement_made_without_a_reader_of_text_does_not_stand_once_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_white(tmp_path, 300, 250)
    desk = Desk(tmp_path)
    step = made("check", image="main", rules=["resolution"])
    reader = ModuleType("rapidocr")
    reader.__spec__ = ModuleSpec("rapidocr", None)
    for installed in (None, reader):
        monkeypatch.setitem(sys.modules, "rapidocr", installed)
        await step.run(item(main="main.png"), desk.context)
    assert len(desk.files.made) == 2


async def test_a_changed_product_is_shown_on_a_map(tmp_path: Path) -> None:
    before, mask = bottle()
    (tmp_path / "photo.png").write_bytes(as_png(before.rgb))
    alpha = np.rint(mask * 255).astype(np.uint8)
    (tmp_path / "cut.png").write_bytes(as_png(np.dstack([before.rgb, alpha])))
    after = before.rgb.copy()
    rows, columns = np.nonzero(mask > 0.5)
    middle, centre = int(rows.mean()), int(columns.mean())
    after[middle - 40 : middle + 40, centre - 40 : centre + 40] = (20, 160, 30)
    (tmp_path / "after.png").write_bytes(as_png(after))
    desk = Desk(tmp_path)
    step = made("check", image="after", before="photo", product="cut",
                rules=["product-unchanged"], compare_text="false")  # fmt: skip
    assert step.fields == ("after_heat_map",)
    found = await step.run(item(after="after.png", photo="photo.png", cut="cut.png"), desk.context)
    assert ("product-unchanged", "error") in rules(desk)
    assert Asset.parse(found["after_heat_map"]) is not None
    desk.findings.clear()
    await step.run(item(after="photo.png", photo="photo.png", cut="cut.png"), desk.context)
    assert desk.findings == []


async def test_every_picture_of_a_list_is_checked(tmp_path: Path) -> None:
    on_white(tmp_path, 300, 250, "a.png")
    on_white(tmp_path, 1200, 900, "b.png")
    desk = Desk(tmp_path)
    step = made("check", image="main", rules=["resolution"])
    await step.run(item(main=["a.png", "b.png"]), desk.context)
    assert rules(desk) == [("resolution", "error")]


async def test_a_picture_another_product_has_is_found(tmp_path: Path) -> None:
    photo(tmp_path)
    desk = Desk(tmp_path)
    filed: list[Any] = []

    async def similar(_item: Any, name: str, signature: Any) -> Any:
        near = [("P0", signature.likeness(signature.content, one.content)) for one in filed]
        filed.append(signature)
        return [pair for pair in near if pair[1] >= signature.least]

    object.__setattr__(desk.context, "similar", similar)
    step = made("check", image="photo", rules=["duplicate-pictures"])
    await step.run(item(photo="photo.png"), desk.context)
    assert desk.findings == []
    await step.run(item(photo="photo.png"), desk.context)
    assert rules(desk) == [("duplicate-pictures", "error")]
    assert "product P0" in desk.findings[0].message


async def test_looking_for_duplicates_again_decodes_nothing(tmp_path: Path) -> None:
    photo(tmp_path)
    desk = Desk(tmp_path)
    step = made("check", image="photo", rules=["duplicate-pictures"])
    signatures: list[Any] = []

    async def similar(_item: Any, _name: str, signature: Any) -> Any:
        signatures.append((signature.content, signature.bands))
        return ()

    object.__setattr__(desk.context, "similar", similar)
    await step.run(item(photo="photo.png"), desk.context)
    worked = desk.files.worked
    assert worked > 0
    await step.run(item(photo="photo.png"), desk.context)
    assert desk.files.worked == worked
    assert signatures[0] == signatures[1]
    assert [one.what for one in desk.files.made] == ["check", "signature"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rules": ["resolutoin"]}, "did you mean “resolution”"),
        ({"rules": ["resolution"], "least_sid": "5"}, "did you mean “least_side”"),
        ({"rules": ["resolution"], "least_side": "many"}, "must be a number"),
        ({"rules": ["fill"], "preset": "amazon-mian"}, "did you mean “amazon-main”"),
    ],
)
def test_what_does_not_exist_is_refused_with_its_line(settings: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        made("check", image="main", **settings)
    assert str(caught.value.where) == "pipelines/p.yaml:3"
