"""Numbers written as words, in the languages whose words are known here.

Only data and reading: two to twelve, the tens and some more in English, German, French, Spanish,
Italian, Portuguese and Dutch, and Chinese numerals. “One” is left out, for it is an article in most
of these languages and 一 is part of many words. Words that mean something else as often (Portuguese
“mil” aside, French “neuf”, new) are left out as well.
"""

from __future__ import annotations

import re

_TENS = (20, 30, 40, 50, 60, 70, 80, 90, 100)
_WRITTEN: dict[str, tuple[str, str]] = {
    "en": (
        "two three four five six seven eight nine ten eleven twelve",
        "twenty thirty forty fifty sixty seventy eighty ninety hundred",
    ),
    "de": (
        "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
        "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig hundert",
    ),
    "fr": (
        "deux trois quatre cinq six sept huit - dix onze douze",
        "vingt trente quarante cinquante soixante soixante-dix quatre-vingts quatre-vingt-dix cent",
    ),
    "es": (
        "dos tres cuatro cinco seis siete ocho nueve diez - doce",
        "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa cien",
    ),
    "it": (
        "due tre quattro cinque sei sette otto nove dieci undici dodici",
        "venti trenta quaranta cinquanta sessanta settanta ottanta novanta cento",
    ),
    "pt": (
        "dois três quatro cinco seis sete oito nove dez onze doze",
        "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa cem",
    ),
    "nl": (
        "twee drie vier vijf zes zeven acht negen tien elf twaalf",
        "twintig dertig veertig vijftig zestig zeventig tachtig negentig honderd",
    ),
}
_ALSO: dict[str, dict[str, int]] = {
    "fr": {"neuf": 9},
    "es": {"once": 11},
    "pt": {"duas": 2},
    "de": {"beide": 2},
    "en": {"both": 2, "dozen": 12, "double": 2, "triple": 3},
}


def _words() -> dict[str, dict[str, int]]:
    by_language = {}
    for language, (small, tens) in _WRITTEN.items():
        words = dict(zip(small.split(), range(2, 13), strict=True))
        words |= dict(zip(tens.split(), _TENS, strict=True))
        words.pop("-", None)
        by_language[language] = words
    return by_language


WORDS: dict[str, dict[str, int]] = _words()
"""Number words by language, in lower case; these are looked for in copy."""

SOURCE_WORDS: dict[str, int] = {
    word: value for words in (*WORDS.values(), *_ALSO.values()) for word, value in words.items()
}
"""Number words of all languages, ambiguous ones included; any of them in a source counts."""

_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
_POWERS = {"十": 10, "百": 100, "千": 1000}
CHINESE = re.compile("[一二两兩三四五六七八九十百千零〇]+")


def chinese_value(numeral: str) -> int | None:
    """Read a Chinese numeral below ten thousand (两, 十二, 三百五十); None where it is none."""
    if not any(c in _POWERS for c in numeral):
        digits = [_DIGITS[c] for c in numeral]
        return int("".join(map(str, digits))) if digits else None
    total, digit = 0, None
    for character in numeral:
        power = _POWERS.get(character)
        if power is None:
            if digit:
                return None
            digit = _DIGITS[character]
        else:
            total += (1 if digit is None else digit) * power
            digit = None
    return total + (digit or 0)
