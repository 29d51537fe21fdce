"""Markdown: front matter, headings, lists, tables and code, told apart by markdown-it.

Other formats come in here too, once a converter wrote them as Markdown. Addresses of pictures and
links inside the document are left out: they say nothing to a reader of a passage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from waremill.errors import SourceError, Where
from waremill.knowledge.document import Document, Section, SectionKind
from waremill.knowledge.loading.decoding import decode
from waremill.knowledge.loading.plain_yaml import NotPlain, read_values

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

SUFFIXES: Final = (".md", ".markdown", ".mdx")
RANK: Final = 60
MEDIA_TYPE: Final = "text/markdown"
_FRONT = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_PAGE = re.compile(r"<!--\s*(?:slide|page)\s+number:\s*(\d+)\s*-->", re.IGNORECASE)
_PICTURE = re.compile(r"!\[([^\]]*)\]\((?:[^()\s]|\([^()]*\))*(?:\s+\"[^\"]*\")?\)")
_LINK = re.compile(r"(?<!!)\[([^\[\]]*)\]\(<?((?:[^()\s<>]|\([^()]*\))*)>?(?:\s+\"[^\"]*\")?\)")
_HIDDEN = re.compile(r"<!--.*?-->|<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_UNSEEN = re.compile("[\u200b\u2060\ufeff]")
_LONGEST_ADDRESS = 200
_KINDS: Mapping[str, SectionKind] = {
    "bullet_list_open": "list", "ordered_list_open": "list", "table_open": "table",
    "fence": "code", "code_block": "code",
}  # fmt: skip


def recognises(head: bytes, suffix: str) -> bool:
    """Say whether a file is Markdown; its name alone tells."""
    return suffix in SUFFIXES


def read(content: bytes, name: str) -> Document:
    """Read a Markdown file; raise SourceError for front matter that is no YAML."""
    text, notes = decode(content, name)
    metadata, body = split_front_matter(text, name)
    sections = sections_of(body)
    title = str(metadata.pop("title", "") or "") or title_of(sections) or stem_of(name)
    return Document(name, title, MEDIA_TYPE, sections, metadata, notes)


def split_front_matter(text: str, name: str) -> tuple[dict[str, Any], str]:
    """Take YAML front matter off a text; give its values and the rest."""
    match = _FRONT.match(text)
    if match is None:
        return {}, text
    try:
        found = read_values(match[1])
    except NotPlain as error:
        raise SourceError(
            "the front matter between the lines --- is no YAML of plain NAME: VALUE lines",
            Where(file=name, line=2 + (error.line or 0)),
        ) from None
    if found is None:
        return {}, text  # a rule above a paragraph, no front matter
    return dict(found), text[match.end() :]


def sections_of(text: str) -> tuple[Section, ...]:
    """Give the blocks of a Markdown text with their headings.

    A comment `<!-- Slide number: 3 -->` or `<!-- Page number: 3 -->` sets the page of what follows.
    """
    lines = text.split("\n")
    path: list[tuple[int, str]] = []
    page: int | None = None
    found: list[Section] = []
    tokens = _parser().parse(text)
    for number, token in enumerate(tokens):
        if token.level or token.map is None or token.nesting < 0:
            continue
        if token.type == "heading_open":
            level = int(token.tag[1])
            title = plain(tokens[number + 1].content)
            path = [one for one in path if one[0] < level]
            if title:
                path.append((level, title))
            continue
        block = "\n".join(lines[token.map[0] : token.map[1]]).strip("\n")
        for mark in _PAGE.finditer(block) if token.type == "html_block" else ():
            page = int(mark[1])
        kind = _KINDS.get(token.type, "text")
        said = token.content.strip("\n") if kind == "code" else _clean(block, token)
        if said.strip():
            found.append(Section(tuple(name for _, name in path), said, page, kind))
    return tuple(found)


def title_of(sections: tuple[Section, ...]) -> str:
    """Give the outermost heading where all sections stand under the same one."""
    first = {one.headings[:1] for one in sections}
    return next(iter(first))[0] if len(first) == 1 and first != {()} else ""


def stem_of(name: str) -> str:
    """Give a document's name without folders and ending, as a title of last resort."""
    return PurePosixPath(name.rstrip("/")).stem or name


def plain(text: str) -> str:
    """Take Markdown's marks off one line."""
    text = _UNSEEN.sub("", _LINK.sub(r"\1", _PICTURE.sub(r"\1", text)))
    text = re.sub(r"(\*\*|__|\*|`|~~)(?=\S)(.+?)(?<=\S)\1", r"\2", text)
    return re.sub(r"\s+", " ", re.sub(r"\\([\\`*_{}\[\]()#+.!|~-])", r"\1", text)).strip()


def _clean(block: str, token: Token) -> str:
    if token.type == "hr":
        return ""
    block = _HIDDEN.sub("", block)
    if token.type == "html_block":
        block = _TAG.sub(" ", block)
    block = _UNSEEN.sub("", _LINK.sub(_link, _PICTURE.sub(r"\1", block)))
    return "\n".join(line.rstrip() for line in block.split("\n")).strip("\n")


def _link(match: re.Match[str]) -> str:
    words, address = match[1], match[2]
    outside = address.startswith(("https://", "http://", "mailto:", "tel:"))
    if not outside or len(address) > _LONGEST_ADDRESS or words.strip() == address:
        return words
    return match[0]


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # Inline marks are not parsed but for headings: passages keep the source's lines.
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    parser.core.ruler.disable("inline")
    return parser
