"""Crops round a subject: what part of a picture, or of the ground beyond it, to show.

Boxes are worked out on sizes alone; `cropped` then takes the pixels.
"""

from __future__ import annotations

import numpy as np

from waremill.images.cutouts import Box
from waremill.images.picture import Picture, Pixels


def around(subject: Box, margin: float, ratio: float | None) -> Box:
    """Give the smallest box of a ratio that holds a subject and its margin, the subject centred.

    It may reach beyond the picture. Without a ratio the box is the subject and its margin.
    """
    width, height = subject.width + 2 * margin, subject.height + 2 * margin
    if ratio is not None:
        width, height = max(width, height * ratio), max(height, width / ratio)
    wide, tall = max(1, round(width)), max(1, round(height))
    left = round(subject.left + (subject.width - wide) / 2)
    top = round(subject.top + (subject.height - tall) / 2)
    return Box(left, top, wide, tall)


def within(box: Box, width: int, height: int) -> Box:
    """Move a box into a picture of a size; one that is too large shrinks at its own ratio.

    A box that shrinks keeps its middle where it can, so the margin goes first, then the subject's
    rim on both sides alike.
    """
    scale = min(1.0, width / box.width, height / box.height)
    wide, tall = (
        min(width, max(1, round(box.width * scale))),
        min(height, max(1, round(box.height * scale))),
    )
    left = round(box.left + (box.width - wide) / 2)
    top = round(box.top + (box.height - tall) / 2)
    return Box(min(max(left, 0), width - wide), min(max(top, 0), height - tall), wide, tall)


def reaches_beyond(box: Box, width: int, height: int) -> bool:
    """Say whether a box is too large for a picture of a size, wherever it is moved."""
    return box.width > width or box.height > height


def nudged(box: Box, width: int, height: int) -> Box:
    """Move a box as far into a picture as it goes, without changing its size."""
    left = box.left if box.width > width else min(max(box.left, 0), width - box.width)
    top = box.top if box.height > height else min(max(box.top, 0), height - box.height)
    return Box(left, top, box.width, box.height)


def cropped(picture: Picture, box: Box, colour: tuple[int, int, int]) -> Picture:
    """Take a box of a picture; what lies beyond it is the colour, or transparent with alpha.

    The colour is in the picture's own profile.
    """
    first, last = max(0, box.top), min(picture.height, box.bottom)
    start, stop = max(0, box.left), min(picture.width, box.right)
    if (first, last, start, stop) == (box.top, box.bottom, box.left, box.right):
        return Picture(picture.pixels[first:last, start:stop].copy(), picture.profile)
    ground = (*colour, 0)[: picture.pixels.shape[2]]
    pixels = np.full((box.height, box.width, picture.pixels.shape[2]), ground, np.uint8)
    if first < last and start < stop:
        rows = slice(first - box.top, last - box.top)
        columns = slice(start - box.left, stop - box.left)
        pixels[rows, columns] = picture.pixels[first:last, start:stop]
    return Picture(pixels, picture.profile)


def with_alpha(pixels: Pixels) -> Pixels:
    """Give pixels with an alpha channel, wholly solid where they had none."""
    if pixels.shape[2] == 4:
        return pixels
    return np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
