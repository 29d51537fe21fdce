"""What one item did on its way through the steps, and the row it ends with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from waremill.domain import Finding, Item
from waremill.store.journal import Record


@dataclass(slots=True)
class Trace:
    """What one item did so far; `request` is its step's last one, `requests` each field's.

    `target` is the item's as text, "" without one. `searches` counts what the item looked for,
    `noted` is what the step's provenance says besides; `sent` says that a model was asked anew.
    """

    item: Item
    target: str = ""
    step: str = ""
    findings: list[Finding] = field(default_factory=list)
    paid: int = 0
    list_cost: int = 0
    priced: bool = True
    request: int = 0
    requests: dict[str, int] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)
    rows: list[Record] = field(default_factory=list)
    shared: bool = False
    searches: int = 0
    noted: dict[str, Any] | None = None
    sent: bool = False


def ending_of(
    trace: Trace, state: str, attempt: int, seconds: float | None, error: str | None
) -> Record:
    """Make the row by which an item ends."""
    return {
        "b_id": trace.item.id, "state": state, "attempts": attempt,
        "findings": sum([finding.severity == "error" for finding in trace.findings]),
        "paid": trace.paid if trace.priced else None,
        "list_cost": trace.list_cost if trace.priced else None,
        "latency": seconds, "error": error,
    }  # fmt: skip
