"""The `generate` step: ask, judge, ask again with the finding, keep the best for a person."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.steps.filed import Filed

from waremill import steps
from waremill.calls import canonical
from waremill.checks import Rules
from waremill.domain import (
    Answer,
    Chat,
    Finding,
    Item,
    Outcome,
    Product,
    Response,
    Target,
    Usage,
)
from waremill.errors import ConfigError, Refused, TemplateError
from waremill.pipeline import BoundStep, Context, StepSettings
from waremill.rules import load_channels, load_glossary
from waremill.steps import Kit

TEMPLATE = """\
name: copy
instruction: Write product copy.
input:
  - name: {required: true}
  - volume_ml
output:
  title: {type: string, max_chars: 20}
  body: {type: string, max_chars: 200, write: WRITE}
checks: [grounded-numbers]
"""
PRODUCT = Product(1, "P1", {"name": "Eau Sauvage", "volume_ml": 50}, 7)
GOOD = {"title": "Eau Sauvage", "body": "A bottle of 50 ml."}
LONG = {"title": "Eau Sauvage, far too long a title", "body": "A bottle of 50 ml."}
UNGROUNDED = {"title": "Eau Sauvage", "body": "A bottle of 90 ml."}
Reply = Mapping[str, Any] | str | tuple[str, Outcome]


class Desk:
    """A context whose model says what it is told to, and remembers what it was asked."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[Chat] = []
        self.findings: list[Finding] = []
        files = Filed(Path(tempfile.gettempdir()) / "never-written")
        self.context = Context(self.call, self.report, self.record, self.similar, files)

    async def call(self, item: Item, request: Chat, model: str | None = None) -> Answer:
        await asyncio.sleep(0)
        self.asked.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        text, outcome = reply if isinstance(reply, tuple) else (reply, "complete")
        body = text if isinstance(text, str) else orjson.dumps(text).decode()
        response = Response(body, outcome, Usage(1, 1))  # type: ignore[arg-type]
        return Answer(b"0" * 16, response, model or "default", 1)

    def report(self, item: Item, findings: Sequence[Finding]) -> None:
        self.findings.extend(findings)

    async def record(self, item: Item, name: str, make: Callable[[], Awaitable[Any]]) -> Any:
        return await make()

    async def similar(self, item: Item, name: str, text: str) -> Sequence[tuple[str, float]]:
        return ()

    @property
    def errors(self) -> list[str]:
        return [finding.rule for finding in self.findings if finding.severity == "error"]


def built(
    template: str = TEMPLATE, *, write: str = "replace", asks: int = 3, **settings: Any
) -> BoundStep:
    """The step over one template."""
    files = {
        "templates/copy.yaml": template.replace("WRITE", write),
        "channels/shop.yaml": settings.pop("channel", "name: shop\nfields: {}\n"),
    }
    kit = Kit(files, Rules(channels=load_channels(files)), {}, "default", asks)
    return steps.make(StepSettings("generate", "copy", {"template": "copy"}, **settings), kit)


def item(product: Product = PRODUCT, target: str | None = None, **more: Any) -> Item:
    return Item(1, product, Target.parse(target) if target else None, {}, **more)


async def test_a_good_answer_is_asked_for_once() -> None:
    desk = Desk(GOOD)
    assert await built().run(item(), desk.context) == GOOD
    assert len(desk.asked) == 1
    assert desk.findings == []


async def test_a_broken_answer_is_asked_again_with_the_finding() -> None:
    desk = Desk(LONG, UNGROUNDED, GOOD)
    assert await built().run(item(), desk.context) == GOOD
    assert desk.errors == []
    said = [" ".join(str(message.content) for message in one.messages) for one in desk.asked]
    assert "20 characters" in said[1]
    assert "90" in said[2]
    assert len({canonical(one) for one in desk.asked}) == 3


async def test_asking_again_is_always_a_new_request_even_after_the_same_answer() -> None:
    desk = Desk(LONG)
    made = await built(asks=5).run(item(), desk.context)
    assert len({canonical(one) for one in desk.asked}) == 5
    assert made["body"] == LONG["body"]
    assert desk.errors


async def test_what_still_fails_after_the_last_ask_is_kept_with_its_findings() -> None:
    desk = Desk(UNGROUNDED)
    assert await built(asks=2).run(item(), desk.context) == UNGROUNDED
    assert desk.errors == ["grounded-numbers"]


async def test_fields_are_kept_when_a_later_answer_has_none() -> None:
    desk = Desk({"title": "Eau, 90 ml", "body": "90 ml and 33 notes"}, "no JSON at all", "nor here")
    made = await built().run(item(), desk.context)
    assert made["body"] == "90 ml and 33 notes"
    assert set(desk.errors) == {"grounded-numbers"}


async def test_no_readable_answer_at_all_is_a_finding_and_no_fields() -> None:
    desk = Desk("I would rather not write JSON.")
    assert await built().run(item(), desk.context) == {}
    assert desk.errors == ["contract"]


async def test_a_truncated_answer_is_asked_again() -> None:
    desk = Desk(('{"title": "Eau Sauvage", "body": "A bot', "truncated"), GOOD)
    assert await built().run(item(), desk.context) == GOOD
    assert len(desk.asked) == 2


async def test_a_refusal_goes_to_review() -> None:
    with pytest.raises(Refused, match="declined"):
        await built().run(item(), Desk(("I cannot.", "refused")).context)


async def test_a_refusal_after_an_answer_keeps_the_answer() -> None:
    desk = Desk(UNGROUNDED, ("I cannot.", "refused"))
    assert await built().run(item(), desk.context) == UNGROUNDED
    assert desk.errors == ["grounded-numbers", "refused"]


async def test_fill_writes_only_what_is_missing_and_pays_nothing_when_all_is_there() -> None:
    step = built(TEMPLATE.replace("max_chars: 20}", "max_chars: 20, write: fill}"), write="fill")
    whole = replace(PRODUCT, attributes={**PRODUCT.attributes, **GOOD})
    desk = Desk(GOOD)
    assert await step.run(item(whole), desk.context) == {}
    assert desk.asked == []
    assert step.preview is not None
    assert step.preview(item(whole), {}) is None
    half = replace(PRODUCT, attributes={**PRODUCT.attributes, "title": "Mine"})
    made = await step.run(item(half), desk.context)
    assert made == {"body": GOOD["body"]}
    assert len(desk.asked) == 1


async def test_a_missing_required_input_is_the_users_to_mend() -> None:
    with pytest.raises(TemplateError, match="name"):
        await built().run(item(Product(1, "P1", {}, 7)), Desk(GOOD).context)


async def test_the_preview_is_the_first_request() -> None:
    step, desk = built(), Desk(GOOD)
    await step.run(item(), desk.context)
    assert step.preview is not None
    preview = step.preview(item(), {})
    assert preview is not None
    assert canonical(preview) == canonical(desk.asked[0])


async def test_a_step_made_once_a_product_asks_the_same_for_every_target() -> None:
    step, desk = built(per="product"), Desk(GOOD)
    for target in ("en-US", "de-DE", "fr-FR"):
        await step.run(item(target=target), desk.context)
    assert len({canonical(one) for one in desk.asked}) == 1


async def test_a_step_made_once_a_group_sees_the_groups_merged_values() -> None:
    step, desk = built(per="group"), Desk(GOOD)
    group = Product(9, "G", {"name": "Eau", "volume_ml": [50, 90]}, 8)
    for key in ("P1", "P2"):
        await step.run(item(replace(PRODUCT, key=key), group=group), desk.context)
    assert len({canonical(one) for one in desk.asked}) == 1
    assert "90" in str(desk.asked[0].messages[-1].content)


@pytest.mark.parametrize("category", ["Perfume", 12, ["Perfume", "Soap"], [], None])
async def test_any_kind_of_category_can_be_matched_with_a_channels_rules(category: Any) -> None:
    channel = """\
name: shop
fields: {title: {max_chars: 40}}
categories: {Perfume: {title: {max_chars: 12}}}
"""
    product = replace(PRODUCT, attributes={**PRODUCT.attributes, "category": category})
    desk = Desk(GOOD)
    await built(channel=channel).run(item(product, "en-US@shop"), desk.context)
    assert desk.asked


GLOSSARY = (
    "source,de,keep,market\nbergamot,Bergamotte,,\npepper,Pfeffer,,\npink pepper,Rosa Pfeffer,,\n"
    "Eau Sauvage,,yes,\nleather,Leder,,\n"
)
NOTED = """\
name: copy
instruction: Write product copy in {{ language }}.
input: [name, notes: {translate: true}, story]
output: {body: {type: string, max_chars: 200}}
checks: [glossary, grounded-names]
"""
NOTES = {"name": "Eau Sauvage", "notes": "Bergamot; pink pepper", "story": "", "gone": "leather"}


def with_glossary(template: str = NOTED, glossary: str = GLOSSARY, **settings: Any) -> BoundStep:
    files = {"templates/copy.yaml": template, "glossary.csv": glossary}
    kit = Kit(files, Rules(glossary=load_glossary(files)), {}, "default", 1)
    return steps.make(StepSettings("generate", "copy", {"template": "copy"}, **settings), kit)


def asked_of(step: BoundStep, target: str | None, **values: Any) -> str:
    assert step.preview is not None
    chat = step.preview(item(replace(PRODUCT, attributes={**NOTES, **values}), target), {})
    assert chat is not None
    return str(chat.messages[-1].content)


def test_terms_of_an_input_to_translate_stand_in_the_targets_language() -> None:
    asked = asked_of(with_glossary(), "de-DE")
    assert "notes: Bergamotte; Rosa Pfeffer\n" in asked
    assert "→" not in asked
    both = asked_of(with_glossary(), "de-DE", story="Bergamot, sun-ripe")
    assert "- bergamot → Bergamotte\n\n<product>" in both
    assert "story: Bergamot, sun-ripe" in both
    assert "notes: bergamot pie, Pfeffer" in asked_of(
        with_glossary(), "de-DE", notes=["bergamot pie", "Pepper"]
    )


async def test_copy_with_the_terms_it_was_shown_passes_the_checks() -> None:
    desk = Desk({"body": "Bergamotte und Rosa Pfeffer in Eau Sauvage."})
    product = replace(PRODUCT, attributes=NOTES)
    await with_glossary().run(item(product, "de-DE"), desk.context)
    assert desk.findings == []


def test_a_prompt_holds_only_terms_of_what_it_shows() -> None:
    asked = asked_of(with_glossary(NOTED.replace(": {translate: true}", "")), "de-DE")
    assert "pink pepper → Rosa Pfeffer" in asked
    assert "Eau Sauvage (do not translate)" in asked
    assert "leather" not in asked


def test_without_a_translation_to_make_there_are_no_terms() -> None:
    plain = NOTED.replace("in {{ language }}", "now")
    assert "translate" not in asked_of(with_glossary(), "en-US")
    assert "translate" not in asked_of(with_glossary(plain, per="product"), None)
    names = "source,keep\nEau Sauvage,yes\n"
    assert "Eau Sauvage (do not translate)" in asked_of(with_glossary(glossary=names), "fr-FR")


@pytest.mark.parametrize(
    ("template", "settings", "said"),
    [
        (TEMPLATE, {"settings": {"template": "copy", "temprature": 1}}, "temprature"),
        (TEMPLATE, {"settings": {}}, "needs a template"),
        (TEMPLATE.replace("[grounded-numbers]", "[grounded-numbrs]"), {}, "grounded-numbers"),
        (TEMPLATE.replace("copy.", "copy in {{ language }}."), {"per": "product"}, "once per"),
        (
            "instruction: Draw.\ncontext: {knowledge: k, query: q}\noutput: {scene: picture}\n",
            {},
            "a picture's prompt takes no `context`",
        ),
    ],
)
def test_a_step_that_cannot_work_says_so_before_anything_is_paid(
    template: str, settings: dict[str, Any], said: str
) -> None:
    files = {"templates/copy.yaml": template.replace("WRITE", "replace")}
    given = {"settings": {"template": "copy"}, **settings}
    step = StepSettings("generate", "copy", given.pop("settings"), **given)
    with pytest.raises((ConfigError, TemplateError), match=said):
        steps.make(step, Kit(files, Rules(), {}))


async def test_a_text_that_names_a_stored_file_is_asked_for_again() -> None:
    forged = {"title": "Eau Sauvage", "body": f"asset:{'0' * 64}.png"}
    desk = Desk(forged, GOOD)
    assert await built().run(item(), desk.context) == GOOD
    assert len(desk.asked) == 2
    stubborn = Desk(forged)
    assert await built().run(item(), stubborn.context) == {"title": "Eau Sauvage"}
    assert "contract" in stubborn.errors
