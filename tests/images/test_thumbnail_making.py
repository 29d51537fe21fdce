"""Thumbnails: their size, their bytes, and that JPEG is not decoded whole."""

from __future__ import annotations

import time
from io import BytesIO

import numpy as np
import pytest
from layout_pictures import cutout, plain
from PIL import Image

from waremill.errors import SourceError
from waremill.images.picture import Picture
from waremill.images.reading import read_picture
from waremill.images.thumbnails import thumbnail, thumbnail_of


def saved(pixels: np.ndarray, kind: str, **more: object) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, kind, **more)
    return stream.getvalue()


def halves(width: int, height: int) -> np.ndarray:
    pixels = np.full((height, width, 3), (200, 30, 30), np.uint8)
    pixels[:, width // 2 :] = (30, 30, 200)
    return pixels


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_thumbnail_is_webp_of_the_longer_side_asked_for(kind: str) -> None:
    made = thumbnail(saved(halves(1200, 800), kind), 240)
    assert (made.media_type, made.width, made.height) == ("image/webp", 240, 160)
    shown = read_picture(made.content)
    assert (shown.width, shown.height) == (240, 160)
    assert np.abs(shown.rgb[80, 20].astype(int) - (200, 30, 30)).max() < 12
    assert np.abs(shown.rgb[80, 220].astype(int) - (30, 30, 200)).max() < 12


def test_a_turned_photo_comes_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    made = thumbnail(saved(halves(1200, 800), "JPEG", exif=exif), 240)
    assert (made.width, made.height) == (160, 240)
    shown = read_picture(made.content)
    assert shown.rgb[20, 80, 0] > 150  # what was left is now above
    assert shown.rgb[220, 80, 2] > 150


def test_transparency_is_kept_and_nothing_is_enlarged() -> None:
    made = thumbnail_of(cutout(), 500)
    assert (made.width, made.height) == (300, 300)
    shown = read_picture(made.content)
    assert shown.alpha is not None
    assert shown.alpha[0, 0] == 0


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_printers_jpegs_work_too(mode: str) -> None:
    stream = BytesIO()
    Image.fromarray(halves(900, 600)).convert(mode).save(stream, "JPEG")
    made = thumbnail(stream.getvalue(), 90)
    assert (made.width, made.height) == (90, 60)


def test_what_is_no_picture_is_refused_with_its_name() -> None:
    for content in (b"", b"no picture", saved(halves(900, 600), "JPEG")[:3000]):
        with pytest.raises(SourceError, match=r"shop/a\.jpg"):
            thumbnail(content, name="shop/a.jpg")


def test_a_large_jpeg_takes_a_fraction_of_decoding_it_whole() -> None:
    content = saved(np.kron(halves(40, 40), np.ones((100, 100, 1), np.uint8)), "JPEG")

    def seconds(make: object) -> float:
        start = time.process_time()
        assert callable(make)
        make()
        return time.process_time() - start

    drafted = min(seconds(lambda: thumbnail(content, 200)) for _ in range(3))
    whole = min(seconds(lambda: thumbnail_of(read_picture(content), 200)) for _ in range(2))
    assert drafted < whole / 2


def test_a_picture_of_one_pixel_has_a_thumbnail() -> None:
    made = thumbnail_of(plain(1, 1))
    assert (made.width, made.height) == (1, 1)
    strip = thumbnail_of(Picture(np.zeros((1, 900, 3), np.uint8)), 90)
    assert (strip.width, strip.height) == (90, 1)
