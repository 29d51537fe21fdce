"""Web pages: their main part, without navigation, footers, forms and what is hidden.

Scripts never run and nothing is fetched. The page's language, where it names one, becomes metadata.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Any, Final

from waremill.knowledge.document import Document
from waremill.knowledge.loading.decoding import decode
from waremill.knowledge.loading.markdown import sections_of, stem_of, title_of

if TYPE_CHECKING:
    from lxml.html import HtmlElement

SUFFIXES: Final = (".html", ".htm", ".xhtml")
RANK: Final = 30
MEDIA_TYPE: Final = "text/html"
NOTHING: Final = "there is no text in the page, perhaps only scripts that would make some"
_STARTS: Final = (b"<!doctype html", b"<html", b"<head", b"<body")
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.I)
_PROLOGUE = re.compile(r"\A\s*<\?xml[^>]*\?>")
_DROPPED = (
    "script", "style", "noscript", "template", "svg", "nav", "footer", "aside", "form", "iframe",
    "object", "embed", "button", "select", "dialog", "canvas", "video", "audio",
)  # fmt: skip
_ROLES = ("navigation", "banner", "contentinfo", "search", "complementary", "alert", "dialog")
_UNSEEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


def recognises(head: bytes, suffix: str) -> bool:
    """Say whether a file is a web page."""
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    return suffix in SUFFIXES or start.startswith(_STARTS)


def read(content: bytes, name: str) -> Document:
    """Read a web page."""
    text, notes = _text(content, name)
    import lxml.html

    root = lxml.html.document_fromstring(_PROLOGUE.sub("", text) or "<p></p>")
    found = root.findtext(".//title") or ""
    language = (root.get("lang") or "").partition("-")[0].strip().lower()
    main = _main(root)
    _strip(main)
    sections = sections_of(markdown(lxml.html.tostring(main, encoding="unicode")))
    title = " ".join(found.split()) or title_of(sections) or stem_of(name)
    metadata = {"language": language} if re.fullmatch("[a-z]{2,3}", language) else {}
    return Document(name, title, MEDIA_TYPE, sections, metadata, notes)


def markdown(text: str) -> str:
    """Write HTML as Markdown, by MarkItDown; scripts and styles are left out."""
    from markitdown.converters import HtmlConverter

    return str(HtmlConverter().convert_string(text).markdown)


def _text(content: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    """Decode a page as it says itself, unless it is UTF-8 all the same."""
    said = _CHARSET.search(content[:4096])
    if said is not None and not content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return content.decode("utf-8-sig"), ()
        except UnicodeDecodeError:
            pass
        try:
            return content.decode(said[1].decode("ascii"), "replace"), ()
        except LookupError:
            pass
    return decode(content, name)


def _main(root: HtmlElement) -> HtmlElement:
    """Give the page's main part where it marks one, else its body."""
    marked = [*root.iter("main"), *root.xpath("//*[@role='main']")]
    if len(marked) == 1 and len(marked[0].text_content().strip()) > 0:
        return marked[0]
    body = root.find(".//body")
    return root if body is None else body


def _strip(main: HtmlElement) -> None:
    dropped: list[Any] = list(main.iter(*_DROPPED))
    for element in main.iter("header"):
        if not any(True for _ in element.iter("h1")) or any(True for _ in element.iter("nav")):
            dropped.append(element)
    for element in main.xpath(".//*[@hidden or @aria-hidden='true' or @role or @style]"):
        hidden = element.get("hidden") is not None or element.get("aria-hidden") == "true"
        if hidden or element.get("role") in _ROLES or _UNSEEN.search(element.get("style") or ""):
            dropped.append(element)
    for element in dropped:
        if element.getparent() is not None and element is not main:
            element.drop_tree()
