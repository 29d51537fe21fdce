"""Which attributes a value stands on."""

from __future__ import annotations

from typing import Any

import pytest

from waremill.review.grounds import grounds, words

SOURCE = {
    "name": "River Garden No 7", "brand": "Maison Velvet", "notes": "bergamot, cedar wood",
    "volume": "50 ml", "price": 1250.0, "品牌": "河畔花园", "stock": 7, "active": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("River Garden by Maison Velvet", ("name", "brand")),
        ("Bergamot meets cedar wood", ("notes",)),
        (["A 50 ml bottle", "cedar"], ("notes", "volume")),
        ("for 1,250 only", ("price",)),
        ("来自河畔花园", ("品牌",)),
        (50, ("volume",)),
        ("Nothing of it", ()),
        (None, ()),
        ("", ()),
    ],
)
def test_words_and_numbers_tell_where_a_value_comes_from(
    value: Any, expected: tuple[str, ...]
) -> None:
    assert grounds(value, SOURCE) == expected


def test_a_word_that_most_attributes_have_points_at_none_of_them() -> None:
    source = {f"a{n}": f"perfume number{n}" for n in range(5)}
    assert grounds("perfume number3", source) == ("a3",)
    assert len(grounds("perfume", source)) == 5


def test_numbers_are_the_same_however_they_are_written() -> None:
    assert words("1.000 and 1,50 and 007") == {"1000", "1.5", "7", "and"}
