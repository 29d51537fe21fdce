"""Shopify's product CSV: one row a variant, those of a product below each other.

A group is a product and its members are the variants: they share the URL handle, and what belongs
to the product stands in the first row alone. Shopify clears what an empty cell stands for, so a row
that lacks a value of a mapped column is refused unless the mapping allows it. Columns and limits
are in `fields/shopify-csv.yaml`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from waremill.catalog.publishers.channel import (
    Channel,
    ChannelOptions,
    Judged,
    Problem,
    Record,
    channel_format,
)
from waremill.catalog.publishers.field_rules import (
    FieldRule,
    check_fields,
    checked,
    field_list,
    handle_of,
    identity_of,
)
from waremill.catalog.publishers.table import Written, flat, printable

_METAFIELD = re.compile(r".+ \(product\.metafields\.[\w-]+\.[\w-]+\)|.+ / .+")
"""A metafield's column, or one of a market, as `Price / South America`."""
_OPTIONS = tuple((f"Option{n} name", f"Option{n} value") for n in (1, 2, 3))
HANDLE = "URL handle"


@channel_format("shopify-csv", ".csv")
def open_channel(options: ChannelOptions) -> Channel:
    """Open a Shopify CSV; its mapping's columns are Shopify's, and metafields by their header."""
    check_fields(options.mapping, field_list("shopify-csv"), "Shopify's CSV", besides=_METAFIELD)
    return _Sheet(options)


class _Sheet:
    whole = True
    grouped = True

    def __init__(self, options: ChannelOptions) -> None:
        self.notes: Sequence[str] = ()
        self._mapping = options.mapping
        self._rules = field_list("shopify-csv").fields
        named = tuple(one.column for one in options.mapping.columns)
        self._mapped = named
        derived = (HANDLE, "Option1 name", "Option1 value")
        known = [name for name in self._rules if name in {*named, *derived}]
        self._columns = [*known, *(name for name in named if name not in self._rules)]

    def judge(self, records: Sequence[Record]) -> list[Judged]:
        return [self._judged(record) for record in records]

    def _judged(self, record: Record) -> Judged:
        values = record.effective(self._mapped)
        if HANDLE not in values:
            values[HANDLE] = handle_of(record.group or record.key)
        if record.group is None and "Option1 value" not in values:
            values |= {"Option1 name": "Title", "Option1 value": "Default Title"}
        found, problems = checked(values, self._rules, self._mapping)
        wrong = {one.field for one in problems}
        for column in self._mapping.columns:
            if column.column not in found and not column.allow_empty | (column.column in wrong):
                message = "it has no value, and Shopify clears what an empty cell stands for"
                problems.append(Problem(column.column, message))
        if record.group is not None:
            wanted = [name for pair in _OPTIONS[:1] for name in pair if name not in found]
            problems += [
                Problem(name, "a variant needs it, to be told from the others of its group")
                for name in wanted if name not in wrong
            ]  # fmt: skip
        return Judged(found, tuple(problems))

    def identity(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        return identity_of(values, HANDLE, *(value for _, value in _OPTIONS))

    def group_identity(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        return identity_of(values, HANDLE)

    def write(self, rows: Iterable[Sequence[Record]], out: Path, kind: str) -> Written:
        count = 0
        with out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self._columns)
            for group in rows:
                for place, record in enumerate(group):
                    writer.writerow([self._cell(record, name, place) for name in self._columns])
                    count += 1
        return Written(count)

    def _cell(self, record: Record, name: str, place: int) -> str:
        rule = self._rules.get(name, FieldRule(name, level="product"))
        if place and rule.level == "product":
            return ""
        return _text(record.values.get(name))

    def close(self) -> None:
        return None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, list):
        return ", ".join(_text(one) for one in value)
    return printable(str(flat(value)))
