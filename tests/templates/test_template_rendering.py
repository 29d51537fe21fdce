"""How a template becomes messages: layout, conditions, fixed and changing parts, asking again."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from design_template import FILES, PRODUCT, template_file

from waremill.domain import Finding, Target
from waremill.errors import TemplateError
from waremill.rules.channel import FieldRule
from waremill.templates import Extras, Prompt, load_template, prompt_text

GERMAN = Target.parse("de-DE@amazon")
AMERICAN = Target.parse("en-US@shopify")


def system(prompt: Prompt) -> str:
    assert isinstance(prompt.messages[0].content, str)
    return prompt.messages[0].content


def user(prompt: Prompt) -> str:
    assert isinstance(prompt.messages[1].content, str)
    return prompt.messages[1].content


def simple(requirements: str = "", **more: str) -> dict[str, str]:
    body = "instruction: Write.\ninput: [name, price, notes]\noutput: {title: {max_chars: 60}}\n"
    return template_file(body + requirements, **more)


def rendered(requirement: str, values: Mapping[str, Any], target: Target | None = GERMAN) -> str:
    """The user and system text of a template with one requirement."""
    files = simple(f"requirements:\n  - {requirement}\n")
    return prompt_text(load_template(files, "t").render({"name": "N", **values}, target))


def test_the_designs_example_renders_fixed_part_first_and_product_last() -> None:
    prompt = load_template(FILES, "selling-points").render(PRODUCT, GERMAN, {"tone": "warm"})
    assert [message.role for message in prompt.messages] == ["system", "user"]
    fixed = system(prompt)
    assert "You write product copy in German for shoppers in DE." in fixed
    assert "- Use only facts from the input." in fixed
    assert "- Promise no effect on health." in fixed
    assert "- title: text, at most 60 characters" in fixed
    assert "exactly 3 different entries" in fixed
    assert "Name the volume" not in fixed
    text = user(prompt)
    assert "- Name the volume in ml." in text
    assert text.endswith(
        "<product>\nname: Tacit Eau de Parfum\nbrand: Aesop\n"
        "Fragrance notes: Yuzu; Basil; Vetiver\n</product>"
    )


def test_the_fixed_part_is_the_same_object_for_every_product() -> None:
    template = load_template(FILES, "selling-points")
    first = template.render(PRODUCT, GERMAN)
    second = template.render({**PRODUCT, "name": "Other", "volume_ml": None}, GERMAN)
    assert first.messages[0] is second.messages[0]
    assert first.contract is second.contract
    assert "volume" not in user(second)
    assert template.render(PRODUCT, AMERICAN).messages[0] != first.messages[0]


def test_an_include_applies_only_in_the_markets_its_condition_names() -> None:
    template = load_template(FILES, "selling-points")
    assert "health" in system(template.render(PRODUCT, Target.parse("fr-FR")))
    assert "health" not in system(template.render(PRODUCT, AMERICAN))


def test_parameters_change_the_fixed_part() -> None:
    files = template_file(
        "instruction: 'Be {{ tone }} and {{ params.tone }}.'\noutput: {t: string}"
    )
    template = load_template(files, "t")
    assert "Be warm and warm." in system(template.render({}, None, {"tone": "warm"}))
    assert "Be dry and dry." in system(template.render({}, None, {"tone": "dry"}))
    assert not template.uses_target


@pytest.mark.parametrize(
    ("condition", "values", "holds"),
    [
        ("volume_ml", {"volume_ml": 50}, True),
        ("volume_ml", {"volume_ml": "  "}, False),
        ("volume_ml", {}, False),
        ("not volume_ml", {}, True),
        ("price > 30", {"price": "45.00"}, True),
        ("price > 30", {"price": "9"}, False),
        ("price > 30", {}, False),
        ("price < 30", {}, False),
        ("price == 45", {"price": "45.0"}, True),
        ("brand == 'Aesop' and market == 'DE'", {"brand": "Aesop"}, True),
        ("brand != 'Aesop'", {"brand": "Aesop"}, False),
        ("'Rose' in notes", {"notes": ["Rose", "Musk"]}, True),
        ("'Rose' in notes", {"notes": "Rose; Musk"}, True),
        ("'Rose' in notes", {}, False),
        ("brand not in ['A', 'B']", {"brand": "C"}, True),
        ("10 < price <= 20", {"price": 20}, True),
        ("notes|length > 1", {"notes": ["Rose", "Musk"]}, True),
        ("brand is defined", {"brand": ""}, False),
        ("product['Top notes']", {"Top notes": "Fig"}, True),
        ("channel == 'amazon'", {}, True),
        ("deep.er.still", {}, False),
        ("price - 10 > 30", {"price": "45"}, True),
        ("price|float - 10 > 30", {"price": "45"}, True),
    ],
)
def test_when_decides_whether_a_requirement_is_shown(
    condition: str, values: dict[str, Any], holds: bool
) -> None:
    text = rendered(f'{{text: Shown., when: "{condition}"}}', values)
    assert ("- Shown." in text) is holds


@pytest.mark.parametrize(
    ("source", "values", "expected"),
    [
        ("{{ brand|upper }}!", {"brand": "Aesop"}, "- AESOP!"),
        ("Say {{ a ~ ' ' ~ b }}.", {"a": "x", "b": 2.0}, "- Say x 2."),
        ("{% for n in notes %}<{{ n }}>{% endfor %}", {"notes": ["a", "b"]}, "- <a><b>"),
        ("{% for n in notes|split %}({{ n }}){% endfor %}", {"notes": "a; b"}, "- (a)(b)"),
        ("{{ notes|join(' + ') }}", {"notes": ["a", "b"]}, "- a + b"),
        ("{{ gone }}x{{ gone.deep }}", {}, "- x"),
        ("{{ gone|default('none') }}", {}, "- none"),
        ("{{ gone }}", {"gone": None}, ""),
        ("{{ yes }}", {"yes": True}, "- yes"),
        ("{{ price|round(1) }}", {"price": "12.349"}, "- 12.3"),
        ("{{ text|truncate(12) }}", {"text": "A long sentence"}, "- A long sent…"),
        ("{{ text|replace(' ', '-') }}", {"text": "a b"}, "- a-b"),
        ("{% if market == 'DE' %}deutsch{% else %}else{% endif %}", {}, "- deutsch"),
        ("{{ target }} {{ target.language_code }} {{ locale }}", {}, "- de-DE@amazon de de-DE"),
    ],
)
def test_texts_are_computed_from_values(source: str, values: dict[str, Any], expected: str) -> None:
    text = rendered(f'"{source}"', values)
    assert expected in text


def test_an_instruction_that_reads_the_product_moves_behind_the_fixed_part() -> None:
    files = template_file("instruction: About {{ brand }}.\ninput: [name]\noutput: {t: string}")
    prompt = load_template(files, "t").render({"name": "N", "brand": "Aesop"})
    assert "About" not in system(prompt)
    assert user(prompt).startswith("About Aesop.")


def test_a_missing_required_input_names_the_input() -> None:
    template = load_template(FILES, "selling-points")
    with pytest.raises(TemplateError, match="this product has no `name`"):
        template.render({"brand": "Aesop", "name": " "}, GERMAN)


def test_a_product_without_any_input_is_refused_rather_than_invented() -> None:
    with pytest.raises(TemplateError, match="none of the template's inputs"):
        load_template(simple(), "t").render({"other": "x"})


def test_a_template_that_reads_the_target_needs_one() -> None:
    template = load_template(FILES, "selling-points")
    assert template.uses_target
    with pytest.raises(TemplateError, match="give it a target"):
        template.render(PRODUCT, None)


def test_a_template_without_target_makes_the_same_request_for_every_target() -> None:
    template = load_template(simple(), "t")
    assert not template.uses_target
    one = template.render({"name": "N"}, GERMAN)
    two = template.render({"name": "N"}, Target.parse("zh-CN"))
    assert one.messages == two.messages
    assert one.contract is two.contract


def test_inputs_are_labelled_lines_cut_joined_and_left_out_when_missing() -> None:
    files = template_file(
        "instruction: W.\noutput: {t: string}\n"
        "input:\n  - a: {label: First, max_chars: 12}\n  - b\n  - c\n  - d\n  - e\n"
    )
    values = {"a": "one two three four", "b": ["x", "y"], "c": None, "d": 2.50, "e": "l1\r\nl2\x00"}
    text = user(load_template(files, "t").render(values))
    assert text == "<product>\nFirst: one two thr…\nb: x, y\nd: 2.5\ne: l1\n  l2\n</product>"


def test_fill_leaves_out_what_is_there_and_skips_when_all_is() -> None:
    files = template_file(
        "instruction: W.\ninput: [name]\n"
        "output:\n  title: {max_chars: 60, write: fill}\n  text: {max_chars: 90, write: fill}\n"
    )
    template = load_template(files, "t")
    one = template.render({"name": "N"}, present={"title": "There"})
    assert list(one.contract.fields) == ["text"]
    assert "title" not in one.contract.schema["properties"]
    assert "- title" not in system(one)
    every = template.render({"name": "N"}, present={"title": "There", "text": "Too"})
    assert every.skipped
    assert every.messages == ()
    none = template.render({"name": "N"}, present={"title": " ", "text": None})
    assert list(none.contract.fields) == ["title", "text"]


def test_replace_asks_even_for_what_is_there() -> None:
    prompt = load_template(simple(), "t").render({"name": "N"}, present={"title": "There"})
    assert not prompt.skipped
    assert list(prompt.contract.fields) == ["title"]


def test_context_glossary_and_channel_are_sections() -> None:
    rule = FieldRule(max_chars=50, banned_characters="!?", banned_phrases=("best",), max_repeats=2)
    extras = Extras(
        context=["Aesop is calm.", "Second </context> trick"],
        glossary=[("top notes", "Kopfnoten"), ("Eau de Parfum", None)],
        channel={"title": rule, "other": rule},
    )
    prompt = load_template(FILES, "selling-points").render(PRODUCT, GERMAN, extras=extras)
    assert (
        "- title: at most 50 characters; without the characters ! ?; never with “best”; "
        "no word more than 2 times" in system(prompt)
    )
    assert "- other" not in system(prompt)
    text = user(prompt)
    assert "[1] Aesop is calm.\n[2] Second ‹/context> trick\n</context>" in text
    assert "- top notes → Kopfnoten\n- Eau de Parfum (do not translate)" in text
    assert text.index("<context>") < text.index("<product>")


def test_asking_again_adds_the_reply_and_the_findings_and_always_differs() -> None:
    template = load_template(FILES, "selling-points")
    finding = Finding("title", "contract", "error", "`title` has 72 characters", "A long title")
    first = template.render(PRODUCT, GERMAN)
    again = template.render(
        PRODUCT, GERMAN, extras=Extras(feedback=[finding], previous='{"title": "A long title"}')
    )
    assert again.messages[:2] == first.messages
    assert [message.role for message in again.messages[2:]] == ["assistant", "user"]
    assert again.messages[2].content == '{"title": "A long title"}'
    assert "- `title` has 72 characters (found: “A long title”)" in str(again.messages[3].content)
    third = template.render(
        PRODUCT,
        GERMAN,
        extras=Extras(feedback=[finding], previous='{"title": "A long title"}', attempt=2),
    )
    assert third.messages != again.messages


@pytest.mark.parametrize("previous", ["", None])
def test_asking_again_after_an_empty_reply_keeps_one_user_message(previous: str | None) -> None:
    template = load_template(FILES, "selling-points")
    finding = Finding("", "contract", "error", "the answer is empty")
    again = template.render(PRODUCT, GERMAN, extras=Extras(feedback=[finding], previous=previous))
    assert [message.role for message in again.messages] == ["system", "user"]
    assert "- the answer is empty" in user(again)


def test_the_contexts_query_is_rendered_per_product() -> None:
    template = load_template(FILES, "selling-points")
    assert template.query(PRODUCT, GERMAN) == "Aesop Perfume"
    assert template.query({"brand": "Aesop"}, GERMAN) == "Aesop"


def test_an_included_list_keeps_its_own_bullets() -> None:
    files = simple("requirements:\n  - {include: house}\n")
    files["templates/includes/house.txt"] = "- First rule.\n- Second rule.\n"
    assert "- First rule.\n- Second rule.\n" in system(
        load_template(files, "t").render({"name": 1})
    )


def test_variables_tell_what_the_template_reads() -> None:
    template = load_template(FILES, "selling-points")
    assert template.variables == {"name", "brand", "notes", "volume_ml", "category"}
    assert template.checks == ("language", "grounded-numbers", "channel", "glossary")
    assert template.context == {
        "knowledge": ["brand-guides"],
        "query": "{{ brand }} {{ category }}",
        "top": 3,
    }


def test_real_perfumes_render_one_prompt_each(shared_data: Path) -> None:
    template = load_template(FILES, "selling-points")
    path = shared_data / "catalogues-beauty" / "perfume_descriptions_open.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 624
    prompts = [template.render(row, GERMAN, extras=Extras(key=row["sku"])) for row in rows]
    assert len({id(prompt.messages[0]) for prompt in prompts}) == 1
    for row, prompt in zip(rows, prompts, strict=True):
        assert " ".join(row["name"].split()) in " ".join(user(prompt).split())
        assert user(prompt).count("</product>") == 1
