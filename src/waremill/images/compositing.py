"""Keeping what must not change while a model repaints the rest of a picture.

A model that is given a picture and a mask gives back a whole new picture, in which what the mask
protects is only nearly the same: letters on a label blur, a cap changes its shape. So the product's
own pixels are laid over what came back, and only what was meant to change has changed. Pure; the
model is called by others.

The original should be a cut-out with transparency. One on its old background brings the pixels of
that background along the edge: a fringe as wide as the feather.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from waremill.errors import ConfigError
from waremill.images.colour import to_srgb
from waremill.images.picture import Picture, Pixels
from waremill.images.resampling import resized

FEATHER = 2
"""Pixels over which a seam fades: enough to hide it, too few to show what was there before. A
cut-out with transparency brings nothing of what was there before, whatever the feather."""
MOVED = 25.0
"""A mean difference of kept pixels, of 255, from which a model has moved or redrawn the product, so
that what lies around it no longer fits. A blur of four pixels, softer than what a decoder loses,
came to 7, 19 and 21 on three photographs of products."""
_ROWS = 1024
_ALIKE = 0.01
"""Ratios of sides that differ by less are the same shape: sizes are whole multiples of 8 or 16."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A picture brought to the size a model is asked for, and where in it the picture lies.

    `mask` has its size, white where the model may change something: in the margins always.
    """

    picture: Picture
    mask: Picture
    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Recreated:
    """A repainted picture with what had to stay.

    `notes` are sentences for whoever reviews it. `drift` is how far the model's own version of the
    kept pixels lay from them, as a mean of 0 to 255; `kept` is the share of pixels that are the
    original's, bit by bit.
    """

    picture: Picture
    notes: tuple[str, ...]
    drift: float
    kept: float


def mask_of(picture: Picture) -> Picture:
    """Make the mask that protects a cut-out: black where it is solid, white where there is none."""
    alpha = picture.alpha
    if alpha is None:
        raise ConfigError("a picture without transparency has no cut-out to protect; give a mask")
    return Picture(np.repeat((255 - alpha)[:, :, None], 3, axis=2))


def fitted(picture: Picture, mask: Picture, width: int, height: int) -> Fitted:
    """Scale a picture and its mask into a size in pixels, without stretching.

    What is left over is filled with the picture's own edge, which gives a model the light to go on
    with. Transparency goes: colours under it would be seen by the model, so it gets grey.
    """
    pixels = _opaque(to_srgb(picture))
    scale = min(width / picture.width, height / picture.height)
    across = max(1, min(width, round(picture.width * scale)))
    down = max(1, min(height, round(picture.height * scale)))
    left, top = (width - across) // 2, (height - down) // 2
    margins = (top, height - down - top, left, width - across - left)
    plane = _scaled_plane(_plane(mask), picture.width, picture.height)
    plane = _scaled_plane(plane, across, down)
    whole = cv2.copyMakeBorder(
        np.asarray(resized(pixels, across, down)), *margins, cv2.BORDER_REPLICATE
    )
    open_ = cv2.copyMakeBorder(plane, *margins, cv2.BORDER_CONSTANT, value=(255,))
    return Fitted(
        Picture(np.asarray(whole, np.uint8)),
        Picture(np.repeat(np.asarray(open_, np.uint8)[:, :, None], 3, axis=2)),
        left,
        top,
        across,
        down,
    )


def restored(made: Picture, sent: Fitted, size: tuple[int, int]) -> tuple[Picture, tuple[str, ...]]:
    """Bring what a model made back to the size, (width, height), of what was fitted for it.

    Also gives sentences on what had to be done: a picture of another size is scaled back, one of
    another shape is cropped in its middle first.
    """
    made, notes = _as_sent(to_srgb(made), sent.picture.width, sent.picture.height)
    rows = slice(sent.top, sent.top + sent.height)
    inner = made.pixels[rows, sent.left : sent.left + sent.width]
    return Picture(resized(np.ascontiguousarray(inner), *size)), notes


def recreated(
    original: Picture, made: Picture, mask: Picture, *, feather: int = FEATHER
) -> Recreated:
    """Lay an original's protected pixels over what a model made of it.

    `mask` is black where the original stays and white where the model's picture is taken. Black
    pixels come out as they went in, in sRGB; the seam fades outward from them over `feather`
    pixels. Greys are mixed, and so is the original's transparency. A picture of another size is
    brought to the original's first, and the notes say so.
    """
    base = to_srgb(original)
    made, notes = _as_sent(to_srgb(made), base.width, base.height)
    weight = _weight(_scaled_plane(_plane(mask), base.width, base.height), base, feather)
    pixels, drift = _laid_over(base, _opaque(made), weight)
    if drift > MOVED:
        notes += (
            "the model moved or redrew what had to stay; its surroundings may no longer fit it",
        )
    return Recreated(
        Picture(pixels), notes, drift, float(np.count_nonzero(weight == 255)) / weight.size
    )


def _as_sent(made: Picture, width: int, height: int) -> tuple[Picture, tuple[str, ...]]:
    """Bring a model's picture to the size that was asked for."""
    if (made.width, made.height) == (width, height):
        return made, ()
    said = (
        f"the model made {made.width} × {made.height} pixels instead of {width} × {height}; "
        "the picture was {} back"
    )
    pixels = made.pixels
    if abs(made.width * height / (made.height * width) - 1) < _ALIKE:
        return Picture(resized(pixels, width, height)), (said.format("scaled"),)
    scale = max(width / made.width, height / made.height)
    across, down = round(width / scale), round(height / scale)
    left, top = (made.width - across) // 2, (made.height - down) // 2
    middle = np.ascontiguousarray(pixels[top : top + down, left : left + across])
    return Picture(resized(middle, width, height)), (said.format("cropped and scaled"),)


def _weight(plane: Pixels, base: Picture, feather: int) -> Pixels:
    """Give how much of the original is taken, from 0 to 255: all where the mask is black."""
    weight = 255 - plane
    if feather > 0 and (plane == 0).any():
        distance = cv2.distanceTransform((plane > 0).astype(np.uint8), cv2.DIST_L2, 5)
        near = np.clip(1 - np.asarray(distance, np.float32) / (feather + 1), 0, 1)
        near *= near * (3 - 2 * near)  # eased, so that neither end of the seam shows an edge
        weight = np.maximum(weight, np.rint(near * 255).astype(np.uint8))
    if base.alpha is not None:  # there is nothing to take where the original is transparent
        weight = np.minimum(weight, base.alpha)
    return weight


def _laid_over(base: Picture, made: Pixels, weight: Pixels) -> tuple[Pixels, float]:
    """Mix by weight, some rows at a time; also give how far the fully kept pixels lay apart."""
    out = np.empty_like(made)
    apart, count = 0, 0
    for start in range(0, base.height, _ROWS):
        rows = slice(start, start + _ROWS)
        ours, theirs = base.rgb[rows].astype(np.uint16), made[rows].astype(np.uint16)
        share: NDArray[np.uint16] = weight[rows, :, None].astype(np.uint16)
        out[rows] = (ours * share + theirs * (255 - share) + 127) // 255
        kept = weight[rows] == 255
        apart += (
            int(cv2.absdiff(base.rgb[rows][kept], made[rows][kept]).sum(dtype=np.int64))
            if kept.any()
            else 0
        )
        count += int(kept.sum()) * 3
    return out, apart / count if count else 0.0


def _plane(mask: Picture) -> Pixels:
    """Give a mask as one channel; its own transparency counts as black."""
    plane = cv2.cvtColor(np.ascontiguousarray(mask.rgb), cv2.COLOR_RGB2GRAY)
    grey: Pixels = np.asarray(plane, np.uint8)
    return grey if mask.alpha is None else np.minimum(grey, mask.alpha)


def _scaled_plane(plane: Pixels, width: int, height: int) -> Pixels:
    if plane.shape == (height, width):
        return plane
    smaller = plane.shape[0] > height
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (width, height), interpolation=how), np.uint8)


def _opaque(picture: Picture) -> Pixels:
    if picture.alpha is None:
        return picture.pixels
    alpha = picture.alpha[:, :, None].astype(np.uint16)
    mixed = (picture.rgb.astype(np.uint16) * alpha + 128 * (255 - alpha) + 127) // 255
    return mixed.astype(np.uint8)
