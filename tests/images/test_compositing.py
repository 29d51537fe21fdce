"""What must not change comes out as it went in, whatever a model made of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageCms

from waremill.errors import ConfigError
from waremill.images.compositing import FEATHER, fitted, mask_of, recreated, restored
from waremill.images.picture import Picture, Pixels

P3_LIKE = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def noise(height: int, width: int, seed: int = 0, channels: int = 3) -> Picture:
    rolled = np.random.default_rng(seed)
    return Picture(rolled.integers(0, 256, (height, width, channels), dtype=np.uint8))


def plain(height: int, width: int, *colour: int) -> Picture:
    return Picture(np.full((height, width, len(colour)), colour, np.uint8))


def bottle(height: int, width: int) -> Picture:
    """A mask that protects an ellipse in the middle."""
    y, x = np.ogrid[:height, :width]
    inside = ((y - height / 2) / (height / 3)) ** 2 + ((x - width / 2) / (width / 5)) ** 2 < 1
    return Picture(np.where(inside, 0, 255).astype(np.uint8)[:, :, None].repeat(3, axis=2))


def protected(mask: Picture) -> Pixels:
    return mask.pixels[:, :, 0] == 0


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 60), width=st.integers(1, 60), seed=st.integers(0, 9),
    feather=st.integers(0, 12),
)  # fmt: skip
def test_every_protected_pixel_is_the_originals_bit_by_bit(
    height: int, width: int, seed: int, feather: int
) -> None:
    original, made = noise(height, width, seed), noise(height, width, seed + 100)
    mask = Picture(
        np.random.default_rng(seed).choice(np.array([0, 60, 255], np.uint8), (height, width, 1))
        .repeat(3, axis=2)
    )  # fmt: skip
    result = recreated(original, made, mask, feather=feather)
    kept = protected(mask)
    assert (result.picture.pixels[kept] == original.pixels[kept]).all()
    assert result.picture.pixels.shape == original.pixels.shape
    assert result.kept >= kept.mean()


def test_the_seam_fades_outward_only_and_ends_after_the_feather() -> None:
    original, made, mask = plain(90, 90, 0, 0, 0), plain(90, 90, 255, 255, 255), bottle(90, 90)
    sharp = recreated(original, made, mask, feather=0).picture.pixels[:, :, 0]
    assert set(np.unique(sharp)) == {0, 255}
    soft = recreated(original, made, mask, feather=6).picture.pixels[:, :, 0]
    assert (soft[protected(mask)] == 0).all()
    row = soft[45].astype(int)
    right = row[45:]
    assert (np.diff(right) >= 0).all()  # from the product outward it only grows
    between = np.flatnonzero((right > 0) & (right < 255))
    assert 4 <= len(between) <= 6
    # Beyond the seam all is the model's.
    assert (right[between[-1] + 1 :] == 255).all()


def test_greys_of_a_mask_are_mixed() -> None:
    original, made = plain(8, 8, 0, 0, 0), plain(8, 8, 200, 200, 200)
    result = recreated(original, made, plain(8, 8, 128, 128, 128))
    assert (result.picture.pixels == 100).all()


def test_a_cut_out_is_protected_where_it_is_solid() -> None:
    cutout = noise(40, 40, channels=4)
    cutout.pixels[:, :, 3] = 255 - bottle(40, 40).pixels[:, :, 0]
    mask = mask_of(cutout)
    made = noise(40, 40, 5)
    result = recreated(cutout, made, mask)
    solid = cutout.pixels[:, :, 3] == 255
    assert (result.picture.pixels[solid] == cutout.pixels[solid][:, :3]).all()
    # What lies under transparency has no colour, and lends none to the seam.
    assert (result.picture.pixels[~solid] == made.pixels[~solid]).all()
    with pytest.raises(ConfigError, match="no cut-out"):
        mask_of(made)


@pytest.mark.parametrize(
    ("size", "words"),
    [((96, 64), "scaled back"), ((24, 16), "scaled back"), ((64, 64), "cropped and scaled back")],
)
def test_a_picture_of_another_size_is_brought_back_and_said(
    size: tuple[int, int], words: str
) -> None:
    original, mask = noise(32, 48), bottle(32, 48)
    result = recreated(original, plain(size[1], size[0], 9, 9, 9), mask)
    assert (result.picture.width, result.picture.height) == (48, 32)
    kept = protected(mask)
    assert (result.picture.pixels[kept] == original.pixels[kept]).all()
    (note,) = [one for one in result.notes if "pixels instead of" in one]
    assert f"made {size[0]} × {size[1]} pixels instead of 48 × 32" in note and words in note


def test_a_picture_of_the_right_size_needs_no_words() -> None:
    original = plain(32, 48, 90, 90, 90)
    result = recreated(original, plain(32, 48, 95, 90, 85), bottle(32, 48))
    assert result.notes == ()
    assert result.drift == pytest.approx(10 / 3, abs=0.01)


def test_a_product_that_the_model_moved_is_said() -> None:
    original = bottle(80, 80)
    moved = Picture(np.roll(original.pixels, 20, axis=1))
    result = recreated(original, moved, bottle(80, 80))
    assert result.drift > 25
    assert any("moved or redrew" in note for note in result.notes)


def test_what_is_fitted_for_a_model_comes_back_where_it_was() -> None:
    original = Picture(
        np.add.outer(np.arange(60), np.arange(100)).astype(np.uint8)[:, :, None].repeat(3, 2)
    )
    sent = fitted(original, bottle(60, 100), 512, 512)
    assert (sent.picture.width, sent.picture.height) == (512, 512)
    assert (sent.mask.width, sent.mask.height) == (512, 512)
    assert (sent.width, sent.height, sent.left, sent.top) == (512, 307, 0, 102)
    assert (sent.mask.pixels[:90] == 255).all()  # margins may change
    assert (sent.mask.pixels[255, 256] == 0).all()
    back, notes = restored(sent.picture, sent, (100, 60))
    assert notes == ()
    assert np.abs(back.pixels.astype(int) - original.pixels).mean() < 1.5
    larger, said = restored(
        Picture(sent.picture.pixels.repeat(2, axis=0).repeat(2, axis=1)), sent, (100, 60)
    )
    assert len(said) == 1 and "1024 × 1024" in said[0]
    assert np.abs(larger.pixels.astype(int) - original.pixels).mean() < 2.5


def test_transparency_is_grey_to_a_model() -> None:
    cutout = plain(20, 20, 200, 0, 0, 0)
    sent = fitted(cutout, plain(20, 20, 255, 255, 255), 40, 40)
    assert sent.picture.pixels.shape == (40, 40, 3)
    assert np.abs(sent.picture.pixels.astype(int) - 128).max() <= 1


def test_mask_and_picture_of_different_sizes_fit_one_another() -> None:
    original = noise(60, 90)
    small = bottle(20, 30)
    result = recreated(original, plain(60, 90, 1, 2, 3), small, feather=FEATHER)
    assert (result.picture.pixels[30, 45] == original.pixels[30, 45]).all()
    assert (result.picture.pixels[0, 0] == (1, 2, 3)).all()


def test_a_profile_that_cannot_be_used_is_left_out() -> None:
    original = Picture(noise(16, 16).pixels, P3_LIKE)
    result = recreated(original, plain(16, 16, 1, 1, 1), plain(16, 16, 0, 0, 0))
    assert result.picture.profile is None
    assert (result.picture.pixels == original.pixels).all()


def test_large_pictures_take_little_memory() -> None:
    import tracemalloc

    original, made = plain(3000, 3000, 9, 9, 9), plain(3000, 3000, 99, 99, 99)
    mask = plain(3000, 3000, 255, 255, 255)
    mask.pixels[1000:2000, 1000:2000] = 0
    tracemalloc.start()
    recreated(original, made, mask)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30 * 9_000_000  # bytes a pixel, the result among them
