"""Products, and for whom content about them is made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

Attributes = Mapping[str, Any]
"""A product's attributes: name to text, number, boolean or a list of these. A missing value is an
absent name, `None`, or blank text; all three mean the same everywhere."""


def is_missing(value: object) -> bool:
    """Say whether a value counts as missing: absent, null, blank text or an empty list."""
    return value is None or (isinstance(value, str) and not value.strip()) or value == []


def category_of(values: Attributes) -> str | None:
    """Give the category a product's values name, None where they name none.

    A group whose members differ has a list; the first entry, its first member's, counts.
    """
    category = values.get("category")
    if isinstance(category, (list, tuple)):
        category = category[0] if category else None
    return None if is_missing(category) else str(category)


def content_version(document: bytes) -> int:
    """Give the version of a product whose attributes, written as JSON with sorted names, are this.

    It is the first 64 bits of the text's BLAKE2b hash, as a signed integer.
    """
    return int.from_bytes(blake2b(document, digest_size=8).digest(), "big", signed=True)


@dataclass(frozen=True, slots=True)
class Product:
    """One product as it was at one version.

    `version` is the first 64 bits of the content's hash as a signed integer; `position` is its
    place in the source, from 0.
    """

    id: int
    key: str
    attributes: Attributes
    version: int
    group: str | None = None
    position: int = 0


_TARGET = re.compile(
    r"(?P<language>[a-z]{2,3})(?:-(?P<script>[A-Z][a-z]{3}))?"
    r"(?:-(?P<market>[A-Z]{2}|\d{3}))?(?:@(?P<channel>[a-z0-9][a-z0-9_.-]*))?"
)
_LANGUAGE_NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "cs": "Czech", "da": "Danish", "de": "German",
    "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "fi": "Finnish",
    "fr": "French", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian",
    "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian",
    "lv": "Latvian", "ms": "Malay", "nb": "Norwegian", "nl": "Dutch", "pl": "Polish",
    "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian",
    "sr": "Serbian", "sv": "Swedish", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian",
    "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """For whom content is made: a language, and optionally a market and a channel.

    Written `de`, `de-DE`, `de-DE@amazon`, `zh-Hans-CN@tmall` (BCP 47 language tag, then channel).
    """

    language: str
    market: str | None = None
    channel: str | None = None
    script: str | None = None

    @staticmethod
    @lru_cache(maxsize=1024)
    def parse(text: str) -> Target:
        """Read a target from its written form; raise ValueError with a plain sentence."""
        match = _TARGET.fullmatch(text)
        if match is None:
            raise ValueError(
                f"“{text}” is not a target: write language-MARKET@channel, such as de-DE@amazon"
            )
        return Target(**match.groupdict())

    @property
    def locale(self) -> str:
        """The BCP 47 tag without the channel, such as `de-DE`."""
        return "-".join(part for part in (self.language, self.script, self.market) if part)

    @property
    def language_name(self) -> str:
        """The language's English name, or its code where we know no name."""
        return _LANGUAGE_NAMES.get(self.language, self.language)

    def __str__(self) -> str:
        return f"{self.locale}@{self.channel}" if self.channel else self.locale
