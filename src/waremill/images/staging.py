"""A product on a ground: scaled, lit, shadowed and laid down, all in linear light.

What goes where is decided in `cutouts`, what lies beneath in `backdrops`; here it is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from waremill.images.cutouts import Box, Cutout, Placing
from waremill.images.harmony import gains_towards, lit
from waremill.images.light import Light, darken, from_light, lay_over, to_light
from waremill.images.picture import Pixels
from waremill.images.resampling import resized_light
from waremill.images.shadows import Kind, Lamp, Spot, shadow

_SURROUNDINGS = 0.25
"""How far round a product its surroundings reach, as a share of its size."""
_SAMPLE = 200
"""Rows and columns the surroundings are read at."""


@dataclass(frozen=True, slots=True)
class Staging:
    """How a product is staged: its shadow, the lamp, and the ΔE 2000 its colours may move."""

    shadow: Kind = "none"
    lamp: Lamp = field(default_factory=Lamp)
    harmonise: float = 0


def staged(cutout: Cutout, placing: Placing, backdrop: Pixels, staging: Staging) -> Pixels:
    """Draw a cut-out on a backdrop of sRGB pixels, which is left as it is.

    A backdrop of four channels may be transparent; the result has its channels.
    """
    canvas = to_light(backdrop)
    product, spot = _scaled(cutout, placing)
    if staging.harmonise:
        gains = gains_towards(_surroundings(canvas, placing.solid), staging.harmonise)
        product = lit(product, gains)
    if staging.shadow != "none":
        alpha = (product[:, :, 3] >> 8).astype(np.uint8)
        size = (canvas.shape[1], canvas.shape[0])
        darken(canvas, shadow(staging.shadow, alpha, spot, size, staging.lamp))
    lay_over(canvas, product, spot.left, spot.top)
    return from_light(canvas)


def _scaled(cutout: Cutout, placing: Placing) -> tuple[Light, Spot]:
    """Scale a cut-out so that its solid part has the size it was given, and find its corner."""
    solid = cutout.solid
    across, down = placing.solid.width / solid.width, placing.solid.height / solid.height
    rows, columns = cutout.pixels.shape[:2]
    width, height = max(1, round(columns * across)), max(1, round(rows * down))
    spot = Spot(
        placing.solid.left - round(solid.left * across),
        placing.solid.top - round(solid.top * down),
    )
    return resized_light(cutout.pixels, width, height), spot


def _surroundings(canvas: Light, box: Box) -> Light:
    """Give what lies behind and round a box, thinned out."""
    out = round(_SURROUNDINGS * max(box.width, box.height))
    part = canvas[
        max(0, box.top - out) : box.bottom + out, max(0, box.left - out) : box.right + out, :3
    ]
    return part[:: max(1, part.shape[0] // _SAMPLE), :: max(1, part.shape[1] // _SAMPLE)]
