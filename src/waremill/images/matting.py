"""From a coarse map to an alpha matte at full size, and to the product's own colours at its edge.

Works tile by tile, so memory does not grow with the picture beyond the matte itself. Must not run a
network.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from waremill.images.picture import Pixels, Plane
from waremill.images.segmentation import Box, Coarse

SURE = 0.1
"""A map's values below this, and above its complement, are taken for background and product."""

SOFT = (0.3, 0.7)
"""Where colours tell nothing, the map between these is stretched to 0 and 1: networks blur edges
over several of their own pixels."""

REACH = 1.5
"""Cells around a pixel over which the product's and the background's colours are averaged."""

CONTRAST = 0.01 * 255**2
"""The squared distance of the two averages at which colours and map count alike."""

SURER = 8 / 255
"""In the second round, alpha within this of 0 and 1 is taken for background and product."""

WIDEN = 1
"""Pixels by which the uncertain band is widened on both sides; in a small picture a network's own
pixels are finer than the picture's, and the band would have no room for an edge."""

TILE = 1024
RADII = (2, 6, 20)
"""Over how many pixels around an edge's pixel the sure colours are averaged: the nearest that has
enough of them counts most."""

BLEED = 2
"""So many pixels beyond its edge get the product's colours too, although nobody sees them: what
mixes neighbours without regard to alpha then mixes no background in."""

_Part: TypeAlias = tuple[slice, slice]
_Places: TypeAlias = tuple[NDArray[np.intp], ...]
_Numbers: TypeAlias = NDArray[np.float32]


def alpha_of(rgb: Pixels, coarse: Coarse, *, refine: bool = True) -> Pixels:
    """Give the alpha matte of a coarse map, height × width from 0 to 255.

    Inside the map's uncertain band each pixel is placed between the average colours of the sure
    product and the sure background around it; then once more between the averages that gives, which
    lie nearer. Where the two averages are alike, the map itself decides, stretched.

    This is the colour-line step of sampling-based matting (Wang and Cohen, "Image and Video
    Matting: A Survey", 2007, section 3) with box averages for samples.
    """
    height, width = rgb.shape[:2]
    alpha = np.zeros((height, width), np.uint8)
    reach = max(2, round(REACH * coarse.cell))
    for inner, outer, core in _tiles(coarse.box, (height, width), 2 * reach + 2):
        plane = _enlarged(coarse, outer)
        if plane[core].max() < SURE:
            continue
        if not refine:
            made = plane
        elif plane[core].min() > 1 - SURE:
            made = np.ones_like(plane)
        else:
            made = _between_colours(rgb[outer], plane, reach)
        alpha[inner] = np.rint(made[core] * 255)
    return alpha


def with_own_colours(rgb: Pixels, alpha: Pixels) -> Pixels:
    """Give RGBA with the background's colour taken out of the product's edge.

    Where the product covers a pixel wholly its colour stays as it is; where it does not, the colour
    is F in I = αF + (1 − α)B, with F and B as near as can be to the average colours of the sure
    product and background nearby: F = F̂ + α(I − αF̂ − (1 − α)B̂) / (α² + (1 − α)²), the least
    squares of both distances. The averages over growing boxes follow the idea of blur fusion
    (Forte, "Approximate Fast Foreground Colour Estimation", 2021). Far outside all is 0.
    """
    height, width = alpha.shape
    made = np.zeros((height, width, 4), np.uint8)
    made[:, :, 3] = alpha
    left, top, wide, tall = cv2.boundingRect(alpha)
    seen_in = (
        max(0, left - BLEED), max(0, top - BLEED),
        min(width, left + wide + BLEED), min(height, top + tall + BLEED),
    )  # fmt: skip
    for inner, outer, core in _tiles(seen_in, (height, width), RADII[-1] + 1):
        seen = alpha[outer]
        around = cv2.dilate(seen, np.ones((2 * BLEED + 1, 2 * BLEED + 1), np.uint8))
        opaque = seen == 255
        tile = cv2.bitwise_and(rgb[outer], rgb[outer], mask=opaque.view(np.uint8))
        if not opaque[core].all():
            places = np.nonzero((around > 0) & ~opaque)
            tile[places] = _own_colours(rgb[outer], seen, places)
        made[inner][:, :, :3] = tile[core]
    return made


def _own_colours(rgb: Pixels, alpha: Pixels, places: _Places) -> Pixels:
    """Estimate the product's colours at some pixels; see `with_own_colours`."""
    product = (alpha >= 255 - 8).astype(np.uint8)
    background = (alpha <= 8).astype(np.uint8)
    colours = rgb[places].astype(np.float32)
    front, back = colours, colours
    for radius in reversed(RADII):
        near, nears = _average(rgb, product, radius, places)
        front = front + (near - front) * np.minimum(nears / 3, 1)[:, None]
        near, nears = _average(rgb, background, radius, places)
        back = back + (near - back) * np.minimum(nears / 3, 1)[:, None]
    share = alpha[places].astype(np.float32)[:, None] / 255
    left = colours - share * front - (1 - share) * back
    own = front + share * left / (share * share + (1 - share) ** 2)
    return np.clip(np.rint(own), 0, 255).astype(np.uint8)


def _tiles(box: Box, size: tuple[int, int], halo: int) -> Iterator[tuple[_Part, _Part, _Part]]:
    """Go over a box in tiles: where each lies, where it lies with what is around, itself in that.

    `size` is the picture's height and width.
    """
    for top in range(box[1], box[3], TILE):
        for left in range(box[0], box[2], TILE):
            bottom, right = min(top + TILE, box[3]), min(left + TILE, box[2])
            above, before = max(0, top - halo), max(0, left - halo)
            below, behind = min(size[0], bottom + halo), min(size[1], right + halo)
            yield (
                (slice(top, bottom), slice(left, right)),
                (slice(above, below), slice(before, behind)),
                (slice(top - above, bottom - above), slice(left - before, right - before)),
            )


def _enlarged(coarse: Coarse, part: _Part) -> Plane:
    """Give the map over a part of the picture at the picture's resolution; 0 outside the map."""
    left, top, right, bottom = coarse.box
    above, before = part[0].start, part[1].start
    across, down = (right - left) / coarse.plane.shape[1], (bottom - top) / coarse.plane.shape[0]
    # Pixels' centres lie at halves: (x + ½) / cell − ½.
    place = np.array(
        [[1 / across, 0, (before - left + 0.5) / across - 0.5],
         [0, 1 / down, (above - top + 0.5) / down - 0.5]], np.float32,
    )  # fmt: skip
    made = np.asarray(cv2.warpAffine(
        coarse.plane, place, (part[1].stop - before, part[0].stop - above),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
    ), np.float32)  # fmt: skip
    made[: max(0, top - above)] = 0
    made[max(0, bottom - above) :] = 0
    made[:, : max(0, left - before)] = 0
    made[:, max(0, right - before) :] = 0
    return made


def _between_colours(rgb: Pixels, plane: Plane, reach: int) -> Plane:
    """Solve the band of one tile; see `alpha_of`."""
    around = np.ones((2 * WIDEN + 1, 2 * WIDEN + 1), np.uint8)
    alpha = np.full(plane.shape, 0.5, np.float32)  # neither, in the first round
    alpha[cv2.erode(plane, around) > 1 - SURE] = 1
    alpha[cv2.dilate(plane, around) < SURE] = 0
    band = np.nonzero(alpha == 0.5)
    if not len(band[0]):
        return alpha
    colours = rgb[band].astype(np.float32)
    soft = np.clip((plane[band] - SOFT[0]) / (SOFT[1] - SOFT[0]), 0, 1)
    for _ in range(2):
        product = (alpha > 1 - SURER).astype(np.uint8)
        background = (alpha < SURER).astype(np.uint8)
        front, fronts = _average(rgb, product, reach, band)
        back, backs = _average(rgb, background, reach, band)
        apart = front - back
        squared = np.einsum("ij,ij->i", apart, apart)
        placed = np.einsum("ij,ij->i", colours - back, apart) / np.maximum(squared, 1)
        trust = squared / (squared + CONTRAST) * np.minimum(fronts, 1) * np.minimum(backs, 1)
        alpha[band] = np.clip(placed, 0, 1) * trust + soft * (1 - trust)
    return alpha


def _average(rgb: Pixels, mask: Pixels, reach: int, where: _Places) -> tuple[_Numbers, _Numbers]:
    """Give the mean colours of a mask's pixels around some places, and how well they are known.

    The latter is their number as percents of all around the place, so 1 stands for enough of them.
    """
    size = (2 * reach + 1, 2 * reach + 1)
    masked = cv2.bitwise_and(rgb, rgb, mask=mask)
    sums = cv2.boxFilter(masked, cv2.CV_32F, size, normalize=False)[where]
    counts = cv2.boxFilter(mask, cv2.CV_32F, size, normalize=False)[where]
    return (
        np.asarray(sums / np.maximum(counts, 1)[:, None], np.float32),
        np.asarray(counts * (100 / (size[0] * size[1])), np.float32),
    )
