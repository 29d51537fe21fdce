"""The checks of pictures: what each finds, what it lets pass, and what it says it cannot tell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_products import SIZE, bottle, file_of, judged, put, said

from waremill import checks
from waremill.checks import pictures
from waremill.checks.pictures import PictureDraft, duplicate_pictures, run_picture_checks
from waremill.errors import ConfigError, NotFound
from waremill.images.picture import Picture
from waremill.images.text_reading import can_read

ROOM = Path(pictures.__file__).parent
reader = pytest.mark.skipif(not can_read(), reason="RapidOCR, which is optional, is not installed")


def scene() -> Picture:
    return Picture(np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8))


# The room.


def test_every_picture_check_is_found_and_documented() -> None:
    assert pictures.names() == (
        "background-purity", "fill", "no-overlaid-text", "noise", "product-unchanged",
        "resolution", "sharpness", "uncropped",
    )  # fmt: skip
    for name in (*pictures.names(), *pictures.RUN_LEVEL):
        path = ROOM / f"{name.replace('-', '_')}.py"
        assert f"`{name}`" in path.read_text(encoding="utf-8").partition('"""\n')[0]
    for name in pictures.names():
        assert (pictures.get(name).__doc__ or "").startswith("Find")


def test_limits_have_names_of_their_own() -> None:
    limits = [name for check in pictures.names() for name in pictures.get(check).__dict__["limits"]]
    assert len(limits) == len(set(limits))
    assert set(limits) == set(pictures.defaults())
    for check in pictures.names():
        for name in pictures.get(check).__dict__["limits"]:
            assert f"`{name}`" in (pictures.get(check).__doc__ or ""), (check, name)


def test_picture_checks_are_no_text_checks_and_load_nothing_heavy() -> None:
    assert not set(checks.names()) & set(pictures.names())
    code = (
        "import sys, waremill.checks as c; c.names(); import waremill.checks.pictures; "
        "print([m for m in ('numpy', 'cv2', 'PIL') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_a_good_picture_passes_them_all() -> None:
    picture = bottle()
    draft = PictureDraft("image", picture, file_of(picture), before=picture)
    names = [name for name in pictures.names() if name != "no-overlaid-text"]
    found = run_picture_checks(names, draft, {"compare_text": False})
    assert list(found) == names
    assert {name: one.findings for name, one in found.items()} == dict.fromkeys(names, ())


def test_unknown_names_and_kinds_are_told() -> None:
    draft = PictureDraft("image", scene())
    with pytest.raises(
        ConfigError, match="no picture check has a limit “least_sides”, did you mean"
    ):
        run_picture_checks(["resolution"], draft, {"least_sides": 3})
    with pytest.raises(ConfigError, match="the limit least_side must be a number, not “many”"):
        run_picture_checks(["resolution"], draft, {"least_side": "many"})
    with pytest.raises(ConfigError, match="the limit background must be text, not “3”"):
        run_picture_checks(["background-purity"], draft, {"background": 3})
    with pytest.raises(ConfigError, match="compare_text must be true or false"):
        run_picture_checks(["product-unchanged"], draft, {"compare_text": 1})
    with pytest.raises(NotFound, match="did you mean “sharpness”"):
        pictures.get("sharpnes")


# Each check.


def test_resolution() -> None:
    small = Picture(np.zeros((480, 640, 3), np.uint8))
    assert said("resolution", small) == (
        "error: the picture is 640 × 480 pixels; its shorter side needs at least 500"
    )
    assert "longer side needs at least 1000" in said("resolution", small, {"least_side": 400})
    assert not said("resolution", small, {"least_side": 480, "least_long_side": 640})


def test_sharpness() -> None:
    picture = bottle()
    soft = Picture(np.asarray(cv2.GaussianBlur(picture.pixels, (0, 0), 9), np.uint8))
    assert not said("sharpness", picture)
    assert "error: the picture is blurred: 0." in said("sharpness", soft)
    assert "variance of its Laplacian is" in said("sharpness", picture, {"least_sharpness": 1e6})


def test_noise() -> None:
    picture = bottle()
    grain = np.random.default_rng(0).normal(0, 14, picture.pixels.shape[:2])[..., None]
    grainy = Picture(np.clip(picture.pixels + grain, 0, 255).astype(np.uint8))
    mask = np.zeros((SIZE, SIZE), np.float32)
    mask[310:1070, 410:790] = 1
    assert not said("noise", picture)
    assert "warning: the picture is grainy: noise of 1" in said("noise", grainy, mask=mask)


def test_background_purity() -> None:
    picture = bottle()
    assert not said("background-purity", picture)
    off_white = Picture(np.where(picture.pixels == 255, 253, picture.pixels).astype(np.uint8))
    assert said("background-purity", off_white) == (
        "error: 0 % of the background is exactly #ffffff, at least 99.5 % must be"
    )
    assert not said("background-purity", off_white, {"background": "#fdfdfd"})
    assert "the background is not plain" in said("background-purity", scene())
    dirty = picture.pixels.copy()
    dirty[100:110, 100:104] = 254
    almost = said("background-purity", Picture(dirty), {"least_purity": 1.0})
    assert almost.startswith("error: 99.9 % of the background is exactly #ffffff, at least 100 %")
    as_jpeg = {
        "least_purity": 0.9,
        "jpeg_quality": 20,
        "jpeg_tolerance": 0,
        "least_purity_as_jpeg": 1,
    }
    rough = picture.pixels.copy()
    rough[::40, :400] = 246
    assert "as a JPEG only" in said("background-purity", Picture(rough), as_jpeg)


def test_fill_and_uncropped() -> None:
    picture = bottle()
    assert not said("fill", picture) and not said("uncropped", picture)
    assert said("fill", picture, {"least_fill": 0.85}) == (
        "error: the product takes 80% of the frame, at least 85% is wanted"
    )
    assert "at most 70% is allowed" in said("fill", picture, {"most_fill": 0.7})
    cut = Picture(np.ascontiguousarray(picture.pixels[:1000, 450:]))
    assert said("uncropped", cut) == (
        "error: the product is cut off at the left and bottom of the picture; leave room around it"
    )
    assert "no product in the picture" in said("fill", Picture(np.full((99, 99, 3), 255, np.uint8)))


def test_what_cannot_be_told_is_said_to_be_unchecked() -> None:
    for name in ("fill", "uncropped"):
        assert said(name, scene()).startswith("warning: not checked: the product cannot be told")
        assert not said(name, scene(), mask=_middle(300))
    unchanged = said("product-unchanged", bottle())
    assert unchanged == "warning: not checked: there is no picture of the product before"
    assert "not checked: where the product is" in said(
        "product-unchanged", bottle(), before=scene()
    )


def _middle(size: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    mask = np.zeros((size, size), np.float32)
    mask[size // 8 : -size // 8, size // 8 : -size // 8] = 1
    return mask


@reader
def test_text_over_the_picture_is_found_and_print_is_not() -> None:
    picture = bottle()
    assert not said("no-overlaid-text", picture)
    priced = picture.pixels.copy()
    put(priced, "ONLY 9.99", (60, 1160), 1.6)
    found = said("no-overlaid-text", Picture(priced))
    assert found.startswith("error: text is written over the picture: “ONLY")
    marked = picture.pixels.copy()
    cv2.rectangle(marked, (60, 420), (1140, 500), (90, 90, 90), -1)
    cv2.putText(
        marked, "www.example.com/watermark", (80, 480), cv2.FONT_HERSHEY_SIMPLEX, 2.2,
        (255, 255, 255), 4, cv2.LINE_AA,
    )  # fmt: skip
    mask = np.zeros((SIZE, SIZE), np.float32)
    mask[300:1080, 400:800] = 1
    assert "example.com" in said("no-overlaid-text", Picture(marked), mask=mask)


@reader
def test_text_without_a_mask_is_only_a_hint() -> None:
    pixels = bottle().pixels.copy()
    shade = np.linspace(80, 250, SIZE).astype(np.uint8)
    pixels[(pixels == 255).all(axis=2)] = np.broadcast_to(shade[:, None, None], pixels.shape)[
        (pixels == 255).all(axis=2)
    ]
    found = said("no-overlaid-text", Picture(pixels))
    assert found.startswith("warning: there is text in the picture, on the product or over it")


def test_without_a_reader_the_check_says_so() -> None:
    code = (
        "import sys; sys.modules['rapidocr'] = None\n"  # as where it is not installed
        "import numpy as np; from waremill.checks.pictures import *\n"
        "from waremill.images.picture import Picture\n"
        "draft = PictureDraft('image', Picture(np.zeros((50, 50, 3), np.uint8)))\n"
        "print(get('no-overlaid-text')(draft, {}).findings[0].message)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == (
        "not checked: no reader of text is installed; install the package rapidocr"
    )


def test_a_changed_product_gives_findings_and_a_map() -> None:
    limits = {"compare_text": False}
    same = judged("product-unchanged", bottle(), limits, before=bottle())
    assert same.findings == () and same.picture is not None
    label = bottle()
    label.pixels[520:900, 440:760] = np.asarray(
        label.pixels[520:900, 440:760] * (1, 0.7, 0.8), np.uint8
    )
    changed = judged("product-unchanged", label, limits, before=bottle())
    [finding] = changed.findings
    assert finding.severity == "error"
    assert "has another colour, most of it in the middle" in finding.message
    assert "agreement" in finding.evidence and "patch 0." in finding.evidence
    heat = changed.picture
    assert heat is not None and heat.pixels.shape == (*label.pixels.shape[:2], 4)
    middle, beside = heat.pixels[780, 460], heat.pixels[400, 600]
    assert middle[3] > 60 and int(np.ptp(middle[:3])) > 60
    assert beside.tolist() == [0, 0, 0, 0]
    assert not said(
        "product-unchanged",
        label,
        {**limits, "most_patch_change": 1, "most_spots_change": 1},
        before=bottle(),
    )


@reader
def test_changed_words_are_read_out() -> None:
    loose = {
        "most_edge_change": 1,
        "most_patch_change": 1,
        "most_spots_change": 1,
        "most_structure_change": 1,
    }
    assert not said("product-unchanged", bottle(), loose, before=bottle())
    found = said("product-unchanged", bottle("MIDNIGHT"), loose, before=bottle())
    assert "the text on the product changed: “AURORA” now reads “" in found


# Duplicates.


def test_duplicates_are_the_same_picture_in_another_file() -> None:
    own = duplicate_pictures.signature(bottle())
    assert len(own) == 24
    half = cv2.resize(bottle().pixels, (600, 600), interpolation=cv2.INTER_AREA)
    again = duplicate_pictures.signature(Picture(np.asarray(half, np.uint8)))
    assert duplicate_pictures.distance(own, again) <= duplicate_pictures.THRESHOLD
    assert set(duplicate_pictures.bands(own)) & set(duplicate_pictures.bands(again))
    red = duplicate_pictures.signature(bottle(colour=(190, 20, 40)))
    assert duplicate_pictures.distance(own, red) == 64
    other = duplicate_pictures.signature(scene())
    assert duplicate_pictures.distance(own, other) > duplicate_pictures.THRESHOLD


def test_bands_tell_their_place() -> None:
    signature = bytes(16) + bytes([128] * 8)
    assert duplicate_pictures.bands(signature) == tuple(place << 16 for place in range(8))


def test_a_duplicate_is_named_with_the_other_product() -> None:
    found = duplicate_pictures.finding("image", "SKU-7", 1 - 2 / 64)
    assert (found.severity, found.rule, found.evidence) == ("error", "duplicate-pictures", "SKU-7")
    assert found.message.startswith(
        "the picture is that of product SKU-7 too (2 of 64 bits differ)"
    )
