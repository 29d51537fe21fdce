"""The few formulas that drop-downs are made with: places, names, INDIRECT over texts of the row.

    'Lists'!$A$2:$A$50     Sizes     INDIRECT(SUBSTITUTE($B4, " ", "_") & "_size")

Everything else is not followed; then nothing is checked, and it is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from waremill.catalog.publishers.workbooks.parts import column_of

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"]|"")*")
    |(?P<place>(?:(?P<sheet>'(?:[^']|'')+'|[\w.]+)!)?
        (?:\$?[A-Za-z]{1,3}\$?\d{1,7}(?::\$?[A-Za-z]{1,3}\$?\d{1,7})?
        |\$?[A-Za-z]{1,3}:\$?[A-Za-z]{1,3})(?![\w(.]))
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<name>[^\W\d][\w.\\]*)
    |(?P<mark>[(),&=]))""",
    re.VERBOSE,
)
_PLACE = re.compile(r"(\$?)([A-Za-z]{1,3})(?:(\$?)(\d+))?(?::(\$?)([A-Za-z]{1,3})(?:(\$?)(\d+))?)?")
_DEEPEST = 12


class NotFollowed(Exception):
    """A formula is not one of the few that are followed."""


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of cells: columns from 0, rows from 1, both ends belong; None ends are open.

    `fixed` says, for a single cell, whether its row is written with a dollar sign.
    """

    sheet: str | None
    left: int
    top: int | None
    right: int
    bottom: int | None
    fixed: bool = True


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What formulas are worked out with.

    `cell` gives the text of a single cell; `lookup` gives an area's rows of texts.
    """

    names: Mapping[str, str]
    cell: Callable[[Area], str]
    lookup: Callable[[Area], list[list[str]]]


def area_of(formula: str, surroundings: Surroundings) -> Area:
    """Work out which cells a formula means; raise NotFollowed."""
    found = _Parser(formula, surroundings, 0).whole()
    if not isinstance(found, Area):
        raise NotFollowed
    return found


def read_area(text: str, sheet: str | None = None) -> Area:
    """Read a place such as `$A$2:$B$9`, `C:C` or `D4`; raise NotFollowed."""
    match = _PLACE.fullmatch(text)
    if match is None:
        raise NotFollowed
    _, left, dollar, top, _, right, _, bottom = match.groups()
    if right is None:
        right, bottom = left, top
    return Area(
        sheet, column_of(left), int(top) if top else None, column_of(right),
        int(bottom) if bottom else None, bool(dollar),
    )  # fmt: skip


class _Parser:
    """Reads one formula from left to right; its values are texts and areas."""

    def __init__(self, formula: str, surroundings: Surroundings, depth: int) -> None:
        if depth > _DEEPEST:
            raise NotFollowed
        self._text = formula.strip().removeprefix("=")
        self._place = 0
        self._with = surroundings
        self._depth = depth

    def whole(self) -> str | Area:
        found = self._joined()
        if self._text[self._place :].strip():
            raise NotFollowed
        return found

    def _next(self) -> re.Match[str]:
        match = _TOKEN.match(self._text, self._place)
        if match is None:
            raise NotFollowed
        self._place = match.end()
        return match

    def _mark(self, mark: str) -> bool:
        match = _TOKEN.match(self._text, self._place)
        if match is None or match["mark"] != mark:
            return False
        self._place = match.end()
        return True

    def _joined(self) -> str | Area:
        value = self._one()
        while self._mark("&"):
            value = self._as_text(value) + self._as_text(self._one())
        return value

    def _one(self) -> str | Area:
        token = self._next()
        if token["text"] is not None:
            return token["text"][1:-1].replace('""', '"')
        if token["number"] is not None:
            return token["number"]
        if token["place"] is not None:
            sheet = token["sheet"]
            if sheet is not None:
                sheet = sheet.strip("'").replace("''", "'")
            return read_area(token["place"].rpartition("!")[2], sheet)
        if token["mark"] == "(":
            value = self._joined()
            if not self._mark(")"):
                raise NotFollowed
            return value
        if token["name"] is None:
            raise NotFollowed
        if self._mark("("):
            return self._call(token["name"].upper().removeprefix("_XLFN."))
        return self._named(token["name"])

    def _named(self, name: str) -> str | Area:
        formula = self._with.names.get(name.casefold())
        if not formula:
            raise NotFollowed
        return _Parser(formula, self._with, self._depth + 1).whole()

    def _call(self, function: str) -> str | Area:
        given: list[str | Area] = []
        while not self._mark(")"):
            given.append(self._joined())
            if not self._mark(",") and not self._text[self._place :].lstrip().startswith(")"):
                raise NotFollowed
        if function == "INDIRECT" and given:
            return self._pointed(self._as_text(given[0]))
        if function == "VLOOKUP" and len(given) >= 3 and isinstance(given[1], Area):
            return self._found(self._as_text(given[0]), given[1], self._as_text(given[2]))
        texts = [self._as_text(one) for one in given]
        if function == "SUBSTITUTE" and len(texts) == 3 and texts[1]:
            return texts[0].replace(texts[1], texts[2])
        if function in ("CONCATENATE", "CONCAT"):
            return "".join(texts)
        if function in ("UPPER", "LOWER", "TRIM") and len(texts) == 1:
            changed = {"UPPER": texts[0].upper(), "LOWER": texts[0].lower()}
            return changed.get(function, " ".join(texts[0].split()))
        raise NotFollowed

    def _pointed(self, text: str) -> str | Area:
        if not text.strip():
            raise NotFollowed
        return _Parser(text, self._with, self._depth + 1).whole()

    def _found(self, text: str, area: Area, column: str) -> str:
        wanted, place = text.casefold(), int(float(column)) - 1
        for row in self._with.lookup(area):
            if row and row[0].casefold() == wanted and 0 <= place < len(row):
                return row[place]
        raise NotFollowed

    def _as_text(self, value: str | Area) -> str:
        return self._with.cell(value) if isinstance(value, Area) else value
