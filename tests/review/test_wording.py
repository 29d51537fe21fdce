"""Differences word by word, in scripts with and without spaces."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waremill.review import wording
from waremill.review.wording import difference, shown


def test_words_that_changed_are_told_apart() -> None:
    assert difference("A rose scent, 50 ml", "A musk scent, 75 ml") == [
        ("same", "A "), ("removed", "rose"), ("added", "musk"), ("same", " scent, "),
        ("removed", "50"), ("added", "75"), ("same", " ml"),
    ]  # fmt: skip


def test_chinese_is_compared_by_character() -> None:
    assert difference("木质香水", "花香香水 EDP") == [
        ("removed", "木质"), ("added", "花香"), ("same", "香水"), ("added", " EDP"),
    ]  # fmt: skip


def test_letters_before_chinese_are_a_word_of_their_own() -> None:
    assert difference("café香", "café水") == [
        ("same", "café"), ("removed", "香"), ("added", "水")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (["a", "b"], ["a", "c"], [("same", "a\n"), ("removed", "b"), ("added", "c")]),
        (None, 5, [("added", "5")]),
        (True, None, [("removed", "true")]),
        ("same", "same", [("same", "same")]),
        ("", None, []),
    ],
)
def test_other_values_are_compared_as_they_are_shown(
    before: Any, after: Any, expected: list[tuple[str, str]]
) -> None:
    assert difference(before, after) == expected


@given(st.text("ab 香水.\n", max_size=30), st.text("ab 香水.\n", max_size=30))
def test_the_pieces_put_together_are_both_texts(before: str, after: str) -> None:
    pieces = difference(before, after)
    assert "".join(text for kind, text in pieces if kind != "added") == before
    assert "".join(text for kind, text in pieces if kind != "removed") == after


def test_very_long_texts_are_compared_at_their_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wording, "_LONGEST", 10)
    assert difference("one two three four five", "one two 3 four five") == [
        ("same", "one two "), ("removed", "three"), ("added", "3"), ("same", " four five"),
    ]  # fmt: skip


def test_an_object_is_shown_as_json() -> None:
    assert shown({"a": [1]}) == '{\n  "a": [\n    1\n  ]\n}'
