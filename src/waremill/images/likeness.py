"""How like two registered pictures are, pixel by pixel: colour, structure, edges.

Both are on one grid already. A pixel of displacement is forgiven, for resampling and compression
leave as much; what is further off is a difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from waremill.images.delta_e import delta_e, lab_of
from waremill.images.light import DECODE
from waremill.images.picture import Pixels, Plane

Lab = NDArray[np.float32]
N = TypeVar("N", bound=np.generic)


def lab(rgb: Pixels, blur: float) -> Lab:
    """Give L*a*b* of sRGB pixels, blurred in light by a Gaussian of `blur` pixels."""
    light = cv2.GaussianBlur(DECODE[rgb[:, :, :3]], (0, 0), blur)
    return np.asarray(lab_of(np.asarray(light, np.float64)), np.float32)


def colour_difference(first: Lab, second: Lab) -> NDArray[np.float32]:
    """Give ΔE 2000 at each pixel, forgiving one pixel of displacement; both ways, the larger.

    Each pixel is compared with the nearest in colour (ΔE 1976) of the other's 3 × 3 around.
    """
    both = [
        delta_e(*(np.asarray(side, np.float64) for side in (one, _nearest(one, other))))
        for one, other in ((first, second), (second, first))
    ]
    return np.asarray(np.maximum(*both), np.float32)


def ssim(first: Plane, second: Plane) -> NDArray[np.float32]:
    """Give the structural similarity at each pixel, −1 to 1, of luma from 0 to 255.

    Gaussian window of σ = 1.5, K₁ = 0.01, K₂ = 0.03 (Wang, Bovik, Sheikh and Simoncelli, Image
    quality assessment: from error visibility to structural similarity, IEEE TIP 13, 2004).
    """
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_1, mean_2, square_1, square_2, product = (
        np.asarray(cv2.GaussianBlur(plane, (11, 11), 1.5), np.float32)
        for plane in (first, second, first * first, second * second, first * second)
    )
    var_1, var_2 = square_1 - mean_1**2, square_2 - mean_2**2
    both = product - mean_1 * mean_2
    over = (2 * mean_1 * mean_2 + c1) * (2 * both + c2)
    return np.asarray(over / ((mean_1**2 + mean_2**2 + c1) * (var_1 + var_2 + c2)), np.float32)


def lost_edges(first: Plane, second: Plane, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Say where an edge of the first picture has none of the second within two pixels.

    An edge is a ridge of the luma's slope of at least 12 steps of 255 a pixel after a blur of
    σ = 1; the other's counts from a third of that on, and if it runs the same way within 30°.
    """
    strong = _edges(first, 12.0)[0] & inside
    _, slope_1 = _edges(first, 12.0)
    weak, slope_2 = _edges(second, 4.0)
    found = np.zeros_like(strong)
    for down, across in _around(2):
        there = _moved(weak, down, across)
        along = slope_1 * np.conj(_moved(slope_2, down, across))
        same_way = np.abs(np.angle(along)) < np.pi / 6
        found |= there & same_way
    return strong & ~found


def edges(plane: Plane, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Say where the edges are that `lost_edges` looks for."""
    return _edges(plane, 12.0)[0] & inside


def _nearest(one: Lab, other: Lab) -> Lab:
    best = other.copy()
    least = ((one - other) ** 2).sum(axis=2)
    for down, across in _around(1):
        candidate = _moved(other, down, across)
        off = ((one - candidate) ** 2).sum(axis=2)
        closer = off < least
        best[closer] = candidate[closer]
        least = np.minimum(least, off)
    return best


def _edges(plane: Plane, least: float) -> tuple[NDArray[np.bool_], NDArray[np.complex64]]:
    """Give ridges of the slope, and the slope itself as a complex number."""
    smooth = cv2.GaussianBlur(plane, (0, 0), 1.0)
    across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8)
    slope = np.asarray(across + 1j * down, np.complex64)
    steep = np.abs(slope)
    wide = np.abs(across) >= np.abs(down)
    beside = np.where(
        wide,
        np.maximum(_moved(steep, 0, 1), _moved(steep, 0, -1)),
        np.maximum(_moved(steep, 1, 0), _moved(steep, -1, 0)),
    )
    return np.asarray((steep >= least) & (steep >= beside), np.bool_), slope


def _around(reach: int) -> Iterator[tuple[int, int]]:
    for down in range(-reach, reach + 1):
        for across in range(-reach, reach + 1):
            yield down, across


def _moved(plane: NDArray[N], down: int, across: int) -> NDArray[N]:
    """Give the plane with everything moved; what comes in at the sides repeats the border."""
    height, width = plane.shape[:2]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - across, 0, width - 1)
    return plane[rows[:, None], columns]
