"""“Product unchanged”: found again to a part of a pixel, and judged rightly on real products."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from made_pictures import PHOTOS, bottle, saved, smooth
from numpy.typing import NDArray
from product_changes import bent, changed, cutout, gradient, names, placed, recoloured, same

from waremill.errors import SourceError
from waremill.images.colour import luminance
from waremill.images.delta_e import lab_of
from waremill.images.light import DECODE
from waremill.images.likeness import colour_difference, lab, lost_edges, ssim
from waremill.images.picture import Picture
from waremill.images.reading import read_picture
from waremill.images.registration import register
from waremill.images.unchanged import compare

real = pytest.mark.skipif(
    not PHOTOS.is_dir(), reason="the real photos are not beside the repository"
)


def drawn(**how: str) -> tuple[Picture, NDArray[np.uint8]]:
    """The drawn bottle as a cut-out."""
    picture, mask = bottle(480, **how)
    return picture, np.dstack([picture.pixels, (mask * 255).astype(np.uint8)])


# Registration.


@pytest.mark.parametrize(
    ("scale", "turn", "shift"), [(1.0, 0.0, (0, 0)), (0.7, 2.5, (40.3, -12.6)), (1.4, -4, (8, 30))]
)
def test_a_product_is_found_again_to_a_part_of_a_pixel(
    scale: float, turn: float, shift: tuple[float, float]
) -> None:
    picture, mask = bottle()
    matrix = cv2.getRotationMatrix2D((240, 240), -turn, scale)
    matrix[:, 2] += shift
    luma = luminance(np.asarray(cv2.GaussianBlur(picture.pixels, (0, 0), 0.8), np.uint8))
    moved = cv2.warpAffine(luma, matrix, (640, 640), flags=cv2.INTER_CUBIC, borderValue=255)
    found = register(luma, mask, np.asarray(moved, np.float32), None)
    assert found is not None and found.agreement > 0.97
    assert found.scale == pytest.approx(scale, rel=0.002)
    assert found.turn == pytest.approx(turn, abs=0.1)
    corners = np.array([(170, 150, 1), (310, 420, 1), (240, 60, 1)]).T
    off = np.abs(found.matrix @ corners - matrix @ corners).max()
    assert off < 0.4 * max(1, scale)  # in pixels of the first picture


def test_nothing_is_found_where_there_is_nothing() -> None:
    picture, mask = bottle()
    luma = luminance(picture.pixels)
    blank = np.full((300, 300), 128, np.float32)
    found = register(luma, mask, blank, None)
    assert found is None or found.agreement < 0.3
    assert register(luma, np.zeros_like(mask), luma, None) is None


# Likeness.


def test_colour_difference_forgives_a_pixel_and_not_three() -> None:
    pixels = np.full((60, 60, 3), 200, np.uint8)
    pixels[20:40, 20:40] = (180, 40, 40)
    own = lab(pixels, 0.5)
    by_one = lab(np.roll(pixels, 1, axis=1), 0.5)
    by_three = lab(np.roll(pixels, 3, axis=1), 0.5)
    assert colour_difference(own, by_one)[30].max() < 3
    assert colour_difference(own, by_three)[30].max() > 30


def test_colour_difference_is_delta_e_2000() -> None:
    one, two = (
        np.full((9, 9, 3), (120, 90, 60), np.uint8),
        np.full((9, 9, 3), (126, 88, 66), np.uint8),
    )
    from waremill.images.delta_e import delta_e

    wanted = delta_e(*(lab_of(DECODE[p[0, 0]].astype(np.float64)) for p in (one, two)))
    assert colour_difference(lab(one, 1), lab(two, 1))[4, 4] == pytest.approx(
        float(wanted), abs=0.01
    )


def test_ssim_is_one_for_the_same_and_low_for_the_other_way_round() -> None:
    plane = luminance(smooth(80, 80)) + 40 * np.sin(np.arange(80, dtype=np.float32))[None, :]
    plane = np.asarray(plane, np.float32)
    assert ssim(plane, plane).min() == pytest.approx(1, abs=1e-3)
    assert ssim(plane, 255 - plane)[10:-10, 10:-10].mean() < 0


def test_an_edge_is_lost_when_it_moved_more_than_two_pixels() -> None:
    plane = np.zeros((80, 80), np.float32)
    plane[:, 40:] = 200
    inside = np.ones((80, 80), bool)
    assert not lost_edges(plane, np.roll(plane, 2, axis=1), inside)[:, 20:60].any()
    assert lost_edges(plane, np.roll(plane, 5, axis=1), inside)[:, 20:60].any()
    assert lost_edges(plane, np.ascontiguousarray(plane.T), inside).any()


# The verdict, on a drawn bottle.


def test_another_background_size_and_compression_change_nothing() -> None:
    before, pixels = drawn()
    for after in (
        before,
        read_picture(
            saved(placed(pixels, gradient, 700, 1.3, 2.0, (0.05, 0.02)), "JPEG", quality=80)
        ),
        read_picture(saved(placed(pixels, gradient, 300, 0.6), "WEBP", quality=80)),
    ):
        found = compare(before, after, with_text=False)
        assert found.unchanged, found.changes
        assert found.map is not None
        assert found.map.pixels.shape == (after.height, after.width, 4)


def test_each_kind_of_change_is_named() -> None:
    before, pixels = drawn()

    def said(made: NDArray[np.uint8]) -> str:
        after = Picture(placed(made, gradient, 480, 0.9))
        return " / ".join(compare(before, after, with_text=False).changes)

    label = recoloured(pixels, (178, 223, 124, 144))
    assert "has another colour, most of it in the middle" in said(label)
    assert "lines changed" in said(bent(pixels))
    _, other = drawn(label="AURELIA")
    assert "lines changed" in said(other)
    tinted = pixels.copy()
    tinted[..., :3] = np.clip(tinted[..., :3] * np.array((1.0, 0.8, 1.2)), 0, 255)
    assert "half of it is off by ΔE" in said(tinted)


def test_a_plain_product_that_is_bent_shows_by_its_outline() -> None:
    pixels = np.zeros((400, 400, 4), np.uint8)
    pixels[60:340, 170:230] = (90, 140, 60, 255)
    before, crooked = Picture(pixels), bent(pixels)
    straight, after = (placed(one, gradient, 400, 0.9) for one in (pixels, crooked))
    masks = [placed(one, black, 400, 0.9)[..., 1] > 70 for one in (pixels, crooked)]
    kept = compare(
        before, Picture(straight), after_mask=masks[0].astype(np.float32), with_text=False
    )
    assert kept.unchanged and kept.figures["outline"] < 0.002
    found = compare(before, Picture(after), after_mask=masks[1].astype(np.float32), with_text=False)
    assert any("outline changed by" in one for one in found.changes)


def black(height: int, width: int) -> NDArray[np.uint8]:
    return np.zeros((height, width, 3), np.uint8)


def test_a_product_that_leaves_the_picture_is_told() -> None:
    before, pixels = drawn()
    found = compare(
        before, Picture(placed(pixels, gradient, 480, 1.0, 0, (0.45, 0.0))), with_text=False
    )
    assert any("of the product lies outside the new picture" in one for one in found.changes)


def test_another_product_is_not_found_again() -> None:
    before, _ = drawn()
    found = compare(before, Picture(smooth(300, 300)), with_text=False)
    assert not found.unchanged
    assert found.map is None or found.figures["agreement"] >= 0.5


def test_a_scene_before_needs_a_mask() -> None:
    scene, mask = bottle()
    pixels = scene.pixels.copy()
    pixels[mask < 0.5] = smooth(480, 480)[mask < 0.5]
    with pytest.raises(SourceError, match="give a mask or a cut-out"):
        compare(Picture(pixels), scene, with_text=False)
    assert compare(Picture(pixels), scene, mask=mask, with_text=False).unchanged


def test_a_tiny_product_cannot_be_judged() -> None:
    before, pixels = drawn()
    small = Picture(placed(pixels, gradient, 200, 0.1))
    with pytest.raises(SourceError, match="48 are needed to judge it"):
        compare(before, small, with_text=False, after_mask=_mask_of(small))


def _mask_of(small: Picture) -> NDArray[np.float32]:
    mask = np.zeros((small.height, small.width), np.float32)
    mask[82:120, 92:108] = 1
    return mask


def test_a_picture_of_50_megapixels_is_compared() -> None:
    before, pixels = drawn()
    large = np.asarray(cv2.resize(placed(pixels, gradient, 500, 1.0), (7100, 7100)), np.uint8)
    assert compare(before, Picture(large), with_text=False).figures["colour"] < 3


# The verdict, on real products.

SOME = ("apple-drink", "dash-force-2", "mighty-mug", "blue-plimsolls-4")
"""Four products of nineteen; the numbers in `images.unchanged` were got from all of them."""


@real
@pytest.mark.parametrize("name", SOME[:2])
def test_real_products_in_new_pictures_pass(name: str) -> None:
    before = Picture(cutout(name))
    for what, after in same(cutout(name)):
        found = compare(before, after, with_text=False)
        assert found.unchanged, (what, found.changes, found.figures)


@real
@pytest.mark.parametrize("name", SOME[:1])
def test_changed_real_products_are_caught(name: str) -> None:
    before = Picture(cutout(name))
    missed = [
        what
        for what, after in changed(cutout(name))
        if compare(before, after, with_text=False).unchanged
    ]
    # A third of a line of print, painted over, is at the edge of what can be seen.
    assert set(missed) <= {"erased a little"}


@real
def test_products_in_other_makers_composites_pass() -> None:
    for name in SOME:
        after = read_picture((PHOTOS / "composites" / "images" / f"{name}.jpg").read_bytes())
        found = compare(Picture(cutout(name)), after, with_text=False)
        assert found.unchanged, (name, found.changes, found.figures)
        assert found.placement is not None
        assert found.placement.scale == pytest.approx(0.7, abs=0.002)


@real
def test_there_are_nineteen_products() -> None:
    assert len(names()) == 19 and set(SOME) <= set(names())
