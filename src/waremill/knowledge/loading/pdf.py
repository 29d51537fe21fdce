"""PDF files: paragraphs, lists, headings by their type size, ruled tables, page numbers.

What repeats at the head or foot of pages is left out. Pictures are not read: a scanned file has no
text, and is refused with a sentence that says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from waremill.errors import SourceError, Where
from waremill.knowledge.document import Document, Section, SectionKind
from waremill.knowledge.loading.markdown import stem_of
from waremill.knowledge.loading.pdf_lines import Line, Page, Pages, Table

SUFFIXES: Final = (".pdf",)
RANK: Final = 13
MEDIA_TYPE: Final = "application/pdf"
NOTHING: Final = (
    "there is no text in the PDF, only pictures of pages: run text recognition (OCR) over it first"
)
MOST_PAGES: Final = 5_000
LARGER: Final = 1.15
"""How many times as large as the running text's type a heading's is, at least."""
LONGEST_HEADING: Final = 160
_LEVELS: Final = 4
_MARGIN: Final = 0.12
"""Share of a page's height in which headers stand, and footers."""
_ITEM = re.compile(r"^(?:[•●▪■◦‣∙·*–—-]|\(?\d{1,3}[.)]|[a-z][.)])\s+\S")
_ENDED = re.compile(r"[.!?:;。！？：；…][\"'”’)\]]*$")
_NUMBER = re.compile(r"\d+")
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\u3000-\u303f]")


def recognises(head: bytes, suffix: str) -> bool:
    """Say whether a file is a PDF: its mark may stand within the first kilobyte."""
    return b"%PDF-" in head[:1024]


def read(content: bytes, name: str) -> Document:
    """Read a PDF; raise SourceError for one that is encrypted, damaged or too long."""
    import pypdfium2 as pdfium

    where = Where(file=name)
    try:
        pdf = pdfium.PdfDocument(content)
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower() or "security" in str(error).lower():
            said = "the PDF is protected by a password: save a copy without one"
        else:
            said = "the PDF is cut off or damaged: copy or download it again"
        raise SourceError(said, where) from error
    try:
        if len(pdf) > MOST_PAGES:
            raise SourceError(
                f"the PDF has {len(pdf):,} pages, more than the {MOST_PAGES:,} allowed: split it",
                where,
            )
        pages = Pages(pdf, content)
        found = list(pages)
        pages.close()
        title = str(pdf.get_metadata_value("Title") or "").strip()
    finally:
        pdf.close()
    sections = tuple(_Reading(found).sections())
    empty = sum(not page.lines and not page.tables for page in found)
    notes = () if not empty else (f"{empty} of {len(found)} pages hold no text that can be read",)
    if not title or re.search(r"\.(docx?|indd|qxd|pages|odt|tex)$|^untitled", title, re.IGNORECASE):
        title = _first_heading(sections) or stem_of(name)
    return Document(name, title, MEDIA_TYPE, sections, {}, notes)


def _first_heading(sections: Sequence[Section]) -> str:
    first = next((one for one in sections if one.page == 1 and one.headings), None)
    return first.headings[0] if first is not None else ""


class _Reading:
    """The pages of a PDF on their way to sections."""

    def __init__(self, pages: Sequence[Page]) -> None:
        self._pages = pages
        self._repeated = _repeated(pages)
        self._body = _body_size(pages)
        self._sizes = self._heading_sizes()
        self._path: list[tuple[int, str]] = []
        self._open: list[Line] = []
        self._kind: SectionKind = "text"
        self._page = 1

    def _heading_sizes(self) -> list[float]:
        """Give the type sizes of headings, the largest first."""
        sizes = Counter(
            line.size for page in self._pages for line in page.lines if self._is_larger(line)
        )
        return sorted(sizes, reverse=True)

    def _is_larger(self, line: Line) -> bool:
        return line.size >= self._body * LARGER and _may_be_heading(line)

    def _level(self, line: Line) -> int | None:
        """Give a heading's level from 1; None for a line of running text."""
        if self._is_larger(line):
            return min(self._sizes.index(line.size) + 1, _LEVELS)
        short = len(line.text) <= 80 and not _ENDED.search(line.text)
        if line.bold and short and _may_be_heading(line) and not _ITEM.match(line.text):
            return _LEVELS + 1
        return None

    def sections(self) -> Iterator[Section]:
        """Give the sections of all pages in order."""
        heading: tuple[int, Line] | None = None
        for page in self._pages:
            for one in _in_order(page, self._repeated):
                if isinstance(one, Table):
                    yield from self._end()
                    heading = None
                    yield self._section(_as_markdown(one.rows), page.number, "table")
                    continue
                level = self._level(one)
                if level is None:
                    heading = None
                    yield from self._line(one, page.number)
                    continue
                yield from self._end()
                self._head(
                    level, one,
                    heading is not None
                    and heading[0] == level
                    and one.top - heading[1].bottom < one.size,
                )  # fmt: skip
                heading = (level, one)
            # A paragraph that goes on over the page's end stays one.
            if self._open and _ENDED.search(self._open[-1].text):
                yield from self._end()
        yield from self._end()

    def _head(self, level: int, line: Line, goes_on: bool) -> None:
        if goes_on and self._path:
            before = self._path.pop()[1]
            self._path.append((level, f"{before} {line.text}"[:LONGEST_HEADING]))
            return
        self._path = [one for one in self._path if one[0] < level]
        self._path.append((level, line.text))

    def _line(self, line: Line, page: int) -> Iterator[Section]:
        item = bool(_ITEM.match(line.text))
        if self._open and not self._goes_on(line, item):
            yield from self._end()
        if not self._open:
            self._page, self._kind = page, "list" if item else "text"
        self._open.append(line)

    def _goes_on(self, line: Line, item: bool) -> bool:
        last = self._open[-1]
        gap = line.top - last.bottom
        near = -line.size * 0.5 <= gap <= max(line.size, last.size) * 0.8 or gap < -line.size * 2
        if item:
            return self._kind == "list" and near
        if self._kind == "list":
            return near and line.left > self._open[0].left - 1
        return near and abs(line.size - last.size) < 1

    def _end(self) -> Iterator[Section]:
        if self._open:
            text = _joined(self._open)
            if any(one.isalnum() for one in text):
                yield self._section(text, self._page, self._kind)
            self._open = []

    def _section(self, text: str, page: int, kind: SectionKind) -> Section:
        return Section(tuple(text for _, text in self._path), text, page, kind)


def _in_order(page: Page, repeated: frozenset[str]) -> Iterator[Line | Table]:
    """Give a page's lines without what repeats, each table before the first line below it."""
    waiting = sorted(page.tables, key=lambda one: one.top)
    for line in page.lines:
        while waiting and line.top > waiting[0].top:
            yield waiting.pop(0)
        if not (_in_margin(line, page) and (_shape(line) in repeated or _is_number(line))):
            yield line
    yield from waiting


def _repeated(pages: Sequence[Page]) -> frozenset[str]:
    """Give what stands at the head or foot of a third of the pages, and of three at least."""
    counts: Counter[str] = Counter()
    for page in pages:
        counts.update({_shape(line) for line in page.lines if _in_margin(line, page)})
    least = max(3, len(pages) / 3)
    return frozenset(shape for shape, count in counts.items() if count >= least)


def _in_margin(line: Line, page: Page) -> bool:
    return line.bottom < page.height * _MARGIN or line.top > page.height * (1 - _MARGIN)


def _shape(line: Line) -> str:
    return _NUMBER.sub("#", line.text.casefold())


def _is_number(line: Line) -> bool:
    return bool(re.fullmatch(r"(?:page|seite|p\.|第)?\s*[-–—]?\s*(?:\d+|[ivxlc]+)\s*[-–—]?\s*"
                             r"(?:页|(?:of|/|von)\s*\d+)?", line.text.casefold()))  # fmt: skip


def _body_size(pages: Sequence[Page]) -> float:
    """Give the type size most characters have."""
    counts: Counter[float] = Counter()
    for page in pages:
        for line in page.lines:
            counts[line.size] += len(line.text)
    return counts.most_common(1)[0][0] if counts else 0.0


def _may_be_heading(line: Line) -> bool:
    letters = sum(one.isalpha() for one in line.text)
    return (
        letters >= 2 and letters * 2 >= len(line.text) * 0.8 and len(line.text) <= LONGEST_HEADING
    )


def _joined(lines: Sequence[Line]) -> str:
    """Join a paragraph's lines; words that were parted become whole, list items stay lines."""
    text = ""
    before: Line | None = None
    for line in lines:
        if before is None:
            text = line.text
        elif _ITEM.match(line.text):
            text += f"\n{line.text}"
        elif before.hyphen or _sticks(text, line.text):
            text += line.text
        else:
            text += f" {line.text}"
        before = line
    return text


def _sticks(text: str, more: str) -> bool:
    """Say whether a line goes on without a space: after a hyphen, and in Chinese and Japanese."""
    if text.endswith("-"):
        return more[:1].islower()
    return bool(_UNSPACED.match(more[:1]) and _UNSPACED.match(text[-1:]))


def _as_markdown(rows: Sequence[Sequence[Any]]) -> str:
    width = max(map(len, rows))
    lines = [
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row)
        + " |" * (width - len(row) + 1)
        for row in rows
    ]  # fmt: skip
    return "\n".join([lines[0], "| " + " | ".join(["---"] * width) + " |", *lines[1:]])
