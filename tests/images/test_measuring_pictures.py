"""Figures about pictures: each against a picture whose answer is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from made_pictures import PHOTOS, bottle, noise, saved, smooth
from numpy.typing import NDArray

from waremill.errors import SourceError
from waremill.images import hashing, measure
from waremill.images.picture import Picture, Plane
from waremill.images.product_masks import box_of, find_product, large_parts, plain_background
from waremill.images.reading import read_picture

WHITE = (255, 255, 255)


def blurred(picture: Picture, sigma: float) -> Picture:
    return Picture(np.asarray(cv2.GaussianBlur(picture.pixels, (0, 0), sigma), np.uint8))


def grainy(picture: Picture, sigma: float) -> Picture:
    grain = np.random.default_rng(1).normal(0, sigma, (*picture.pixels.shape[:2], 1))
    return Picture(np.clip(np.rint(picture.pixels + grain), 0, 255).astype(np.uint8))


def square(size: int, box: tuple[int, int, int, int]) -> Plane:
    mask = np.zeros((size, size), np.float32)
    left, top, right, bottom = box
    mask[top:bottom, left:right] = 1
    return mask


# The product's mask.


def test_the_product_is_what_differs_from_a_plain_background() -> None:
    picture, truth = bottle()
    found = find_product(picture)
    assert found is not None
    assert np.abs(found - truth).mean() < 0.001
    compressed = find_product(read_picture(saved(picture.pixels, "JPEG", quality=80)))
    assert compressed is not None
    assert np.abs(compressed - truth).mean() < 0.01


def test_holes_of_the_background_colour_belong_to_the_product() -> None:
    pixels = np.full((100, 100, 3), 255, np.uint8)
    pixels[20:80, 20:80] = (30, 60, 90)
    pixels[40:60, 40:60] = 255
    found = find_product(Picture(pixels))
    assert found is not None and found[50, 50] == 1


def test_dust_and_faint_shadows_are_no_product() -> None:
    picture, truth = bottle()
    pixels = picture.pixels.copy()
    pixels[5:7, 300] = 0
    pixels[430:450, 100:400] = 245
    found = find_product(Picture(pixels))
    assert found is not None
    assert found[5, 300] == 0 and found[445, 120] == 0
    assert np.abs(found - truth).mean() < 0.002


def test_alpha_says_where_the_product_is() -> None:
    alpha = noise(30, 30, 1)
    found = find_product(Picture(np.dstack([noise(30, 30), alpha])))
    assert found is not None
    assert np.allclose(found, alpha / 255)
    opaque = np.dstack([bottle()[0].pixels, np.full((480, 480), 255, np.uint8)])
    by_colour = find_product(Picture(opaque))
    assert by_colour is not None and 0.1 < by_colour.mean() < 0.4


def test_a_scene_has_no_plain_background() -> None:
    assert find_product(Picture(noise(80, 80))) is None
    assert plain_background(Picture(smooth(80, 80))) is None


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(SourceError, match="mask is 10 × 20 pixels, the picture 30 × 30"):
        find_product(Picture(noise(30, 30)), np.ones((20, 10), np.float32))


def test_the_background_of_a_cut_off_product_is_still_found() -> None:
    pixels = np.full((100, 100, 3), (250, 248, 246), np.uint8)
    pixels[60:, 20:80] = (10, 20, 30)
    found = plain_background(Picture(pixels))
    assert found is not None
    assert found.colour == (250, 248, 246)
    assert 0.8 < found.share < 0.9


def test_large_parts_leave_letters_out() -> None:
    mask = square(100, (10, 10, 60, 60))
    mask[80:84, 10:14] = 1
    mask[70:95, 60:95] = 1
    kept = large_parts(mask)
    assert kept[82, 12] == 0 and kept[30, 30] == 1 and kept[80, 80] == 1
    assert large_parts(np.zeros((9, 9), np.float32)).max() == 0


# Sharpness and noise.


def test_sharpness_falls_with_blur_and_blur_rises() -> None:
    picture, mask = bottle(600)
    series = [picture, *(blurred(picture, sigma) for sigma in (1, 2, 4))]
    sharp = [measure.sharpness(one, mask) for one in series]
    soft = [measure.blur(one, mask) for one in series]
    assert sharp == sorted(sharp, reverse=True) and sharp[0] > 20 * sharp[2]
    assert soft == sorted(soft) and soft[0] < 0.4 and soft[-1] > 0.6


def test_sharpness_is_that_of_the_formula() -> None:
    pixels = np.zeros((9, 9, 3), np.uint8)
    pixels[4, 4] = 100
    laplacian = np.zeros((9, 9))
    laplacian[4, 4], laplacian[3, 4], laplacian[5, 4] = -400, 100, 100
    laplacian[4, 3] = laplacian[4, 5] = 100
    found = measure.sharpness(Picture(np.tile(pixels, (3, 3, 1))))
    assert found == pytest.approx(np.tile(laplacian, (3, 3)).var(), rel=1e-4)


def test_sharpness_does_not_depend_on_size() -> None:
    small, mask_small = bottle(700)
    large, mask_large = bottle(1400)
    ratio = measure.sharpness(large, mask_large) / measure.sharpness(small, mask_small)
    assert 0.6 < ratio < 1.7


def test_only_the_product_is_judged() -> None:
    picture, mask = bottle(600)
    soft = blurred(picture, 4).pixels.copy()
    background = np.asarray(mask < 0.5)
    soft[background] = np.tile(noise(100, 100), (6, 6, 1))[background]
    assert measure.sharpness(Picture(soft), mask) < 30 < measure.sharpness(Picture(soft))


@pytest.mark.parametrize("sigma", [2.0, 5.0, 12.0])
def test_noise_is_measured_to_a_tenth(sigma: float) -> None:
    plane = grainy(Picture(np.full((300, 300, 3), 120, np.uint8)), sigma)
    found = measure.noise(plane)
    assert found == pytest.approx(sigma, rel=0.1)
    slope = grainy(Picture((smooth(300, 300) * 0.6 + 40).astype(np.uint8)), sigma)
    assert measure.noise(slope) == pytest.approx(sigma, rel=0.15)


def test_where_all_is_white_there_is_no_noise_to_measure() -> None:
    assert measure.noise(Picture(np.full((64, 64, 3), 255, np.uint8))) is None
    assert measure.noise(Picture(noise(8, 8))) is None


# The background and the frame.


def test_purity_is_the_share_of_exactly_that_colour() -> None:
    pixels = np.full((100, 100, 3), 255, np.uint8)
    mask = square(100, (30, 30, 70, 70))
    pixels[30:70, 30:70] = 90
    pixels[:10] = (255, 255, 254)
    outside = 100 * 100 - 44 * 44  # two pixels around the product are left out
    picture = Picture(pixels)
    assert measure.background_purity(picture, WHITE, mask) == pytest.approx(1 - 1000 / outside)
    assert measure.background_purity(picture, WHITE, mask, tolerance=1) == 1
    assert measure.background_purity(picture, (0, 0, 0), mask) == 0
    assert measure.background_purity(picture, WHITE, np.ones((100, 100), np.float32)) is None


def test_purity_as_jpeg_finds_what_compression_soils() -> None:
    picture, mask = bottle()
    assert measure.background_purity_as_jpeg(picture, WHITE, mask) == 1
    dotted = picture.pixels.copy()
    dotted[::7, ::7] = 250
    pixels = np.where(mask[..., None] > 0, picture.pixels, dotted)
    soiled = measure.background_purity_as_jpeg(Picture(pixels), WHITE, mask, tolerance=0)
    assert soiled is not None and soiled < 0.97


def test_transparency_counts_as_background() -> None:
    pixels = np.zeros((60, 60, 4), np.uint8)
    pixels[20:40, 20:40] = (200, 10, 10, 255)
    mask = square(60, (20, 20, 40, 40))
    assert measure.background_purity(Picture(pixels), (7, 8, 9), mask) == 1


def test_fill_measures_box_area_and_sides() -> None:
    found = measure.fill(square(100, (10, 20, 60, 100)))
    assert found is not None
    assert found.box == (10, 20, 60, 100)
    assert (found.side, found.box_area) == (0.8, 0.4)
    assert found.area == pytest.approx(0.4)
    assert found.cut == ("bottom",)
    assert measure.fill(np.zeros((9, 9), np.float32)) is None
    assert box_of(np.zeros((9, 9), np.float32)) is None


def test_a_tip_may_touch_the_frame() -> None:
    mask = square(200, (50, 50, 150, 150))
    mask[:50, 99:101] = 1
    found = measure.fill(mask)
    assert found is not None and found.cut == ()


# Hashes.


def again(pixels: NDArray[np.uint8]) -> list[Picture]:
    height, width = pixels.shape[:2]
    half = cv2.resize(pixels, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return [
        read_picture(saved(pixels, "JPEG", quality=60)), Picture(np.asarray(half, np.uint8)),
        Picture(np.clip(pixels * 1.05, 0, 255).astype(np.uint8)),
    ]  # fmt: skip


def test_hashes_of_the_same_picture_are_near_and_of_others_far() -> None:
    picture, _ = bottle()
    other = Picture(np.ascontiguousarray(picture.pixels[:, ::-1].swapaxes(0, 1)))
    for kind in (hashing.phash, hashing.dhash):
        own = kind(picture)
        assert 0 <= own < 2**64
        for one in again(picture.pixels):
            assert hashing.distance(own, kind(one)) <= 6
        assert hashing.distance(own, kind(other)) > 16


def test_distance_counts_bits() -> None:
    assert hashing.distance(0, 0) == 0
    assert hashing.distance(0b1011, 0b0001) == 2
    assert hashing.distance(0, 2**64 - 1) == 64


def test_tint_tells_colours_apart() -> None:
    grey = hashing.tint(Picture(np.full((10, 10, 3), 90, np.uint8)))
    assert grey == bytes([128] * 8)
    pink = hashing.tint(Picture(np.full((10, 10, 3), (240, 120, 160), np.uint8)))
    assert pink[0] == pytest.approx(128 - 0.168736 * 240 - 0.331264 * 120 + 0.5 * 160, abs=1)
    assert pink[1] == pytest.approx(128 + 0.5 * 240 - 0.418688 * 120 - 0.081312 * 160, abs=1)


def test_50_megapixels_are_measured() -> None:
    pixels = np.full((5000, 10_000, 3), 255, np.uint8)
    tile = (smooth(1000, 1000) * 0.7 + 20).astype(np.uint8)
    pixels[1000:4000, 3000:7000] = np.tile(tile, (3, 4, 1))
    picture = Picture(pixels)
    mask = find_product(picture)
    assert mask is not None
    found = measure.fill(mask)
    assert found is not None and found.box == (3000, 1000, 7000, 4000)
    assert measure.background_purity(picture, WHITE, mask) == 1
    assert (measure.noise(picture, mask) or 0) < 1


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the real photos are not beside the repository")
def test_real_studio_photos_are_measured_sensibly() -> None:
    for path in sorted((PHOTOS / "magento_photos").glob("*.jpg"))[::3]:
        picture = read_picture(path.read_bytes())
        mask = find_product(picture)
        found = measure.fill(mask) if mask is not None else None
        assert mask is not None and found is not None, path.name
        assert 0.3 < found.side <= 1, path.name
        assert measure.blur(picture, mask) < 0.58 < measure.blur(blurred(picture, 5), mask)
