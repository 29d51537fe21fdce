"""Where a picture's subject is, found by simple means that need no model.

A given mask and alpha say it exactly. Failing these, a plain border gives the subject away as what
differs from it; and for a scene there is what has other colours than the border and stands out of
the picture's own statistics. That last one is a guess: it finds a region to keep in a crop, not an
outline.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from waremill.errors import SourceError
from waremill.images.colour import Colour, to_srgb
from waremill.images.cutouts import Box, Mask, box_of
from waremill.images.delta_e import lab_of
from waremill.images.light import DECODE
from waremill.images.picture import Picture, Pixels, Plane
from waremill.images.resampling import resized

By = Literal["auto", "alpha", "mask", "border", "saliency"]

_WORKING = 512
"""Longest side a subject is looked for at."""
_SPECTRUM = 64
"""Side the spectral residual is computed at (Hou and Zhang 2007)."""
_APART = 6.0
"""Difference in L*a*b* from the border that counts as subject: well above what JPEG does to a plain
wall."""
_CALM, _PLAIN = 3.0, 0.75
"""A border is plain if this share of it is within so much, in L*a*b*, of its median: a product may
reach over the frame."""
_COLOURS = 8
"""Colours a border is summed up by."""
_SPECK = 0.0004
"""Parts smaller than this share of the picture are dust."""


def subject_box(picture: Picture, by: By = "auto", mask: Picture | None = None) -> Box:
    """Give the box of a picture's subject in its pixels.

    `by` chooses how it is found; `auto` takes the first of mask, alpha, a plain border and saliency
    that applies. Raises SourceError where what was chosen shows no subject.
    """
    if by == "mask" or (by == "auto" and mask is not None):
        return _mask_box(picture, mask)
    if by == "alpha" or (by == "auto" and _has_alpha(picture)):
        box = box_of(picture.alpha >= 26) if picture.alpha is not None else None
        if box is None:
            raise SourceError("the picture's alpha shows no subject; find it by border or saliency")
        return box
    small = _reduced(to_srgb(picture))
    plain, lab = _plain(small)
    if by == "border" or (by == "auto" and plain is not None):
        found = _unlike(lab, _median_border(lab))
        if by == "border" and not found.any():
            raise SourceError("nothing in the picture differs from its border")
    else:
        found = _salient(small, lab)
    box = box_of(found)
    if box is None:
        return Box(0, 0, picture.width, picture.height)
    return _grown(box, picture, small)


def plain_border(picture: Picture) -> Colour | None:
    """Give the colour of a picture's border, in its own profile; None where it is not plain."""
    return _plain(_reduced(picture))[0]


def _plain(pixels: Pixels) -> tuple[Colour | None, NDArray[np.float64]]:
    """Give the colour of the border if it is plain, else None; and the pixels as L*a*b*."""
    lab = lab_of(DECODE[pixels[:, :, :3]].astype(np.float64))
    around = _border(lab)
    distance = np.linalg.norm(around - np.median(around, axis=0), axis=1)
    if float(np.quantile(distance, _PLAIN)) > _CALM:
        return None, lab
    red, green, blue = np.median(_border(pixels[:, :, :3].astype(np.float64)), axis=0)
    return (int(red), int(green), int(blue)), lab


def saliency(pixels: Pixels) -> Plane:
    """Give how much each pixel stands out, from 0 to 1, by the spectral residual.

    What is left of the log amplitude spectrum after its local mean is taken away marks what the
    rest of the picture does not explain (Hou and Zhang, “Saliency Detection: A Spectral Residual
    Approach”, CVPR 2007); here the mean over L*, a* and b*.
    """
    height, width = pixels.shape[:2]
    scale = _SPECTRUM / max(height, width)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    lab = lab_of(DECODE[small[:, :, :3]].astype(np.float64))
    total = np.zeros(small.shape[:2])
    for channel in range(3):
        spectrum = np.fft.fft2(lab[:, :, channel])
        amplitude = np.log(np.abs(spectrum) + 1e-6)
        residual = amplitude - np.asarray(cv2.blur(amplitude, (3, 3)), np.float64)
        total += np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    soft = np.asarray(cv2.GaussianBlur(total, (0, 0), 2.5), np.float64)
    soft -= soft.min()
    soft /= max(float(soft.max()), 1e-12)
    return np.asarray(cv2.resize(soft.astype(np.float32), (width, height)), np.float32)


def _has_alpha(picture: Picture) -> bool:
    return picture.alpha is not None and bool((picture.alpha < 230).any())


def _mask_box(picture: Picture, mask: Picture | None) -> Box:
    if mask is None:
        raise SourceError(
            "there is no mask to find the subject by; give one, or choose another way"
        )
    if (mask.width, mask.height) != (picture.width, picture.height):
        raise SourceError(
            f"the mask is {mask.width} × {mask.height} pixels and the picture {picture.width} × "
            f"{picture.height}; they must be alike"
        )
    plane = mask.alpha if _has_alpha(mask) else mask.rgb.max(axis=2)
    box = box_of(plane >= 128) if plane is not None else None
    if box is None:
        raise SourceError("the mask is black throughout; white must mark the subject")
    return box


def _reduced(picture: Picture) -> Pixels:
    scale = min(1.0, _WORKING / max(picture.width, picture.height))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return resized(picture.rgb, *size)


def _grown(box: Box, picture: Picture, small: Pixels) -> Box:
    """Scale a box of the reduced picture up, a pixel larger on every side."""
    across, down = picture.width / small.shape[1], picture.height / small.shape[0]
    left, top = max(0, int((box.left - 1) * across)), max(0, int((box.top - 1) * down))
    right = min(picture.width, -int(-(box.right + 1) * across))
    bottom = min(picture.height, -int(-(box.bottom + 1) * down))
    return Box(left, top, right - left, bottom - top)


def _border(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the outermost fiftieth on every side as a list of colours."""
    thick = max(1, round(min(values.shape[:2]) / 50))
    sides = (values[:thick], values[-thick:], values[:, :thick], values[:, -thick:])
    return np.concatenate([side.reshape(-1, values.shape[2]) for side in sides])


def _median_border(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    middle: NDArray[np.float64] = np.median(_border(lab), axis=0)
    return middle


def _unlike(lab: NDArray[np.float64], colour: NDArray[np.float64]) -> Mask:
    """Mark what differs from a colour, without dust."""
    far = (np.linalg.norm(lab - colour, axis=2) > _APART).astype(np.uint8)
    joined = cv2.morphologyEx(far, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return _without_specks(np.asarray(joined, bool))


def _without_specks(mask: Mask) -> Mask:
    count, found, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = np.asarray(stats)[:, cv2.CC_STAT_AREA]
    large = (areas >= _SPECK * mask.size) & (np.arange(count) > 0)
    kept: Mask = large[np.asarray(found, np.int32)]
    return kept


def _salient(pixels: Pixels, lab: NDArray[np.float64]) -> Mask:
    """Mark the region that stands out, weighing the middle of the picture more.

    The threshold is Otsu's (1979), which parts the values into two groups best.
    """
    height, width = pixels.shape[:2]
    unlike = np.asarray(cv2.GaussianBlur(_from_border(lab), (0, 0), 3), np.float64)
    rows, columns = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None, :]
    middle = np.exp(-(rows**2 + columns**2) / 0.9)
    weighted = (unlike / max(float(unlike.max()), 1e-9) + saliency(pixels)) * middle
    codes = np.round(weighted / max(float(weighted.max()), 1e-9) * 255).astype(np.uint8)
    _, marked = cv2.threshold(codes, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return _without_specks(np.asarray(marked, bool))


def _from_border(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give how far each pixel's colour is from the nearest of the border's main colours.

    These are the centres of k-means begun with the colours farthest apart, so that the same picture
    always gives the same. Colours of less than a thirtieth of the border count as far away: a
    subject that is cut off by the frame must not become its own background.
    """
    around = _border(lab)
    around = around[:: max(1, len(around) // 4000)]
    centres = [np.median(around, axis=0)]
    while len(centres) < _COLOURS:
        gaps = np.min([np.linalg.norm(around - centre, axis=1) for centre in centres], axis=0)
        centres.append(around[int(gaps.argmax())])
    for _ in range(10):
        far = np.linalg.norm(around[:, None] - np.array(centres)[None], axis=2)
        nearest = far.argmin(axis=1)
        centres = [
            around[nearest == i].mean(axis=0) if (nearest == i).any() else centre
            for i, centre in enumerate(centres)
        ]
    shares = np.bincount(nearest, minlength=_COLOURS) / len(nearest)
    distances = [
        np.linalg.norm(lab - centre, axis=2) + (0 if share >= 0.03 else 30)
        for centre, share in zip(centres, shares, strict=True)
    ]
    nearest_one: NDArray[np.float64] = np.min(distances, axis=0)
    return nearest_one
