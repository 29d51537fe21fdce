"""What every publisher is handed, and how values become what a cell can hold.

Pure data and pure functions: nothing here opens a file.
"""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson

ColumnKind = Literal["source", "generated", "status"]
LIST_SEPARATOR = " | "

_SURROGATES = re.compile("[\ud800-\udfff]")
# What XML 1.0 cannot hold (its production 2, Char) and the C1 controls, which nothing can show;
# tab and line feed stay, a carriage return is turned into a line feed first.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an output.

    `kind` tells the source's own columns, generated ones and the status columns apart, so that a
    sheet can shade them differently.
    """

    name: str
    kind: ColumnKind = "source"


@dataclass(frozen=True, slots=True)
class PictureCell:
    """A picture written beside the file: its text is `path`, from the file's folder.

    `thumbnail` is a small copy on disk for a format that shows pictures.
    """

    path: str
    thumbnail: Path | None = None

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class TextOptions:
    """How csv and tsv files are written.

    `byte_order_mark` is what makes Excel read UTF-8; `newline` ends each row; `formula_safe` puts
    an apostrophe before text that a spreadsheet would run as a formula.
    """

    byte_order_mark: bool = True
    newline: Literal["\r\n", "\n"] = "\r\n"
    formula_safe: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and a stream of rows, read once. `total` is the number of rows where it is known."""

    columns: tuple[Column, ...]
    rows: Iterable[Sequence[Any]]
    sheet: str = "Products"
    total: int | None = None
    text: TextOptions = field(default_factory=TextOptions)


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the number of rows below the header, and notes on what was changed."""

    rows: int
    notes: tuple[str, ...] = ()


Publisher = Callable[[Table, Path], Written]
"""Writes a table to a path that exists already and is empty."""


def publisher(*suffixes: str) -> Callable[[Publisher], Publisher]:
    """Mark a function as the publisher of files with these suffixes; leave it as it is."""

    def mark(function: Publisher) -> Publisher:
        function.suffixes = suffixes  # type: ignore[attr-defined]  # functions carry attributes
        return function

    return mark


def suffixes_of(value: object) -> tuple[str, ...]:
    """Give the suffixes a publisher was marked with; none for anything else."""
    suffixes = getattr(value, "suffixes", ())
    return suffixes if callable(value) and isinstance(suffixes, tuple) else ()


def column_names(columns: Sequence[Column]) -> list[str]:
    """Give every column a clean name that no other column has: `size`, `size (2)`, `column 7`."""
    taken: set[str] = set()
    names = []
    for position, column in enumerate(columns, 1):
        wanted = printable(column.name).strip() or f"column {position}"
        name, repeat = wanted, 2
        while name in taken:
            name, repeat = f"{wanted} ({repeat})", repeat + 1
        taken.add(name)
        names.append(name)
    return names


def printable(text: str) -> str:
    """Drop control characters and broken surrogates; line ends become line feeds."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNPRINTABLE.sub("", text) if _UNPRINTABLE.search(text) else text


def flat(value: Any) -> Any:
    """Turn a value into text, number, boolean or None: what one cell can hold.

    A list of plain values is joined with ` | `; any other list and a mapping become JSON text; not
    a number becomes None, an infinite number the text `inf` or `-inf`; dates become ISO 8601 text.
    """
    kind = type(value)
    if kind is str:
        return printable(value)
    if value is None or kind is bool or kind is int:
        return value
    if kind is float:
        return value if value - value == 0 else (None if value != value else str(value))
    value = plain(value)
    if isinstance(value, list) and not any(isinstance(part, (list, dict)) for part in value):
        return LIST_SEPARATOR.join(_as_text(part) for part in value)
    if isinstance(value, (list, dict)):
        return printable(json_text(value))
    return flat(value) if type(value) is not kind else printable(str(value))


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return printable(str(value))


def plain(value: Any) -> Any:
    """Turn a value into what JSON can hold: lists, mappings, text, numbers, booleans and None.

    Dates and times become ISO 8601 text, a decimal the nearest number, bytes and anything else
    their text. Broken surrogates, which no UTF-8 file can hold, become U+FFFD.
    """
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value) if not value.isascii() else str(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, (float, decimal.Decimal)):
        number = float(value)
        return number if number - number == 0 else (None if number != number else str(number))
    if isinstance(value, Mapping):
        return {plain(str(name)): plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        parts = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [plain(part) for part in parts]
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", "replace")
    return plain(str(value))


def json_text(value: Any) -> str:
    """Give a plain value as compact JSON text."""
    return json_bytes(value).decode()


def json_bytes(value: Any) -> bytes:
    """Give a plain value as compact JSON in UTF-8; numbers past 64 bits become text."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_within_64_bits(value))


def _within_64_bits(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _within_64_bits(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_within_64_bits(part) for part in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    return value
