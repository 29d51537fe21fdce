"""What a row of a review sheet asks for: three ways, and never without a verdict."""

from __future__ import annotations

from typing import Any

import pytest

from waremill.review.merging import Cell, canonical, decide_row
from waremill.review.verdicts import Verdict, split_reason, state_after, why

SAME = Cell("a", "a", "a")
YOURS = Cell("a", "b", "a")
THEIRS = Cell("a", "a", "c")
BOTH = Cell("a", "b", "c")
AGREED = Cell("a", "b", "b")


@pytest.mark.parametrize(
    ("verdict", "state", "cell", "alone", "action", "fields", "conflicts"),
    [
        ("accept", "ready", SAME, True, "accept", (), ()),
        ("accept", "ready", SAME, False, None, (), ("",)),
        ("accept", "accepted", SAME, True, None, (), ()),
        ("accept", "ready", YOURS, True, "edit", ("f",), ()),
        ("accept", "ready", THEIRS, False, None, (), ("",)),
        ("edit", "ready", YOURS, False, "edit", ("f",), ()),
        ("edit", "edited", BOTH, False, None, (), ("f",)),
        ("edit", "edited", BOTH, True, "edit", ("f",), ()),
        ("edit", "edited", AGREED, True, None, (), ()),
        ("edit", "edited", AGREED, False, None, (), ()),
        ("reject", "ready", SAME, True, "reject", (), ()),
        ("reject", "rejected", SAME, True, None, (), ()),
        ("reject", "accepted", SAME, False, None, (), ("",)),
        (None, "ready", SAME, True, None, (), ()),
    ],
)
def test_a_row_comes_to(
    verdict: Verdict | None, state: str, cell: Cell, alone: bool, action: str | None,
    fields: tuple[str, ...], conflicts: tuple[str, ...],
) -> None:  # fmt: skip
    decided = decide_row(verdict, state, {"f": cell}, alone=alone)
    assert (decided.action, decided.fields, decided.conflicts) == (action, fields, conflicts)
    assert decided.problem == ""


def test_a_changed_cell_without_a_verdict_changes_nothing_and_is_told() -> None:
    decided = decide_row(None, "ready", {"f": YOURS, "g": SAME}, alone=True)
    assert (decided.action, decided.undecided) == (None, ("f",))


def test_edit_without_a_change_is_told() -> None:
    assert decide_row("edit", "ready", {"f": SAME}, alone=True).problem


def test_a_conflict_in_one_field_leaves_the_others_to_be_applied() -> None:
    decided = decide_row("edit", "edited", {"f": BOTH, "g": YOURS}, alone=False)
    assert (decided.action, decided.fields, decided.conflicts) == ("edit", ("g",), ("f",))


@pytest.mark.parametrize(
    ("first", "second"),
    [(5, 5.0), (5, "5"), (True, "TRUE"), ("a\r\nb ", "a\nb"), (None, " "), ("x_x000D_\ny", "x\ny")],
)
def test_what_a_spreadsheet_changes_by_itself_does_not_count(first: Any, second: Any) -> None:
    assert canonical(first) == canonical(second)


def test_verdicts_lead_to_states() -> None:
    assert state_after("accept", "review") == "accepted"
    assert state_after("accept", "edited") == "edited"
    assert state_after("edit", "rejected") == "edited"
    assert state_after("reject", "accepted") == "rejected"


def test_a_reason_is_kept_with_its_note() -> None:
    assert split_reason(why("style", "too\ndry: really")) == ("style", "too dry: really")
    assert split_reason(why("style", None)) == ("style", None)
