"""Finding many terms in a text at once, as whole words.

An Aho–Corasick automaton (Aho and Corasick 1975) reads the text once, however many terms there
are. Letter case and full-width Latin forms do not matter. A term's edge that is a letter or digit
of a script that has spaces must be an edge of a word in the text; Chinese, Japanese, Thai, Lao,
Khmer and Burmese have none, so there containment is enough — except for a term of one character,
which is part of many words (乳 in 乳液) and must stand without such a neighbour. Of matches that
overlap, the leftmost and then the longest is kept. This module knows terms only, not what they
mean.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cached_property
from typing import Any

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3040-\u30ff\u3105-\u312f\u3190-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"  # Han, kana
)
"""The inside of a character class: scripts that are written without spaces between words."""

_UNSPACED = re.compile(f"[{UNSPACED}]")
_FULL_WIDTH = re.compile("[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]")
_NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x2019: 0x27, 0x02BC: 0x27}


def fold(text: str) -> str:
    """Give the text in lower case with narrow Latin letters, every character in its old place."""
    if not text.isascii():
        if _FULL_WIDTH.search(text) or "’" in text:
            text = text.translate(_NARROW)
        folded = text.lower()
        # "İ" is the one letter whose lower case is longer than itself.
        return folded if len(folded) == len(text) else text.replace("İ", "i").lower()
    return text.lower()


def is_word_character(character: str) -> bool:
    """Say whether a character is part of a word in a script that separates words."""
    if character.isascii():
        return character.isalnum()
    if _UNSPACED.match(character):
        return False
    return unicodedata.category(character)[0] in "LMN"


class Matcher:
    """A set of terms to be found; `terms[i]` is the text whose matches carry the index i.

    The automaton is built at the first search and is left out of pickles.
    """

    def __init__(self, terms: Iterable[str]) -> None:
        self.terms = tuple(terms)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.terms,))

    @cached_property
    def _automaton(self) -> Any:
        import ahocorasick

        indexes: dict[str, list[int]] = {}
        for index, term in enumerate(self.terms):
            if folded := fold(term.strip()):
                indexes.setdefault(folded, []).append(index)
        if not indexes:
            return None
        automaton = ahocorasick.Automaton()
        for folded, found in indexes.items():
            alone = len(folded) == 1 and _UNSPACED.match(folded) is not None
            edges = (alone or is_word_character(folded[0]), alone or is_word_character(folded[-1]))
            joins = str.isalnum if alone else is_word_character
            automaton.add_word(folded, (len(folded), edges, joins, tuple(found)))
        automaton.make_automaton()
        return automaton

    def find(self, text: str) -> list[tuple[tuple[int, ...], int, int]]:
        """List (indexes of the terms spelled so, start, end) in the order of the text.

        Takes time in proportion to the text's length and the number of raw matches.
        """
        return self.find_folded(fold(text))

    def find_folded(self, folded: str) -> list[tuple[tuple[int, ...], int, int]]:
        """Do as `find` with a text that is folded already."""
        automaton = self._automaton
        if automaton is None or not folded:
            return []
        last = len(folded) - 1
        raw: list[tuple[int, int, tuple[int, ...]]] = []
        for end, (length, (word_first, word_last), joins, found) in automaton.iter(folded):
            start = end - length + 1
            if word_first and start and joins(folded[start - 1]):
                continue
            if word_last and end < last and joins(folded[end + 1]):
                continue
            raw.append((start, -end, found))
        if len(raw) < 2:
            return [(found, start, 1 - end) for start, end, found in raw]
        raw.sort()
        kept: list[tuple[tuple[int, ...], int, int]] = []
        free = 0
        for start, negative_end, found in raw:
            if start >= free:
                free = 1 - negative_end
                kept.append((found, start, free))
        return kept
