"""Cleaning one cell: what is taken out, what stays, and that it is stable."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waremill.catalog.cleaning import all_clean, clean_many, clean_text, is_clean


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("<p>One</p><p>Two</p>", "One\nTwo"),
        ("<ul><li>One</li><li>Two</li></ul>", "One\nTwo"),
        ("a<br/>b", "a\nb"),
        ("<b>bold</b>er", "bolder"),
        ("<td>a</td><td>b</td>", "a b"),
        ("<script>alert(1)</script>Hi<style>p{}</style>", "Hi"),
        ("<img alt='5 > 3' src=\"x\">pic", "pic"),
        ("<!-- note -->text", "text"),
        ("<o:p></o:p>Word", "Word"),
        ('cut off <a href="x', "cut off"),
        ("cut off <br", "cut off"),
    ],
)
def test_markup_and_its_remnants_become_text(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


@pytest.mark.parametrize(
    "text",
    ["5 < 6 and 7 > 3", "a<b and c>d", "<50ml> <Brand>", "I <3 roses", "x <y", "AT&T", "R&D;"],
)
def test_text_that_only_looks_like_markup_stays(text: str) -> None:
    assert clean_text(text) == text


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("caf&eacute; &#38; bar", "café & bar"),
        ("Dolce &amp;amp; Gabbana", "Dolce & Gabbana"),
        ("&lt;b&gt;bold&lt;/b&gt;", "bold"),
        ("5 &lt; 6", "5 < 6"),
        ("a&nbsp;&nbsp;b", "a b"),
        ("Men&#146;s", "Men’s"),
    ],
)
def test_entities_are_resolved_also_when_escaped_twice(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


def test_full_width_letters_become_ascii_but_chinese_punctuation_stays() -> None:
    assert clean_text("Ｅａｕ　５０ｍｌ％，（香水）！：") == "Eau 50ml%，（香水）！："


def test_signs_that_compatibility_forms_would_destroy_stay() -> None:
    assert clean_text("½ ™ ① ㎡ ﬁne ℮ m²") == "½ ™ ① ㎡ ﬁne ℮ m²"


def test_invisible_and_control_characters_vanish() -> None:
    assert clean_text("\ufeffa\u200bb\x00c\x07d\xad\u202e\ud800e") == "abcde"


def test_joiners_stay_where_scripts_and_emoji_need_them() -> None:
    assert clean_text("👩\u200d🔬") == "👩\u200d🔬"
    assert clean_text("می\u200cخواهم") == "می\u200cخواهم"
    assert clean_text("a\u200db") == "ab"


def test_windows_controls_become_the_signs_they_stand_for() -> None:
    assert clean_text("Men\x92s \x8050") == "Men’s €50"


def test_white_space_collapses_and_lines_are_kept() -> None:
    assert clean_text("  a \t b\u3000c \r\n\r\n  d  ") == "a b c\nd"


def test_many_cells_are_cleaned_like_each_one() -> None:
    cells = ["clean", "", " x", "a  b", "<b>c</b>", "d|e", "f| g", "AT&T"]
    assert clean_many(cells) == [clean_text(cell) for cell in cells]
    assert all_clean(" ".join(["a", "b c"]))
    for cell in ["", " x", "x ", "a  b", "<b>c</b>", "AT&amp;T", "a\tb", "\x7f", "Ａ"]:
        assert not all_clean(" ".join(["a", cell, "b"]))


@settings(max_examples=300, deadline=None)
@given(
    st.text(
        alphabet=st.sampled_from("ab <>/&;p#=\"'\n\t\u3000\u200b\u200dＡ\x00\x92|brlt"), max_size=40
    )
)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = clean_text(text)
    assert clean_text(once) == once


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_a_cleaned_text_is_valid_json_without_nul(text: str) -> None:
    once = clean_text(text)
    assert "\x00" not in once
    assert orjson.loads(orjson.dumps(once)) == once
    if is_clean(text):
        assert once == text


@pytest.mark.parametrize("unit", ["<", "<b ", "&", "<a b='", "<!--", "<script>", "&lt;", "\u200d"])
def test_hostile_repetition_is_cleaned_in_linear_time(unit: str) -> None:
    import time

    begun = time.process_time()
    clean_text(unit * 20_000)
    assert time.process_time() - begun < 3
