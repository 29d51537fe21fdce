"""Inline SVG charts. Pure functions from numbers to markup; colours and type come from the CSS.

Every chart spans its box: horizontal places are percentages, so text keeps its size on any screen.
Each has a label that says the same in words. Shapes follow one grammar: a dot is an estimate, a
whisker its 95 % interval, an upright stroke what really came.
"""

from __future__ import annotations

from collections.abc import Sequence

from waremill.report.data import Interval, Latency
from waremill.report.figures import count, seconds
from waremill.report.markup import Html, element, join

_GAP = 0.25
_HISTOGRAM_HEIGHT = 132
_LABELS_HEIGHT = 44
_MAX_TICKS = 9


def _chart(height: int, label: str, *shapes: Html | None, name: str = "") -> Html:
    return element(
        "svg", *shapes, class_=f"chart {name}".strip(), width="100%", height=height,
        role="img", aria_label=label,
    )  # fmt: skip


def _percent(share: float) -> str:
    return f"{share * 100:.2f}".rstrip("0").rstrip(".") + "%"


def stacked_bar(parts: Sequence[tuple[str, int, str]], label: str, height: int = 22) -> Html:
    """Draw shares of a whole side by side; a part is (CSS class, count, words for its tip)."""
    total = sum(size for _, size, _ in parts)
    shapes = [element("rect", class_="track", width="100%", height=height, rx=3)]
    left = 0.0
    for name, size, words in parts:
        if not size:
            continue
        share = size / total
        # A part must stay visible however small, so the gap is given up first.
        last = left + share > 1 - 1e-9
        width = share if last else max(share - _GAP / 100, share * 0.6)
        shapes.append(
            element(
                "rect", element("title", words), class_=f"fill-{name}", x=_percent(left),
                width=_percent(width), height=height, rx=2,
            )
        )  # fmt: skip
        left += share
    return _chart(height, label, *shapes, name="stack")


def meter(share: float, label: str) -> Html:
    """Draw one rate as a bar from 0 to 1."""
    return _chart(
        10,
        label,
        element("rect", class_="track", width="100%", height=10, rx=2),
        element("rect", class_="bar", width=_percent(min(1.0, share)), height=10, rx=2),
        name="meter",
    )


def whisker(
    interval: Interval, top: float, label: str, *, final: float | None = None, name: str = ""
) -> Html:
    """Draw an estimate with its interval on a scale from 0 to `top`, and what came of it."""

    def place(value: float) -> str:
        return _percent(min(1.0, max(0.0, value / top)) if top else 0.0)

    shapes: list[Html | None] = [
        element("line", class_="axis", x1="0%", x2="100%", y1=10, y2=10),
        *(
            element("line", class_="grid", x1=at, x2=at, y1=6, y2=14)
            for at in ("0%", "25%", "50%", "75%", "100%")
        ),
    ]
    if interval.low is not None and interval.high is not None:
        low, high = place(interval.low), place(interval.high)
        shapes += [
            element("line", class_="whisker", x1=low, x2=high, y1=10, y2=10),
            element("line", class_="cap", x1=low, x2=low, y1=6, y2=14),
            element("line", class_="cap", x1=high, x2=high, y1=6, y2=14),
        ]
    shapes.append(element("circle", class_="dot", cx=place(interval.value), cy=10, r=4.5))
    if final is not None:
        shapes.append(
            element("line", class_="final", x1=place(final), x2=place(final), y1=1, y2=19)
        )
    return _chart(20, label, *shapes, name=f"whiskers {name}".strip())


def shift(interval: Interval, reach: float, label: str, *, good: bool | None) -> Html:
    """Draw a difference with its interval around a middle line of no difference."""

    def place(value: float) -> str:
        return _percent(0.5 + min(0.5, max(-0.5, value / reach / 2)) if reach else 0.5)

    name = "whiskers " + {True: "good", False: "bad", None: "open"}[good]
    low = interval.value if interval.low is None else interval.low
    high = interval.value if interval.high is None else interval.high
    return _chart(
        20,
        label,
        element("line", class_="axis", x1="0%", x2="100%", y1=10, y2=10),
        element("line", class_="middle", x1="50%", x2="50%", y1=1, y2=19),
        element("line", class_="whisker", x1=place(low), x2=place(high), y1=10, y2=10),
        element("line", class_="cap", x1=place(low), x2=place(low), y1=6, y2=14),
        element("line", class_="cap", x1=place(high), x2=place(high), y1=6, y2=14),
        element("circle", class_="dot", cx=place(interval.value), cy=10, r=4.5),
        name=name,
    )


def histogram(latency: Latency, label: str) -> Html:
    """Draw the latency histogram with strokes at the percentiles."""
    buckets = latency.buckets
    tallest = max((bucket.count for bucket in buckets), default=0) or 1
    floor = _LABELS_HEIGHT + _HISTOGRAM_HEIGHT
    width = 1 / max(1, len(buckets))
    shapes: list[Html] = []
    lower = 0.0
    every = -(-len(buckets) // _MAX_TICKS)
    for place, bucket in enumerate(buckets):
        height = bucket.count / tallest * _HISTOGRAM_HEIGHT
        # One call must still be seen.
        height = max(height, 1.5) if bucket.count else 0
        words = f"{seconds(lower)} – {seconds(bucket.upto)}: {count(bucket.count)}"
        shapes.append(
            element(
                "rect", element("title", words), class_="bar", x=_percent(place * width + 0.003),
                width=_percent(width - 0.006), y=floor - height, height=height, rx=1,
            )
        )  # fmt: skip
        if (place + 1) % every == 0 and place + 1 < len(buckets):
            at = _percent((place + 1) * width)
            shapes += [
                element("line", class_="grid", x1=at, x2=at, y1=floor, y2=floor + 4),
                element("text", _tick(bucket.upto), x=at, y=floor + 17, text_anchor="middle"),
            ]
        lower = bucket.upto
    shapes.append(element("line", class_="axis", x1="0%", x2="100%", y1=floor, y2=floor))
    marks = (("p50", latency.p50), ("p90", latency.p90), ("p99", latency.p99))
    for row, (name, value) in enumerate(marks):
        shapes += _percentile(f"{name} {seconds(value)}", _position(value, latency), row, floor)
    return _chart(floor + 24, label, *shapes, name="histogram")


def _tick(value: float) -> str:
    return seconds(value).replace(".0", "")


def _percentile(words: str, position: float, row: int, floor: int) -> list[Html]:
    y = 10 + 14 * row
    at = _percent(position)
    right = position < 0.75
    return [
        element("line", class_="mark", x1=at, x2=at, y1=y - 8, y2=floor),
        element(
            "text", words, class_="strong", x=at, dx=5 if right else -5, y=y,
            text_anchor="start" if right else "end",
        ),
    ]  # fmt: skip


def _position(value: float, latency: Latency) -> float:
    """Give a value's horizontal place (0–1) among buckets drawn equally wide."""
    lower = 0.0
    for place, bucket in enumerate(latency.buckets):
        if value <= bucket.upto:
            inside = (value - lower) / (bucket.upto - lower) if bucket.upto > lower else 1.0
            return (place + inside) / len(latency.buckets)
        lower = bucket.upto
    return 1.0


def legend(parts: Sequence[tuple[str, str, str]]) -> Html:
    """List what the colours of a stacked bar stand for: (CSS class, name, count in words)."""
    return element(
        "ul",
        [
            element(
                "li",
                element("span", class_=f"key fill-{name}"),
                element("span", words, class_="legend-name"),
                element("span", figure, class_="legend-figure"),
            )
            for name, words, figure in parts
        ],
        class_="legend",
    )


def sign(kind: str) -> Html:
    """Draw the small sample of a mark that a legend shows: `forecast` or `final`."""
    if kind == "forecast":
        shapes = join(
            element("line", class_="whisker", x1=1, x2=27, y1=7, y2=7),
            element("line", class_="cap", x1=1, x2=1, y1=3, y2=11),
            element("line", class_="cap", x1=27, x2=27, y1=3, y2=11),
            element("circle", class_="dot", cx=14, cy=7, r=4),
        )
    else:
        shapes = element("line", class_="final", x1=14, x2=14, y1=0, y2=14)
    return element(
        "svg", shapes, class_="chart whiskers sign", width=28, height=14, aria_hidden="true"
    )
