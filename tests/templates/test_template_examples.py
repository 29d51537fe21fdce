"""Which few-shot examples a product gets."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import orjson
import pytest
from design_template import EXAMPLES, FILES, PRODUCT, template_file

from waremill.domain import Target
from waremill.errors import TemplateError
from waremill.templates import Extras, load_template, prompt_text
from waremill.templates.examples import character_grams

GERMAN = Target.parse("de-DE")


def keys(values: dict[str, object], key: str | None = None) -> list[str]:
    chosen = load_template(FILES, "selling-points").choose_examples(values, GERMAN, key)
    return [one["key"] for one in chosen]


def test_the_nearest_examples_come_first() -> None:
    assert keys({"name": "Rozu mist", "brand": "Aesop", "notes": "Rose; Guaiac wood"})[0] == "A2"
    assert keys({"name": "金桂", "brand": "观夏", "notes": "桂花"})[:2] == ["A5", "A4"]


def test_the_products_own_example_is_never_chosen() -> None:
    values = dict(EXAMPLES[1]["input"])
    assert "A2" not in keys({**values, "notes": "Rose"}, "A2")
    assert "A2" in keys({**values, "notes": "Rose"}, "B7")
    assert "A2" not in keys(values, "B7")  # the same inputs under another key


def test_ties_keep_the_files_order_and_the_choice_repeats() -> None:
    assert keys({"name": "qqq"}) == ["A1", "A2", "A3"]
    assert keys(PRODUCT) == keys(PRODUCT)


def test_grams_are_pairs_in_cjk_and_triples_elsewhere() -> None:
    assert character_grams("Rose") == [" ro", "ros", "ose", "se "]
    assert character_grams("桂花茶") == ["桂花", "花茶"]
    assert character_grams("茶 ＮＯ") == ["茶", " no", "no "]
    assert character_grams("Öl") == [" öl", "öl "]


def test_chosen_examples_can_be_recorded_and_handed_back() -> None:
    template = load_template(FILES, "selling-points")
    chosen = template.choose_examples(PRODUCT, GERMAN, "K")
    recorded = json.loads(orjson.dumps(chosen))
    direct = template.render(PRODUCT, GERMAN, extras=Extras(key="K"))
    replayed = template.render(PRODUCT, GERMAN, extras=Extras(examples=recorded))
    assert direct.messages == replayed.messages
    none = template.render(PRODUCT, GERMAN, extras=Extras(examples=[]))
    assert "Hwyl" not in prompt_text(none)


INLINE = """\
instruction: Write.
input: [name]
output: {title: {max_chars: 20}}
examples:
  - {name: Hwyl, title: Woods}
  - {input: {name: Rozu}, output: {title: Rose}, key: K2}
  - {input: {name: Ouranon}, output: {title: Harz}, language: de}
"""


def test_inline_examples_stand_in_the_fixed_part() -> None:
    template = load_template(template_file(INLINE), "t")
    prompt = template.render({"name": "Other"})
    fixed = str(prompt.messages[0].content)
    assert '<example>\nname: Hwyl\n</example>\n{"title":"Woods"}' in fixed
    assert fixed.count("<example>\n") == 3
    other = template.render({"name": "X"}, extras=Extras(key="K2"))
    assert "Rozu" not in prompt_text(other)


def test_examples_in_another_language_are_left_out() -> None:
    template = load_template(template_file(INLINE), "t")
    assert "Harz" not in prompt_text(template.render({"name": "X"}, Target.parse("fr-FR")))
    assert "Harz" in prompt_text(template.render({"name": "X"}, GERMAN))


def test_first_takes_the_files_first() -> None:
    files = dict(FILES)
    files["templates/selling-points.yaml"] = FILES["templates/selling-points.yaml"].replace(
        "top: 3, by: similarity", "top: 2, by: first"
    )
    prompt = load_template(files, "selling-points").render(PRODUCT, GERMAN)
    assert "Hwyl" in str(prompt.messages[0].content)
    assert "No 5" not in prompt_text(prompt)


def test_a_line_of_examples_that_is_not_json_is_named() -> None:
    files = {**FILES, "examples/selling-points.jsonl": '{"name": "a", "title": "b"}\n{oops'}
    with pytest.raises(TemplateError) as caught:
        load_template(files, "selling-points")
    assert str(caught.value).startswith("examples/selling-points.jsonl:2: this line is not JSON")


def test_real_titles_find_examples_of_their_own_kind(shared_data: Path) -> None:
    path = shared_data / "catalogues-beauty" / "taobao_cosmetics_zh_open.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))[:400]
    lines = [
        orjson.dumps({"key": row["id"], "input": {"title": row["title"]}, "output": {"t": "x"}})
        for row in rows
    ]
    body = (
        "instruction: W.\ninput: [title]\noutput: {t: string}\n"
        "examples: {from: examples/zh.jsonl, top: 3}\n"
    )
    files = template_file(body, **{"examples/zh.jsonl": b"\n".join(lines).decode()})
    template = load_template(files, "t")
    brands = {row["id"]: row["brand_store"] for row in rows}
    sample = rows[::20]
    same = 0
    for row in sample:
        chosen = template.choose_examples({"title": row["title"]}, None, row["id"])
        assert row["id"] not in [one["key"] for one in chosen]
        same += brands[chosen[0]["key"]] == row["brand_store"]
    assert same / len(sample) > 0.7
