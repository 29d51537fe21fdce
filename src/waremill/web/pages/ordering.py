"""A new run as it is put together: what the steps of the page say so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from waremill.app import Estimate
from waremill.app.marking import Score
from waremill.app.options import TaskOptions
from waremill.app.status import RunStatus
from waremill.app.uploading import Upload

SIZE = 20
"""Products in a trial, where nothing else is said."""


@dataclass
class NewRun:
    """What is to be run. `trial_stands_for` are the options the newest trial was made with."""

    source: Literal["catalog", "sheet"] = "catalog"
    catalog: str | None = None
    where: str = ""
    search: str = ""
    order_by: str = ""
    limit: int | None = None
    upload: Upload | None = None
    path: str | None = None
    key: str | None = None
    sheet: str | None = None
    pipeline: str = ""
    targets: list[str] = field(default_factory=list)
    model: str | None = None
    budget: float | None = None
    fresh: bool = False
    batched: bool = False
    params: dict[str, Any] = field(default_factory=dict)
    size: int = SIZE
    seed: int = 0
    gold: str | None = None
    against: str | None = None
    estimate: Estimate | None = None
    estimated_with: Mapping[str, Any] | None = None
    trial: str | None = None
    trial_status: RunStatus | None = None
    trial_stands_for: Mapping[str, Any] | None = None
    score: Score | None = None
    without: bool = False

    @property
    def has_products(self) -> bool:
        """Whether it is said where the products come from."""
        return self.path is not None if self.source == "sheet" else self.catalog is not None

    def task(self) -> TaskOptions:
        """Give what decides the results: the products, the content, the model."""
        options: TaskOptions = {
            "limit": self.limit, "targets": tuple(self.targets), "model": self.model,
            "params": dict(self.params),
        }  # fmt: skip
        if self.source == "sheet" and self.path is not None:
            options |= {"source": self.path, "key": self.key, "sheet": self.sheet}
        else:
            options |= {
                "catalog": self.catalog, "where": self.where.strip() or None,
                "order_by": self.order_by.strip() or None, "search": self.search.strip() or None,
            }  # fmt: skip
        return options

    def said(self) -> dict[str, Any]:
        """Give everything that a trial must have in common with the run it stands for."""
        return {"pipeline": self.pipeline, **self.task()}

    def run_options(self) -> TaskOptions:
        """Give a run's options."""
        mode: Literal["live", "batch"] = "batch" if self.batched else "live"
        return {**self.task(), "budget": self.budget, "fresh": self.fresh, "mode": mode}

    def trial_options(self) -> TaskOptions:
        """Give a trial's options."""
        return {
            **self.task(), "size": self.size, "seed": self.seed, "gold": self.gold,
            "against": self.against, "fresh": self.fresh,
        }  # fmt: skip

    @property
    def trial_done(self) -> bool:
        """Whether the newest trial has ended and stands for what would be run."""
        done = self.trial_status is not None and self.trial_status.state == "done"
        return done and self.trial_stands_for == self.said()

    @property
    def stale(self) -> bool:
        """Whether something was changed since the newest trial."""
        return self.trial is not None and self.trial_stands_for != self.said()

    def take_plan(self, pipeline: str, plan: Mapping[str, Any]) -> None:
        """Take over what an earlier trial was made with."""
        self.pipeline = pipeline
        self.targets = [target for target in plan.get("targets", ()) if target]
        self.model = plan.get("model")
        self.params = dict(plan.get("params") or {})
        self.limit = plan.get("limit")
        self.catalog = plan.get("catalog")
        self.where = plan.get("where") or ""
        self.search = plan.get("search") or ""
        self.order_by = plan.get("order_by") or ""
        self.seed = plan.get("seed") or 0
        if plan.get("source"):
            self.source, self.path, self.sheet = "sheet", plan["source"], plan.get("sheet")
