"""Citations: only what was given is cited, whatever the pieces a reply comes in."""

from __future__ import annotations

import pytest

from waremill.chat.attributing import Attributing
from waremill.chat.citing import Citing
from waremill.chat.turns import Given, Source

RETURNS = "Opened bottles can be returned within 14 days. Sealed bottles within 60 days."
LASTS = "Eau de toilette holds 5 to 15 % oil and lasts three to five hours."


def source(number: int, text: str) -> Source:
    return Source(number, "passage", "guide", f"id{number}", "care.md", f"care › {number}", text)


GIVEN = {1: source(1, RETURNS), 2: source(2, LASTS), 3: source(3, "已开封的香水在14天内可以退货。")}


def read(text: str, size: int) -> tuple[str, Citing]:
    citing = Citing(GIVEN)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    return "".join(map(citing.feed, pieces)) + citing.end(), citing


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("said", "shown", "cited"),
    [
        ("It lasts [2].", "It lasts [2].", [2]),
        ("Both 【1】 and [1, 3].", "Both [1] and [1][3].", [1, 3]),
        ("A note[^2]", "A note[2]", [2]),
        ("Invented [9] here [1].", "Invented here [1].", [1]),
        ("Half [1, 9].", "Half [1].", [1]),
        ("In code `row[1]` and [1].", "In code `row[1]` and [1].", [1]),
        ("```\na[2]\n```\n[2]", "```\na[2]\n```\n[2]", [2]),
        ("An open ` tick\n\nthen [2]", "An open ` tick\n\nthen [2]", [2]),
        ("A [link](x) and [text", "A [link](x) and [text", []),
        ("It ends with [1", "It ends with [1", []),
        ("[1](https://evil.example)", "[1](https://evil.example)", [1]),
    ],
)  # fmt: skip
def test_a_citation_is_read_in_whatever_pieces_it_comes(
    said: str, shown: str, cited: list[int], size: int
) -> None:
    text, citing = read(said, size)
    assert (text, list(citing.cited)) == (shown, cited)


def test_what_was_taken_out_is_counted() -> None:
    _, citing = read("[7] [8, 9] [1]", 4)
    assert citing.unknown == 3


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "Opened bottles can be returned within 14 days. The owner is Jack.",
            "Opened bottles can be returned within 14 days. [1] The owner is Jack.",
        ),
        ("Eau de toilette lasts 9 hours.", "Eau de toilette lasts 9 hours."),
        ("Eau de toilette lasts three to five", "Eau de toilette lasts three to five [2]"),
        ("已开封的香水可以退货。谢谢。", "已开封的香水可以退货。[3]谢谢。"),
        ("The owner is Jack [1]. Yes, approx. 7.", "The owner is Jack. Yes, approx. 7."),
        ("- Sealed bottles within 60 days\n- Jack", "- Sealed bottles within 60 days [1]\n- Jack"),
    ],
)  # fmt: skip
def test_a_sentence_gets_the_source_it_stands_on_and_no_other(
    said: str, shown: str, size: int
) -> None:
    attributing = Attributing(list(GIVEN.values()))
    pieces = [said[at : at + size] for at in range(0, len(said), size)]
    assert "".join(map(attributing.feed, pieces)) + attributing.end() == shown


def test_a_source_keeps_its_number_in_a_conversation() -> None:
    given = Given()
    first = given.add("passage", "guide", "a", "care.md", "care", "text")
    second = given.add("product", "shop", "P1:7", "P1", "P1 · Eau", "text")
    assert given.add("passage", "guide", "a", "care.md", "care", "text") is first
    assert (first.number, second.number, len(given.fresh)) == (1, 2, 2)
    given.fresh.clear()
    given.keep([])
    assert not given.known
    assert given.add("passage", "guide", "b", "care.md", "care", "text").number == 3
