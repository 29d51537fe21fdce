"""The console's charts, drawn by ECharts as SVG; every one stands beside its figures in words.

Names that come from data are values here, never keys, and tooltips are drawn as text: ECharts
would run a key that begins with a colon, and shows a tooltip as HTML.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nicegui import ui

ACCENT = "#17594a"
LINE = "#d7dcda"
TEXT = "#56625e"
COLOURS = {
    "accepted": "#17594a", "edited": "#3f8f7a", "ready": "#8cc2b2", "review": "#c27803",
    "rejected": "#d98873", "failed": "#a1260d", "pending": "#d7dcda", "waiting": "#b8c2be",
}  # fmt: skip
"""By state, in the order they are drawn."""
_FONT = {
    "fontFamily": 'system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif',
    "fontSize": 11,
    "color": TEXT,
}
Options = dict[str, Any]


def chart(options: Options, label: str, height: int = 170) -> ui.echart:
    """Draw a chart; `label` says in words what it shows."""
    drawn = ui.echart(options, renderer="svg").classes("wm-chart").style(f"height: {height}px")
    drawn.props["role"] = "img"
    drawn.props["aria-label"] = label
    return drawn


def _plain(**more: Any) -> Options:
    return {
        "animation": False,
        "textStyle": _FONT,
        "grid": {"left": 8, "right": 16, "top": 12, "bottom": 4, "containLabel": True},
        "tooltip": {"trigger": "axis", "renderMode": "richText", "textStyle": {"fontSize": 11}},
        **more,
    }


def _axis(kind: str, **more: Any) -> Options:
    return {
        "type": kind,
        "axisLine": {"lineStyle": {"color": LINE}},
        "axisTick": {"show": False},
        "splitLine": {"lineStyle": {"color": "#eceeed"}},
        "axisLabel": _FONT,
        **more,
    }


def stacked(names: Sequence[str], parts: Sequence[tuple[str, str, Sequence[int]]]) -> Options:
    """Lay out one bar a name, stacked of (label, colour, counts by name)."""
    return _plain(
        legend={"top": 0, "left": 0, "itemWidth": 10, "itemHeight": 10, "textStyle": _FONT,
                "type": "scroll"},
        grid={"left": 8, "right": 16, "top": 30, "bottom": 4, "containLabel": True},
        xAxis=_axis("value", minInterval=1),
        yAxis=_axis("category", data=list(names), inverse=True),
        series=[
            {"type": "bar", "stack": "all", "name": label, "data": list(counts),
             "itemStyle": {"color": colour}, "barMaxWidth": 22}
            for label, colour, counts in parts
        ],
    )  # fmt: skip


def bars(names: Sequence[str], values: Sequence[float], name: str) -> Options:
    """Lay out upright bars, one a name; counts are never measured in parts of one."""
    counts = all(isinstance(value, int) for value in values)
    return _plain(
        xAxis=_axis("category", data=list(names)),
        yAxis=_axis("value", **({"minInterval": 1} if counts else {})),
        series=[{"type": "bar", "data": list(values), "name": name,
                 "itemStyle": {"color": ACCENT}, "barMaxWidth": 26}],
    )  # fmt: skip


def over_time(
    points: Sequence[tuple[float, float]], name: str, *, limit: float | None = None
) -> Options:
    """Lay out a line over time, (Unix milliseconds, value); `limit` is drawn across."""
    series: Options = {
        "type": "line", "data": [list(point) for point in points], "name": name,
        "showSymbol": len(points) < 3, "lineStyle": {"color": ACCENT, "width": 1.5},
        "itemStyle": {"color": ACCENT}, "areaStyle": {"color": ACCENT, "opacity": 0.08},
    }  # fmt: skip
    most = max((value for _, value in points), default=0)
    axis: Options = {}
    if limit is not None:
        series["markLine"] = {
            "silent": True, "symbol": "none",
            "label": {"formatter": f"{limit:,.4g}", "position": "insideStartTop", **_FONT},
            "lineStyle": {"color": "#a1260d", "type": "dashed"}, "data": [{"yAxis": limit}],
        }  # fmt: skip
        axis["max"] = _nice(max(limit, most) * 1.05)
    return _plain(
        xAxis=_axis(
            "time",
            splitNumber=3,
            splitLine={"show": False},
            axisLabel={**_FONT, "hideOverlap": True},
        ),
        yAxis=_axis("value", **axis),
        series=[series],
    )


def _nice(value: float) -> float:
    """Give the next round number: a long one as an axis's end would take the chart's room."""
    step = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return float(
        f"{next(m * step for m in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if m * step >= value):.3g}"
    )
