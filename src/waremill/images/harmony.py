"""Bring a product's light near its background's, by no more than a stated colour difference.

A cut-out keeps the light it was photographed in. On a warm or dim background it looks pasted; a
slight common gain of the three channels, as a lamp of another colour would give, helps. The gain is
bounded over all colours there are, so a product's colours can never move further than promised.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from waremill.images.delta_e import delta_e, lab_of
from waremill.images.light import DECODE, FULL, Light, bands

_LUMINANCE = np.array([0.2126729, 0.7151522, 0.0721750])
"""Share of each linear sRGB channel in luminance (IEC 61966-2-1)."""
_GREY = 0.4
"""Luminance of a background that asks for neither more nor less light."""
_BRIGHTNESS = 0.15
"""How much of a background's brightness the product takes on, against its hue."""
_MOST = 0.25
"""Largest gain, as a logarithm, whatever colour difference is allowed."""
_HALVINGS = 12


def gains_towards(background: Light, limit: float) -> NDArray[np.float32]:
    """Give the gain of red, green and blue that suits a background, within ΔE 2000 `limit`.

    `background` is opaque light, of the part that surrounds the product. No sRGB colour moves
    further than `limit` by these gains, to the accuracy of a 17-step lattice.
    """
    # The median: a coloured thing in the scene is not its light.
    usual = np.median(background[:, :, :3].reshape(-1, 3), axis=0) / FULL
    luminance = float(usual @ _LUMINANCE)
    if luminance < 1e-3 or limit <= 0:
        return np.ones(3, np.float32)
    hue = np.log(np.clip(usual / luminance, 0.2, 5))
    brightness = _BRIGHTNESS * np.log(np.clip(luminance / _GREY, 0.05, 2.5))
    wanted = hue + brightness
    largest = float(np.abs(wanted).max())
    if largest < 1e-6:
        return np.ones(3, np.float32)
    wanted *= min(1.0, _MOST / largest)
    least, most = 0.0, 1.0
    if _furthest(np.exp(wanted)) > limit:
        for _ in range(_HALVINGS):
            middle = (least + most) / 2
            if _furthest(np.exp(wanted * middle)) > limit:
                most = middle
            else:
                least = middle
        wanted *= least
    gains: NDArray[np.float32] = np.exp(wanted).astype(np.float32)
    return gains


def lit(product: Light, gains: NDArray[np.float32]) -> Light:
    """Give a product's light, with alpha, under the gains; no colour exceeds its coverage."""
    out = product.copy()
    for rows in bands(*product.shape[:2]):
        colours = product[rows, :, :3] * gains
        out[rows, :, :3] = np.minimum(colours + 0.5, product[rows, :, 3:])
    return out


@lru_cache(maxsize=1)
def _lattice() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give a lattice over sRGB as linear light, and its L*a*b*."""
    steps = DECODE[np.linspace(0, 255, 17).astype(int)].astype(np.float64)
    light = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    return light, lab_of(light)


def _furthest(gains: NDArray[np.float64]) -> float:
    light, lab = _lattice()
    return float(delta_e(lab, lab_of(np.minimum(light * gains, 1))).max())
