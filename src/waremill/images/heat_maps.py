"""A heat-map of differences: a transparent picture that is laid over the one it is about.

It draws what was measured and judges nothing. How strongly it covers the picture is for whoever
shows it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from waremill.images.picture import Picture, Pixels, Plane
from waremill.images.registration import Matrix

FAINTEST, STRONGEST = 4.0, 20.0
"""ΔE 2000 from which a difference is painted, and from which it is painted in full: what
compression and sharpening leave of a product stays below the first."""
_DENSEST = 0.9
_SHALLOWEST = 0.35
"""How much of the picture the strongest and the faintest difference cover."""
_LINES = (((20, 24, 23), 3), ((255, 255, 255), 1))
"""Colours and widths of the outline, in thousandths of the picture's longer side: a light line with
dark edges is seen on any ground."""


def heat_map(difference: Plane, whole: Plane, there: Matrix, size: tuple[int, int]) -> Picture:
    """Paint a product's differences and outline for a picture of a size (width, height).

    `difference` is in ΔE 2000 and `whole` the product's mask, 0 to 1, both on one grid, whose
    places `there` takes to the picture. Gives RGBA of the picture's size: purple to yellow where
    something differs, the product's outline, and nothing anywhere else.
    """
    width, height = size
    pixels = np.zeros((height, width, 4), np.uint8)
    left, top, right, bottom = _reach(difference.shape, there, size)
    if left >= right or top >= bottom:
        return Picture(pixels)
    part = pixels[top:bottom, left:right]
    moved = there - np.array([[0, 0, left], [0, 0, top]])
    share = (difference - FAINTEST) / (STRONGEST - FAINTEST)
    # Each differing pixel of the grid is at least a step of 255: it must not be rounded away.
    steps = np.where(difference > FAINTEST, np.clip(share * 254 + 1, 1, 255), 0)
    heat = _laid(steps.astype(np.uint8), moved, part.shape)
    part[:] = _COLOURS[heat]
    inside = _laid((np.clip(whole, 0, 1) * 255).astype(np.uint8), moved, part.shape)
    _outline(part, inside, max(size))
    return Picture(pixels)


def _reach(
    shape: tuple[int, ...], there: Matrix, size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Give the part of the picture that a grid covers: left, top, right, bottom."""
    rows, columns = shape[:2]
    corners = np.array([(x, y, 1) for x in (-1, columns) for y in (-1, rows)]).T
    places = there @ corners
    margin = 2 + max(size) // 200
    left, top = (max(0, int(np.floor(one)) - margin) for one in places.min(axis=1))
    ends = (int(np.ceil(one)) + 1 + margin for one in places.max(axis=1))
    right, bottom = (min(most, one) for most, one in zip(size, ends, strict=True))
    return left, top, right, bottom


def _laid(plane: NDArray[np.uint8], matrix: Matrix, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Lay a plane of a grid on the picture; beyond the grid there is nothing."""
    laid = cv2.warpAffine(plane, matrix, (shape[1], shape[0]), flags=cv2.INTER_LINEAR)
    return np.asarray(laid, np.uint8)


def _outline(pixels: Pixels, inside: NDArray[np.uint8], longest: int) -> None:
    """Draw where the product ends."""
    # A frame of nothing closes the line along the picture's edge.
    solid = np.pad((inside >= 128).astype(np.uint8), 1)
    lines, _ = cv2.findContours(solid, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE, offset=(-1, -1))
    for colour, share in _LINES:
        wide = max(share, round(longest * share / 1000))
        cv2.drawContours(pixels, lines, -1, (*colour, 255), wide, cv2.LINE_8)


def _colours() -> Pixels:
    """Give the colour of each step: purple to yellow, ever denser; nothing for none."""
    steps = np.arange(256, dtype=np.float32)
    share = np.clip(steps - 1, 0, 254) / 254
    # Both ends of the scale are left out: on a product they look like shadow, and like paper.
    places = np.rint(90 + share * 120).astype(np.uint8)
    found = cv2.applyColorMap(places[:, None], cv2.COLORMAP_INFERNO)[:, 0, ::-1]
    alpha = (_SHALLOWEST + (_DENSEST - _SHALLOWEST) * share) * 255
    alpha[0] = 0
    colours = np.column_stack([found, np.rint(alpha)]).astype(np.uint8)
    colours[0] = 0
    return np.asarray(colours, np.uint8)


_COLOURS = _colours()
