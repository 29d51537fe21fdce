"""Writing: formats, quality, budgets, colours, what is kept, and the operation `transcode`."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_pictures import noise, saved, smooth, turned, wide_profile
from PIL import Image

from waremill.errors import ConfigError, SourceError
from waremill.images import colour, xmp
from waremill.images.encoding import Manner, encode, shrink
from waremill.images.operation import Tools, operations, read_options
from waremill.images.operations.transcode import TranscodeOptions, transcode
from waremill.images.picture import Encoded, Picture
from waremill.images.reading import identify, read_picture

FORMATS: tuple[Any, ...] = ("jpeg", "png", "webp", "avif")


def no_weights(name: str) -> Path:
    raise AssertionError(f"transcode asked for weights: {name}")


def transcoded(picture: Picture, **options: Any) -> Encoded:
    made = transcode(
        picture, read_options(TranscodeOptions, options, "transcode"), Tools(no_weights)
    )
    assert isinstance(made, Encoded)
    facts = identify(made.content)
    assert (facts.media_type, facts.width, facts.height) == (
        made.media_type, made.width, made.height,
    )  # fmt: skip
    return made


def test_the_operation_is_found_with_its_line() -> None:
    found = operations()["transcode"]
    assert found.about.startswith("Write the picture as JPEG, PNG, WebP or AVIF")
    assert found.pictures == ()


@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_comes_back_nearly_as_it_was(kind: str) -> None:
    picture = Picture(smooth(90, 120))
    made = transcoded(picture, format=kind, quality=90)
    assert made.media_type == f"image/{kind}"
    assert np.abs(read_picture(made.content).pixels.astype(int) - picture.pixels).mean() < 2


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_without_loss_every_pixel_comes_back(kind: str) -> None:
    pixels = np.dstack([noise(40, 50), np.maximum(noise(40, 50, 1), 1)])
    made = transcoded(Picture(pixels), format=kind, lossless=True)
    assert (read_picture(made.content).pixels == pixels).all()


@pytest.mark.parametrize("kind", ["jpeg", "avif"])
def test_what_cannot_be_without_loss_says_so(kind: str) -> None:
    with pytest.raises(ConfigError, match=f"{kind} is not written without loss"):
        transcoded(Picture(smooth(9, 9)), format=kind, lossless=True)


def test_quality_costs_bytes() -> None:
    picture = Picture(noise(120, 120))
    for kind in ("jpeg", "webp", "avif"):
        sizes = [len(transcoded(picture, format=kind, quality=q).content) for q in (30, 60, 95)]
        assert sizes == sorted(sizes) and sizes[0] * 1.5 < sizes[-1], kind


@pytest.mark.parametrize("kind", FORMATS)
def test_the_bytes_are_the_same_every_time(kind: str) -> None:
    picture = Picture(np.dstack([noise(300, 400), smooth(300, 400)[:, :, :1]]))
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: transcoded(picture, format=kind).content, range(4)))
    assert len(set(made)) == 1


@pytest.mark.parametrize("kind", FORMATS)
def test_a_budget_is_kept_and_nearly_used(kind: str) -> None:
    picture = Picture(
        np.clip(smooth(400, 400).astype(int) + noise(400, 400) % 24, 0, 255).astype(np.uint8)
    )
    free = len(transcoded(picture, format=kind, quality=95).content)
    for share in (0.7, 0.2, 0.02):
        made = transcoded(picture, format=kind, quality=95, most_bytes=int(free * share))
        assert len(made.content) <= int(free * share)
        assert len(made.content) >= int(free * share) * 0.6
    assert made.width < 400 or kind == "avif"  # the others do not get there by quality alone


def test_a_roomy_budget_changes_nothing() -> None:
    picture = Picture(smooth(50, 50))
    assert transcoded(picture, most_bytes=10**6) == transcoded(picture)


def test_a_budget_that_cannot_be_met_names_the_numbers() -> None:
    picture = Picture(noise(300, 300))
    with pytest.raises(SourceError, match=r"at quality 40 at 300 × 300 .* and 5,000 are allowed"):
        transcoded(picture, most_bytes=5000, may_shrink=False)
    with pytest.raises(
        SourceError, match=r"64 × 64 pixels, and 200 are allowed; allow more bytes$"
    ):
        transcoded(picture, most_bytes=200)
    with pytest.raises(ConfigError, match="most_bytes must be at least 200"):
        transcoded(picture, most_bytes=10)


def test_the_background_shows_where_the_format_has_no_alpha() -> None:
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[:, 16:] = (200, 0, 0, 255)
    pixels[:, 8:16] = (0, 0, 0, 128)
    picture = Picture(pixels)
    made = read_picture(transcoded(picture, quality=100, background="#f5f5f5").content)
    assert np.abs(made.pixels[:, :4].astype(int) - 245).max() <= 2
    assert np.abs(made.pixels[:, 20:].astype(int) - (200, 0, 0)).max() <= 3
    assert np.abs(made.pixels[:, 11:13].astype(int) - 122).max() <= 4
    for kind in ("png", "webp", "avif"):
        kept = read_picture(transcoded(picture, format=kind, background="red").content)
        assert kept.alpha is not None and kept.alpha[0, 0] == 0
    with pytest.raises(ConfigError, match="“reddish” is no colour"):
        transcoded(picture, background="reddish")


@pytest.mark.parametrize("kind", FORMATS)
def test_colours_are_converted_or_keep_their_profile(kind: str) -> None:
    picture = Picture(smooth(60, 60), wide_profile())
    in_srgb = colour.to_srgb(picture).pixels.astype(int)
    converted = read_picture(transcoded(picture, format=kind, quality=95).content)
    assert converted.profile is None
    assert np.abs(converted.pixels - in_srgb).mean() < 2
    as_it_is = read_picture(transcoded(picture, format=kind, quality=95, srgb=False).content)
    assert as_it_is.profile == wide_profile()
    assert np.abs(as_it_is.pixels.astype(int) - picture.pixels).mean() < 2
    tagged = transcoded(picture, format=kind, keep="profile")
    with Image.open(BytesIO(tagged.content)) as image:
        assert image.info["icc_profile"] == colour.srgb_profile()


@pytest.mark.parametrize("kind", FORMATS)
def test_notes_are_stripped_or_kept(kind: str) -> None:
    exif = Image.Exif()
    exif.load(turned(6))
    exif[0x010F] = "Camera maker"
    notes = xmp.write({"dc:identifier": "shoot-7", "tiff:Orientation": "6"})
    content = saved(smooth(40, 60), "JPEG", exif=exif.tobytes(), xmp=notes)
    picture = read_picture(content)
    assert picture.pixels.shape == (60, 40, 3)
    bare = transcoded(picture, format=kind).content
    for trace in (b"Camera maker", b"shoot-7", b"Exif", b"xpacket", b"ICC_PROFILE", b"iCCP"):
        assert trace not in bare
    whole = transcoded(picture, format=kind, keep="everything", most_side=30)
    again = read_picture(whole.content)
    assert again.pixels.shape == (30, 20, 3)  # it is not turned a second time
    assert again.exif is not None and b"Camera maker" in again.exif
    assert again.xmp is not None and b"shoot-7" in again.xmp and b"Orientation" not in again.xmp


def test_broken_notes_are_no_obstacle() -> None:
    picture = dataclasses.replace(
        read_picture(saved(smooth(20, 20), "PNG")), exif=b"Exif\0\0nonsense", xmp=b"<broken"
    )
    made = read_picture(transcoded(picture, format="png", keep="everything").content)
    assert made.exif is None or b"nonsense" not in made.exif


def test_shrinking_never_enlarges_and_keeps_the_shape() -> None:
    picture = Picture(smooth(300, 200))
    assert shrink(picture, 300) is picture
    small = shrink(picture, 75)
    assert (small.width, small.height) == (50, 75)
    thin = shrink(Picture(smooth(400, 10)), 20)
    assert (thin.width, thin.height) == (1, 20)


def test_transparent_colours_do_not_bleed_into_the_edge() -> None:
    pixels = np.zeros((200, 200, 4), np.uint8)
    pixels[..., :3] = (0, 255, 0)
    pixels[50:150, 50:150] = (200, 30, 30, 255)
    small = shrink(Picture(pixels), 40).pixels
    visible = small[small[..., 3] > 40]
    assert (visible[:, 1].astype(int) < 60).all()


def test_a_picture_too_large_for_a_format_is_told() -> None:
    tall = Picture(np.zeros((16_400, 400, 3), np.uint8))
    with pytest.raises(SourceError, match="cannot be written as webp"):
        encode(tall, Manner(format="webp"))


def test_50_megapixels_are_written() -> None:
    picture = Picture(np.tile(smooth(1000, 1000), (5, 10, 1)))
    made = transcoded(picture, format="jpeg", most_side=2000)
    assert (made.width, made.height) == (2000, 1000)
