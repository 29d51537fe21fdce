"""The FAQ: real questions, answers with sources, and an open list instead of inventions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from tests.steps.desk_with_knowledge import Library

from waremill import steps
from waremill.checks import Rules
from waremill.domain import Chat, Item, Passage, Product, Search, Target
from waremill.errors import ConfigError
from waremill.pipeline import BoundStep, Outlook, StepSettings
from waremill.steps import Kit

QUESTIONS = """\
question,key,category,count
How many outlets does it have?,P1,,2
how many sockets are there?,P1,,1
Can I use it in the rain?,,Inverters,5
How many plugs has it got?,,Inverters,4
Is there a warranty?,,,1
What colour is it?,P2,,9
"""
ITEM = Item(
    1,
    Product(1, "P1", {"name": "Cobra CPI 480", "category": "Inverters", "power_w": 400}, 7),
    Target.parse("en-US"),
    {},
)
OUTLETS = Passage("m1", "manual.pdf", "The inverter has two AC outlets and one USB port.", "Manual")
RAIN = Passage("m2", "manual.pdf", "Keep the inverter dry. Never use it in rain.", "Manual", (), 7)
THEMES = ("outlet", "socket", "plug"), ("rain",), ("warranty",), ("colour",)


def meaning(text: str) -> Sequence[float]:
    """A vector by theme, so that questions of one theme mean the same."""
    found = [float(any(word in text.lower() for word in theme)) for theme in THEMES]
    return [*found, 0.05]


def built(**settings: Any) -> BoundStep:
    files = {"questions/shoppers.csv": QUESTIONS}
    given = {"questions": "questions/shoppers.csv", "knowledge": "manuals", **settings}
    kit = Kit(files, Rules(), {}, asks=2)
    return steps.make(StepSettings("faq", "faq", given, file="pipelines/p.yaml", line=4), kit)


def by_question(**replies: dict[str, Any]) -> Any:
    """Reply by a word of the question."""

    def answer(chat: Chat) -> dict[str, Any]:
        asked = str(chat.messages[-1].content).rpartition("Question: ")[2].lower()
        for word, reply in replies.items():
            if word in asked:
                return {"question": "", **reply}
        return {"question": "", "known": False, "answer": None, "sources": []}

    return answer


def known(answer: str, *sources: int) -> dict[str, Any]:
    return {"known": True, "answer": answer, "sources": list(sources)}


GOOD = known("It has two AC outlets.", 1)


async def run(desk: Library, step: BoundStep | None = None) -> dict[str, Any]:
    return await (step or built()).run(ITEM, desk.context)


def library(*replies: Any) -> Library:
    return Library(*replies, bases={"manuals": [OUTLETS, RAIN]}, meaning=meaning)


async def test_own_questions_come_first_then_the_categorys_and_none_twice() -> None:
    desk = library(by_question(outlet=GOOD))
    made = await run(desk)
    assert [one.query for one in desk.searched] == [
        "How many outlets does it have?", "Can I use it in the rain?", "Is there a warranty?",
    ]  # fmt: skip
    assert made["faq"] == [
        {
            "question": "How many outlets does it have?",
            "answer": "It has two AC outlets.",
            "sources": [{"id": "m1", "place": "Manual"}],
        }
    ]
    assert made["faq_unanswered"] == ["Can I use it in the rain?", "Is there a warranty?"]
    assert [one["asked"] for one in desk.notes["faq"]] == [3, 5, 1]


async def test_the_model_sees_passages_facts_and_the_language() -> None:
    desk = library(by_question(outlet=GOOD))
    await run(desk, built(facts=["name", "power_w"], most="1"))
    said = desk.said(0)
    assert "in English" in said
    assert "[1] (Manual)\n  The inverter has two AC outlets" in said
    assert "Product: name: Cobra CPI 480; power_w: 400" in said
    assert "Question: How many outlets does it have?" in said
    assert set(desk.asked[0].schema["properties"]) == {"question", "known", "answer", "sources"}  # type: ignore[index]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"known": False, "answer": "Two outlets.", "sources": [1]}, "not known"),
        ({"known": True, "answer": "", "sources": [1]}, "not known"),
        (known("It has two AC outlets."), "no source"),
        (known("It has two AC outlets.", 9), "no source"),
        (known("It has four AC outlets of 220 V.", 1), "not grounded"),
        (known("It has two AC outlets.", 2), "not grounded"),
        (known("A leather strap holds the phone.", 1), "not grounded"),
    ],
)  # fmt: skip
async def test_what_is_not_known_or_not_grounded_is_never_an_answer(
    reply: dict[str, Any], reason: str
) -> None:
    desk = library(by_question(outlet=reply))
    made = await run(desk, built(most="1"))
    assert made == {"faq": [], "faq_unanswered": ["How many outlets does it have?"]}
    assert desk.notes["faq"][0]["reason"] == reason


async def test_a_reply_that_breaks_the_contract_twice_is_no_answer() -> None:
    desk = library("I would say two.")
    made = await run(desk, built(most="1"))
    assert len(desk.asked) == 2
    assert made["faq"] == []
    assert desk.notes["faq"][0]["reason"] == "no answer"


async def test_an_answer_from_the_products_own_data_names_it() -> None:
    reply = {"known": True, "answer": "Its power is 400 W.", "sources": [0]}
    desk = library(by_question(outlet=reply))
    made = await run(desk, built(most="1"))
    assert made["faq"][0]["sources"] == [{"id": "product", "place": "product"}]


async def test_a_bare_yes_stands_on_the_words_of_its_question() -> None:
    yes = {"known": True, "answer": "No.", "sources": [2]}
    desk = library(by_question(rain=yes))
    made = await run(desk)
    assert [one["answer"] for one in made["faq"]] == ["No."]


async def test_questions_may_stand_in_a_knowledge_base() -> None:
    text = "Is there a warranty? Yes, two years. Can I use it in the rain?"
    asked = Passage("q1", "qa.csv", text)
    desk = Library(by_question(), bases={"manuals": [OUTLETS], "asked": [asked]}, meaning=meaning)
    step = built(questions={"knowledge": "asked"})
    assert step.knowledge == ("manuals", "asked")
    made = await run(desk, step)
    assert desk.searched[0] == Search("asked", "Cobra CPI 480", 50, {"key": "P1"})
    assert set(made["faq_unanswered"]) == {"Is there a warranty?", "Can I use it in the rain?"}


async def test_the_choice_is_recorded_so_that_a_replay_asks_the_same() -> None:
    desk = library(by_question())
    step = built()
    await run(desk, step)
    first = [one.query for one in desk.searched]
    desk.meaning = lambda text: [1.0, 0.0]
    await run(desk, step)
    assert [one.query for one in desk.searched] == first * 2


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"questions": None}, "faq needs `questions`"),
        ({"questions": "questions/shopper.csv"}, "did you mean “questions/shoppers.csv”?"),
        ({"columns": {"question": "text"}}, "it needs a column “text”"),
        ({"most": "0"}, "most must be a whole number"),
        ({"as": "a b"}, "`as` must name a field"),
        ({"querry": "x"}, "did you mean “query”?"),
        ({"knowledge": None}, "faq needs `knowledge`"),
    ],
)
def test_settings_that_cannot_work_are_told(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        built(**settings)
    assert sentence in caught.value.message


def test_an_estimate_counts_a_call_for_each_question() -> None:
    step = built(most="6")
    assert step.calls == 6
    assert step.searches is not None and step.preview_with is not None
    assert [one.query for one in step.searches(ITEM, {})] == ["How many outlets does it have?"]
    chat = step.preview_with(ITEM, {}, [[OUTLETS]])
    assert isinstance(chat, Chat) and "[1] (Manual)" in str(chat.messages[-1].content)


async def test_all_questions_an_item_will_ask_are_foreseen_with_their_passages() -> None:
    desk = library(by_question(outlet=GOOD))
    step = built()
    assert step.foresee is not None

    async def search(wanted: Search) -> Sequence[Passage]:
        return await desk.context.retrieve(ITEM, wanted)

    foreseen = await step.foresee(ITEM, {}, Outlook(search, desk.embed))
    await run(desk, step)
    assert [one.request for one in foreseen] == desk.asked
    assert [one.passages for one in foreseen] == [(OUTLETS, RAIN)] * 3


async def test_without_a_free_embedder_only_equal_questions_are_one_and_none_is_searched() -> None:
    step = built()
    assert step.foresee is not None
    foreseen = await step.foresee(ITEM, {}, Outlook())
    asked = [str(one.request.messages[-1].content) for one in foreseen]  # type: ignore[union-attr]
    assert [text.rpartition("Question: ")[2].partition("\n")[0].strip() for text in asked] == [
        "How many outlets does it have?", "how many sockets are there?",
        "Can I use it in the rain?", "How many plugs has it got?", "Is there a warranty?",
    ]  # fmt: skip
    assert not any(one.passages for one in foreseen)
