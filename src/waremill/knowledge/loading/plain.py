"""Plain text: paragraphs between blank lines; lines that look like headings stay text."""

from __future__ import annotations

import re
from typing import Final

from waremill.knowledge.document import Document, Section
from waremill.knowledge.loading.decoding import decode
from waremill.knowledge.loading.markdown import stem_of

SUFFIXES: Final = (".txt", ".text", ".log", ".rst")
RANK: Final = 90
MEDIA_TYPE: Final = "text/plain"
_PARAGRAPHS = re.compile(r"\n[ \t]*\n\s*")


def recognises(head: bytes, suffix: str) -> bool:
    """Say whether a file is plain text; its name alone tells."""
    return suffix in SUFFIXES


def read(content: bytes, name: str) -> Document:
    """Read a text file."""
    text, notes = decode(content, name)
    parts = (part.strip("\n").rstrip() for part in _PARAGRAPHS.split(text))
    sections = tuple(Section((), part) for part in parts if part.strip())
    return Document(name, stem_of(name), MEDIA_TYPE, sections, {}, notes)
