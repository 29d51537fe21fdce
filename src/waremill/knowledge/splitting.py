"""Documents to pieces: along headings first, then blocks, then sentences, by tokens.

A piece never crosses a heading. Blocks that fit together share a piece. A table that does not fit
is cut between rows and each part begins with its header row; a list is cut between items; text
between paragraphs and sentences, the next part beginning with the end of the one before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING

from waremill.knowledge.document import Document, Piece, Section
from waremill.providers.tokens import approximate

if TYPE_CHECKING:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

MOST_TOKENS = 320
"""Tokens of a piece: a paragraph or two, which embedders of 512 tokens take whole with headings."""
OVERLAP = 40
"""Tokens that two parts of one long text share, so that a sentence's context is in both."""
Count = Callable[[str], int]
_SEPARATORS = (
    "\n\n", "\n", r"(?<=[。！？；])", r"(?<=[.!?;…])\s+", r"(?<=[，、：])", r"(?<=[,:])\s+", r"\s+",
    "",
)  # fmt: skip
"""Where text is cut, best place first: paragraphs, lines, sentences, clauses, words, anywhere."""
_DELIMITER = re.compile(r"^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$")
_ITEM = re.compile(r"^(?:[-*+•]|\d{1,4}[.)、])\s")


def split(
    document: Document,
    most_tokens: int = MOST_TOKENS,
    overlap: int = OVERLAP,
    *,
    count: Count = approximate,
) -> list[Piece]:
    """Split a document into pieces of at most `most_tokens` tokens each, in its order.

    `count` counts a text's tokens; the default estimates them by script (median error 6 % against
    o200k_base). A piece's headings are not counted.
    """
    cut = _Cut(most_tokens, min(overlap, most_tokens // 4), count)
    pieces: list[Piece] = []
    for headings, sections in groupby(document.sections, key=lambda one: one.headings):
        for text, page in _packed(list(sections), cut):
            if not text.strip():
                continue
            pieces.append(Piece(text, headings, page, len(pieces), count(text)))
    return pieces


class _Cut:
    """How pieces are cut: the most tokens, the overlap, the counter."""

    def __init__(self, most: int, overlap: int, count: Count) -> None:
        self.most, self.overlap, self.count = most, overlap, count

    def parts(self, section: Section) -> list[str]:
        """Cut a section that is too long for one piece."""
        if section.kind == "table":
            return _table_parts(section.text, self)
        if section.kind == "list":
            return self.pack(_items(section.text), "\n")
        return self.text(section.text)

    def text(self, text: str, overlap: bool = True) -> list[str]:
        """Cut running text between paragraphs, sentences or words."""
        splitter = _splitter(self.most, self.overlap if overlap else 0, self.count)
        return [part.strip() for part in splitter.split_text(text) if part.strip()]

    def pack(self, parts: Sequence[str], glue: str, first: str = "") -> list[str]:
        """Join parts up to the most tokens; one that is too long alone is cut as text.

        Every result begins with `first`, which counts.
        """
        room = max(self.most - (self.count(first) if first else 0), self.most // 4)
        packed: list[str] = []
        current: list[str] = []
        used = 0
        for part in parts:
            size = self.count(part)
            if current and used + size > room:
                packed.append(glue.join(current))
                current, used = [], 0
            if size > room:
                packed += self.text(part, overlap=False)
                continue
            current.append(part)
            used += size
        if current:
            packed.append(glue.join(current))
        return [f"{first}{glue}{one}" if first else one for one in packed]


def _packed(sections: Sequence[Section], cut: _Cut) -> Iterator[tuple[str, int | None]]:
    """Give the pieces of sections under one heading: text and the page it begins on."""
    waiting: list[Section] = []
    used = 0
    for section in sections:
        size = cut.count(section.text)
        turned = bool(waiting) and waiting[-1].page != section.page
        full = used + size > cut.most
        # A page's end is a good place to part, once there is enough for a piece.
        if waiting and (full or (turned and used * 2 > cut.most)):
            yield _joined(waiting), waiting[0].page
            waiting, used = [], 0
        if size > cut.most:
            for part in cut.parts(section):
                yield part, section.page
            continue
        waiting.append(section)
        used += size
    if waiting:
        yield _joined(waiting), waiting[0].page


def _joined(sections: Sequence[Section]) -> str:
    return "\n\n".join(one.text for one in sections)


def _table_parts(text: str, cut: _Cut) -> list[str]:
    """Cut a Markdown table between rows; every part begins with the header."""
    lines = text.split("\n")
    headed = len(lines) > 1 and bool(_DELIMITER.match(lines[1]))
    header = "\n".join(lines[:2]) if headed else ""
    rows = lines[2:] if headed else lines
    if header and cut.count(header) * 2 > cut.most:
        header = ""  # a header that leaves no room for rows says more alone
        rows = lines
    return cut.pack(rows, "\n", header)


def _items(text: str) -> list[str]:
    """Cut a list before each of its outermost items."""
    items: list[list[str]] = []
    for line in text.split("\n"):
        if _ITEM.match(line) or not items:
            items.append([])
        items[-1].append(line)
    return ["\n".join(lines) for lines in items]


@lru_cache(maxsize=16)
def _splitter(most: int, overlap: int, count: Count) -> RecursiveCharacterTextSplitter:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    return RecursiveCharacterTextSplitter(
        separators=list(_SEPARATORS), is_separator_regex=True, keep_separator=True,
        chunk_size=most, chunk_overlap=overlap, length_function=count,
    )  # fmt: skip
