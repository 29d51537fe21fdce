"""The terms a text is found by, in every script: what BM25 counts.

Words of alphabets (Latin, Cyrillic, Greek and the like) are cut into overlapping pieces of four
letters, case and accents folded: so a word's forms, its compounds and slips of the pen still meet,
whatever the language, and no stemmer has to know which one it is (McNamee and Mayfield 2004,
“Character n-gram tokenization for European language text retrieval”). Chinese: jieba's words, the
short ones inside long ones included, and every character. Kana, Hangul and the scripts of South-
East Asia, which write no spaces or glue particles on: pairs of characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

GRAM = 4
"""Letters of a piece; docs/benchmarks.md compares it with whole words and stems."""
LONGEST = 64
"""Letters of a word that count; what is longer is no word."""
_EDGE = "_"
_HAN = "㐀-䶿一-鿿豈-﫿𠀀-𲎯々〇"
_PAIRED = "぀-ヿㇰ-ㇿ가-힯ก-๿຀-໿ༀ-࿿က-႟ក-៿"
_PIECES = re.compile(
    rf"(?P<han>[{_HAN}]+)|(?P<paired>[{_PAIRED}]+)|(?P<word>[^\W_{_HAN}{_PAIRED}]+)"
)


def terms(text: str) -> list[str]:
    """Give the terms of a text in order, each as often as it stands there; none holds a space."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    found: list[str] = []
    for match in _PIECES.finditer(folded):
        if match.lastgroup == "word":
            found += grams(match[0])
        elif match.lastgroup == "paired":
            found += _pairs(match[0])
        else:
            found += _chinese(match[0])
    return found


def _chinese(text: str) -> Iterator[str]:
    from rjieba import cut_for_search

    cut = cut_for_search(text, True)
    yield from cut
    alone = {one for one in cut if len(one) == 1}
    yield from (one for one in text if one not in alone)


def _pairs(text: str) -> Iterator[str]:
    if len(text) < 2:
        yield text
        return
    for place in range(len(text) - 1):
        yield text[place : place + 2]


@lru_cache(maxsize=50_000)
def grams(word: str) -> tuple[str, ...]:
    """Cut a word into overlapping pieces; where it begins and ends is marked, short ones stay."""
    if not word.isascii():
        apart = unicodedata.normalize("NFD", word)
        word = "".join(one for one in apart if not unicodedata.combining(one))
    marked = f"{_EDGE}{word[:LONGEST]}{_EDGE}"
    return tuple(marked[place : place + GRAM] for place in range(max(1, len(marked) - GRAM + 1)))
