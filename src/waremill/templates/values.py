"""How values are written in a prompt: numbers, lists, long and dirty text as plain text.

Nothing here knows templates or contracts, and nothing here ever reads a value as code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jinja2 import Undefined

from waremill.rules.matching import fold

_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_HIDDEN = re.compile("[\ufeff\u200b\u202a-\u202e\u2066-\u2069\ufff9-\uffff]")
_SEPARATOR = re.compile(r"(\s*[,;，；、]\s*|^\s+|\s+$)")
PASSAGE = {"id", "place", "text"}
"""The names of a passage as a field's value."""
_LINE_ENDS = re.compile("\r\n?|\u2028|\u2029|\x85")


def clean_input(text: str) -> str:
    """Strip white space, control characters and lone surrogates; unify line ends."""
    if text.isprintable():
        return text.strip()
    return _UNWRITABLE.sub("", _LINE_ENDS.sub("\n", text)).strip()


def clean_output(text: str) -> str:
    """Like `clean_input`, and drop marks that hide or reorder text (zero width, bidi overrides)."""
    text = text.strip()
    if text.isprintable():
        return text
    return _HIDDEN.sub("", clean_input(text)).strip()


def write_value(value: Any) -> str:
    """Write one value as text.

    Missing is "", booleans are yes and no, whole floats lose their point, lists are joined by a
    comma (by a semicolon where an entry has a comma), objects become `name: value; …`.
    """
    if type(value) is str:
        return clean_input(value)
    if value is None or isinstance(value, Undefined):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**300 else "a very large number"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.12g}"
    if isinstance(value, (list, tuple)):
        parts = [part for part in map(write_value, value) if part]
        return ("; " if any("," in part for part in parts) else ", ").join(parts)
    if type(value) is dict or (isinstance(value, Mapping) and type(value).__str__ is dict.__str__):
        if value.keys() == PASSAGE:  # found by a `retrieve` step; its id says nothing to a model
            return f"({write_value(value['place'])}) {write_value(value['text'])}"
        return "; ".join(f"{name}: {write_value(inner)}" for name, inner in value.items())
    return clean_input(str(value))


def translate_entries(value: Any, translated: Mapping[str, str]) -> Any:
    """Replace what equals a term by its translation: a text, the entries of a list, or of a text
    that lists them with commas or semicolons.

    `translated` gives translations by folded term. All else stays as it is, the separators too.
    """
    if isinstance(value, str):
        parts = _SEPARATOR.split(value)
        return "".join(translated.get(fold(part), part) for part in parts)
    if isinstance(value, (list, tuple)):
        return [translate_entries(entry, translated) for entry in value]
    return value


def cut(text: str, longest: int) -> str:
    """Cut a text to at most `longest` characters, ending in “…”, between words where it can."""
    if len(text) <= longest:
        return text
    kept = text[: max(longest - 1, 0)]
    space = kept.rfind(" ")
    if space > longest * 2 // 3:
        kept = kept[:space]
    return kept.rstrip(" ,;:.-–") + "…"
