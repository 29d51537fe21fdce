"""Cut-outs: products on transparent ground, and where on a canvas they go.

A cut-out's frame says nothing; its solid part does. Placing works on sizes alone and touches no
pixel, so that what a marketplace demands can be checked before anything is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from waremill.errors import ConfigError, SourceError
from waremill.images.colour import to_srgb
from waremill.images.picture import Picture, Pixels

Anchor = Literal[
    "top-left", "top", "top-right", "left", "centre", "right", "bottom-left", "bottom",
    "bottom-right",
]  # fmt: skip

Mask: TypeAlias = NDArray[np.bool_]
"""Which pixels, height × width."""

_SOLID = 26
"""Alpha from which a pixel belongs to the product: 10 %; fainter ones are haze."""
_FIRM = 153
"""Alpha a separate part must reach somewhere to be product, 60 %: what stays fainter throughout is
a shadow that was cut out with it."""
_LOOKED_AT = 1200
"""Longest side at which separate parts are looked for."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels: its upper left corner and its size."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The column after the last."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The row after the last."""
        return self.top + self.height


@dataclass(frozen=True, slots=True, eq=False)
class Cutout:
    """A product's RGBA pixels in sRGB, trimmed, and the box of its solid part in them."""

    pixels: Pixels
    solid: Box


def box_of(mask: Mask) -> Box | None:
    """Give the smallest box round what is true in height × width; None where nothing is."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    left, top = int(columns[0]), int(rows[0])
    return Box(left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1)


def need_alpha(picture: Picture) -> Pixels:
    """Give the pixels, in sRGB, of a picture that has something transparent and something solid.

    Raises SourceError for any other.
    """
    picture = to_srgb(picture)
    if picture.alpha is None or not (picture.alpha < 255).any():
        raise SourceError("the picture has no transparent background; cut the product out first")
    if not (picture.alpha >= _SOLID).any():
        raise SourceError("the picture is wholly transparent; there is no product in it")
    return picture.pixels


def trimmed(picture: Picture, keep_shadow: bool = False) -> Cutout:
    """Trim a cut-out to what is not wholly transparent, and find its solid part.

    A faint part that does not touch the product is the shadow of another scene and is left out,
    unless `keep_shadow`. Raises SourceError for a picture without transparent background or without
    a product.
    """
    pixels = need_alpha(picture)
    if not keep_shadow:
        pixels = _without_shadow(pixels)
    outer, inner = box_of(pixels[:, :, 3] > 0), box_of(pixels[:, :, 3] >= _SOLID)
    assert outer is not None and inner is not None  # need_alpha saw a solid pixel
    solid = Box(inner.left - outer.left, inner.top - outer.top, inner.width, inner.height)
    return Cutout(pixels[outer.top : outer.bottom, outer.left : outer.right], solid)


def _without_shadow(pixels: Pixels) -> Pixels:
    """Clear separate parts that are faint throughout; give the pixels themselves if there are none.

    Where nothing is firm, as in a veil, nothing is cleared.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, _LOOKED_AT / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    alpha = np.asarray(cv2.resize(pixels[:, :, 3], size, interpolation=cv2.INTER_AREA), np.uint8)
    count, found = cv2.connectedComponents((alpha > 2).astype(np.uint8), connectivity=8)
    labels = np.asarray(found, np.int32)
    firm = np.zeros(count, bool)
    firm[np.unique(labels[alpha >= _FIRM])] = True
    if not firm.any() or firm[1:].all():
        return pixels
    # Grown by a pixel of the reduced picture, so that soft edges keep their last steps.
    product = np.asarray(cv2.dilate(firm[labels].astype(np.uint8), np.ones((3, 3), np.uint8)))
    kept = cv2.resize(product, (width, height), interpolation=cv2.INTER_NEAREST)
    cleared = pixels.copy()
    cleared[:, :, 3] *= np.asarray(kept, np.uint8)
    return cleared


@dataclass(frozen=True, slots=True)
class Wish:
    """Where a product should go.

    `fill` is the share of the canvas's width or height it spans, whichever it reaches first;
    `margin` the least distance to every edge in pixels; `place` where the room that is left over
    goes, as shares from the left and the top; `enlarge` how many times the product may be enlarged.
    """

    fill: float
    margin: float = 0
    place: tuple[float, float] = (0.5, 0.5)
    enlarge: float = 1


@dataclass(frozen=True, slots=True)
class Placing:
    """The scale a cut-out gets, and the box of its solid part on the canvas."""

    scale: float
    solid: Box


def placed(cutout: Cutout, canvas: tuple[int, int], wish: Wish) -> Placing:
    """Work out a product's scale and place on a canvas of width × height.

    The margin outranks the fill. Raises ConfigError where the margins leave no room, and
    SourceError where the product would have to be enlarged more than allowed.
    """
    width, height = canvas
    room = (width - 2 * wish.margin, height - 2 * wish.margin)
    if min(room) < 1:
        raise ConfigError(
            f"a margin of {wish.margin:.0f} pixels leaves no room on {width} × {height} pixels"
        )
    solid = cutout.solid
    scale = _scale(solid, canvas, wish)
    # A canvas has whole pixels, so one that was made for the product may be a part too large.
    if _scale(solid, (width - 1, height - 1), wish) > wish.enlarge + 1e-9:
        raise SourceError(
            f"the product is {solid.width} × {solid.height} pixels and would be enlarged "
            f"{math.ceil(scale * 10 - 1e-6) / 10:.1f} times on {width} × {height}; upscale it "
            "first, take a smaller canvas or fill, or raise enlarge"
        )
    scale = min(scale, wish.enlarge)
    wide, tall = max(1, round(solid.width * scale)), max(1, round(solid.height * scale))
    left = wish.margin + wish.place[0] * (room[0] - wide)
    top = wish.margin + wish.place[1] * (room[1] - tall)
    return Placing(scale, Box(round(left), round(top), wide, tall))


def _scale(solid: Box, canvas: tuple[int, int], wish: Wish) -> float:
    """Give the scale at which a product spans what is wished, within the margins."""
    width, height = canvas
    return min(
        wish.fill * width / solid.width,
        wish.fill * height / solid.height,
        (width - 2 * wish.margin) / solid.width,
        (height - 2 * wish.margin) / solid.height,
    )


def place_of(anchor: Anchor, position: tuple[float, ...]) -> tuple[float, float]:
    """Give an anchor, or a position that overrides it, as shares from the left and the top."""
    if position:
        if len(position) != 2:
            raise ConfigError("position must be two numbers from 0 to 1, such as 0.5, 0.8")
        return position[0], position[1]
    across = 0.0 if "left" in anchor else 1.0 if "right" in anchor else 0.5
    down = 0.0 if "top" in anchor else 1.0 if "bottom" in anchor else 0.5
    return across, down
