"""Forbidden terms: what must not stand in a copy, by language and market.

The lists stand in `forbidden/`. A `.csv` has the columns term, and optionally language, market,
reason; a `.txt` has one term a line. A `.txt` whose name is a language or a locale (`de.txt`,
`de-AT.txt`) holds for that language or market only. Example (`forbidden/claims.csv`):

    term,language,market,reason
    heilt,de,,a medical claim (EU 1223/2009)
    国家级,zh,CN,advertising law article 9
    miracle,,,

Terms match as whole words in any letter case; in scripts without spaces wherever they stand.
This module reads text and finds terms; the check decides what follows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from waremill.domain import Target
from waremill.errors import ConfigError, Where
from waremill.rules.document import csv_header, paths, read_csv, suggestion
from waremill.rules.matching import Matcher, fold

_COLUMNS = ("term", "language", "market", "reason")
_LOCALE = re.compile(r"(?P<language>[a-z]{2})(?:-(?P<market>[A-Z]{2}))?")


@dataclass(frozen=True, slots=True)
class ForbiddenTerm:
    """One forbidden term; None in `language` or `market` means every one."""

    text: str
    language: str | None = None
    market: str | None = None
    reason: str = ""

    def holds_for(self, target: Target | None) -> bool:
        """Say whether the term is forbidden for a target; without one only general terms are."""
        if target is None:
            return self.language is None and self.market is None
        return self.language in (None, target.language) and self.market in (None, target.market)


@dataclass(frozen=True)
class Forbidden:
    """The workspace's forbidden terms, found in a text in one pass."""

    terms: tuple[ForbiddenTerm, ...] = ()

    @cached_property
    def _matcher(self) -> Matcher:
        return Matcher(term.text for term in self.terms)

    def __reduce__(self) -> tuple[type[Forbidden], tuple[tuple[ForbiddenTerm, ...]]]:
        return (Forbidden, (self.terms,))

    def __bool__(self) -> bool:
        return bool(self.terms)

    def find(
        self, text: str, target: Target | None, *, folded: str | None = None
    ) -> list[tuple[ForbiddenTerm, int, int]]:
        """List (term, start, end) in the order of the text, at most one term for each place.

        `folded` is the text after `fold`, where the caller has it already.
        """
        if not self.terms:
            return []
        found = []
        for indexes, start, end in self._matcher.find_folded(
            fold(text) if folded is None else folded
        ):
            for index in indexes:
                if self.terms[index].holds_for(target):
                    found.append((self.terms[index], start, end))
                    break
        return found


def load_forbidden(files: Mapping[str, str]) -> Forbidden:
    """Read every list in `forbidden/`; no list is an empty set.

    Raises ConfigError with file and line for unknown columns and lines without a term.
    """
    terms: dict[ForbiddenTerm, None] = {}
    for path in paths(files, "forbidden", (".csv", ".txt")):
        read = _read_table if path.lower().endswith(".csv") else _read_list
        terms.update(dict.fromkeys(read(files, path)))
    return Forbidden(tuple(terms))


def _read_list(files: Mapping[str, str], path: str) -> list[ForbiddenTerm]:
    stem = path.rpartition("/")[2].rpartition(".")[0]
    locale = _LOCALE.fullmatch(stem)
    language, market = (locale["language"], locale["market"]) if locale else (None, None)
    lines = (line.strip() for line in files[path].lstrip("\ufeff").splitlines())
    return [ForbiddenTerm(line, language, market) for line in lines if line and line[0] != "#"]


def _read_table(files: Mapping[str, str], path: str) -> list[ForbiddenTerm]:
    columns = csv_header(files, path)
    for name in columns:
        if name not in _COLUMNS:
            message = f"“{name}” is no column of a list of forbidden terms"
            raise ConfigError(
                message + suggestion(name, _COLUMNS), Where(file=path, line=1, column=name)
            )
    if "term" not in columns:
        raise ConfigError(
            "a list of forbidden terms needs the column “term”", Where(file=path, line=1)
        )
    terms = []
    for line, row in read_csv(files, path):
        if not row.get("term"):
            raise ConfigError("this line has no “term”", Where(file=path, line=line, column="term"))
        terms.append(
            ForbiddenTerm(
                row["term"],
                row.get("language") or None,
                row.get("market", "").upper() or None,
                row.get("reason", ""),
            )
        )
    return terms
