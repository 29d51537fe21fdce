"""How far a run is: one frozen answer for the command line, Python and the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from waremill.app.batching.showing import BatchShown
    from waremill.store.runs import Run

NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run as users see it. Money is in `currency`; None means that a price is unknown.

    `states` counts items by state; `done` are all that are neither pending, waiting nor failed.
    `mode` is “live” or “batch”; `batches` are those at a vendor that items wait for,
    `batches_settled` counts the others. `notes` say
    what of the output could not be kept as it is, where it was written just now. `linked` are items
    that took over what an equal one of an earlier run has; `asked` those a model was asked anew
    for: every other found all its answers there. `knowledge` has the version of each base that is
    searched, as it was when the run was planned. `rate_wait` is how many seconds a call waited for
    a rate limit on average, None where there is none.
    """

    run: str
    kind: str
    pipeline: str
    state: str
    reason: str | None
    total: int
    done: int
    failed: int
    in_review: int
    cost: float | None
    list_cost: float | None
    currency: str
    output: str | None
    seconds: float
    states: Mapping[str, int] = field(default_factory=dict)
    budget: float | None = None
    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    owner: str | None = None
    progress: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    linked: int = 0
    asked: int = 0
    knowledge: Mapping[str, str] = field(default_factory=dict)
    mode: str = "live"
    waiting: int = 0
    batches: tuple[BatchShown, ...] = ()
    batches_settled: int = 0
    priority: str = "normal"
    rate_wait: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Give the status in the shape `--json` prints."""
        return {
            "run": self.run, "kind": self.kind, "pipeline": self.pipeline, "state": self.state,
            "reason": self.reason, "total": self.total, "done": self.done,
            "failed": self.failed, "in_review": self.in_review, "cost": self.cost,
            "list_cost": self.list_cost, "currency": self.currency, "output": self.output,
            "budget": self.budget, "seconds": round(self.seconds, 3), "states": dict(self.states),
            "calls": self.calls, "input_tokens": self.input_tokens,
            "cached_tokens": self.cached_tokens, "output_tokens": self.output_tokens,
            "linked": self.linked, "asked": self.asked, "knowledge": dict(self.knowledge),
            "mode": self.mode, "waiting": self.waiting,
            "batches": [one.as_json() for one in self.batches],
            "batches_settled": self.batches_settled, "priority": self.priority,
            "rate_wait": None if self.rate_wait is None else round(self.rate_wait, 3),
        }  # fmt: skip


def money(nano: float | None, per_usd: float) -> float | None:
    """Convert nano-USD to the workspace's currency, to six decimals."""
    return None if nano is None else round(nano / NANO * per_usd, 6)


def priority_of(run: Run) -> str:
    """Give what a run was ordered with; somebody waits for a trial."""
    return run.plan.get("priority") or ("high" if run.kind == "trial" else "normal")
