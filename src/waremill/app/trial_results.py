"""What a trial showed, as it is kept with it: for the command line, Python and the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from waremill.app.status import RunStatus, money
from waremill.errors import Conflict
from waremill.settings import Settings

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What a trial showed. Intervals are [value, low, high, cases]; money is in nano-USD there.

    `accuracy` has a line a field and one for all; `forecast` says what the whole selection would
    cost and take; `sentences` are the same for people.
    """

    status: RunStatus
    cost_per_product: float | None
    accuracy: Sequence[Line] = ()
    forecast: Sequence[Line] = ()
    comparison: Line | None = None
    sentences: tuple[str, ...] = ()
    against: RunStatus | None = None
    notes: Sequence[str] = field(default_factory=tuple)

    def as_json(self) -> dict[str, Any]:
        """Give the trial in the shape `--json` prints: the status with what it showed."""
        return {
            **self.status.as_json(), "cost_per_product": self.cost_per_product,
            "accuracy": list(self.accuracy), "forecast": list(self.forecast),
            "comparison": self.comparison, "sentences": list(self.sentences),
        }  # fmt: skip


async def kept_result(workspace: Workspace, name: str) -> TrialResult:
    """Give what a trial showed; its lines are empty until it is done.

    Raises Conflict for a run that is no trial.
    """
    run = await workspace.find_run(name)
    if run.kind != "trial":
        raise Conflict(f"run {run.name} is no trial")
    status = await workspace.status(run.name)
    summary = run.summary
    if run.state != "done" or not summary:
        return TrialResult(status, None)
    costs = (line for line in summary["forecast"] if line["name"] == "cost a product")
    cost = next(costs, None)
    return TrialResult(
        status=status,
        cost_per_product=None
        if cost is None
        else money(cost["forecast"][0], workspace.settings.per_usd),
        accuracy=summary["accuracy"],
        forecast=summary["forecast"],
        comparison=summary["comparison"],
        sentences=sentences(workspace.settings, summary, int(run.plan.get("whole") or 0)),
        notes=summary.get("notes", ()),
    )


def sentences(settings: Settings, summary: Line, whole: int) -> tuple[str, ...]:
    """Say for people what a trial's summary shows; the sample stands for `whole` products."""
    said = []
    currency, per_usd = settings.currency, settings.per_usd
    accuracy, comparison = summary["accuracy"], summary["comparison"]
    for line in summary["forecast"]:
        value, low, high, _ = line["forecast"]
        if line["unit"] == "money":
            shown = [money(end, per_usd) for end in (value, low, high)]
            text = f"{shown[0]:.4g} {currency}"
            if shown[1] is not None and shown[2] is not None:
                text += f" ({shown[1]:.4g}–{shown[2]:.4g})"
        else:
            text = f"{value:.0f} s" + ("" if low is None else f" ({low:.0f}–{high:.0f})")
        said.append(f"all {whole:,} products, {line['name']}: {text}")
    if accuracy:
        more = accuracy[-1]["more_marks"]
        if more:
            said.append(f"{more:,} more compared values would bring the accuracy to ±5 points")
    if comparison is not None:
        said.append(f"{comparison['first']} against {comparison['second']}:")
        for line in comparison["lines"]:
            said.append(f"  {line['name']}: {line['first']:.4g} → {line['second']:.4g}")
    return tuple(said)


__all__ = ["Line", "TrialResult", "kept_result", "sentences"]
