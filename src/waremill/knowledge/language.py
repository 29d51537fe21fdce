"""Which language a document is in, where nobody says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from waremill.knowledge.document import Document

LANGUAGES = (
    "ar", "cs", "da", "de", "el", "en", "es", "fi", "fr", "he", "hi", "hu", "id", "it", "ja", "ko",
    "nb", "nl", "pl", "pt", "ro", "ru", "sv", "th", "tr", "uk", "vi", "zh",
)  # fmt: skip
"""Languages that are told apart, besides those a workspace names."""
_ENOUGH = 4_000
"""Characters looked at."""
_LEAST = 50
"""Letters below which a text says nothing of its language; a character of a script without spaces
counts as two."""
_SURE = 0.5
_ADDRESS = re.compile(r"https?://\S+|[\w.+-]+@[\w.-]+|[|#*_`\d]+")


def language_of(document: Document, also: Sequence[str] = ()) -> str | None:
    """Give the code of the language a document is in (ISO 639-1); None where that is not clear.

    `also` are languages that come into question besides the usual ones. By lingua in its
    low-accuracy mode, from pieces of the text's beginning, middle and end.
    """
    text = _ADDRESS.sub(" ", _sample(document))
    letters = sum(one.isalpha() for one in text)
    if letters + sum(one > "\u2e7f" for one in text) < _LEAST:
        return None
    codes = tuple(sorted({*LANGUAGES, *(one.partition("-")[0] for one in also)}))
    values = _detector(codes).compute_language_confidence_values(text)
    if not values or values[0].value < _SURE:
        return None
    return str(values[0].language.iso_code_639_1.name).lower()


def _sample(document: Document) -> str:
    texts = [one.text for one in document.sections if one.kind != "code"]
    text = "\n".join(texts)
    if len(text) <= _ENOUGH:
        return text
    part, middle = _ENOUGH // 3, len(text) // 2
    return text[:part] + text[middle : middle + part] + text[-part:]


@lru_cache(maxsize=4)
def _detector(codes: tuple[str, ...]) -> Any:
    from lingua import IsoCode639_1, Language, LanguageDetectorBuilder

    known = [
        Language.from_iso_code_639_1(iso)
        for code in codes
        if (iso := getattr(IsoCode639_1, code.upper(), None)) is not None
    ]
    return LanguageDetectorBuilder.from_languages(*known).with_low_accuracy_mode().build()
