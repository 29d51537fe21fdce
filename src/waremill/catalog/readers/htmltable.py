"""HTML pages with a table, which shop systems export under names such as `products.xls`.

The table with the most rows is read; row and column spans are kept as merged cells. Nothing but
text is taken: scripts, styles and links are never followed.
"""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Final

from waremill.catalog.readers import encoding
from waremill.catalog.readers.delimited import batches_of
from waremill.catalog.readers.layout import Merge
from waremill.catalog.readers.shapes import Problems, Reader, Request
from waremill.catalog.readers.table import Options, open_table
from waremill.errors import SourceError, Where

SUFFIXES: Final = (".html", ".htm")
RANK: Final = 40
_LARGEST: Final = 64 << 20
_WIDEST: Final = 1000
_STARTS: Final = (b"<html", b"<!doctype html", b"<table", b"<meta", b"<head", b"<body", b"<style")


def recognises(head: bytes, suffix: str) -> bool:
    """Say whether the first bytes are those of an HTML page."""
    text = head.lstrip(b"\xef\xbb\xbf\xff\xfe \r\n\t\0").lower().replace(b"\0", b"")
    return text.startswith(_STARTS)


def open_reader(source: str, request: Request) -> Reader:
    """Open an HTML page; raise SourceError where it holds no table with rows."""
    path = Path(source)
    where = Where(file=source)
    if path.stat().st_size > _LARGEST:
        raise SourceError(
            f"the HTML page is larger than {_LARGEST >> 20} MB: save it as CSV or xlsx", where
        )
    found = encoding.detect(path)
    page = _Page()
    for line in encoding.read_lines(path, found, request.limits.cell):
        page.feed(line)
    page.close()
    rows, merges = max(page.tables, key=lambda table: len(table[0]), default=([], []))
    width = max(map(len, rows), default=0)
    grid = (row + [""] * (width - len(row)) for row in rows)
    table = open_table(iter(grid), Options(merges=merges, textual=True))
    if table is None or table.empty:
        raise SourceError(
            "the file is an HTML page without a table of rows: save the table as CSV or xlsx", where
        )
    notes = ["the file is an HTML page; its largest table was read", *table.notes]
    reader = Reader(
        table.names,
        batches_of(table, notes),
        derived=table.derived,
        notes=notes,
        problems=Problems(),
    )
    reader.left_out = table.left_out
    return reader


class _Page(HTMLParser):
    """Collects the rows and merged cells of every outermost table."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[tuple[list[list[str]], list[Merge]]] = []
        self._depth = 0
        self._cell: list[str] | None = None
        self._span = (1, 1)
        self._taken: set[tuple[int, int]] = set()
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self._hidden += 1
        elif tag == "table":
            self._depth += 1
            if self._depth == 1:
                self.tables.append(([], []))
                self._taken = set()
        elif self._depth == 1 and tag == "tr":
            self._end_cell()
            self.tables[-1][0].append([])
        elif self._depth == 1 and tag in ("td", "th"):
            self._end_cell()
            given = dict(attrs)
            self._span = (_span(given.get("rowspan")), _span(given.get("colspan")))
            self._cell = []
        elif tag in ("br", "p", "div", "li") and self._cell is not None:
            self._cell.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._hidden = max(0, self._hidden - 1)
        elif tag == "table":
            if self._depth == 1:
                self._end_cell()
            self._depth = max(0, self._depth - 1)
        elif self._depth == 1 and tag in ("td", "th", "tr"):
            self._end_cell()

    def handle_data(self, data: str) -> None:
        if self._cell is not None and not self._hidden:
            self._cell.append(data)

    def _end_cell(self) -> None:
        if self._cell is None:
            return
        text, self._cell = "".join(self._cell).strip(), None
        rows, merges = self.tables[-1]
        if not rows:
            rows.append([])
        row, at = rows[-1], len(rows) - 1
        while (at, len(row)) in self._taken:
            row.append("")
        left = len(row)
        height, width = self._span
        if left + width > _WIDEST:
            return
        row.append(text)
        row.extend([""] * (width - 1))
        if height > 1 or width > 1:
            merges.append(((at, left), (at + height - 1, left + width - 1)))
            self._taken.update(
                (at + down, left + across) for down in range(1, height) for across in range(width)
            )


def _span(text: str | None) -> int:
    """Read a rowspan or colspan; the HTML standard caps them at 1000."""
    return min(1000, max(1, int(text))) if text and text.strip().isdecimal() else 1
