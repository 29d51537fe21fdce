"""What a publication comes to: counts of rows and fields, and what was refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from waremill.app.publishing.shapes import FileShown
from waremill.catalog.publishers.channel import Problem
from waremill.store.publishing import Accepted
from waremill.store.refusals import Refusal

ROWS = ("new", "changed", "unchanged", "refused")
FIELDS = ("new", "changed", "unchanged", "kept", "taken_back")


@dataclass(slots=True)
class Tally:
    """Counts while a publication is made.

    `kept` are values that are missing now and live from before; they stay. `refusals` are those
    that nobody has taken yet.
    """

    total: int | None = None
    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ROWS, 0))
    fields: dict[str, dict[str, int]] = field(default_factory=dict)
    refused_for: dict[str, int] = field(default_factory=dict)
    refusal_count: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    later: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    files: list[FileShown] = field(default_factory=list)

    @property
    def considered(self) -> int:
        """The rows that were judged."""
        return sum(self.rows.values())

    def count(self, name: str, how: str, often: int = 1) -> None:
        """Count what became of a field."""
        counts = self.fields.setdefault(name, dict.fromkeys(FIELDS, 0))
        counts[how] += often

    def refuse(self, item: Accepted, problems: Iterable[Problem]) -> None:
        """Count a refused row with all that is wrong with it."""
        self.rows["refused"] += 1
        for one in problems:
            self.refused_for[one.field] = self.refused_for.get(one.field, 0) + 1
            self.refusal_count += 1
            self.refusals.append(
                Refusal(self.refusal_count, item.product_id, item.key, item.target, one.field,
                        one.message, one.place)
            )  # fmt: skip

    def taken(self) -> list[Refusal]:
        """Give the refusals since the last time, so that no more are held than a page has."""
        found, self.refusals = self.refusals, []
        return found

    def as_json(self) -> Mapping[str, Any]:
        """Give the counts, notes and files as JSON; refusals are kept elsewhere."""
        return {
            "total": self.total, "rows": self.rows, "fields": self.fields, "later": self.later,
            "left_out": self.left_out, "refused_for": self.refused_for,
            "refusal_count": self.refusal_count, "notes": self.notes,
            "files": [asdict(one) for one in self.files],
        }  # fmt: skip
