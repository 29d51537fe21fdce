"""What one item did on its way through the steps, who watches it, and the row it ends with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from waremill.domain import Answer, Finding, Item
from waremill.store.journal import Record


class Watched(Protocol):
    """Is told what an item does, when it does it."""

    def step(self, name: str) -> AbstractContextManager[None]:
        """Watch a step."""

    def call(self, alias: str) -> AbstractContextManager[Callable[[Answer], None]]:
        """Watch a call; what is given is handed the answer."""

    def end(self, attempt: int, findings: int) -> None:
        """Take the end of an attempt."""


Watch = Callable[[Item, str], Watched | None]
"""Begins to watch an item for its target; None for one that is not watched."""


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
    watched: Watched | None = None

    async def step_made(self, name: str, made: Awaitable[dict[str, Any]]) -> dict[str, Any]:
        """Wait for what a step makes."""
        if self.watched is None:
            return await made
        with self.watched.step(name):
            return await made

    async def call_answered(self, alias: str, answer: Awaitable[Answer]) -> Answer:
        """Wait for a call's answer."""
        if self.watched is None:
            return await answer
        with self.watched.call(alias) as answered:
            found = await answer
            answered(found)
            return found


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
