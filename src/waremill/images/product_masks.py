"""Where the product is: its mask, given, from alpha, or by its difference to a plain background.

Every figure about the product starts from such a mask. Scenes need one from outside, for nothing
here understands what it sees.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from waremill.errors import SourceError
from waremill.images.colour import Colour, to_srgb
from waremill.images.picture import Picture, Plane

Mask = NDArray[np.bool_]

DIFFERENCE = 14
"""Steps of 255 by which a channel must differ from the background to be the product's; fainter
shadows count as background."""
_RING = 0.02
"""How deep the frame is that is taken for background, as a share of the shorter side."""
_PLAIN = 0.6
"""So much of the frame must be of one colour for the background to be plain."""
_SPECK = 0.0002
"""Parts smaller than this share of the picture are dust."""


@dataclass(frozen=True, slots=True)
class Background:
    """A plain background: its colour, and the share of the picture's frame that is of it."""

    colour: Colour
    share: float


def find_product(picture: Picture, given: Plane | None = None) -> Plane | None:
    """Give the product's mask, height × width from 0 to 1; None where there is no way to tell.

    It is what was given; else the alpha channel, where that hides anything; else what differs from
    a plain background by more than 14 steps of 255 in a channel, holes that do not reach the frame
    included. Raises SourceError for a given mask of another size.
    """
    if given is not None:
        if given.shape != picture.pixels.shape[:2]:
            raise SourceError(
                f"the product's mask is {given.shape[1]} × {given.shape[0]} pixels, "
                f"the picture {picture.width} × {picture.height}"
            )
        return given
    if picture.alpha is not None and picture.alpha.min() < 255:
        return picture.alpha.astype(np.float32) / np.float32(255)
    background = plain_background(picture)
    return None if background is None else _off(picture, background.colour)


def plain_background(picture: Picture) -> Background | None:
    """Find the colour of a plain background; None where the picture's frame is of many colours.

    The colour is the frame's most frequent one within 14 steps (its median there); the frame is
    2 % of the shorter side deep. 60 % of it must be of that colour: a product may leave the
    picture on one or two sides.
    """
    rgb = to_srgb(picture).rgb
    ring = _frame(rgb)
    # The most frequent of 16 × 16 × 16 coarse colours is a start that outliers do not move.
    coarse = (ring >> 4).astype(np.int32) @ np.array((256, 16, 1))
    start = ring[coarse == np.bincount(coarse).argmax()]
    colour = np.median(start, axis=0)
    near = np.abs(ring.astype(np.int16) - colour).max(axis=1) <= DIFFERENCE
    share = float(near.mean())
    if share < _PLAIN:
        return None
    red, green, blue = (round(float(value)) for value in np.median(ring[near], axis=0))
    return Background((red, green, blue), share)


def solid(mask: Plane) -> Mask:
    """Say for each pixel whether it is mostly the product's."""
    return mask >= 0.5


def box_of(mask: Plane) -> tuple[int, int, int, int] | None:
    """Give the box around the product as left, top, right, bottom in pixels; None without one."""
    inside = solid(mask)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def large_parts(mask: Plane) -> Plane:
    """Give the mask without parts smaller than a tenth of its largest one, such as letters."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(solid(mask).astype(np.uint8))
    areas = np.asarray(stats)[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    large = (areas > 0) & (areas >= areas.max() / 10) if count > 1 else np.zeros(count, bool)
    return np.asarray(mask * large[parts], np.float32)


def _frame(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give the pixels near the picture's four sides, one a row."""
    height, width = rgb.shape[:2]
    deep = max(1, round(min(height, width) * _RING))
    sides = (rgb[:deep], rgb[-deep:], rgb[:, :deep], rgb[:, -deep:])
    return np.concatenate([side.reshape(-1, 3) for side in sides])


def _off(picture: Picture, colour: Colour) -> Plane:
    """Give what is not background: not of its colour, or enclosed by the product."""
    rgb = to_srgb(picture).rgb
    low = np.clip(np.array(colour) - DIFFERENCE, 0, 255).tolist()
    high = np.clip(np.array(colour) + DIFFERENCE, 0, 255).tolist()
    alike = cv2.inRange(rgb, np.array(low, np.uint8), np.array(high, np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(alike, connectivity=4)
    edge = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    outside = np.zeros(count, bool)
    outside[np.unique(edge)] = True
    outside[0] = False
    product = (~outside[parts]).astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(product, connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= max(4, _SPECK * product.size)
    large[0] = False
    return np.asarray(large[parts], np.float32)
