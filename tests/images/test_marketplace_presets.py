"""Presets: what comes along, what a workspace adds, and what is wrong with a file."""

from __future__ import annotations

import pytest

from waremill.errors import ConfigError
from waremill.images.presets import FORMATS, find_preset, presets

OURS = """\
marketplace: Our shop
source: Brand book
checked: 2026-03-01
sure: stated
presets:
  our-shop:
    about: Square on sand
    size: 1600x1600
    least_size: 800x800
    ratios: ["1:1", "4:5"]
    background: "#f3ede2"
    fill: 70%-85%
    formats: [jpeg, webp]
    most_bytes: 500000
    forbidden: [text]
"""


def test_amazons_main_image_is_as_amazon_asks() -> None:
    main = presets()["amazon-main"]
    assert main.background == (255, 255, 255)
    assert main.fill is not None
    assert main.fill[0] == 0.85
    assert {"text", "watermark"} <= set(main.forbidden)
    assert main.refuses(900, 900) == "must be at least 1000 pixels on the longer side"
    assert main.refuses(1000, 700) is None


@pytest.mark.parametrize("name", sorted(presets()))
def test_every_preset_says_where_it_is_from_and_how_sure_that_is(name: str) -> None:
    preset = presets()[name]
    assert preset.name == name
    assert preset.about
    assert preset.source
    assert preset.checked.startswith("2026-")
    assert preset.sure in ("stated", "reported", "customary")
    assert preset.formats
    assert set(preset.formats) <= set(FORMATS)
    assert preset.refuses(*preset.size) is None


def test_what_is_stated_has_the_page_it_stands_on() -> None:
    for preset in presets().values():
        if preset.sure == "stated":
            assert preset.source.startswith("https://")


def test_a_workspace_adds_presets_and_replaces_ours() -> None:
    known = presets({"presets/ours.yaml": OURS, "presets/readme.md": "no preset"})
    ours = find_preset("our-shop", known)
    assert ours.size == (1600, 1600)
    assert ours.fill == (0.7, 0.85)
    assert ours.refuses(1600, 1000) == "must be 1:1 or 4:5"
    assert ours.refuses(1280, 1600) is None
    replaced = presets({"presets/a.yaml": OURS.replace("our-shop", "amazon-main")})
    assert replaced["amazon-main"].marketplace == "Our shop"
    assert presets()["amazon-main"].marketplace == "Amazon"


def test_an_unknown_preset_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean “amazon-main”"):
        find_preset("amazon-mian", presets())


@pytest.mark.parametrize(
    ("old", "new", "line", "part"),
    [
        ("size: 1600x1600", "size: big", 8, "2000x2000"),
        ("size: 1600x1600", "size: 500x500", 8, "breaks its own rules"),
        ("fill: 70%-85%", "fill: 90%-20%", 12, "85%-100%"),
        ("fill:", "full:", 12, "did you mean “fill”"),
        ("[jpeg, webp]", "[jpg]", 13, "did you mean “jpeg”"),
        ('"#f3ede2"', '"sandy"', 11, "colour"),
        ('"4:5"', '"tall"', 10, "16:9"),
        ("most_bytes: 500000", "most_bytes: 1 MB", 14, "whole number"),
        ("sure: stated", "sure: certain", 4, "stated, reported or customary"),
        ("marketplace:", "market:", 1, "did you mean “marketplace”"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(old: str, new: str, line: int, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        presets({"presets/ours.yaml": OURS.replace(old, new)})
    assert str(caught.value).startswith(f"presets/ours.yaml:{line}: ")
    assert part in str(caught.value)


def test_one_preset_in_two_files_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"presets/a\.yaml and presets/b\.yaml"):
        presets({"presets/a.yaml": OURS, "presets/b.yaml": OURS})
