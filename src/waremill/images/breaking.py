"""Where a line of text may end, by the rules of its script.

Scripts with spaces break at them; Korean too, though Unicode would allow more. Chinese and Japanese
break nearly anywhere, but no line begins with a closing mark or ends with an opening one (禁則).
Japanese and Thai prefer, Thai demands, the ends of words, which a small statistical model knows
(BudouX). The rules follow UAX #14 where they agree with typesetters' practice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise

import budoux

from waremill.images.scripts import HAN, KANA, WITHOUT_SPACES, clusters, script_of

_NOT_FIRST = frozenset(
    "、。，．・：；？！゛゜ヽヾゝゞ々ー’”）〕］｝〉》」』】〙〗〟｠»›!%),.:;?]}¢°·‰′″℃℉〜～–—…‥｡､｣"
    "ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶ％"
)
"""Marks that no line begins with (JIS X 4051, GB/T 15834)."""
_NOT_LAST = frozenset("‘“（〔［｛〈《「『【〘〖〝｟«‹([{£¥＄￥＃#@＠$€№¿¡｢")
"""Marks that no line ends with."""
_PAUSES = frozenset("、。，；：！？!?;…·・")
"""Marks after which a line best ends."""
_GLUE = frozenset("\u00a0\u202f\u2060\ufeff\u2007")
_ZERO_WIDTH_SPACE = "\u200b"
_HYPHENS = frozenset("-\u2010–—/")
_SIGNS = frozenset("%°℃℉‰′″")
_UNIT = re.compile(r"[^\W\d]\w{0,2}(?!\w)")
"""What after a number and a space is its unit: at most three letters."""


class Quality(IntEnum):
    """How good a break is: at a word's or phrase's end, where rules allow it, or in dire need."""

    GOOD = 0
    ALLOWED = 1
    DIRE = 2


@dataclass(frozen=True, slots=True)
class Break:
    """A place where a line may end: before the character at `at`."""

    at: int
    quality: Quality


def breaks(text: str, language: str = "") -> list[Break]:
    """Give the places where a text without line feeds may be broken, in order.

    `language` is a BCP 47 tag. Spaces before a break belong to the line before it, and take no room
    there.
    """
    starts = clusters(text)
    phrases = _phrase_ends(text, language)
    found: list[Break] = []
    for before, at in pairwise(starts):
        quality = _between(text, before, at, phrases)
        if quality is not None:
            found.append(Break(at, quality))
    return found


def _between(text: str, before: int, at: int, phrases: frozenset[int]) -> Quality | None:
    """Rate the break between two clusters, which begin at `before` and `at`; None for none."""
    left, right = text[at - 1], text[at]
    if left == _ZERO_WIDTH_SPACE:
        return Quality.GOOD
    if left in _GLUE or right in _GLUE or right.isspace() or right == _ZERO_WIDTH_SPACE:
        return None
    last = text[:at].rstrip()[-1:]
    if right in _NOT_FIRST or last in _NOT_LAST:
        return None
    if left.isspace():
        return Quality.DIRE if last.isdigit() and _UNIT.match(text, at) else Quality.GOOD
    first = text[before]
    if left in _HYPHENS and first in _HYPHENS:
        return Quality.GOOD if right.isalpha() and before and text[before - 1].isalpha() else None
    return _by_script(first, left, right, at in phrases)


def _by_script(first: str, left: str, right: str, phrase: bool) -> Quality | None:
    """Rate a break between two letters or signs without a space."""
    one, other = script_of(first), script_of(right)
    if one in WITHOUT_SPACES and other in WITHOUT_SPACES:
        return Quality.GOOD if phrase else None
    square = HAN | KANA
    wide = (one in square or _is_wide_mark(left), other in square or _is_wide_mark(right))
    if any(wide):
        if left in _PAUSES or phrase:
            return Quality.GOOD
        if left.isdigit() and not right.isdigit():
            return Quality.DIRE  # 24小时, 30毫升
        return Quality.ALLOWED
    if one == other == "Hang":
        return Quality.DIRE
    if "Hang" in (one, other) or one in WITHOUT_SPACES or other in WITHOUT_SPACES:
        return Quality.DIRE if not (left in _SIGNS or left.isdigit()) else None
    return None


def _is_wide_mark(character: str) -> bool:
    return "\u3000" <= character <= "\u303f" or "\uff00" <= character <= "\uffef"


def _phrase_ends(text: str, language: str) -> frozenset[int]:
    """Give where phrases end in the Japanese and Thai parts of a text."""
    found = {script_of(character) for character in text}
    model = None
    if "Thai" in found:
        model = "th"
    elif found & KANA or language.lower().startswith("ja"):
        model = "ja"
    if model is None:
        return frozenset()
    ends: set[int] = set()
    at = 0
    for phrase in _parser(model).parse(text):
        at += len(phrase)
        ends.add(at)
    return frozenset(ends)


@lru_cache(maxsize=4)
def _parser(model: str) -> budoux.Parser:
    if model == "th":
        return budoux.load_default_thai_parser()
    return budoux.load_default_japanese_parser()
