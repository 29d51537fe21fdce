"""What a reviewed row of a sheet asks for, given what the sheet held first and what is there now.

Pure: three texts a field (base, yours, theirs) and a verdict in, a decision out. Nothing that
somebody else changed meanwhile is overwritten, and nothing happens without a verdict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from waremill.review.verdicts import PUBLISHABLE, Verdict

Merge = Literal["unchanged", "same", "yours", "conflict"]
_LINE_ENDS = re.compile(r"\r\n?|_x000D_\n?")
VERDICTS: Mapping[str, Verdict] = {
    "accept": "accept", "accepted": "accept", "ok": "accept", "yes": "accept", "接受": "accept",
    "通过": "accept",
    "reject": "reject", "rejected": "reject", "no": "reject", "拒绝": "reject", "驳回": "reject",
    "edit": "edit", "edited": "edit", "修改": "edit", "编辑": "edit",
}  # fmt: skip
"""What may stand in a verdict's cell, in lower case."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of a row: as it was exported, as the sheet has it, as it is now."""

    base: Any
    yours: Any
    theirs: Any

    def merge(self, *, alone: bool) -> Merge:
        """Say what becomes of the field; `alone`: nobody but you changed the item since."""
        base, yours, theirs = map(canonical, (self.base, self.yours, self.theirs))
        if yours == base:
            return "unchanged"
        if yours == theirs:
            return "same"
        return "yours" if theirs == base or alone else "conflict"


@dataclass(frozen=True, slots=True)
class RowDecision:
    """What a row comes to.

    `action` is the verdict to write, None for nothing. `fields` are yours to be applied,
    `conflicts` those somebody else changed too ('' for the verdict itself), `undecided` those that
    were changed without a verdict.
    """

    action: Verdict | None
    fields: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    problem: str = ""


def canonical(value: Any) -> str:
    """Write a cell so that what a spreadsheet changes by itself does not count.

    Numbers lose their format, truth values are words, line ends are line feeds, and blanks at the
    ends of lines are dropped.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return str(int(value))
    if isinstance(value, (int, float)):
        return str(value)
    text = _LINE_ENDS.sub("\n", str(value))
    lines = "\n".join(line.strip() for line in text.split("\n")).strip()
    return lines.lower() if lines.lower() in ("true", "false") else lines


def decide_row(
    verdict: Verdict | None, state: str, cells: Mapping[str, Cell], *, alone: bool
) -> RowDecision:
    """Decide what a row asks for.

    `alone` says that nobody but the one who brings the sheet judged or changed the item since it
    was exported. A row that was brought before asks for nothing.
    """
    merged = {name: cell.merge(alone=alone) for name, cell in cells.items()}
    yours = tuple(name for name, one in merged.items() if one == "yours")
    conflicts = tuple(name for name, one in merged.items() if one == "conflict")
    same = any(one == "same" for one in merged.values())
    if verdict is None:
        return RowDecision(None, undecided=(*yours, *conflicts))
    if verdict == "reject":
        if state == "rejected":
            return RowDecision(None)
        return RowDecision("reject") if alone else RowDecision(None, conflicts=("",))
    if yours or conflicts:
        return RowDecision("edit" if yours else None, yours, conflicts)
    if state in PUBLISHABLE or (same and not alone):
        return RowDecision(None)
    if verdict == "edit" and not same:
        return RowDecision(None, problem="the verdict is edit, but no field was changed")
    if not alone:
        return RowDecision(None, conflicts=("",))
    return RowDecision("accept")
