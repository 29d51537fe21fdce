"""Where the evidence of findings stands in a value."""

from __future__ import annotations

from typing import Any

import pytest

from waremill.domain import Finding
from waremill.review.highlighting import places, spans


def found(evidence: str, rule: str = "rule") -> Finding:
    return Finding("title", rule, "error", "wrong", evidence)


def marked(value: Any, *evidence: str) -> list[str]:
    texts = value if isinstance(value, list) else [value]
    return [
        texts[one.element or 0][one.start : one.end]
        for one in spans(value, [found(part) for part in evidence])
    ]


def test_every_place_of_the_evidence_is_marked_whatever_its_case() -> None:
    assert marked("Best of all, the BEST", "best") == ["Best", "BEST"]


def test_full_width_forms_are_found() -> None:
    assert marked("净含量５００ml", "500") == ["５００"]


def test_a_number_is_marked_as_a_whole_number() -> None:
    assert places("1500 and 50 ml", "50") == [(9, 11)]


def test_evidence_that_is_only_part_of_a_word_is_marked_there() -> None:
    assert marked("Unbeatable", "beat") == ["beat"]


def test_in_scripts_without_spaces_containment_is_enough() -> None:
    assert marked("最好的香水", "最好") == ["最好"]


def test_a_lists_entries_are_marked_each() -> None:
    (one,) = spans(["A bottle", "of 500 ml"], [found("500")])
    assert (one.element, one.start, one.end) == (1, 3, 6)


def test_two_rules_may_mark_one_place_and_one_rule_only_once() -> None:
    value = "see www.shop.example"
    rules = [found("www.shop.example", "a"), found("www.shop.example", "b"),
             found("www.shop.example", "a")]  # fmt: skip
    assert [one.rule for one in spans(value, rules)] == ["a", "b"]


@pytest.mark.parametrize("value", [None, 5, {"a": "500"}, "", [1, 2]])
def test_values_without_text_are_not_marked(value: Any) -> None:
    assert spans(value, [found("500")]) == ()


def test_evidence_that_is_not_there_marks_nothing() -> None:
    assert marked("A title", "P007", "") == []
