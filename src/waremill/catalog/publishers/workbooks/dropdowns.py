"""What a sheet's data validations allow in a cell: lists, lengths and numbers.

Lists are literals, places on this or other sheets (hidden ones too), named ranges, and INDIRECT
over other cells of the row; those of the extension list (x14), which Excel writes for lists on
other sheets, count the same. A rule whose error style is a warning only suggests.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from waremill.catalog.publishers.field_rules import folded, listed
from waremill.catalog.publishers.workbooks.formulas import (
    Area,
    NotFollowed,
    Surroundings,
    area_of,
    read_area,
)
from waremill.catalog.publishers.workbooks.parts import Workbook

_SUGGESTS = ("warning", "information")
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "equal": operator.eq, "notEqual": operator.ne, "greaterThan": operator.gt,
    "lessThan": operator.lt, "greaterThanOrEqual": operator.ge, "lessThanOrEqual": operator.le,
}  # fmt: skip
_REMEMBERED = 20_000
"""Verdicts on texts that are kept, so that a wrong value of many rows is looked up once."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A data validation: its kind, its formulas, the cells it is for, whether it only suggests."""

    kind: str
    operator: str
    first: str
    second: str
    areas: tuple[Area, ...]
    suggests: bool

    def covers(self, column: int, row: int | None) -> bool:
        """Say whether it is for a cell; without a row, for any cell of the column."""
        return any(
            one.left <= column <= one.right
            and (row is None or (one.top or 1) <= row <= (one.bottom or 1 << 20))
            for one in self.areas
        )


def read_rules(around: bytes) -> list[Rule]:
    """Read the validations of a sheet from its XML without rows."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    root = etree.fromstring(around, parser)
    found = []
    for one in root.iter("{*}dataValidation"):
        places = one.get("sqref") or _text(one, "sqref")
        areas = []
        for place in places.split():
            try:
                areas.append(read_area(place))
            except NotFollowed:
                continue
        rule = Rule(
            one.get("type", "none"), one.get("operator", "between"), _text(one, "formula1"),
            _text(one, "formula2"), tuple(areas), one.get("errorStyle") in _SUGGESTS,
        )  # fmt: skip
        if rule.kind != "none" and areas:
            found.append(rule)
    return found


def _text(element: Any, name: str) -> str:
    part = element.find(f"{{*}}{name}")
    return "" if part is None else "".join(part.itertext()).strip()


class Dropdowns:
    """The validations of a sheet, worked out for a row's cells.

    `notes` says which could not be followed.
    """

    def __init__(self, book: Workbook, sheet: str, rules: list[Rule]) -> None:
        self._book = book
        self._sheet = sheet
        self._rules = rules
        self._lists: dict[tuple[Any, ...], dict[str, str]] = {}
        self._verdicts: dict[tuple[int, str], str | ValueError] = {}
        self.notes: dict[str, None] = {}

    def rule(self, column: int, row: int | None) -> Rule | None:
        """Give the rule for a column's cell in a row, else the column's first one."""
        fitting = [one for one in self._rules if one.covers(column, row)]
        fitting = fitting or [one for one in self._rules if one.covers(column, None)]
        return fitting[0] if fitting else None

    def referred(self, columns: list[int]) -> set[int]:
        """Give the columns whose cells the rules of these columns may look at."""
        found: set[int] = set()
        for one in columns:
            rule = self.rule(one, None)
            if rule is not None and rule.kind == "list" and "(" in rule.first:
                for letters in re.findall(r"\$?\b([A-Z]{1,3})\$?\d+\b", rule.first):
                    found.add(read_area(letters + "1").left)
        return found

    def check(
        self, value: Any, column: int, row: int | None, cells: Callable[[int], str], name: str
    ) -> Any:
        """Check a value for a column's cell; give it in the list's own spelling.

        `cells` gives the texts of the row's other cells by column. Raises ValueError with one
        sentence for a value that is not allowed.
        """
        rule = self.rule(column, row)
        if rule is None or rule.suggests:
            return value
        if rule.kind == "list":
            known = self._known(rule, cells, name)
            return value if known is None else self._listed(known, str(value))
        if rule.kind == "textLength":
            if bounds := self._broken(rule, len(str(value)), name):
                raise ValueError(
                    f"it has {len(str(value)):,} characters; the workbook allows {bounds}"
                )
        elif rule.kind in ("whole", "decimal"):
            try:
                number = float(str(value))
            except ValueError:
                raise ValueError(f"“{value}” is no number") from None
            if rule.kind == "whole" and number != int(number):
                raise ValueError(f"“{value}” is no whole number")
            if bounds := self._broken(rule, number, name):
                raise ValueError(f"it is {number:g}; the workbook allows {bounds}")
        return value

    def _listed(self, known: dict[str, str], text: str) -> str:
        key = (id(known), text)
        verdict = self._verdicts.get(key)
        if verdict is None:
            try:
                verdict = listed(text, known)
            except ValueError as problem:
                verdict = problem
            if len(self._verdicts) < _REMEMBERED:
                self._verdicts[key] = verdict
        if isinstance(verdict, ValueError):
            raise ValueError(str(verdict))
        return verdict

    def _known(self, rule: Rule, cells: Callable[[int], str], name: str) -> dict[str, str] | None:
        """Give a list's entries by their folded text; None where it cannot be followed."""
        if rule.first.startswith('"'):
            key: tuple[Any, ...] = ("literal", rule.first)
            if key not in self._lists:
                parts = rule.first.strip('"').replace('""', '"').split(",")
                self._lists[key] = {folded(one): one.strip() for one in parts if one.strip()}
            return self._lists[key]
        surroundings = Surroundings(
            self._book.names, lambda area: self._cell(area, rule, cells), self._rows
        )
        try:
            area = area_of(rule.first, surroundings)
        except NotFollowed:
            self._note(name)
            return None
        key = (area.sheet, area.left, area.top, area.right, area.bottom)
        if key not in self._lists:
            texts = [text for row in self._rows(area) for text in row if text.strip()]
            self._lists[key] = {folded(text): text for text in reversed(texts)}
        if not self._lists[key]:
            self._note(name)
            return None
        return self._lists[key]

    def _note(self, name: str) -> None:
        self.notes[f"the drop-down of “{name}” could not be followed, so it was not checked"] = None

    def _cell(self, area: Area, rule: Rule, cells: Callable[[int], str]) -> str:
        """Give a cell's text: of the row that is filled, or of a fixed place."""
        single = area.left == area.right and area.top == area.bottom and area.top is not None
        if not single:
            raise NotFollowed
        own = area.sheet is None or area.sheet.casefold() == self._sheet.casefold()
        if own and not area.fixed:
            if area.top != min((one.top or 1) for one in rule.areas):
                raise NotFollowed  # it looks at another row
            return cells(area.left)
        rows = self._rows(area)
        return rows[0][0] if rows and rows[0] else ""

    def _rows(self, area: Area) -> list[list[str]]:
        rows = self._texts(area.sheet or self._sheet)
        top = (area.top or 1) - 1
        bottom = len(rows) if area.bottom is None else area.bottom
        return [
            [_shown(value) for value in row[area.left : area.right + 1]] for row in rows[top:bottom]
        ]

    def _texts(self, sheet: str) -> list[list[Any]]:
        names = {one.casefold(): one for one in self._reader.sheet_names}
        name = names.get(sheet.casefold())
        if name is None:
            raise NotFollowed
        if name not in self._sheets:
            found = self._reader.get_sheet_by_name(name).to_python(skip_empty_area=False)
            self._sheets[name] = found
        return self._sheets[name]

    @cached_property
    def _sheets(self) -> dict[str, list[list[Any]]]:
        return {}

    @cached_property
    def _reader(self) -> Any:
        import python_calamine as calamine

        try:
            return _open(calamine, self._book)
        except calamine.CalamineError:  # a sheet of a kind it does not know
            raise NotFollowed from None

    def _broken(self, rule: Rule, number: float, name: str) -> str | None:
        """Say what a rule allows where it does not allow a number; None where it does."""
        try:
            first = float(rule.first)
            second = float(rule.second) if "etween" in rule.operator else first
        except ValueError:
            self._note(name)
            return None
        inside = first <= number <= second
        if rule.operator == "between":
            allowed, bounds = inside, f"from {first:g} to {second:g}"
        elif rule.operator == "notBetween":
            allowed, bounds = not inside, f"outside {first:g} to {second:g}"
        else:
            compare = _OPERATORS.get(rule.operator, _OPERATORS["equal"])
            allowed = compare(number, first)
            bounds = f"{_WORDS.get(rule.operator, '')} {first:g}"
        return None if allowed else bounds


_WORDS = {
    "equal": "exactly", "notEqual": "anything but", "greaterThan": "more than",
    "lessThan": "less than", "greaterThanOrEqual": "at least", "lessThanOrEqual": "at most",
}  # fmt: skip


def _open(library: Any, book: Workbook) -> Any:
    return library.CalamineWorkbook.from_path(str(book.path))


def _shown(value: Any) -> str:
    """Give a cell's value as its text stands in a list."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return str(value).strip()
