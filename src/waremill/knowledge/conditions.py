"""Metadata as an index keeps it, and the conditions that bound a search by it.

A passage carries a label for each name it has and one for each value of it. A name may be any text,
and a value is compared as text, whatever its case; of a list any entry may match.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Protocol

from waremill.errors import SourceError

VALID_FROM, VALID_TO = "valid_from", "valid_to"
"""Names of metadata that say, as ISO dates, on which days a document is valid; both included."""

_ISO_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ]|$)")


class Bounded(Protocol):
    """What a search is kept to; see `index.Bounds`."""

    @property
    def where(self) -> Mapping[str, Any]:
        """Name to the value it must have, or to a list of which one must match."""

    @property
    def documents(self) -> Sequence[str] | None:
        """The documents' names that may be found; None for all."""

    @property
    def today(self) -> str | None:
        """The ISO date on which a passage must be valid; None for no matter when."""


def labels(metadata: Mapping[str, Any]) -> list[str]:
    """Give the labels of metadata: which names it has, and which values of each."""
    found: dict[str, None] = {}
    for name, value in metadata.items():
        values = _texts(value)
        if name in (VALID_FROM, VALID_TO) or not values:
            continue
        found[_name(name)] = None
        found.update((_label(name, one), None) for one in values)
    return list(found)


def check_validity(metadata: Mapping[str, Any]) -> None:
    """Raise SourceError where metadata bound a document's days by what is no ISO date."""
    for name in (VALID_FROM, VALID_TO):
        value = metadata.get(name)
        if value is not None and not _is_day(value):
            raise SourceError(
                f"{name} is “{str(value)[:40]}”: write a date as YYYY-MM-DD, such as 2026-01-31"
            )


def _is_day(value: object) -> bool:
    """Say whether a value is a date, or a moment, whose first ten characters are an ISO date."""
    found = _ISO_DAY.match(str(value))
    try:
        return found is not None and bool(date.fromisoformat(found[1]))
    except ValueError:
        return False


def validity(metadata: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Give the first and the last day metadata names, as ISO dates; None for no bound."""
    first, last = (_texts(metadata.get(name)) for name in (VALID_FROM, VALID_TO))
    return (first[0][:10] if first else None), (last[0][:10] if last else None)


def sql(bounds: Bounded) -> str:
    """Write bounds as a condition over the index's columns; empty where there are none.

    All that stands in it of the user's is inside quoted text.
    """
    parts: list[str] = []
    for name, value in bounds.where.items():
        wanted = [_label(name, one) for one in _texts(value)]
        if wanted:
            some = f"array_has_any(labels, [{_listed(wanted)}])"
            parts.append(f"({some} OR NOT array_has_any(labels, [{_quoted(_name(name))}]))")
    if bounds.documents is not None:
        parts.append(f"document IN ({_listed(bounds.documents)})")
    if bounds.today is not None:
        today = _quoted(bounds.today)
        parts.append(f"(valid_from IS NULL OR valid_from <= {today})")
        parts.append(f"(valid_to IS NULL OR valid_to >= {today})")
    return " AND ".join(parts)


def _texts(value: object) -> list[str]:
    """Write a value, or each entry of a list, as text to compare; nothing for what is missing."""
    values = value if isinstance(value, list | tuple | set | frozenset) else (value,)
    return [text for one in values if one is not None and (text := _text(one))]


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return unicodedata.normalize("NFKC", str(value)).strip().casefold()


# Their first letters differ, so that no name's label is taken for a value's.
def _name(name: str) -> str:
    return f"n:{_text(name)}"


def _label(name: str, value: str) -> str:
    own = _text(name)
    return f"v{len(own)}:{own}:{value}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(map(_quoted, texts))
