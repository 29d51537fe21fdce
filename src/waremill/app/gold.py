"""Right values to compare a trial with: from a file by key, or from a column of the catalogue."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from waremill.catalog.reading import read_source
from waremill.errors import ConfigError, Where
from waremill.rules.document import suggestion
from waremill.runs.accuracy import Accuracy, Marked, Same, accuracy, judge, normalised
from waremill.runs.intervals import Rate
from waremill.store.reporting import FinishedItem

KEYS = ("key", "_key", "sku", "id")


@dataclass(frozen=True, slots=True)
class Gold:
    """Right values by product key; a field that stands there as missing is right when absent.

    `column` names a column of the catalogue instead, which holds the only output field's value.
    """

    rows: Mapping[str, Mapping[str, Any]]
    column: str | None = None
    field: str | None = None

    def of(self, item: FinishedItem) -> Mapping[str, Any] | None:
        """Give an item's right values; None where gold does not know the product."""
        if self.column is not None and self.field is not None:
            return {self.field: item.attributes.get(self.column)}
        return self.rows.get(item.key)


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
        rows = {}
        for batch in reader.batches():
            for row in batch.rows:
                # A missing cell says that there is no such value: that is gold too. A JSON line
                # that does not name a field says nothing about it.
                rows[str(row.get(own))] = {n: row[n] for n in known if n in row and n != own}
    return Gold(rows)


@dataclass(frozen=True, slots=True)
class Compared:
    """A trial held against gold: by field, all together, and by item for the report."""

    by_field: Sequence[Accuracy]
    overall: Accuracy
    marks: Mapping[int, Mapping[str, tuple[Any, bool]]]


def compare(
    items: Sequence[FinishedItem], gold: Gold, same: Mapping[str, Same], once: Collection[str]
) -> Compared | None:
    """Compare finished items with gold; None when gold knows none of them.

    Fields in `once` are made once a product, so several targets of it count as one case.
    """
    marked: list[Marked] = []
    counted: set[tuple[str, str]] = set()
    marks: dict[int, dict[str, tuple[Any, bool]]] = {}
    for item in items:
        right = gold.of(item)
        if right is None or item.state in ("pending", "failed"):
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
