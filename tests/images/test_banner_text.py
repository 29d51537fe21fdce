"""Text on pictures: real shaping, fitting, contrast, fonts; and no empty boxes ever."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layout_pictures import TOOLS, extent, need_letters, picture_of, plain, run

from waremill.errors import ConfigError, SourceError
from waremill.images.banners import Setting, set_texts
from waremill.images.breaking import Quality
from waremill.images.contrast import Wanted, choose_inks, luminance, luminance_of, readable
from waremill.images.fonts import Font, Fonts, Style
from waremill.images.picture import Picture
from waremill.images.scripts import script_of
from waremill.images.typesetting import Line, Paragraph, draw, paragraph, shaped, wrap

GREY = (225, 228, 230)
SAMPLES = {
    "en": "Long-lasting freshness\nFor every day",
    "zh-Hans": "轻盈保湿，持久留香\n天然成分，不刺激敏感肌肤",
    "ja": "しっとり潤う保湿\n敏感肌にもやさしい処方です",
    "ko": "하루 종일 촉촉한 보습\n민감한 피부에도",
    "ar": "عطر فاخر يدوم طويلاً\nزجاجة 50 مل",
    "he": 'בושם יוקרתי עמיד\nבקבוק 50 מ"ל',
    "th": "น้ำหอมติดทนนาน\nเหมาะกับทุกสภาพผิว",
    "hi": "लंबे समय तक टिकने वाली\nताज़ी खुशबू",
}
LETTERS = {
    "en": "a",
    "zh-Hans": "轻",
    "ja": "し",
    "ko": "하",
    "ar": "ع",
    "he": "ש",
    "th": "ก",
    "hi": "क",
}


def letter(language: str) -> None:
    need_letters(LETTERS[language])


def set_line(text: str, language: str = "", size: float = 60) -> tuple[Paragraph, Line]:
    found = paragraph(text, Fonts(()), Style(700, language))
    return found, shaped(found, 0, len(text), size)


def inked(text: str, language: str = "", size: float = 60) -> np.ndarray:
    _, line = set_line(text, language, size)
    plane = np.zeros((160, int(line.width) + 40), np.float32)
    draw(plane, line, 20 - line.start, 100, 700)
    return plane


def changed(made: Picture, before: Picture) -> np.ndarray:
    return (made.rgb.astype(int) != before.rgb).any(axis=2)


@pytest.mark.parametrize("language", sorted(SAMPLES))
def test_every_language_is_set_in_one_font_of_its_own(language: str) -> None:
    letter(language)
    found, line = set_line(SAMPLES[language].partition("\n")[0], language)
    assert line.glyphs
    assert all(glyph.number for glyph in line.glyphs)  # glyph 0 is the empty box
    own = {font.family for font, c in zip(found.fonts, found.text, strict=True) if c.isalpha()}
    assert len(own) == 1


def test_arabic_letters_join() -> None:
    need_letters("ع")
    apart = len(set_line("ع ط ر", "ar")[1].glyphs)
    joined = set_line("عطر", "ar")[1]
    isolated = {glyph.number for glyph in set_line("ع ط ر", "ar")[1].glyphs}
    assert apart == len(joined.glyphs) == 3
    assert not {glyph.number for glyph in joined.glyphs} & isolated
    columns = inked("عطر", "ar").max(axis=0)
    covered = np.flatnonzero(columns > 0.3)
    assert (columns[covered[0] : covered[-1]] > 0.3).mean() > 0.97  # one connected stroke


def test_arabic_reads_leftward_with_its_latin_and_digits_rightward() -> None:
    need_letters("ع", "a")
    found, line = set_line("عطر ab 12", "ar")
    assert found.base == 1
    at = {glyph.number: glyph.x for glyph in line.glyphs}
    a, b, ayn = (set_line(c, "ar")[1].glyphs[0].number for c in ("a", "b", "ع ط"))
    assert at[a] < at[b]
    assert min(g.x for g in line.glyphs if g.font.family == found.fonts[0].family) > at[b]
    assert ayn not in at  # it stands joined, not alone


def test_thai_marks_stack_and_devanagari_conjuncts_form() -> None:
    need_letters("ก", "क")
    _, thai = set_line("ที่", "th")
    assert len({round(glyph.x) for glyph in thai.glyphs}) <= len(thai.glyphs)
    assert thai.width < set_line("ทท", "th")[1].width
    _, conjunct = set_line("क्ष", "hi")
    assert len(conjunct.glyphs) < 3
    _, reordered = set_line("कि", "hi")
    assert reordered.glyphs[0].number == set_line("िक", "hi")[1].glyphs[-1].number or (
        reordered.glyphs[0].number != set_line("क", "hi")[1].glyphs[0].number
    )


def test_chinese_and_japanese_shapes_differ_by_language() -> None:
    need_letters("直")
    shapes = {language: inked("直", language).tobytes() for language in ("zh-Hans", "ja")}
    assert shapes["zh-Hans"] != shapes["ja"]


def test_latin_inside_chinese_is_set_in_the_chinese_font() -> None:
    need_letters("轻", "a")
    found, _ = set_line("NEW 轻盈 24H", "zh-Hans")
    assert len({font.family for font in found.fonts}) == 1


def test_a_character_no_font_has_is_named() -> None:
    with pytest.raises(SourceError) as caught:
        run("overlay", plain(400, 400), text="abc \U0010fabc")  # for private use, in no font
    assert "U+10FABC" in str(caught.value)


def test_without_any_font_every_script_is_named(tmp_path: Path) -> None:
    bare = Fonts((), system=(tmp_path,))
    for character, name, package in (
        ("轻", "Chinese characters", "fonts-noto-cjk"), ("ع", "Arabic", "fonts-noto-core"),
        ("ก", "Thai", "fonts-noto-core"), ("한", "Hangul", "fonts-noto-cjk"),
    ):  # fmt: skip
        with pytest.raises(SourceError) as caught:
            bare.choose(character, script_of(character), Style())
        assert name in str(caught.value)
        assert package in str(caught.value)
    with pytest.raises(SourceError, match="leave it out"):
        bare.choose("🔥", script_of("🔥"), Style())


def test_a_font_of_the_given_folders_is_tried_before_the_systems(tmp_path: Path) -> None:
    need_letters("a")
    source = Fonts(()).choose("a", "Latn", Style())
    target = tmp_path / "brand.ttf"
    target.write_bytes(source.path.read_bytes())
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    assert Fonts((tmp_path,)).choose("a", "Latn", Style()).path == target
    named = Fonts((tmp_path,)).choose("a", "Latn", Style(family="brand.ttf"))
    assert named.path == target
    target.rename(tmp_path / "house.ttf")
    os.utime(tmp_path, (2e9, 2e9))  # a folder's time may be too coarse to tell the renaming
    assert Fonts((tmp_path,)).choose("a", "Latn", Style()).path.name == "house.ttf"
    with pytest.raises(ConfigError, match="no font “Nowhere Sans”"):
        Fonts(()).choose("a", "Latn", Style(family="Nowhere Sans"))


@pytest.mark.parametrize("language", sorted(SAMPLES))
def test_a_banner_stays_inside_its_margin_in_every_language(language: str) -> None:
    letter(language)
    for anchor in ("top-left", "bottom-right", "centre"):
        before = plain(500, 400, GREY)
        made = picture_of(
            "overlay", before, text=SAMPLES[language], language=language, anchor=anchor,
            margin="5%", width="70%",
        )  # fmt: skip
        mask = changed(made, before)
        assert mask.any()
        mask[20:-20, 20:-20] = False
        assert not mask.any()


@pytest.mark.parametrize("size", [(1000, 1000), (300, 900), (900, 300)])
def test_text_is_made_smaller_and_broken_until_it_fits(size: tuple[int, int]) -> None:
    need_letters("a")
    before = plain(*size, GREY)
    text = "A rather long selling point that has to be broken into several lines"
    made = picture_of("overlay", before, text=text, least_size="2%", width="60%", height="40%")
    columns = np.flatnonzero(changed(made, before).any(axis=0))
    rows = np.flatnonzero(changed(made, before).any(axis=1))
    assert columns[-1] - columns[0] <= size[0] * 0.6 + 1
    assert rows[-1] - rows[0] <= size[1] * 0.4 + 1


def test_a_text_that_does_not_fit_is_refused() -> None:
    need_letters("a")
    long = "word " * 100
    with pytest.raises(SourceError, match="does not fit"):
        run("overlay", plain(300, 300), text=long, least_size="8%")
    with pytest.raises(SourceError, match="more than 600"):
        run("overlay", plain(300, 300), text=long * 2)
    with pytest.raises(ConfigError, match="needs a text"):
        run("overlay", plain(300, 300), text=" \n ")


def test_lines_are_even_and_phrases_are_kept_whole_where_there_is_room() -> None:
    need_letters("轻")
    one = paragraph("轻盈保湿，持久留香", Fonts(()), Style(700, "zh-Hans"))
    block = set_texts([one], 420, 300, Setting(20, 80))
    assert block is not None
    assert len(block.lines) == 2
    first, second = (placed.line.width for placed in block.lines)
    assert first == pytest.approx(second, rel=0.25)
    assert wrap(one, 420, 80, Quality.GOOD) == [5]


def test_the_ink_of_lines_never_touches() -> None:
    need_letters("ก")
    found = [paragraph(text, Fonts(()), Style(700, "th")) for text in ("ฎฏฐ ญู", "ที่นี่ ปู่")]
    block = set_texts(found, 900, 900, Setting(60, 60, spacing=1))
    assert block is not None
    upper, lower = block.lines
    assert upper.baseline + upper.line.below < lower.baseline - lower.line.above


def test_a_texts_width_is_that_of_its_measured_pieces() -> None:
    need_letters("a", "轻", "ع")
    for text in ("AVATAR wave", "轻盈，持久", "عطر فاخر"):
        found, line = set_line(text)
        total = sum(whole for _, whole in found.widths) * 60
        assert line.start + line.width == pytest.approx(total, rel=0.05)


@pytest.mark.parametrize("ground", [(255, 255, 255), (0, 0, 0), (128, 128, 128), (200, 40, 40)])
def test_automatic_colours_reach_the_contrast_on_any_plain_ground(
    ground: tuple[int, int, int],
) -> None:
    inks = choose_inks(luminance(plain(9, 9, ground).pixels), Wanted())
    assert inks.ratio >= 4.5
    assert inks.opacity == 0  # black or white does on every plain ground


def test_a_busy_ground_gets_a_plate_no_more_solid_than_needed() -> None:
    need_letters("a")
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 1), dtype=np.uint8)
    before = Picture(np.repeat(noise, 3, axis=2))
    made = picture_of("overlay", before, text="Hello there", size="12%")
    part = made.rgb[changed(made, before)]
    text = part.max(axis=0) if part.mean() < 128 else part.min(axis=0)
    behind = luminance(part)
    mid = behind[np.abs(behind - luminance_of(tuple(int(v) for v in text))) > 0.15]
    assert readable(tuple(int(v) for v in text), mid) >= 4.4
    inks = choose_inks(luminance(before.pixels), Wanted())
    assert 0 < inks.opacity < 1


def test_colours_that_cannot_be_read_on_each_other_are_refused() -> None:
    need_letters("a")
    with pytest.raises(ConfigError, match="contrast of"):
        run("overlay", plain(300, 300), text="a", colour="#ffff00", plate="#ffffff")
    with pytest.raises(ConfigError, match="contrast of"):
        run("overlay", plain(300, 300), text="a", colour="#eeeeee", plate="none")
    made = picture_of("overlay", plain(300, 300), text="a", colour="#eeeeee")
    assert changed(made, plain(300, 300)).any()  # with plate: auto a dark one is put under it


def test_a_plate_of_a_brands_colour_gets_the_letters_that_read_on_it() -> None:
    need_letters("a")
    for plate, dark in (("#ffd54d", True), ("#301060", False)):
        before = plain(400, 400, (128, 128, 128))
        made = picture_of("overlay", before, text="Hill", plate=plate, opacity=1)
        tones = luminance(made.rgb[changed(made, before)])
        assert (tones < 0.01).any() == dark
        assert (tones > 0.99).any() != dark


@pytest.mark.parametrize("opacity", [None, 0.3, 0.7, 1])
@pytest.mark.parametrize("plate", [(228, 0, 43), (255, 213, 77), (20, 20, 60)])
@pytest.mark.parametrize("ground", [(255, 255, 255), (10, 10, 10), (130, 130, 130)])
def test_the_ratio_promised_is_that_of_the_plate_as_it_is_drawn(
    opacity: float | None, plate: tuple[int, int, int], ground: tuple[int, int, int]
) -> None:
    behind = luminance(plain(9, 9, ground).pixels)
    inks = choose_inks(behind, Wanted(plate=plate, opacity=opacity))
    covered = behind * (1 - inks.opacity) + luminance_of(plate) * inks.opacity
    assert inks.ratio == pytest.approx(readable(inks.text, covered))
    assert inks.ratio >= 4.5
    assert inks.opacity >= (1 if opacity is None else opacity)


@pytest.mark.parametrize("corner", [0, 0.5, 1])
def test_letters_stay_on_a_plate_with_round_corners(corner: float) -> None:
    need_letters("a")
    before = plain(700, 500, (255, 255, 255))
    made = picture_of(
        "overlay", before, text="HHHHHHHH\nHHHHHHHH", plate="#202020", corner=corner, width="70%"
    )
    white = (made.rgb > 250).all(axis=2)
    rows = np.flatnonzero((made.rgb < 60).all(axis=2).any(axis=1))
    first = extent((made.rgb < 60).all(axis=2))
    middle = (first[0] + first[2]) // 2
    for row in (rows[len(rows) // 6], rows[-len(rows) // 6]):
        line = np.flatnonzero(~white[row])
        letters = np.flatnonzero(white[row, line[0] : line[-1]])
        assert letters.size == 0 or letters[0] > 4
        assert line[0] < middle < line[-1]


def test_lines_may_be_a_list_with_commas_and_the_first_line_larger() -> None:
    need_letters("a")
    before = plain(600, 600, GREY)
    listed = picture_of("overlay", before, text=["Hello, you", "and me"], first=2)
    joined = picture_of("overlay", before, text="Hello, you\nand me", first=2)
    assert np.array_equal(listed.pixels, joined.pixels)
    assert not np.array_equal(
        listed.pixels, picture_of("overlay", before, text="Hello, you\nand me").pixels
    )


@pytest.mark.parametrize(("align", "left"), [("start", False), ("end", True)])
def test_start_is_the_right_for_what_reads_leftward(align: str, left: bool) -> None:
    need_letters("ש")
    found = [paragraph(text, Fonts(()), Style(700, "he")) for text in ("שלום לכולם כאן", "שלום")]
    block = set_texts(found, 900, 900, Setting(60, 60, align=align))
    assert block is not None
    short = block.lines[1]
    begins = short.left + short.line.start
    assert begins == pytest.approx(0 if left else block.width - short.line.width, abs=0.01)


def test_text_on_a_transparent_picture_is_solid() -> None:
    need_letters("a")
    made = picture_of("overlay", plain(300, 300, (0, 0, 0, 0)), text="Hill", plate="#ffffff")
    assert made.alpha is not None
    assert made.alpha.max() == 255
    assert made.alpha[0, 0] == 0


def test_threads_set_the_same_text() -> None:
    need_letters("a", "ع")

    def once(_: int) -> bytes:
        text: Any = ["Hello", SAMPLES["ar"].partition("\n")[0]]
        return picture_of("overlay", plain(300, 300, GREY), text=text).pixels.tobytes()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(once, range(8)))) == 1


def test_slanted_and_colour_only_fonts_are_not_chosen() -> None:
    need_letters("a")
    chosen = Fonts(TOOLS.fonts).choose("a", "Latn", Style(weight=400))
    assert isinstance(chosen, Font)
    assert not chosen.slanted
    assert abs(chosen.weight - 400) <= 100 or chosen.variable
