"""Backgrounds and composition: sizes, places, fills, presets, colours that are not falsified."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layout_pictures import cutout, extent, picture_of, pictures_of, plain, run
from PIL import Image, ImageCms

from waremill.errors import ConfigError, SourceError, UserError
from waremill.images.cutouts import trimmed
from waremill.images.delta_e import delta_e, lab_of
from waremill.images.harmony import gains_towards
from waremill.images.light import DECODE, to_light
from waremill.images.picture import Picture
from waremill.images.presets import presets

RED = (200, 40, 40)


def product_box(made: Picture) -> tuple[int, int, int, int]:
    return extent((made.rgb[:, :, 0] > 150) & (made.rgb[:, :, 1] < 90))


def refused(kind: type[UserError], name: str, source: Picture, /, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        run(name, source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_background_keeps_frame_and_product() -> None:
    made = picture_of("background", cutout(), colour="#204060")
    assert (made.width, made.height, made.alpha) == (300, 300, None)
    assert product_box(made) == (100, 60, 200, 260)
    assert made.rgb[0, 0].tolist() == [0x20, 0x40, 0x60]
    assert made.rgb[150, 150].tolist() == list(RED)


@pytest.mark.parametrize(
    ("angle", "dark", "light"),
    [(180, (0, 5), (299, 5)), (90, (5, 0), (5, 299)), (0, (299, 5), (0, 5))],
)
def test_a_linear_gradient_runs_where_its_angle_says(
    angle: float, dark: tuple[int, int], light: tuple[int, int]
) -> None:
    options = {"gradient": "linear", "colour": "#000", "colour_to": "#fff", "angle": angle}
    made = picture_of("background", cutout(), **options).rgb
    assert made[dark].max() < 8
    assert made[light].min() > 247


def test_a_radial_gradient_runs_from_the_middle_to_the_corners_without_bands() -> None:
    options = {"gradient": "radial", "colour": "#c0c0c0", "colour_to": "#a0a0a0"}
    made = picture_of("background", cutout((900, 900), (0, 0, 10, 10)), **options).rgb
    assert abs(int(made[450, 450, 0]) - 0xC0) <= 1
    assert abs(int(made[899, 899, 0]) - 0xA0) <= 1
    row = made[450, 450:, 0].astype(int)
    assert (np.diff(row) != 0).mean() > 0.05  # dithered: a plain ramp of 23 steps would have 0.05


@pytest.mark.parametrize("fit", ["cover", "contain", "tile"])
def test_a_picture_fits_the_frame(fit: str) -> None:
    behind = plain(100, 50, (10, 20, 200))
    behind.pixels[:, :50] = (10, 200, 20)
    made = picture_of("background", cutout(), picture=behind, fit=fit, colour="#ffffff").rgb
    corner = made[0, 0].tolist()
    if fit == "contain":
        assert corner == [255, 255, 255]
        assert made[100, 0].tolist() == [10, 200, 20]
    else:
        assert corner == [10, 200, 20]
    if fit == "tile":
        assert np.array_equal(made[:50, :100], behind.pixels)
        assert np.array_equal(made[250:, 200:], behind.pixels)


def test_a_blurred_background_keeps_its_brightness_and_loses_its_edges() -> None:
    behind = plain(300, 300, (0, 0, 0))
    behind.pixels[:, ::2] = 255
    small = cutout((300, 300), (0, 0, 1, 1))
    made = picture_of("background", small, picture=behind, blur=0.05).rgb
    middle = made[100:200, 100:200]
    assert middle.std() < 3
    assert DECODE[middle].mean() == pytest.approx(0.5, abs=0.03)


def test_a_background_picture_in_another_colour_space_is_converted() -> None:
    swapped = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    assert swapped.tobytes()  # an sRGB profile leaves colours as they are
    behind = Picture(plain(300, 300, (10, 200, 20)).pixels, swapped.tobytes())
    made = picture_of("background", cutout(), picture=behind)
    assert made.profile is None
    assert made.rgb[0, 0].tolist() == [10, 200, 20]


def test_a_picture_without_transparency_is_refused() -> None:
    for name in ("background", "compose"):
        assert "cut the product out" in refused(SourceError, name, plain(50, 50))
        empty = Picture(np.zeros((20, 20, 4), np.uint8))
        assert "wholly transparent" in refused(SourceError, name, empty)


@pytest.mark.parametrize("size", [(800, 800), (1000, 500), (333, 777)])
def test_the_canvas_is_exact_and_the_product_spans_the_fill(size: tuple[int, int]) -> None:
    made = picture_of("compose", cutout(), size=size, fill=0.5, enlarge=8, shadow="none")
    assert (made.width, made.height) == size
    left, top, right, bottom = product_box(made)
    spans = max((right - left) / size[0], (bottom - top) / size[1])
    assert spans == pytest.approx(0.5, abs=0.004)
    assert (right - left) / (bottom - top) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("anchor", "across", "down"),
    [
        ("top-left", 0, 0), ("top", 0.5, 0), ("top-right", 1, 0), ("left", 0, 0.5),
        ("centre", 0.5, 0.5), ("right", 1, 0.5), ("bottom-left", 0, 1), ("bottom", 0.5, 1),
        ("bottom-right", 1, 1),
    ],
)  # fmt: skip
def test_anchors_and_positions_put_the_free_room_where_they_say(
    anchor: str, across: float, down: float
) -> None:
    common: dict[str, Any] = {
        "size": "400,400", "fill": 0.4, "margin": "10%", "shadow": "none", "enlarge": 2,
    }  # fmt: skip
    left, top, right, bottom = product_box(picture_of("compose", cutout(), anchor=anchor, **common))
    wide, tall = right - left, bottom - top
    assert left == pytest.approx(40 + across * (320 - wide), abs=1)
    assert top == pytest.approx(40 + down * (320 - tall), abs=1)
    position = (across, down)
    placed = product_box(picture_of("compose", cutout(), position=position, **common))
    assert placed == (left, top, right, bottom)


@pytest.mark.parametrize("margin", ["40px", "10%", "0.1"])
def test_the_margin_outranks_the_fill(margin: str) -> None:
    made = picture_of(
        "compose", cutout(), size="400,400", fill=1, margin=margin, shadow="none", enlarge=2
    )
    _, top, _, bottom = product_box(made)
    assert (top, bottom) == (40, 360)


def test_without_a_size_the_canvas_is_what_the_product_needs_unscaled() -> None:
    made = picture_of("compose", cutout(), fill=0.8, shadow="none")
    assert (made.width, made.height) == (250, 250)
    left, top, right, bottom = product_box(made)
    assert (right - left, bottom - top) == (100, 200)


@pytest.mark.parametrize("ratio", ["1:1", "3:4", "16:9"])
@pytest.mark.parametrize("box", [(20, 20, 259, 250), (9, 9, 37, 21), (1, 1, 7, 173)])
def test_a_canvas_of_whole_pixels_leaves_the_product_unscaled(
    box: tuple[int, int, int, int], ratio: str
) -> None:
    made = pictures_of("compose", cutout(box=box), ratios=ratio, shadow="none")[0]
    left, top, right, bottom = product_box(made)
    assert (right - left, bottom - top) == box[2:]


def test_what_a_refusal_says_of_enlarging_is_enough() -> None:
    said = refused(SourceError, "compose", cutout(), size="253,253")
    assert "enlarged 1.1 times" in said
    assert picture_of("compose", cutout(), size="253,253", enlarge=1.1).width == 253


def test_a_product_is_not_enlarged_more_than_allowed() -> None:
    said = refused(SourceError, "compose", cutout(), size="1000,1000")
    assert "enlarged 4.0 times" in said
    assert picture_of("compose", cutout(), size="1000,1000", enlarge=4).width == 1000


def test_several_ratios_come_in_order_and_share_the_longer_side() -> None:
    made = pictures_of("compose", cutout(), ratios="1:1, 4:5, 16:9", size=400, enlarge=2)
    assert [(one.width, one.height) for one in made] == [(400, 400), (320, 400), (400, 225)]


def test_several_ratios_without_a_size_leave_the_product_unscaled() -> None:
    for one in pictures_of("compose", cutout(), ratios=["1:1", "16:9"], shadow="none"):
        left, top, right, bottom = product_box(one)
        assert (right - left, bottom - top) == (100, 200)


def test_a_transparent_canvas_keeps_the_cut_out_and_its_shadow() -> None:
    made = picture_of("compose", cutout(), size="300,300", colour="transparent", enlarge=2)
    assert made.alpha is not None
    assert made.alpha[0, 0] == 0
    foot = extent(made.alpha == 255)[3]
    assert 40 < made.alpha[foot + 1, 150] < 255


def test_a_faint_separate_shadow_is_left_behind_unless_it_is_kept() -> None:
    picture = cutout()
    picture.pixels[275:290, 90:210] = (0, 0, 0, 90)
    assert trimmed(picture).solid.height == 200
    assert trimmed(picture, keep_shadow=True).solid.height == 230
    veil = cutout()
    veil.pixels[:, :, 3] //= 3
    assert trimmed(veil).solid.height == 200  # all of it is faint: it is the product


def test_soft_edges_and_hair_are_not_taken_for_a_shadow() -> None:
    picture = cutout()
    picture.pixels[40:60, 100:200] = (*RED, 30)
    assert trimmed(picture).solid.top + 220 == 220
    assert trimmed(picture).solid.height == 220


def test_by_itself_a_product_gets_a_contact_shadow() -> None:
    common: dict[str, Any] = {"size": "300,300", "colour": "#dddddd", "enlarge": 2}
    usual = picture_of("compose", cutout(), **common)
    assert np.array_equal(
        usual.pixels, picture_of("compose", cutout(), shadow="contact", **common).pixels
    )
    bare = picture_of("compose", cutout(), shadow="none", **common)
    assert usual.rgb.astype(int).sum() < bare.rgb.astype(int).sum()
    assert np.unique(bare.rgb[285:], axis=0).size == 3 * 300 or (bare.rgb[285:] == 0xDD).all()


def test_colours_of_the_product_are_exact_on_a_plain_background() -> None:
    made = picture_of("compose", cutout(), size="300,300", colour="#204080", enlarge=2)
    assert made.rgb[150, 150].tolist() == list(RED)


@pytest.mark.parametrize("light", [(255, 120, 20), (20, 60, 255), (30, 25, 20), (250, 250, 240)])
@pytest.mark.parametrize("limit", [0.5, 2, 5])
def test_no_colour_moves_further_than_the_limit_to_any_background(
    light: tuple[int, int, int], limit: float
) -> None:
    gains = gains_towards(to_light(plain(20, 20, light).pixels), limit)
    colours = np.random.default_rng(1).integers(0, 256, (4000, 3))
    before = DECODE[colours].astype(np.float64)
    moved = delta_e(lab_of(before), lab_of(np.minimum(before * gains, 1)))
    assert moved.max() <= limit * 1.05
    assert moved.max() >= limit * 0.3


def test_harmonising_moves_a_grey_product_towards_a_warm_picture_and_can_be_off() -> None:
    grey = cutout(colour=(128, 128, 128))
    warm = plain(300, 300, (250, 180, 90))
    common: dict[str, Any] = {"picture": warm, "shadow": "none", "enlarge": 2}

    def middle(**more: Any) -> list[int]:
        found = picture_of("compose", grey, **common, **more).rgb[150, 150]
        return [int(value) for value in found]

    assert middle(harmonise=0) == [128, 128, 128]
    red, green, blue = middle(harmonise=4)
    assert red > green > blue


def test_amazons_main_image_is_pure_white_and_filled() -> None:
    product = cutout((700, 700), (200, 50, 300, 600))
    made = picture_of("compose", product, preset="amazon-main", enlarge=4)
    assert (made.width, made.height) == (2000, 2000)
    left, top, right, bottom = product_box(made)
    assert max(right - left, bottom - top) / 2000 >= 0.85
    outside = np.ones((2000, 2000), bool)
    outside[top - 4 : bottom + 4, left - 4 : right + 4] = False
    assert (made.rgb[outside] == 255).all()


def test_settings_against_a_preset_are_refused() -> None:
    product = cutout((700, 700), (200, 50, 300, 600))
    main = {"preset": "amazon-main", "enlarge": 8}
    assert "85%" in refused(ConfigError, "compose", product, fill=0.5, **main)
    assert "margin" in refused(ConfigError, "compose", product, margin="20%", **main)
    assert "plain" in refused(ConfigError, "compose", product, picture=plain(9, 9), **main)
    assert "1000" in refused(ConfigError, "compose", product, size="500,500", **main)
    zalando = {"preset": "zalando-packshot", "enlarge": 8}
    assert "1:1.44" in refused(ConfigError, "compose", product, ratios="1:1", **zalando)
    assert "amazon-main" in refused(ConfigError, "compose", product, preset="amazon-mian")


@pytest.mark.parametrize("name", ["taobao-white", "lazada", "shopee", "zalando-packshot"])
def test_a_preset_decides_size_and_background(name: str) -> None:
    preset = presets()[name]
    product = cutout((1200, 1200), (0, 0, 900, 1150))
    made = picture_of("compose", product, preset=name, enlarge=4, shadow="none")
    assert (made.width, made.height) == preset.size
    assert preset.refuses(made.width, made.height) is None
    if preset.background is not None:
        assert made.rgb[0, 0].tolist() == list(preset.background)


@pytest.mark.parametrize(
    "options",
    [
        {"size": "1,2,3"}, {"size": "100,100", "ratios": "1:1"}, {"ratios": "wide"},
        {"margin": "60%"}, {"margin": "much"}, {"colour": "blurple"}, {"position": "0.5"},
        {"size": "20000,20000"}, {"fill": 0}, {"light": "below"}, {"position": "0.5,2"},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused_in_one_sentence(options: dict[str, Any]) -> None:
    said = refused(ConfigError, "compose", cutout(), **options)
    assert said


def test_threads_make_the_same_pictures() -> None:
    def once(_: int) -> bytes:
        made = picture_of("compose", cutout(), size="300,300", shadow="cast", enlarge=2)
        return made.pixels.tobytes()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(once, range(8)))) == 1


def test_the_source_picture_is_left_as_it_was() -> None:
    picture, behind = cutout(), plain(50, 50, (9, 9, 9))
    before, ground = picture.pixels.copy(), behind.pixels.copy()
    run("compose", picture, picture=behind, size="200,200", enlarge=2)
    run("background", picture, picture=behind)
    assert np.array_equal(picture.pixels, before)
    assert np.array_equal(behind.pixels, ground)


def test_real_cut_outs_stand_on_the_ground(shared_data: Path) -> None:
    """The row under a real product's lowest point is darker than the ground further down."""
    for path in sorted((shared_data / "product-photos" / "saleor_cutouts").glob("*.webp"))[:6]:
        picture = Picture(np.asarray(Image.open(path).convert("RGBA")))
        made = picture_of("compose", picture, size="600,600", colour="#eeeeee", enlarge=3)
        bare = picture_of(
            "compose", picture, size="600,600", colour="#eeeeee", enlarge=3, shadow="none"
        )
        foot = extent((bare.rgb != 0xEE).any(axis=2))[3]
        darkened = bare.rgb.astype(int) - made.rgb
        assert darkened[foot - 2 : foot + 4].max() > 20
        assert darkened[: foot - 200].max() <= 3
