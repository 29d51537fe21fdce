"""What marketplaces ask of a product picture, as data.

The presets that come with Waremill stand in `marketplaces/`, one file for each marketplace with the
page the rules are from, when it was read, and how sure each is: `stated` was read on the
marketplace's own page, `reported` is what others quote from it, `customary` is only common
practice. A workspace's `presets/*.yaml`, written the same way, add to them or replace one by name:

    marketplace: Our shop
    source: Brand book, page 12
    checked: 2026-03-01
    sure: stated
    presets:
      our-shop:
        about: Square on sand
        size: 1600x1600        # what is made; least_size, least_side, most_side: what is taken
        ratios: ["1:1", "4:5"]
        background: "#f3ede2"
        fill: 70%-85%          # of the frame, by the side that reaches first
        formats: [jpeg]
        most_bytes: 500000
        forbidden: [text]

This module reads text; nothing in it looks at a picture.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Literal, get_args

from waremill.errors import ConfigError
from waremill.images.colour import Colour, parse_colour
from waremill.images.measures import ratio_of
from waremill.rules.document import Section, paths, read_yaml, suggestion

Sureness = Literal["stated", "reported", "customary"]
FORMATS = ("jpeg", "png", "webp", "avif", "gif", "bmp", "tiff")

_SETTINGS = (
    "about", "size", "least_size", "least_side", "most_side", "most_pixels", "ratios", "background",
    "fill", "formats", "most_bytes", "forbidden", "note", "source", "checked", "sure",
)  # fmt: skip
_SIZE = re.compile(r"(\d+)\s*[x×]\s*(\d+)")
_FILL = re.compile(r"(\d+(?:\.\d+)?)%\s*-\s*(\d+(?:\.\d+)?)%")
_CLOSE = 0.01
"""How far a ratio may be off, as a share of itself: whole pixels cannot meet every ratio."""


@dataclass(frozen=True, slots=True)
class Preset:
    """What one kind of picture must be at one marketplace; None and empty mean no rule.

    Sizes are width and height in pixels: `size` is made, `least_size` is taken at least.
    `least_side` and `most_side` bound the longer side, `most_pixels` the area. `fill` is the least
    and most share of the frame's width or height, whichever the product reaches first. `formats`
    begin with the preferred one. `ratios` are width : height as written.
    """

    name: str
    marketplace: str
    about: str
    size: tuple[int, int]
    least_size: tuple[int, int] | None
    least_side: int | None
    most_side: int | None
    most_pixels: int | None
    ratios: tuple[str, ...]
    background: Colour | None
    fill: tuple[float, float] | None
    formats: tuple[str, ...]
    most_bytes: int | None
    forbidden: tuple[str, ...]
    note: str
    source: str
    checked: str
    sure: Sureness

    def refuses(self, width: int, height: int) -> str | None:
        """Say in a clause what is wrong with a picture's size; None where nothing is."""
        longer = max(width, height)
        if self.least_size and (width < self.least_size[0] or height < self.least_size[1]):
            return f"must be at least {self.least_size[0]} × {self.least_size[1]} pixels"
        if self.least_side and longer < self.least_side:
            return f"must be at least {self.least_side} pixels on the longer side"
        if self.most_side and longer > self.most_side:
            return f"must be at most {self.most_side} pixels on the longer side"
        if self.most_pixels and width * height > self.most_pixels:
            return f"must have at most {self.most_pixels:,} pixels"
        ratios = [ratio_of(text, "ratio") for text in self.ratios]
        if ratios and all(abs(width / height / ratio - 1) > _CLOSE for ratio in ratios):
            return f"must be {' or '.join(self.ratios)}"
        return None


def presets(files: Mapping[str, str] | None = None) -> Mapping[str, Preset]:
    """Give every preset by name: the ones that come along, then a workspace's `presets/*.yaml`.

    `files` maps workspace paths to text. Raises ConfigError with file and line.
    """
    found = dict(_own())
    written: dict[str, str] = {}
    for path in paths(files or {}, "presets", (".yaml", ".yml")):
        for preset in _read_file(read_yaml(files or {}, path)):
            if preset.name in written:
                raise ConfigError(
                    f"the preset “{preset.name}” stands in {written[preset.name]} and {path}; "
                    "keep one of them"
                )
            written[preset.name] = path
            found[preset.name] = preset
    return dict(sorted(found.items()))


def find_preset(name: str, known: Mapping[str, Preset]) -> Preset:
    """Give the preset of a name; raise ConfigError with the nearest name for an unknown one."""
    if name not in known:
        raise ConfigError(f"there is no preset “{name}”{suggestion(name, known)}")
    return known[name]


@lru_cache(maxsize=1)
def _own() -> Mapping[str, Preset]:
    folder = resources.files("waremill.images") / "marketplaces"
    files = {
        f"marketplaces/{entry.name}": entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    }
    return {
        preset.name: preset
        for path in sorted(files)
        for preset in _read_file(read_yaml(files, path))
    }


def _read_file(section: Section) -> list[Preset]:
    section.allow(("marketplace", "source", "checked", "sure", "presets"), "a marketplace")
    inner = section.section("presets")
    if inner is None:
        section.fail("“presets” is missing; it must hold at least one preset")
    return [_read_preset(inner, name, section) for name in inner.names()]


def _read_preset(inner: Section, name: str, above: Section) -> Preset:
    part = inner.section(name)
    if part is None:
        inner.fail(f"the preset “{name}” is empty; give it at least a size", name)
    part.allow(_SETTINGS, f"the preset “{name}”")
    size = _size(part, "size")
    if size is None:
        part.fail(f"the preset “{name}” needs a size such as 2000x2000")
    preset = Preset(
        name=name,
        marketplace=above.text("marketplace", ""),
        about=part.text("about", name),
        size=size,
        least_size=_size(part, "least_size"),
        least_side=part.whole("least_side", least=1),
        most_side=part.whole("most_side", least=1),
        most_pixels=part.whole("most_pixels", least=1),
        ratios=_ratios(part),
        background=_background(part),
        fill=_fill(part),
        formats=_formats(part),
        most_bytes=part.whole("most_bytes", least=1),
        forbidden=part.texts("forbidden"),
        note=part.text("note", ""),
        source=part.text("source", above.text("source", "")),
        checked=part.text("checked", above.text("checked", "")),
        sure=_sureness(part if "sure" in part.names() else above),
    )
    wrong = preset.refuses(*size)
    if wrong:
        part.fail(f"the size of “{name}” breaks its own rules: it {wrong}", "size")
    return preset


def _size(part: Section, key: str) -> tuple[int, int] | None:
    text = part.text(key, None)
    if text is None:
        return None
    match = _SIZE.fullmatch(text)
    if match is None or not int(match[1]) or not int(match[2]):
        part.fail(f"“{key}” must be like 2000x2000, not “{text}”", key)
    return int(match[1]), int(match[2])


def _ratios(part: Section) -> tuple[str, ...]:
    ratios = part.texts("ratios")
    for text in ratios:
        try:
            ratio_of(text, "“ratios”")
        except ConfigError as error:
            part.fail(error.message, "ratios")
    return ratios


def _background(part: Section) -> Colour | None:
    text = part.text("background", None)
    if text is None:
        return None
    try:
        return parse_colour(text)
    except ConfigError as error:
        part.fail(error.message, "background")


def _fill(part: Section) -> tuple[float, float] | None:
    text = part.text("fill", None)
    if text is None:
        return None
    match = _FILL.fullmatch(text)
    least, most = (float(match[1]) / 100, float(match[2]) / 100) if match else (1.0, 0.0)
    if not 0 < least <= most <= 1:
        part.fail(f"“fill” must be like 85%-100%, not “{text}”", "fill")
    return least, most


def _formats(part: Section) -> tuple[str, ...]:
    formats = part.texts("formats")
    for name in formats:
        if name not in FORMATS:
            part.fail(f"there is no format “{name}”{suggestion(name, FORMATS)}", "formats")
    return formats


def _sureness(section: Section) -> Sureness:
    text = section.text("sure", "reported")
    known: tuple[Sureness, ...] = get_args(Sureness)
    for one in known:
        if text == one:
            return one
    section.fail(f"“sure” must be stated, reported or customary, not “{text}”", "sure")
