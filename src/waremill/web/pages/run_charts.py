"""How a run goes, as charts with their tables: states, cost, pace, latency, causes, models."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui
from nicegui.element import Element

from waremill.app.watching import Cause, Part, Watched
from waremill.domain import OPEN_STATES
from waremill.web.pages import charts, serving, tables
from waremill.web.pages.figures import NANO
from waremill.web.pages.frame import plain
from waremill.web.pages.shell import View

_UNITS = {"money", "seconds", "rate"}


class RunCharts:
    """The tab *Progress*: panels that are drawn once and filled again and again."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._charts: dict[str, ui.echart] = {}
        currency = serving.served().settings.currency
        with ui.element("div").classes("wm-columns wm-two"):
            self._states = self._panel("run.by_state")
            self._cost = self._panel("run.cost_time", currency=currency)
            self._rate = self._panel("run.rate_time")
            self._latency = self._panel("run.latency")
        self._causes = self._panel("run.causes")
        self._targets = self._panel("run.targets")
        self._models = self._panel("run.models")

    def _panel(self, title_key: str, **values: str) -> Element:
        with ui.element("section").classes("wm-panel"):
            plain("h2", self._view.t(title_key, **values))
            with ui.element("div") as place:
                plain("div", self._view.t("shell.loading"), "wm-muted")
            return place

    def show(self, seen: Watched) -> None:
        """Show a run as it is now."""
        self._show_states(seen)
        self._show_pace(seen)
        self._show_latency(seen)
        self._show_causes(seen)
        self._show_targets(seen)
        self._show_models(seen)

    def _chart(self, name: str, place: Element, options: charts.Options, label: str) -> None:
        drawn = self._charts.get(name)
        if drawn is not None and not drawn.is_deleted:
            drawn.options.clear()
            drawn.options.update(options)
            drawn.props["aria-label"] = label
            drawn.update()
            return
        place.clear()
        with place:
            self._charts[name] = charts.chart(options, label)

    def _nothing(self, name: str, place: Element, text: str) -> None:
        self._charts.pop(name, None)
        place.clear()
        with place:
            ui.label(text).classes("wm-muted")

    def _name(self, target: str) -> str:
        return target if target and target != "—" else self._view.t("run.no_target")

    def _show_states(self, seen: Watched) -> None:
        names = [self._name(line.target) for line in seen.by_target][:12]
        lines = seen.by_target[:12]
        parts = [
            (self._view.word("state", state), colour,
             [line.status.get(state, 0) for line in lines])
            for state, colour in charts.COLOURS.items()
            if any(line.status.get(state) for line in lines)
        ]  # fmt: skip
        words = ", ".join(f"{label} {sum(counts):,}" for label, _, counts in parts)
        self._chart("states", self._states, charts.stacked(names, parts), words)

    def _show_pace(self, seen: Watched) -> None:
        view, pace = self._view, seen.pace
        if not pace:
            for name, place in (("cost", self._cost), ("rate", self._rate)):
                self._nothing(name, place, view.t("run.nothing_yet"))
            return
        settings = serving.served().settings
        cost, rate = _lines(pace, settings.per_usd)
        axis = view.t("run.cost_time", currency=settings.currency)
        self._chart(
            "cost", self._cost, charts.over_time(cost, axis, limit=seen.status.budget),
            f"{axis}: {view.money(seen.status.cost)}",
        )  # fmt: skip
        fastest = max(value for _, value in rate)
        self._chart(
            "rate", self._rate, charts.over_time(rate, view.t("run.rate_axis")),
            f"{view.t('run.rate_time')}: {fastest:,.0f}",
        )  # fmt: skip

    def _show_latency(self, seen: Watched) -> None:
        view, found = self._view, seen.latency
        if found is None or not found.buckets:
            self._nothing("latency", self._latency, view.t("run.nothing_yet"))
            return
        words = view.t(
            "run.latency_words", p50=view.duration(found.p50), p90=view.duration(found.p90),
            p99=view.duration(found.p99), longest=view.duration(found.longest),
        )  # fmt: skip
        names = [view.t("run.upto", seconds=f"{bucket.upto:g}") for bucket in found.buckets]
        counts = [float(bucket.count) for bucket in found.buckets]
        options = charts.bars(names, counts, view.t("run.latency_axis"))
        first = "latency" not in self._charts
        self._chart("latency", self._latency, options, words)
        if first:
            with self._latency:
                self._words = ui.label().classes("wm-muted")
        self._words.set_text(words)

    def _show_causes(self, seen: Watched) -> None:
        t = self._view.t
        rows: list[tuple[tables.Cell, ...]] = [
            (f"{one.count:,}" + (f" {t('run.at_least')}" if one.at_least else ""),
             self._cause(one), self._advice(one))
            for one in seen.causes
        ]  # fmt: skip
        headings = ("#" + t("run.failed"), t("run.cause"), t("run.advice"))
        self._causes.clear()
        with self._causes:
            tables.table(headings, rows, label=t("run.causes"), empty=t("run.no_causes"))

    def _cause(self, one: Cause) -> str:
        """Say a cause without its kind's name, which means something to a programmer only."""
        return self._view.failure(one.kind, one.cause.removeprefix(f"{one.kind}: "))

    def _advice(self, one: Cause) -> str:
        return self._view.word("advice", one.kind) if one.advice else ""

    def _show_targets(self, seen: Watched) -> None:
        view, t = self._view, self._view.t
        headings = (
            t("run.target"), "#" + t("runs.items"), "#" + t("run.done"), "#" + t("run.to_review"),
            "#" + t("run.failed"), "#" + t("run.passed"), "#" + t("run.paid"),
        )  # fmt: skip
        rows: list[tuple[tables.Cell, ...]] = []
        for line in seen.by_target:
            total = sum(line.status.values())
            failed = line.status.get("failed", 0)
            done = total - sum(line.status.get(one, 0) for one in OPEN_STATES) - failed
            rows.append(
                (self._name(line.target), f"{total:,}", f"{done:,}",
                 f"{line.status.get('review', 0):,}", f"{failed:,}",
                 view.share(line.checks_passed), view.nano(line.paid))
            )  # fmt: skip
        self._targets.clear()
        with self._targets:
            tables.table(headings, rows, label=t("run.targets"))

    def _show_models(self, seen: Watched) -> None:
        view, t = self._view, self._view.t
        headings = (
            t("run.model"), "#" + t("run.calls"), t("run.outcomes"), "#" + t("run.tokens_in"),
            "#" + t("run.tokens_out"), "#" + t("run.paid"), "#" + t("run.median"),
        )  # fmt: skip
        rows: list[tuple[tables.Cell, ...]] = [
            (line.model, f"{line.calls:,}",
             ", ".join(f"{view.word('outcome', name)} {n:,}" for name, n in line.outcomes.items()),
             f"{line.usage.input:,}", f"{line.usage.output:,}", view.nano(line.paid),
             view.duration(line.latency))
            for line in seen.by_model
        ]  # fmt: skip
        self._models.clear()
        with self._models:
            tables.table(headings, rows, label=t("run.models"), empty=t("run.nothing_yet"))


def forecast_table(view: View, seen: Watched) -> None:
    """Draw what was forecast for a run beside what it came to."""
    t = view.t
    plain("h2", t("run.forecast"))

    def figure(value: float | None, unit: str) -> str:
        if value is None:
            return "—"
        shown = {"money": view.nano, "seconds": view.duration, "rate": view.share}
        return shown[unit](value) if unit in _UNITS else view.number(value, 1)

    rows: list[tuple[tables.Cell, ...]] = []
    for line in seen.forecast:
        low, high = line.forecast.low, line.forecast.high
        between = "—"
        if low is not None and high is not None:
            between = f"{figure(low, line.unit)} – {figure(high, line.unit)}"
        final = figure(line.final, line.unit)
        if line.final is not None and low is not None and high is not None:
            inside = low <= line.final <= high
            note = t("run.inside" if inside else "run.outside")
            final = t("shell.noted", value=final, note=note)
        rows.append(
            (view.word("forecast", line.name), figure(line.forecast.value, line.unit), between,
             final)
        )  # fmt: skip
    headings = (
        t("run.quantity"), "#" + t("run.forecast_value"), "#" + t("run.interval"),
        "#" + t("run.final"),
    )  # fmt: skip
    tables.table(headings, rows, label=t("run.forecast"), empty=t("run.no_forecast"))


def _lines(
    pace: Sequence[Part], per_usd: float
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Give cost so far and calls a minute over time; in a pause there is no call and no cost."""
    cost = [(pace[0].at * 1000, 0.0)]
    rate: list[tuple[float, float]] = []
    paid = 0
    for number, part in enumerate(pace):
        end = part.at + part.seconds
        before = pace[number - 1] if number else None
        if before is not None and part.at - before.at > 1.5 * before.seconds:
            cost.append((part.at * 1000, paid / NANO * per_usd))
            rate += [((before.at + before.seconds) * 1000, 0.0), (part.at * 1000 - 1, 0.0)]
        paid += part.paid
        cost.append((end * 1000, paid / NANO * per_usd))
        if number < len(pace) - 1 or len(pace) < 3:  # the last part has only begun
            rate.append((part.at * 1000, round(part.calls / part.seconds * 60, 1)))
    if len(rate) == 1:  # a line has two ends
        rate.append((end * 1000, rate[0][1]))
    return cost, rate
