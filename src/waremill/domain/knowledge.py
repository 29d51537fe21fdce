"""What is looked for in a knowledge base, and what is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for in a knowledge base.

    `where` bounds the documents by their metadata: name to the value it must have, or to a list of
    which one must match. A document without that name serves everyone and is kept.
    """

    knowledge: str
    query: str
    top: int = 3
    where: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document, as a search gives it.

    `id` is the hash of where it stands and what it says, in hexadecimal: the same piece of the same
    document has the same id for good. `document` is the document's name (a path below the folder it
    was added from, a web address, a product's key), `headings` the path of headings it stands
    under, `page` counts from 1 where the document has pages. `score` is the search's own; only its
    order means something.
    """

    id: str
    document: str
    text: str
    title: str = ""
    headings: tuple[str, ...] = ()
    page: int | None = None
    score: float = 0.0
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where it stands, for people: the document, its headings, the page."""
        parts = [self.title or self.document, *self.headings]
        if self.page is not None:
            parts.append(f"p. {self.page}")
        return " › ".join(dict.fromkeys(parts))
