"""The check *grounded*: every sentence with what it stands on, in several languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from waremill.checks import Draft, Rules
from waremill.checks.grounded import Verdict, grounded, verdicts
from waremill.checks.sentences import content_words, sentences
from waremill.domain import Passage, Target

CARE = Passage("c1", "care.md", "Wash at 30 °C. Do not tumble dry. Iron on low heat.", "Care guide")
SIZE = Passage("s1", "size.md", "The bag holds 25 litres and fits a 15 inch laptop.", "Sizes")
FACTS = {"name": "Cotton backpack", "colour": "navy blue", "weight": "640 g"}


def judged(text: str, language: str = "en", **draft: Any) -> list[Verdict]:
    passages = draft.pop("passages", (CARE, SIZE))
    made = Draft({"body": text}, FACTS, Target(language), passages=passages, **draft)
    return verdicts(made, Rules())


def test_each_sentence_names_the_passage_it_stands_on() -> None:
    found = judged(
        "Wash the bag at 30 °C and do not tumble dry. "
        "It holds 25 litres and fits a 15 inch laptop. This cotton backpack is navy blue."
    )
    assert [(one.judgement, one.source) for one in found] == [
        ("supported", "c1"), ("supported", "s1"), ("supported", "product"),
    ]  # fmt: skip
    assert all(one.score >= 0.5 for one in found)


def test_what_stands_on_nothing_is_an_error_with_the_nearest_place() -> None:
    draft = Draft(
        {"body": "It holds 25 litres. Pilots around the world trust its titanium clasp."},
        FACTS, Target("en"), passages=(CARE, SIZE),
    )  # fmt: skip
    (finding,) = grounded(draft, Rules())
    assert (finding.rule, finding.severity, finding.field) == ("grounded", "error", "body")
    assert finding.evidence == "Pilots around the world trust its titanium clasp."


@pytest.mark.parametrize(
    ("text", "missing"),
    [("It holds 35 litres and fits a laptop.", "35 litres"), ("Wash it at 60 °C.", "60")],
)
def test_a_number_that_stands_nowhere_is_missing(text: str, missing: str) -> None:
    (found,) = judged(text)
    assert found.judgement == "unsupported"
    assert found.missing == (missing,)


def test_a_unit_may_be_converted() -> None:
    (found,) = judged("The backpack weighs 0.64 kg.")
    assert (found.judgement, found.source) == ("supported", "product")


def test_questions_and_bare_words_make_no_claim() -> None:
    assert [one.judgement for one in judged("Yes. Ready for the day?")] == ["no claim", "no claim"]


def test_german_and_chinese_are_compared_by_their_own_words() -> None:
    german = Passage("d1", "pflege.md", "Bei 30 Grad waschen und nicht in den Trockner geben.")
    (found,) = judged("Waschen Sie die Tasche bei 30 Grad.", "de", passages=(german,))
    assert (found.judgement, found.source) == ("supported", "d1")
    chinese = Passage("z1", "care.md", "请在30度以下水温手洗，不可烘干，低温熨烫。")
    text = "水温30度以下手洗，不可烘干。航天级钛合金扣具深受飞行员信赖。"
    found_zh = judged(text, "zh", passages=(chinese,))
    assert [one.judgement for one in found_zh] == ["supported", "unsupported"]


def test_another_language_is_unclear_until_vectors_say_how_near_it_is() -> None:
    text = "洗涤温度不超过30 °C，请勿烘干。"
    (found,) = judged(text, "zh", passages=(CARE,))
    assert found.judgement == "unclear"
    near: Mapping[tuple[str, str], float] = {(text, "c1"): 0.9}
    (found,) = judged(text, "zh", passages=(CARE,), likeness=near)
    assert (found.judgement, found.source) == ("supported", "c1")
    far: Mapping[tuple[str, str], float] = {(text, "c1"): 0.1}
    (found,) = judged(text, "zh", passages=(CARE,), likeness=far)
    assert found.judgement == "unsupported"


def test_a_number_is_judged_in_every_language() -> None:
    (found,) = judged("洗涤温度为 95 °C，请勿烘干。", "zh", passages=(CARE,))
    assert found.judgement == "unsupported"
    assert found.missing


def test_what_passages_say_is_grounded_for_the_other_checks_too() -> None:
    draft = Draft({"body": "It holds 25 litres."}, FACTS, Target("en"), passages=(SIZE,))
    from waremill.checks.grounded_numbers import grounded_numbers

    assert grounded_numbers(draft, Rules()) == []


def test_sentences_end_where_people_end_them() -> None:
    assert sentences("Wash at 30 °C. Use 5 V. It is by J. Doe.") == [
        "Wash at 30 °C.", "Use 5 V.", "It is by J. Doe.",
    ]  # fmt: skip
    assert sentences("See No. 5, z. B. in 3.5 ml. It fits! 真的？很好。\n- One\n2) Two") == [
        "See No. 5, z. B. in 3.5 ml.", "It fits!", "真的？", "很好。", "One", "Two",
    ]  # fmt: skip


def test_content_words_leave_out_what_claims_nothing() -> None:
    assert content_words("The customer says that it fits most refrigerators") == ("fit", "refri")
    assert content_words("这是一个很好的背包") == ("一个", "背包")
