"""Right values to compare a trial with: from a file by key, from a column of the catalogue, or
from what people marked in earlier trials.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from waremill.app.assembly import Assembly
from waremill.catalog.reading import read_source
from waremill.domain import UNMADE_STATES
from waremill.errors import ConfigError, Where
from waremill.rules.document import suggestion
from waremill.runs.accuracy import Accuracy, Marked, Same, accuracy, exact, judge, normalised
from waremill.runs.intervals import Rate
from waremill.store.marks import Mark
from waremill.store.reporting import FinishedItem
from waremill.templates import load_template

KEYS = ("key", "_key", "sku", "id")
TARGET = "_target"
"""The column that says which target a row of a gold file is about; without it, about all."""


@dataclass(frozen=True, slots=True)
class Gold:
    """Right values by product key; a field that stands there as missing is right when absent.

    `column` names a column of the catalogue instead, which holds the only output field's value.
    `by_target` has what is right for one target only, by key and target.
    """

    rows: Mapping[str, Mapping[str, Any]]
    column: str | None = None
    field: str | None = None
    by_target: Mapping[tuple[str, str], Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    def of(self, item: FinishedItem) -> Mapping[str, Any] | None:
        """Give an item's right values; None where gold does not know the product."""
        if self.column is not None and self.field is not None:
            return {self.field: item.attributes.get(self.column)}
        own = self.by_target.get((item.key, item.target))
        every = self.rows.get(item.key)
        return {**(every or {}), **own} if own else every

    def same(self, _field: str) -> Same | None:
        """Give a field's own comparison; None for the usual one."""
        return None


class NotThis(str):
    """Stands for the right value where only a wrong one is known; it equals no value."""

    __slots__ = ()

    def __new__(cls, wrong: Any) -> NotThis:
        """Make it of the value that was marked wrong."""
        return super().__new__(cls, f"≠ {wrong}")


class MarkedGold:
    """What people marked, as gold for further trials of the same products.

    `closed` are the fields whose values can be told right from wrong by comparing: numbers, yes or
    no, values of a list. Of another field a mark only holds for the very value it was made about: a
    new text may be right as well. Fields in `once` are the same for all targets of a product.
    """

    def __init__(
        self, marks: Sequence[Mark], closed: Collection[str], once: Collection[str]
    ) -> None:
        self._closed = closed
        self._once = once
        self._fields = sorted({mark.field for mark in marks})
        self._marks: dict[tuple[int, str, str], dict[str, Mark]] = {}
        for mark in marks:  # the newest last: of two about one value it is the one that counts
            same_value = self._marks.setdefault(self._place(mark), {})
            same_value.pop(repr(mark.made), None)
            same_value[repr(mark.made)] = mark

    def _place(self, about: Mark | FinishedItem, name: str = "") -> tuple[int, str, str]:
        name = about.field if isinstance(about, Mark) else name
        return about.product_id, "" if name in self._once else about.target, name

    def of(self, item: FinishedItem) -> Mapping[str, Any] | None:
        """Give an item's right values; None where nobody marked anything that says."""
        found = {}
        for name in self._fields:
            by_value = self._marks.get(self._place(item, name))
            if not by_value:
                continue
            made = item.fields.get(name)
            mark = by_value.get(repr(made))
            known = [one.value for one in by_value.values() if one.verdict != "wrong"]
            if mark is not None:
                found[name] = NotThis(made) if mark.verdict == "wrong" else mark.value
            elif any(exact(made, value) for value in known):
                found[name] = made
            elif known and name in self._closed:
                found[name] = known[-1]
        return found or None

    def same(self, field: str) -> Same | None:
        """Give a field's own comparison: to the letter, where comparing is not telling."""
        return None if field in self._closed else exact


def gold_place(text: str | Path, root: Path) -> str:
    """Give gold's file as it can be found again from any folder, or its column as it is."""
    found = (path for path in (Path(text), root / text) if path.is_file())
    return next((str(path.resolve()) for path in found), str(text))


def load_gold(
    text: str, root: Path, columns: Sequence[str], fields: Sequence[str], key: str | None
) -> Gold:
    """Read gold from a file (also below the workspace) or take a column.

    Raises ConfigError where the file has no key column or no output field.
    """
    path = next((p for p in (Path(text), root / text) if p.is_file()), None)
    if path is None:
        if text not in columns:
            raise ConfigError(
                f"--gold “{text}” is neither a file nor a column{suggestion(text, columns)}"
            )
        if len(fields) != 1:
            raise ConfigError(
                f"--gold with a column needs a pipeline of one field; this one writes "
                f"{', '.join(fields)}: give a file with a column for each"
            )
        return Gold({}, text, fields[0])
    with read_source(str(path)) as reader:
        names = list(reader.columns)
        own = next((name for name in (key, *KEYS) if name in names), None)
        if own is None:
            raise ConfigError(
                f"the gold file needs a key column ({key or 'key'})", Where(file=str(path))
            )
        known = [name for name in names if name in fields] if fields else names
        if not known:
            raise ConfigError(
                f"no column is named as an output field ({', '.join(fields)})",
                Where(file=str(path)),
            )
        rows: dict[str, dict[str, Any]] = {}
        by_target: dict[tuple[str, str], dict[str, Any]] = {}
        for batch in reader.batches():
            for row in batch.rows:
                # A missing cell says that there is no such value: that is gold too. A JSON line
                # that does not name a field says nothing about it.
                values = {n: row[n] for n in known if n in row and n not in (own, TARGET)}
                key, target = str(row.get(own)), row.get(TARGET)
                if target:
                    by_target[key, str(target)] = values
                else:
                    rows[key] = values
    return Gold(rows, by_target=by_target)


def made_once(assembly: Assembly) -> frozenset[str]:
    """Name the output fields that are made once a product or group, whatever the target."""
    return frozenset(name for s in assembly.steps if s.per != "target" for name in s.fields)


def closed_fields(assembly: Assembly) -> frozenset[str]:
    """Name the output fields in which a value can be told right from wrong by comparing."""
    templates = [load_template(assembly.files, name) for name in assembly.templates]
    return frozenset(
        name
        for template in templates
        for name, one in template.fields.items()
        if one.type in ("number", "integer", "boolean") or one.values or one.choices
    )


@dataclass(frozen=True, slots=True)
class Compared:
    """A trial held against gold: by field, all together, and by item for the report."""

    by_field: Sequence[Accuracy]
    overall: Accuracy
    marks: Mapping[int, Mapping[str, tuple[Any, bool]]]


def compare(
    items: Sequence[FinishedItem],
    gold: Gold | MarkedGold,
    same: Mapping[str, Same],
    once: Collection[str],
) -> Compared | None:
    """Compare finished items with gold; None when gold knows none of them.

    Fields in `once` are made once a product, so several targets of it count as one case.
    """
    marked: list[Marked] = []
    counted: set[tuple[str, str]] = set()
    marks: dict[int, dict[str, tuple[Any, bool]]] = {}
    names = {name for item in items for name in item.fields}
    same = {**same, **{name: own for name in names if (own := gold.same(name)) is not None}}
    for item in items:
        right = gold.of(item)
        if right is None or item.state in UNMADE_STATES:
            continue
        for name, value in right.items():
            made = item.fields.get(name)
            if name not in once or (item.key, name) not in counted:
                marked.append(Marked(name, made, value))
                counted.add((item.key, name))
            verdict = judge(made, value, same.get(name, normalised()))
            marks.setdefault(item.id, {})[name] = (value, verdict in ("correct", "absent"))
    if not marked:
        return None
    by_field, overall = accuracy(marked, same)
    return Compared(by_field, overall, marks)


def accuracy_line(one: Accuracy) -> dict[str, Any]:
    """Give a field's accuracy as JSON; rates are [share, low, high, cases]."""
    return {
        "field": one.field or "all fields", "measure": "normalised", "correct": _rate(one.right),
        "exact": _rate(one.exact), "invented": _rate(one.invented), "missing": _rate(one.missed),
        "precision": one.values.precision, "recall": one.values.recall, "f1": one.values.f1,
        "token_f1": one.token_f1.mean if one.token_f1 else None, "more_marks": one.more_marks,
    }  # fmt: skip


def _rate(rate: Rate) -> list[float] | None:
    if rate.share is None or rate.interval is None:
        return None
    return [rate.share, rate.interval.low, rate.interval.high, rate.of]
