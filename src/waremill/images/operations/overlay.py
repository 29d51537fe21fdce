"""The operation `overlay`: selling points as text on a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np

from waremill.errors import ConfigError, SourceError
from waremill.images.banners import Block, Setting, set_texts
from waremill.images.colour import Colour, parse_colour, to_srgb
from waremill.images.contrast import Inks, Wanted, choose_inks, luminance
from waremill.images.cutouts import Anchor, Box, place_of
from waremill.images.fonts import Fonts, Style
from waremill.images.light import DECODE, FULL, from_light, lay_over, to_light
from waremill.images.measures import pixels_of
from waremill.images.operation import Tools, operation, option
from waremill.images.picture import Picture, Pixels, Plane
from waremill.images.typesetting import draw, paragraph

_MOST_LETTERS = 600
_TRIES = 4
_Padding: TypeAlias = tuple[float, float]
"""Room beside and above the text, to the plate's edges, in pixels."""


@dataclass(frozen=True)
class OverlayOptions:
    """The text, where it stands, and what it looks like."""

    text: str | tuple[str, ...] = option("", "the lines; in one text they are parted by line feeds")
    language: str = option("", "the text's language, such as zh-Hans, ja or ar")
    direction: Literal["auto", "ltr", "rtl"] = option("auto", "which way it reads")
    anchor: Anchor = option("bottom", "where the text stands")
    position: tuple[float, ...] = option(
        (), "instead of anchor: shares of the free room, from left and top", least=0, most=1
    )
    width: str = option("80%", "the most width it takes, of the picture's: 80% or 600px")
    height: str = option("30%", "the most height it takes, of the picture's: 30% or 300px")
    margin: str = option("5%", "room to the picture's edges, of its shorter side")
    padding: str = option("3%", "room between text and plate's edge, of the picture's shorter side")
    size: str = option("8%", "the largest letters, of the picture's shorter side")
    least_size: str = option("2.2%", "the smallest letters; a text that needs smaller is refused")
    first: float = option(1.0, "the first line's size against the others'", least=1, most=3)
    spacing: float = option(1.25, "line spacing, in letter sizes", least=1, most=3)
    align: Literal["start", "centre", "end"] = option("centre", "how the lines are aligned")
    font: str = option("", "a font family, or a font file's name, to try first")
    weight: int = option(700, "how bold: 400 is regular, 700 bold", least=100, most=900)
    colour: str = option("auto", "the text's colour; auto is black or white, what reads better")
    plate: str = option("auto", "the colour under the text: auto puts one where needed; or none")
    opacity: float | None = option(None, "how solid the plate is at least", least=0, most=1)
    corner: float = option(0.25, "how round the plate's corners are", least=0, most=1)
    contrast: float = option(4.5, "the least contrast ratio, after WCAG", least=1, most=15)


@operation("overlay", OverlayOptions, uses=("fonts",))
def overlay(picture: Picture, options: OverlayOptions, tools: Tools) -> Picture:
    """Set lines of text on a picture, as large as they fit and with contrast that can be read.

    Raises SourceError where no font has a letter, or where the text does not fit at the least size;
    ConfigError where the colours given cannot be read on each other.
    """
    picture = to_srgb(picture)
    block, padding = _set(picture, options, tools)
    outer = _placed(picture, options, block, padding)
    ink = np.zeros((outer.height, outer.width), np.float32)
    for one in block.lines:
        draw(ink, one.line, padding[0] + one.left, padding[1] + one.baseline, options.weight)
    part = picture.pixels[outer.top : outer.bottom, outer.left : outer.right]
    inks = _inks(part, ink, options)
    pixels = picture.pixels.copy()
    pixels[outer.top : outer.bottom, outer.left : outer.right] = _drawn(part, ink, inks, options)
    return Picture(pixels)


def _set(picture: Picture, options: OverlayOptions, tools: Tools) -> tuple[Block, _Padding]:
    """Set the texts into the area they may take; give the block, and its padding."""
    given = options.text.split("\n") if isinstance(options.text, str) else options.text
    texts = [" ".join(text.split()) for text in given]
    texts = [text for text in texts if text]
    if not texts:
        raise ConfigError("overlay needs a text; give at least one line")
    if sum(map(len, texts)) > _MOST_LETTERS:
        raise SourceError(f"the text has more than {_MOST_LETTERS} letters, too many for a picture")
    shorter = min(picture.width, picture.height)
    margin = pixels_of(options.margin, shorter, "margin")
    padding = pixels_of(options.padding, shorter, "padding")
    wide = min(pixels_of(options.width, picture.width, "width"), picture.width - 2 * margin)
    tall = min(pixels_of(options.height, picture.height, "height"), picture.height - 2 * margin)
    if min(wide, tall) - 2 * padding < 4:
        raise ConfigError("margin and padding leave no room for text; make them smaller")
    most = pixels_of(options.size, shorter, "size")
    least = min(most, pixels_of(options.least_size, shorter, "least_size"))
    leftward = {"auto": None, "ltr": False, "rtl": True}[options.direction]
    style = Style(options.weight, options.language, options.font)
    fonts = Fonts(tools.fonts)
    paragraphs = [paragraph(text, fonts, style, leftward) for text in texts]
    setting = Setting(least, most, options.first, options.spacing, align=options.align)
    beside = padding
    for _ in range(_TRIES):
        block = set_texts(paragraphs, wide - 2 * beside, tall - 2 * padding, setting)
        if block is None:
            break
        beside = max(beside, _beside(block, padding, options.corner))
        if block.width + 2 * beside <= wide + 1:
            return block, (beside, padding)
    raise SourceError(
        f"the text does not fit into {wide:.0f} × {tall:.0f} pixels with letters of {least:.0f} "
        "pixels; shorten it, or raise width or height, or lower least_size"
    )


def _beside(block: Block, padding: float, corner: float) -> float:
    """Give the padding left and right of a block that keeps its corners off the plate's round ones.

    A corner that lies `padding` from one edge must lie inside the plate's circle of that corner.
    """
    radius = corner * (min(block.height, block.width) / 2 + padding)
    if radius <= padding:
        return padding
    return max(padding, radius - math.sqrt(radius**2 - (radius - padding) ** 2) + padding / 3)


def _placed(picture: Picture, options: OverlayOptions, block: Block, padding: _Padding) -> Box:
    """Give the box of the text with its padding in the picture."""
    margin = pixels_of(options.margin, min(picture.width, picture.height), "margin")
    width, height = round(block.width + 2 * padding[0]), round(block.height + 2 * padding[1])
    across, down = place_of(options.anchor, options.position)
    left = margin + across * (picture.width - 2 * margin - width)
    top = margin + down * (picture.height - 2 * margin - height)
    return Box(
        min(max(0, round(left)), picture.width - width),
        min(max(0, round(top)), picture.height - height),
        width,
        height,
    )


def _inks(part: Pixels, ink: Plane, options: OverlayOptions) -> Inks:
    """Choose the colours, from what the letters will stand on."""
    text = None if options.colour == "auto" else parse_colour(options.colour)
    named = options.plate not in ("auto", "none")
    plate: Colour | None = parse_colour(options.plate) if named else None
    reach = max(3, round(min(ink.shape) / 20))
    near = cv2.dilate((ink > 0.1).astype(np.uint8), np.ones((reach, reach), np.uint8))
    ground = luminance(part)[np.asarray(near, bool)]
    if not ground.size:
        ground = luminance(part).ravel()
    wanted = Wanted(text, plate, options.plate != "none", options.opacity, options.contrast)
    inks = choose_inks(ground, wanted)
    if inks.ratio < options.contrast:
        raise ConfigError(
            f"the text would have a contrast of {inks.ratio:.1f}, and {options.contrast:g} is "
            "asked for; let colour or plate be auto"
        )
    return inks


def _drawn(part: Pixels, ink: Plane, inks: Inks, options: OverlayOptions) -> Pixels:
    """Draw plate and letters on their part of the picture."""
    light = to_light(part)
    if inks.opacity:
        plate = _rounded(ink.shape, options.corner) * inks.opacity
        lay_over(light, _painted(plate, inks.plate), 0, 0)
    lay_over(light, _painted(ink, inks.text), 0, 0)
    return from_light(light)


def _painted(cover: Plane, colour: Colour) -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    """Give light of one colour where a plane covers."""
    shade = np.array([*DECODE[list(colour)], 1.0], np.float32)
    return np.round(cover[:, :, None] * shade * FULL).astype(np.uint16)


def _rounded(shape: tuple[int, ...], corner: float) -> Plane:
    """Give a rectangle with round corners that fills a plane, with smooth edges."""
    height, width = shape[:2]
    radius = max(0.5, corner * min(height, width) / 2)
    rows = np.abs(np.arange(height) + 0.5 - height / 2)[:, None] - (height / 2 - radius)
    columns = np.abs(np.arange(width) + 0.5 - width / 2)[None, :] - (width / 2 - radius)
    distance = np.hypot(np.maximum(rows, 0), np.maximum(columns, 0)) - radius
    return np.asarray(np.clip(0.5 - distance, 0, 1), np.float32)
