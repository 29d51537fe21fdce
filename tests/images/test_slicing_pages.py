"""Slicing: screens join to the page, keep their bounds, and cut nothing through."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from layout_pictures import picture_of, pictures_of, plain, run

from waremill.errors import ConfigError, SourceError
from waremill.images.picture import Picture

WIDTH = 400


class Page:
    """A page that is built from the top down, and knows the rows nothing may be cut through."""

    def __init__(self) -> None:
        self.parts: list[np.ndarray] = []
        self.taken: list[tuple[int, int]] = []
        self.height = 0

    def _add(self, part: np.ndarray, busy: bool) -> None:
        if busy:
            self.taken.append((self.height, self.height + len(part)))
        self.parts.append(part.astype(np.uint8))
        self.height += len(part)

    def space(self, rows: int, shade: int = 255) -> Page:
        self._add(np.full((rows, WIDTH, 3), shade), busy=False)
        return self

    def text(self, lines: int, shade: int = 255, gap: int = 12) -> Page:
        for _ in range(lines):
            line = np.full((20, WIDTH, 3), shade)
            line[:, 40:340:6] = 30
            self._add(line, busy=True)
            self.space(gap, shade)
        return self

    def product(self, rows: int) -> Page:
        part = np.full((rows, WIDTH, 3), 255)
        part[:, 120:280] = (90, 120, 160)
        self._add(part, busy=True)
        return self

    def photo(self, rows: int, seed: int, level: int = 70) -> Page:
        grain = np.random.default_rng(seed).integers(0, 256, (rows, WIDTH, 3)).astype(np.float32)
        soft = cv2.GaussianBlur(grain, (0, 0), 5)
        self._add(level + (soft - soft.mean()) * 6, busy=True)
        return self

    def picture(self) -> Picture:
        return Picture(np.concatenate(self.parts), b"profile")


def cuts(made: tuple[Picture, ...]) -> list[int]:
    return list(np.cumsum([one.height for one in made])[:-1])


def check(page: Page, made: tuple[Picture, ...], least: int, most: int) -> None:
    source = page.picture()
    assert np.array_equal(np.concatenate([one.pixels for one in made]), source.pixels)
    assert all(least <= one.height <= most for one in made)
    assert all(one.profile == b"profile" for one in made)
    for at in cuts(made):
        assert not any(first < at < last for first, last in page.taken), at


def test_a_long_page_is_cut_between_its_parts() -> None:
    page = Page().space(60).text(6).space(60).product(500).space(80).text(12).space(40)
    page.product(400).space(100).text(8).space(50)
    made = pictures_of("slice", page.picture(), most=800, least=100)
    check(page, made, 100, 800)


def test_wide_gaps_are_taken_rather_than_those_between_lines() -> None:
    page = Page().space(40).text(20).space(90).text(20).space(40)
    made = pictures_of("slice", page.picture(), most=900, least=100)
    check(page, made, 100, 900)
    middle = 40 + 20 * 32
    assert len(made) == 2
    assert middle < cuts(made)[0] < middle + 90


def test_two_photos_are_parted_exactly_at_their_seam() -> None:
    page = Page().photo(400, 1).photo(400, 2, level=190)
    made = pictures_of("slice", page.picture(), most=500, least=100)
    assert cuts(made) == [400]


def test_two_plain_panels_are_parted_where_they_meet() -> None:
    page = Page().text(8, 255).space(100, 255).space(100, 246).text(8, 246)
    made = pictures_of("slice", page.picture(), most=400, least=100)
    assert cuts(made) == [8 * 32 + 100]


def test_a_soft_edged_product_on_a_gradient_is_not_cut() -> None:
    rows, columns = np.mgrid[0:700, 0:WIDTH]
    glow = np.exp(-((columns - 200) ** 2) / 3000 - ((rows - 350) ** 2) / 20000) * 150
    part = np.repeat((120 + rows * 0.15 + glow)[:, :, None], 3, axis=2).clip(0, 255)
    picture = Picture(part.astype(np.uint8), b"profile")
    made = pictures_of("slice", picture, most=600, least=50)
    for at in cuts(made):
        assert at < 170 or at > 530


def test_a_frame_down_the_whole_page_does_not_forbid_cuts() -> None:
    page = Page().text(10).space(80).text(10).space(80)
    source = page.picture()
    source.pixels[:, 8:12] = 0
    source.pixels[:, -12:-8] = 0
    made = pictures_of("slice", source, most=450, least=100)
    assert all(one.height <= 450 for one in made)
    for at in cuts(made):
        assert not any(first < at < last for first, last in page.taken)


def test_a_page_without_a_calm_row_is_refused_or_cut_on_request() -> None:
    page = Page().space(100).photo(1000, 3).space(100)
    with pytest.raises(SourceError) as caught:
        run("slice", page.picture(), most=600, least=100)
    assert "between rows 100 and 1100" in str(caught.value)
    made = pictures_of("slice", page.picture(), most=600, least=100, busy="cut")
    assert np.array_equal(np.concatenate([one.pixels for one in made]), page.picture().pixels)
    assert all(100 <= one.height <= 600 for one in made)


def test_calm_rows_that_are_spread_too_unevenly_are_named_as_such() -> None:
    page = Page().space(30).photo(500, 3).space(30).photo(500, 4).space(30)
    with pytest.raises(SourceError, match="lower least or raise most"):
        run("slice", page.picture(), most=530, least=260)


def test_a_page_that_is_short_enough_stays_whole() -> None:
    made = pictures_of("slice", plain(WIDTH, 700), most=700)
    assert [one.height for one in made] == [700]


def test_an_empty_page_is_cut_into_as_few_screens_as_possible() -> None:
    made = pictures_of("slice", plain(WIDTH, 4000), most=1500, least=300)
    assert len(made) == 3


def test_bounds_that_cannot_be_met_are_refused() -> None:
    with pytest.raises(ConfigError, match="at most half"):
        run("slice", plain(WIDTH, 3000), most=1000, least=600)


def test_a_page_with_alpha_keeps_it() -> None:
    page = plain(WIDTH, 1000, (10, 20, 30, 128))
    made = pictures_of("slice", page, most=600, least=100)
    assert np.array_equal(np.concatenate([one.pixels for one in made]), page.pixels)
    assert picture_of("resize", page, width=100).alpha is not None
