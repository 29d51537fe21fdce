"""The use case *watch*: how a run goes, in the figures its page draws while it is worked.

Nothing here reads a run's items one by one: a run of a million items is watched as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from waremill import report
from waremill.app.batching.showing import shown_batches
from waremill.app.reporting import (
    ADVICE,
    cause_of,
    forecast_lines,
    latency_of,
    model_lines,
    status_from,
    target_lines,
)
from waremill.app.status import RunStatus, money
from waremill.app.summing import products_of, sums_of
from waremill.domain import OPEN_STATES
from waremill.store import reporting
from waremill.store import watching as store
from waremill.store.runs import Run

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

PARTS = 60


@dataclass(frozen=True, slots=True)
class Cause:
    """Failed items of one cause; `kind` is the error's. `at_least`: more failed than were read.
    `example` is the whole message of the first of them.
    """

    cause: str
    count: int
    advice: str
    kind: str
    at_least: bool
    example: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a run's time: its beginning in Unix seconds, its length, calls, paid nano-USD."""

    at: float
    seconds: float
    calls: int
    paid: int


@dataclass(frozen=True, slots=True)
class Watched:
    """A run as its page shows it; money in lines is nano-USD, as in a report."""

    status: RunStatus
    run: Run
    by_target: tuple[report.TargetLine, ...]
    by_model: tuple[report.ModelLine, ...]
    latency: report.Latency | None
    causes: tuple[Cause, ...]
    pace: tuple[Part, ...]
    forecast: tuple[report.ForecastLine, ...]


async def watch(workspace: Workspace, name: str) -> Watched:
    """Give how a run goes. Raises NotFound for one the caller cannot see."""
    run = await workspace.find_run(name)
    read = workspace.database.read
    # One after the other: a server has few readers, and other pages wait for them too.
    targets = await read(reporting.by_target, run.id, run.plan["targets"])
    models = await read(reporting.by_model, run.id)
    latencies = await read(reporting.latencies, run.id)
    failed = await read(store.failed_items, run.id)
    pace = await read(store.pace, run.id, PARTS)
    sums = sums_of(targets, models, products_of(run))
    batches = await read(shown_batches, run)
    return Watched(
        status_from(workspace, run, sums, batches), run, target_lines(sums),
        model_lines(workspace, sums),
        latency_of(latencies), _causes(failed, sums.states), tuple(Part(*one) for one in pace),
        forecast_lines(run, sums),
    )  # fmt: skip


async def causes(workspace: Workspace, name: str) -> tuple[Cause, ...]:
    """Say why items of a run failed, the most frequent cause first; nothing where none did."""
    run = await workspace.find_run(name)
    failed = await workspace.database.read(store.failed_items, run.id)
    return _causes(failed, {})


def _causes(
    failed: Sequence[tuple[int, Mapping[str, Any]]], states: Mapping[str, int]
) -> tuple[Cause, ...]:
    found: dict[str, int] = {}
    examples: dict[str, str] = {}
    for _, error in failed:
        cause = f"{error.get('type')}: {cause_of(error)}"
        found[cause] = found.get(cause, 0) + 1
        examples.setdefault(cause, str(error.get("message", "")))
    more = states.get("failed", 0) > len(failed)
    lines = [
        Cause(cause, count, ADVICE.get(kind, ""), kind, more, examples[cause])
        for cause, count in found.items()
        for kind in (cause.partition(":")[0],)
    ]
    return tuple(sorted(lines, key=lambda line: -line.count))


@dataclass(frozen=True, slots=True)
class Glance:
    """A run in a list: what is known without adding its items up.

    `done` and `failed` are as its worker last said; None for a run nobody worked yet.
    """

    run: Run
    state: str
    reason: str | None
    done: int | None
    failed: int | None
    rate: float | None
    left: float | None
    paid: float | None
    budget: float | None


def glance(workspace: Workspace, run: Run) -> Glance:
    """Give a run as a list shows it, from its own row alone."""
    from waremill.app.reporting import owner_is_gone

    progress: Mapping[str, Any] = run.progress or {}
    states = progress.get("states") or {}
    state, reason = run.state, run.reason
    if state == "running" and owner_is_gone(run):
        state, reason = "paused", "its worker is gone"
    done = failed = left = None
    rate = progress.get("items_per_second") if state == "running" else None
    if states:
        failed = states.get("failed", 0)
        pending = max(sum(states.get(one, 0) for one in OPEN_STATES), 0)
        done = run.total - pending - failed
        left = pending / rate if rate else None
    elif run.state == "done":
        done = run.total
    per_usd = workspace.settings.per_usd
    paid = None if progress.get("unpriced_calls") else progress.get("paid")
    return Glance(
        run, state, reason, done, failed, rate, left, money(paid, per_usd),
        money(run.budget, per_usd),
    )  # fmt: skip


__all__ = ["Cause", "Glance", "Part", "Watched", "causes", "glance", "watch"]
