"""The Excel round trip: a run's items out for review, verdicts and edited cells back in.

A row names its item and what it showed when it was exported; what was exported can so be told from
the results themselves. A cell is applied where only its sheet changed it; what somebody else
changed meanwhile is reported and left. A sheet brought twice does nothing the second time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, select

from waremill.app import auditing, notifying
from waremill.app.amending import amended
from waremill.app.cards import Frozen, frozen_of, shown_names, type_of
from waremill.app.item_filters import ItemFilters
from waremill.app.waiting import EVERY, wanted_items
from waremill.catalog.publishers import Written
from waremill.catalog.publishers.review_sheet import (
    ReviewColumn,
    cell,
    is_cut,
    write_review_sheet,
)
from waremill.catalog.readers.review_sheet import MARK, read_review_sheet
from waremill.domain import UNMADE_STATES
from waremill.errors import ConfigError, SourceError, Where
from waremill.review.merging import VERDICTS, Cell, RowDecision, canonical, decide_row
from waremill.review.verdicts import REASONS, WAITING, Verdict, state_after, why
from waremill.store import reviewing as store
from waremill.store import verdicts
from waremill.store.reviewing import ItemView, among
from waremill.store.runs import Run
from waremill.store.tables import items
from waremill.store.verdicts import Decision

if TYPE_CHECKING:
    from waremill.app.acting import Actor
    from waremill.app.workspace import Workspace

VERSION = "_version"
VERDICT, REASON, NOTE = "Verdict", "Reason", "Note"
TARGET, STATUS, FINDINGS = "_target", "_status", "_findings"
PAGE = 500
"""Items written, or judged, at once."""
MOST_TOLD = 1_000
"""Conflicts and problems told one by one."""
_NUMBER = re.compile(r"[0-9]{1,18}")
"""More digits fit in no id."""
_HIDDEN_CHANGED = "its hidden columns were changed or deleted, so its item is not known"


@dataclass(frozen=True, slots=True)
class Conflicting:
    """A field that the sheet and somebody else changed; `field` is '' for the verdict itself.

    `row` is the sheet's; `theirs` is what is there now, `who` says who changed the item last.
    """

    row: int
    key: str
    target: str
    field: str
    yours: Any
    theirs: Any
    who: str


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A row, or one field of it, that could not be taken; `message` is one sentence."""

    row: int
    key: str
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """What a sheet changed: items accepted, rejected and edited; rows that asked for nothing new.

    `problems` name rows that could not be taken; `more` counts conflicts and problems beyond those
    that are told.
    """

    accepted: int = 0
    rejected: int = 0
    edited: int = 0
    unchanged: int = 0
    conflicts: tuple[Conflicting, ...] = ()
    problems: tuple[RowProblem, ...] = ()
    more: int = 0


# Out.


async def export_for_review(
    workspace: Workspace, run: str, path: str | Path, filters: ItemFilters = EVERY
) -> Written:
    """Write a run's items to an Excel sheet for review, a row an item; give rows and notes.

    Verdict and reason are drop-downs; the generated fields may be edited; the source's attributes
    and the findings stand beside them. Without `filters` it is what waits for a verdict.
    """
    found = await workspace.find_run(run, "viewer")
    frozen = await frozen_of(workspace.settings, workspace.database, found)
    dialect = workspace.database.dialect

    def write(conn: Connection) -> Written:
        ids = store.ids_of(conn, wanted_items(conn, found, filters, dialect))
        headings = _headings(found, frozen, _pages(conn, found, ids))
        columns = _columns(found, headings)
        rows = (
            _row(found, view, frozen, headings)
            for page in _pages(conn, found, ids)
            for view in page
        )
        return write_review_sheet(Path(path), columns, rows)

    return await workspace.database.read_all(write)


def _pages(conn: Connection, run: Run, ids: Sequence[int]) -> Iterator[list[ItemView]]:
    for start in range(0, len(ids), PAGE):
        yield store.load_items(conn, run.id, ids[start : start + PAGE])


def _headings(
    run: Run, frozen: Frozen, pages: Iterator[list[ItemView]]
) -> dict[tuple[str, str], str]:
    """Give every field's heading; its step's name stands before it where it would clash."""
    places = [(step.name, name) for step in frozen.assembly.steps for name in step.fields]
    if any(step.preview and not step.fields for step in frozen.assembly.steps):
        known = set(places)  # which fields a step has depends on the product's category
        for page in pages:
            for view in page:
                places += [one for one in shown_names(view, frozen) if one not in known]
                known.update(places)
    return {place: heading_of(run, place, places) for place in dict.fromkeys(places)}


def heading_of(run: Run, place: tuple[str, str], places: Sequence[tuple[str, str]]) -> str:
    """Give a field's heading: alone, or with its step where a column has that name already."""
    step, name = place
    reserved = {
        *run.plan["columns"],
        MARK,
        VERSION,
        VERDICT,
        REASON,
        NOTE,
        TARGET,
        STATUS,
        FINDINGS,
    }
    often = len({one for one, other in places if other == name}) > 1
    return f"{step}.{name}" if often or name in reserved else name


def _columns(run: Run, headings: Mapping[tuple[str, str], str]) -> list[ReviewColumn]:
    words = ("accept", "reject", "edit")
    columns = [
        ReviewColumn(MARK, "hidden"), ReviewColumn(VERSION, "hidden"),
        ReviewColumn(VERDICT, "verdict", words, "Rows without a verdict are left as they are."),
        ReviewColumn(REASON, "verdict", REASONS, "Why it is rejected."),
        ReviewColumn(NOTE, "verdict"),
        *(ReviewColumn(one, "field", note="May be edited; a list has an entry a line.")
          for one in headings.values()),
        *(ReviewColumn(one, "status") for one in (TARGET, STATUS, FINDINGS)),
    ]  # fmt: skip
    taken = {one.name for one in columns}
    for name in run.plan["columns"]:
        columns.append(ReviewColumn(_free(name, taken), "source"))
        taken.add(columns[-1].name)
    return columns


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name = f"{name} (source)"
    return name


def _row(
    run: Run, view: ItemView, frozen: Frozen, headings: Mapping[tuple[str, str], str]
) -> list[Any]:
    made = view.fields()
    found = [
        f"{one.field}: {one.message}" if one.field else one.message
        for some in view.findings().values()
        for one in some
    ]
    return [
        f"{run.name}/{view.id}", f"{view.newest}.{len(view.reviews)}", None, None, None,
        *(made[place].values[place[1]] if place in made else None for place in headings),
        view.target, view.state, "\n".join(found) or None,
        *(view.attributes.get(name) for name in run.plan["columns"]),
    ]  # fmt: skip


# In.


@dataclass(slots=True)
class _Tally:
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("accepted", "rejected", "edited", "unchanged"), 0)
    )
    conflicts: list[Conflicting] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)
    more: int = 0

    def conflict(self, one: Conflicting) -> None:
        self._tell(self.conflicts, one)

    def problem(self, row: int, key: str, name: str, message: str) -> None:
        self._tell(self.problems, RowProblem(row, key, name, message))

    def _tell(self, told: list[Any], one: Any) -> None:
        if len(told) < MOST_TOLD:
            told.append(one)
        else:
            self.more += 1


@dataclass(frozen=True, slots=True)
class _SheetRow:
    """A row as it came back; `base` is (newest result, number of reviews) when it went out."""

    number: int
    item_id: int
    base: tuple[int, int]
    verdict: Verdict | None
    reason: str
    note: str | None
    cells: Mapping[str, Any]


async def import_reviews(workspace: Workspace, run: str, path: str | Path) -> RoundTrip:
    """Take the verdicts and edited cells of a review sheet back; say what became of each.

    Rows may be deleted and moved, and columns added. Changed cells count with a verdict only:
    `accept` or `edit` make them an edit. Raises SourceError for a file that is no review sheet of
    this run, or lacks one of its columns.
    """
    found = await workspace.find_run(run, "reviewer")
    frozen = await frozen_of(workspace.settings, workspace.database, found)
    database, tally, seen = workspace.database, _Tally(), dict[int, int]()
    reader = await asyncio.to_thread(read_review_sheet, Path(path))
    with reader:
        _check_columns(found, frozen, reader.columns, Where(file=str(path), sheet=reader.sheet))
        batches = reader.batches()
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            rows = [
                row
                for number, cells in zip(batch.numbers, batch.rows, strict=True)
                if (row := _read_row(found, (number, cells), seen, tally)) is not None
            ]
            for start in range(0, len(rows), PAGE):
                await database.write(
                    _take, found, frozen, rows[start : start + PAGE], workspace.actor, tally
                )
    return RoundTrip(
        **tally.counts, conflicts=tuple(tally.conflicts), problems=tuple(tally.problems),
        more=tally.more,
    )  # fmt: skip


def _check_columns(run: Run, frozen: Frozen, columns: Sequence[str], where: Where) -> None:
    places = [(step.name, name) for step in frozen.assembly.steps for name in step.fields]
    needed = [MARK, VERSION, VERDICT, REASON, NOTE]
    needed += [heading_of(run, place, places) for place in places]
    missing = [name for name in needed if name not in columns]
    if missing:
        listed = ", ".join(f"“{name}”" for name in missing)
        raise SourceError(
            f"the header lacks {listed}: give the columns back the names they were exported with",
            where,
        )


def _read_row(
    run: Run, line: tuple[int, Mapping[str, Any]], seen: dict[int, int], tally: _Tally
) -> _SheetRow | None:
    """Read a row; None, and a problem told, where it cannot be taken."""
    number, cells = line
    name, _, digits = str(cells.get(MARK) or "").rpartition("/")
    version = str(cells.get(VERSION) or "").split(".")
    if len(version) != 2 or not all(map(_NUMBER.fullmatch, (digits, *version))):
        if any(canonical(cells.get(one)) for one in (VERDICT, REASON, NOTE)):
            tally.problem(number, "", "", _HIDDEN_CHANGED)
        return None
    item_id = int(digits)
    if name != run.name:
        if not seen:
            raise SourceError(f"the sheet was exported from run {name}, not from run {run.name}")
        tally.problem(number, "", "", f"the row is of run {name}, not of run {run.name}")
        return None
    if item_id in seen:
        tally.problem(number, "", "", f"it repeats row {seen[item_id]}, which was taken")
        return None
    seen[item_id] = number
    word = canonical(cells.get(VERDICT)).lower()
    if word and word not in VERDICTS:
        said = f"“{word}” is no verdict; choose accept, reject or edit"
        tally.problem(number, "", VERDICT, said)
        return None
    reason = canonical(cells.get(REASON)).lower() or "other"
    if reason not in REASONS:
        said = f"“{reason}” is not a reason; there are {', '.join(REASONS)}"
        tally.problem(number, "", REASON, said)
        return None
    base = (int(version[0]), int(version[1]))
    note = canonical(cells.get(NOTE)) or None
    return _SheetRow(number, item_id, base, VERDICTS.get(word), reason, note, cells)


def _take(
    conn: Connection,
    run: Run,
    frozen: Frozen,
    rows: Sequence[_SheetRow],
    actor: Actor,
    tally: _Tally,
) -> None:
    """Judge some rows' items in one transaction."""
    before = dict(tally.counts)
    ids = sorted(row.item_id for row in rows)
    if conn.dialect.name == "postgresql":
        locked = select(items.c.id).where(among(conn, ids)).order_by(items.c.id)
        conn.execute(locked.with_for_update())
    views = {view.id: view for view in store.load_items(conn, run.id, ids)}
    together: dict[Decision, list[int]] = {}
    judged: list[int] = []
    with notifying.telling(conn, run):
        for row in rows:
            view = views.get(row.item_id)
            if view is None:
                tally.problem(row.number, "", "", f"the run has no item {row.item_id}")
                continue
            if row.base[0] > view.newest or row.base[1] > len(view.reviews):
                # Taken at its word, nothing that others did since the export would count.
                tally.problem(row.number, view.key, "", _HIDDEN_CHANGED)
                continue
            try:
                decision = _decide((run, frozen), view, row, actor, tally)
            except ConfigError as error:
                tally.problem(row.number, view.key, "", error.message)
                continue
            if decision is None:
                continue
            tally.counts[_COUNTED[decision.verdict]] += 1
            judged.append(view.id)
            if decision.edits or view.state not in WAITING:
                verdicts.write(conn, view, decision)
            else:
                together.setdefault(decision, []).append(view.id)
        for decision, some in together.items():
            verdicts.judge_many(conn, run.id, some, decision)
    store.drop_leases(conn, judged)
    changed = {name: n - before[name] for name, n in tally.counts.items() if n != before[name]}
    if set(changed) - {"unchanged"}:
        auditing.record(
            conn, actor, "run.import-reviews", f"run {run.name}", run.team_id, **changed
        )


_COUNTED = {"accept": "accepted", "reject": "rejected", "edit": "edited"}


def _decide(
    about: tuple[Run, Frozen],
    view: ItemView,
    row: _SheetRow,
    actor: Actor,
    tally: _Tally,
) -> Decision | None:
    """Decide what a row does to its item, and tell what is not done; None for nothing."""
    run, frozen = about
    if view.state in UNMADE_STATES:
        if row.verdict is not None:
            tally.problem(row.number, view.key, "", f"the item is {view.state} now")
        return None
    cells = _cells(run, frozen, view, row)
    alone = _alone(view, row.base, actor.name)
    merged = {name: one for name, (_, one) in cells.items()}
    decided = decide_row(row.verdict, view.state, merged, alone=alone)
    _tell(view, row, decided, merged, tally)
    if decided.action is None:
        tally.counts["unchanged"] += not (decided.conflicts or decided.undecided or decided.problem)
        return None
    decision = Decision(decided.action, state_after(decided.action, view.state), actor.name)
    if decided.action == "reject":
        return replace(decision, reason=why(row.reason, row.note))
    if decided.action == "accept":
        return decision
    names = shown_names(view, frozen)
    values = {
        names[place]: _value(view, frozen, place, one.yours)
        for name, (place, one) in cells.items()
        if name in decided.fields
    }
    edits = amended(view, frozen, values, {"sheet_row": row.number})
    tally.counts["unchanged"] += not edits
    return replace(decision, edits=edits) if edits else None


def _cells(
    run: Run, frozen: Frozen, view: ItemView, row: _SheetRow
) -> dict[str, tuple[tuple[str, str], Cell]]:
    """Give an item's fields by heading: their place, and what they were, are in the sheet, are."""
    names = shown_names(view, frozen)
    places = [(step.name, name) for step in frozen.assembly.steps for name in step.fields]
    places += [place for place in names if place not in set(places)]
    then, now = view.fields(until=row.base[0]), view.fields()
    found = {}
    for place in names:
        heading = heading_of(run, place, places)
        if heading not in row.cells:
            continue
        base = cell(then[place].values[place[1]]) if place in then else None
        theirs = cell(now[place].values[place[1]]) if place in now else None
        yours = row.cells[heading]
        if isinstance(base, str) and is_cut(base):
            yours = base  # part of it never was in the sheet
        found[heading] = (place, Cell(base, yours, theirs))
    return found


def _alone(view: ItemView, base: tuple[int, int], me: str) -> bool:
    """Say whether only the one who brings the sheet touched the item since it was exported."""
    newest, count = base
    others = any(one.by != me for one in view.reviews[count:])
    return not others and not any(
        made.since > newest and made.provenance.get("by") != me for made in view.made
    )


def _tell(
    view: ItemView,
    row: _SheetRow,
    decided: RowDecision,
    cells: Mapping[str, Cell],
    tally: _Tally,
) -> None:
    last = next((one.by for one in reversed(view.reviews) if one.by), None)
    by = next((m.provenance.get("by") for m in reversed(view.made) if m.origin == "human"), last)
    for name in decided.conflicts:
        yours: Any = row.verdict if not name else cells[name].yours
        theirs: Any = view.state if not name else cells[name].theirs
        who = (last if not name else by) or "somebody else"
        tally.conflict(Conflicting(row.number, view.key, view.target, name, yours, theirs, who))
    for name in decided.undecided:
        said = "the cell was changed, but the row has no verdict; choose edit to take it"
        tally.problem(row.number, view.key, name, said)
    if decided.problem:
        tally.problem(row.number, view.key, VERDICT, decided.problem)


def _value(view: ItemView, frozen: Frozen, place: tuple[str, str], text: Any) -> Any:
    """Read a cell as the value of a field: lists have an entry a line, objects are JSON."""
    step, name = place
    spec = frozen.specs(step, view).get(name)
    made = view.fields().get(place)
    kind = spec.type if spec is not None else type_of(made.values[name] if made else None)
    if kind == "string":
        return None if text is None else canonical(text) if not isinstance(text, str) else text
    if kind == "array" and text is not None:
        entries = [line.strip() for line in canonical(text).split("\n")]
        return [entry for entry in entries if entry]
    if kind == "object" and isinstance(text, str):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            raise ConfigError(f'“{name}” must be JSON, such as {{"a": 1}}') from None
    if spec is None and isinstance(text, str) and kind in ("number", "integer"):
        raise ConfigError(f"“{name}” must be a number")
    return text
