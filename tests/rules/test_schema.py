from __future__ import annotations

import pytest

from waremill.errors import ConfigError
from waremill.rules import load_schemas, schema_for, slot_names

BEAUTY = """\
category: Beauty
attributes:
  brand: {required: true, labels: {de: Marke, zh: 品牌}}
  volume: {type: number, unit: ml}
"""
PERFUME = """\
category: Perfume
parent: Beauty
attributes:
  concentration:
    values:
      - Parfum
      - {code: Eau de Parfum, labels: {zh: 浓香水}, synonyms: [EDP]}
  notes: {many: true, max_chars: 40}
children:
  - category: Niche perfume
    attributes:
      perfumer:
      volume: {type: integer, unit: ml}
"""
FILES = {"schemas/beauty.yaml": BEAUTY, "schemas/perfume.yaml": PERFUME, "notes.txt": "x"}


def test_a_category_inherits_its_ancestors_attributes_across_files() -> None:
    schemas = load_schemas(FILES)
    names = [attribute.name for attribute in schemas["Niche perfume"].attributes]
    assert names == ["brand", "volume", "concentration", "notes", "perfumer"]
    assert schemas["Niche perfume"].attributes[1].type == "integer"  # described again
    assert schemas["Perfume"].attributes[1].type == "number"


def test_a_value_has_every_spelling() -> None:
    concentration = load_schemas(FILES)["Perfume"].attributes[2]
    assert concentration.values[1].spellings == ("Eau de Parfum", "浓香水", "EDP")
    assert concentration.values[0].code == "Parfum"


@pytest.mark.parametrize(
    ("category", "found"),
    [
        ("Perfume", "Perfume"),
        ("perfume", "Perfume"),
        ("Beauty > Perfume > Travel sprays", "Perfume"),
        ("beauty/niche perfume", "Niche perfume"),
        ("Shoes", None),
        (None, None),
        ("", None),
    ],
)
def test_a_category_is_found_in_any_case_and_as_a_path(
    category: str | None, found: str | None
) -> None:
    schema = schema_for(load_schemas(FILES), category)
    assert (schema.category if schema else None) == found


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("category: A\nattributes:\n  x: {typ: string}\n", 3, "did you mean “type”"),
        ("category: A\nattributes:\n  x: {type: strng}\n", 3, "did you mean “string”"),
        ("category: A\nattributes:\n  x: {required: maybe}\n", 3, "true or false"),
        ("category: A\nattributes:\n  x: {}\n  x: {}\n", 4, "twice"),
        ("category: A\nattributes:\n  x: {values: [a, a]}\n", 3, "twice"),
        ("category: A\nattributes:\n  x: {max_chars: -1}\n", 3, "whole number"),
        ("category: A\nparent: B\n", 1, "no schema describes the parent “B”"),
        ("category: A\nparent: A\n", 1, "its own ancestor"),
        ("attributes: {}\n", 1, "needs “category: NAME”"),
        ("- a\n- b\n", 1, "must be a mapping"),
        ("category: [\n", 2, "not YAML"),
        ("", 1, "empty"),
        ("category: A\nchildren:\n  - text\n", 2, "child must be a mapping"),
    ],
)
def test_mistakes_are_told_with_file_and_line(text: str, line: int, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_schemas({"schemas/a.yaml": text})
    assert says in caught.value.message
    assert caught.value.where is not None
    assert (caught.value.where.file, caught.value.where.line) == ("schemas/a.yaml", line)


def test_a_file_that_refers_to_itself_ends_in_a_sentence() -> None:
    text = "category: A\nchildren: &c\n  - category: B\n    children: *c\n"
    with pytest.raises(ConfigError):
        load_schemas({"schemas/a.yaml": text})


PICTURED = """\
category: Beauty
attributes:
  main_image: {type: image, required: true, labels: {zh: 主图}, description: The pack on white}
  brand: {}
  detail_images: {type: image, many: true}
children:
  - category: Perfume
    attributes:
      scene_image: {type: image}
      brand: {required: true}
"""


def test_attributes_of_type_image_are_a_categorys_slots_in_order() -> None:
    schemas = load_schemas({"schemas/beauty.yaml": PICTURED})
    assert [one.name for one in schemas["Perfume"].slots] == [
        "main_image", "detail_images", "scene_image",
    ]  # fmt: skip
    main, details = schemas["Beauty"].slots
    assert (main.required, main.many, main.labels) == (True, False, {"zh": "主图"})
    assert (details.required, details.many) == (False, True)
    assert slot_names(schemas) == ("main_image", "detail_images", "scene_image")
    assert slot_names(load_schemas(FILES)) == ()


@pytest.mark.parametrize(
    ("attribute", "says"),
    [
        ("a: {type: image, unit: ml}", "“unit” does not fit “a”, which is a picture slot"),
        ("a: {type: image, values: [x]}", "“values” does not fit"),
        ("a: {type: image, max_chars: 3}", "“max_chars” does not fit"),
        ("a: {type: imag}", "“imag” is no type, did you mean “image”?"),
        ("_a: {type: image}", "cannot be a picture slot's name"),
        ("a@b: {type: image}", "cannot be a picture slot's name"),
    ],
)
def test_a_slot_that_cannot_work_is_told_with_its_line(attribute: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_schemas({"schemas/a.yaml": f"category: A\nattributes:\n  {attribute}\n"})
    assert says in caught.value.message
    assert caught.value.where is not None and caught.value.where.line == 3
