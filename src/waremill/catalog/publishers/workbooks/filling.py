"""Fills rows of one sheet of a workbook: finds its columns and rows, and writes it anew.

Cells that are not filled, styles, validations, macros and all other parts stay byte for byte.
Texts are written into the cells themselves, so that the shared texts stay as they are, too.
"""

from __future__ import annotations

import re
import sqlite3
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from xml.sax.saxutils import escape

import orjson

from waremill.catalog.publishers.field_rules import folded
from waremill.catalog.publishers.table import flat, printable
from waremill.catalog.publishers.workbooks.dropdowns import Dropdowns, read_rules
from waremill.catalog.publishers.workbooks.parts import Sheet, Workbook, letters_of, visible
from waremill.catalog.publishers.workbooks.scan import Cell, Row, SheetXml
from waremill.errors import ConfigError, Where
from waremill.rules.document import suggestion

LONGEST = 32_767
"""Most characters of a cell (Excel's specification)."""
MOST_ROWS = 1_048_576
HEADER_ROWS = 30
"""Rows among which the one that names the columns is looked for."""
_LONG_NUMBER = 12
"""Digits from which a whole number is written as text, since Excel would show it rounded."""
_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_SPANS = re.compile(rb"\sspans=\"[^\"]*\"")
_DIMENSION = re.compile(rb"(<(?:\w+:)?dimension\b[^>]*\bref=\")([A-Z]+\d+(?::[A-Z]+\d+)?)\"")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a mapping's columns stand: by name the column from 0; rows are counted from 1.

    `styles` are those of the first data row's cells, `keys` the rows that hold a product already,
    `others` the texts of their cells that drop-downs look at. New rows begin at `free`.
    """

    sheet: Sheet
    columns: Mapping[str, int]
    header: int
    first: int
    free: int
    styles: Mapping[int, str]
    keys: Mapping[str, int] = field(default_factory=dict)
    others: Mapping[int, Mapping[int, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a workbook is filled: the mapping's columns, and the settings that say where."""

    columns: tuple[str, ...]
    sheet: str | None = None
    header: int | None = None
    first: int | None = None
    key: str | None = None
    where: Where | None = None


class Filling:
    """A workbook's sheet that is filled."""

    def __init__(self, path: Path, wanted: Wanted) -> None:
        self.book = Workbook(path)
        self._folder = tempfile.TemporaryDirectory(prefix="waremill-")
        try:
            sheet = self._sheet(wanted)
            self._xml = Path(self._folder.name) / "sheet.xml"
            self.book.extract(sheet.part, self._xml)
            with SheetXml(self._xml, self.book.where) as xml:
                self.layout, around = _Finder(self.book, sheet, wanted).find(xml)
            self.dropdowns = Dropdowns(self.book, sheet.name, read_rules(around))
            referred = self.dropdowns.referred(list(self.layout.columns.values()))
            if referred:
                with SheetXml(self._xml, self.book.where) as xml:
                    self.layout = _with_others(self.book, xml, self.layout, referred)
        except BaseException:
            self._folder.cleanup()
            raise

    def close(self) -> None:
        """Remove what was unpacked."""
        self._folder.cleanup()

    def _sheet(self, wanted: Wanted) -> Sheet:
        sheets = self.book.sheets
        if wanted.sheet is None:
            found = next(visible(sheets), None)
        else:
            found = next((one for one in sheets if one.name == wanted.sheet), None)
        if found is None:
            names = [one.name for one in sheets]
            near = suggestion(wanted.sheet or "", names)
            raise ConfigError(f"the workbook has no sheet “{wanted.sheet}”{near}", wanted.where)
        return found

    def write(self, rows: Iterable[tuple[str | None, Mapping[str, Any]]], out: Path) -> int:
        """Write the workbook with rows filled in; give how many were.

        A row is its product's key and its values by column; a row that holds the key is filled,
        others follow below. Nothing is emptied.
        """
        with SheetXml(self._xml, self.book.where) as xml, _Spool() as spool:
            number = self.layout.free
            count = 0
            for key, values in rows:
                known = self.layout.keys.get(key) if key is not None else None
                spool.put(known or number, self._cells(values))
                number += known is None
                count += 1
            if number > MOST_ROWS + 1:
                raise ConfigError(f"a sheet has at most {MOST_ROWS:,} rows; publish fewer")
            last = number - 1
            self.book.copy_with(
                out, self.layout.sheet.part, lambda file: self._write(xml, spool, last, file)
            )
        return count

    def _cells(self, values: Mapping[str, Any]) -> dict[int, Any]:
        columns = self.layout.columns
        return {columns[name]: flat(value) for name, value in values.items() if name in columns}

    def _write(self, xml: SheetXml, spool: _Spool, last: int, file: IO[bytes]) -> None:
        """Write the sheet: what stands before its rows, old and new rows in order, the rest."""
        filled = spool.rows()
        waiting = next(filled, None)
        rows = xml.rows()
        place, begun = 0, False
        for row in rows:
            if not begun:
                self._begin(xml, last, file)
                place, begun = xml.first, True
            while waiting is not None and waiting[0] < row.number:
                file.write(xml.data[place : row.start])
                place = row.start
                file.write(self._new(xml, *waiting))
                waiting = next(filled, None)
            if waiting is not None and waiting[0] == row.number:
                file.write(xml.data[place : row.start])
                file.write(self._filled(xml, row, waiting[1]))
                waiting = next(filled, None)
            else:
                file.write(xml.data[place : row.end])
            place = row.end
        if not begun:
            self._begin(xml, last, file)
            place = xml.first
        name = xml.prefix + b"sheetData"
        end = xml.data.rfind(b"</" + name, 0, xml.rows_end)
        opened = xml.data[xml.first - 2 : xml.first] != b"/>"
        if opened:
            file.write(xml.data[place:end])
        while waiting is not None:
            file.write(self._new(xml, *waiting))
            waiting = next(filled, None)
        file.write(xml.data[end : xml.rows_end] if opened else b"</" + name + b">")
        for start in range(xml.rows_end, len(xml.data), 1 << 20):
            file.write(xml.data[start : start + (1 << 20)])

    def _begin(self, xml: SheetXml, last: int, file: IO[bytes]) -> None:
        """Write what stands before the rows, with the sheet's extent as it will be."""
        head = xml.data[: xml.first]
        if head.endswith(b"/>"):  # a sheet without rows
            head = head[:-2].rstrip() + b">"
        match = _DIMENSION.search(head)
        if match is not None:
            corner = match[2].decode().rpartition(":")[2]
            letters, digits = re.sub(r"\d", "", corner), re.sub(r"\D", "", corner)
            right = max([*self.layout.columns.values(), _number(letters)])
            bottom = max(last, int(digits))
            start = match[2].decode().partition(":")[0]
            ref = f"{start}:{letters_of(right)}{bottom}".encode()
            head = head[: match.start(2)] + ref + head[match.end(2) :]
        file.write(head)

    def _new(self, xml: SheetXml, number: int, values: Mapping[int, Any]) -> bytes:
        name = xml.prefix.decode()
        cells = b"".join(
            self._cell(name, column, number, values[column], self.layout.styles.get(column))
            for column in sorted(values)
        )
        return f'<{name}row r="{number}">'.encode() + cells + f"</{name}row>".encode()

    def _filled(self, xml: SheetXml, row: Row, values: Mapping[int, Any]) -> bytes:
        """Write an old row with some cells replaced or added; the others keep their bytes."""
        name, data = xml.prefix.decode(), xml.data
        old: dict[int, Cell] = {one.column: one for one in row.cells}
        inner = row.inner if row.inner is not None else row.end
        start = _SPANS.sub(b"", data[row.start : inner])
        parts = [start if row.inner is not None else start[:-2].rstrip() + b">"]
        place = inner
        for column in sorted({*old, *values}):
            cell = old.get(column)
            if cell is not None:
                parts.append(data[place : cell.start])
                place = cell.end
            if column not in values:
                assert cell is not None
                parts.append(data[cell.start : cell.end])
                continue
            style = cell.style if cell is not None else self.layout.styles.get(column)
            parts.append(self._cell(name, column, row.number, values[column], style))
        rest = data[place : row.close] if row.inner is not None else b""
        return b"".join((*parts, rest, f"</{name}row>".encode()))

    def _cell(self, name: str, column: int, row: int, value: Any, style: str | None) -> bytes:
        place = f'<{name}c r="{letters_of(column)}{row}"'
        if style is not None:
            place += f' s="{style}"'
        if isinstance(value, bool):
            return f'{place} t="b"><{name}v>{int(value)}</{name}v></{name}c>'.encode()
        if isinstance(value, int | float) and len(str(value)) < _LONG_NUMBER:
            return f"{place}><{name}v>{value}</{name}v></{name}c>".encode()
        text = escape(_ESCAPED.sub("_x005F_", printable(str(value))))
        return (
            f'{place} t="inlineStr"><{name}is><{name}t xml:space="preserve">{text}'
            f"</{name}t></{name}is></{name}c>"
        ).encode()


class _Finder:
    """Finds a sheet's columns and rows in one reading."""

    def __init__(self, book: Workbook, sheet: Sheet, wanted: Wanted) -> None:
        self._book = book
        self._sheet = sheet
        self._wanted = wanted
        self._where = Where(file=str(book.path), sheet=sheet.name)

    def find(self, xml: SheetXml) -> tuple[Layout, bytes]:
        """Give the layout, and the sheet's XML without rows."""
        rows = xml.rows()
        headers: dict[int, dict[int, str]] = {}
        top: list[Row] = []
        limit = max(HEADER_ROWS, self._wanted.header or 0)
        waiting: Row | None = None
        for row in rows:
            if row.number > limit:
                waiting = row
                break
            top.append(row)
            headers[row.number] = {one.column: text_of(one, self._book) for one in row.cells}
        header = self._header(headers)
        columns = self._columns(header, headers.get(header, {}))
        first = self._wanted.first or header + 1
        rest = [] if waiting is None else [waiting]
        layout = self._rows((*top, *rest), rows, columns, (header, first))
        return layout, xml.around()

    def _header(self, headers: Mapping[int, Mapping[int, str]]) -> int:
        if self._wanted.header is not None:
            return self._wanted.header
        names = {named(one) for one in self._wanted.columns}
        found = {
            number: len(names & {named(text) for text in texts.values()})
            for number, texts in headers.items()
        }
        best = max(found, key=lambda number: (found[number], -number), default=0)
        if not found.get(best):
            raise ConfigError(
                "no row of the sheet names the mapping's columns; say which with “header”",
                self._where,
            )
        return best

    def _columns(self, header: int, texts: Mapping[int, str]) -> dict[str, int]:
        """Find each of the mapping's columns by its name in the header, exactly or nearly."""
        exact: dict[str, int] = {}
        near: dict[str, int] = {}
        for column, text in sorted(texts.items()):
            name, count = text.strip(), 1
            if not name:
                continue
            while name in exact:
                count += 1
                name = f"{text.strip()} ({count})"
            exact[name] = column
            near.setdefault(named(name), column)
        found: dict[str, int] = {}
        for name in self._wanted.columns:
            column = exact.get(name, near.get(named(name), -1))
            if column < 0:
                hint = suggestion(name, tuple(exact))
                hint = hint if hint.startswith(", did") else ""
                raise ConfigError(
                    f"row {header} of the sheet names no column “{name}”{hint}", self._where
                )
            if column in found.values():
                raise ConfigError(f"two columns of the mapping are “{name}”", self._where)
            found[name] = column
        return found

    def _rows(
        self,
        begun: Sequence[Row],
        rest: Iterator[Row],
        columns: Mapping[str, int],
        places: tuple[int, int],
    ) -> Layout:
        """Read which data rows are taken, by which product, and how cells look there."""
        header, first = places
        key = columns.get(self._wanted.key) if self._wanted.key else None
        ours = {column: name for name, column in columns.items()}
        keys: dict[str, int] = {}
        styles: dict[int, str] = {}
        last = first - 1
        for row in (one for part in (begun, rest) for one in part):
            if row.number < first:
                continue
            for cell in row.cells:
                if cell.column not in ours:
                    continue
                if cell.style is not None and row.number == first:
                    styles[cell.column] = cell.style
                if cell.formula:
                    place = f"{letters_of(cell.column)}{row.number}"
                    raise ConfigError(
                        f"the column “{ours[cell.column]}” holds a formula in {place}: the "
                        "workbook fills it itself, take it out of the mapping",
                        self._where,
                    )
                text = text_of(cell, self._book)
                if text:
                    last = max(last, row.number)
                    if cell.column == key:
                        keys.setdefault(text, row.number)
        return Layout(self._sheet, columns, header, first, last + 1, styles, keys)


def _with_others(book: Workbook, xml: SheetXml, layout: Layout, referred: set[int]) -> Layout:
    """Read the cells of taken rows that drop-downs of the same row look at."""
    taken = set(layout.keys.values())
    others = {
        row.number: {one.column: text_of(one, book) for one in row.cells if one.column in referred}
        for row in xml.rows()
        if row.number in taken
    }
    return Layout(
        layout.sheet, layout.columns, layout.header, layout.first, layout.free, layout.styles,
        layout.keys, others,
    )  # fmt: skip


def text_of(cell: Cell, book: Workbook) -> str:
    """Give a cell's text, the shared one where it refers to it."""
    if cell.kind != "s":
        return cell.text.strip()
    texts = book.shared_texts
    number = int(cell.text) if cell.text.strip().isdecimal() else -1
    return texts[number].strip() if 0 <= number < len(texts) else ""


def named(text: str) -> str:
    """Fold a column's name: letter case, blanks, width and a mark for required do not count."""
    return folded(unicodedata.normalize("NFKC", text)).strip("*＊ ")


def _number(letters: str) -> int:
    number = 0
    for one in letters:
        number = number * 26 + ord(one) - 64
    return number - 1


class _Spool:
    """Rows that wait for their place, on disk, in the order of their numbers."""

    def __init__(self) -> None:
        self._rows = sqlite3.connect("", isolation_level=None)
        self._rows.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY, cells TEXT)")
        self._rows.execute("BEGIN")

    def __enter__(self) -> _Spool:
        return self

    def __exit__(self, *_error: Any) -> None:
        self._rows.close()

    def put(self, number: int, cells: Mapping[int, Any]) -> None:
        text = orjson.dumps({str(column): value for column, value in cells.items()})
        self._rows.execute("INSERT OR REPLACE INTO rows VALUES (?, ?)", (number, text))

    def rows(self) -> Iterator[tuple[int, dict[int, Any]]]:
        for number, text in self._rows.execute("SELECT number, cells FROM rows ORDER BY number"):
            yield number, {int(column): value for column, value in orjson.loads(text).items()}


__all__ = ["LONGEST", "Filling", "Layout", "Wanted", "named"]
