"""The use case *mark a trial*: preview cards, a verdict on each field, the accuracy they come to.

Marks are kept with the trial, become gold for later trials of the same products, and leave as a
gold file. Nothing here accepts an item.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import orjson
from sqlalchemy import Connection

from waremill.app import auditing, trialling
from waremill.app.assembly import Assembly
from waremill.app.finding import find_run
from waremill.app.gold import TARGET, made_once
from waremill.app.picture_cards import HEAT_MAP, VARIANTS, owner_of, pictures_of
from waremill.app.working import thaw
from waremill.domain import Asset, is_missing
from waremill.errors import ConfigError, Conflict, NotFound
from waremill.runs.intervals import more_marks, wilson
from waremill.store import marks as store_marks
from waremill.store import reporting
from waremill.store.database import Database
from waremill.store.marks import Mark, Verdict
from waremill.store.reporting import FinishedItem
from waremill.templates import load_template

if TYPE_CHECKING:
    from waremill.app.acting import Role
    from waremill.app.workspace import Workspace
    from waremill.store.runs import Run

VERDICTS: tuple[Verdict, ...] = ("right", "wrong", "corrected")
MOST_CARDS = 500
MOST_KEPT = 16
"""Trials whose pipeline is kept built."""
LONGEST_VALUE = 64 * 1024
"""Most bytes a corrected value may have as JSON."""


@dataclass(frozen=True, slots=True)
class TrialField:
    """One field of a card: its value, what the checks found, and the mark on it, if any.

    `type` is the field's in the output contract: string, number, integer, boolean, array, object.
    `limit` is the most characters (of an entry, in a list); `choices` are the values it may have,
    of a picture its variants. `heat_map` shows where a check found a picture changed; `made_from`
    is the attribute whose picture it began with.
    """

    name: str
    type: str
    value: Any
    findings: tuple[str, ...]
    limit: int | None = None
    choices: tuple[str, ...] = ()
    mark: Mark | None = None
    heat_map: Asset | None = None
    made_from: str | None = None


@dataclass(frozen=True, slots=True)
class TrialCard:
    """A finished item of a trial, to be marked.

    `source` are the attributes the templates read, in their order, and `more` all others. A field
    that is made once a product stands on the card of its first target only.
    """

    item_id: int
    key: str
    target: str
    state: str
    source: Mapping[str, Any]
    more: Mapping[str, Any]
    fields: tuple[TrialField, ...]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class FieldScore:
    """How many of a field's marks are right; `low` and `high` are Wilson's 95 % interval.

    `field` is empty for all fields together. Without a mark, low and high are 0 and 1.
    """

    field: str
    right: int
    marked: int
    low: float
    high: float

    @property
    def share(self) -> float | None:
        """The share of right ones, None where nothing is marked."""
        return self.right / self.marked if self.marked else None


@dataclass(frozen=True, slots=True)
class Score:
    """A trial's accuracy by its marks; `more_for_5_points` more bring it to ±5 points."""

    by_field: tuple[FieldScore, ...]
    overall: FieldScore
    more_for_5_points: int


class Marking:
    """Marks on the items of trials."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    async def cards(self, run: str, *, after: int = 0, size: int = 100) -> tuple[TrialCard, ...]:
        """Give a trial's finished items whose ids follow `after`, in order, at most `size`.

        Raises Conflict for a run that is no trial.
        """
        found = await self._find(run, "viewer")
        frozen = await self._thawed(found)
        size = max(1, min(size, MOST_CARDS))

        def read(conn: Connection) -> tuple[list[FinishedItem], list[Mark], set[int]]:
            page = reporting.item_page(conn, found.id, after, _FINISHED, size)
            first = reporting.item_page(conn, found.id, after - 1, None, 1) if after else []
            marks = store_marks.marks_of_run(conn, found.id)
            return page, marks, {item.product_id for item in first}

        page, marks, shown = await self._workspace.database.read(read)
        marked = {(mark.item_id, mark.field): mark for mark in marks}
        cards = []
        for item in page:
            cards.append(_card(item, frozen, marked, again=item.product_id in shown))
            shown = {item.product_id}  # a product's targets follow each other
        return tuple(cards)

    async def mark(
        self, run: str, item_id: int, field: str, verdict: str, value: Any = None
    ) -> Score:
        """Mark one field of one item and give the score after it.

        `value` is the right one, of a corrected field; one that equals what is there means right.
        Marking again replaces the mark. Raises NotFound where there is no such item or field.
        """
        found = await self._find(run, "reviewer")
        frozen = await self._thawed(found)
        if verdict not in VERDICTS:
            raise ConfigError(f"a mark is right, wrong or corrected, not “{verdict}”")
        if verdict == "corrected" and len(orjson.dumps(value)) > LONGEST_VALUE:
            raise ConfigError(f"a corrected value has at most {LONGEST_VALUE // 1024} KB")
        actor = self._workspace.actor

        def write(conn: Connection) -> Score:
            item = _item(conn, found, item_id)
            if field not in frozen.fields and field not in item.fields:
                raise NotFound(f"item {item_id} has no field “{field}”")
            made = item.fields.get(field)
            right = _right(verdict, made, value)
            mark = Mark(
                item.id, item.product_id, item.target, field, _verdict(verdict, made, right), made,
                right, actor.name, time.time(),
            )  # fmt: skip
            store_marks.put_mark(conn, mark)
            subject = f"run {found.name}"
            auditing.record(
                conn, actor, "trial.mark", subject, found.team_id,
                item=item_id, field=field, verdict=mark.verdict,
            )  # fmt: skip
            return _score(store_marks.marks_of_run(conn, found.id), frozen)

        return await self._workspace.database.write(write)

    async def unmark(self, run: str, item_id: int, field: str) -> Score:
        """Take a mark back and give the score after it; no mark there is no error."""
        found = await self._find(run, "reviewer")
        frozen = await self._thawed(found)
        actor = self._workspace.actor

        def write(conn: Connection) -> Score:
            if store_marks.drop_mark(conn, _item(conn, found, item_id).id, field):
                auditing.record(
                    conn, actor, "trial.unmark", f"run {found.name}", found.team_id,
                    item=item_id, field=field,
                )  # fmt: skip
            return _score(store_marks.marks_of_run(conn, found.id), frozen)

        return await self._workspace.database.write(write)

    async def score(self, run: str) -> Score:
        """Give a trial's accuracy by its marks."""
        found = await self._find(run, "viewer")
        frozen = await self._thawed(found)
        marks = await self._workspace.database.read(store_marks.marks_of_run, found.id)
        return _score(marks, frozen)

    async def settle(self, run: str) -> None:
        """Bring what a finished trial says of itself, and so its report, up to its marks."""
        found = await self._find(run, "reviewer")
        await trialling.summarise(self._workspace, found)

    async def gold(self, run: str) -> str:
        """Give a trial's marks as a gold file's JSON lines: key, target, and the right values.

        A field marked wrong without a correction is not in it: its right value is not known.
        """
        found = await self._find(run, "viewer")
        frozen = await self._thawed(found)

        def read(conn: Connection) -> dict[tuple[str, str], dict[str, Any]]:
            marks = store_marks.marks_of_run(conn, found.id)
            keys = {
                item.id: item.key for page in reporting.item_pages(conn, found.id) for item in page
            }
            rows: dict[tuple[str, str], dict[str, Any]] = {}
            for mark in marks:
                if mark.verdict != "wrong":
                    target = "" if mark.field in frozen.once else mark.target
                    rows.setdefault((keys[mark.item_id], target), {})[mark.field] = mark.value
            return rows

        rows = await self._workspace.database.read(read)
        lines = [
            orjson.dumps({"key": key, **({TARGET: target} if target else {}), **values}).decode()
            for (key, target), values in rows.items()
        ]
        return "".join(f"{line}\n" for line in lines)

    async def _find(self, name: str, role: Role) -> Run:
        run = await find_run(self._workspace.database, self._workspace.actor, name, role)
        if run.kind != "trial":
            raise Conflict(f"run {run.name} is no trial; its items are reviewed, not marked")
        return run

    async def _thawed(self, run: Run) -> _Frozen:
        """Build what a trial was frozen with; a mark a second must not do that each time."""
        settings, database = self._workspace.settings, self._workspace.database
        kept = _KEPT.setdefault(database, {})
        if run.id not in kept:
            frozen = _frozen(await thaw(settings, database, run, check_models=False))
            if len(kept) >= MOST_KEPT:
                del kept[next(iter(kept))]
            kept[run.id] = frozen
        return kept[run.id]


_FINISHED = ("ready", "review", "accepted", "edited", "rejected")


@dataclass(frozen=True, slots=True)
class _Frozen:
    """What a trial's pipeline says about its fields and about what they are made from."""

    fields: Mapping[str, TrialField]
    once: frozenset[str]
    used: tuple[str, ...]
    steps: tuple[tuple[tuple[str, ...], Callable[[Mapping[str, Any]], bool] | None], ...]
    """By step that always asks for the same fields: these, and when it does."""

    def asked(self, item: FinishedItem) -> set[str]:
        """Name the fields an item was to have: those a sheet leaves open."""
        values = {**item.attributes, **item.fields}
        return {
            name
            for names, when in self.steps
            if when is None or when(values)
            for name in names
            if is_missing(item.attributes.get(name))
        }


_KEPT: WeakKeyDictionary[Database, dict[int, _Frozen]] = WeakKeyDictionary()


def _frozen(assembly: Assembly) -> _Frozen:
    fields: dict[str, TrialField] = {}
    used: dict[str, None] = {}
    by_schema: set[str] = set()
    for name in assembly.templates:
        template = load_template(assembly.files, name)
        if template.schema_output is not None:  # which fields depends on the category
            by_schema |= set(template.fields)
        used |= dict.fromkeys(one.name for one in template.inputs)
        used |= dict.fromkeys(sorted(template.variables))
        for field, one in template.fields.items():
            limit = one.item_max_chars if one.type == "array" else one.max_chars
            fields[field] = TrialField(field, one.type, None, (), limit, one.values)
    for field in assembly.fields:
        fields.setdefault(field, TrialField(field, "string", None, ()))
    roots: dict[str, str] = {}
    for step in assembly.steps:
        used |= dict.fromkeys(step.provenance.get("pictures", ()))
        for source in step.provenance.get("pictures", ())[:1]:
            roots |= dict.fromkeys(step.fields, roots.get(source, source))
    for field, root in roots.items():
        fields[field] = replace(fields[field], made_from=root)
    steps = tuple(
        (tuple(name for name in step.fields if name not in by_schema), step.when)
        for step in assembly.steps
    )
    own = tuple(name for name in used if name not in fields)
    return _Frozen(fields, made_once(assembly), own, steps)


def _card(
    item: FinishedItem, frozen: _Frozen, marks: Mapping[tuple[int, str], Mark], *, again: bool
) -> TrialCard:
    fields = []
    asked = frozen.asked(item)
    names = [name for name in frozen.fields if name in item.fields or name in asked]
    names += [name for name in item.fields if name not in frozen.fields]
    for name in names:
        if again and name in frozen.once:
            continue
        if owner_of(name, item.fields) is not None and pictures_of(item.fields.get(name)):
            continue  # it stands with the picture it belongs to
        spec = frozen.fields.get(name) or TrialField(name, "string", None, ())
        found = [one for one in item.findings if one["field"] == name]
        variants = pictures_of(item.fields.get(name + VARIANTS))
        heat_map = next(iter(pictures_of(item.fields.get(name + HEAT_MAP))), None)
        fields.append(
            TrialField(name, spec.type, item.fields.get(name),
                       tuple(one["message"] for one in found), spec.limit,
                       tuple(map(str, variants)) or spec.choices, marks.get((item.id, name)),
                       heat_map, spec.made_from)
        )  # fmt: skip
    used = [name for name in frozen.used if not is_missing(item.attributes.get(name))]
    error = None if item.error is None else str(item.error.get("message", ""))
    return TrialCard(
        item.id, item.key, item.target, item.state,
        {name: item.attributes[name] for name in used},
        {n: v for n, v in item.attributes.items() if n not in used and not is_missing(v)},
        tuple(fields), error,
    )  # fmt: skip


def _item(conn: Connection, run: Run, item_id: int) -> FinishedItem:
    found = reporting.item_page(conn, run.id, item_id - 1, _FINISHED, 1)
    if not found or found[0].id != item_id:
        raise NotFound(f"run {run.name} has no finished item {item_id}")
    return found[0]


def _right(verdict: str, made: Any, value: Any) -> Any:
    if verdict == "wrong":
        return None
    return made if verdict == "right" else value


def _verdict(verdict: str, made: Any, right: Any) -> Verdict:
    if verdict == "wrong":
        return "wrong"
    unchanged = made == right or (is_missing(made) and is_missing(right))
    return "right" if unchanged else "corrected"


def _score(marks: Sequence[Mark], frozen: _Frozen) -> Score:
    """Add marks up; of a field that is made once a product, the first mark on a product counts."""
    verdicts: dict[str, dict[tuple[int, str], bool]] = {}
    for mark in marks:
        place = (mark.product_id, "" if mark.field in frozen.once else mark.target)
        verdicts.setdefault(mark.field, {}).setdefault(place, mark.verdict == "right")
    order = [*frozen.fields, *(name for name in verdicts if name not in frozen.fields)]
    by_field = [_field_score(name, verdicts[name].values()) for name in order if name in verdicts]
    right, marked = sum(one.right for one in by_field), sum(one.marked for one in by_field)
    return Score(
        tuple(by_field),
        _field_score("", [True] * right + [False] * (marked - right)),
        more_marks(right, marked),
    )


def _field_score(name: str, verdicts: Iterable[bool]) -> FieldScore:
    every = list(verdicts)
    if not every:
        return FieldScore(name, 0, 0, 0.0, 1.0)
    interval = wilson(sum(every), len(every))
    return FieldScore(name, sum(every), len(every), interval.low, interval.high)


__all__ = [
    "VERDICTS",
    "FieldScore",
    "Mark",
    "Marking",
    "Score",
    "TrialCard",
    "TrialField",
    "Verdict",
]
