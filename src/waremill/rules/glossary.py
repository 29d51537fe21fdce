"""The glossary: how a term is written in each language, and what is never translated.

It stands in `glossary.csv`, one term a line. `source` is the term as the catalogue writes it; each
column named by a language tag holds the translation, alternatives separated by `|` (the first is
the one to write). `keep` (yes or no) marks what stays as it is; `market` limits a line to one
market and goes before a line without; `fact` (yes or no) marks what a product has or has not (an
ingredient, a certificate), which copy may name only where the source does; `note` is for readers.
A glossary looks like this:

    source,de,fr,zh,keep,market,fact
    top notes,Kopfnoten|Kopfnote,notes de tête,前调,,,
    bergamot,Bergamotte,bergamote,香柠檬,,,yes
    Eau de Parfum,,,,yes,,
    nappy,,couche,,,GB,

Only the terms that stand in a product's own text enter its prompt and are asked for by the check.
This module reads text and finds terms; it judges no copy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from waremill.domain import Target
from waremill.errors import ConfigError, Where
from waremill.rules.document import csv_header, read_csv, suggestion
from waremill.rules.matching import Matcher, fold

FILE = "glossary.csv"
_COLUMNS = ("source", "keep", "market", "fact", "note")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Z][a-z]{3})?(?:-(?:[A-Z]{2}|\d{3}))?")
_YES = ("yes", "true", "1", "x", "y", "是")
_NO = ("", "no", "false", "0", "n", "否")


@dataclass(frozen=True, slots=True)
class Term:
    """One line of the glossary; `translations` by language tag, the spelling to write.

    `keep` means: never translated. `alternatives` are further spellings a copy may use, by
    language tag. `market` is None where the line holds everywhere. `fact` says that a product has
    the thing or has not, so that copy may not make it up.
    """

    source: str
    translations: Mapping[str, str] = field(default_factory=dict)
    keep: bool = False
    market: str | None = None
    alternatives: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fact: bool = False

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every way the term is written in any language, each once."""
        others = (text for texts in self.alternatives.values() for text in texts)
        return tuple(dict.fromkeys((self.source, *self.translations.values(), *others)))

    def _tag(self, target: Target) -> str | None:
        for tag in (
            target.locale,
            f"{target.language}-{target.script}",
            f"{target.language}-{target.market}",
            target.language,
        ):
            if tag in self.translations:
                return tag
        return None

    def translation(self, target: Target) -> str | None:
        """Give what to write for a target: the nearest language tag's text, or the kept term."""
        if self.keep:
            return self.source
        tag = self._tag(target)
        return None if tag is None else self.translations[tag]

    def accepted(self, target: Target) -> tuple[str, ...]:
        """Give every spelling a copy for the target may use; empty where nothing is known."""
        if self.keep:
            return (self.source,)
        tag = self._tag(target)
        if tag is None:
            return ()
        return (self.translations[tag], *self.alternatives.get(tag, ()))


@dataclass(frozen=True)
class Glossary:
    """The workspace's terms, found in a text in one pass."""

    terms: tuple[Term, ...] = ()

    @cached_property
    def _matcher(self) -> Matcher:
        return Matcher(term.source for term in self.terms)

    def __reduce__(self) -> tuple[type[Glossary], tuple[tuple[Term, ...]]]:
        return (Glossary, (self.terms,))

    def __bool__(self) -> bool:
        return bool(self.terms)

    def matching(
        self, text: str, target: Target | None, *, folded: str | None = None
    ) -> tuple[Term, ...]:
        """Give the terms that stand in a text as whole words, longest first where they overlap.

        Each term comes once, in the order of the text. A term of another market is left out; one
        of the target's market goes before the same term without a market. `folded` is the text
        after `fold`, where the caller has it already.
        """
        if not self.terms:
            return ()
        folded = fold(text) if folded is None else folded
        return tuple([self.terms[index] for index in self._indexes(folded, target)])

    def expected(self, folded: str, target: Target) -> list[tuple[Term, tuple[str, ...]]]:
        """Give the matching terms that have a spelling for the target, with their spellings folded.

        `folded` is the text after `fold`.
        """
        spellings = self._spellings.get(target)
        if spellings is None:
            spellings = [tuple(map(fold, term.accepted(target))) for term in self.terms]
            if not any(spellings):
                spellings = []
            self._spellings[target] = spellings
        if not spellings:
            return []
        return [
            (self.terms[index], accepted)
            for index in self._indexes(folded, target)
            if (accepted := spellings[index])
        ]

    @cached_property
    def _spellings(self) -> dict[Target, list[tuple[str, ...]]]:
        return {}

    def _indexes(self, folded: str, target: Target | None) -> dict[int, None]:
        market = target.market if target is not None else None
        found: dict[int, None] = {}
        for indexes, _, _ in self._matcher.find_folded(folded):
            if len(indexes) == 1:
                if self.terms[indexes[0]].market in (None, market):
                    found[indexes[0]] = None
                continue
            fitting = [i for i in indexes if self.terms[i].market in (None, market)]
            own = [i for i in fitting if self.terms[i].market is not None]
            found.update(dict.fromkeys(own or fitting))
        return found


def load_glossary(files: Mapping[str, str]) -> Glossary:
    """Read `glossary.csv`; an absent file is an empty glossary.

    Raises ConfigError with file and line for an unknown column, a term without text, an unclear
    yes or no, or a term that stands twice for one market.
    """
    if files.get(FILE) is None:
        return Glossary()
    columns = csv_header(files, FILE)
    for name in columns:
        if name not in _COLUMNS and not _LANGUAGE.fullmatch(name):
            message = (
                f"“{name}” is no column of a glossary (a language tag such as de or zh-Hant, or "
                f"one of these){suggestion(name, _COLUMNS)}"
            )
            raise ConfigError(message, Where(file=FILE, line=1, column=name or None))
    if "source" not in columns:
        raise ConfigError("a glossary needs the column “source”", Where(file=FILE, line=1))
    languages = [name for name in columns if name not in _COLUMNS]
    terms: list[Term] = []
    lines: dict[tuple[str, str | None], int] = {}
    for line, row in read_csv(files, FILE):
        term = _read_term(line, row, languages)
        key = (term.source.casefold(), term.market)
        if key in lines:
            message = f"“{term.source}” stands in line {lines[key]} already; keep one of them"
            raise ConfigError(message, Where(file=FILE, line=line))
        lines[key] = line
        terms.append(term)
    return Glossary(tuple(terms))


def _read_term(line: int, row: Mapping[str, str], languages: list[str]) -> Term:
    source = row.get("source", "")
    if not source:
        raise ConfigError(
            "this line has no “source” term", Where(file=FILE, line=line, column="source")
        )
    translations: dict[str, str] = {}
    alternatives: dict[str, tuple[str, ...]] = {}
    for tag in languages:
        spellings = [part.strip() for part in row.get(tag, "").split("|") if part.strip()]
        if spellings:
            translations[tag] = spellings[0]
        if len(spellings) > 1:
            alternatives[tag] = tuple(spellings[1:])
    market = row.get("market", "").upper() or None
    return Term(
        source=source,
        translations=translations,
        keep=_flag(line, row, "keep"),
        market=market,
        alternatives=alternatives,
        fact=_flag(line, row, "fact"),
    )


def _flag(line: int, row: Mapping[str, str], column: str) -> bool:
    value = row.get(column, "").lower()
    if value not in _YES and value not in _NO:
        raise ConfigError(
            f"“{column}” must be yes or no, not “{row[column]}”",
            Where(file=FILE, line=line, column=column),
        )
    return value in _YES
