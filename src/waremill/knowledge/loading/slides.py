"""Presentations (pptx): each slide is a page; its title a heading, notes below, by MarkItDown."""

from __future__ import annotations

from typing import Final

from waremill.knowledge.document import Document
from waremill.knowledge.loading.archives import is_zip, markdown_of, property_of
from waremill.knowledge.loading.markdown import sections_of, stem_of

SUFFIXES: Final = (".pptx",)
RANK: Final = 11
MEDIA_TYPE: Final = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
NOTHING: Final = "there is no text in the presentation, perhaps only pictures"


def recognises(head: bytes, suffix: str) -> bool:
    """Say whether a file is a presentation."""
    return is_zip(head) and (suffix in (*SUFFIXES, ".pptm") or b"ppt/" in head)


def read(content: bytes, name: str) -> Document:
    """Read a presentation; raise SourceError for one that is damaged, encrypted or a bomb."""
    found = markdown_of(content, name, "ppt/presentation.xml", "PptxConverter", ".pptx")
    sections = sections_of(found)
    title = property_of(content, "dc:title")
    if not title or title == "PowerPoint Presentation":  # what programs write unasked
        title = next((one.headings[0] for one in sections if one.headings), stem_of(name))
    return Document(name, title, MEDIA_TYPE, sections)
