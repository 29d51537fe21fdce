"""A review sheet that comes back: its cells as they are, read in a child process like a workbook.

Nothing is cleaned or guessed here: a cell that was not touched must come back as it went out. It is
no reader of catalogues, so it recognises nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from waremill.catalog.readers import container
from waremill.catalog.readers.shapes import BATCH_ROWS, LeftOut, Limits, Problems, Reader
from waremill.errors import SourceError, Where

MARK = "_item"
"""The heading of the hidden column that names a row's item."""
_HEADER_WITHIN = 20
"""Rows in which the header is looked for: people write titles above tables."""


def read_review_sheet(path: Path, limits: Limits | None = None) -> Reader:
    """Open a workbook and find the sheet that has the column `_item`; use it as a context manager.

    Raises SourceError for a file that is no workbook, and for one without such a sheet.
    """
    limits = limits or Limits()
    where = Where(file=str(path))
    if not path.is_file():
        raise SourceError("there is no such file", where)
    if path.stat().st_size > limits.size:
        raise SourceError(
            f"the workbook is larger than the {limits.size >> 20} MB allowed: import it in parts",
            where,
        )
    kind = container.kind_of_zip(path)
    if kind not in ("xlsx", "ods", "xlsb"):
        raise SourceError("the file is no workbook: save the review sheet as xlsx", where)
    container.check_container(path, limits)
    from waremill.catalog.readers.process import read_in_child

    return read_in_child("waremill.catalog.readers.review_sheet", path, limits)


@dataclass(slots=True)
class _Batch:
    numbers: list[int]
    columns: list[list[Any]]


@dataclass(slots=True)
class RawTable:
    """A header and the rows below it, cell by cell."""

    names: list[str]
    rows: Iterator[list[Any]]
    first: int
    notes: list[str] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=list)
    derived: dict[str, str] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)
    gaps: bool = False

    def batches(self) -> Iterator[_Batch]:
        """Give the rows that hold anything, in batches, column by column."""
        places = [place for place, name in enumerate(self.names) if name]
        self.names = [self.names[place] for place in places]
        kept: list[list[Any]] = []
        numbers: list[int] = []
        for number, row in enumerate(self.rows, self.first):
            cells = [_plain(row[place]) if place < len(row) else None for place in places]
            if any(cell is not None for cell in cells):
                kept.append(cells)
                numbers.append(number)
            if len(kept) == BATCH_ROWS:
                yield _Batch(numbers, [list(column) for column in zip(*kept, strict=True)])
                kept, numbers = [], []
        if kept:
            yield _Batch(numbers, [list(column) for column in zip(*kept, strict=True)])


def _plain(cell: Any) -> Any:
    if isinstance(cell, str):
        return cell if cell.strip() else None
    if isinstance(cell, float):
        return int(cell) if cell.is_integer() and abs(cell) < 1 << 53 else cell
    if isinstance(cell, (datetime.date, datetime.time, datetime.timedelta)):
        return cell.isoformat() if not isinstance(cell, datetime.timedelta) else str(cell)
    return cell


def _names(row: list[Any]) -> list[str]:
    """Give the headings, '' for columns without one or with one that stood before."""
    seen: set[str] = set()
    names = []
    for cell in row:
        name = str(cell).strip() if cell is not None else ""
        names.append("" if name in seen else name)
        seen.add(name)
    return names


def _read(request: dict[str, Any]) -> tuple[Any, str | None, list[str]]:
    import python_calamine as calamine

    path = Path(request["path"])
    where = Where(file=str(path))
    try:
        book = calamine.CalamineWorkbook.from_filelike(path.open("rb"))
        for name in book.sheet_names:
            rows = book.get_sheet_by_name(name).iter_rows()
            for number, row in enumerate(rows, 1):
                if MARK in (str(cell).strip() for cell in row):
                    return RawTable(_names(row), rows, number + 1), name, []
                if number >= _HEADER_WITHIN:
                    break
    except calamine.PasswordError as error:
        raise SourceError(
            "the workbook is protected by a password: save a copy without one", where
        ) from error
    except calamine.CalamineError as error:
        raise SourceError(
            "the workbook is damaged and cannot be read: open it in a spreadsheet program and save "
            "it anew",
            where,
        ) from error
    raise SourceError(
        f"this is no review sheet: no sheet of it has the (hidden) column “{MARK}” in its header; "
        "export the run for review again",
        where,
    )


if __name__ == "__main__":
    from waremill.catalog.readers.process import serve

    serve(_read)
