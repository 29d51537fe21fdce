"""`checks: [grounded]` in a step: verdicts in the provenance, asking again, other languages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.steps.desk_with_knowledge import Library

from waremill import steps
from waremill.checks import Rules
from waremill.domain import Item, Passage, Product, Target
from waremill.pipeline import BoundStep, StepSettings
from waremill.steps import Kit

TEMPLATE = """\
instruction: Write in {{ language }}.
context: {knowledge: care, query: "{{ name }}", top: 2}
input: [name]
output:
  body: {type: string, max_chars: 300}
checks: [grounded]
"""
CARE = Passage("c1", "care.md", "Wash at 30 °C. Do not tumble dry.", metadata={"language": "en"})
GOOD = "Wash it at 30 °C and do not tumble dry."
WILD = "Wash it at 30 °C. Pilots around the world trust its titanium clasp."


def built(kind: str = "generate", **settings: Any) -> BoundStep:
    kit = Kit({"templates/copy.yaml": TEMPLATE}, Rules(), {}, asks=2)
    given = settings or {"template": "copy"}
    return steps.make(StepSettings(kind, kind, given), kit)


def item(target: str, **fields: Any) -> Item:
    return Item(1, Product(1, "P1", {"name": "Backpack"}, 7), Target.parse(target), fields)


async def test_a_sentence_on_nothing_is_asked_again_with_its_words() -> None:
    desk = Library({"body": WILD}, {"body": GOOD}, bases={"care": [CARE]})
    assert await built().run(item("en-US"), desk.context) == {"body": GOOD}
    assert "Pilots around the world" in desk.said()
    assert "stands neither on the passages" in desk.said()
    (verdict,) = desk.notes["grounded"]
    assert (verdict["verdict"], verdict["source"], verdict["field"]) == ("supported", "c1", "body")
    assert desk.findings == []


def meaning(text: str) -> Sequence[float]:
    """Washing in one direction, clasps in another, everything else in a third."""
    washing = float(any(word in text for word in ("Wash", "wasch", "tumble", "Trockner")))
    clasp = float("Titan" in text)
    return [washing, clasp, float(not washing and not clasp), 0.2]


async def test_a_passage_in_another_language_is_compared_by_meaning() -> None:
    said = "Bei 30 °C waschen. Eine Schnalle aus Titan hält alles fest zusammen."
    desk = Library({"body": said}, bases={"care": [CARE]}, meaning=meaning)
    await built().run(item("de-DE"), desk.context)
    assert [one["verdict"] for one in desk.notes["grounded"]] == ["supported", "unsupported"]
    assert [(one.rule, one.severity) for one in desk.findings] == [("grounded", "error")]
    bare = Library({"body": said}, bases={"care": [CARE]})
    await built().run(item("de-DE"), bare.context)
    assert [one["verdict"] for one in bare.notes["grounded"]] == ["unclear", "unclear"]
    assert bare.findings == []


async def test_a_check_step_compares_with_what_a_retrieve_step_found() -> None:
    found = [{"id": "c1", "place": "care.md", "text": CARE.text}]
    desk = Library({})
    check = built("check", rules=("grounded", "grounded-numbers"))
    await check.run(item("en-US", body=WILD, background=found), desk.context)
    assert [(one.rule, one.field) for one in desk.findings] == [("grounded", "body")]
    assert [one["source"] for one in desk.notes["grounded"]] == ["c1", ""]


async def test_the_sources_of_answers_are_no_copy() -> None:
    faq = [{"question": "Can I wash it?", "answer": "Wash at 30 °C.",
            "sources": [{"id": "9f87", "place": "care.md › 4711"}]}]  # fmt: skip
    found = [{"id": "c1", "place": "care.md", "text": CARE.text}]
    desk = Library({})
    check = built("check", rules=("grounded-numbers",))
    await check.run(item("en-US", faq=faq, background=found), desk.context)
    assert desk.findings == []
