"""Boilerplate and repeated pieces are told from what only looks like them."""

from __future__ import annotations

from waremill.knowledge.cleaning import (
    alike,
    count_blocks,
    near,
    sketches,
    without_boilerplate,
)
from waremill.knowledge.document import Document, Section

TEXT = (
    "Send the parcel back within thirty days of its arrival. We refund the price to the card it was"
    " paid with, and the cost of the cheapest way to send it. Goods made to measure, opened"
    " cosmetics and downloads cannot be returned unless they are faulty when they arrive."
)


def page(number: int, *blocks: str) -> Document:
    sections = tuple(Section((), one) for one in blocks)
    return Document(f"{number}.html", str(number), "text/html", sections)


def test_what_stands_on_most_pages_goes_and_what_stands_on_some_stays() -> None:
    pages = [
        page(n, "Home | Shop | Help", f"About model {n} of ours and what it can do", *extra)
        for n, extra in enumerate([("Two years of warranty.",)] * 3 + [()] * 5)
    ]
    counts, total = count_blocks(pages)
    cleaned = without_boilerplate(pages[0], counts, total)
    texts = [one.text for one in cleaned.sections]
    assert "Home | Shop | Help" not in texts
    assert "Two years of warranty." in texts


def test_three_pages_have_no_boilerplate_and_no_page_becomes_empty() -> None:
    few = [page(n, "Two years of warranty.") for n in range(3)]
    assert without_boilerplate(few[0], *count_blocks(few)) == few[0]
    many = [page(n, "Two years of warranty.") for n in range(9)]
    assert without_boilerplate(many[0], *count_blocks(many)) == many[0]


def test_a_changed_word_is_near_and_a_changed_number_is_not() -> None:
    more = f"{TEXT} Whoever bought with a voucher gets a voucher back that is valid for a year."
    assert near(more, more.replace("parcel", "package"))
    assert not near(f"{TEXT} For 30 days.", f"{TEXT} For 14 days.")
    assert not near(TEXT, TEXT[: len(TEXT) // 2])


def test_the_same_words_for_other_markets_do_not_repeat_each_other() -> None:
    assert alike(TEXT, b"DE") != alike(TEXT, b"FR")
    assert not set(sketches(TEXT, b"DE")) & set(sketches(TEXT, b"FR"))
    assert alike(f" {TEXT.upper()}\n", b"") == alike(TEXT, b"")


def test_most_near_repeats_share_a_sketch() -> None:
    words = TEXT.split()
    shared = 0
    for place in range(len(words)):
        changed = " ".join([*words[:place], *words[place + 1 :]])
        shared += bool(set(sketches(TEXT * 3, b"")) & set(sketches(changed + TEXT * 2, b"")))
    assert shared > len(words) * 0.8


def test_a_short_text_is_compared_by_its_words_alone() -> None:
    assert sketches("Free shipping.", b"") == ()
