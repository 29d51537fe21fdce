"""Crops: the subject is found, kept whole, and framed as asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layout_pictures import cutout, extent, picture_of, pictures_of, plain, run
from PIL import Image

from waremill.errors import ConfigError, SourceError
from waremill.images.cutouts import Box, box_of
from waremill.images.picture import Picture
from waremill.images.subject import subject_box

BLUE = (20, 40, 160)


def photo(
    size: tuple[int, int] = (600, 400), box: tuple[int, int, int, int] = (250, 120, 80, 160)
) -> Picture:
    """A product on a wall that is plain but for some noise, as JPEG leaves it."""
    width, height = size
    noise = np.random.default_rng(0).integers(-2, 3, (height, width, 3))
    pixels = (np.full((height, width, 3), 236) + noise).astype(np.uint8)
    left, top, wide, tall = box
    pixels[top : top + tall, left : left + wide] = BLUE
    return Picture(pixels)


def blue(made: Picture) -> tuple[int, int, int, int]:
    return extent((made.rgb[:, :, 2] > 120) & (made.rgb[:, :, 0] < 90))


def test_alpha_gives_the_subject_exactly() -> None:
    assert subject_box(cutout()) == Box(100, 60, 100, 200)


def test_a_mask_gives_the_subject_and_must_fit() -> None:
    mask = plain(600, 400, (0, 0, 0))
    mask.pixels[50:90, 30:80] = 255
    assert subject_box(photo(), "auto", mask) == Box(30, 50, 50, 40)
    with pytest.raises(SourceError, match="must be alike"):
        subject_box(photo(), "mask", plain(10, 10))
    with pytest.raises(SourceError, match="black throughout"):
        subject_box(photo(), "mask", plain(600, 400, (0, 0, 0)))
    with pytest.raises(SourceError, match="no mask"):
        subject_box(photo(), "mask")


def test_what_differs_from_a_plain_border_is_the_subject() -> None:
    box = subject_box(photo())
    assert abs(box.left - 250) <= 3
    assert abs(box.top - 120) <= 3
    assert abs(box.right - 330) <= 3
    assert abs(box.bottom - 280) <= 3


def test_dust_is_no_subject() -> None:
    dusty = photo()
    dusty.pixels[10:12, 10:12] = 0
    assert subject_box(dusty).left > 200


def test_a_picture_of_nothing_is_all_subject() -> None:
    assert subject_box(plain(60, 40)) == Box(0, 0, 60, 40)
    with pytest.raises(SourceError, match="nothing in the picture"):
        subject_box(plain(60, 40), "border")


def test_a_crop_without_a_ratio_is_the_subject_with_its_margin() -> None:
    made = picture_of("crop", photo(), margin="20px")
    left, top, right, bottom = blue(made)
    assert left == pytest.approx(20, abs=3)
    assert top == pytest.approx(20, abs=3)
    assert made.width - right == pytest.approx(20, abs=3)
    assert made.height - bottom == pytest.approx(20, abs=3)


@pytest.mark.parametrize("ratio", ["1:1", "4:5", "16:9", "9:16", "3:1"])
@pytest.mark.parametrize("place", [(250, 120), (0, 0), (515, 235)])
def test_every_ratio_keeps_the_whole_subject(ratio: str, place: tuple[int, int]) -> None:
    source = photo(box=(*place, 80, 160))
    (made,) = pictures_of("crop", source, ratios=ratio)
    wide, tall = (float(part) for part in ratio.split(":"))
    assert made.width / made.height == pytest.approx(wide / tall, rel=0.02)
    left, top, right, bottom = blue(made)
    assert (right - left, bottom - top) == (80, 160)


def test_several_ratios_come_in_order() -> None:
    made = pictures_of("crop", photo(), ratios=["16:9", "1:1"])
    assert made[0].width > made[0].height
    assert made[1].width == made[1].height


def test_a_plain_photo_is_padded_with_its_own_wall_and_a_cut_out_with_nothing() -> None:
    (made,) = pictures_of("crop", photo(box=(0, 100, 600, 160)), ratios="1:1")
    assert made.width == made.height >= 600
    assert abs(int(made.rgb[0, 0, 0]) - 236) <= 2
    (clear,) = pictures_of("crop", cutout((100, 300), (0, 10, 100, 280)), ratios="2:1")
    assert clear.alpha is not None
    assert clear.alpha[:, 0].max() == 0


def test_a_scene_is_cut_where_it_is_too_small_and_refused_on_request() -> None:
    scene = Picture(np.random.default_rng(3).integers(0, 256, (100, 300, 3), dtype=np.uint8))
    mask = plain(300, 100, (255, 255, 255))
    (made,) = pictures_of("crop", scene, ratios="1:1", mask=mask)
    assert (made.width, made.height) == (100, 100)
    with pytest.raises(SourceError, match="beyond: pad or cut"):
        run("crop", scene, ratios="1:1", mask=mask, beyond="refuse")
    (padded,) = pictures_of("crop", scene, ratios="1:1", mask=mask, beyond="pad", colour="#ff0000")
    assert padded.rgb[0, 0].tolist() == [255, 0, 0]
    assert padded.height == padded.width >= 300


def test_a_crop_keeps_the_colour_profile() -> None:
    source = Picture(photo().pixels, b"a profile")
    assert picture_of("crop", source).profile == b"a profile"


def test_saliency_keeps_more_of_real_subjects_than_a_middle_of_the_same_size(
    shared_data: Path,
) -> None:
    """On 24 scenes with human masks; the boxes take 47 % of the frame on average."""
    folder = shared_data / "product-photos" / "ecssd"
    kept, middle, overlaps = [], [], []
    for path in sorted((folder / "images").glob("*.jpg")):
        picture = Picture(np.asarray(Image.open(path).convert("RGB")))
        mask = np.asarray(Image.open(folder / "masks" / f"{path.stem}.png").convert("L")) > 127
        box, true = subject_box(picture), box_of(mask)
        assert true is not None
        kept.append(mask[box.top : box.bottom, box.left : box.right].sum() / mask.sum())
        share = (box.width * box.height / mask.size) ** 0.5
        rows, columns = (round(n * (1 - share) / 2) for n in mask.shape)
        middle.append(mask[rows or None : -rows or None, columns or None : -columns or None].sum())
        middle[-1] /= mask.sum()
        across = min(box.right, true.right) - max(box.left, true.left)
        down = min(box.bottom, true.bottom) - max(box.top, true.top)
        both = max(0, across) * max(0, down)
        area = box.width * box.height + true.width * true.height - both
        overlaps.append(both / area)
    assert np.mean(kept) > 0.93
    assert np.mean(kept) > np.mean(middle) + 0.03
    assert np.mean(overlaps) > 0.66


def test_the_same_scene_gives_the_same_box() -> None:
    scene = Picture(np.random.default_rng(5).integers(0, 256, (200, 300, 3), dtype=np.uint8))
    assert len({subject_box(scene, "saliency") for _ in range(3)}) == 1


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"width": 300}, (300, 200)), ({"height": 100}, (150, 100)), ({"longest": 60}, (60, 40)),
        ({"width": 100, "height": 100}, (100, 67)),
        ({"width": 100, "height": 100, "fit": "cover"}, (100, 100)),
        ({"width": 100, "height": 100, "fit": "pad"}, (100, 100)),
        ({"width": 100, "height": 300, "fit": "stretch"}, (100, 300)),
    ],
)  # fmt: skip
def test_resize_gives_the_size_asked_for(options: dict[str, Any], size: tuple[int, int]) -> None:
    made = picture_of("resize", photo(), **options)
    assert (made.width, made.height) == size


def test_padding_is_the_colour_or_transparent() -> None:
    square: dict[str, Any] = {"width": 100, "height": 100, "fit": "pad"}
    assert picture_of("resize", photo(), colour="#0a0b0c", **square).rgb[0, 0].tolist() == [
        10, 11, 12,
    ]  # fmt: skip
    clear = picture_of("resize", photo(), colour="transparent", **square)
    assert clear.alpha is not None
    assert clear.alpha[0, 0] == 0
    assert clear.alpha[50, 50] == 255


def test_resize_does_not_enlarge_unasked_and_wants_a_size() -> None:
    with pytest.raises(SourceError, match=r"enlarged 2\.0 times"):
        run("resize", photo(), width=1200)
    assert picture_of("resize", photo(), width=1200, enlarge=2).width == 1200
    with pytest.raises(ConfigError, match="longest"):
        run("resize", photo())
    with pytest.raises(ConfigError, match="not both"):
        run("resize", photo(), longest=10, width=10)
