"""Self-consistency: several answers to one prompt become one, field by field."""

from __future__ import annotations

from typing import Any

import pytest
from tests.steps.desk_with_knowledge import Library

from waremill import steps
from waremill.calls import canonical
from waremill.checks import Rules
from waremill.domain import Item, Product
from waremill.errors import ConfigError
from waremill.pipeline import BoundStep, StepSettings
from waremill.steps import Kit
from waremill.steps.asking.voting import vote
from waremill.templates import Field

TEMPLATE = """\
name: facts
instruction: Read the facts.
reasoning: brief
input: [name]
output:
  volume: {type: number, required: false}
  colour: {type: string, max_chars: 20}
"""


def built(**settings: Any) -> BoundStep:
    kit = Kit({"templates/facts.yaml": TEMPLATE}, Rules(), {}, asks=2)
    return steps.make(StepSettings("generate", "facts", {"template": "facts", **settings}), kit)


def item() -> Item:
    return Item(1, Product(1, "P1", {"name": "Eau 50"}, 7), None, {})


def reply(volume: Any, colour: str) -> dict[str, Any]:
    return {"rationale": "It says so.", "volume": volume, "colour": colour}


async def test_each_sample_is_a_request_of_its_own_and_the_majority_counts() -> None:
    desk = Library(reply(50, "Red"), reply(50.0, "red "), reply(80, "blue"))
    made = await built(samples="3", agreement="agreed").run(item(), desk.context)
    assert made == {"volume": 50, "colour": "Red", "agreed": 0.667}
    assert [one.sample for one in desk.asked] == [0, 1, 2]
    assert len({canonical(one) for one in desk.asked}) == 3
    assert desk.notes["agreement"] == {"fields": {"volume": 0.667, "colour": 0.667}, "of": 3}
    assert desk.findings == []


async def test_answers_that_break_the_contract_do_not_vote() -> None:
    desk = Library(reply("lots", "red"), reply("lots", "red"), reply(50, "blue"), reply(50, "blue"))
    made = await built(samples="3").run(item(), desk.context)
    assert made == {"volume": 50, "colour": "blue"}
    assert desk.notes["agreement"]["of"] == 2


async def test_too_little_agreement_is_a_finding_so_that_a_rule_does_not_accept() -> None:
    desk = Library(reply(50, "red"), reply(60, "red"), reply(70, "red"))
    await built(samples="3", least="0.6").run(item(), desk.context)
    assert [(one.field, one.rule, one.severity) for one in desk.findings] == [
        ("volume", "agreement", "error")
    ]
    assert "33%" in desk.findings[0].message


def test_an_estimate_counts_every_sample() -> None:
    assert built(samples="5").calls == 5
    assert built().calls == 1
    assert built(samples="5", agreement="agreed").fields == ("volume", "colour", "agreed")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"samples": "0"}, "samples must be a whole number from 1 to 20"),
        ({"samples": "many"}, "samples must be"),
        ({"samples": "3", "vote": "mean"}, "vote can only be majority"),
        ({"vote": "majority"}, "vote needs samples above 1"),
        ({"samples": "3", "agreement": "colour"}, "a field of its own"),
        ({"samples": "3", "least": "2"}, "least must be above 0"),
    ],
)
def test_settings_that_cannot_work_are_told(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        built(**settings)


def test_lists_are_voted_on_entry_by_entry_in_their_usual_order() -> None:
    notes = Field("notes", "array", items=Field("notes"), min_items=1, max_items=3)
    given = [["rose", "musk"], ["Rose", "amber", "musk"], ["rose", "musk", "oud"]]
    found = vote([{"notes": one} for one in given], {"notes": notes})
    assert found.values == {"notes": ["rose", "musk"]}
    assert found.agreement == {"notes": 1.0}


def test_lists_of_prose_take_the_one_most_like_the_others() -> None:
    points = Field("points", "array", items=Field("points"), min_items=2, max_items=2)
    given = [
        ["A warm woody scent", "Made in France"],
        ["A warm and woody scent", "It is made in France"],
        ["Buy it now", "Cheap"],
    ]
    found = vote([{"points": one} for one in given], {"points": points})
    assert found.values["points"] in given[:2]
    assert 0 < found.agreement["points"] < 1


def test_a_long_text_is_the_medoid_and_an_open_field_stays_open() -> None:
    body = Field("body", max_chars=400)
    texts = [
        "A quiet scent of cedar and vetiver for the evening, made to be refilled at home.",
        "A quiet scent of cedar and vetiver for evenings, and it is made to be refilled.",
        "Something entirely different, about shoes and how to walk in them on long days out.",
    ]
    found = vote([{"body": text} for text in texts], {"body": body})
    assert found.values["body"] in texts[:2]
    size = Field("size", "number", required=False)
    assert vote([{"size": None}, {"size": None}, {"size": 3}], {"size": size}).values == {
        "size": None
    }


def test_objects_are_voted_on_property_by_property() -> None:
    box = Field("box", "object", properties=(Field("wide", "number"), Field("high", "number")))
    given = [{"wide": 1, "high": 2}, {"wide": 1, "high": 3}, {"wide": 4, "high": 3}]
    assert vote([{"box": one} for one in given], {"box": box}).values == {
        "box": {"wide": 1, "high": 3}
    }
