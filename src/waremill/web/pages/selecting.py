"""A selection as it is clicked and typed together: facet values and conditions become one `WHERE`.

Pure; the text is always what counts, and what was clicked is found in it again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

OPERATORS = ("is", "is_not", "contains", "begins", "more", "less", "missing", "present")


def name_of(column: str) -> str:
    """Write a column's name in a `WHERE`, quoted where it is no plain word."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", column) and column.upper() not in _WORDS:
        return column
    return '"' + column.replace('"', '""') + '"'


_RESERVED = """
    AND OR NOT IN IS NULL LIKE BETWEEN CASE WHEN THEN ELSE END SELECT FROM WHERE ORDER GROUP BY
    LIMIT AS ON TRUE FALSE ESCAPE GLOB CAST DATE TIME DEFAULT KEY INDEX VALUES SET
"""
_WORDS = frozenset(_RESERVED.split())


def text_of(value: str) -> str:
    """Write a text in a `WHERE`."""
    return "'" + value.replace("'", "''") + "'"


def clause(column: str, values: list[str | None]) -> str:
    """Write that a column is one of some texts; None stands for missing."""
    texts = [text_of(value) for value in values if value is not None]
    name = name_of(column)
    parts = []
    if len(texts) == 1:
        parts.append(f"{name} = {texts[0]}")
    elif texts:
        parts.append(f"{name} IN ({', '.join(texts)})")
    if None in values:
        parts.append(f"{name} IS NULL")
    return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"


def condition(column: str, operator: str, value: str) -> str:
    """Write one condition of the builder; raises ValueError for a number that is none."""
    name = name_of(column)
    if operator in ("missing", "present"):
        return f"{name} IS {'NOT ' if operator == 'present' else ''}NULL"
    if operator in ("more", "less"):
        float(value)
        return f"{name} {'>' if operator == 'more' else '<'} {value.strip()}"
    if operator in ("contains", "begins"):
        plain = re.sub(r"([\\%_])", r"\\\1", value)
        like = f"%{plain}%" if operator == "contains" else f"{plain}%"
        escape = "" if plain == value else " ESCAPE '\\'"
        return f"{name} LIKE {text_of(like)}{escape}"
    return f"{name} {'<>' if operator == 'is_not' else '='} {text_of(value)}"


@dataclass(slots=True)
class Clicked:
    """Facet values that were clicked, by column, beside what was typed."""

    picked: dict[str, list[str | None]] = field(default_factory=dict)
    typed: str = ""

    @property
    def where(self) -> str:
        """The whole selection as one text; empty for everything."""
        clauses = [clause(column, values) for column, values in self.picked.items()]
        typed = self.typed.strip()
        if typed and clauses and re.search(r"\bOR\b", typed, re.IGNORECASE):
            typed = f"({typed})" if not _wrapped(typed) else typed
        return " AND ".join([*([typed] if typed else []), *clauses])

    def toggle(self, column: str, value: str | None) -> None:
        """Click a value: add it, or take it away where it was clicked before."""
        values = self.picked.setdefault(column, [])
        if value in values:
            values.remove(value)
        else:
            values.append(value)
        if not values:
            del self.picked[column]

    def read(self, text: str) -> None:
        """Take over what stands in the box; clicked values that were edited away are no more."""
        rest = text.strip()
        if rest == self.where:
            return
        kept: dict[str, list[str | None]] = {}
        for column, values in self.picked.items():
            written = clause(column, values)
            if rest == written:
                rest = ""
            elif rest.endswith(f" AND {written}"):
                rest = rest.removesuffix(f" AND {written}")
            elif f" AND {written} AND " in rest:
                rest = rest.replace(f" AND {written} AND ", " AND ", 1)
            elif rest.startswith(f"{written} AND "):
                rest = rest.removeprefix(f"{written} AND ")
            else:
                continue
            kept[column] = values
        self.picked, self.typed = kept, rest

    def add(self, one: str) -> None:
        """Add a condition to what was typed."""
        typed = self.typed.strip()
        if typed and re.search(r"\bOR\b", typed, re.IGNORECASE) and not _wrapped(typed):
            typed = f"({typed})"
        self.typed = f"{typed} AND {one}" if typed else one

    def has(self, column: str, value: str | None) -> bool:
        """Say whether a value is clicked."""
        return value in self.picked.get(column, ())


def _wrapped(text: str) -> bool:
    """Say whether one pair of parentheses stands around the whole text."""
    if not text.startswith("("):
        return False
    depth = 0
    for place, sign in enumerate(re.sub(r"'(?:[^']|'')*'", lambda m: "x" * len(m[0]), text)):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return place == len(text) - 1
    return False
