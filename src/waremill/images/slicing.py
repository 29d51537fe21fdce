"""Cutting a long page into screens where nothing is cut through.

A row is calm where no edge crosses it: neighbouring pixels are alike along it, at the width of a
letter's stroke as well as at that of a soft outline. A cut lies between two calm rows that are
alike, or where the page itself jumps from one picture to the next across its whole width. Which of
these cuts are taken is settled by dynamic programming: all pieces within bounds, as wide a calm
band as possible at each cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from waremill.images.picture import Pixels

_STEP = 14
"""Difference of neighbouring pixels, in sRGB codes, from which there is an edge; JPEG's noise on a
plain ground stays below."""
_REACHES = (1, 4, 12)
"""Distances in pixels, at 790 pixels of width, at which neighbours are compared."""
_FAINT = 3
"""Difference of two calm rows from which two plain panels meet between them."""
_STANDARD = 790
_FRAME = 0.9
"""Share of all rows in which a column must hold an edge to count as the page's frame."""
_SEAM = 0.6
"""Share of a page's width that must jump between two rows for a seam of two pictures."""
_WIDE = 60
"""Rows of calm, at 790 pixels of width, beyond which a wider band is no better: more than there are
between two lines of a paragraph."""
_CALM, _NARROW, _PIECE = 0.1, 3.0, 0.2
"""What a cut in a wide calm band costs, what a narrow one adds, and what a piece costs. A seam is
free. So a cut between two lines of text, at about 1.5, is worth seven more pieces."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where a page may be cut, by row.

    `cost` is that of a cut above the row, infinite where it goes through something; `busyness` is
    the share of the width it would go through.
    """

    cost: NDArray[np.float64]
    busyness: NDArray[np.float64]


def possible_cuts(pixels: Pixels) -> Cuts:
    """Rate the cut above every row of a page, from 0 upward."""
    busy = _crossings(pixels).mean(axis=1)
    calm = busy == 0
    alike = np.concatenate([[False], calm[1:] & calm[:-1]])
    band = _run_lengths(alike)
    wide = max(8.0, _WIDE * pixels.shape[1] / _STANDARD)
    narrowness = 1 - np.minimum(band / wide, 1)
    cost = np.where(alike, _CALM + _NARROW * narrowness**2, np.inf)
    seams = _seams(pixels, _STEP, _SEAM)
    faint = _seams(pixels, _FAINT, _FRAME) & alike
    cost[seams | faint] = 0
    cost[0] = 0
    between = np.concatenate([[0.0], (busy[1:] + busy[:-1]) / 2])
    between[seams] = 0
    return Cuts(cost, between)


def best_cuts(cost: NDArray[np.float64], least: int, most: int) -> list[int] | None:
    """Give the rows to cut above, so that all pieces are from `least` to `most` rows high.

    Among all ways it takes the one with the least cost, a piece costing a little by itself so that
    there are not more than needed. None where there is no way.
    """
    height = len(cost)
    if height <= most:
        return []
    places = [int(y) for y in np.flatnonzero(np.isfinite(cost)) if y]
    stops = [0, *places, height]
    total = np.full(len(stops), np.inf)
    came = np.zeros(len(stops), int)
    total[0] = 0
    first = 0
    for i in range(1, len(stops)):
        while stops[i] - stops[first] > most:
            first += 1
        last = int(np.searchsorted(stops, stops[i] - least, side="right"))
        if last <= first:
            continue
        before = total[first:last]
        best = int(np.argmin(before))
        own = 0.0 if stops[i] == height else float(cost[stops[i]])
        total[i] = before[best] + own + _PIECE
        came[i] = first + best
    if not np.isfinite(total[-1]):
        return None
    found: list[int] = []
    at = int(came[-1])
    while at:
        found.append(stops[at])
        at = int(came[at])
    return found[::-1]


def forced(cuts: Cuts) -> NDArray[np.float64]:
    """Give costs in which every cut is possible, one through something at a price."""
    through = 100 + 1000 * cuts.busyness
    return np.where(np.isfinite(cuts.cost), cuts.cost, through)


def stuck_at(cost: NDArray[np.float64]) -> tuple[int, int]:
    """Give the rows of the longest stretch that cannot be cut."""
    stops = np.array([0, *np.flatnonzero(np.isfinite(cost)), len(cost)])
    longest = int(np.argmax(np.diff(stops)))
    return int(stops[longest]), int(stops[longest + 1])


def _crossings(pixels: Pixels) -> NDArray[np.bool_]:
    """Mark, by row and segment of columns, where an edge crosses a row."""
    height, width = pixels.shape[:2]
    rows = np.zeros((height, width), bool)
    for top in range(0, height, 512):
        part = pixels[top : top + 512 + 1, :, :3].astype(np.int16)
        marked = np.zeros((min(512, height - top), width), bool)
        for reach in _REACHES:
            step = max(1, round(reach * width / _STANDARD))
            if step >= width:
                continue
            jump = np.abs(part[: len(marked), step:] - part[: len(marked), :-step]).max(axis=2)
            marked[:, :-step] |= jump > _STEP
        rows[top : top + len(marked)] = marked
    frame = rows.mean(axis=0) >= _FRAME
    rows[:, frame] = False
    return rows


def _seams(pixels: Pixels, step: int, least: float) -> NDArray[np.bool_]:
    """Mark the rows where the page jumps by a step across a share of its width, and only there."""
    height, width = pixels.shape[:2]
    thin = np.asarray(
        cv2.resize(pixels[:, :, :3], (min(width, 256), height), interpolation=cv2.INTER_AREA),
        np.int16,
    )
    jump = np.abs(thin[1:] - thin[:-1]).max(axis=2) > step
    share = np.concatenate([[0.0], jump.mean(axis=1)])
    around = np.maximum(np.roll(share, 2), np.roll(share, -2))
    seams: NDArray[np.bool_] = (share >= least) & (around < share / 3)
    seams[:1] = False
    return seams


def _run_lengths(flags: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Give, for every place in a run of true ones, twice its distance to the run's nearer end."""
    count = len(flags)
    index = np.arange(count)
    ends = np.where(~flags, index, -1)
    before = index - np.maximum.accumulate(ends)
    starts = np.where(~flags, index, count)
    after = np.minimum.accumulate(starts[::-1])[::-1] - index
    return 2.0 * np.maximum(1, np.minimum(before, after))
