"""Sheets and tables (xlsx, xls, ods, csv, tsv, jsonl), by the catalogue's readers.

Encoding, header row, merged cells and types are found as for an import. Rows of short cells become
a table for each sheet; rows that say much each stand for themselves, under what they are called.
What stands above the header, and notes and totals at the end, stay as text.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from waremill.catalog.reading import read_source
from waremill.errors import SourceError, Where
from waremill.knowledge.document import Document, Section
from waremill.knowledge.loading.archives import is_zip
from waremill.knowledge.loading.html import markdown
from waremill.knowledge.loading.markdown import sections_of, stem_of

SUFFIXES: Final = (".xlsx", ".xlsm", ".xls", ".ods", ".csv", ".tsv", ".jsonl")
RANK: Final = 20
NOTHING: Final = "there are no rows in the sheet"
_BOOKS = (".xlsx", ".xlsm", ".xls", ".ods")
_TYPES = {
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".xls": "application/vnd.ms-excel", ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".csv": "text/csv", ".tsv": "text/tab-separated-values", ".jsonl": "application/jsonl",
}  # fmt: skip
_LONG_ROW = 240
"""Characters: where half of the rows have more, each stands for itself."""
_ROWS_A_TABLE = 200
_CALLED = (
    "title",
    "name",
    "question",
    "heading",
    "subject",
    "标题",
    "名称",
    "问题",
    "titel",
    "frage",
)
_TAGS = re.compile(r"</?[a-zA-Z][a-zA-Z0-9]*(?:\s[^<>]*)?/?>")
_UNPLACED = re.compile(r"^(?:Unnamed|column)[ _:]*\d+$", re.IGNORECASE)
Rows = Sequence[Mapping[str, Any]]


def recognises(head: bytes, suffix: str) -> bool:
    """Say whether a file is a sheet or table."""
    if suffix in _BOOKS:
        return is_zip(head) or head.startswith(b"\xd0\xcf\x11\xe0") or suffix == ".xls"
    return suffix in SUFFIXES or (is_zip(head) and b"xl/" in head)


def read(content: bytes, name: str) -> Document:
    """Read a workbook's visible sheets, or a table."""
    suffix = PurePosixPath(name).suffix.lower()
    sections: list[Section] = []
    notes: list[str] = []
    with tempfile.NamedTemporaryFile(prefix="waremill-", suffix=suffix) as file:
        file.write(content)
        file.flush()
        sheets = _sheets(file.name) if suffix in _BOOKS else ()
        for sheet in sheets or (None,):
            try:
                found = _read_sheet(file.name, sheet, notes)
            except SourceError as error:
                if len(sheets) > 1:  # an empty sheet beside full ones
                    notes.append(f"{sheet}: {error.message}")
                    continue
                raise SourceError(error.message, Where(name, sheet)) from error
            title = (sheet,) if sheet is not None and len(sheets) > 1 else ()
            sections += found if not title else [_under(title, one) for one in found]
    media_type = _TYPES.get(suffix, "text/csv")
    return Document(name, stem_of(name), media_type, tuple(sections), {}, tuple(notes))


def _sheets(path: str) -> tuple[str, ...]:
    """Give the names of a workbook's visible sheets; nothing where the reader is to say what is
    wrong.
    """
    import python_calamine as calamine

    try:
        book = calamine.CalamineWorkbook.from_path(path)
    except calamine.CalamineError:
        return ()
    visible = calamine.SheetVisibleEnum.Visible
    return tuple(one.name for one in book.sheets_metadata if one.visible == visible)


def _read_sheet(path: str, sheet: str | None, notes: list[str]) -> list[Section]:
    with read_source(path, sheet=sheet) as reader:
        columns = [one for one in reader.columns if one not in reader.derived]
        batches = list(reader.batches())
        for note in reader.notes:
            said = note if sheet is None else f"{sheet}: {note}"
            if "other sheets were not read" not in note and not note.endswith("left out"):
                notes.append(said)
    rows = [row for batch in batches for row in batch.rows]
    first = batches[0].numbers[0] if batches else 0
    above = [cells for number, cells in reader.left_out if number < first]
    below = [cells for number, cells in reader.left_out if number >= first]
    return [*_text(above), *_body(columns, rows), *_text(below)]


def _text(rows: Sequence[Sequence[str]]) -> list[Section]:
    """Give rows that are none of the table's as text, a line for each."""
    lines = [" | ".join(" ".join(cell.split()) for cell in cells) for cells in rows]
    return [Section((), "\n".join(lines))] if lines else []


def _body(columns: Sequence[str], rows: Rows) -> list[Section]:
    columns = [one for one in columns if any(row.get(one) is not None for row in rows)]
    lengths = sorted(sum(len(_cell(row.get(one))) for one in columns) for row in rows)
    if lengths and lengths[len(lengths) // 2] > _LONG_ROW:
        return [one for row in rows for one in _record(columns, row)]
    return list(_tables(columns, rows))


def _tables(columns: Sequence[str], rows: Rows) -> Iterator[Section]:
    heads = ["" if _UNPLACED.match(one) else one for one in columns]
    header = f"{_line(heads)}\n{_line(['---'] * len(columns))}"
    for start in range(0, len(rows), _ROWS_A_TABLE):
        lines = [
            _line([_flat(_cell(row.get(one))) for one in columns])
            for row in rows[start : start + _ROWS_A_TABLE]
        ]
        yield Section((), "\n".join([header, *lines]), None, "table")


def _record(columns: Sequence[str], row: Mapping[str, Any]) -> Iterator[Section]:
    """Give one row as sections: its short cells as a list, its long ones each under its name."""
    by_name = {one.casefold(): one for one in columns}
    called = next((by_name[one] for one in _CALLED if one in by_name), None)
    title = _flat(_cell(row.get(called))) if called is not None else ""
    path = (title,) if title else ()
    short: list[str] = []
    long: list[Section] = []
    for column in columns:
        text = _cell(row.get(column))
        if not text or (column == called and len(text) < _LONG_ROW):
            continue
        if len(text) <= _LONG_ROW and not _TAGS.search(text):
            if text != title:
                short.append(f"- {column}: {_flat(text)}")
        elif _TAGS.search(text):
            long += [_under(path, one) for one in sections_of(markdown(text))]
        else:
            long.append(Section(path, text))
    yield from long
    if short:
        yield Section(path, "\n".join(short), None, "list")


def _under(path: tuple[str, ...], section: Section) -> Section:
    headings = section.headings
    if path and headings[:1] == path[-1:]:
        headings = headings[1:]
    return Section((*path, *headings), section.text, section.page, section.kind)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _flat(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
