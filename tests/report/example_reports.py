"""Realistic report data of several kinds, made from a few rows; no clock and no chance."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from waremill.domain import Finding, Message, Usage
from waremill.report import (
    CheckRate,
    Comparison,
    Failure,
    FailureGroup,
    FieldAccuracy,
    FindingExample,
    FindingGroup,
    ForecastLine,
    Interval,
    Latency,
    LatencyBucket,
    ModelLine,
    PairedLine,
    ReportData,
    Sample,
    SampleField,
    TargetLine,
)

START = datetime(2025, 3, 14, 9, 26, tzinfo=UTC)
VERSION = "3fa2c19b7d04e8a1"
SYSTEM = Message(
    "system",
    "You write product copy in English for shoppers in US.\nUse only facts from the input.\n"
    "Answer with one JSON object.",
)
ROWS: tuple[dict[str, Any], ...] = (
    {"sku": "0015", "name": "Rose Verte", "brand": "Maison Exemple", "volume": "50 ml",
     "notes": "rose, shiso, guaiac wood", "description": "A green rose with smoke and spice."},
    {"sku": "0018", "name": "花语淡香水", "brand": "示例", "volume": "100ml",
     "notes": "茉莉、白麝香", "description": "清新的茉莉花香，尾调是柔和的白麝香。"},
    {"sku": "0019", "name": "Ambre Doux", "brand": "Maison Exemple", "volume": None,
     "notes": "amber, vanilla", "description": "Long. " * 1700},
)  # fmt: skip
BUCKETS = ((0.25, 3), (0.5, 61), (0.75, 214), (1, 318), (1.5, 402), (2, 231), (3, 118), (4, 44),
           (6, 21), (8, 9), (12, 4), (20, 2), (30, 1))  # fmt: skip
LATENCY = Latency(1.12, 2.46, 7.4, 28.3, 1428, tuple(LatencyBucket(*pair) for pair in BUCKETS))
FINDINGS = (
    Finding("title", "grounded-numbers", "error", "“75 ml” does not stand in the input.", "75 ml"),
    Finding("selling_points", "forbidden", "warning",
            "“best” is a superlative the channel discourages.", "best"),
)  # fmt: skip


def sample(row: dict[str, Any], place: int, target: str | None = None) -> Sample:
    """Make a sample from a row: every third has findings, every seventh failed."""
    status = "failed" if place % 7 == 6 else "review" if place % 3 == 1 else "ready"
    name, brand = str(row.get("name")), str(row.get("brand"))
    notes = [note.strip() for note in str(row.get("notes") or "").split(",") if note.strip()]
    size = " 75 ml" if status == "review" else ""
    points = [
        f"A scent by {brand} built around {', '.join(notes[:3]) or 'its own character'}",
        "The best companion for a quiet evening" if status == "review" else "Wears close",
        "Made to be worn every day",
    ]
    origin: dict[str, Any] = {
        "template": "selling-points", "version": VERSION, "model": "openai:gpt-4.1-mini",
    }  # fmt: skip
    fields = (
        SampleField("title", f"{brand} {name}{size}"[:90], **origin, correct=place % 5 != 2,
                    gold=f"{brand} {name}"),
        SampleField("selling_points", points, **origin, replayed=place % 4 == 0),
        SampleField("attributes", {"notes": notes, "volume_ml": 50, "gender": None},
                    "attributes", "99aa00bb11", "openai:gpt-4.1-mini"),
    )  # fmt: skip
    user = Message("user", "\n".join(f"{key}: {value}" for key, value in row.items()))
    return Sample(
        key=str(row.get("sku", place)),
        status=status,
        source={key: value for key, value in row.items() if key != "sku"},
        fields=() if status == "failed" else fields,
        findings=FINDINGS if status == "review" else (),
        target=target,
        prompt=(SYSTEM, user),
        cost=610_000 + 3_100 * place,
        seconds=1.4 + place / 10,
        error="The model declined: content policy." if status == "failed" else "",
    )


def trial(rows: Sequence[dict[str, Any]] = ROWS) -> ReportData:
    """Make a finished trial with accuracy against gold."""
    return ReportData(
        kind="trial", run="8f3c2a1e", pipeline="selling-points", state="finished",
        products=20, items=20, currency="CNY", per_usd=7.1, version=VERSION, created=START,
        ended=START.replace(minute=27), written=START.replace(minute=28), catalog="perfume",
        selection="category = 'Perfume' AND missing(description) AND price > 30",
        targets=("en-US@shopify",), parameters={"tone": "warm"},
        sample_note="20 of 624 products, seed 7",
        status={"ready": 13, "review": 5, "failed": 2}, paid=10_560_000, list_cost=12_640_000,
        cost_per_product=Interval(632_000, 571_000, 699_000, 20), seconds=41.2,
        items_per_second=0.49, usage=Usage(14_820, 4_210, 9_216), calls=27, replayed=4,
        accuracy=(
            FieldAccuracy("title", Interval(0.9, 0.699, 0.972, 20), "exact"),
            FieldAccuracy("brand", Interval(1.0, 0.839, 1.0, 20), "normalised",
                          Interval(0.0, 0.0, 0.161, 20), Interval(0.05, 0.009, 0.236, 20)),
            FieldAccuracy("notes", Interval(0.742, 0.61, 0.84, 54), "token F1",
                          Interval(0.167, 0.047, 0.448, 12)),
            FieldAccuracy("volume_ml", Interval(0.6, 0.387, 0.781, 20), "numeric",
                          Interval(0.333, 0.152, 0.583, 15)),
        ),
        checks=(CheckRate("contract", 20, 20), CheckRate("language", 20, 20),
                CheckRate("grounded-numbers", 16, 20), CheckRate("forbidden", 17, 20),
                CheckRate("channel", 19, 20)),
        latency=LATENCY,
        by_model=(ModelLine("writer (openai:gpt-4.1-mini)", 27, {"complete": 24, "truncated": 1,
                  "refused": 2}, Usage(14_820, 4_210, 9_216), 10_560_000, 12_640_000, 4, 1.12),),
        findings=finding_groups(),
        failures=(FailureGroup("Refused: content policy", 2,
                  "Reword the instruction or name a fallback model.",
                  (Failure("0031", "The model declined to write about this product."),)),),
        forecast=(
            ForecastLine("cost", "money", Interval(394_370_000, 356_300_000, 436_200_000)),
            ForecastLine("cost a product", "money", Interval(632_000, 571_000, 699_000)),
            ForecastLine("duration", "seconds", Interval(2292, 1980, 2650)),
            ForecastLine("correct values", "rate", Interval(0.86, 0.79, 0.91)),
        ),
        samples=tuple(sample(row, place) for place, row in enumerate(rows)),
    )  # fmt: skip


def finding_groups() -> tuple[FindingGroup, ...]:
    """Make findings grouped by rule, with examples."""
    return tuple(
        FindingGroup(finding.rule, finding.severity, count, items,
                     tuple(FindingExample(key, finding, "en-US@shopify") for key in ("18", "41")))
        for finding, count, items in zip(FINDINGS, (4, 3), (4, 2), strict=True)
    )  # fmt: skip


def run(rows: Sequence[dict[str, Any]] = ROWS) -> ReportData:
    """Make a finished run of four targets with failures, two models and a forecast held."""
    targets = ("en-US@shopify", "de-DE@amazon", "fr-FR@amazon", "zh-CN@tmall")
    states = (
        {"accepted": 402, "edited": 38, "ready": 121, "review": 51, "failed": 12},
        {"ready": 548, "review": 66, "rejected": 4, "failed": 6},
        {"ready": 571, "review": 49, "failed": 4},
        {"ready": 493, "review": 102, "failed": 29},
    )
    total: dict[str, int] = {}
    for state in states:
        for name, size in state.items():
            total[name] = total.get(name, 0) + size
    return ReportData(
        kind="run", run="b71d90c4", pipeline="launch", state="finished", products=624,
        items=2496, currency="CNY", per_usd=7.1, version=VERSION, created=START,
        ended=START.replace(hour=10), written=START.replace(hour=11), catalog="perfume",
        targets=targets, status=total, paid=402_300_000, list_cost=431_870_000, unpriced_calls=14,
        cost_per_product=Interval(692_000, 681_000, 703_000, 624), seconds=2291,
        items_per_second=1.09, usage=Usage(3_412_880, 874_120, 2_204_000), calls=2871, replayed=212,
        checks=(CheckRate("contract", 2481, 2496), CheckRate("language", 2490, 2496),
                CheckRate("grounded-numbers", 2391, 2496), CheckRate("forbidden", 2441, 2496)),
        latency=LATENCY,
        by_target=tuple(
            TargetLine(name, state, 90_000_000 + 7_210_000 * n, 99_000_000 + 8_100_000 * n,
                       0.96 - n * 0.03, Interval(0.91 - n / 50, 0.88 - n / 50, 0.93 - n / 50, 410),
                       1.1 + n / 10)
            for n, (name, state) in enumerate(zip(targets, states, strict=True))
        ),
        by_model=(
            ModelLine("writer (openai:gpt-4.1-mini)", 2610, {"complete": 2441, "truncated": 23,
                      "refused": 9, "rate limited": 96, "unavailable": 41},
                      Usage(3_101_200, 801_000, 2_204_000), 389_100_000, 418_000_000, 212, 1.09),
            ModelLine("qwen (dashscope:qwen-plus)", 247, {"complete": 246, "refused": 1},
                      Usage(300_400, 71_000), 13_200_000, 13_870_000, 0, 1.92),
            ModelLine("spare (vllm:local-8b)", 14, {"complete": 14}, Usage(11_280, 2_120), None,
                      None, 0, 0.74),
        ),
        failures=(
            FailureGroup("Refused: content policy", 33,
                "Reword the instruction, or name a fallback model for these products.",
                (Failure("0031", "The model declined to write about this product.", "zh-CN@tmall"),
                 Failure("0177", "The model declined to write.", "de-DE@amazon"))),
            FailureGroup("Output invalid after 3 tries: title longer than 60 characters", 16,
                "Raise the limit in channels/tmall.yaml or shorten the example titles.",
                (Failure("0402", "title has 74 characters, at most 60 are allowed",
                         "zh-CN@tmall"),)),
            FailureGroup("Rejected (400): context length exceeded", 2, "",
                (Failure("0019", "This model's maximum context length is 8192 tokens.",
                         "en-US@shopify"),)),
        ),
        findings=finding_groups(),
        forecast=(
            ForecastLine("cost", "money", Interval(412_000_000, 371_000_000, 460_000_000),
                         431_870_000),
            ForecastLine("cost a product", "money", Interval(660_000, 594_000, 737_000), 692_000),
            ForecastLine("duration", "seconds", Interval(1980, 1700, 2210), 2291),
            ForecastLine("in review", "rate", Interval(0.15, 0.05, 0.36), 0.107),
        ),
        samples=tuple(sample(row, n, targets[n % 4]) for n, row in enumerate(rows)),
    )  # fmt: skip


def comparison(rows: Sequence[dict[str, Any]] = ROWS) -> ReportData:
    """Make a trial of two versions in pairs."""
    return ReportData(
        kind="trial", run="c0ffee12", pipeline="selling-points", state="finished", products=60,
        items=60, currency="USD", created=START, status={"ready": 52, "review": 8},
        paid=4_100_000, list_cost=4_100_000, seconds=96, calls=120,
        comparison=Comparison("v 91be20", "v 3fa2c1", 60, (
            PairedLine("correct: title", "rate", 0.82, 0.9, Interval(0.083, 0.012, 0.16), "higher",
                       7, 2),
            PairedLine("correct: notes", "rate", 0.74, 0.72, Interval(-0.02, -0.08, 0.04), "higher",
                       4, 5),
            PairedLine("cost a product", "money", 98_000, 117_000,
                       Interval(19_000, 14_000, 24_000), "lower", 6, 54),
            PairedLine("time a call", "seconds", 1.31, 1.12, Interval(-0.19, -0.3, -0.08), "lower",
                       41, 19),
        )),
        samples=tuple(sample(row, place) for place, row in enumerate(rows)),
    )  # fmt: skip


def paused() -> ReportData:
    """Make a run that was stopped before its first answer."""
    return ReportData(
        kind="run", run="00aa11bb", pipeline="launch", state="paused", products=624, items=2496,
        created=START, status={"pending": 2496}, targets=("en-US@shopify", "de-DE@amazon"),
        reason="The key of “writer” was refused (401): check OPENAI_API_KEY, then resume the run.",
    )  # fmt: skip


def planned() -> ReportData:
    """Make the least a run can be."""
    return ReportData(kind="run", run="r", pipeline="p", state="planned", products=0, items=0)
