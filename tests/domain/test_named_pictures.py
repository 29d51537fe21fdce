"""What a value names pictures by: one, a list, or several in one cell of a sheet."""

from __future__ import annotations

from typing import Any

import pytest

from waremill.domain import named_pictures

A, B = "https://a.example/1.jpg?x=1,2", "http://b.example/2.png"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, ()),
        ("  ", ()),
        ([], ()),
        ("photos/1.jpg", ("photos/1.jpg",)),
        (" photos/1.jpg \r\n", ("photos/1.jpg",)),
        ("a.jpg\nb.jpg\r\nc.jpg", ("a.jpg", "b.jpg", "c.jpg")),
        ("a.jpg | b.jpg|c.jpg", ("a.jpg", "b.jpg", "c.jpg")),
        ("a.jpg; b.jpg;c.jpg;", ("a.jpg", "b.jpg", "c.jpg")),
        ("a.jpg;\n\n|b.jpg", ("a.jpg", "b.jpg")),
        # A comma may be part of a name; before an address it parts.
        ("red, large.jpg", ("red, large.jpg",)),
        (f"{A}, {B}", (A, B)),
        (f"{A},{B.upper()}", (A, B.upper())),
        (f"{A};{B}|{A}; photos/c.jpg", (A, B, A, "photos/c.jpg")),
        ("https://a.example/1;w=9|x.jpg;", ("https://a.example/1;w=9|x.jpg",)),
        (["a.jpg", None, " ", "b.jpg;c.jpg"], ("a.jpg", "b.jpg", "c.jpg")),
        (("a.jpg", "b.jpg"), ("a.jpg", "b.jpg")),
        (7, ("7",)),
    ],
)
def test_pictures_are_named_in_order(value: Any, found: tuple[str, ...]) -> None:
    assert named_pictures(value) == found


@pytest.mark.timeout(5)
def test_a_cell_that_is_full_of_blanks_is_read_at_once() -> None:
    assert named_pictures(f"a.jpg{' ' * 500_000};{', ' * 200_000}b.jpg")[0] == "a.jpg"
