"""A heat-map lies over its picture: in its size, where something differs, and nowhere else."""

from __future__ import annotations

import math

import numpy as np
from made_pictures import bottle
from numpy.typing import NDArray
from product_changes import gradient, placed

from waremill.images.heat_maps import FAINTEST, STRONGEST, heat_map
from waremill.images.picture import Picture
from waremill.images.registration import scaling
from waremill.images.unchanged import compare


def differing(value: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Differences of a product that fills a grid of 40 × 60 but for its edge: a square of some."""
    difference = np.zeros((60, 40), np.float32)
    difference[20:30, 10:20] = value
    whole = np.zeros((60, 40), np.float32)
    whole[5:55, 5:35] = 1
    return difference, whole


def test_it_has_the_pictures_size_and_is_transparent_where_nothing_changed() -> None:
    difference, whole = differing(STRONGEST)
    made = heat_map(difference, whole, scaling(2, 100, 50), (400, 300))
    assert made.pixels.shape == (300, 400, 4)
    alpha = made.pixels[..., 3]
    assert alpha[92:108, 122:138].all()  # the square, at twice its size from (100, 50) on
    outside = alpha.copy()
    outside[50 + 2 * 4 : 50 + 2 * 56, 100 + 2 * 4 : 100 + 2 * 36] = 0
    assert not outside.any()
    inner = alpha[50 + 2 * 8 : 50 + 2 * 52, 100 + 2 * 8 : 100 + 2 * 32].copy()
    inner[2 * 12 - 2 : 2 * 22 + 2, 2 * 2 - 2 : 2 * 12 + 2] = 0
    assert not inner.any()
    assert not made.pixels[alpha == 0].any()


def test_the_more_differs_the_denser_and_lighter_it_is() -> None:
    seen = []
    for value in (FAINTEST, FAINTEST + 0.1, 12.0, STRONGEST, 60.0):
        difference, whole = differing(value)
        made = heat_map(difference, whole, scaling(1), (40, 60))
        seen.append(made.pixels[25, 15].astype(int))
    assert seen[0].tolist() == [0, 0, 0, 0]
    alphas = [int(one[3]) for one in seen]
    assert 60 < alphas[1] < alphas[2] < alphas[3] == alphas[4] < 255
    assert seen[1][:3].sum() < seen[2][:3].sum() < seen[3][:3].sum()


def test_the_outline_is_light_with_dark_edges_and_follows_the_product() -> None:
    difference, whole = differing(0)
    made = heat_map(difference, whole, scaling(10), (400, 600)).pixels
    line = made[300, 30:70]
    assert (line[:, 3] == 255).sum() >= 3
    assert (line[:, :3].min(axis=1) == 255).any() and (line[:, 3] > 0).sum() < 12
    shades = line[line[:, 3] > 0][:, 0]
    assert shades[0] < 40 and shades[-1] < 40
    assert not made[300, 80:320].any()


def test_what_leaves_the_picture_is_left_out() -> None:
    difference, whole = differing(STRONGEST)
    cut = heat_map(difference, whole, scaling(4, -60, 100), (200, 200))
    assert cut.pixels.shape == (200, 200, 4) and cut.pixels[..., 3].any()
    away = heat_map(difference, whole, scaling(4, 900, 900), (200, 200))
    assert away.pixels.shape == (200, 200, 4) and not away.pixels.any()


def test_it_lies_on_the_change_where_the_product_was_moved_scaled_and_turned() -> None:
    before, mask = bottle(480)
    pixels = np.dstack([before.pixels, (mask * 255).astype(np.uint8)])
    other = pixels.copy()
    other[235:355, 190:250, :3] = (40, 90, 200)
    turn, scale, size, shift = 4.0, 0.8, 600, (0.08, -0.05)
    plain = placed(pixels, gradient, size, scale, turn, shift)
    after = placed(other, gradient, size, scale, turn, shift)
    found = compare(before, Picture(after), with_text=False)
    assert not found.unchanged and found.map is not None
    heat = found.map.pixels
    assert heat.shape == (size, size, 4)
    changed = np.abs(plain.astype(int) - after).max(axis=2) > 60
    # The outline apart, what is painted is what was changed.
    warm = (heat[..., 3] > 0) & (heat[..., 3] < 255)
    middles = (np.mean(np.nonzero(one), axis=1) for one in (changed, warm))
    assert math.dist(*middles) < 1.5
    assert (warm & changed).sum() > 0.97 * changed.sum()
    assert (warm & ~changed).sum() < 0.1 * warm.sum()
