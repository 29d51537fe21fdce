"""Shadows a cut-out casts on the ground it stands on, or on the surface it lies on.

From alpha alone nothing is known of depth, so the product is taken for a card that stands upright
where its lowest points are, seen by a camera that looks down a little. A shadow is a plane of the
canvas, 0 where all light stays and 1 where all is gone; nothing here touches colours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from waremill.images.picture import Pixels, Plane

Direction = Literal[
    "front", "front-left", "left", "back-left", "back", "back-right", "right", "front-right"
]
Kind = Literal["none", "contact", "cast", "drop"]

_WORKING = 1000
"""Longest side shadows are computed at: they are soft, and are scaled up."""
_STEEPEST = 0.4
"""Slope up to which the lower outline can be a base seen in perspective, and not a side."""
_DEPTH = 0.32
"""Height in the picture of a length on the ground that leads away from the camera, which is the
sine of a camera's pitch of about 19°."""
_THICKNESS = 0.14
"""Least extent in depth of a shadow against its product's height: a card lit from its edge would
cast a line, a product does not."""
_AZIMUTHS: dict[Direction, int] = {
    "front": 0, "front-right": 45, "right": 90, "back-right": 135,
    "back": 180, "back-left": 225, "left": 270, "front-left": 315,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lamp:
    """The light: where it comes from, its height in degrees over the ground, and its quality.

    `strength` is how dark shadows are, `softness` how soft, both from 0 to 1. `front` is behind the
    camera; seen from above, for what lies flat, it is the lower edge of the picture.
    """

    source: Direction = "front-left"
    height: float = 50
    strength: float = 0.5
    softness: float = 0.5


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a product's alpha lies on a canvas: its upper left corner, in pixels."""

    left: int
    top: int


def shadow(kind: Kind, alpha: Pixels, spot: Spot, canvas: tuple[int, int], lamp: Lamp) -> Plane:
    """Give the shadow of a product on a canvas of width × height, as height × width from 0 to 1.

    `alpha` is height × width from 0 to 255. `contact` is the dark rim under what touches the
    ground, `cast` adds the shadow that falls from the lamp, `drop` is that of a thing lying flat.
    """
    width, height = canvas
    scale = min(1.0, _WORKING / max(width, height))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    mask = _on_canvas(alpha, spot, scale, small)
    if kind == "none" or mask.max() < 0.5:
        return np.zeros((height, width), np.float32)
    if kind == "drop":
        plane = _dropped(mask, lamp)
    else:
        ground = _ground(mask)
        plane = _contact(mask, ground, lamp)
        if kind == "cast":
            plane = 1 - (1 - plane) * (1 - _cast(mask, ground, lamp))
    plane = np.clip(plane, 0, 1)
    if small != canvas:
        return np.asarray(cv2.resize(plane, canvas, interpolation=cv2.INTER_LINEAR), np.float32)
    return plane


@dataclass(frozen=True, slots=True)
class _Ground:
    """The line a product stands on: `level` in rows by column from `first`, and how far above it
    the lower outline is there, `gap`, in rows.
    """

    first: int
    level: NDArray[np.float64]
    gap: NDArray[np.float64]

    @property
    def width(self) -> int:
        return len(self.level)


def _on_canvas(alpha: Pixels, spot: Spot, scale: float, small: tuple[int, int]) -> Plane:
    """Put the alpha on the reduced canvas, with room for what hangs over its edges cut off."""
    size = (max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale)))
    reduced = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    plane = np.zeros((small[1], small[0]), np.float32)
    left, top = round(spot.left * scale), round(spot.top * scale)
    first, last = max(0, top), min(small[1], top + size[1])
    start, stop = max(0, left), min(small[0], left + size[0])
    if first < last and start < stop:
        plane[first:last, start:stop] = reduced[
            first - top : last - top, start - left : stop - left
        ]
    return plane


def _ground(mask: Plane) -> _Ground:
    """Find the line through the lowest points: the lower hull of the outline, but for its sides."""
    solid = mask >= 0.5
    columns = np.flatnonzero(solid.any(axis=0))
    lowest = solid.shape[0] - 1 - np.argmax(solid[::-1, columns], axis=0)
    hull: list[int] = []
    for i in range(len(columns)):
        while len(hull) > 1 and _turns_in(columns, lowest, hull[-2], hull[-1], i):
            hull.pop()
        hull.append(i)
    # Going along the hull, the level stretch round its lowest point is the base.
    low = int(np.argmax(lowest[hull]))
    start = stop = low
    while start and _slope(columns, lowest, hull[start - 1], hull[start]) <= _STEEPEST:
        start -= 1
    while stop + 1 < len(hull) and _slope(columns, lowest, hull[stop], hull[stop + 1]) <= _STEEPEST:
        stop += 1
    base = hull[start : stop + 1]
    first, last = int(columns[base[0]]), int(columns[base[-1]])
    along = np.arange(first, last + 1)
    level = np.interp(along, columns[base], lowest[base].astype(float))
    outline = np.interp(along, columns, lowest.astype(float))
    return _Ground(first, level, np.maximum(level - outline, 0))


def _turns_in(
    columns: NDArray[np.int64], rows: NDArray[np.int64], first: int, second: int, third: int
) -> bool:
    across = (columns[second] - columns[first]) * (rows[third] - rows[first])
    return bool(across - (rows[second] - rows[first]) * (columns[third] - columns[first]) >= 0)


def _slope(columns: NDArray[np.int64], rows: NDArray[np.int64], first: int, second: int) -> float:
    run = max(1, int(columns[second] - columns[first]))
    return abs(int(rows[second]) - int(rows[first])) / run


def _contact(mask: Plane, ground: _Ground, lamp: Lamp) -> Plane:
    """Darken the ground under what touches it, less where the outline lifts off."""
    size = math.sqrt(float(np.count_nonzero(mask >= 0.5)))
    touching = np.exp(-ground.gap / max(1.0, 0.02 * size))
    # The base's ends are rounded in depth: the shadow leaves them gently.
    run = np.minimum(np.arange(ground.width), np.arange(ground.width)[::-1])
    touching *= np.clip((run + 1) / max(1.0, 0.06 * ground.width), 0.35, 1)
    soft = 0.5 + lamp.softness
    plane = np.zeros_like(mask)
    for depth, across, reach in ((1.5, 0.010, 0.006), (0.75, 0.045, 0.024)):
        amount = min(0.95, lamp.strength * depth)
        layer = _line(mask.shape, ground, touching, reach * soft * size)
        layer = _blurred(layer, across * soft * size, reach * soft * size)
        plane = 1 - (1 - plane) * (1 - amount * layer)
    return plane


def _line(
    shape: tuple[int, ...], ground: _Ground, strength: NDArray[np.float64], thickness: float
) -> Plane:
    """Draw the ground line, as thick as the blur that follows, so that its middle stays dark."""
    rows = np.arange(shape[0])[:, None]
    below = rows - ground.level[None, :]
    inside = np.clip(thickness * 1.2 - np.abs(below) + 0.5, 0, 1)
    plane = np.zeros(shape, np.float32)
    plane[:, ground.first : ground.first + ground.width] = inside * strength[None, :]
    return plane


def _blurred(plane: Plane, across: float, down: float) -> Plane:
    edge = cv2.BORDER_CONSTANT
    blurred = cv2.GaussianBlur(
        plane, (0, 0), max(0.4, across), sigmaY=max(0.4, down), borderType=edge
    )
    return np.asarray(blurred, np.float32)


def _cast(mask: Plane, ground: _Ground, lamp: Lamp) -> Plane:
    """Lay the standing card's shadow on the ground: sheared and squashed about the ground line.

    A point at height h throws its shadow h / tan(light's height) away from the lamp, of which the
    part that leads away from the camera is foreshortened. Penumbra and skylight grow with h.
    """
    away = math.radians(_AZIMUTHS[lamp.source] + 180)
    length = 1 / math.tan(math.radians(lamp.height))
    across = length * math.sin(away)
    # The lamp in front throws it back, up in the picture.
    up = -length * math.cos(away) * _DEPTH
    if abs(up) < _THICKNESS:
        up = math.copysign(_THICKNESS, up if abs(up) > 1e-6 else 1)
    centres = np.arange(ground.first, ground.first + ground.width)
    weight = np.exp(-ground.gap / 3)
    tilt, level = np.polyfit(centres, ground.level, 1, w=weight) if ground.width > 2 else (0.0, 0.0)
    tilt = float(np.clip(tilt, -_STEEPEST, _STEEPEST))
    level = float(np.average(ground.level - tilt * centres, weights=weight))
    # A point stands h = level + tilt·x − y over the ground; its shadow is across·h to the right of
    # its foot and up·h above it.
    forward = np.array(
        [
            [1 + across * tilt, -across, across * level],
            [(1 - up) * tilt, up, (1 - up) * level],
        ]
    )
    size = (mask.shape[1], mask.shape[0])
    fallen = np.asarray(cv2.warpAffine(mask, forward, size), np.float32)
    rows, columns = np.mgrid[0 : mask.shape[0], 0 : mask.shape[1]]
    rise = up + tilt * across
    height = (level + tilt * columns - rows) / (rise if abs(rise) > 0.02 else 0.02)
    tall = max(1.0, float(np.ptp(np.flatnonzero((mask >= 0.5).any(axis=1)))))
    share = np.clip(height / tall, 0, 1.2).astype(np.float32)
    layered = _softening(fallen, share, tall * (0.006 + 0.075 * lamp.softness))
    layered *= np.exp(-0.9 * share)
    return min(0.9, lamp.strength * 0.8) * layered


def _softening(plane: Plane, share: Plane, widest: float) -> Plane:
    """Blur a plane more where `share` is greater, up to a sigma of `widest` where it is 1."""
    levels = (0.12, 0.4, 0.7, 1.0)
    layers = [_blurred(plane, widest * level, widest * level * 0.6) for level in levels]
    out: Plane = layers[0].copy()
    for below, above, first, second in zip(layers, layers[1:], levels, levels[1:], strict=False):
        part = np.clip((share - first) / (second - first), 0, 1)
        out = np.where(share > first, below + (above - below) * part, out)
    return out


def _dropped(mask: Plane, lamp: Lamp) -> Plane:
    """Give the shadow of a thing lying flat a little above a surface seen from above."""
    rows = np.flatnonzero((mask >= 0.5).any(axis=1))
    columns = np.flatnonzero((mask >= 0.5).any(axis=0))
    size = math.sqrt(float(np.ptp(rows) + 1) * float(np.ptp(columns) + 1))
    away = math.radians(_AZIMUTHS[lamp.source] + 180)
    lift = 0.018 * size / math.tan(math.radians(lamp.height))
    move = np.array([[1, 0, lift * math.sin(away)], [0, 1, lift * math.cos(away)]])
    size_of = (mask.shape[1], mask.shape[0])
    moved = np.asarray(cv2.warpAffine(mask, move, size_of), np.float32)
    plane = np.zeros_like(mask)
    for reach in (0.006, 0.022):
        sigma = reach * (0.5 + lamp.softness) * size
        layer = _blurred(moved, sigma, sigma)
        plane = 1 - (1 - plane) * (1 - min(0.9, lamp.strength * 0.9) * layer)
    return plane
