"""What a publication comes to: counts of rows and fields, and the first refusals, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from waremill.catalog.publishers.channel import Problem

REFUSALS = 200
"""Refusals that are kept with their place; all are counted."""
ROWS = ("new", "changed", "unchanged", "refused")
FIELDS = ("new", "changed", "unchanged", "kept", "taken_back")


@dataclass(slots=True)
class Tally:
    """Counts while a publication is made.

    `kept` are values that are missing now and live from before; they stay.
    """

    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ROWS, 0))
    fields: dict[str, dict[str, int]] = field(default_factory=dict)
    refused_for: dict[str, int] = field(default_factory=dict)
    refusals: list[dict[str, Any]] = field(default_factory=list)
    later: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)

    @property
    def considered(self) -> int:
        """The rows that were judged."""
        return sum(self.rows.values())

    @property
    def refused_share(self) -> float:
        """The share of judged rows that were refused; 0 where none was judged."""
        return self.rows["refused"] / self.considered if self.considered else 0.0

    def count(self, name: str, how: str, often: int = 1) -> None:
        """Count what became of a field."""
        counts = self.fields.setdefault(name, dict.fromkeys(FIELDS, 0))
        counts[how] += often

    def refuse(self, key: str, target: str, problems: Iterable[Problem]) -> None:
        """Count a refused row with all that is wrong with it."""
        self.rows["refused"] += 1
        for one in problems:
            self.refused_for[one.field] = self.refused_for.get(one.field, 0) + 1
            if len(self.refusals) < REFUSALS:
                self.refusals.append(
                    {"key": key, "target": target or None, "field": one.field,
                     "message": one.message, "place": one.place}
                )  # fmt: skip

    def as_json(self) -> Mapping[str, Any]:
        """Give everything as JSON."""
        return {
            "rows": self.rows, "fields": self.fields, "later": self.later,
            "left_out": self.left_out, "refused_for": self.refused_for,
            "refusals": self.refusals, "notes": self.notes, "files": self.files,
        }  # fmt: skip
