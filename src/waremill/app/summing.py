"""Sums of a run: what it paid, what it would cost at list price, how its calls went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from waremill.domain import Usage
from waremill.store import metering, reporting
from waremill.store.ledger import ANSWERED
from waremill.store.runs import Run


@dataclass(frozen=True, slots=True)
class Sums:
    """A run in numbers; money in nano-USD, None where any answer's price is unknown.

    `uncertain` counts attempts that failed in a way that may still have been charged. `rate_wait`
    is how many seconds a call waited for a rate limit on average, where it was looked up.
    """

    states: Mapping[str, int]
    products: int
    linked: int
    paid: int | None
    uncertain: int
    list_cost: int | None
    unpriced: int
    calls: int
    usage: Usage
    by_target: Sequence[Mapping[str, Any]]
    by_model: Sequence[Mapping[str, Any]]
    rate_wait: float | None = None


def sum_run(conn: Connection, run: Run) -> Sums:
    """Add a run up."""
    sums = sums_of(
        reporting.by_target(conn, run.id, run.plan["targets"]),
        reporting.by_model(conn, run.id),
        products_of(run),
    )
    return replace(sums, rate_wait=metering.mean_wait(conn, run.id))


def products_of(run: Run) -> int:
    """Count a run's products (or groups): it has an item of each for each of its targets."""
    return run.total // max(1, len(run.plan["targets"]))


def sums_of(
    targets: Sequence[Mapping[str, Any]], models: Sequence[Mapping[str, Any]], products: int
) -> Sums:
    """Add up what was read of a run: its items by target and state, its calls by model."""
    states: Counter[str] = Counter()
    for line in targets:
        states[line["state"]] += line["items"]
    answered = [m for m in models if m["outcome"] in ANSWERED]
    unpriced = sum(m["calls"] - m["priced"] for m in answered)
    return Sums(
        states=dict(states),
        products=products,
        linked=sum(line["linked"] for line in targets),
        paid=None if unpriced else sum(m["paid"] or 0 for m in models),
        uncertain=sum(m["calls"] - m["charge_known"] for m in models if m not in answered),
        list_cost=None if unpriced else sum(line["list_cost"] or 0 for line in targets),
        unpriced=unpriced,
        calls=sum(m["calls"] for m in models),
        usage=Usage(
            sum(m["input"] or 0 for m in models), sum(m["output"] or 0 for m in models),
            sum(m["cached"] or 0 for m in models), sum(m["reasoning"] or 0 for m in models),
        ),
        by_target=targets,
        by_model=models,
    )  # fmt: skip
