"""Which script a letter is of, and which letters stay together.

Unicode's script property comes from HarfBuzz, which carries it. Scripts have their four-letter
names (ISO 15924).
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import uharfbuzz

COMMON = "Zyyy"
"""Punctuation, digits and signs, which go with the script beside them."""
HAN = frozenset({"Hani", "Bopo"})
KANA = frozenset({"Hira", "Kana"})
WITHOUT_SPACES = frozenset({"Thai", "Laoo", "Khmr", "Mymr"})
"""Scripts that put no space between words and are not written in squares either."""

SCRIPT_NAMES = {
    "Arab": "Arabic", "Armn": "Armenian", "Beng": "Bengali", "Bopo": "Bopomofo", "Cyrl": "Cyrillic",
    "Deva": "Devanagari", "Ethi": "Ethiopic", "Geor": "Georgian", "Grek": "Greek",
    "Gujr": "Gujarati", "Guru": "Gurmukhi", "Hang": "Hangul", "Hani": "Chinese characters",
    "Hebr": "Hebrew", "Hira": "Hiragana", "Kana": "Katakana", "Khmr": "Khmer", "Knda": "Kannada",
    "Laoo": "Lao", "Latn": "Latin", "Mlym": "Malayalam", "Mymr": "Myanmar", "Orya": "Oriya",
    "Sinh": "Sinhala", "Taml": "Tamil", "Telu": "Telugu", "Thai": "Thai", "Tibt": "Tibetan",
}  # fmt: skip

_JOINERS = "\u200d\u200c\u2060\ufe0e\ufe0f"
_ZWJ = "\u200d"


@lru_cache(maxsize=8192)
def script_of(character: str) -> str:
    """Give a character's script; `Zyyy` for what belongs to none or to several."""
    buffer = uharfbuzz.Buffer()
    buffer.add_str(character)
    buffer.guess_segment_properties()
    return str(buffer.script or COMMON)


def scripts(text: str) -> list[str]:
    """Give every character's script; common ones take that of the text before, or after them."""
    found = [script_of(character) for character in text]
    last = COMMON
    for i, script in enumerate(found):
        found[i] = last = script if script != COMMON else last
    following = COMMON
    for i in range(len(found) - 1, -1, -1):
        if found[i] == COMMON:
            found[i] = following
        following = found[i]
    return found


def clusters(text: str) -> list[int]:
    """Give where each cluster of a text starts: a letter with the marks that stand on it.

    Near enough to the grapheme clusters of UAX #29 for fonts and line breaks: marks, joiners,
    emoji modifiers and flags stay with what is before them.
    """
    starts: list[int] = []
    flags = 0
    for i, character in enumerate(text):
        flag = 0x1F1E6 <= ord(character) <= 0x1F1FF
        joined = i > 0 and (
            unicodedata.category(character) in ("Mn", "Me", "Mc")
            or character in _JOINERS
            or text[i - 1] == _ZWJ
            or 0x1F3FB <= ord(character) <= 0x1F3FF
            or (flag and flags % 2 == 1)
        )
        flags = flags + 1 if flag else 0
        if not joined:
            starts.append(i)
    return starts
