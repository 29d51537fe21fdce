"""The report: one self-contained, well-formed page that shows every figure and runs nothing."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import example_reports
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from waremill.domain import Finding, Image, Message
from waremill.report import Interval, ReportData, Sample, SampleField, render_report
from waremill.report.html import MAX_BYTES
from waremill.report.strings import ENGLISH

KINDS = {
    "trial": example_reports.trial(),
    "run": example_reports.run(),
    "comparison": example_reports.comparison(),
    "paused": example_reports.paused(),
    "planned": example_reports.planned(),
}
HOSTILE = (
    "<script>alert(1)</script>",
    "</style><style>*{display:none}</style>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</details></main><h1>gotcha</h1>",
    "<!-- -->", "]]>", "&lt;b&gt;", "{{ 7*7 }}", "{pairs}", "javascript:alert(1)",
    "a\x00b\x08\ud800\ufffe", "\u202eevil\u2066", "العربية", "迪奥", "https://x.y/z.js",
)  # fmt: skip


def tree(page: str) -> ElementTree.Element:
    """Read the page as XML, without its style and script, which are not."""
    page = page.removeprefix("<!DOCTYPE html>\n")
    return ElementTree.fromstring(re.sub(r"(?s)<(style|script)>.*?</\1>", "", page))


def words(page: str) -> str:
    """Give all text of the page, spaces made plain."""
    said = " ".join(" ".join(tree(page).itertext()).split())
    return said.replace("\u202f", " ")


def hostile(text: str) -> ReportData:
    """Put one text wherever a report takes text."""
    finding = Finding(text or "f", text, "error", text, text)
    sample = Sample(
        text, "review", {text: text}, (SampleField(text, [text, {text: text}], text, text, text),),
        (finding, Finding("", text, "warning", text)), text,
        (Message("system", text), Message("user", (text, Image(text)))), error=text,
    )  # fmt: skip
    base = example_reports.run()
    return dataclasses.replace(
        base, pipeline=text, run=text, version=text, reason=text, catalog=text, selection=text,
        targets=(text, text), parameters={text: text}, notes=(text,), sample_note=text,
        by_target=tuple(dataclasses.replace(line, target=text) for line in base.by_target),
        by_model=tuple(
            dataclasses.replace(line, model=text, outcomes={text: 1}) for line in base.by_model
        ),
        failures=tuple(
            dataclasses.replace(group, cause=text, advice=text) for group in base.failures
        ),
        samples=(sample, sample),
    )  # fmt: skip


@pytest.mark.parametrize("data", KINDS.values(), ids=KINDS)
def test_the_page_is_well_formed_and_every_element_known(data: ReportData) -> None:
    page = render_report(data)
    root = tree(page)
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert [child.tag for child in root] == ["head", "body"]
    assert len(root.findall(".//h1")) == 1
    identifiers = [node.get("id") for node in root.iter() if node.get("id")]
    assert len(identifiers) == len(set(identifiers))
    for node in root.iter():
        assert node.get("style") is None  # the content policy would block it
        assert not [name for name in node.attrib if name.startswith("on")]


@pytest.mark.parametrize("data", KINDS.values(), ids=KINDS)
def test_links_point_inside_the_page_and_nothing_is_loaded(data: ReportData) -> None:
    page = render_report(data)
    root = tree(page)
    identifiers = {node.get("id") for node in root.iter()}
    for node in root.iter():
        assert node.tag not in {"link", "img", "iframe", "object", "embed", "base", "form"}
        assert "src" not in node.attrib
        href = node.get("href")
        assert href is None or (href.startswith("#") and href[1:] in identifiers)
    style, script = (
        re.findall(rf"(?s)<{tag}>(.*?)</{tag}>", page)[0] for tag in ("style", "script")
    )
    assert "url(" not in style and "@import" not in style
    assert not re.search(r"fetch|XMLHttp|import|http|innerHTML|eval", script)


def test_the_content_policy_allows_only_the_pages_own_style_and_script() -> None:
    page = render_report(hostile(HOSTILE[0]))
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[0]
    assert "default-src 'none'".replace("'", "&#x27;") in policy
    for tag in ("style", "script"):
        content = re.findall(rf"(?s)<{tag}>(.*?)</{tag}>", page)
        assert len(content) == 1
        digest = base64.b64encode(hashlib.sha256(content[0].encode()).digest()).decode()
        assert f"sha256-{digest}" in policy


class _Elements(HTMLParser):
    """Collects elements as a browser would see them, scripts and styles included."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, " ".join(sorted(name for name, _ in attrs))))


def elements_of(page: str) -> list[tuple[str, str]]:
    parser = _Elements()
    parser.feed(page)
    return [element for element in parser.seen if element[0] not in {"span", "sup", "mark"}]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_becomes_no_element_and_no_attribute(text: str) -> None:
    page = render_report(hostile(text))
    assert elements_of(page) == elements_of(render_report(hostile("plain words")))
    tree(page)
    page.encode()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.one_of(st.sampled_from("<>&\"'/=!- \n\t"), st.characters()), min_size=1))
def test_any_text_keeps_the_page_well_formed(text: str) -> None:
    page = render_report(hostile("x" + text))
    tree(page)
    page.encode()


def test_controls_that_reorder_text_are_made_visible() -> None:
    page = render_report(hostile("\u202eevil"))
    assert "U+202E" in words(page)
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", page)


@pytest.mark.parametrize("data", KINDS.values(), ids=KINDS)
def test_equal_data_give_equal_bytes(data: ReportData) -> None:
    assert render_report(data) == render_report(dataclasses.replace(data))


def test_a_trial_shows_every_figure() -> None:
    said = words(render_report(KINDS["trial"]))
    for expected in (
        "Trial", "8f3c2a1e", "finished", "selling-points", "2025-03-14 09:26 UTC",
        "version 3fa2c19b7d04", "missing(description)", "20 of 624 products, seed 7", "tone=warm",
        "Products 20", "In review 5 25 % of items", "Failed 2 10 % of items",
    ):  # fmt: skip
        assert expected in said, expected
    figures = (
        "0.0750 CNY", "list 0.0897 CNY",  # 10.56 and 12.64 million nano-USD at 7.1
        "0.00449 CNY", "95 %: 0.00405–0.00496 CNY", "41 s", "0.49 items/s", "14.8 k / 4,210",
        "62 % of input cached", "4 answers reused", "13 · 65 %",
        "2.80 CNY", "2.53–3.10 CNY", "38 min 12 s", "33–44 min", "79–91 %",
        "90 %", "70–97 %", "token F1", "39–78 %", "17 %", "4.7–45 %", "33 %", "0.9–24 %",
        "grounded-numbers", "80 %", "p50 1.1 s", "p99 7.4 s", "1,428 calls", "the slowest 28 s",
        "writer (openai:gpt-4.1-mini)", "truncated 1", "refused 2",
        "Refused: content policy", "Reword the instruction", "1 more",
        "“75 ml” does not stand in the input.", "A 95 % interval shows",
    )  # fmt: skip
    for figure in figures:
        assert figure in said, figure


def test_a_run_shows_targets_models_and_how_the_forecast_held() -> None:
    page = render_report(KINDS["run"])
    said = words(page)
    for expected in (
        "2.93 CNY", "3.07 CNY", "as forecast", "above the interval", "28–37 min", "38 min 11 s",
        "de-DE@amazon", "86–91 %", "0.6902", "2.763", "rate limited 96", "unknown",
        "14 calls have no known price", "accepted", "402 · 16 %", "rejected", "4 · 0.2 %", "95.8 %",
        "context length exceeded", "31 more",
    ):  # fmt: skip
        assert expected in said, expected
    assert "trial" not in said.lower().split("samples")[0]


def test_a_comparison_says_what_is_better_worse_or_open() -> None:
    said = words(render_report(KINDS["comparison"]))
    for expected in (
        "v 3fa2c1 against v 91be20", "+8.3 pp", "+1.2 … +16 pp", "7 / 51 / 2", "better", "worse",
        "not clear", "−190 ms", "the same 60 items",
    ):  # fmt: skip
        assert expected in said, expected


@pytest.mark.parametrize("kind", ["paused", "planned"])
def test_a_run_without_answers_says_so_and_shows_no_empty_section(kind: str) -> None:
    page = render_report(KINDS[kind])
    assert "No item has been worked yet" in words(page)
    titles = [node.text for node in tree(page).iter("h2")]
    assert titles == (["Items by status"] if kind == "paused" else [])


def test_a_paused_run_says_why() -> None:
    assert "check OPENAI_API_KEY, then resume the run" in words(render_report(KINDS["paused"]))


def test_findings_are_marked_where_their_evidence_stands_and_explained_below() -> None:
    root = tree(render_report(KINDS["trial"]))
    article = next(node for node in root.iter("article") if node.get("data-status") == "review")
    marks = {mark.text: mark for mark in article.iter("mark")}
    assert set(marks) == {"75 ml", "best"}
    assert marks["75 ml"].get("class") == "error"
    assert [sup.text for sup in article.iter("sup")] == ["1", "2"]
    listed = [" ".join(" ".join(node.itertext()).split()) for node in article.findall(".//ul/li")]
    assert listed[0].startswith("1 grounded-numbers error")


def test_overlapping_and_absent_evidence_is_still_listed() -> None:
    findings = (
        Finding("t", "a", "error", "first", "rose oil"),
        Finding("t", "b", "warning", "second", "oil blend"),
        Finding("t", "c", "error", "third", "not there"),
        Finding("", "d", "warning", "the whole"),
        Finding("elsewhere", "e", "warning", "another field"),
    )
    data = dataclasses.replace(
        example_reports.planned(),
        samples=(Sample("k", "review", {}, (SampleField("t", "a rose oil blend"),), findings),),
    )
    root = tree(render_report(data))
    assert [mark.text for mark in root.iter("mark")] == ["rose oil"]
    said = words(render_report(data))
    assert all(finding.message in said for finding in findings)


def test_provenance_gold_prompt_and_reuse_are_shown_with_each_sample() -> None:
    page = render_report(KINDS["trial"])
    said = words(page)
    for expected in (
        "selling-points 3fa2c19b · openai:gpt-4.1-mini", "reused answer", "correct",
        "gold: Maison Exemple Ambre Doux", "as in shared message 1", "notes: rose, shiso",
    ):  # fmt: skip
        assert expected in said, expected
    # A message that all samples share is there once.
    assert page.count("Answer with one JSON object.") == 1


def many(count: int, length: int) -> ReportData:
    rows = [
        {"sku": f"{n:05}", "name": f"Name {n}", "brand": "Brand", "notes": "rose, oud",
         "description": f"{n} " + "long words 香水 " * (length // 14)}
        for n in range(count)
    ]  # fmt: skip
    return example_reports.run(rows)


@pytest.mark.parametrize(
    ("count", "length"), [(200, 100), (200, 10_000), (20, 10_000), (3000, 400)]
)
def test_the_page_stays_below_its_longest_size(count: int, length: int) -> None:
    page = render_report(many(count, length))
    assert len(page.encode()) <= MAX_BYTES
    shown = page.count('<article class="sample"')
    said = words(page)
    if count <= 200:
        assert shown == count
    else:
        assert f"{shown:,} of {count:,} shown" in said


def test_twenty_long_samples_are_shown_whole() -> None:
    page = render_report(many(20, 10_000))
    assert "more characters" not in words(page)
    assert "more characters" in words(render_report(many(200, 10_000)))


def test_figures_of_a_field_that_is_missing_are_dashes_not_errors() -> None:
    data = dataclasses.replace(
        KINDS["run"], paid=None, list_cost=None, cost_per_product=Interval(1000.0),
        by_model=tuple(
            dataclasses.replace(line, latency=None, paid=None) for line in KINDS["run"].by_model
        ),
    )  # fmt: skip
    assert "unknown" in words(render_report(data))


def test_another_language_needs_only_another_dictionary() -> None:
    """With every string replaced, no English word of ours is left in the page."""
    coded = {
        key: re.sub(r"[A-Za-z][A-Za-z%’ ]*(?![^{]*})", "字", value)
        for key, value in ENGLISH.items()
    }
    page = render_report(example_reports.planned(), {**coded, "language": "zh"})
    assert '<html lang="zh">' in page
    said = words(page)
    assert not re.search(r"[A-Za-z]{3,}", said), said


def _luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _palettes() -> Iterator[dict[str, Any]]:
    page = render_report(example_reports.planned())
    for block in re.findall(r":root \{(.*?)\}", page, re.S):
        yield dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))


def test_colours_reach_wcag_aa_in_light_dark_and_print() -> None:
    """Text 4.5 : 1 on every ground it stands on; parts of charts 3 : 1 (WCAG 2.2, AA)."""
    palettes = list(_palettes())
    assert len(palettes) == 3
    for palette in palettes:
        for ink in ("ink", "soft", "accent", "fine", "off", "warn"):
            for ground in ("page", "panel"):
                assert _contrast(palette[ink], palette[ground]) >= 4.5, (ink, ground, palette)
        for ground in ("mark-error", "mark-warning"):
            assert _contrast(palette["ink"], palette[ground]) >= 4.5
        for part in ("accepted", "edited", "ready", "review", "rejected", "failed", "waiting",
                     "pending", "accent"):  # fmt: skip
            assert _contrast(palette[part], palette["page"]) >= 3, (part, palette)
