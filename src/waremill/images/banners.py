"""Texts set into an area: as large as they fit, in as few and as even lines as their scripts allow.

Sizes are tried from the largest down. Breaks at the ends of words and phrases are preferred, and
others taken only where they make the letters clearly larger; a break inside a word only where
nothing else fits. What is worked out here is a block of lines with its own corner; where it goes
and what colour it has is for others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from waremill.images.breaking import Quality
from waremill.images.typesetting import Line, Paragraph, natural_width, shaped, wrap

Way: TypeAlias = tuple[Quality | None, Quality | None]
"""The worst breaks that the first text and the others may have; None for no breaks at all."""

_SHRINK = 0.96
_WAYS: tuple[tuple[Way, float], ...] = (
    ((None, None), 0.85),
    ((None, Quality.GOOD), 0.7),
    ((Quality.GOOD, Quality.GOOD), 0.75),
    ((Quality.ALLOWED, Quality.ALLOWED), 0.0),
    ((Quality.DIRE, Quality.DIRE), 0.0),
)
"""Ways to break, the finest first, and the share of the largest possible size that must be left for
one to be taken."""
_CAP, _DEEP = 0.74, 0.06
"""Least room above the first and below the last baseline, as a share of the size, so that blocks
with and without ascenders look alike."""
_APART = 0.14
"""Least room between the ink of two lines, as a share of the size."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How texts are set.

    `least` and `most` bound the size in pixels, `first` is the first text's as a multiple of the
    others'. `spacing` is from baseline to baseline and `between` what two texts have more, both in
    sizes. `align` is start, centre or end.
    """

    least: float
    most: float
    first: float = 1
    spacing: float = 1.25
    between: float = 0.3
    align: str = "start"


@dataclass(frozen=True, slots=True)
class Placed:
    """A line and where it begins in its block: its left end and its baseline, in pixels."""

    line: Line
    left: float
    baseline: float


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that were set: their places, the block's width and height, and the size it took."""

    lines: tuple[Placed, ...]
    width: float
    height: float
    size: float


def set_texts(
    paragraphs: Sequence[Paragraph], width: float, height: float, setting: Setting
) -> Block | None:
    """Set texts into an area as large as they fit; None where even the least size is too large."""
    found: list[tuple[Block, float]] = []
    for way, worth in _WAYS:
        if way[0] is Quality.DIRE and found:
            break
        block = _largest(paragraphs, width, height, setting, way)
        if block is not None:
            found.append((block, worth))
    largest = max((block.size for block, _ in found), default=0)
    return next((block for block, worth in found if block.size >= worth * largest), None)


def _largest(
    paragraphs: Sequence[Paragraph], width: float, height: float, setting: Setting, way: Way
) -> Block | None:
    size = setting.most
    while True:
        size = max(size, setting.least)
        block = _at(paragraphs, width, height, setting, way, size)
        if block is not None or size <= setting.least:
            return block
        size *= _SHRINK


def _at(
    paragraphs: Sequence[Paragraph],
    width: float,
    height: float,
    setting: Setting,
    way: Way,
    size: float,
) -> Block | None:
    """Set texts at one size; None where they do not fit."""
    rows: list[tuple[Line, bool]] = []
    for n, one in enumerate(paragraphs):
        own = size * setting.first if n == 0 else size
        quality = way[min(n, 1)]
        starts = wrap(one, width, own, quality)
        if starts is None or (len(starts) + len(rows) + 1) * own * 0.9 > height + own:
            return None
        starts = _evened(one, width, own, quality, starts)
        edges = [0, *starts, len(one.text)]
        for k, (start, stop) in enumerate(pairwise(edges)):
            rows.append((shaped(one, start, stop, own), k == 0 and n > 0))
    block = _stacked(rows, setting, size)
    return block if block.height <= height and block.width <= width + 1 else None


def _evened(
    paragraph: Paragraph, width: float, size: float, quality: Quality | None, starts: list[int]
) -> list[int]:
    """Break into as many lines, but as even ones as possible: no single word is left over."""
    if not starts:
        return starts
    low, high = natural_width(paragraph) * size / (len(starts) + 1), width
    best = starts
    for _ in range(12):
        middle = (low + high) / 2
        tried = wrap(paragraph, middle, size, quality)
        if tried is not None and len(tried) == len(starts):
            best, high = tried, middle
        else:
            low = middle
    return best


def _stacked(rows: Sequence[tuple[Line, bool]], setting: Setting, size: float) -> Block:
    """Put lines under each other, so that their ink never touches, and align them."""
    wide = max(line.width for line, _ in rows)
    placed: list[Placed] = []
    baseline = 0.0
    previous: Line | None = None
    for line, opens in rows:
        if previous is None:
            baseline = max(line.above, _CAP * line.size)
        else:
            step = setting.spacing * line.size + (setting.between * size if opens else 0)
            clear = previous.below + line.above + _APART * line.size
            baseline += max(step, clear)
        placed.append(Placed(line, _left(line, wide, setting.align), baseline))
        previous = line
    assert previous is not None
    return Block(tuple(placed), wide, baseline + max(previous.below, _DEEP * previous.size), size)


def _left(line: Line, wide: float, align: str) -> float:
    """Give where a line's pen begins; start and end follow the direction it is read in.

    Lines are aligned by their ink: a full-width comma at a line's end is half blank.
    """
    if align == "centre":
        return (wide - line.width) / 2 - line.start
    rightmost = (align == "end") != line.leftward
    return (wide - line.width if rightmost else 0.0) - line.start
