"""A sheet's XML as rows and cells that know their bytes, read piece by piece.

Every byte that is not changed can so be written as it was. A name's prefix does not matter.
"""

from __future__ import annotations

import mmap
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from xml.parsers import expat

from waremill.catalog.publishers.workbooks.parts import column_of
from waremill.errors import ConfigError, Where

_PIECE = 1 << 20
_DECLARED = re.compile(rb"<\?xml[^>]*encoding\s*=\s*[\"']([\w-]+)[\"']")
_PLACE = re.compile(r"([A-Za-z]{1,3})(\d{1,7})")


@dataclass(slots=True)
class Cell:
    """A cell: its column from 0, its bytes, and what it holds as it is written."""

    column: int
    start: int
    end: int = 0
    style: str | None = None
    kind: str | None = None
    formula: bool = False
    text: str = ""


@dataclass(slots=True)
class Row:
    """A row: its number from 1, its bytes; `inner` is where its cells begin, None for an empty tag.

    `close` is where its end tag begins.
    """

    number: int
    start: int
    end: int = 0
    inner: int | None = None
    close: int = 0
    cells: list[Cell] = field(default_factory=list)


class SheetXml:
    """A sheet's XML in a file, mapped into memory as it is needed."""

    def __init__(self, path: Path, where: Where) -> None:
        self._file = path.open("rb")
        self.data = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        self._where = where
        self.prefix = b""
        self.rows_start = self.rows_end = 0
        """Where the sheet's data begins, with its start tag, and ends, with its end tag."""
        self.first = 0
        """Where its first row would begin."""
        declared = _DECLARED.match(self.data[:200].lstrip(b"\xef\xbb\xbf"))
        if self.data[:2] in (b"\xff\xfe", b"\xfe\xff") or (
            declared and declared[1].lower() not in (b"utf-8", b"utf8", b"us-ascii")
        ):
            self.close()
            raise ConfigError("the sheet is not written in UTF-8: save the template anew", where)

    def close(self) -> None:
        """Let go of the file."""
        self.data.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def rows(self) -> Iterator[Row]:
        """Give the rows in their order; afterwards the places of the data are known."""
        reader = _Reader(self)
        try:
            for start in range(0, len(self.data), _PIECE):
                reader.parser.Parse(self.data[start : start + _PIECE], False)
                while reader.done:
                    yield reader.done.popleft()
            reader.parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise ConfigError(f"the sheet's XML is broken: {error}", self._where) from error
        yield from reader.done
        if not self.rows_end:
            raise ConfigError("the sheet has no place for rows", self._where)

    def around(self) -> bytes:
        """Give the sheet's XML without its rows; `rows` must have been read."""
        name = self.prefix + b"sheetData"
        return self.data[: self.rows_start] + b"<" + name + b"/>" + self.data[self.rows_end :]

    def tag_end(self, start: int) -> int:
        """Give where a start tag ends, past its `>`."""
        place, quote = start, 0
        while True:
            byte = self.data[place]
            if quote:
                quote = 0 if byte == quote else quote
            elif byte in (34, 39):
                quote = byte
            elif byte == 62:
                return place + 1
            place += 1

    def element_end(self, place: int, name: str) -> int:
        """Give where an element ends: its parser stands at its end tag, or past an empty tag."""
        closing = f"</{name}".encode()
        if self.data[place : place + len(closing)] != closing:
            return place
        return self.data.find(b">", place) + 1


class _Reader:
    """Follows the parser through the sheet's data."""

    def __init__(self, sheet: SheetXml) -> None:
        self.done: deque[Row] = deque()
        self._sheet = sheet
        self._row: Row | None = None
        self._cell: Cell | None = None
        self._reads = False
        self._last = 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local, place = name.rpartition(":")[2], self.parser.CurrentByteIndex
        if local == "sheetData":
            self._sheet.prefix = name.removesuffix("sheetData").encode()
            self._sheet.rows_start = place
            self._sheet.first = self._sheet.tag_end(place)
        elif local == "row" and self._sheet.rows_start:
            number = int(attributes.get("r") or self._last + 1)
            self._row = Row(number, place)
        elif local == "c" and self._row is not None:
            match = _PLACE.fullmatch(attributes.get("r", ""))
            cells = self._row.cells
            after = cells[-1].column + 1 if cells else 0
            column = column_of(match[1]) if match else after
            self._cell = Cell(column, place, 0, attributes.get("s"), attributes.get("t"))
        elif self._cell is not None:
            self._cell.formula |= local == "f"
            self._reads = local in ("v", "t")

    def _text(self, text: str) -> None:
        if self._reads and self._cell is not None:
            self._cell.text += text

    def _end(self, name: str) -> None:
        local, place = name.rpartition(":")[2], self.parser.CurrentByteIndex
        self._reads = False
        if local == "c" and self._row is not None and self._cell is not None:
            self._cell.end = self._sheet.element_end(place, name)
            self._row.cells.append(self._cell)
            self._cell = None
        elif local == "row" and self._row is not None:
            row, self._row = self._row, None
            row.end = self._sheet.element_end(place, name)
            if row.end != place:
                row.inner, row.close = self._sheet.tag_end(row.start), place
            self._last = row.number
            self.done.append(row)
        elif local == "sheetData":
            self._sheet.rows_end = self._sheet.element_end(place, name)
