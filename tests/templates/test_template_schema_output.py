"""`output: {from: schema}`: the category's schema becomes the contract."""

from __future__ import annotations

import pytest
from design_template import template_file

from waremill.errors import TemplateError
from waremill.templates import check_template, load_template, prompt_text

SCHEMA = """\
category: Beauty
attributes:
  brand: {required: true}
children:
  - category: Perfume
    attributes:
      concentration:
        labels: {de: Konzentration}
        values:
          - {code: edp, labels: {en: Eau de Parfum, zh: 浓香水}, synonyms: [EDP Intense]}
          - {code: edt, labels: {en: Eau de Toilette}}
      volume: {type: number, unit: ml, description: What one bottle holds}
      notes: {many: true, max_chars: 20}
  - category: Soap
    attributes:
      weight: {type: integer, unit: g}
"""
BODY = """\
instruction: Take the attributes from the text.
input: [name, description]
output: {from: schema, write: fill}
"""


def workspace(body: str = BODY) -> dict[str, str]:
    return template_file(body, **{"schemas/beauty.yaml": SCHEMA})


def test_the_products_category_chooses_the_fields() -> None:
    template = load_template(workspace(), "t")
    perfume = template.render({"name": "N", "category": "perfume"})
    soap = template.render({"name": "N", "category": "Beauty > Soap"})
    assert list(perfume.contract.fields) == ["brand", "concentration", "volume", "notes"]
    assert list(soap.contract.fields) == ["brand", "weight"]
    assert set(template.fields) == {"brand", "concentration", "volume", "notes", "weight"}
    assert "category" in template.variables


def test_closed_values_carry_their_labels_and_numbers_their_unit() -> None:
    prompt = load_template(workspace(), "t").render({"name": "N", "category": "Perfume"})
    properties = prompt.contract.schema["properties"]
    assert properties["concentration"]["anyOf"][0] == {"type": "string", "enum": ["edp", "edt"]}
    assert "edp (Eau de Parfum, 浓香水)" in properties["concentration"]["description"]
    assert "in ml" in properties["volume"]["description"]
    text = prompt_text(prompt)
    assert "allowed: edp (Eau de Parfum, 浓香水); edt (Eau de Toilette)" in text
    assert "volume: number, in ml. What one bottle holds. Null if the input does not say" in text


def test_labels_and_synonyms_become_codes() -> None:
    contract = load_template(workspace(), "t").contract({"category": "Perfume"})
    reply = '{"brand": "Aesop", "concentration": "浓香水", "volume": "50 ml", "notes": "a; b"}'
    assert contract.parse(reply) == {
        "brand": "Aesop", "concentration": "edp", "volume": 50, "notes": ["a", "b"],
    }  # fmt: skip
    assert (
        contract.parse('{"brand": "A", "concentration": "edp intense"}')["concentration"] == "edp"
    )


def test_fill_asks_only_for_what_the_product_lacks() -> None:
    template = load_template(workspace(), "t")
    values = {"name": "N", "category": "Soap", "brand": "Aesop"}
    assert list(template.render(values, present=values).contract.fields) == ["weight"]
    full = {**values, "weight": 100}
    assert template.render(full, present=full).skipped


def test_only_without_and_own_fields() -> None:
    body = BODY.replace(
        "{from: schema, write: fill}",
        "{from: schema, category: Perfume, only: [brand, notes], summary: {max_chars: 50}}",
    )
    template = load_template(workspace(body), "t")
    assert list(template.contract({}).fields) == ["brand", "notes", "summary"]
    body = BODY.replace("write: fill", "without: [brand]")
    fields = load_template(workspace(body), "t").contract({"category": "Soap"}).fields
    assert list(fields) == ["weight"]


def test_a_product_of_an_unknown_category_fails_alone() -> None:
    template = load_template(workspace(), "t")
    with pytest.raises(TemplateError, match=r"describes the category “Perfum”, did you mean"):
        template.render({"name": "N", "category": "Perfum"})
    with pytest.raises(TemplateError, match="the product has no `category`"):
        template.render({"name": "N"})
    assert not template.render({"name": "N", "category": "Perfume"}).skipped


def test_a_schema_that_is_not_there_is_an_error_of_the_template() -> None:
    with pytest.raises(TemplateError, match="there is no file in schemas/"):
        load_template(template_file(BODY), "t")
    body = BODY.replace("write: fill", "category: Perfum, only: [brnad]")
    found = [one.message for one in check_template(workspace(body), "t")]
    assert found[:2] == [
        "no file in schemas/ describes the category `Perfum`, did you mean `Perfume`?",
        "no schema has the attribute `brnad`, did you mean `brand`?",
    ]


def test_a_mistake_in_a_schema_points_into_the_schema() -> None:
    files = {**workspace(), "schemas/beauty.yaml": SCHEMA.replace("unit: g", "unti: g")}
    with pytest.raises(TemplateError) as caught:
        load_template(files, "t")
    assert "more problem" not in str(caught.value)
    assert str(caught.value).startswith("schemas/beauty.yaml:16:")


def test_the_schema_is_part_of_the_version() -> None:
    changed = {**workspace(), "schemas/beauty.yaml": SCHEMA.replace("bottle", "flacon")}
    assert load_template(workspace(), "t").version != load_template(changed, "t").version


PICTURED = (
    SCHEMA
    + """\
  - category: Frame
    attributes:
      main_image: {type: image, required: true}
      detail_images: {type: image, many: true}
"""
)


def test_a_text_model_is_never_asked_for_a_picture_slot() -> None:
    files = template_file(BODY, **{"schemas/beauty.yaml": PICTURED})
    template = load_template(files, "t")
    assert not {"main_image", "detail_images"} & set(template.fields)
    frame = template.render({"name": "N", "category": "Frame"})
    assert list(frame.contract.fields) == ["brand"]
    assert "image" not in prompt_text(frame)
    only_pictures = PICTURED.replace("brand: {required: true}", "front_image: {type: image}")
    files = template_file(BODY, **{"schemas/beauty.yaml": only_pictures})
    assert load_template(files, "t").render({"name": "N", "category": "Frame"}).skipped


def test_asking_for_a_picture_slot_by_name_is_refused() -> None:
    body = BODY.replace("write: fill", "only: [brand, main_image]")
    files = template_file(body, **{"schemas/beauty.yaml": PICTURED})
    problems = [one for one in check_template(files, "t", None) if one.severity == "error"]
    assert ["`main_image` is a picture slot" in one.message for one in problems] == [True]
    files = template_file(BODY.replace("write: fill", "without: [main_image]"),
                          **{"schemas/beauty.yaml": PICTURED})  # fmt: skip
    assert "brand" in load_template(files, "t").fields
