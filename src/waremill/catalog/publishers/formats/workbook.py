"""The marketplace's own workbook, filled: Amazon's, Shopee's, Lazada's, TikTok Shop's and others'.

The channel's `template` is the file as the marketplace gives it; it is never changed. What is
published is written into a copy of it: header rows, hidden sheets, drop-downs, macros and styles
stay as they are. A mapping's columns are named as in the row that names them; `header` says which
that is (default: the one with most of the mapping's names), `first_row` where products begin
(default: below it), `sheet` which sheet (default: the first that is shown). With `key`, a row that
holds the product already is filled instead of a new one.

A value that the cell's drop-down or length does not allow is a refusal of its row. Lists may be
literal, on other sheets, named, or chosen by INDIRECT; a list that cannot be followed is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
from waremill.catalog.publishers.field_rules import checked, identity_of
from waremill.catalog.publishers.mapping import column_names
from waremill.catalog.publishers.table import Written, flat
from waremill.catalog.publishers.workbooks.filling import LONGEST, Filling, Wanted
from waremill.catalog.publishers.workbooks.parts import letters_of
from waremill.errors import ConfigError, Where


@channel_format("workbook", ".xlsx", ".xlsm", options=("key", "sheet", "header", "first_row"))
def open_channel(options: ChannelOptions) -> Channel:
    """Open a marketplace's workbook; its mapping's columns are those of its header row."""
    if options.template is None:
        raise ConfigError(
            'name the marketplace\'s workbook: template = "publish/FILE.xlsx"',
            Where("waremill.toml"),
        )
    return _Workbook(options, options.template)


class _Workbook:
    whole = True
    grouped = False

    def __init__(self, options: ChannelOptions, template: Path) -> None:
        mapping = options.mapping
        self._mapping = mapping
        self._names = column_names(mapping.columns)
        self._key = _one(options, "key")
        if self._key is not None and self._key not in self._names:
            raise ConfigError(
                f"“key” names no column of the mapping: “{self._key}”", mapping.where()
            )
        wanted = Wanted(
            self._names, _one(options, "sheet"), _row(options, "header"),
            _row(options, "first_row"), self._key, mapping.where(),
        )  # fmt: skip
        self._filling = Filling(template, wanted)

    @property
    def notes(self) -> Sequence[str]:
        return tuple(self._filling.dropdowns.notes)

    def judge(self, records: Sequence[Record]) -> list[Judged]:
        return [self._judged(record) for record in records]

    def _judged(self, record: Record) -> Judged:
        values, problems = checked(record.effective(self._names), {}, self._mapping)
        key = str(values.get(self._key, "")) if self._key is not None else ""
        row = self._filling.layout.keys.get(key)
        if self._key is not None and not key and not problems:
            problems.append(Problem(self._key, "it needs a value"))
        cells = self._cells(values, row)
        for name, value in list(values.items()):
            try:
                values[name] = self._allowed(name, value, row, cells)
            except ValueError as problem:
                problems.append(Problem(name, str(problem)))
        placed = tuple(
            Problem(one.field, one.message, self._place(one.field, row)) for one in problems
        )
        return Judged(values, placed)

    def identity(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        return () if self._key is None else identity_of(values, self._key)

    def group_identity(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        return ()

    def _cells(self, values: dict[str, Any], row: int | None) -> Callable[[int], str]:
        """Give a function for the texts of a row's cells, as they will be."""
        layout = self._filling.layout
        names = {column: name for name, column in layout.columns.items()}
        standing = layout.others.get(row, {}) if row is not None else {}

        def text(column: int) -> str:
            value = values.get(names.get(column, ""))
            return standing.get(column, "") if value is None else str(flat(value))

        return text

    def _allowed(self, name: str, value: Any, row: int | None, cells: Callable[[int], str]) -> Any:
        column = self._mapping.column(name)
        free = column is not None and column.free
        if not free:
            place = self._filling.layout.columns[name]
            value = self._filling.dropdowns.check(value, place, row, cells, name)
        if isinstance(value, str) and len(value) > LONGEST:
            raise ValueError(f"it has {len(value):,} characters, {LONGEST:,} are allowed")
        return value

    def _place(self, name: str, row: int | None) -> str:
        layout = self._filling.layout
        column = layout.columns.get(name)
        cell = "" if column is None else letters_of(column)
        at = f"cell {cell}{row}" if row is not None else f"column {cell}"
        return f"sheet “{layout.sheet.name}”, {at}"

    def write(self, rows: Iterable[Sequence[Record]], out: Path, kind: str) -> Written:
        return Written(
            self._filling.write(
                (
                    (str(flat(record.values.get(self._key))) if self._key else None, record.values)
                    for group in rows
                    for record in group
                ),
                out,
            )
        )

    def close(self) -> None:
        self._filling.close()


def _one(options: ChannelOptions, name: str) -> str | None:
    given = options.mapping.options.get(name) or ()
    if len(given) > 1:
        raise ConfigError(f"“{name}” takes one value", options.mapping.where())
    return given[0] if given else None


def _row(options: ChannelOptions, name: str) -> int | None:
    text = _one(options, name)
    if text is None:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 1_048_576:
        raise ConfigError(f"“{name}” must be a row's number, not “{text}”", options.mapping.where())
    return int(text)
