"""Sentences and their content words, in many languages: what grounding compares.

Languages without spaces between words are compared by pairs of characters, all others by word
stems: the first five letters of longer words, which joins most endings (fit, fits; passen, passt)
and needs no dictionary. Nothing here judges.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_CJK = "぀-ヿㇰ-ㇿ㐀-䶿一-鿿가-힣"
_ENDS = re.compile(
    r"(?<=[。！？；])|(?<=[.!?…][\"”»’)\]])\s+|(?<=[.!?…])\s+(?=[^\W_a-zà-ÿ]|[\"“„«(¿¡\[])|\n+"
)
_ABBREVIATED = re.compile(
    r"(?:\b(?:ca|bzw|inkl|max|min|Nr|Art|St|Dr|Mr|Mrs|Ms|No|vs|approx|incl|fl|oz|env|aprox"
    r"|(?<![°\d])(?<![°\d] )[A-Za-z])\.)$"
)
_MARK = re.compile(r"^\s*(?:[-*•–]|\d{1,2}[.)])\s+")
_NUMBER = re.compile(r"\d{1,2}[.)]")
"""A list's number, which a full stop parts from its entry."""
_PIECE = re.compile(rf"[{_CJK}]+|[^\W\d_{_CJK}]+(?:['’][^\W\d_]+)*")
_STEM = 5
_STOP = frozenset(
    """
    a an and are as at be been being but by can could did do does doing done for from get
    gets had has have he her here his how i if in into is it its just may might more most
    much my no nor not of off on only or our out over own per she should so some such than
    that the their them then there these they this those to too under until up us very was
    we were what when where which while who will with would yes you your also any each many
    one two der die das den dem des ein eine einen einem einer eines und oder aber auch auf
    aus bei bis dass durch für hat haben ich ihr ihre ihrem ihren im ins ist ja kann können
    man mehr mit nach nicht nein noch nur ob sehr sich sie sind über um unter uns von vom
    vor wenn wer werden wie wird wir wurde zu zum zur als am beim es er hier kein keine
    dieser diese dieses le la les un une du de et ou mais au aux avec ce ces cet cette dans
    en est il elle ils elles je leur lui ne non nos notre nous où par pas plus pour que qui
    sa se ses si son sont sur très tu vous votre vos oui être avoir peut peuvent à y comme
    sans el los las uno una unos unas o pero con del al está están este esta estos estas lo
    más muy sí para por qué ser su sus también tiene tienen ya como sin puede pueden gli e
    ma della dei delle degli da dal dalla di nel nella è sono questo questa questi queste sì
    più molto che chi anche ha hanno può possono come os uma umas mas com dos na nas em é
    são sua seu também tem têm muito não sim pode podem het een maar met van voor op zijn
    dit dat deze niet ook te aan bij naar om heeft hebben kan kunnen wordt worden meer zeer
    nee
    """.split()  # noqa: SIM905
)
"""Words that carry no claim, in the languages shops write most."""
_FRAME = frozenset(
    """
    accord answer based bitte buyer custo detai infor item items kunde kunden laut menti
    manua perso produ prodt said say says selle state sure think user users revie
    sagt client acheteur produit selon produkt artikel article producto según prodotto
    """.split()  # noqa: SIM905
)
"""Stems of how an answer speaks of its source, and of what it is about: no claim of its own."""
_EMPTY_HAN = frozenset(
    "的了是在和与及也都就而但或这那其之以为于由被把对从到"
    "吗呢吧啊呀哦您你我他她它们很更最可会能要有没不"
)


def sentences(text: str) -> list[str]:
    """Split a text into its sentences; list marks are taken off, abbreviations end none."""
    found: list[str] = []
    for piece in _ENDS.split(text):
        one = _MARK.sub("", piece or "").strip()
        if not one or _NUMBER.fullmatch(one):
            continue
        if found and _ABBREVIATED.search(found[-1]) and not one.startswith(("\n", "-")):
            found[-1] = f"{found[-1]} {one}"
        else:
            found.append(one)
    return found


@lru_cache(maxsize=4096)
def content_words(text: str) -> tuple[str, ...]:
    """Give a text's content words in order, each once: stems, and pairs of characters in CJK."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    found: dict[str, None] = {}
    for match in _PIECE.finditer(folded):
        word = match[0]
        if word[0] >= "\u3040":
            for pair in _pairs(word):
                found[pair] = None
        elif (stem := _stem(word)) is not None:
            found[stem] = None
    return tuple(found)


def _pairs(run: str) -> list[str]:
    """Give the pairs of a run of characters that are more than particles."""
    if len(run) == 1:
        return [] if run in _EMPTY_HAN else [run]
    pairs = (run[place : place + 2] for place in range(len(run) - 1))
    return [pair for pair in pairs if not (pair[0] in _EMPTY_HAN or pair[1] in _EMPTY_HAN)]


@lru_cache(maxsize=65536)
def _stem(word: str) -> str | None:
    word = word.replace("’", "'").removesuffix("'s")
    if "'" in word[:3]:
        word = word.rpartition("'")[2]  # l'eau, d'or
    if word in _STOP or "'" in word or len(word) < 2:
        return None
    if not word.isascii():
        apart = unicodedata.normalize("NFD", word)
        word = "".join(one for one in apart if not unicodedata.combining(one))
    stem = word[:_STEM] if len(word) > _STEM else word
    if len(stem) > 3 and stem == word:
        stem = stem.removesuffix("s")
    return None if stem in _FRAME or word in _FRAME else stem


def is_cjk(text: str) -> bool:
    """Say whether a text is mostly in a script whose words are not spaced."""
    letters = [one for one in text if one.isalpha()]
    return bool(letters) and sum(one >= "\u3040" for one in letters) * 2 > len(letters)
