"""What knowledge is made of before it can be searched: documents, their sections, their pieces.

Frozen data and its form as JSON; nothing here reads a file or knows a format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from waremill.domain import storable

SectionKind = Literal["text", "list", "table", "code"]
SECTION_KINDS: tuple[SectionKind, ...] = get_args(SectionKind)
LONGEST_HEADING = 300
"""Characters of a title or heading."""


@dataclass(frozen=True, slots=True)
class Section:
    """One block of a document: a paragraph, a list, a table or code, in the document's order.

    `headings` is the path of headings it stands under, the outermost first; `page` counts from 1
    where the document has pages or slides. A table's text is Markdown with its header row first.
    """

    headings: tuple[str, ...]
    text: str
    page: int | None = None
    kind: SectionKind = "text"


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was loaded.

    `name` tells it apart within its knowledge base: a path below the folder it was added from, or a
    web address. `metadata` is what the document says of itself (front matter, properties); `notes`
    say what was left out or guessed while it was read.
    """

    name: str
    title: str
    media_type: str
    sections: tuple[Section, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The whole text: headings as Markdown, each written once where it begins."""
        parts: list[str] = []
        before: tuple[str, ...] = ()
        for section in self.sections:
            if section.headings != before:
                same = _same(before, section.headings)
                for depth, heading in enumerate(section.headings[same:], same + 1):
                    parts.append(f"{'#' * min(depth, 6)} {heading}")
                before = section.headings
            parts.append(section.text)
        return "\n\n".join(parts)


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a document: what is embedded, indexed and found.

    `position` counts the document's pieces from 0, `tokens` is an estimate.
    """

    text: str
    headings: tuple[str, ...]
    page: int | None
    position: int
    tokens: int


def bounded(document: Document) -> Document:
    """Give a document whose texts any database keeps, and whose headings are short.

    Title and headings go with every passage below them: one of a megabyte would be stored a
    thousand times. `metadata` are as they were.
    """
    sections = tuple(
        replace(one, headings=tuple(map(_brief, one.headings)), text=storable(one.text))
        for one in document.sections
    )
    notes = tuple(map(storable, document.notes))
    return replace(document, title=_brief(document.title), sections=sections, notes=notes)


def _brief(text: str) -> str:
    text = storable(text)
    return text if len(text) <= LONGEST_HEADING else f"{text[: LONGEST_HEADING - 1]}…"


def sections_as_json(sections: Sequence[Section]) -> list[list[Any]]:
    """Give sections as JSON: lists of headings, text, page and kind."""
    return [[list(one.headings), one.text, one.page, one.kind] for one in sections]


def sections_from_json(rows: Sequence[Sequence[Any]]) -> tuple[Section, ...]:
    """Give the sections that `sections_as_json` wrote."""
    return tuple(Section(tuple(row[0]), row[1], row[2], row[3]) for row in rows)


def _same(one: Sequence[str], other: Sequence[str]) -> int:
    """Count the headings two paths share from the outermost on."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count
