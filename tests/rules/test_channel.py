from __future__ import annotations

import pytest

from waremill.errors import ConfigError
from waremill.rules import load_channels, load_schemas

AMAZON = """\
source: https://example.com/guide
date: 2025-01-21
fields:
  "*": {banned_phrases: [free shipping]}
  title: {max_chars: 200, max_bytes: 500, banned_characters: "!$]^-", max_repeats: 2, max_capitals: 40%}
categories:
  Apparel:
    title: {max_chars: 125, banned_phrases: [best seller], source: elsewhere}
"""  # noqa: E501
FILES = {"channels/amazon.yaml": AMAZON}


def test_a_rule_joins_what_holds_everywhere_for_the_field_and_for_the_category() -> None:
    channel = load_channels(FILES)["amazon"]
    title = channel.rule("title", "apparel")
    assert title is not None
    assert (title.max_chars, title.max_bytes, title.max_repeats) == (125, 500, 2)
    assert title.banned_phrases == ("free shipping", "best seller")
    assert (title.source, title.date) == ("elsewhere", "2025-01-21")
    plain = channel.rule("title", "Shoes")
    assert plain is not None
    assert (plain.max_chars, plain.max_capitals) == (200, 0.4)
    assert plain.source == "https://example.com/guide"


def test_a_field_without_a_rule_has_the_one_of_every_field() -> None:
    channel = load_channels(FILES)["amazon"]
    for category in (None, "Apparel"):
        rule = channel.rule("description", category)
        assert rule is not None
        assert rule.banned_phrases == ("free shipping",)
        assert rule.max_chars is None
    bare = load_channels({"channels/x.yaml": "fields: {title: {max_chars: 5}}"})["x"]
    assert bare.rule("description", None) is None


def test_banned_characters_are_taken_literally() -> None:
    rule = load_channels(FILES)["amazon"].rule("title", None)
    assert rule is not None
    assert rule.banned_pattern is not None
    assert rule.banned_pattern.findall("a-b ]^ c\\ $!") == ["-", "]", "^", "$", "!"]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("fields:\n  title: {max_char: 3}\n", 2, "did you mean “max_chars”"),
        ("fields:\n  title: {max_capitals: 3}\n", 2, "between 0 and 1"),
        ("fields:\n  title: 3\n", 2, "must be a mapping"),
        ("rules: {}\n", 1, "no setting “rules”"),
        ("fields:\n  title: {banned_phrases: [[a]]}\n", 2, "texts only"),
    ],
)
def test_mistakes_are_told_with_file_and_line(text: str, line: int, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_channels({"channels/a.yaml": text})
    assert says in caught.value.message
    assert caught.value.where is not None
    assert caught.value.where.line == line


def test_two_files_cannot_describe_one_channel() -> None:
    with pytest.raises(ConfigError, match="two files"):
        load_channels({"channels/a.yaml": "name: x\n", "channels/b.yaml": "name: x\n"})


SLOTTED = """\
category: Beauty
attributes: {name: {}, main_image: {type: image}, scene_image: {type: image}}
children:
  - category: Soap
    attributes: {bar_image: {type: image}}
"""


def test_a_channel_says_which_slots_it_takes_in_which_order() -> None:
    files = {"schemas/a.yaml": SLOTTED, "channels/amazon.yaml": "slots: [bar_image, main_image]\n",
             "channels/shop.yaml": "description: A shop\n"}  # fmt: skip
    channels, schemas = load_channels(files), load_schemas(files)
    soap, beauty = schemas["Soap"], schemas["Beauty"]
    assert [one.name for one in channels["amazon"].takes(soap)] == ["bar_image", "main_image"]
    assert [one.name for one in channels["amazon"].takes(beauty)] == ["main_image"]
    assert channels["shop"].takes(soap) == soap.slots


@pytest.mark.parametrize(
    ("slots", "schema", "says"),
    [
        ("[main_imgae]", SLOTTED, "slot “main_imgae”, did you mean “main_image”?"),
        ("[name]", SLOTTED, "no schema has the picture slot “name”"),
        ("[main_image, main_image]", SLOTTED, "the slot “main_image” stands twice"),
        ("[main_image]", "category: A\n", "no file in schemas/ has an attribute of type image"),
        ("{main_image: 1}", SLOTTED, "must be a list of texts"),
    ],
)  # fmt: skip
def test_slots_that_are_none_are_told_with_file_and_line(
    slots: str, schema: str, says: str
) -> None:
    files = {"schemas/a.yaml": schema, "channels/amazon.yaml": f"fields: {{}}\nslots: {slots}\n"}
    with pytest.raises(ConfigError) as caught:
        load_channels(files)
    assert says in caught.value.message
    assert caught.value.where is not None
    assert (caught.value.where.file, caught.value.where.line) == ("channels/amazon.yaml", 2)
