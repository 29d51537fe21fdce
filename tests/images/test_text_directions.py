"""The bidirectional algorithm: levels and the order runs stand in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waremill.images.bidi import base_level, levels, runs

ALEF, BET, JEEM = "\u05d0", "\u05d1", "\u062c"
LETTERS = st.sampled_from([*"ab12 .,-+/%$()[]!", ALEF, BET, JEEM, "\u0661", "\u064b"])
CONTROLS = st.sampled_from([chr(c) for c in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))])


def shown(text: str, base: int | None = None) -> str:
    """The text as it stands in a line; brackets are not mirrored here."""
    level = base_level(text) if base is None else base
    found = ""
    for run in runs(text, levels(text, level), level, 0, len(text)):
        part = text[run.start : run.stop]
        found += part[::-1] if run.level % 2 else part
    return found


@pytest.mark.parametrize(
    ("text", "base"), [("abc", 0), (ALEF, 1), ("12 " + JEEM, 1), ("123", 0), ("", 0),
                       ("\u2067" + ALEF + "\u2069 a", 0)],
)  # fmt: skip
def test_a_paragraph_reads_as_its_first_strong_letter(text: str, base: int) -> None:
    assert base_level(text) == base


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc 12", "abc 12"),
        (ALEF + BET, BET + ALEF),
        (f"{ALEF}{BET} 50 ml", f"ml 50 {BET}{ALEF}"),  # number, then unit, read leftward
        (f"{ALEF} 50", f"50 {ALEF}"),
        (f"{ALEF} 1,234.5%", f"1,234.5% {ALEF}"),
        (f"{JEEM} 100%", f"%100 {JEEM}"),  # after an Arabic letter digits are Arabic numbers
        (f"a ({ALEF}) b", f"a ({ALEF}) b"),
        (f"{ALEF} (a) {BET}", f"{BET} )a( {ALEF}"),
        (f"a {ALEF} {BET} b", f"a {BET} {ALEF} b"),
        (f"{ALEF} a b {BET}", f"{BET} a b {ALEF}"),
    ],
)
def test_lines_stand_as_the_annex_says(text: str, expected: str) -> None:
    """Worked by hand after UAX #9."""
    assert shown(text) == expected


def test_an_isolate_does_not_disturb_what_is_around_it() -> None:
    text = f"a \u2067{ALEF} 1\u2069 2 b"
    assert shown(text).replace("\u2067", "").replace("\u2069", "") == f"a 1 {ALEF} 2 b"


def test_an_override_forces_its_direction() -> None:
    assert shown("\u202eabc\u202c").strip("\u202e\u202c") == "cba"


def test_spaces_at_a_lines_end_go_with_the_paragraph() -> None:
    text = f"a {ALEF} "
    assert runs(text, levels(text, 0), 0, 0, len(text))[-1].level == 0


@settings(max_examples=300, deadline=None)
@given(st.lists(LETTERS | CONTROLS, max_size=20), st.integers(0, 1))
def test_every_character_stands_in_a_line_once(letters: list[str], base: int) -> None:
    text = "".join(letters)
    found = levels(text, base)
    assert len(found) == len(text)
    assert all(level >= base for level in found)
    seen = sorted(
        i for run in runs(text, found, base, 0, len(text)) for i in range(run.start, run.stop)
    )
    assert seen == list(range(len(text)))


@settings(max_examples=200, deadline=None)
@given(st.lists(LETTERS, min_size=1, max_size=16), st.integers(0, 1))
def test_letters_always_have_the_parity_of_their_script(letters: list[str], base: int) -> None:
    text = "".join(letters)
    for character, level in zip(text, levels(text, base), strict=True):
        if character in "ab":
            assert level % 2 == 0
        elif character in (ALEF, BET, JEEM):
            assert level % 2 == 1
        elif character in "12\u0661":
            assert level % 2 == 0


def test_thousands_of_nested_embeddings_are_no_trouble() -> None:
    text = "\u202b" * 3000 + ALEF + "\u2067" * 3000 + "a" + "\u2069" * 6000 + "\u202c" * 6000
    assert max(levels(text, 0)) <= 126
