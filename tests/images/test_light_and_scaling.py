"""Linear light, scaling in it, and colour difference."""

from __future__ import annotations

import numpy as np
import pytest

from waremill.images.delta_e import delta_e, lab_of
from waremill.images.light import DECODE, bands, darken, from_light, lay_over, to_light
from waremill.images.resampling import resized


def test_every_opaque_colour_survives_the_way_to_light_and_back() -> None:
    codes = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    assert np.array_equal(from_light(to_light(codes)), codes)
    solid = np.dstack([codes, np.full((16, 16), 255, np.uint8)])
    assert np.array_equal(from_light(to_light(solid)), solid)


def test_half_covered_white_over_black_is_half_the_light_not_half_the_code() -> None:
    ground = to_light(np.zeros((1, 1, 3), np.uint8))
    lay_over(ground, to_light(np.array([[[255, 255, 255, 128]]], np.uint8)), 0, 0)
    assert from_light(ground)[0, 0, 0] == pytest.approx(188, abs=1)


def test_what_lies_beyond_the_canvas_is_cut_off() -> None:
    red = to_light(np.full((4, 4, 4), (255, 0, 0, 255), np.uint8))
    for left, top, seen in ((-2, -2, 4), (3, 3, 1), (9, 0, 0), (-4, 0, 0)):
        ground = to_light(np.zeros((4, 4, 3), np.uint8))
        lay_over(ground, red, left, top)
        assert int((from_light(ground)[:, :, 0] == 255).sum()) == seen


def test_a_shadow_takes_light_away_and_is_a_black_layer_where_there_is_no_ground() -> None:
    shadow = np.full((1, 1), 0.5, np.float32)
    ground = to_light(np.full((1, 1, 3), 255, np.uint8))
    darken(ground, shadow)
    assert DECODE[from_light(ground)[0, 0, 0]] == pytest.approx(0.5, abs=0.01)
    clear = to_light(np.zeros((1, 1, 4), np.uint8))
    darken(clear, shadow)
    assert from_light(clear)[0, 0].tolist() == [0, 0, 0, 128]


def test_bands_cover_every_row_once() -> None:
    rows = [row for band in bands(5000, 3000) for row in range(band.start, band.stop)]
    assert rows == list(range(5000))


@pytest.mark.parametrize("size", [(30, 30), (75, 75), (299, 150), (10, 100)])
def test_fine_stripes_keep_their_brightness_when_scaled_down(size: tuple[int, int]) -> None:
    stripes = np.zeros((300, 300, 3), np.uint8)
    stripes[:, ::2] = 255
    small = resized(stripes, *size)
    assert small.shape == (size[1], size[0], 3)
    assert DECODE[small].mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("factor", [0.1, 0.37, 0.9, 1.7])
def test_transparent_pixels_lend_no_colour_to_an_edge(factor: float) -> None:
    pixels = np.zeros((120, 120, 4), np.uint8)
    pixels[:, :, 1] = 255  # green, and wholly transparent
    pixels[30:90, 30:90] = (200, 30, 30, 255)
    made = resized(pixels, round(120 * factor), round(120 * factor))
    shown = made[made[:, :, 3] > 8]
    assert shown[:, 1].max() <= 40
    assert shown[:, 0].min() >= 180


def test_a_plain_picture_stays_plain_at_any_size() -> None:
    plain = np.full((97, 61, 4), (12, 130, 240, 255), np.uint8)
    for width, height in ((7, 9), (200, 300), (61, 20)):
        assert np.unique(resized(plain, width, height).reshape(-1, 4), axis=0).tolist() == [
            [12, 130, 240, 255]
        ]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0),
        ((50, -1, 2), (50, 0, 0), 2.3669),
        ((50, 2.5, 0), (50, 0, -2.5), 4.3065),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_colour_difference_is_the_published_one(
    first: tuple[float, ...], second: tuple[float, ...], expected: float
) -> None:
    """Pairs from the test data of Sharma, Wu and Dalal (2005)."""
    found = delta_e(np.array(first, float), np.array(second, float))
    assert float(found) == pytest.approx(expected, abs=1e-4)


def test_white_is_lightness_100_without_colour() -> None:
    assert lab_of(np.ones(3)) == pytest.approx([100, 0, 0], abs=0.01)
