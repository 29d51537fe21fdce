"""Text shaped into lines of glyphs, and glyphs drawn into a plane.

HarfBuzz joins, reorders and places the glyphs of every script. A text is taken apart into runs of
one direction, script and font, measured once at a size of 1 and broken into lines at any size from
those measures; only lines that are kept are shaped whole. Where the lines go is not decided here.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import uharfbuzz
from numpy.typing import NDArray

from waremill.images.bidi import base_level, levels, runs
from waremill.images.breaking import Break, Quality, breaks
from waremill.images.fonts import Font, Fonts, Style
from waremill.images.picture import Plane
from waremill.images.scripts import COMMON, clusters, script_of, scripts

_FINE = 64
"""Parts of a pixel that glyphs are placed and drawn in."""
_UNIT = 1000
"""Size that texts are measured at."""
_SPACES = " \t\u200b\u3000"


@dataclass(frozen=True, slots=True, eq=False)
class Paragraph:
    """A text without line feeds, with everything known of it that does not depend on size.

    `levels`, `fonts` and `scripts` are by character; `base` is 1 for a paragraph that reads
    leftward. `widths` are those of the pieces between breaks at a size of 1, without and with the
    spaces that end them.
    """

    text: str
    base: int
    style: Style
    levels: Sequence[int]
    fonts: Sequence[Font]
    scripts: Sequence[str]
    breaks: Sequence[Break]
    widths: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True, slots=True)
class Glyph:
    """A glyph of a font at a place: pixels from where the pen began, and above the baseline."""

    font: Font
    number: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Line:
    """A shaped line: its glyphs, and the extent of their ink in pixels.

    The ink starts at `start` from where the pen began, is `width` wide, and reaches `above` and
    `below` the baseline.
    """

    glyphs: tuple[Glyph, ...]
    size: float
    start: float
    width: float
    above: float
    below: float
    leftward: bool


@dataclass(slots=True)
class _Sized:
    """HarfBuzz's fonts at one size and weight, made as they are needed."""

    size: float
    weight: int
    fonts: dict[Font, Any] = field(default_factory=dict)

    def of(self, font: Font) -> Any:
        if font not in self.fonts:
            sized = uharfbuzz.Font(font.face)
            sized.scale = (round(self.size * _FINE), round(self.size * _FINE))
            if font.variable:
                sized.set_variations({"wght": self.weight})
            self.fonts[font] = sized
        return self.fonts[font]


def paragraph(text: str, fonts: Fonts, style: Style, leftward: bool | None = None) -> Paragraph:
    """Find directions, scripts, fonts and breaks of a text, and measure it.

    `leftward` sets the paragraph's direction; None takes that of its first strong letter. Raises
    SourceError where no font has a letter.
    """
    base = base_level(text) if leftward is None else int(leftward)
    of = scripts(text)
    found = Paragraph(
        text=text,
        base=base,
        style=style,
        levels=levels(text, base),
        fonts=_fonts(text, of, fonts, style),
        scripts=of,
        breaks=breaks(text, style.language),
    )
    sized = _Sized(_UNIT, style.weight)
    widths = []
    for start, stop in pairwise([0, *(one.at for one in found.breaks), len(text)]):
        ink = len(text[start:stop].rstrip(_SPACES)) + start
        whole = _advance(found, start, stop, sized)
        widths.append((whole if ink == stop else _advance(found, start, ink, sized), whole))
    return dataclasses.replace(found, widths=[(ink / _UNIT, all_ / _UNIT) for ink, all_ in widths])


def wrap(
    paragraph: Paragraph, width: float, size: float, worst: Quality | None
) -> list[int] | None:
    """Break a paragraph into lines that fit a width, as few as possible.

    Gives where each line after the first starts; None where a piece is wider than the width.
    `worst` is the worst kind of break that is taken; None takes none.
    """
    allowed = {one.at for one in paragraph.breaks if worst is not None and one.quality <= worst}
    begins = [0, *(one.at for one in paragraph.breaks)]
    starts: list[int] = []
    used = 0.0
    i = 0
    while i < len(begins):
        # Pieces between breaks that may not be taken go together.
        j = i + 1
        while j < len(begins) and begins[j] not in allowed:
            j += 1
        whole = sum(all_ for _, all_ in paragraph.widths[i:j]) * size
        space = (paragraph.widths[j - 1][1] - paragraph.widths[j - 1][0]) * size
        if whole - space > width:
            return None
        if used and used + whole - space > width:
            starts.append(begins[i])
            used = 0.0
        used += whole
        i = j
    return starts


def natural_width(paragraph: Paragraph) -> float:
    """Give a paragraph's width on one line, at a size of 1."""
    return sum(whole for _, whole in paragraph.widths[:-1]) + paragraph.widths[-1][0]


def shaped(paragraph: Paragraph, start: int, stop: int, size: float) -> Line:
    """Shape the part of a paragraph that stands on one line, in the order it is drawn."""
    sized = _Sized(size, paragraph.style.weight)
    while stop > start and paragraph.text[stop - 1] in _SPACES:
        stop -= 1
    glyphs: list[Glyph] = []
    pen = above = below = right = 0.0
    left = math.inf
    for first, last, leftward in _visual(paragraph, start, stop):
        font = paragraph.fonts[first]
        buffer = _shape(paragraph, first, last, leftward, sized)
        for info, place in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            x, y = pen + place.x_offset / _FINE, place.y_offset / _FINE
            ink = sized.of(font).get_glyph_extents(info.codepoint)
            if ink is not None and ink.width:
                glyphs.append(Glyph(font, info.codepoint, x, y))
                top = y + ink.y_bearing / _FINE
                above, below = max(above, top), max(below, -(top + ink.height / _FINE))
                left = min(left, x + ink.x_bearing / _FINE)
                right = max(right, x + (ink.x_bearing + ink.width) / _FINE)
            pen += place.x_advance / _FINE
    left = min(left, right)
    return Line(tuple(glyphs), size, left, right - left, above, below, bool(paragraph.base))


def draw(plane: Plane, line: Line, left: float, baseline: float, weight: int) -> None:
    """Draw a line's glyphs into a plane, in place: 1 where ink covers all of a pixel.

    `left` and `baseline` are where the line's pen begins, in pixels from the plane's upper left
    corner; `weight` is what a font of variable weight is set to.
    """
    sized = _Sized(line.size, weight)
    pencil = uharfbuzz.RasterDraw()
    for glyph in line.glyphs:
        font = sized.of(glyph.font)
        x, y = left + glyph.x, glyph.y - baseline
        # Whole pixels are left to where the image goes; the rest moves the outline itself.
        across, up = math.floor(x), math.floor(y)
        pencil.reset()
        pencil.scale_factor = (float(_FINE), float(_FINE))
        pencil.transform = (1.0, 0.0, 0.0, 1.0, (x - across) * _FINE, (y - up) * _FINE)
        pencil.set_glyph_extents(font.get_glyph_extents(glyph.number))
        pencil.draw_glyph(font, glyph.number)
        image = pencil.render()
        if image is None:
            continue
        extents = image.extents
        ink = np.frombuffer(image.buffer, np.uint8).reshape(extents.height, extents.stride)
        column, row = across + extents.x_origin, -(up + extents.y_origin + extents.height)
        _add(plane, ink[::-1, : extents.width], column, row)  # HarfBuzz counts rows upward


def _add(plane: Plane, ink: NDArray[np.uint8], column: int, row: int) -> None:
    """Add a glyph's ink to a plane where it lies in it; overlapping strokes do not add up."""
    first, last = max(0, row), min(plane.shape[0], row + ink.shape[0])
    start, stop = max(0, column), min(plane.shape[1], column + ink.shape[1])
    if first >= last or start >= stop:
        return
    part = ink[first - row : last - row, start - column : stop - column].astype(np.float32) / 255
    np.maximum(plane[first:last, start:stop], part, out=plane[first:last, start:stop])


def _fonts(text: str, of: Sequence[str], fonts: Fonts, style: Style) -> list[Font]:
    """Choose a font for every character; those of one cluster have the same."""
    edges = list(pairwise([*clusters(text), len(text)]))
    # The script that is not Latin, where there is one, decides what marks and digits look like.
    script = next((one for one in of if one not in (COMMON, "Latn")), "Latn")
    first = next((edge for edge in edges if script_of(text[edge[0]]) == script), None)
    main = fonts.choose(text[slice(*first)], script, style) if first else None
    found: list[Font] = []
    for start, stop in edges:
        font = fonts.choose(text[start:stop], script_of(text[start]), style, main)
        found += [font] * (stop - start)
    return found


def _visual(paragraph: Paragraph, start: int, stop: int) -> list[tuple[int, int, bool]]:
    """Give the stretches of one direction, script and font, in the order they stand in a line."""
    found: list[tuple[int, int, bool]] = []
    for run in runs(paragraph.text, paragraph.levels, paragraph.base, start, stop):
        parts: list[tuple[int, int, bool]] = []
        leftward = run.level % 2 == 1
        for i in range(run.start, run.stop):
            same = (
                parts
                and paragraph.fonts[i] == paragraph.fonts[i - 1]
                and paragraph.scripts[i] == paragraph.scripts[i - 1]
            )
            if same:
                parts[-1] = (parts[-1][0], i + 1, leftward)
            else:
                parts.append((i, i + 1, leftward))
        found += parts[::-1] if leftward else parts
    return found


def _shape(paragraph: Paragraph, first: int, last: int, leftward: bool, sized: _Sized) -> Any:
    """Shape one stretch, with the text around it as context for joining letters."""
    buffer = uharfbuzz.Buffer()
    buffer.add_str(paragraph.text, first, last - first)
    buffer.direction = "rtl" if leftward else "ltr"
    buffer.script = paragraph.scripts[first]
    if paragraph.style.language:
        buffer.language = paragraph.style.language
    uharfbuzz.shape(sized.of(paragraph.fonts[first]), buffer)
    return buffer


def _advance(paragraph: Paragraph, start: int, stop: int, sized: _Sized) -> float:
    """Measure a piece, in pixels at the size."""
    total = 0
    for first, last, leftward in _visual(paragraph, start, stop):
        buffer = _shape(paragraph, first, last, leftward, sized)
        total += sum(place.x_advance for place in buffer.glyph_positions)
    return total / _FINE
