"""Reading: what is read, how it comes out, and what is refused in one sentence."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_pictures import PHOTOS, noise, saved, smooth, turned, wide_profile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from waremill.errors import SourceError
from waremill.images import colour
from waremill.images.reading import Facts, Photo, identify, read_picture

# Pillow says on stderr what it finds odd in the broken files made here.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

KINDS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP")


def refused(content: bytes, **more: Any) -> str:
    with pytest.raises(SourceError) as caught:
        read_picture(content, name="shop/red.jpg", **more)
    with pytest.raises(SourceError):
        identify(content, **more)
    said = str(caught.value)
    assert said.startswith("shop/red.jpg: ")
    assert "\n" not in said
    return said.removeprefix("shop/red.jpg: ")


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_is_read_by_its_content(kind: str) -> None:
    pixels = smooth(60, 80)
    content = saved(pixels, kind)
    facts = identify(content)
    picture = read_picture(content, name="wrong.suffix")
    assert facts == picture.facts == Facts(f"image/{kind.lower()}", 80, 60, False)
    assert picture.pixels.shape == (60, 80, 3)
    assert picture.pixels.dtype == np.uint8
    assert picture.profile is None
    distance = np.abs(picture.pixels.astype(int) - pixels).mean()
    assert distance < (12 if kind == "GIF" else 3)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "GIF", "TIFF"])
def test_transparency_is_straight_alpha(kind: str) -> None:
    pixels = np.dstack([smooth(40, 40), np.full((40, 40), 255, np.uint8)])
    pixels[:, :20, 3] = 0
    picture = read_picture(saved(pixels, kind))
    assert picture.facts is not None and picture.facts.has_alpha
    assert picture.alpha is not None
    assert (picture.alpha[:, :18] < 5).all() and (picture.alpha[:, 22:] > 250).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_applied(kind: str, orientation: int) -> None:
    upright = np.zeros((48, 32, 3), np.uint8)
    upright[:16, :16] = (250, 20, 20)
    upright[32:, 16:] = (20, 20, 250)
    back: Any = {  # what a camera stores so that the orientation turns it upright
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.swapaxes(0, 1), 6: np.rot90(upright), 7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }  # fmt: skip
    stored = np.ascontiguousarray(back[orientation])
    content = saved(stored, kind, exif=turned(orientation))
    assert (identify(content).width, identify(content).height) == (32, 48)
    picture = read_picture(content)
    assert picture.pixels.shape == (48, 32, 3)
    assert np.abs(picture.pixels.astype(int) - upright).mean() < 8


def test_a_broken_exif_block_does_no_harm() -> None:
    content = saved(smooth(30, 30), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7fgarbage")
    assert read_picture(content).pixels.shape == (30, 30, 3)


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (Image.fromarray(noise(20, 30, 1)), "JPEG"),
        (Image.fromarray(noise(20, 30, 1)).convert("1"), "PNG"),
        (Image.fromarray(noise(20, 30)).quantize(16), "PNG"),
        (Image.fromarray(noise(20, 30)).convert("CMYK"), "JPEG"),
        (Image.fromarray(noise(20, 30)).convert("CMYK"), "TIFF"),
        (Image.fromarray(noise(20, 30)).convert("YCbCr"), "TIFF"),
    ],
    ids=["grey", "bilevel", "palette", "cmyk jpeg", "cmyk tiff", "ycbcr"],
)
def test_other_colour_models_become_rgb(image: Image.Image, kind: str) -> None:
    picture = read_picture(saved(image, kind))
    assert picture.pixels.shape == (20, 30, 3)
    wanted = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(picture.pixels - wanted).mean() < 12


def test_sixteen_bits_are_rounded_to_eight() -> None:
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    for kind in ("PNG", "TIFF"):
        picture = read_picture(saved(ramp, kind))
        assert (picture.pixels[:, :, 0].ravel() == np.arange(256)).all(), kind


def test_grey_with_transparency_keeps_it() -> None:
    image = Image.fromarray(noise(20, 20, 1)).convert("LA")
    image.putalpha(Image.fromarray(noise(20, 20, 1, seed=1)))
    picture = read_picture(saved(image, "PNG"))
    assert (picture.pixels[:, :, 3] == noise(20, 20, 1, seed=1)).all()


def test_32_bit_measurements_are_refused() -> None:
    assert "32-bit" in refused(saved(noise(20, 20, 1).astype(np.float32), "TIFF"))


def test_a_wide_profile_is_kept_and_converts_to_srgb() -> None:
    picture = read_picture(saved(smooth(40, 40), "PNG", icc_profile=wide_profile()))
    assert picture.profile == wide_profile()
    colours = np.array([[(180, 120, 90), (90, 140, 120), (60, 60, 150), (255, 255, 255)]], np.uint8)
    converted = colour.to_srgb(Photo(colours, wide_profile()))
    assert converted.profile is None
    assert np.abs(converted.pixels.astype(float) - by_matrices(colours)).max() <= 1.5


def by_matrices(adobe: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Adobe RGB (1998) to sRGB through CIE XYZ, by the published matrices of both."""
    to_xyz = np.array(
        [[0.5767, 0.1856, 0.1882], [0.2974, 0.6273, 0.0753], [0.0270, 0.0707, 0.9911]]
    )
    to_srgb = np.array(
        [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
    )
    light = ((adobe / 255) ** (563 / 256)) @ to_xyz.T @ to_srgb.T
    light = np.clip(light, 0, 1)
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    result: NDArray[np.float64] = 255 * coded
    return result


def test_srgb_and_broken_profiles_count_as_none() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, colour.srgb_profile(), b"no profile at all" * 20, wide_profile()[:200]):
        assert read_picture(saved(smooth(8, 8), "PNG", icc_profile=profile)).profile is None


def test_alpha_and_profile_survive_conversion() -> None:
    pixels = np.dstack([smooth(2100, 20), noise(2100, 20, 1)])
    converted = colour.to_srgb(Photo(pixels, wide_profile()))
    assert (converted.pixels[:, :, 3] == pixels[:, :, 3]).all()
    assert (converted.pixels[:, :, :3] != pixels[:, :, :3]).any()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "AVIF", "PNG", "TIFF"])
def test_of_several_frames_the_first_is_read_and_said_so(kind: str) -> None:
    frames = [Image.fromarray(np.full((24, 24, 3), shade, np.uint8)) for shade in (200, 20)]
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    picture = read_picture(content)
    assert picture.facts is not None and picture.facts.several
    assert "only the first" in picture.facts.note
    assert abs(int(picture.pixels.mean()) - 200) <= 2


def test_what_is_no_picture_is_named() -> None:
    assert "empty" in refused(b"")
    assert "PDF" in refused(b"%PDF-1.7\n%")
    assert "FITS" in refused(b"SIMPLE  =                    T" + b" " * 100)
    svg = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"></svg>'
    assert "SVG" in refused(svg)
    assert "SVG" in refused(b"\xef\xbb\xbf  <svg width='1'>")
    assert "web page" in refused(b"\n<!DOCTYPE html><html><body>Not found</body></html>")
    assert "text" in refused(b'{"error": "not found"}')
    assert "HEIC" in refused(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    assert "video" in refused(b"\0\0\0\x18ftypisom\0\0\0\0isomiso2")
    assert "raw file" in refused(b"II*\0\x10\0\0\0CR\2\0" + bytes(200))
    assert "Photoshop" in refused(b"8BPS\0\1")
    assert "use JPEG, PNG" in refused(b"hello world")
    assert "use JPEG, PNG" in refused(bytes(1000))


def test_a_camera_file_is_not_read_as_its_thumbnail() -> None:
    from PIL import TiffImagePlugin

    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[0xC612] = b"\1\4\0\0"
    assert "raw file" in refused(saved(smooth(20, 20), "TIFF", tiffinfo=tags))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_off_is_refused(kind: str) -> None:
    whole = saved(noise(120, 160), kind)
    for share in (0.3, 0.9):
        with pytest.raises(SourceError, match="cut off or damaged"):
            read_picture(whole[: int(len(whole) * share)])


def test_bombs_are_refused_by_their_header() -> None:
    stream = BytesIO()
    Image.new("1", (30_000, 30_000)).save(stream, "PNG")
    assert len(stream.getvalue()) < 200_000
    assert "30000 × 30000 pixels, and at most 200 million" in refused(stream.getvalue())
    small = saved(smooth(100, 100), "PNG")
    assert "at most 0.009 million" in refused(small, most_pixels=9_000)
    canvas = b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0" + b"\xff\xff\xff" * 2 + bytes(8)
    assert "16777216 × 16777216" in refused(canvas)


def test_a_header_that_lies_about_the_size_is_found() -> None:
    content = bytearray(saved(noise(50, 50), "PNG"))
    content[16:24] = (5000).to_bytes(4, "big") * 2
    with pytest.raises(SourceError, match="cut off or damaged"):
        read_picture(bytes(content))


def test_a_strip_is_no_picture() -> None:
    assert "3000 × 20 pixels, a strip" in refused(saved(np.zeros((20, 3000, 3), np.uint8), "PNG"))


def test_a_picture_of_50_megapixels_is_read() -> None:
    tile = smooth(1000, 1000)
    content = saved(np.tile(tile, (5, 10, 1)), "JPEG", quality=80)
    picture = read_picture(content)
    assert (picture.width, picture.height) == (10_000, 5000)
    assert np.abs(picture.pixels[-1000:, -1000:].astype(int) - tile).mean() < 4


def test_many_threads_read_at_once() -> None:
    contents = [saved(noise(80, 80, seed=n), kind) for n, kind in enumerate(("PNG", "BMP") * 8)]
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(read_picture, contents))
    assert all((p.pixels == noise(80, 80, seed=n)).all() for n, p in enumerate(read))
    assert threading.active_count() < 20


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the real photos are not beside the repository")
def test_the_real_photos_are_read() -> None:
    paths = [path for path in sorted(PHOTOS.rglob("*")) if path.suffix in (".jpg", ".png", ".webp")]
    wide = 0
    for path in paths:
        picture = read_picture(path.read_bytes(), name=path.name)
        wide += picture.profile is not None
        assert colour.to_srgb(picture).profile is None
    assert len(paths) > 100
    assert wide >= 10  # the pack shots are in Adobe RGB


def give_up_or_read(content: bytes) -> None:
    try:
        picture = read_picture(content, most_pixels=4_000_000)
    except SourceError as error:
        assert error.message and "\n" not in error.message
    else:
        assert picture.pixels.dtype == np.uint8
        assert picture.pixels.ndim == 3 and picture.pixels.shape[2] in (3, 4)
        assert picture.facts is not None
        assert picture.pixels.shape[:2] == (picture.facts.height, picture.facts.width)


HEADS = [saved(noise(8, 8), kind)[:40] for kind in KINDS]
WHOLE = [saved(smooth(24, 24), kind, exif=turned(6)) for kind in ("JPEG", "PNG", "WEBP", "AVIF")]
WHOLE += [saved(smooth(24, 24), kind) for kind in ("GIF", "TIFF", "BMP")]
WHOLE.append(saved(smooth(24, 24), "TIFF", compression="tiff_lzw", exif=turned(3)))
WHOLE.append(saved(Image.fromarray(noise(24, 24)).quantize(8), "PNG", icc_profile=wide_profile()))


@given(st.sampled_from([b"", *HEADS]), st.binary(max_size=400))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_bytes_end_in_a_picture_or_a_sentence(head: bytes, rest: bytes) -> None:
    give_up_or_read(head + rest)


@given(st.integers(0, len(WHOLE) - 1), st.randoms(use_true_random=False), st.integers(1, 12))
@settings(
    max_examples=500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
def test_any_damage_ends_in_a_picture_or_a_sentence(
    which: int, chance: random.Random, wounds: int
) -> None:
    content = bytearray(WHOLE[which])
    for _ in range(wounds):
        place = chance.randrange(len(content))
        how = chance.randrange(4)
        if how == 0:
            content[place] = chance.randrange(256)
        elif how == 1:
            del content[place : place + chance.randrange(1, 30)]
        elif how == 2:
            content[place:place] = chance.randbytes(chance.randrange(1, 9))
        else:
            content[place : place + 4] = b"\xff\xff\xff\xff"
        if not content:
            break
    give_up_or_read(bytes(content))
