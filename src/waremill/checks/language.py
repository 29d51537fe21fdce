"""The check `language`: the copy is in the target's language.

Three stages, each only for what the one before cannot tell:

1. Names are taken out: brand and product names quoted from the source, and the glossary's terms to
   keep, so that “Eau de Parfum” makes no English copy French.
2. Scripts are counted. Chinese copy must be mostly Han with next to no kana, Japanese must have
   kana where it has many Han, and so on; capitalised Latin names inside Chinese copy are fine,
   another Latin word counts as two characters there. This settles every language that has a script
   to itself.
3. Languages that share a script (Latin, Cyrillic, Arabic, Devanagari, Han) are told apart by
   `lingua`, limited to the workspace's languages, in its low-accuracy mode: 8 MB instead of 120 for
   four languages. An alarm needs a clear verdict — the wrong language far ahead of the right one —
   and, for languages whose function words are known here, more of the wrong language's function
   words than of the right one's: lists of names and ingredients say little about a language.
   Without any function word the text must be long.

A text with fewer than 20 letters (6 characters in scripts without spaces) is judged together with
its field's other texts, and not at all where these are short, too. Simplified and traditional
Chinese are not told apart.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from waremill.checks.draft import Draft, Rules, check
from waremill.domain import Finding, Target
from waremill.rules.matching import fold

_SCRIPTS = {
    "han": "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
    "kana": "\u3041-\u30ff\uff66-\uff9f",
    "hangul": "\u1100-\u11ff\uac00-\ud7af",
    "thai": "\u0e00-\u0e7f",
    "cyrillic": "\u0400-\u052f",
    "greek": "\u0370-\u03ff\u1f00-\u1fff",
    "arabic": "\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufefc",
    "hebrew": "\u0590-\u05ff",
    "devanagari": "\u0900-\u097f",
}
_PATTERNS = {name: re.compile(f"[{inside}]") for name, inside in _SCRIPTS.items()}
_LATIN_WORD = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+")
# Capitalised words inside Chinese copy are names, units are units.
_SMALL_WORD = re.compile("(?<![\\w'’-])[a-z\u00df-\u00f6\u00f8-\u00ff]{3,}(?![\\w])")
_OTHER = re.compile("[\u0370-\U0003ffff]")
_SCRIPT_OF = {
    "zh": "han", "ja": "kana", "ko": "hangul", "th": "thai", "el": "greek", "he": "hebrew",
    "ru": "cyrillic", "uk": "cyrillic", "bg": "cyrillic", "sr": "cyrillic", "mk": "cyrillic",
    "be": "cyrillic", "kk": "cyrillic", "mn": "cyrillic", "ar": "arabic", "fa": "arabic",
    "ur": "arabic", "hi": "devanagari", "mr": "devanagari",
}  # fmt: skip
_FUNCTION_WORDS = {
    language: frozenset(words.split())
    for language, words in {
        "en": "the a an and or of to in on for with from by is are was it its this that your "
              "you as at be has have not will all more than into when which their our made",
        "de": "der die das den dem des ein eine einen einem einer und oder von vom zu zum zur "
              "im in mit für auf aus bei ist sind sich nicht auch als wie ihr ihre sie es durch "
              "nach wird am an",
        "fr": "le la les l un une des du de d et ou à au aux en dans pour par avec sans sur est "
              "sont ce cette ces qui que votre vos son sa ses se il elle plus",
        "es": "el la los las un una unos y o de del al en con sin para por es son que se su sus "
              "este esta como más lo tu",
        "it": "il lo la i gli le l un uno una e o di del della dei delle da in con per su è "
              "sono che si al alla nel nella come più questo questa d",
        "pt": "o a os as um uma e ou de do da dos das em no na com sem para por é são que se "
              "seu sua ao mais como",
        "nl": "de het een en of van in op met voor aan bij uit is zijn niet dat die deze dit je "
              "uw te als ook door naar",
    }.items()
}  # fmt: skip
_EITHER_SCRIPT = ("sr", "kk", "mn")
_SHORT = 20
_SHORT_UNSPACED = 6
_UNSPACED = ("han", "kana", "thai")
_CLEAR = 0.9
_UNLIKELY = 0.05
_LONG = 60
"""From this many letters on a verdict needs less certainty."""


@check("language")
def language(draft: Draft, rules: Rules) -> list[Finding]:
    """Find texts that are clearly not in the target's language; see the module for how."""
    if draft.target is None:
        return []
    by_field: dict[str, list[str]] = {}
    for name, text in draft.texts:
        by_field.setdefault(name, []).append(text)
    kept = tuple(term.source for term in rules.glossary.terms if term.keep)
    found: list[Finding] = []
    for name, texts in by_field.items():
        cleaned = [_without_names(text, draft, kept) for text in texts]
        long = [text for text in cleaned if _long_enough(text)]
        if len(long) < len(cleaned):
            short = " \n".join(text for text in cleaned if not _long_enough(text))
            long += [short] if _long_enough(short) else []
        for text in long:
            wrong = wrong_language(text, draft.target, rules.languages)
            if wrong is not None:
                message = f"the text is in {wrong}; write it in {draft.target.language_name}"
                evidence = text.strip()[:80]
                found.append(Finding(name, "language", "error", message, evidence))
                break
    return found


def wrong_language(text: str, target: Target, languages: tuple[str, ...]) -> str | None:
    """Name the language a text is in where that is clearly not the target's, else give None.

    `languages` are the codes that come into question besides the target's and English.
    """
    expected = "cyrillic" if target.script == "Cyrl" else _SCRIPT_OF.get(target.language, "latin")
    counts = _count(text)
    either = target.language in _EITHER_SCRIPT and target.script is None
    if target.script == "Latn" or (either and counts["latin"] > counts.get(expected, 0)):
        expected = "latin"
    wrong = _wrong_script(counts, expected)
    if wrong is not None:
        return wrong
    if expected in ("han", "kana", "hangul", "thai", "greek", "hebrew"):
        return None
    rivals = {
        code
        for code in (*languages, "en", target.language)
        if _SCRIPT_OF.get(code, "latin") == expected
    }
    if len(rivals) < 2 or target.language not in rivals:
        return None
    return _told_apart(text, target.language, tuple(sorted(rivals)), counts.get(expected, 0))


def _without_names(text: str, draft: Draft, kept: tuple[str, ...]) -> str:
    folded = fold(text)
    for name in (*draft.names, *kept):
        wanted = fold(name)
        if len(wanted) > 1 and wanted in folded:
            text = re.sub(re.escape(wanted), " ", text, flags=re.IGNORECASE)
            folded = fold(text)
    return text


def _long_enough(text: str) -> bool:
    counts = _count(text)
    counts.pop("small words", 0)
    return (
        sum(counts.values()) >= _SHORT
        or sum(counts.get(script, 0) for script in _UNSPACED) >= _SHORT_UNSPACED
    )


def _count(text: str) -> dict[str, int]:
    """Count letters by script."""
    counts = {"latin": sum(map(len, _LATIN_WORD.findall(text)))}
    if text.isascii() or not _OTHER.search(text):
        return counts
    for name, pattern in _PATTERNS.items():
        if found := len(pattern.findall(text)):
            counts[name] = found
    counts["small words"] = len(_SMALL_WORD.findall(text))
    return counts


def _wrong_script(counts: dict[str, int], expected: str) -> str | None:
    words = counts.pop("small words", 0)
    han, kana = counts.get("han", 0), counts.get("kana", 0)
    if expected in _UNSPACED or expected == "hangul":
        right = han + kana if expected == "kana" else counts.get(expected, 0)
        if kana and expected == "han" and kana > 0.08 * (han + kana):
            return "Japanese"
        if expected == "kana" and not kana and han >= 12:
            return "Chinese"
        others = {n: c for n, c in counts.items() if n not in (expected, "latin", "han", "kana")}
        if not right and counts["latin"] >= _SHORT:
            return _NAMES["latin"]
        others["latin"] = 2 * words
        if expected in ("thai", "hangul"):
            others |= {"han": han, "kana": kana}
    else:
        right = counts.get(expected, 0)
        others = {n: c for n, c in counts.items() if n != expected}
        # One Chinese character says about as much as two or three letters.
        others |= {n: 2 * c for n, c in others.items() if n in _UNSPACED}
    most = max(others, key=lambda name: others[name], default="")
    if not most or others[most] <= right:
        return None
    return _NAMES.get(most, f"{most.capitalize()} script")


_NAMES = {
    "latin": "a language in Latin letters", "han": "Chinese", "kana": "Japanese",
    "hangul": "Korean", "thai": "Thai", "greek": "Greek", "hebrew": "Hebrew",
    "cyrillic": "a language in Cyrillic letters", "arabic": "a language in Arabic letters",
    "devanagari": "a language in Devanagari letters",
}  # fmt: skip


@lru_cache(maxsize=16)
def _detector(codes: tuple[str, ...]) -> tuple[Any, dict[str, Any]]:
    """Build lingua's detector for languages; codes it does not know are left out."""
    from lingua import IsoCode639_1, Language, LanguageDetectorBuilder

    known: dict[str, Any] = {}
    for code in codes:
        iso = getattr(IsoCode639_1, code.upper(), None)
        if iso is not None:
            known[code] = Language.from_iso_code_639_1(iso)
    if len(known) < 2:
        return None, known
    builder = LanguageDetectorBuilder.from_languages(*known.values())
    return builder.with_low_accuracy_mode().build(), known


def _told_apart(text: str, language: str, rivals: tuple[str, ...], letters: int) -> str | None:
    detector, known = _detector(rivals)
    if detector is None or language not in known:
        return None
    values = detector.compute_language_confidence_values(text)
    best = values[0]
    if best.language == known[language]:
        return None
    right = next((v.value for v in values if v.language == known[language]), 0.0)
    clear = best.value >= _CLEAR and right <= _UNLIKELY
    if not clear and not (letters >= _LONG and best.value >= 0.7 and right <= 0.2):
        return None
    rival = next(code for code, found in known.items() if found == best.language)
    if language in _FUNCTION_WORDS and rival in _FUNCTION_WORDS:
        words = _LATIN_WORD.findall(text.lower())
        ours = sum(word in _FUNCTION_WORDS[language] for word in words)
        theirs = sum(word in _FUNCTION_WORDS[rival] for word in words)
        if ours >= theirs and (ours or letters < _LONG):
            return None
    return str(best.language.name).capitalize()
