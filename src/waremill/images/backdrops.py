"""Backgrounds for cut-outs: plain colours, gradients, and pictures made to fit.

Everything comes back as opaque sRGB pixels of exactly the size asked for. What stands on a
background is not known here.
"""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np

from waremill.errors import SourceError
from waremill.images.colour import Colour, to_srgb
from waremill.images.light import bands, from_light, lay_over, to_light
from waremill.images.picture import Picture, Pixels
from waremill.images.resampling import resized

Gradient = Literal["none", "linear", "radial"]
Fit = Literal["cover", "contain", "tile"]

_SHARPEST = 4.0
"""Largest sigma of a blur at full size; for a softer one the picture is reduced first."""


def plain(width: int, height: int, colour: Colour) -> Pixels:
    """Give one colour throughout."""
    return np.full((height, width, 3), colour, np.uint8)


def gradient(
    width: int, height: int, kind: Gradient, colours: tuple[Colour, Colour], angle: float = 180
) -> Pixels:
    """Give a gradient from the first colour to the second.

    `angle` is as in CSS, in degrees clockwise: 0 runs upward, 90 to the right, 180 downward; a
    radial gradient runs from the middle to the corners. Mixed in sRGB codes as browsers do, with a
    fixed noise of one step that keeps a wide gradient from showing bands.
    """
    first, second = (np.array(colour, np.float32) for colour in colours)
    if kind == "none":
        return plain(width, height, colours[0])
    across, down = (width - 1) / 2, (height - 1) / 2
    columns = np.arange(width, dtype=np.float32)[None, :] - across
    out = np.empty((height, width, 3), np.uint8)
    noise = np.random.default_rng(0)
    turn = math.radians(angle)
    reach = abs(across * math.sin(turn)) + abs(down * math.cos(turn)) or 1.0
    for band in bands(height, width):
        rows = np.arange(band.start, band.stop, dtype=np.float32)[:, None] - down
        if kind == "linear":
            place = (columns * math.sin(turn) - rows * math.cos(turn)) / reach / 2 + 0.5
        else:
            place = np.hypot(columns / max(across, 1), rows / max(down, 1)) / math.sqrt(2)
        mixed = first + (second - first) * np.clip(place, 0, 1)[:, :, None]
        grain = noise.random(place.shape, dtype=np.float32) - noise.random(
            place.shape, dtype=np.float32
        )
        out[band] = np.clip(np.round(mixed + 0.5 * grain[:, :, None]), 0, 255)
    return out


def fitted(
    picture: Picture, size: tuple[int, int], fit: Fit, colour: Colour, blur: float = 0
) -> Pixels:
    """Give a picture as a background of width × height.

    `cover` fills the frame and cuts off what hangs over, `contain` shows all of it on the plain
    colour, `tile` repeats it unscaled from the upper left. `blur` is the sigma as a share of the
    longer side. Transparent parts show the colour.
    """
    picture = to_srgb(picture)
    width, height = size
    if not picture.width or not picture.height:
        raise SourceError("the background picture is empty; give one with at least one pixel")
    pixels = picture.pixels
    if fit == "tile":
        pixels = np.tile(pixels, (-(-height // picture.height), -(-width // picture.width), 1))
        pixels = pixels[:height, :width]
    elif fit == "cover":
        scale = max(width / picture.width, height / picture.height)
        # The part that will be seen is cut out first: scaling the rest would be for nothing.
        wide, tall = min(picture.width, width / scale), min(picture.height, height / scale)
        left, top = round((picture.width - wide) / 2), round((picture.height - tall) / 2)
        pixels = pixels[top : top + max(1, round(tall)), left : left + max(1, round(wide))]
        pixels = resized(pixels, width, height)
    else:
        scale = min(width / picture.width, height / picture.height)
        shown = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        pixels = resized(pixels, min(width, shown[0]), min(height, shown[1]))
    if blur:
        pixels = softened(pixels, blur * max(size))
    return _on_plain(pixels, size, colour)


def softened(pixels: Pixels, sigma: float) -> Pixels:
    """Blur pixels by a Gaussian of `sigma` pixels, in linear light."""
    height, width = pixels.shape[:2]
    step = max(1, int(sigma / _SHARPEST))
    light = to_light(resized(pixels, max(1, width // step), max(1, height // step)))
    kept = max(0.1, sigma * light.shape[1] / width)
    soft = cv2.GaussianBlur(light, (0, 0), kept, borderType=cv2.BORDER_REPLICATE)
    if light.shape[:2] != (height, width):
        soft = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
    return from_light(np.asarray(soft, np.uint16))


def _on_plain(pixels: Pixels, size: tuple[int, int], colour: Colour) -> Pixels:
    """Put pixels in the middle of a plain ground of width × height, where they leave it bare."""
    width, height = size
    if pixels.shape == (height, width, 3):
        return pixels
    ground = plain(width, height, colour)
    left, top = (width - pixels.shape[1]) // 2, (height - pixels.shape[0]) // 2
    if pixels.shape[2] == 3:
        ground[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        return ground
    light = to_light(ground)
    lay_over(light, to_light(pixels), left, top)
    return from_light(light)
