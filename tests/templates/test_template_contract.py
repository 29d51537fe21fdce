"""How replies are read: wrapped, dirty and wrong ones, and what the JSON Schema says."""

from __future__ import annotations

import string
from typing import Any

import jsonschema_rs
import orjson
import pytest
from design_template import FILES, PRODUCT, template_file
from hypothesis import given, settings
from hypothesis import strategies as st

from waremill.domain import Target
from waremill.errors import OutputInvalid
from waremill.templates import Contract, load_template, means_nothing, parse_number

OUTPUT = """\
instruction: Write.
reasoning: brief
output:
  title: {max_chars: 20}
  volume: {type: number, unit: ml, required: false}
  year: {type: integer, min: 1700, max: 2030, required: false}
  unisex: {type: boolean, required: false}
  strength:
    required: false
    values:
      edp: {en: Eau de Parfum, zh: 浓香水, synonyms: [EdP intense]}
      edt: {en: Eau de Toilette, zh: 淡香水}
      none: {en: No alcohol}
  notes: {type: array, items: {max_chars: 10}, max: 3, required: false}
  families: {type: array, values: [floral, woody, fresh], required: false}
  faq:
    type: array
    required: false
    items:
      type: object
      properties:
        question: {max_chars: 30}
        answer: {max_chars: 30}
        rank: {type: integer, required: false}
"""


ASKED = {"question": "Q", "answer": "A"}


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load_template(template_file(OUTPUT), "t").contract({})


def read(contract: Contract, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    reply = orjson.dumps({"rationale": "r", "title": "T", **fields}).decode()
    values, findings = contract.read(reply)
    assert all(one.rule == "contract" and one.severity == "error" for one in findings)
    return values, [one.message for one in findings]


@pytest.mark.parametrize(
    ("field", "raw", "value"),
    [
        ("title", "  A\u200b title\x07 ", "A title"),
        ("title", 4711, "4711"),
        ("title", ["One"], "One"),
        ("volume", 50, 50),
        ("volume", "50", 50),
        ("volume", "50 ml", 50),
        ("volume", "50 ML.", 50),
        ("volume", "1,5", 1.5),
        ("volume", "1.250,5", 1250.5),
        ("volume", "1,250.5", 1250.5),
        ("volume", "1 250", 1250),
        ("volume", None, None),
        ("volume", "n/a", None),
        ("volume", "不详", None),
        ("year", 1921.0, 1921),
        ("year", "1921", 1921),
        ("unisex", "yes", True),
        ("unisex", "否", False),
        ("unisex", False, False),
        ("unisex", "unknown", None),
        ("strength", "edp", "edp"),
        ("strength", "EDP", "edp"),
        ("strength", "eau-de-parfum", "edp"),
        ("strength", "浓香水", "edp"),
        ("strength", "edp INTENSE", "edp"),
        ("strength", "none", "none"),
        ("strength", "Not specified.", None),
        ("notes", ["Rose", " rose ", "n/a", "Musk"], ["Rose", "Musk"]),
        ("notes", "Rose; Musk", ["Rose", "Musk"]),
        ("notes", "- Rose\n- Musk", ["Rose", "Musk"]),
        ("notes", "Rose", ["Rose"]),
        ("notes", [], None),
        ("families", "Floral, WOODY", ["floral", "woody"]),
        ("families", ["Woody", "woody"], ["woody"]),
        ("faq", [{**ASKED, "x": 1}], [{**ASKED, "rank": None}]),
        ("faq", {**ASKED, "rank": "2"}, [{**ASKED, "rank": 2}]),
    ],
)  # fmt: skip
def test_values_are_coerced_where_they_are_clear(
    contract: Contract, field: str, raw: Any, value: Any
) -> None:
    values, findings = read(contract, **{field: raw})
    assert findings == []
    assert values[field] == value
    assert type(values[field]) is type(value)


@pytest.mark.parametrize(
    ("field", "raw", "message"),
    [
        ("title", "x" * 21, "`title` has 21 characters; at most 20 are allowed"),
        ("title", "N/A", "`title` is missing; it must be given"),
        ("title", None, "`title` is missing; it must be given"),
        ("title", True, "`title` must be text"),
        ("title", {"en": "x"}, "`title` must be text"),
        ("volume", "1,250", "`volume` must be a number in ml"),
        ("volume", "1.7 fl oz", "`volume` must be a number in ml"),
        ("volume", "50-100", "`volume` must be a number in ml"),
        ("volume", True, "`volume` must be a number in ml"),
        ("volume", [50], "`volume` must be a number in ml"),
        ("year", 1921.5, "`year` must be a whole number"),
        ("year", 2525, "`year` must be from 1700 to 2030"),
        ("unisex", "maybe", "`unisex` must be true or false"),
        ("strength", "Cologne", "`strength` must be one of: edp, edt, none"),
        ("strength", "edp / edt", "`strength` must be one of: edp, edt, none"),
        ("notes", ["a", "b", "c", "d"], "`notes` has 4 different entries; at most 3 are wanted"),
        ("notes", ["a", "x" * 11], "entry 2 of `notes` has 11 characters; at most 10 are allowed"),
        ("notes", {"a": 1}, "`notes` must be a list"),
        ("families", ["sea"], "entry 1 of `families` must be one of: floral, woody, fresh"),
        ("faq", [{"question": "Q"}], "`answer` of entry 1 of `faq` is missing"),
        ("faq", ["Q"], "entry 1 of `faq` must be an object"),
    ],
)  # fmt: skip
def test_what_breaks_the_contract_is_a_finding(
    contract: Contract, field: str, raw: Any, message: str
) -> None:
    values, findings = read(contract, **{field: raw})
    assert findings == [message]
    if field in ("strength", "year", "volume", "unisex") and "from" not in message:
        assert field not in values
    with pytest.raises(OutputInvalid) as caught:
        contract.parse(orjson.dumps({"rationale": "r", "title": "T", field: raw}).decode())
    assert [one.message for one in caught.value.findings] == [message]
    assert caught.value.findings[0].field == field


def test_values_outside_a_closed_list_are_never_given(contract: Contract) -> None:
    values, findings = read(contract, families=["floral", "marine"], strength="Cologne")
    assert "strength" not in values
    assert "marine" not in str(values)
    assert len(findings) == 2


@pytest.mark.parametrize(
    "reply",
    [
        '{"rationale": "r", "title": "T"}',
        '\ufeff {"title": "T"} \n',
        '```json\n{"title": "T"}\n```',
        'Sure! Here it is:\n\n```\n{"title": "T"}\n```\nAnything else?',
        'The set {x} is not it. {"title": "T"} and more }',
        '<think>{"draft": {"title": "no"}}</think>{"title": "T"}',
        '{"title": "first"}\nBetter:\n{"title": "T"}',
        '{"title": "T",}',
        "{'title': 'T'}",
        "{'title': 'T', 'volume': None, 'unisex': True}",
        '{"title": "T", "notes": ["a", "b",],}',
        '[{"title": "T"}]',
        '{"answer": {"title": "T"}}',
        '{"Title": "T"}',
        '"{\\"title\\": \\"T\\"}"',
        '{"title": "T"}{',
        '{"title": "\\u0054", "other": "\\x"}',
    ],
)
def test_the_object_is_found_however_it_is_wrapped(contract: Contract, reply: str) -> None:
    assert contract.parse(reply)["title"] == "T"


def test_raw_line_ends_and_apostrophes_inside_texts_are_kept(contract: Contract) -> None:
    assert contract.parse('{"title": "one\ntwo"}')["title"] == "one\ntwo"
    assert contract.parse("{'title': 'L'eau d'Issey'}")["title"] == "L'eau d'Issey"
    assert contract.parse("{'title': '\\ud83d\\ude00\\ud83d'}")["title"] == "😀"


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ("", "not a JSON object"),
        ("I am sorry, I cannot do that.", "not a JSON object"),
        ("null", "not a JSON object"),
        ("[1, 2]", "not a JSON object"),
        ('{"title": "T', "cut off"),
        ('{"title": "T", "notes": ["a"', "cut off"),
        ('{"title": "T", "volume": nu', "cut off"),
        ('```json\n{"title": "T",\n', "cut off"),
        ('{"faq": [{"title": "T", "answer": "A"}, {"title"', "cut off"),
        ('{"title": "T" "volume": 3}', "not a JSON object"),
        ("{title: T}", "not a JSON object"),
        ("{'title': 'the dogs', cats and'}", "not a JSON object"),
        ('{"title": NaN}', "not a JSON object"),
        ('{"a":' * 100_000, "nested too deeply|not a JSON object|longer than"),
        ("[" * 100_000, "not a JSON object"),
        ("{" * 100_000, "not a JSON object"),
        ('{"' * 50_000, "not a JSON object|cut off"),
        ('{"title": 1e999}', ""),
    ],
)
def test_what_is_no_object_is_an_invalid_output(
    contract: Contract, reply: str, message: str
) -> None:
    with pytest.raises(OutputInvalid, match=message or None):
        contract.parse(reply)


def test_a_number_beyond_64_bits_is_refused_in_either_reader(contract: Contract) -> None:
    for reply in (
        '{"title": "T", "volume": 1%s}' % ("0" * 40),
        "{'title': 'T', 'volume': 1%s}" % ("0" * 40),
    ):
        _, findings = contract.read(reply)
        assert [one.field for one in findings] == ["volume"]


def test_the_rationale_is_first_in_the_schema_and_never_a_value(contract: Contract) -> None:
    assert next(iter(contract.schema["properties"])) == "rationale"
    assert "rationale" not in contract.parse('{"rationale": "because", "title": "T"}')


def objects(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, dict):
        inner = [one for part in schema.values() for one in objects(part)]
        return [schema, *inner] if schema.get("type") == "object" else inner
    return [one for part in schema for one in objects(part)] if isinstance(schema, list) else []


def test_the_schema_keeps_to_what_strict_modes_take(contract: Contract) -> None:
    found = objects(contract.schema)
    assert len(found) == 2
    for one in found:
        assert one["additionalProperties"] is False
        assert one["required"] == list(one["properties"])
    strength = contract.schema["properties"]["strength"]
    assert strength["anyOf"] == [
        {"type": "string", "enum": ["edp", "edt", "none"]},
        {"type": "null"},
    ]
    assert "edp (Eau de Parfum, 浓香水)" in strength["description"]
    assert contract.schema["properties"]["volume"]["description"] == "in ml"
    assert not {"maxLength", "minimum", "maximum", "pattern"} & set(str(contract.schema).split("'"))


def test_max_tokens_follow_length_script_and_reasoning() -> None:
    def tokens(language: str, reasoning: str, longest: int) -> int:
        files = template_file(
            f"instruction: In {{{{ language }}}}.\nreasoning: {reasoning}\n"
            f"output: {{t: {{max_chars: {longest}}}}}\n"
        )
        return load_template(files, "t").contract({}, Target.parse(language)).max_tokens

    assert tokens("en", "none", 10) == 64
    assert tokens("en", "none", 1000) == 32 + 12 + 625
    assert tokens("zh-CN", "none", 1000) == 32 + 12 + 1875
    assert tokens("ru", "none", 1000) == 32 + 12 + 1250
    assert tokens("en", "brief", 1000) == 32 + 12 + 625 + 160
    assert tokens("en", "full", 100_000) == 8192


def test_the_schema_object_is_shared_between_languages() -> None:
    template = load_template(FILES, "selling-points")
    one = template.contract(PRODUCT, Target.parse("de"))
    two = template.contract(PRODUCT, Target.parse("zh"))
    assert one.schema is two.schema
    assert one.max_tokens < two.max_tokens


_text = st.text(min_size=1, max_size=20).filter(
    lambda t: t.isprintable() and t == t.strip() and not means_nothing(t)
)
_valid = st.fixed_dictionaries(
    {
        "title": _text,
        "volume": st.none() | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9),
        "year": st.none() | st.integers(1700, 2030),
        "unisex": st.none() | st.booleans(),
        "strength": st.sampled_from([None, "edp", "edt", "none"]),
        "notes": st.none()
        | st.lists(_text.map(lambda t: t[:9].strip()).filter(lambda t: t and not means_nothing(t)),
                   min_size=1, max_size=3, unique_by=str.casefold),
        "families": st.none()
        | st.lists(st.sampled_from(["floral", "woody", "fresh"]), min_size=1, unique=True),
        "faq": st.none()
        | st.lists(
            st.fixed_dictionaries(
                {"question": _text, "answer": _text, "rank": st.none() | st.integers(0, 9)}
            ),
            min_size=1, max_size=3, unique_by=lambda one: (one["question"], one["answer"]),
        ),
    }
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(values=_valid, wrap=st.sampled_from(["{}", "```json\n{}\n```", "Here: {} done", "[{}]"]))
def test_reading_a_written_valid_answer_gives_it_back(values: dict[str, Any], wrap: str) -> None:
    contract = load_template(template_file(OUTPUT), "t").contract({})
    answer = {"rationale": "r", **values}
    assert jsonschema_rs.is_valid(dict(contract.schema), answer)
    assert contract.parse(wrap.replace("{}", orjson.dumps(answer).decode())) == values


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet=string.printable + "{}[]\"':,\\", max_size=80))
def test_no_reply_crashes_the_reader(text: str) -> None:
    contract = load_template(template_file(OUTPUT), "t").contract({})
    for reply in (text, '{"title": "' + text, '{"title": ' + text + "}"):
        values, findings = contract.read(reply)
        assert findings or values["title"]


@pytest.mark.parametrize(
    ("text", "number"),
    [("3", 3), ("-2.5", -2.5), ("1’000", 1000), ("1.000.000", 1000000), ("0,125", 0.125),
     ("1,000", None), ("1.2.3", None), ("", None), ("abc", None), ("5 kg", None), ("1e5", None)],
)  # fmt: skip
def test_numbers_in_text_are_read_only_where_clear(text: str, number: float | None) -> None:
    assert parse_number(text) == number
