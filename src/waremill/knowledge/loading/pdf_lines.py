"""A PDF's lines with their size, weight and place, by PDFium; its ruled tables, by pdfplumber.

Places are in points from the page's top left corner.
"""

from __future__ import annotations

import ctypes
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

PATHS_OF_A_TABLE: Final = 4
"""Drawn lines or boxes from which on a page is looked through for tables."""
PATHS_OF_A_DRAWING: Final = 3_000
"""Drawn lines from which on a page is a drawing, in which looking for tables would take minutes."""
_HYPHENS = "\x02\ufffe\u00ad"
_BOLD = 600
_JUNK = re.compile("[\x00-\x08\x0b-\x1f\ufffd\ue000-\uf8ff]")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text; `hyphen` says that its last word goes on in the next."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float
    bold: bool
    hyphen: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A ruled table as rows of cells, and where it stands."""

    rows: list[list[str]]
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Page:
    """What stands on a page."""

    number: int
    height: float
    lines: list[Line]
    tables: list[Table]


class Pages:
    """The pages of an open PDF, one after the other."""

    def __init__(self, pdf: Any, content: bytes) -> None:
        self._pdf = pdf
        self._content = content
        self._plumber: Any = None

    def __iter__(self) -> Iterator[Page]:
        for index in range(len(self._pdf)):
            page = self._pdf[index]
            try:
                yield self._page(page, index)
            finally:
                page.close()

    def _page(self, page: Any, index: int) -> Page:
        height = float(page.get_height())
        lines = [one for one in _lines(page, height) if one.text]
        tables = self._tables(index) if lines and _may_hold_tables(page) else []
        outside = [one for one in lines if not any(_inside(one, table) for table in tables)]
        return Page(index + 1, height, outside, tables)

    def _tables(self, index: int) -> list[Table]:
        import pdfplumber

        if self._plumber is None:
            self._plumber = pdfplumber.open(io.BytesIO(self._content))
        page = self._plumber.pages[index]
        try:
            return [one for table in page.find_tables() if (one := _table(table)) is not None]
        finally:
            page.close()

    def close(self) -> None:
        """Close what was opened to find tables."""
        if self._plumber is not None:
            self._plumber.close()


def _may_hold_tables(page: Any) -> bool:
    import pypdfium2.raw as raw

    count = 0
    for _ in page.get_objects(filter=[raw.FPDF_PAGEOBJ_PATH], max_depth=3):
        count += 1
        if count > PATHS_OF_A_DRAWING:
            return False
    return count >= PATHS_OF_A_TABLE


def _table(found: Any) -> Table | None:
    rows = [[" ".join((cell or "").split()) for cell in row] for row in found.extract()]
    rows = [row for row in rows if any(row)]
    width = max(map(len, rows), default=0)
    filled = sum(bool(cell) for row in rows for cell in row)
    # A box around a paragraph is no table.
    if len(rows) < 2 or width < 2 or filled * 3 < len(rows) * width:
        return None
    left, top, right, bottom = found.bbox
    return Table(rows, left, top, right, bottom)


def _inside(line: Line, table: Table) -> bool:
    across, down = (line.left + line.right) / 2, (line.top + line.bottom) / 2
    return table.left <= across <= table.right and table.top <= down <= table.bottom


def _lines(page: Any, height: float) -> Iterator[Line]:
    """Give a page's lines in PDFium's order, which follows columns."""
    import pypdfium2.raw as raw

    text_page = page.get_textpage()
    try:
        count = text_page.count_chars()
        start = 0
        codes: list[int] = []
        for index in range(count):
            code = raw.FPDFText_GetUnicode(text_page, index)
            if code in (10, 13):
                if codes:
                    yield _line(text_page, start, codes, height)
                codes = []
                continue
            if not codes:
                start = index
            codes.append(code)
        if codes:
            yield _line(text_page, start, codes, height)
    finally:
        text_page.close()


def _line(text_page: Any, start: int, codes: Sequence[int], height: float) -> Line:
    import pypdfium2.raw as raw

    text = "".join(chr(code) if code < 0x110000 else "\ufffd" for code in codes)
    hyphen = text.rstrip().endswith(tuple(_HYPHENS))
    seen = [place for place, one in enumerate(text) if not one.isspace() and one not in _HYPHENS]
    boxes = [_box(text_page, start + place) for place in _some(seen)]
    weights = [raw.FPDFText_GetFontWeight(text_page, start + place) for place in _some(seen)]
    for mark in _HYPHENS:
        text = text.replace(mark, "")
    plain = " ".join(unicodedata.normalize("NFKC", _JUNK.sub("", text)).split())
    if not boxes:
        return Line("", 0, 0, 0, 0, 0, False, hyphen)
    sizes = sorted(one[3] - one[1] for one in boxes)
    return Line(
        plain, min(one[0] for one in boxes), height - max(one[3] for one in boxes),
        max(one[2] for one in boxes), height - min(one[1] for one in boxes),
        round(sizes[len(sizes) // 2] * 2) / 2,
        sum(one >= _BOLD for one in weights) * 2 > len(boxes), hyphen,
    )  # fmt: skip


def _some(places: Sequence[int]) -> Sequence[int]:
    """Pick a few of a line's characters, its first and last among them."""
    if len(places) <= 5:
        return places
    return [places[0], *places[1 : -1 : max(1, len(places) // 4)], places[-1]]


def _box(text_page: Any, index: int) -> tuple[float, float, float, float]:
    """Give a character's box with its font's whole height: left, bottom, right, top."""
    import pypdfium2.raw as raw

    box = raw.FS_RECTF()
    if not raw.FPDFText_GetLooseCharBox(text_page, index, ctypes.byref(box)):
        return 0.0, 0.0, 0.0, 0.0
    low, high = sorted((box.bottom, box.top))
    return box.left, low, box.right, high
