"""Every word of the console, in English and 中文: one module an area, joined into one catalogue.

An area here has `STRINGS: dict[str, tuple[str, str]]`, key to (English, 中文). In a text `{name}`
is a value, numbers grouped by thousands, and `{count:item|items}` picks a word by number. What the
application itself says in English is in `sentences`; how things are called, in `terms`.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Literal, get_args

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


@cache
def all_texts() -> Mapping[str, tuple[str, str]]:
    """Give all texts by key; raises ValueError where two areas use one key."""
    found: dict[str, tuple[str, str]] = {}
    for module in iter_modules(__path__):
        if module.ispkg:  # sentences that are raised elsewhere, not texts of a page
            continue
        area = import_module(f"{__name__}.{module.name}")
        texts: dict[str, tuple[str, str]] = getattr(area, "STRINGS", {})
        twice = found.keys() & texts.keys()
        if twice:
            raise ValueError(f"these texts are written twice: {sorted(twice)}")
        found.update(texts)
    return found


class _Filling(string.Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        if "|" in format_spec:
            one, many = format_spec.split("|")
            return one if value == 1 else many
        if isinstance(value, int) and not isinstance(value, bool) and not format_spec:
            return f"{value:,}"
        return str(super().format_field(value, format_spec))

    def get_field(
        self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Any, str]:
        # Plain names only: a text never reaches into a value's attributes.
        return kwargs[field_name], field_name


def translate(language: Language, key: str, /, **values: Any) -> str:
    """Give a text in a language, its places filled; raises KeyError for a key nobody wrote."""
    text = all_texts()[key][LANGUAGES.index(language)]
    return _Filling().vformat(text, (), values) if values else text


def word(language: Language, area: str, name: str) -> str:
    """Give the word for a code such as a state, `area.name`; the code itself where none is."""
    texts = all_texts().get(f"{area}.{name}")
    return texts[LANGUAGES.index(language)] if texts else name
