"""Where a picture shows letters: what must not be redrawn by a network that guesses.

A network that sharpens turns a blurred 8 into a clean 6. The detector therefore looks for what
letters are made of and rather marks too much than too little; what it marks is only scaled
differently. Must not read the letters.
"""

from __future__ import annotations

import cv2
import numpy as np

from waremill.images.picture import Pixels, Plane

STROKE = 7
"""Pixels: letters that a network garbles have strokes and gaps narrower than this."""

CONTRAST = 36
"""How much darker or lighter than its surroundings a stroke is, of 255."""

NEIGHBOURHOOD = 15
"""Pixels of the square in which strokes are counted."""

CROWD = (0.15, 0.7)
"""Which part of the square strokes cover where there are letters; an outline covers less."""

TURNS = 0.35
"""How much the strokes' directions differ at least; see `_turns`."""


def lettering_in(rgb: Pixels) -> Plane:
    """Give a map of a picture's letters, height × width from 0 to 1, with soft rims.

    Strokes are found as what a morphological closing fills in and an opening takes away (black-hat
    and white-hat); where many stand close together and in more than one direction, there are
    letters. A single line, an outline or a smooth area is none.
    """
    grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    around = cv2.getStructuringElement(cv2.MORPH_RECT, (STROKE, STROKE))
    dark = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, around)
    light = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, around)
    strokes = (cv2.max(dark, light) > CONTRAST).astype(np.float32)
    square = (NEIGHBOURHOOD, NEIGHBOURHOOD)
    crowd = cv2.blur(strokes, square)
    turns = _turns(grey, square)
    marked = ((crowd > CROWD[0]) & (crowd < CROWD[1]) & (turns > TURNS)).astype(np.uint8)
    grown = cv2.dilate(marked, np.ones((5, 5), np.uint8))
    return np.asarray(cv2.GaussianBlur(grown.astype(np.float32), (0, 0), 2), np.float32)


def _turns(grey: Pixels, square: tuple[int, int]) -> Plane:
    """Say how much edges around each pixel differ in direction, from 0 (one line) to 1.

    It is the ratio of the structure tensor's smaller to its larger eigenvalue, its square root
    being what counts (Förstner and Gülch, 1987).
    """
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    xx, yy, xy = (cv2.blur(part, square) for part in (across * across, down * down, across * down))
    half = (xx + yy) / 2
    apart = np.sqrt(((xx - yy) / 2) ** 2 + xy * xy)
    return np.asarray(
        np.sqrt(np.maximum(half - apart, 0) / np.maximum(half + apart, 1)), np.float32
    )
