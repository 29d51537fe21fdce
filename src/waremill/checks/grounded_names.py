"""The check `grounded-names`: names and ingredients in the copy stand in the product's data.

Two definitions, chosen to be cheap and to seldom cry wolf:

- **Ingredients and the like.** The workspace's own words for what a product has or has not: closed
  values of schema attributes that hold lists (notes, materials), and glossary lines marked `fact`.
  One that stands in the copy must stand in the source, in any of its spellings: code, labels,
  synonyms, glossary translations. So “Bergamotte” in German copy is grounded by “bergamot”. Error.
- **Names.** In languages where a capital letter marks a name (not German, nor scripts without
  capitals): a word with a capital first letter in the middle of a sentence, of three letters or
  more, that stands neither in the source (accents and 's aside) nor among the glossary's
  translations, nor begins with the same five letters as a word of these (Sicile, Sicilian), nor
  stands in a short list of common capitalised words (months, weekdays, languages, nationalities,
  Eau de Parfum). Texts in Title Case or CAPITALS are not judged. Error where two such words stand
  in a row or a brand word (by, from, chez, maison) precedes, else a warning.

What is not seen: names at the beginning of a sentence, names in German, Chinese or Japanese that no
list holds, and ingredients the workspace has no word for.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from waremill.checks.draft import Draft, Rules, check
from waremill.domain import Finding, Target

_NO_NAMES = frozenset("de lb zh ja ko th ar he fa ur hi mr ka lo km my".split())  # noqa: SIM905
_CAPITALISED = re.compile(
    r"(?<=[a-zà-ÿœ,] )(?:[A-ZÀ-ÖØ-ÞŒ][\w’'-]*[a-zà-ÿœ][\w’'-]*|[A-Z]{3,})"
    r"(?:[ ](?:(?:de|du|la|le|of|di|del|&|et)[ ]){0,2}[A-ZÀ-ÖØ-ÞŒ][\w’'-]+)*"
)
_WORD = re.compile(r"[^\W\d_]+(?:[’'-][^\W\d_]+)*")
_BRAND_WORD = re.compile(r"(?:\bby|\bfrom|\bchez|\bmaison|\bhouse of|\bpar|\bde chez|\bcasa) $")
_COMMON = frozenset(
    # Words that carry a capital for another reason than being this product's or a rival's name.
    "january february march april may june july august september october november december "  # noqa: SIM905
    "monday tuesday wednesday thursday friday saturday sunday christmas easter valentine "
    "spring summer autumn winter day mother father "
    "english french italian spanish german chinese japanese american british european asian "
    "oriental arabian arabic indian moroccan turkish greek egyptian mediterranean sicilian "
    "calabrian provençal bulgarian damask persian russian brazilian african caribbean tahitian "
    "europe europeans asia africa america mediterranean orient east west south north earth "
    "eau parfum toilette cologne extrait intense absolu edp edt edc spf led usb ean diy vip "
    "god internet mr mrs ms dr st i'm i've i'll i'd".split()
)


@check("grounded-names")
def grounded_names(draft: Draft, rules: Rules) -> list[Finding]:
    """Find ingredients and names that do not stand in the source; see the module for which."""
    found: list[Finding] = []
    _ingredients(draft, rules, found)
    if draft.target is not None and draft.target.language not in _NO_NAMES:
        _names(draft, rules, draft.target, found)
    return found


def _ingredients(draft: Draft, rules: Rules, found: list[Finding]) -> None:
    vocabulary = rules.vocabulary(draft.category)
    if vocabulary is None:
        return
    grounded: set[int] | None = None
    seen: set[int] = set()
    for indexes, start, end in vocabulary.matcher.find_folded(draft.folded):
        owners = {vocabulary.owners[index] for index in indexes}
        if owners & seen or draft.in_name(start, end):
            continue
        if grounded is None:
            hits = vocabulary.matcher.find_folded(draft.folded_source)
            grounded = {vocabulary.owners[i] for found_there, _, _ in hits for i in found_there}
        if owners & grounded:
            continue
        # "rose" inside "rosewood" or "roses" of the source is near enough to be let through.
        if any(
            spelling.casefold() in draft.folded_source
            for owner in owners
            for spelling in vocabulary.values[owner]
        ):
            continue
        seen |= owners
        evidence = draft.text[start:end]
        message = f"“{evidence}” does not stand in the product's data; leave it out"
        found.append(Finding(draft.field_at(start), "grounded-names", "error", message, evidence))


def _names(draft: Draft, rules: Rules, target: Target, found: list[Finding]) -> None:
    known: set[str] | None = None
    for name, text in draft.texts:
        if text.islower() or _is_title_case(text):
            continue
        for match in _CAPITALISED.finditer(text):
            known = _known(draft, rules, target) if known is None else known
            words = [_plain(word) for word in _WORD.findall(match.group())]
            strange = [word for word in words if _is_strange(word, known)]
            if not strange:
                continue
            evidence = match.group()
            severe = len(strange) > 1 or _BRAND_WORD.search(text[: match.start()].lower())
            message = f"“{evidence}” does not stand in the product's data; leave the name out"
            found.append(
                Finding(name, "grounded-names", "error" if severe else "warning", message, evidence)
            )
            break


def _known(draft: Draft, rules: Rules, target: Target) -> set[str]:
    texts = [draft.source_text]
    for term in rules.glossary.matching(draft.source_text, target, folded=draft.folded_source):
        texts.extend(term.spellings)
    for key in draft.source:
        texts.append(key.replace("_", " "))
    if target.market:
        texts.append(target.market)
    known: set[str] = set()
    for text in texts:
        for word in _WORD.findall(text):
            plain = _plain(word)
            known.add(plain)
            known.update((plain + "s", plain.removesuffix("s"), *re.split("[-']", plain)))
            if len(plain) > 5:
                known.add(plain[:5] + "…")
    return known


def _is_strange(word: str, known: set[str]) -> bool:
    """Say whether nothing known begins like the word (Sicile is known by Sicilian)."""
    if len(word) < 3 or word in known or word in _COMMON:
        return False
    return len(word) < 6 or word[:5] + "…" not in known


@lru_cache(maxsize=8192)
def _plain(word: str) -> str:
    """Give a word in lower case without accents and a possessive 's."""
    word = word.lower().replace("’", "'").removesuffix("'s").removesuffix("'")
    word = word.rpartition("'")[2] if "'" in word[:3] else word  # l'eau, d'or
    if not word.isascii():
        decomposed = unicodedata.normalize("NFD", word)
        word = "".join(c for c in decomposed if not unicodedata.combining(c))
    return word


def _is_title_case(text: str) -> bool:
    """Say whether capitals mark no names here: most longer words have one."""
    words = [word for word in _WORD.findall(text) if len(word) > 3]
    return sum(not word[0].islower() for word in words) * 2 > len(words)
