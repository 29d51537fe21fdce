"""Whether text can be read on a ground, by WCAG's contrast ratio, and what to do where it cannot.

A ground here is the luminance of the pixels under and round the letters; the ratio that counts is
that of all but its worst fiftieth. Nothing here draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from waremill.images.colour import Colour
from waremill.images.light import DECODE
from waremill.images.picture import Pixels

Luminances = NDArray[np.float32]

DARK: Colour = (17, 17, 17)
LIGHT: Colour = (255, 255, 255)
_WORST = 0.02
_MIDDLE = 0.18
"""Luminance at which black and white contrast alike: (x + 0.05)² = 0.05 · 1.05."""
_OPACITIES = (0.0, 0.5, 0.62, 0.74, 0.86, 1.0)
"""How solid a plate may be made, from none at all; below a half it only dims."""


@dataclass(frozen=True, slots=True)
class Inks:
    """The colours a text is drawn with: its own, its plate's, and how solid the plate is."""

    text: Colour
    plate: Colour
    opacity: float
    ratio: float


def luminance(pixels: Pixels) -> Luminances:
    """Give the relative luminance of sRGB pixels, 0 to 1 (WCAG 2.2, definition)."""
    shares = np.array([0.2126, 0.7152, 0.0722], np.float32)
    found: Luminances = DECODE[pixels[..., :3]] @ shares
    return found


def luminance_of(colour: Colour) -> float:
    """Give the relative luminance of one colour."""
    return float(luminance(np.array([[colour]], np.uint8))[0, 0])


def ratios(text: float, ground: Luminances) -> Luminances:
    """Give the contrast ratio of a text's luminance with each of a ground's, from 1 to 21."""
    lighter, darker = np.maximum(ground, text), np.minimum(ground, text)
    return np.asarray((lighter + 0.05) / (darker + 0.05), np.float32)


def readable(text: Colour, ground: Luminances) -> float:
    """Give the contrast ratio that all but the worst fiftieth of a ground keeps with a colour."""
    return float(np.quantile(ratios(luminance_of(text), ground), _WORST))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of the colours: what is given is kept, None is chosen.

    `plate_allowed` is false for letters straight on the ground; `opacity` is the least a plate has;
    `ratio` the least contrast.
    """

    text: Colour | None = None
    plate: Colour | None = None
    plate_allowed: bool = True
    opacity: float | None = None
    ratio: float = 4.5


def choose_inks(ground: Luminances, wanted: Wanted) -> Inks:
    """Choose the colours that a text reads with on a ground.

    The text is black or white, white where it stands on something dark, unless only the other
    reads; the plate is the other one. A given plate is solid unless an opacity is given too;
    otherwise one is put under only where the ground alone does not do, and no more solid than
    needed. If nothing reaches the ratio, the best there is comes back, and says what it has.
    """
    best: Inks | None = None
    for opacity in _opacities(wanted):
        for text in _texts(wanted, ground, opacity):
            plate = wanted.plate or _opposite(text)
            covered = ground * (1 - opacity) + luminance_of(plate) * opacity
            inks = Inks(text, plate, opacity, readable(text, covered))
            if inks.ratio >= wanted.ratio:
                return inks
            if best is None or inks.ratio > best.ratio:
                best = inks
    assert best is not None  # there is always an opacity to try
    return best


def _opacities(wanted: Wanted) -> list[float]:
    """Give how solid the plate may be, the least first."""
    if not wanted.plate_allowed:
        return [0.0]
    if wanted.opacity is not None:
        return sorted({wanted.opacity, *(step for step in _OPACITIES if step > wanted.opacity)})
    return [1.0] if wanted.plate is not None else list(_OPACITIES)


def _texts(wanted: Wanted, ground: Luminances, opacity: float) -> list[Colour]:
    """Give the colours a text may have, the more natural one first."""
    if wanted.text is not None:
        return [wanted.text]
    behind = float(np.median(ground))
    if wanted.plate is not None:
        behind = behind * (1 - opacity) + luminance_of(wanted.plate) * opacity
    return [LIGHT, DARK] if behind < _MIDDLE else [DARK, LIGHT]


def _opposite(ink: Colour) -> Colour:
    return DARK if luminance_of(ink) > _MIDDLE else LIGHT
