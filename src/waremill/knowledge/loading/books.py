"""Electronic books (epub): chapters in the order of reading, through MarkItDown."""

from __future__ import annotations

import re
from typing import Final

from waremill.knowledge.document import Document
from waremill.knowledge.loading.archives import is_zip, markdown_of
from waremill.knowledge.loading.markdown import plain, sections_of, stem_of

SUFFIXES: Final = (".epub",)
RANK: Final = 12
MEDIA_TYPE: Final = "application/epub+zip"
_SAID = re.compile(r"\A(?:\*\*\w+:\*\* .*(?:\n|\Z))+")
_TITLE = re.compile(r"^\*\*Title:\*\* (.*)$", re.MULTILINE)
_LANGUAGE = re.compile(r"^\*\*Language:\*\* ([A-Za-z]{2,3})\b", re.MULTILINE)


def recognises(head: bytes, suffix: str) -> bool:
    """Say whether a file is an electronic book."""
    return is_zip(head) and (suffix in SUFFIXES or b"application/epub+zip" in head)


def read(content: bytes, name: str) -> Document:
    """Read a book; raise SourceError for one that is damaged or a bomb."""
    found = markdown_of(content, name, "META-INF/container.xml", "EpubConverter", ".epub")
    said = _SAID.match(found)
    about = said[0] if said else ""
    title, language = _TITLE.search(about), _LANGUAGE.search(about)
    sections = sections_of(found[len(about) :])
    metadata = {"language": language[1].lower()} if language else {}
    return Document(
        name, plain(title[1]) if title else stem_of(name), MEDIA_TYPE, sections, metadata
    )
