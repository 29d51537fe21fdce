"""Write comma- and tab-separated text, safe to open in a spreadsheet.

A cell is quoted where it holds the delimiter, a quote or a line end; quotes are doubled (RFC 4180).
Text that a spreadsheet would run as a formula gets a leading apostrophe (OWASP, “CSV Injection”):
text whose first character after blanks is one of = + - @, tab, carriage return or line feed, or a
full-width = + - @. Numbers, and text that is only a number such as `-5` or `+1.5`, are left alone.
The mark can be taken off again without loss: text that already has apostrophes before such a
character gets one more, and `without_formula_mark` removes exactly one.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from waremill.catalog.publishers.table import Table, Written, column_names, flat, publisher

_FORMULA = re.compile(r"(?:'*[ \u00a0\u3000]*[=+\-@＝＋－＠]|'*[ \u00a0\u3000]*[\t\r\n])")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d+)?|\.\d+)(?:[eE][+-]?\d+)?%?")


@publisher(".csv")
def write_csv(table: Table, path: Path) -> Written:
    """Write comma-separated UTF-8 text; booleans are `true` and `false`, None is empty."""
    return _write(table, path, ",")


@publisher(".tsv")
def write_tsv(table: Table, path: Path) -> Written:
    """Write tab-separated UTF-8 text; booleans are `true` and `false`, None is empty."""
    return _write(table, path, "\t")


def _write(table: Table, path: Path, delimiter: str) -> Written:
    options = table.text
    encoding = "utf-8-sig" if options.byte_order_mark else "utf-8"
    cell = _safe_cell if options.formula_safe else _cell
    count = 0
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=options.newline)
        writer.writerow([cell(name) for name in column_names(table.columns)])
        for row in _checked(table, cell):
            writer.writerow(row)
            count += 1
    return Written(count)


def _checked(table: Table, cell: Callable[[Any], Any]) -> Any:
    width = len(table.columns)
    for row in table.rows:
        if len(row) != width:
            raise ValueError(f"a row has {len(row)} values for {width} columns")
        yield [cell(value) for value in row]


def _cell(value: Any) -> Any:
    value = flat(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def _safe_cell(value: Any) -> Any:
    value = _cell(value)
    return with_formula_mark(value) if isinstance(value, str) else value


def with_formula_mark(text: str) -> str:
    """Put an apostrophe before text that a spreadsheet would run as a formula."""
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return "'" + text
    return text


def without_formula_mark(text: str) -> str:
    """Take the apostrophe of `with_formula_mark` off again; other text is given back unchanged."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
