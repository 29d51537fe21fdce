"""Word documents (docx): headings by their styles, lists and tables, through MarkItDown.

Headers, footers, comments and pictures are left out.
"""

from __future__ import annotations

import io
from typing import Any, Final

from waremill.knowledge.document import Document
from waremill.knowledge.loading.archives import check_archive, is_zip, property_of
from waremill.knowledge.loading.markdown import sections_of, stem_of, title_of

SUFFIXES: Final = (".docx",)
RANK: Final = 10
ISOLATED: Final = True
MEDIA_TYPE: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
NOTHING: Final = "there is no text in the document, perhaps only pictures"


def recognises(head: bytes, suffix: str) -> bool:
    """Say whether a file is a Word document."""
    return is_zip(head) and (suffix in (*SUFFIXES, ".docm") or b"word/" in head)


def read(content: bytes, name: str) -> Document:
    """Read a Word document; raise SourceError for one that is damaged, encrypted or a bomb."""
    check_archive(content, name, "word/document.xml")
    from markitdown import StreamInfo
    from markitdown.converters import DocxConverter

    converter: Any = DocxConverter
    found = converter().convert(io.BytesIO(content), StreamInfo(extension=".docx"))
    sections = sections_of(found.markdown)
    title = property_of(content, "dc:title") or title_of(sections) or stem_of(name)
    return Document(name, title, MEDIA_TYPE, sections)
