"""The tables and charts of a report: forecast, accuracy, checks, targets, models, comparison.

Each function gives one section, or None where the data has nothing for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from waremill.report import charts
from waremill.report.data import (
    STATUSES,
    FieldAccuracy,
    ForecastLine,
    Interval,
    ModelLine,
    PairedLine,
    ReportData,
    TargetLine,
)
from waremill.report.figures import (
    MISSING,
    Money,
    count,
    difference,
    difference_span,
    percent,
    seconds,
    short_count,
    shown,
    span,
)
from waremill.report.markup import Child, Html, element, join
from waremill.report.strings import Strings


@dataclass(frozen=True, slots=True)
class Page:
    """What every section needs: the data, the words and the currency."""

    data: ReportData
    words: Strings
    money: Money

    def say(self, key: str, **values: str) -> str:
        """Give a string of the report with its values put in."""
        return self.words[key].format(**values)


def section(name: str, title: str, *content: Child, note: str = "") -> Html:
    """Make a section with a heading that links can point at."""
    heading = element("h2", title, id=f"{name}-title")
    return element(
        "section",
        element("div", heading, element("p", note, class_="note") if note else None, class_="head"),
        *content,
        id=name,
        aria_labelledby=f"{name}-title",
    )


@dataclass(frozen=True, slots=True)
class _Head:
    title: str
    name: str = ""
    note: str = ""


def table(
    heads: Sequence[_Head], rows: Iterable[Sequence[Child]], foot: Sequence[Child] = ()
) -> Html:
    """Make a table that scrolls sideways where it does not fit; the first column heads its row."""

    def line(cells: Sequence[Child]) -> Html:
        first, *rest = cells
        return element(
            "tr",
            element("th", element("span", first, class_="label"), scope="row"),
            [
                element("td", cell, class_=head.name or None)
                for head, cell in zip(heads[1:], rest, strict=True)
            ],
        )

    header = [
        element(
            "th",
            head.title,
            element("small", head.note) if head.note else None,
            scope="col",
            class_=head.name or None,
        )
        for head in heads
    ]
    return element(
        "div",
        element(
            "table",
            element("thead", element("tr", header)),
            element("tbody", [line(row) for row in rows]),
            element("tfoot", line(foot)) if foot else None,
        ),
        class_="scroll",
        tabindex=0,
    )


def status_parts(page: Page, status: Mapping[str, int]) -> list[tuple[str, int, str]]:
    """Give an item count by state as parts of a stacked bar."""
    return [
        (name, status.get(name, 0), f"{page.words['status.' + name]}: {count(status.get(name, 0))}")
        for name in STATUSES
    ]


def status_section(page: Page) -> Html | None:
    """Show the items by state as one bar with a legend."""
    status = page.data.status
    total = sum(status.values())
    if not total:
        return None
    parts = status_parts(page, status)
    listed = [
        (name, page.words["status." + name], f"{count(size)} · {percent(size / total)}")
        for name, size, _ in parts
        if size
    ]
    label = ", ".join(words for _, size, words in parts if size)
    bar = charts.stacked_bar(parts, label, 26)
    return section("status", page.words["h.status"], bar, charts.legend(listed))


def forecast_section(page: Page) -> Html | None:
    """Hold the forecast, with its interval, against what it came to."""
    data = page.data
    if not data.forecast:
        return None
    settled = data.state == "finished" and data.kind == "run"
    final = page.words["final" if settled else "so_far"]
    known = any(line.final is not None for line in data.forecast)
    heads = [
        _Head(page.words["quantity"]),
        _Head(page.words["forecast"], "number"),
        _Head(page.words["range"], "number"),
    ]
    if known:
        heads.append(_Head(final, "number strong"))
    heads.append(_Head(page.words["scale"], "drawing"))
    if known and settled:
        heads.append(_Head(page.words["verdict"]))
    rows = [_forecast_row(page, line, known, known and settled) for line in data.forecast]
    key = [element("span", charts.sign("forecast"), page.words["legend.forecast"])]
    if known:
        word = page.words["legend.final" if settled else "legend.so_far"]
        key.append(element("span", charts.sign("final"), word))
    title = page.words["h.forecast" if known else "h.forecast.trial"]
    return section("forecast", title, table(heads, rows), element("p", key, class_="signs"))


def _forecast_row(page: Page, line: ForecastLine, known: bool, settled: bool) -> list[Child]:
    ends = span(line.forecast, line.unit, page.money)
    final = shown(line.final, line.unit, page.money)
    top = 1.0 if line.unit == "rate" else _top(line.forecast, line.final)
    label = f"{line.name}: {shown(line.forecast.value, line.unit, page.money)} ({ends}); {final}"
    row: list[Child] = [
        line.name,
        shown(line.forecast.value, line.unit, page.money),
        ends or MISSING,
    ]
    if known:
        row.append(final)
    row.append(charts.whisker(line.forecast, top, label, final=line.final))
    if settled:
        row.append(_verdict(page, line))
    return row


def _top(interval: Interval, final: float | None) -> float:
    return max(interval.value, interval.high or 0.0, final or 0.0) * 1.08


def _verdict(page: Page, line: ForecastLine) -> Html:
    low, high = line.forecast.low, line.forecast.high
    if line.final is None or low is None or high is None:
        return element("span", page.words["open"], class_="quiet")
    if line.final > high:
        return element("span", page.words["above"], class_="verdict off")
    if line.final < low:
        return element("span", page.words["below"], class_="verdict off")
    return element("span", page.words["inside"], class_="verdict fine")


def latency_section(page: Page) -> Html | None:
    """Show how long calls take: a histogram and percentiles in words."""
    latency = page.data.latency
    if latency is None or not latency.count:
        return None
    said = page.say(
        "latency.note", count=count(latency.count), p50=seconds(latency.p50),
        p90=seconds(latency.p90), p99=seconds(latency.p99), longest=seconds(latency.longest),
    )  # fmt: skip
    drawn = charts.histogram(latency, page.words["latency.label"] + ": " + said)
    return section(
        "latency",
        page.words["h.latency"],
        drawn if latency.buckets else None,
        element("p", said, class_="note"),
    )


def accuracy_section(page: Page) -> Html | None:
    """Show accuracy by field as dots with whiskers, and the rate of invented values."""
    lines = page.data.accuracy
    if not lines:
        return None
    left_out = any(line.missing for line in lines)
    invented = any(line.invented for line in lines)
    heads = [
        _Head(page.words["field"]),
        _Head("0 – 100 %", "drawing"),
        _Head(page.words["accuracy"], "number strong"),
        _Head(page.words["range"], "number"),
        _Head(page.words["gold_count"], "number"),
        _Head(page.words["measure"]),
    ]
    if left_out:
        heads += [_Head(page.words["left_out"], "number"), _Head("95 %", "number quiet")]
    if invented:
        heads += [_Head(page.words["invented"], "number"), _Head("95 %", "number quiet")]
    rows = [_accuracy_row(page, line, left_out, invented) for line in lines]
    note = element("p", page.words["invented.note"], class_="note") if invented else None
    return section("accuracy", page.words["h.accuracy"], table(heads, rows), note)


def _accuracy_row(page: Page, line: FieldAccuracy, left_out: bool, invented: bool) -> list[Child]:
    correct = line.correct
    value = percent(correct.value if correct else None)
    ends = _rate_span(page, correct)
    row: list[Child] = [
        element("code", line.field),
        charts.whisker(correct, 1.0, f"{line.field}: {value} ({ends})") if correct else None,
        value,
        ends,
        count(correct.count if correct else None),
        line.measure,
    ]
    for wanted, interval in ((left_out, line.missing), (invented, line.invented)):
        if wanted:
            row += [percent(interval.value if interval else None), _rate_span(page, interval)]
    return row


def _rate_span(page: Page, interval: Interval | None) -> str:
    return (span(interval, "rate", page.money) if interval else "") or MISSING


def checks_section(page: Page) -> Html | None:
    """Show the rate of checks passed, by rule."""
    if not page.data.checks:
        return None
    heads = [
        _Head(page.words["rule"]),
        _Head("0 – 100 %", "drawing"),
        _Head(page.words["rate"], "number strong"),
        _Head(page.words["passed"], "number"),
        _Head(page.words["of"], "number"),
    ]
    # A tenth of a percent means something only over many results.
    decimals = 1 if max(line.total for line in page.data.checks) >= 200 else 0
    rows: list[list[Child]] = []
    for line in page.data.checks:
        share = line.passed / line.total if line.total else None
        drawn = charts.meter(share, f"{line.rule}: {percent(share)}") if share is not None else None
        rows.append(
            [
                element("code", line.rule),
                drawn,
                percent(share, decimals),
                count(line.passed),
                count(line.total),
            ]
        )
    return section("checks", page.words["h.checks"], table(heads, rows))


def targets_section(page: Page) -> Html | None:
    """Show a line a target, when there are several."""
    lines = page.data.by_target
    if len(lines) < 2:
        return None
    paid = page.money.column(line.paid for line in lines)
    listed = page.money.column(line.list_cost for line in lines)
    currency = page.money.currency
    heads = [
        _Head(page.words["target"]),
        _Head(page.words["items"], "number"),
        _Head(page.words["h.status"], "drawing"),
        _Head(page.words["to_review"], "number"),
        _Head(page.words["failed"], "number"),
        _Head(page.words["checks_passed"], "number"),
    ]
    accuracy = any(line.accuracy for line in lines)
    if accuracy:
        heads += [_Head(page.words["accuracy"], "number"), _Head("95 %", "number quiet")]
    heads += [
        _Head(page.words["median"], "number"),
        _Head(page.words["paid"], "number", currency),
        _Head(page.words["list"], "number", currency),
    ]

    def row(line: TargetLine) -> list[Child]:
        parts = status_parts(page, line.status)
        label = ", ".join(words for _, size, words in parts if size)
        cells: list[Child] = [
            element("code", line.target),
            count(sum(line.status.values())),
            charts.stacked_bar(parts, f"{line.target}: {label}", 12),
            count(line.status.get("review", 0)),
            count(line.status.get("failed", 0)),
            percent(line.checks_passed),
        ]
        if accuracy:
            value = line.accuracy.value if line.accuracy else None
            cells += [percent(value), _rate_span(page, line.accuracy)]
        return [*cells, seconds(line.latency), paid.show(line.paid), listed.show(line.list_cost)]

    return section("targets", page.words["h.targets"], table(heads, [row(line) for line in lines]))


def models_section(page: Page) -> Html | None:
    """Show a line a model: calls, outcomes, tokens, money."""
    lines = page.data.by_model
    if not lines:
        return None
    paid = page.money.column(line.paid for line in lines)
    listed = page.money.column(line.list_cost for line in lines)
    currency, unknown = page.money.currency, page.words["unknown"]
    heads = [
        _Head(page.words["model"]),
        _Head(page.words["calls"], "number"),
        _Head(page.words["outcomes"], "outcomes"),
        _Head(page.words["reused"], "number"),
        _Head(page.words["tokens_in"], "number"),
        _Head(page.words["tokens_cached"], "number quiet"),
        _Head(page.words["tokens_out"], "number"),
        _Head(page.words["median"], "number"),
        _Head(page.words["paid"], "number", currency),
        _Head(page.words["list"], "number", currency),
    ]

    def row(line: ModelLine) -> list[Child]:
        return [
            element("code", line.model),
            count(line.calls),
            _outcomes(line.outcomes),
            count(line.replayed),
            short_count(line.usage.input),
            short_count(line.usage.cached),
            short_count(line.usage.output),
            seconds(line.latency),
            paid.show(line.paid, unknown),
            listed.show(line.list_cost, unknown),
        ]

    return section("models", page.words["h.models"], table(heads, [row(line) for line in lines]))


def _outcomes(outcomes: Mapping[str, int]) -> Html:
    return join(
        [
            element(
                "span",
                f"{name} ",
                element("b", count(size)),
                class_="outcome" if name == "complete" else "outcome odd",
            )
            for name, size in outcomes.items()
            if size
        ]
    )


def comparison_section(page: Page) -> Html | None:
    """Show two versions held against each other in pairs."""
    comparison = page.data.comparison
    if comparison is None:
        return None
    heads = [
        _Head(page.words["quantity"]),
        _Head(comparison.first, "number"),
        _Head(comparison.second, "number strong"),
        _Head(page.words["difference"], "number"),
        _Head("95 %", "number quiet"),
        _Head("− 0 +", "drawing centred"),
        _Head(page.words["wins"], "number"),
        _Head(page.words["verdict"]),
    ]
    rows = [_paired_row(page, line, comparison.pairs) for line in comparison.lines]
    title = page.say("h.comparison", first=comparison.second, second=comparison.first)
    note = page.say("pairs", count=count(comparison.pairs))
    return section("comparison", title, table(heads, rows), element("p", note, class_="note"))


def _paired_row(page: Page, line: PairedLine, pairs: int) -> list[Child]:
    gap = line.difference
    low = gap.value if gap.low is None else gap.low
    high = gap.value if gap.high is None else gap.high
    clear = low > 0 or high < 0
    good = (gap.value > 0) == (line.better == "higher") if clear else None
    word = page.words[{True: "better", False: "worse", None: "no_difference"}[good]]
    change = difference(gap.value, line.unit, page.money)
    ends = difference_span(gap, line.unit, page.money) or MISSING
    wins = MISSING
    if line.wins is not None and line.losses is not None:
        wins = f"{line.wins} / {pairs - line.wins - line.losses} / {line.losses}"
    drawn = charts.shift(
        gap, max(abs(low), abs(high)) * 1.1, f"{line.name}: {change} ({ends})", good=good
    )
    return [
        line.name,
        shown(line.first, line.unit, page.money),
        shown(line.second, line.unit, page.money),
        change,
        ends,
        drawn,
        wins,
        element(
            "span", word, class_={True: "verdict fine", False: "verdict off", None: "quiet"}[good]
        ),
    ]
