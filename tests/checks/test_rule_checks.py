"""channel, forbidden and glossary: the checks of what the workspace states."""

from __future__ import annotations

from pathlib import Path

import pytest
from drafts_to_check import found, rules

CHANNELS = rules(
    {
        "channels/amazon.yaml": """
fields:
  "*": {banned_phrases: [free shipping, 包邮]}
  title: {max_chars: 40, max_bytes: 60, banned_characters: "!$", max_repeats: 2, max_capitals: 30%}
categories:
  Shoes:
    title: {max_chars: 10}
"""
    }
)


@pytest.mark.parametrize(
    ("title", "evidence"),
    [
        ("x" * 41, ["x"]),
        (
            "香水香氛礼盒浓香水女士持久淡香清新花香调木质",
            ["香水香氛礼盒浓香水女士持久淡香清新花香调木质"],
        ),
        ("A nice scent!", ["!"]),
        ("Rose scent, FREE Shipping", ["FREE Shipping"]),
        ("玫瑰香水包邮", ["包邮"]),
        ("Rose rose and Rose", ["rose"]),
        ("AMAZING DEAL for you", ["AMAZING DEAL"]),
    ],
)
def test_what_the_channel_does_not_allow_is_an_error(title: str, evidence: list[str]) -> None:
    seen = found("channel", {"title": title}, target="en-US@amazon", setting=CHANNELS)
    assert seen == [("error", text) for text in evidence]


@pytest.mark.parametrize(
    "title",
    [
        "x" * 40,
        "玫瑰香水",
        "The rose of the sea and the sun",  # articles may repeat
        "30 ml, 50 ml and 90 ml",
        "P20, P30 and P40 cases",
        "DKNY and CK for USB",
        "DELUXE scent of roses",
        "Freeshipping",
    ],
)
def test_a_title_within_the_rules_raises_nothing(title: str) -> None:
    source = {"brand": "DKNY", "line": "CK", "port": "USB"}
    assert found("channel", {"title": title}, source, "en-US@amazon", CHANNELS) == []


def test_the_categorys_rule_and_every_element_of_a_list_count() -> None:
    target = "en-US@amazon"
    assert found("channel", {"title": "x" * 11}, {}, target, CHANNELS, "shoes")
    points = {"points": ["fine", "with free shipping", "fine"]}
    assert found("channel", points, {}, target, CHANNELS) == [("error", "free shipping")]
    assert found("channel", {"title": "x" * 99}, {}, "en-US", CHANNELS) == []
    assert found("channel", {"title": "x" * 99}, {}, "en-US@other", CHANNELS) == []


FORBIDDEN = rules(
    {
        "forbidden/claims.csv": "term,language,market,reason\n"
        "heilt,de,,medical claim\nguérit,fr,,\n国家级,zh,CN,\nass,,,\npoison,,,\n"
    }
)


@pytest.mark.parametrize(
    ("copy", "target", "evidence"),
    [
        ("Die Creme heilt.", "de-DE", "heilt"),
        ("Sie GUÉRIT la peau", "fr", "GUÉRIT"),
        ("国家级保湿面霜", "zh-CN", "国家级"),
        ("An ass.", "en", "ass"),
    ],
)
def test_a_forbidden_term_is_an_error(copy: str, target: str, evidence: str) -> None:
    assert found("forbidden", copy, {}, target, FORBIDDEN) == [("error", evidence)]


@pytest.mark.parametrize(
    ("copy", "target"),
    [
        ("Die Creme heilte", "de-DE"),
        ("Die Creme heilt", "fr"),
        ("國家級", "zh-TW"),
        ("国家级", "zh-TW"),
        ("A class glass of grass, a bass", "en"),
    ],
)
def test_parts_of_words_and_other_markets_raise_nothing(copy: str, target: str) -> None:
    assert found("forbidden", copy, {}, target, FORBIDDEN) == []


def test_a_forbidden_term_in_the_products_name_is_a_warning() -> None:
    source = {"name": "Poison", "brand": "Dior"}
    assert found("forbidden", "Dior Poison is deep", source, "en", FORBIDDEN) == [
        ("warning", "Poison")
    ]
    assert found("forbidden", "Smells like poison", {"notes": "poison"}, "en", FORBIDDEN) == [
        ("error", "poison")
    ]


def test_whole_words_keep_most_clean_rows_free_of_bad_words(shared_data: Path) -> None:
    words = (shared_data / "safety-inputs/ldnoobw/en.txt").read_text()
    setting = rules({"forbidden/en.txt": words})
    copy = "A classic assortment of Scunthorpe cockles, analysed by a sexton in Essex."
    assert found("forbidden", copy, {}, "en", setting) == []


GLOSSARY = rules(
    {
        "glossary.csv": "source,de,fr,zh,keep\nbergamot,Bergamotte,bergamote,香柠檬,\n"
        "top note,Kopfnote,note de tête,前调,\nleather,Leder,cuir,皮革,\nEau de Parfum,,,,yes\n"
    }
)
FACTS = {"name": "Tuscan Leather", "notes": "bergamot, leather", "kind": "Eau de Parfum"}


@pytest.mark.parametrize(
    ("copy", "target"),
    [
        ("Frische Bergamotte und Leder im Eau de Parfum", "de"),
        ("Bergamottenöl trifft Lederakkord", "de"),
        ("Ein frischer Auftakt", "de"),  # copy may leave terms out
        ("Tuscan Leather riecht warm nach Bergamotte", "de"),  # a name is not translated
        ("De la bergamote et du cuir", "fr"),
        ("香柠檬与皮革", "zh"),
        ("Bergamot and leather", "en"),  # no English column: nothing to demand
    ],
)
def test_copy_that_keeps_to_the_glossary_raises_nothing(copy: str, target: str) -> None:
    assert found("glossary", copy, FACTS, target, GLOSSARY) == []


@pytest.mark.parametrize(
    ("copy", "target", "evidence"),
    [
        ("Frisches bergamot und Leder", "de", "bergamot"),  # not an ending of Bergamotte
        ("Bergamotte und leather", "de", "leather"),
        ("Du leather et de la bergamote", "fr", "leather"),
        ("香柠檬与leather", "zh", "leather"),
    ],
)
def test_a_term_left_untranslated_is_an_error(copy: str, target: str, evidence: str) -> None:
    assert found("glossary", copy, FACTS, target, GLOSSARY) == [("error", evidence)]


def test_a_field_made_from_the_source_field_of_that_name_must_hold_its_terms() -> None:
    source = {"description": "With bergamot. Eau de Parfum."}
    bad = {"description": "Mit Zitrone. Duftwasser."}
    assert found("glossary", bad, source, "de", GLOSSARY) == [
        ("error", "bergamot"),
        ("error", "Eau de Parfum"),
    ]
    named = {"description_de": "Mit Zitrone. Eau de Parfum."}
    assert found("glossary", named, source, "de", GLOSSARY) == [("error", "bergamot")]
    good = {"description": "Mit Bergamotte. Eau de Parfum."}
    assert found("glossary", good, source, "de", GLOSSARY) == []


def test_a_long_draft_without_any_term_gets_one_warning() -> None:
    copy = (
        "Ein Duft für lange Abende, der sich Zeit nimmt und lange auf der Haut bleibt, ganz leise."
    )
    assert found("glossary", copy, FACTS, "de", GLOSSARY) == [("warning", "leather")]


def test_a_description_of_a_raw_one_is_its_translation() -> None:
    source = {"raw_description": "Fresh bergamot."}
    for name in ("description", "description_de"):
        copy = {name: "Ein frischer Duft."}
        assert found("glossary", copy, source, "de", GLOSSARY) == [("error", "bergamot")]
