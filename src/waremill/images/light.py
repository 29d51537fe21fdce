"""Pixels as amounts of light, in which pictures may be scaled, blurred and laid over each other.

Eight-bit sRGB is a code, not an amount: averaging codes darkens edges and shifts colours. This
module turns codes into linear light and back. Light is height × width × 3 or 4 of uint16, 65535
being full; with four channels the colours are multiplied by alpha. It works in bands of rows, so
that a picture of 50 megapixels needs no float copy of itself. It knows no files and no profiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from waremill.images.picture import Pixels, Plane

Light: TypeAlias = NDArray[np.uint16]
"""Linear light, height × width × 3, or × 4 with colours multiplied by alpha; 65535 is full."""

FULL = 65535
_BAND = 1 << 20
"""Pixels handled at a time: 16 MB as four floats."""


def _decoded(codes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give linear light from 0 to 1 for sRGB codes from 0 to 1 (IEC 61966-2-1)."""
    return np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)


def _encoded(light: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


DECODE: NDArray[np.float32] = _decoded(np.arange(256) / 255).astype(np.float32)
"""Linear light from 0 to 1 by sRGB code from 0 to 255."""
_DECODE_FULL: NDArray[np.uint16] = np.round(DECODE * FULL).astype(np.uint16)
_ENCODE: NDArray[np.uint8] = np.round(_encoded(np.arange(FULL + 1) / FULL) * 255).astype(np.uint8)


def bands(height: int, width: int) -> Iterator[slice]:
    """Give the rows of a picture in slices of about a megapixel, top to bottom."""
    rows = max(1, _BAND // max(1, width))
    for top in range(0, height, rows):
        yield slice(top, min(height, top + rows))


def to_light(pixels: Pixels) -> Light:
    """Turn sRGB codes with straight alpha into light."""
    if pixels.shape[2] == 3:
        return _DECODE_FULL[pixels]
    light = np.empty(pixels.shape, np.uint16)
    for rows in bands(*pixels.shape[:2]):
        alpha = pixels[rows, :, 3:].astype(np.float32) / 255
        light[rows, :, :3] = DECODE[pixels[rows, :, :3]] * alpha * FULL + 0.5
        light[rows, :, 3:] = alpha * FULL + 0.5
    return light


def from_light(light: Light) -> Pixels:
    """Turn light into sRGB codes with straight alpha; what is wholly transparent becomes black."""
    if light.shape[2] == 3:
        return _ENCODE[light]
    pixels = np.empty(light.shape, np.uint8)
    for rows in bands(*light.shape[:2]):
        alpha = light[rows, :, 3:].astype(np.float32)
        straight = light[rows, :, :3] * (FULL / np.maximum(alpha, 1))
        pixels[rows, :, :3] = _ENCODE[np.minimum(straight + 0.5, FULL).astype(np.uint16)]
        pixels[rows, :, 3:] = np.round(alpha * (255 / FULL))
        pixels[rows, :, :3][pixels[rows, :, 3] == 0] = 0
    return pixels


def lay_over(below: Light, above: Light, left: int, top: int) -> None:
    """Lay light with alpha over light, in place; what lies outside is cut off.

    `left` and `top` are where the upper left pixel of `above` lands, and may be negative.
    Source-over of Porter and Duff (1984), for colours multiplied by alpha.
    """
    height, width = below.shape[:2]
    rows, columns = above.shape[:2]
    first, last = max(0, top), min(height, top + rows)
    start, stop = max(0, left), min(width, left + columns)
    if first >= last or start >= stop:
        return
    channels = below.shape[2]
    for band in bands(last - first, stop - start):
        here = slice(first + band.start, first + band.stop)
        there = slice(here.start - top, here.stop - top)
        upper = above[there, start - left : stop - left].astype(np.float32)
        lower = below[here, start:stop].astype(np.float32)
        lower *= 1 - upper[:, :, 3:] / FULL
        lower += upper[:, :, :channels]
        below[here, start:stop] = np.minimum(lower + 0.5, FULL).astype(np.uint16)


def darken(below: Light, shadow: Plane) -> None:
    """Take light away where a shadow of the same size falls, in place; 1 takes all of it.

    On light with alpha the shadow is a black layer of that opacity.
    """
    for band in bands(*below.shape[:2]):
        depth = shadow[band, :, None]
        lower = below[band].astype(np.float32) * (1 - depth)
        if below.shape[2] == 4:
            lower[:, :, 3:] += depth * FULL
        below[band] = np.minimum(lower + 0.5, FULL).astype(np.uint16)
