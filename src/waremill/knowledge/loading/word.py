"""Word documents (docx): headings by their styles, lists and tables, through MarkItDown.

Headers, footers, comments and pictures are left out.
"""

from __future__ import annotations

from typing import Final

from waremill.knowledge.document import Document
from waremill.knowledge.loading.archives import is_zip, markdown_of, property_of
from waremill.knowledge.loading.markdown import sections_of, stem_of, title_of

SUFFIXES: Final = (".docx",)
RANK: Final = 10
MEDIA_TYPE: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
NOTHING: Final = "there is no text in the document, perhaps only pictures"


def recognises(head: bytes, suffix: str) -> bool:
    """Say whether a file is a Word document."""
    return is_zip(head) and (suffix in (*SUFFIXES, ".docm") or b"word/" in head)


def read(content: bytes, name: str) -> Document:
    """Read a Word document; raise SourceError for one that is damaged, encrypted or a bomb."""
    found = markdown_of(content, name, "word/document.xml", "DocxConverter", ".docx")
    sections = sections_of(found)
    title = property_of(content, "dc:title") or title_of(sections) or stem_of(name)
    return Document(name, title, MEDIA_TYPE, sections)
