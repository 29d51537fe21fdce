"""The use cases *status* and *report*: what a run came to, as data and as one HTML file."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from waremill import report as pages
from waremill.app.batching.showing import BatchesShown, shown_batches
from waremill.app.status import RunStatus, money, priority_of
from waremill.app.summing import Sums, sum_run
from waremill.domain import (
    OPEN_STATES,
    UNMADE_STATES,
    AnyMessage,
    Finding,
    Item,
    Product,
    Target,
    Usage,
)
from waremill.errors import WaremillError
from waremill.pipeline import BoundStep
from waremill.report import ReportData, render_report
from waremill.store import reporting
from waremill.store.reporting import FinishedItem
from waremill.store.runs import ALIVE_SECONDS, Run

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

SAMPLES_OF_A_RUN = 40
SAMPLES_OF_A_TRIAL = 200
EXAMPLES = 3
CAUSES = 50
"""Causes told apart in a report; further ones are counted together."""
_STATES = {"done": "finished"}
ADVICE = {
    "Unavailable": "The endpoint stayed unreachable; `resume --retry-failed` tries these again.",
    "RateLimited": "Set rpm and tpm to the account's limits, then `resume --retry-failed`.",
    "Rejected": "The endpoint will not take this request; look at its message and the template.",
    "TemplateError": "Complete these products and import them again.",
}


def owner_is_gone(run: Run) -> bool:
    """Say whether a run's owner was not heard of lately, or is known to be dead."""
    from waremill.app.working import owner_is_dead

    silent = run.heartbeat is None or time.time() - run.heartbeat > 2 * ALIVE_SECONDS
    return silent or owner_is_dead(run.owner)


async def status_of(workspace: Workspace, run: Run) -> RunStatus:
    """Say how far a run is and what it cost."""

    def read(conn: Connection) -> tuple[Sums, BatchesShown]:
        return sum_run(conn, run), shown_batches(conn, run)

    return status_from(workspace, run, *await workspace.database.read(read))


def status_from(workspace: Workspace, run: Run, sums: Sums, batches: BatchesShown) -> RunStatus:
    """Say how far a run is, from its sums and its batches."""
    states = sums.states
    pending, failed = sum(states.get(one, 0) for one in OPEN_STATES), states.get("failed", 0)
    settings = workspace.settings
    state, reason = run.state, run.reason
    if state == "running" and owner_is_gone(run):
        state, reason = "paused", "its worker is gone"
    return RunStatus(
        run=run.name, kind=run.kind, pipeline=run.pipeline, state=state, reason=reason,
        total=run.total, done=run.total - pending - failed, failed=failed,
        in_review=states.get("review", 0), cost=money(sums.paid, settings.per_usd),
        list_cost=money(sums.list_cost, settings.per_usd), currency=settings.currency,
        output=run.output, seconds=run.worked_seconds, states=states,
        budget=money(run.budget, settings.per_usd), calls=sums.calls,
        input_tokens=sums.usage.input, cached_tokens=sums.usage.cached,
        output_tokens=sums.usage.output, owner=run.owner, progress=run.progress,
        linked=sums.linked, asked=_asked(run), knowledge=run.plan.get("knowledge", {}),
        mode=run.plan.get("mode", "live"), waiting=states.get("waiting", 0),
        batches=batches.opened, batches_settled=batches.settled, priority=priority_of(run),
        rate_wait=sums.rate_wait,
    )  # fmt: skip


async def report_html(workspace: Workspace, run: Run) -> str:
    """Render a run's report."""
    from waremill.app.working import thaw

    assembly = await thaw(workspace.settings, workspace.database, run, check_models=False)
    data = await workspace.database.read_all(report_data, workspace, run, assembly.steps)
    return render_report(data)


def report_data(
    conn: Connection, workspace: Workspace, run: Run, steps: Sequence[BoundStep]
) -> ReportData:
    """Collect all that a report shows."""
    settings, plan, summary = workspace.settings, run.plan, run.summary or {}
    sums = sum_run(conn, run)
    checks, failures, findings = _quality(conn, run)
    worked = sum(n for state, n in sums.states.items() if state not in OPEN_STATES) - sums.linked
    seconds = run.worked_seconds or None
    return ReportData(
        kind="trial" if run.kind == "trial" else "run", run=run.name, pipeline=run.pipeline,
        state=_STATES.get(run.state, run.state),  # type: ignore[arg-type]
        products=sums.products, items=run.total, currency=settings.currency,
        per_usd=settings.per_usd, version=plan.get("version", ""), reason=run.reason or "",
        created=_moment(run.created_at), ended=_moment(run.ended_at),
        catalog=plan.get("catalog") or "", selection=_selection(plan),
        targets=tuple(target for target in plan["targets"] if target),
        parameters=plan.get("params", {}), sample_note=summary.get("sample_note", ""),
        status=sums.states, paid=sums.paid, list_cost=sums.list_cost,
        unpriced_calls=sums.unpriced, cost_per_product=_cost_per_product(sums),
        seconds=seconds, items_per_second=worked / seconds if seconds and worked else None,
        usage=sums.usage, calls=sums.calls, replayed=sums.linked,
        accuracy=tuple(_accuracy(line) for line in summary.get("accuracy", ())),
        checks=checks, latency=latency_of(reporting.latencies(conn, run.id)),
        by_target=target_lines(sums), by_model=model_lines(workspace, sums),
        failures=failures, findings=findings, forecast=forecast_lines(run, sums),
        comparison=_comparison(summary.get("comparison")),
        samples=tuple(_samples(conn, run, steps)),
        notes=(*_notes(sums), *_of_batches(conn, run), *_first_tokens(sums), *_of_knowledge(run),
               *summary.get("notes", ())),
    )  # fmt: skip


def _notes(sums: Sums) -> tuple[str, ...]:
    if not sums.uncertain:
        return ()
    return (
        f"{sums.uncertain} attempts timed out or broke off and may have been charged; the sums "
        "leave them out, the budget counts them at their most",
    )


def _of_batches(conn: Connection, run: Run) -> tuple[str, ...]:
    """Say how many batches a run went through, and how far those are that it waits for."""
    if run.plan.get("mode") != "batch":
        return ()
    found = shown_batches(conn, run)
    words = f"sent through the vendors' batches: {found.settled} done"
    if found.opened:
        done = sum(one.done for one in found.opened)
        count = sum(one.requests for one in found.opened)
        words += f", {len(found.opened)} at a vendor with {done} of {count} requests done"
    return (words,)


def _first_tokens(sums: Sums) -> tuple[str, ...]:
    """Say how long replies took to begin, by model, where that was measured."""
    found: dict[str, tuple[int, float]] = {}
    for line in sums.by_model:
        calls, seconds = found.get(line["model"], (0, 0.0))
        found[line["model"]] = (calls + line["streamed"], seconds + line["first_seconds"])
    return tuple(
        f"time to first token of {model}: {seconds / calls:.2f} s on average over {calls} calls"
        for model, (calls, seconds) in found.items()
        if calls
    )


def _asked(run: Run) -> int:
    return int((run.progress or {}).get("asked", 0))


def _of_knowledge(run: Run) -> tuple[str, ...]:
    """Say which knowledge a run searched, and how many items that changed anything for."""
    known: Mapping[str, str] = run.plan.get("knowledge", {})
    if not known:
        return ()
    bases = ", ".join(f"{name} ({version[:8]})" for name, version in known.items())
    return (
        f"knowledge searched: {bases}; a model was asked anew for {_asked(run)} of {run.total} "
        "items, all others had their answers already",
    )


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _selection(plan: Mapping[str, Any]) -> str:
    parts = [plan.get("where") or ""]
    if plan.get("source"):
        parts.append(f"rows of {plan['source'].rpartition('/')[2]}")
    if plan.get("limit"):
        parts.append(f"first {plan['limit']}")
    return ", ".join(part for part in parts if part)


def interval(values: Sequence[Any] | None) -> pages.Interval | None:
    """Make an interval of [value, low, high, count]."""
    return None if values is None else pages.Interval(*values)


def _accuracy(line: Mapping[str, Any]) -> pages.FieldAccuracy:
    return pages.FieldAccuracy(
        line["field"], interval(line.get("correct")), line.get("measure", "normalised"),
        interval(line.get("invented")), interval(line.get("missing")),
    )  # fmt: skip


def _cost_per_product(sums: Sums) -> pages.Interval | None:
    finished = sum(n for state, n in sums.states.items() if state not in UNMADE_STATES)
    if sums.list_cost is None or not finished:
        return None
    share = finished / max(sum(sums.states.values()), 1)
    return pages.Interval(sums.list_cost / max(sums.products * share, 1), count=sums.products)


def latency_of(values: Sequence[float]) -> pages.Latency | None:
    """Sum sorted latencies up: percentiles and a histogram; None for none."""
    if not values:
        return None

    def at(share: float) -> float:
        return values[min(len(values) - 1, int(share * len(values)))]

    bounds = _bounds(at(0.995))
    counts = Counter(next((b for b in bounds if v <= b), bounds[-1]) for v in values)
    buckets = tuple(pages.LatencyBucket(bound, counts.get(bound, 0)) for bound in bounds)
    return pages.Latency(at(0.5), at(0.9), at(0.99), values[-1], len(values), buckets)


def _bounds(longest: float, bars: int = 16) -> list[float]:
    step = max(longest / bars, 1e-4)
    digits = 1
    while round(step, digits) < step * 0.95 and digits < 6:
        digits += 1
    step = round(step, digits) or step
    return [round(step * (place + 1), 6) for place in range(bars)]


def target_lines(sums: Sums) -> tuple[pages.TargetLine, ...]:
    """Give a line a target: items by state, money, the share without a finding."""
    found: dict[str, dict[str, Any]] = {}
    for line in sums.by_target:
        one = found.setdefault(line["target"], {"status": {}, "paid": 0, "list": 0})
        one["status"][line["state"]] = line["items"]
        one["paid"] += line["paid"] or 0
        one["list"] += line["list_cost"] or 0
    lines = []
    for target, one in found.items():
        done = sum(n for s, n in one["status"].items() if s not in UNMADE_STATES)
        passed = (done - one["status"].get("review", 0)) / done if done else None
        lines.append(
            pages.TargetLine(target or "—", one["status"], one["paid"], one["list"], passed)
        )
    return tuple(lines)


def model_lines(workspace: Workspace, sums: Sums) -> tuple[pages.ModelLine, ...]:
    """Give a line a model: its calls by outcome, tokens, money."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for line in sums.by_model:
        found.setdefault(line["model"], []).append(line)
    lines = []
    for alias, parts in found.items():
        name = alias
        known = workspace.settings.models.get(alias)
        if known is not None:
            name = f"{alias} ({known.use})"
        usage = Usage(*(sum(p[n] or 0 for p in parts)
                        for n in ("input", "output", "cached", "reasoning")))  # fmt: skip
        good = [p for p in parts if p["outcome"] == "complete"]
        lines.append(
            pages.ModelLine(
                name, sum(p["calls"] for p in parts),
                {p["outcome"].replace("_", " "): p["calls"] for p in parts}, usage,
                sum(p["paid"] or 0 for p in parts), sum(p["list_cost"] or 0 for p in parts),
                0, good[0]["latency"] if good else None,
            )
        )  # fmt: skip
    return tuple(lines)


def _quality(
    conn: Connection, run: Run
) -> tuple[
    tuple[pages.CheckRate, ...],
    tuple[pages.FailureGroup, ...],
    tuple[pages.FindingGroup, ...],
]:
    """Group failures by cause and findings by rule, reading the run once."""
    causes: dict[str, list[Any]] = {}
    rules: dict[tuple[str, str], list[Any]] = {}
    finished = 0
    for page in reporting.item_pages(conn, run.id):
        for item in page:
            if item.error is not None:
                cause = f"{item.error.get('type')}: {cause_of(item.error)}"
                if cause not in causes and len(causes) >= CAUSES:
                    cause = "other causes"
                group = causes.setdefault(cause, [0, []])
                group[0] += 1
                if len(group[1]) < EXAMPLES:
                    message = str(item.error.get("message"))
                    group[1].append(pages.Failure(item.key, message, item.target or None))
            elif item.state not in OPEN_STATES:
                finished += 1
            for rule in {(f["rule"], f["severity"]) for f in item.findings}:
                rules.setdefault(rule, [0, 0, []])[1] += 1
            for found in item.findings:
                group = rules[found["rule"], found["severity"]]
                group[0] += 1
                if len(group[2]) < EXAMPLES:
                    group[2].append(
                        pages.FindingExample(item.key, Finding(**found), item.target or None)
                    )
    failures = [
        pages.FailureGroup(cause, n, ADVICE.get(cause.partition(":")[0], ""), tuple(examples))
        for cause, (n, examples) in causes.items()
    ]
    findings = [
        pages.FindingGroup(rule, severity, n, items, tuple(examples))  # type: ignore[arg-type]
        for (rule, severity), (n, items, examples) in rules.items()
    ]
    rates = [
        pages.CheckRate(rule, finished - items, finished)
        for (rule, severity), (_, items, _) in sorted(rules.items())
        if severity == "error" and items <= finished
    ]
    return (
        tuple(rates),
        tuple(sorted(failures, key=lambda group: -group.count)),
        tuple(sorted(findings, key=lambda group: -group.count)),
    )


def cause_of(error: Mapping[str, Any]) -> str:
    """Shorten a message to what many items have in common."""
    text = str(error.get("message", ""))
    text = re.sub(r"[“\"'][^”\"']{1,80}[”\"']", "“…”", text)
    return re.sub(r"\d+", "#", text)[:160]


def forecast_lines(run: Run, sums: Sums) -> tuple[pages.ForecastLine, ...]:
    """Hold what was forecast against what it came to; in a trial, show the forecast alone."""
    lines = (run.summary or {}).get("forecast") or run.plan.get("forecast") or ()
    finals: dict[str, float | None] = {}
    if run.kind == "run" and run.state == "done":
        finals = {
            "cost": sums.list_cost,
            "cost a product": None if sums.list_cost is None
            else sums.list_cost / max(sums.products, 1),
            "duration": run.worked_seconds,
        }  # fmt: skip
    return tuple(
        pages.ForecastLine(
            line["name"], line["unit"], pages.Interval(*line["forecast"]), finals.get(line["name"])
        )
        for line in lines
    )


def _comparison(summary: Mapping[str, Any] | None) -> pages.Comparison | None:
    if not summary:
        return None
    lines = tuple(
        pages.PairedLine(**{**line, "difference": pages.Interval(*line["difference"])})
        for line in summary["lines"]
    )
    return pages.Comparison(summary["first"], summary["second"], summary["pairs"], lines)


def _samples(conn: Connection, run: Run, steps: Sequence[BoundStep]) -> Iterable[pages.Sample]:
    wanted = SAMPLES_OF_A_TRIAL if run.kind == "trial" else SAMPLES_OF_A_RUN
    marks = (run.summary or {}).get("marks", {})
    states = None if run.kind == "trial" else ("ready", "review", "failed", "accepted", "edited")
    for item in reporting.item_page(conn, run.id, 0, states, wanted):
        gold = marks.get(str(item.id), {})
        fields = tuple(
            pages.SampleField(
                name, value, origin.get("template", ""), str(origin.get("version", "")),
                origin.get("model", ""), bool(origin.get("replayed")),
                *gold.get(name, (None, None)),
            )
            for name, value in item.fields.items()
            for origin in (item.provenance.get(name, {}),)
        )  # fmt: skip
        yield pages.Sample(
            item.key, item.state, item.attributes, fields,
            tuple(Finding(**found) for found in item.findings), item.target or None,
            _prompt(item, run, steps), item.list_cost, item.latency,
            str(item.error.get("message", "")) if item.error else "",
        )  # fmt: skip


def _prompt(item: FinishedItem, run: Run, steps: Sequence[BoundStep]) -> tuple[AnyMessage, ...]:
    """Render the last step's first request again; nothing where it cannot be."""
    product = Product(item.product_id, item.key, item.attributes, 0)
    target = Target.parse(item.target) if item.target else None
    view = Item(item.id, product, target, item.fields)
    for step in reversed(steps):
        if step.preview is None:
            continue
        own = {name: value for name, value in item.fields.items() if name not in step.fields}
        try:
            request = step.preview(
                Item(view.id, view.product, view.target, own), run.plan.get("params", {})
            )
        except WaremillError:
            return ()
        return request.messages if request is not None else ()
    return ()
