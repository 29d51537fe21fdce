"""Cleaning one cell: markup to text, entities, full-width forms, invisible characters, white space.

Cleaning never guesses at meaning: it does not change case, spelling, numbers or units, and cleaning
a clean text changes nothing. This module must not read files and must not know columns.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

import orjson

_BLOCK_TAGS_WORDS = (
    "address article aside blockquote body br caption center dd details dialog dir div "
    "dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr "
    "html legend li main menu nav ol optgroup option p pre section summary table tbody "
    "tfoot thead tr ul"
)
_BLOCK_TAGS = frozenset(_BLOCK_TAGS_WORDS.split())
_DROPPED_WITH_CONTENT = "script|style|head|title|template|noscript|iframe|svg|object|textarea"
_INLINE_TAGS_WORDS = (
    "a abbr acronym applet audio b base basefont bdi bdo big button canvas cite code col "
    "colgroup data datalist del dfn em embed font frame frameset i iframe img input ins "
    "kbd label link map mark marquee meta meter nobr noframes object output param "
    "picture progress q rp rt ruby s samp script select small source span strike strong "
    "style sub sup svg td textarea template th time title track tt u var video wbr head "
    "noscript path"
)
_INLINE_TAGS = frozenset(_INLINE_TAGS_WORDS.split())
_TAGS = _BLOCK_TAGS | _INLINE_TAGS

# Whatever a clean cell never holds. A plain character class keeps the search at about a nanosecond
# a character; runs of spaces and spaces at the ends are found by `str` methods beside it.
_SUSPECT = re.compile(
    "[<\x00-\x1f\x7f-\xa0\xad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
    "\ufff9-\ufffb\uff02-\uff07\uff0a\uff0b\uff0d-\uff19\uff1d\uff20-\uff3a\uff3c\uff3e-\uff5a"
    "\uff5c\ud800-\udfff]"
)
# Full-width ASCII that is not Chinese punctuation: letters, digits and signs. The comma, colon,
# semicolon, exclamation and question mark, parentheses, square brackets, braces and tilde are
# ordinary punctuation in Chinese and Japanese text; `＜` and `＞` must not turn into markup.
_FULL_WIDTH = {
    code: code - 0xFEE0
    for code in range(0xFF01, 0xFF5F)
    if chr(code) not in "！（），：；？～［］｛｝＜＞"
}
# C1 controls in decoded text are Windows-1252 bytes that were read as Latin-1 (the WHATWG HTML
# standard maps numeric references the same way); other controls and marks are dropped.
_C1 = {code: bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)}
_DROPPED = dict.fromkeys(
    [
        *(code for code in range(0x20) if code not in (0x09, 0x0A, 0x0B, 0x0C, 0x0D)),
        0x7F, 0xAD, 0x180E, 0x200B, 0x200E, 0x200F, 0xFEFF, 0xFFF9, 0xFFFA, 0xFFFB,
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xD800, 0xE000),
    ]
)  # fmt: skip
_LINE_BREAKS = {0x0B: "\n", 0x0C: "\n", 0x0D: "\n", 0x2028: "\n", 0x2029: "\n"}
_SPACES = dict.fromkeys([0x09, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000], " ")
_CHARACTERS = {**_FULL_WIDTH, **_C1, **_DROPPED, **_LINE_BREAKS, **_SPACES}

# Joiners matter between emoji and in Indic and Arabic scripts; elsewhere they are debris.
_JOINING = "\u0600-\u0dff\u2190-\u2bff\ufe0f\U0001f000-\U0001faff"
_STRAY_JOINER = re.compile(
    f"(?<![{_JOINING}])[\u200c\u200d]+|[\u200c\u200d]+(?![{_JOINING}])|(?<=[\u200c\u200d])[\u200c\u200d]+"
)
_ENTITY = re.compile(r"&(?:#\d{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[a-zA-Z][a-zA-Z0-9]{1,31};|nbsp\b)")
_COMMENT = re.compile(
    r"<!--.*?(?:-->|\Z)|<!\[CDATA\[|\]\]>|<!doctype[^<>]*>|<\?[a-z][^<>]*>", re.S | re.I
)
_WITH_CONTENT = re.compile(
    rf"<({_DROPPED_WITH_CONTENT})\b[^<>]*(?<!/)>.*?(?:</\1\s*>|\Z)", re.S | re.I
)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*(?::[a-zA-Z0-9]+)?)((?:[\s/][^<>]*)?)>")
_QUOTED_TAG = re.compile(
    r"<([a-zA-Z][a-zA-Z0-9]*)((?:\s+[\w:.-]+\s*=\s*(?:\"[^\"<]*\"|'[^'<]*'))+)\s*/?>"
)
_CUT_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*)(\s*/?|\s[^<>]*)\Z")
_AROUND_BREAK = re.compile(r" *\n[ \n]*")
_SPACE_RUN = re.compile(r"  +")


def is_clean(text: str) -> bool:
    """Say whether cleaning would leave the text as it is; a suspicion counts as no."""
    if _SUSPECT.search(text) or "  " in text or text[:1] == " " or text[-1:] == " ":
        return False
    return "&" not in text or not _ENTITY.search(text)


def clean_text(text: str) -> str:
    """Give the text without markup, entities, invisible characters and surplus white space.

    Block tags become line breaks, other tags vanish, scripts and styles go with their content.
    Entities are resolved, also when escaped twice. Full-width letters and digits become ASCII while
    Chinese punctuation and signs such as ½ or ™ stay. Lines are trimmed and blank lines removed.
    """
    # Debris removed in one pass can join into new markup ("&am<b></b>p;"), so repeat until stable.
    for _ in range(4):
        if is_clean(text):
            return text
        before = text
        text = _clean_once(text)
        if text == before:
            break
    return text


def all_clean(joined: str) -> bool:
    """Say whether cells joined with a space need no cleaning and none is blank.

    One test clears a thousand cells: a space at a cell's end stands beside the one that joins it,
    and so do the two around a blank cell.
    """
    if "  " in joined or joined[:1] in ("", " ") or joined[-1:] == " ":
        return False
    if "&" in joined and _ENTITY.search(joined):
        return False
    return _plainly_clean(joined) or not _SUSPECT.search(joined)


def _plainly_clean(text: str) -> bool:
    """Say whether ASCII text holds no suspicious character; a suspicion counts as no.

    JSON escapes control characters (and quotation marks and backslashes), and writing it is many
    times faster than searching for a class of characters.
    """
    plain = text.isascii() and "<" not in text and "\x7f" not in text
    return plain and b"\\" not in orjson.dumps(text)


def clean_many(texts: Iterable[str]) -> list[str]:
    """Clean many cells, testing them together first because most columns need nothing."""
    cells = list(texts)
    if all_clean(" ".join(cells)):
        return cells
    return [cell if is_clean(cell) else clean_text(cell) for cell in cells]


def _clean_once(text: str) -> str:
    text = text.replace("\r\n", "\n").translate(_CHARACTERS)
    if "\u200c" in text or "\u200d" in text:
        text = _STRAY_JOINER.sub("", text)
    if "&" in text:
        text = _resolve_entities(text)
    if "<" in text:
        text = _strip_markup(text)
    if "  " in text:
        text = _SPACE_RUN.sub(" ", text)
    if "\n" in text:
        text = _AROUND_BREAK.sub("\n", text)
    return text.strip()


def _resolve_entities(text: str) -> str:
    for _ in range(3):
        if not _ENTITY.search(text):
            break
        resolved = html.unescape(text)
        if resolved == text:
            break
        text = resolved.replace("\r\n", "\n").translate(_CHARACTERS)
    return text


def _strip_markup(text: str) -> str:
    text = _COMMENT.sub(" ", text)
    text = _WITH_CONTENT.sub(" ", text)
    text = _QUOTED_TAG.sub(lambda match: _instead_of(match[1], match[0]), text)
    text = _TAG.sub(
        lambda match: (
            match[0] if _is_prose(match[2], match[3]) else _instead_of(match[2], match[0])
        ),
        text,
    )
    return _CUT_TAG.sub(
        lambda match: match[0] if _is_cut_prose(match[0], match[1], match[2]) else " ", text
    )


def _is_prose(name: str, attributes: str) -> bool:
    """Say whether `<name…>` is ordinary text such as `<50ml>` or `a<b and c>d`."""
    if ":" in name:
        return False
    if name.lower() not in _TAGS:
        return True
    attributes = attributes.strip(" \n/")
    return bool(attributes) and "=" not in attributes and len(attributes.split()) > 1


def _is_cut_prose(whole: str, name: str, rest: str) -> bool:
    """Say whether `<name…` at the very end is text rather than a tag that was cut off."""
    if name.lower() not in _TAGS:
        return True
    return not (whole.startswith("</") or "=" in rest or name.lower() in ("br", "p", "div", "li"))


def _instead_of(name: str, whole: str) -> str:
    lowered = name.lower()
    if lowered in _BLOCK_TAGS:
        return "\n"
    if lowered in ("td", "th", "img", "input") or ":" in lowered:
        return " "
    return whole if lowered not in _TAGS else ""
