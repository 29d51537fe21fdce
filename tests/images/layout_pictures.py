"""What the tests of layout share: drawn cut-outs, tools, operations run as a pipeline runs them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from waremill.errors import SourceError
from waremill.images.fonts import Fonts, Style
from waremill.images.operation import Tools, operations, read_options
from waremill.images.picture import Made, Picture
from waremill.images.scripts import script_of

TOOLS = Tools(weights=Path)
WHITE = (255, 255, 255)


def run(name: str, source: Picture, /, **options: Any) -> Made:
    """Run an operation with options as they stand in a pipeline or on the command line."""
    one = operations()[name]
    return one.run(source, read_options(one.options, options, name), TOOLS)


def picture_of(name: str, source: Picture, /, **options: Any) -> Picture:
    made = run(name, source, **options)
    assert isinstance(made, Picture)
    return made


def pictures_of(name: str, source: Picture, /, **options: Any) -> tuple[Picture, ...]:
    made = run(name, source, **options)
    assert isinstance(made, tuple)
    return made


def plain(width: int, height: int, colour: tuple[int, ...] = WHITE) -> Picture:
    return Picture(np.full((height, width, len(colour)), colour, np.uint8))


def cutout(
    size: tuple[int, int] = (300, 300),
    box: tuple[int, int, int, int] = (100, 60, 100, 200),
    colour: tuple[int, int, int] = (200, 40, 40),
) -> Picture:
    """A plain product, left, top, width and height in `box`, on transparent ground of `size`."""
    width, height = size
    pixels = np.zeros((height, width, 4), np.uint8)
    left, top, wide, tall = box
    pixels[top : top + tall, left : left + wide] = (*colour, 255)
    return Picture(pixels)


def extent(mask: np.ndarray[Any, Any]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is true, the last two exclusive."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def need_letters(*letters: str) -> None:
    """Skip where the machine has no font for some letters; on CI that is a failure instead."""
    fonts = Fonts(())
    for letter in letters:
        try:
            fonts.choose(letter, script_of(letter), Style())
        except SourceError as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"{error}; .ci/run installs it")
