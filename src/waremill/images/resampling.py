"""Scaling that keeps brightness right and edges clean.

Pictures are scaled in linear light with colours multiplied by alpha, so that transparent pixels
lend no colour to the edge. A large reduction first averages whole blocks of pixels, which costs
little memory; the rest is done with a windowed filter.
"""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

from waremill.images.light import FULL, Light, bands, from_light, to_light
from waremill.images.picture import Pixels

_KEEP = 2
"""Blocks are averaged only down to this many times the wanted size, where the filter takes over;
below twice, the blocks' own softness would show."""


def resized(pixels: Pixels, width: int, height: int) -> Pixels:
    """Scale sRGB pixels to a size in pixels."""
    if pixels.shape[:2] == (height, width):
        return pixels
    return from_light(resized_light(pixels, width, height))


def resized_light(pixels: Pixels, width: int, height: int) -> Light:
    """Scale sRGB pixels to a size in pixels and give them as light.

    Opaque pictures are scaled with Lanczos of three lobes, pictures with alpha with a cubic
    (Keys, a = −0.5): the stronger lobes of Lanczos show as a seam along a cut-out's edge.
    """
    light = _averaged(pixels, width, height)
    if light.shape[:2] == (height, width):
        return light
    how = Image.Resampling.LANCZOS if pixels.shape[2] == 3 else Image.Resampling.BICUBIC
    out = np.empty((height, width, light.shape[2]), np.uint16)
    limit: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | float = FULL
    for channel in reversed(range(light.shape[2])):
        plane = Image.fromarray(light[:, :, channel].astype(np.float32))
        scaled = np.asarray(plane.resize((width, height), how), np.float32)
        # No more colour than coverage: an overshoot would shine along the edge.
        scaled = np.clip(scaled, 0, limit)
        if channel == 3:
            limit = scaled
        out[:, :, channel] = scaled + 0.5
    return out


def _averaged(pixels: Pixels, width: int, height: int) -> Light:
    """Give the picture as light, averaged over whole blocks where the reduction is large."""
    rows, columns = pixels.shape[:2]
    down = max(1, rows // max(1, height * _KEEP))
    across = max(1, columns // max(1, width * _KEEP))
    if down == 1 and across == 1:
        return to_light(pixels)
    # Edges that do not fill a block are averaged over fewer rows by repeating the last ones.
    tall, wide = -(-rows // down), -(-columns // across)
    out = np.empty((tall, wide, pixels.shape[2]), np.uint16)
    for band in bands(tall, wide * across * down):
        part = pixels[band.start * down : band.stop * down]
        missing = ((band.stop - band.start) * down - part.shape[0], wide * across - columns)
        if any(missing):
            part = np.pad(part, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
        size = (wide, band.stop - band.start)
        out[band] = cv2.resize(to_light(part), size, interpolation=cv2.INTER_AREA)
    return out
