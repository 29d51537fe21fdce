"""Write an Excel workbook: one sheet, header frozen, filter on, generated columns shaded.

Nothing in the sheet is ever live: text is written as inline strings, whatever it starts with, so
there are no formulas, no links and no numbers made of text. Numbers and booleans stay what they
are; integers past 2**53, which Excel would round, are written as text. A workbook of the same rows
differs only in its creation time.

Excel's limits are from Microsoft's “Excel specifications and limits”: 1,048,576 rows, 16,384
columns, 32,767 characters a cell (counted in UTF-16 units), 31 characters in a sheet's name.
"""

from __future__ import annotations

import errno
import itertools
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from waremill.catalog.publishers.picture_sheet import picture_cells, save_with_pictures
from waremill.catalog.publishers.table import (
    Column,
    Table,
    Written,
    column_names,
    flat,
    printable,
    publisher,
)
from waremill.errors import ConfigError

MAX_ROWS = 1_048_575
"""Rows below the header."""
MAX_COLUMNS = 16_384
MAX_CELL_UNITS = 32_767
MAX_EXACT_INTEGER = 2**53

_SAMPLE_ROWS = 200
_ROWS_BETWEEN_SPACE_CHECKS = 256
_LEAST_FREE_BYTES = 16 << 20
_OS_ERROR = re.compile(r"(?:os error|code:) (\d+)")
_FILLS = {"generated": "#EAF2FB", "status": "#F2F2F2"}


@publisher(".xlsx")
def write_xlsx(table: Table, path: Path) -> Written:
    """Write an Excel workbook of one sheet, in constant memory.

    Text longer than a cell holds is cut and ends in `…`; the notes say how many cells were. Raises
    ConfigError when the rows or columns do not fit a sheet, before writing where `total` is known.
    """
    if table.total is not None and table.total > MAX_ROWS:
        raise _too_many_rows(f"{table.total:,} rows")
    if len(table.columns) > MAX_COLUMNS:
        raise ConfigError(
            f"{len(table.columns):,} columns do not fit an Excel sheet, which holds "
            f"{MAX_COLUMNS:,}: write .csv or .parquet instead"
        )
    cells = _Cells(column_names([Column(_cut(c.name, 255)) for c in table.columns]))
    rows = iter(table.rows)
    first = list(itertools.islice(rows, _SAMPLE_ROWS))
    sample = [cells.convert(row) for row in first]
    if any(any(picture_cells(row)) for row in first):
        return _with_pictures(table, path, cells, (first, sample, rows))
    # A workbook needs a row for its header to be written: a blank one, which readers skip.
    blank = dict.fromkeys(cells.names)
    records = itertools.chain(sample or [blank], _watched(map(cells.convert, rows)))
    _save(records, path, _appearance(table, cells.names, sample))
    return Written(cells.rows, cells.notes())


def _with_pictures(
    table: Table,
    path: Path,
    cells: _Cells,
    parts: tuple[list[Sequence[Any]], list[dict[str, Any]], Iterator[Sequence[Any]]],
) -> Written:
    """Write a sheet whose first rows hold pictures; `parts` are these, as records, and the rest."""
    first, sample, rest = parts
    known = zip(sample, map(picture_cells, first), strict=True)
    more = ((cells.convert(row), picture_cells(row)) for row in rest)
    columns = [
        Column(name, column.kind) for name, column in zip(cells.names, table.columns, strict=True)
    ]
    look = {
        "sheet_name": sheet_name(table.sheet),
        "column_widths": {name: _width(name, sample) for name in cells.names},
    }
    left = save_with_pictures(path, columns, itertools.chain(known, more), look, _FILLS)
    notes = cells.notes()
    if left:
        notes += (f"{left:,} more pictures are not shown in the sheet; their paths are",)
    return Written(cells.rows, notes)


class _Cells:
    """Turns rows into records of what Excel can hold, and counts what had to be changed."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.rows = 0
        self.cut = 0
        self.first_cut = ""

    def convert(self, row: Sequence[Any]) -> dict[str, Any]:
        self.rows += 1
        if self.rows > MAX_ROWS:
            raise _too_many_rows("these rows")
        return {name: self._cell(name, value) for name, value in zip(self.names, row, strict=True)}

    def _cell(self, name: str, value: Any) -> Any:
        value = flat(value)
        if isinstance(value, str):
            # A character takes at most two UTF-16 units, so most text needs no counting.
            if len(value) > MAX_CELL_UNITS // 2:
                shorter = _cut(value, MAX_CELL_UNITS)
                if shorter is not value:
                    self.cut += 1
                    self.first_cut = self.first_cut or f"row {self.rows + 1}, column “{name}”"
                    return shorter
            return value
        if type(value) is int and not -MAX_EXACT_INTEGER <= value <= MAX_EXACT_INTEGER:
            return str(value)
        return value

    def notes(self) -> tuple[str, ...]:
        if not self.cut:
            return ()
        cells = "1 cell was" if self.cut == 1 else f"{self.cut:,} cells were"
        return (
            f"{cells} longer than the {MAX_CELL_UNITS:,} characters Excel holds and end in … "
            f"(first: {self.first_cut}); .csv, .jsonl and .parquet keep the whole text",
        )


def _cut(text: str, units: int) -> str:
    """Cut text to a number of UTF-16 units, the last being `…`; short text is given back itself."""
    if len(text) * 2 <= units or len(text.encode("utf-16-le", "surrogatepass")) // 2 <= units:
        return text
    kept = text.encode("utf-16-le", "surrogatepass")[: (units - 1) * 2]
    return kept.decode("utf-16-le", "ignore") + "…"


def _too_many_rows(what: str) -> ConfigError:
    return ConfigError(
        f"{what} do not fit an Excel sheet, which holds {MAX_ROWS:,} below its header: "
        "write .csv or .parquet instead"
    )


def sheet_name(name: str) -> str:
    """Make a name Excel accepts for a sheet: ≤ 31 characters, without brackets and slashes."""
    clean = re.sub(r"[\[\]:*?/\\\n\t]", "_", printable(name)).strip().strip("'")
    clean = _cut(clean, 31).strip().rstrip("'")
    if clean.casefold() == "history":
        clean += "_"
    return clean or "Products"


def _appearance(
    table: Table, names: Sequence[str], sample: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Choose what the sheet looks like: widths from a sample of rows, fills by kind of column."""
    from rustpy_xlsxwriter import Format

    formats = {}
    for column, name in zip(table.columns, names, strict=True):
        style = Format()
        if column.kind in _FILLS:
            style = style.set_background_color(_FILLS[column.kind]).set_border("thin")
            style = style.set_border_color("#D9DEE5")
        if any(type(row[name]) is int and abs(row[name]) >= 10**11 for row in sample):
            # Excel shows longer integers as 4.00638E+12 unless told not to.
            style = style.set_num_format("0")
        elif column.kind not in _FILLS:
            continue
        formats[name] = style
    header = Format().set_bold().set_background_color("#1F3A5F").set_font_color("#FFFFFF")
    return {
        "sheet_name": sheet_name(table.sheet),
        "freeze_row": 1,
        "autofilter": True,
        "header_format": header,
        "column_formats": formats,
        "column_widths": {name: _width(name, sample) for name in names},
        # Digits kept as text are meant: no green triangle on a GTIN.
        "ignore_errors": list(names),
    }


def _width(name: str, sample: Sequence[dict[str, Any]]) -> float:
    """Give a column's width in characters: nine of ten sampled cells fit, within 8 to 56."""
    lengths = sorted(_shown_length(row[name]) for row in sample)
    usual = lengths[len(lengths) * 9 // 10] if lengths else 0
    return float(min(56, max(8, _shown_length(name) + 4, usual + 2)))


def _shown_length(value: Any) -> int:
    if value is None:
        return 0
    line = str(value)[:200].partition("\n")[0]
    return len(line) + sum(unicodedata.east_asian_width(character) in "WF" for character in line)


def _watched(records: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Stop with a plain error before the disk that holds the unfinished sheet is full.

    The writer keeps the sheet in the system's temporary folder and would abort when that is full.
    """
    for number, record in enumerate(records):
        if number % _ROWS_BETWEEN_SPACE_CHECKS == 0:
            free = shutil.disk_usage(tempfile.gettempdir()).free
            if free < _LEAST_FREE_BYTES:
                raise OSError(errno.ENOSPC, "the folder for temporary files is full")
        yield record


def _save(records: Iterator[dict[str, Any]], path: Path, appearance: dict[str, Any]) -> None:
    """Hand the records to the writer; whatever it says of the disk becomes an OSError again."""
    import rustpy_xlsxwriter

    try:
        rustpy_xlsxwriter.write_worksheet(records, str(path), **appearance)
    except BaseException as error:
        # The writer aborts (a BaseException of its own) or tells the system's code only in words.
        code = _OS_ERROR.search(str(error))
        native = type(error).__name__ == "PanicException" or type(error) is OSError
        if native and code is not None:
            raise OSError(int(code[1]), str(error)) from error
        raise
