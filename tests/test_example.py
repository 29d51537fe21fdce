"""The example workspace is sound: its sheet, its templates and rules, its gold values."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import waremill
from waremill import checks, steps
from waremill.catalog.reading import read_source
from waremill.domain import Target, is_missing
from waremill.pipeline import load_pipeline
from waremill.rules import load_channels, load_forbidden, load_glossary, load_schemas, schema_for
from waremill.settings import load_settings
from waremill.templates import Extras, check_template, load_template, template_names

EXAMPLE = Path(waremill.__file__).parent / "example" / "perfume"
COLUMNS = (
    "sku", "article_no", "group", "category", "name", "brand", "country", "year", "concentration",
    "volume", "gender", "fragrance_family", "top_notes", "heart_notes", "base_notes", "price",
    "raw_description",
)  # fmt: skip
TEMPLATES = ("attributes", "faq", "selling-points", "translation")

Row = Mapping[str, Any]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    with read_source(str(EXAMPLE / "perfumes.xlsx")) as reader:
        found = [row for batch in reader.batches() for row in batch.rows]
        assert not reader.problems
    return found


@pytest.fixture(scope="module")
def by_sku(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["sku"]: row for row in rows}


@pytest.fixture(scope="module")
def files() -> Mapping[str, str]:
    return load_settings(EXAMPLE, {}).files()


@pytest.fixture(scope="module")
def gold(files: Mapping[str, str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in files["gold/attributes.jsonl"].splitlines()]


def test_the_sheet_has_sixty_rows_of_twenty_five_scents_or_more(rows: list[dict[str, Any]]) -> None:
    assert len(rows) >= 60
    assert len({row["group"] for row in rows}) >= 25
    assert max(Counter(row["group"] for row in rows).values()) >= 3


def test_every_row_has_a_key_a_group_a_name_and_a_brand(rows: list[dict[str, Any]]) -> None:
    assert len({row["sku"] for row in rows}) == len(rows)
    for row in rows:
        for column in ("sku", "group", "category", "name", "brand", "volume"):
            assert not is_missing(row.get(column)), (row["sku"], column)


def test_the_sheet_has_the_documented_columns_and_a_normalised_volume(
    rows: list[dict[str, Any]],
) -> None:
    with read_source(str(EXAMPLE / "perfumes.xlsx")) as reader:
        list(reader.batches())
        assert set(COLUMNS) <= set(reader.columns)
        assert "volume_ml" in reader.columns
    assert all(isinstance(row["volume_ml"], int | float) for row in rows)


@pytest.mark.parametrize(
    "column",
    ["country", "year", "concentration", "gender", "fragrance_family", "top_notes", "heart_notes",
     "base_notes", "price", "raw_description"],
)  # fmt: skip
def test_every_column_of_facts_has_gaps_and_values(rows: list[dict[str, Any]], column: str) -> None:
    filled = sum(not is_missing(row.get(column)) for row in rows)
    assert 0 < filled < len(rows)


def test_article_numbers_keep_their_leading_zeros(rows: list[dict[str, Any]]) -> None:
    numbers = [row["article_no"] for row in rows]
    assert len(set(numbers)) == len(numbers)
    assert all(isinstance(number, str) and number.startswith("0") for number in numbers)


def test_the_raw_sheet_is_uneven_where_the_tutorial_says_so() -> None:
    from python_calamine import CalamineWorkbook

    book = CalamineWorkbook.from_path(str(EXAMPLE / "perfumes.xlsx"))
    lines = book.get_sheet_by_index(0).to_python(skip_empty_area=False)[1:]
    assert any(all(cell == "" for cell in line) for line in lines), "a blank row"
    cells = [str(cell) for line in lines for cell in line]
    for remnant in ("<p>", "&amp;", "<br>", "1.7 fl oz", "100ML", "毫升", "女士", "Femme"):
        assert any(remnant in cell for cell in cells), remnant


def test_cleaning_leaves_no_markup_in_the_catalogue(rows: list[dict[str, Any]]) -> None:
    texts = [value for row in rows for value in row.values() if isinstance(value, str)]
    assert not [text for text in texts if "<" in text or "&amp;" in text or "&#" in text]


def test_settings_load_and_need_no_key(files: Mapping[str, str]) -> None:
    settings = load_settings(EXAMPLE, {})
    assert (settings.currency, settings.per_usd) == ("CNY", 7.1)
    assert settings.languages == ("en", "zh", "de", "fr")
    assert settings.model("default").use == "local"
    assert settings.missing_keys("default") == ()


def test_rules_load_and_every_channel_rule_says_where_it_is_from(
    files: Mapping[str, str],
) -> None:
    channels = load_channels(files)
    assert {"amazon", "shopify"} <= set(channels)
    for channel in channels.values():
        assert channel.rule("title", "Perfume") is not None
        for rule in channel.fields.values():
            assert rule.source
            assert rule.date
    assert load_forbidden(files).find("全网销量第一", Target.parse("zh-CN"))


def test_every_category_of_the_sheet_has_a_schema(
    rows: list[dict[str, Any]], files: Mapping[str, str]
) -> None:
    schemas = load_schemas(files)
    for category in {row["category"] for row in rows}:
        schema = schema_for(schemas, category)
        assert schema is not None, category
        assert {"concentration", "gender", "volume_ml"} <= {a.name for a in schema.attributes}
    family = next(a for a in schemas["Perfume"].attributes if a.name == "fragrance_family")
    assert all({"zh", "de", "fr"} <= set(value.labels) for value in family.values)


def test_every_category_has_an_image_set_that_text_templates_leave_alone(
    files: Mapping[str, str],
) -> None:
    schemas, channels = load_schemas(files), load_channels(files)
    for schema in schemas.values():
        slots = {one.name: one.required for one in schema.slots}
        assert slots == {"main_image": True, "scene_image": False, "detail_images": False}
        assert all({"zh", "de", "fr"} <= set(one.labels) for one in schema.slots)
        assert next(one.name for one in channels["amazon"].takes(schema)) == "main_image"
    for name in TEMPLATES:
        assert not {"main_image", "scene_image", "detail_images"} & set(
            load_template(files, name).fields
        )


def test_the_glossary_translates_notes_and_keeps_names(rows: list[dict[str, Any]]) -> None:
    glossary = load_glossary(load_settings(EXAMPLE, {}).files())
    german = Target.parse("de-DE")
    found = {term.source: term for term in glossary.matching("bergamot, Black Opium", german)}
    assert found["bergamot"].translation(german) == "Bergamotte"
    assert found["Black Opium"].translation(german) == "Black Opium"
    text = "\n".join(str(value) for row in rows for value in row.values())
    names = [term for term in glossary.terms if term.keep]
    unused = [term.source for term in names if term.source not in text]
    assert not unused
    for term in glossary.terms:
        assert term.keep or term.market or {"zh", "de", "fr"} <= set(term.translations), term


def test_the_templates_are_all_there_and_clean(files: Mapping[str, str]) -> None:
    assert template_names(files) == TEMPLATES
    for name in TEMPLATES:
        problems = check_template(files, name, COLUMNS, checks=checks.names())
        assert [str(p) for p in problems if p.severity != "hint"] == []


def test_the_pipeline_has_two_targets_and_known_steps(files: Mapping[str, str]) -> None:
    pipeline = load_pipeline(files, "launch", steps.kinds())
    assert len(pipeline.targets) == 2
    channels = load_channels(files)
    assert {target.channel for target in pipeline.targets} <= set(channels)
    assert [step.per for step in pipeline.steps] == ["product", "target", "target"]
    assert pipeline.accept == "_findings = 0"


@pytest.mark.parametrize(
    "target", ["en-US@shopify", "de-DE@amazon", "zh-CN@tmall", "fr-FR", "es-ES"]
)
@pytest.mark.parametrize("name", ["selling-points", "faq"])
def test_prompts_render_for_every_product_and_target(
    files: Mapping[str, str], rows: list[dict[str, Any]], name: str, target: str
) -> None:
    template = load_template(files, name)
    for row in rows:
        prompt = template.render(row, Target.parse(target), {})
        system, user = prompt.messages[0].content, prompt.messages[-1].content
        assert isinstance(system, str)
        assert isinstance(user, str)
        assert row["name"] in user
        assert len(system) + len(user) < 4_000


def test_attributes_asks_only_for_what_the_sheet_leaves_open(
    files: Mapping[str, str], by_sku: dict[str, dict[str, Any]]
) -> None:
    template = load_template(files, "attributes")
    full, open_ = by_sku["CH-BL-EDT-50"], by_sku["CH-CM-EDP-50"]
    asked = template.render(open_, None, {}, present=open_).contract.fields
    assert "gender" in asked
    assert "top_notes" in asked
    asked = template.render(full, None, {}, present=full).contract.fields
    assert "gender" not in asked
    assert "top_notes" not in asked


def test_examples_keep_the_contract_they_illustrate(files: Mapping[str, str]) -> None:
    for name in ("selling-points", "attributes"):
        template = load_template(files, name)
        contract = template.render({"name": "x", "brand": "y", "raw_description": "z"},
                                   Target.parse("en-US"), {}).contract  # fmt: skip
        for line in files[f"examples/{name}.jsonl"].splitlines():
            output = json.loads(line)["output"]
            values = contract.parse(json.dumps(output))
            for field, value in output.items():
                assert values.get(field) == value


def test_examples_of_copy_pass_the_workspaces_own_checks(files: Mapping[str, str]) -> None:
    template = load_template(files, "selling-points")
    rules = checks.Rules(
        channels=load_channels(files), glossary=load_glossary(files),
        forbidden=load_forbidden(files), languages=("en", "zh", "de", "fr"),
        schemas=load_schemas(files),
    )  # fmt: skip
    targets = {"en": "en-US@shopify", "de": "de-DE@amazon", "zh": "zh-CN@tmall", "fr": "fr-FR"}
    for line in files["examples/selling-points.jsonl"].splitlines():
        example = json.loads(line)
        target = Target.parse(targets[example["language"]])
        draft = checks.Draft(
            example["output"], example["input"], target, template.fields, "Perfume"
        )
        found = checks.run_checks(template.checks, draft, rules)
        assert [f.as_json() for f in found if f.severity == "error"] == []


def test_gold_names_rows_of_the_sheet_and_their_open_fields(
    gold: list[dict[str, Any]], by_sku: dict[str, dict[str, Any]]
) -> None:
    assert len(gold) >= 20
    assert len({line["sku"] for line in gold}) == len(gold)
    for line in gold:
        row = by_sku[line["sku"]]
        assert not is_missing(row.get("raw_description"))
        assert is_missing(row.get("top_notes"))


def test_gold_values_are_allowed_and_stand_in_the_description(
    gold: list[dict[str, Any]], by_sku: dict[str, dict[str, Any]], files: Mapping[str, str]
) -> None:
    fields = load_template(files, "attributes").fields
    absent = 0
    for line in gold:
        text = str(by_sku[line["sku"]]["raw_description"]).casefold()
        assert set(line) == {"sku", *fields}
        for name, value in line.items():
            if value is None:
                absent += 1
            elif name.endswith("_notes"):
                assert all(note.casefold() in text for note in value), (line["sku"], value)
            elif name != "sku":
                assert value in fields[name].values
    assert absent >= 10, "a trial needs absent values to see invented ones"


def test_the_extraction_examples_are_not_rows_of_the_sheet(
    files: Mapping[str, str], rows: list[dict[str, Any]]
) -> None:
    described = {row.get("raw_description") for row in rows}
    for line in files["examples/attributes.jsonl"].splitlines():
        assert json.loads(line)["input"]["raw_description"] not in described


def test_the_fixed_part_of_a_prompt_is_the_same_for_all_products(
    files: Mapping[str, str], rows: list[dict[str, Any]]
) -> None:
    template = load_template(files, "selling-points")
    target = Target.parse("en-US@shopify")
    prompts = [template.render(row, target, {}, extras=Extras()) for row in rows]
    assert len({prompt.messages[0].content for prompt in prompts}) == 1
