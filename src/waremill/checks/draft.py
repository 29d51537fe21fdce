"""What every check is given: a draft to judge and the workspace's rules, and the `@check` mark.

A draft keeps the texts that several checks look at, so that each is made once. Nothing here judges.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Generic, Protocol, TypeVar, overload

from waremill.domain import Finding, Passage, Target
from waremill.rules.channel import Channel
from waremill.rules.forbidden import Forbidden
from waremill.rules.glossary import Glossary
from waremill.rules.matching import Matcher, fold
from waremill.rules.schema import Schema, schema_for

_NAME_KEY = re.compile(
    r"(?:^|_|\b)(?:name|brand|title|brand_store|manufacturer|maker|house|collection|line|model|"
    r"marke|hersteller|titel|nom|marque|titre|modèle|modell|nombre|marca)(?:_[a-z]{2})?$"
    r"|品牌|名称|标题|型号|系列|商品名",
    re.IGNORECASE,
)
_LONGEST_NAME = 60
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)


Owner = TypeVar("Owner")
T = TypeVar("T")


class lazy(Generic[Owner, T]):
    """A value made at first use and then kept on the object.

    `functools.cached_property` takes a lock in Python 3.11, which a draft, used by one check after
    another, would pay for half a dozen times.
    """

    def __init__(self, make: Callable[[Owner], T]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> lazy[Owner, T]: ...

    @overload
    def __get__(self, owner: Owner, kind: type) -> T: ...

    def __get__(self, owner: Owner | None, kind: type) -> lazy[Owner, T] | T:
        if owner is None:
            return self
        value = owner.__dict__[self._name] = self._make(owner)
        return value


class FieldLike(Protocol):
    """What a check needs to know of an output field; a template's fields have it."""

    @property
    def unit(self) -> str | None:
        """The unit of the field's numbers."""


@lru_cache(maxsize=4096)
def is_name_key(key: str) -> bool:
    """Say whether an attribute holds a name: brand, product name, title, line, model."""
    return _NAME_KEY.search(key) is not None


@dataclass(frozen=True)
class Draft:
    """What was generated for one item, and what it was generated from.

    `values` are the generated fields; `source` the attributes and what earlier steps made;
    `fields` the output contract's fields by name (may be empty); `category` the product's.
    `passages` are what the model was given of the shop's knowledge: facts like the source's.
    `likeness`, where it is known, says how near in meaning a text of the draft is to one of the
    passages, by (sentence, passage's id): 0 as near as to unrelated texts, 1 the same.
    """

    values: Mapping[str, Any]
    source: Mapping[str, Any]
    target: Target | None = None
    fields: Mapping[str, FieldLike] = field(default_factory=dict)
    category: str | None = None
    passages: tuple[Passage, ...] = ()
    likeness: Mapping[tuple[str, str], float] | None = None

    @lazy
    def texts(self) -> tuple[tuple[str, str], ...]:
        """Every generated text with its field's name; a list gives one entry for each element."""
        found: list[tuple[str, str]] = []
        for name, value in self.values.items():
            if isinstance(value, str):
                found.append((name, value))
            else:
                found += [(name, text) for text in _texts((value,))]
        return tuple(found)

    @lazy
    def text(self) -> str:
        """All generated texts, one a line."""
        return "\n".join([text for _, text in self.texts])

    @lazy
    def folded(self) -> str:
        """`text` in lower case with narrow Latin letters, every character in its old place."""
        return fold(self.text)

    @lazy
    def source_text(self) -> str:
        """All source values, one a line, and the passages; web addresses are left out, no fact
        stands in them.
        """
        text = "\n".join(_texts(self.source.values(), numbers=True))
        if self.passages:
            text = "\n".join([text, *(f"{one.place}\n{one.text}" for one in self.passages)])
        return _URL.sub(" ", text) if "://" in text else text

    @lazy
    def folded_source(self) -> str:
        """`source_text` folded like `folded`."""
        return fold(self.source_text)

    @lazy
    def names(self) -> tuple[str, ...]:
        """The source's brand and product names, the longest first.

        Texts of more than 60 bytes are no names: a whole listing title excuses nothing.
        """
        found = [
            value.strip()
            for key, value in self.source.items()
            if isinstance(value, str)
            and is_name_key(key)
            and 1 < len(value) <= _LONGEST_NAME
            and (value.isascii() or len(value.encode()) <= _LONGEST_NAME)
        ]
        return tuple(sorted(found, key=len, reverse=True))

    @lazy
    def name_spans(self) -> tuple[tuple[int, int], ...]:
        """Where in `text` the source's names stand, as (start, end)."""
        spans: list[tuple[int, int]] = []
        for name in self.names:
            folded = fold(name)
            start = self.folded.find(folded)
            while start >= 0:
                spans.append((start, start + len(folded)))
                start = self.folded.find(folded, start + len(folded))
        return tuple(spans)

    def in_name(self, start: int, end: int) -> bool:
        """Say whether a place of `text` lies inside one of the source's names."""
        return any(first <= start and end <= last for first, last in self.name_spans)

    def field_at(self, position: int) -> str:
        """Give the field that holds a position of `text`."""
        end = -1
        for name, text in self.texts:
            end += len(text) + 1
            if position <= end:
                return name
        return ""


def _texts(values: Iterable[Any], numbers: bool = False) -> list[str]:
    """Give the texts among JSON values, however deep; with `numbers` the numbers as well."""
    found: list[str] = []
    for value in values:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += _texts(value, numbers)
        elif isinstance(value, dict):
            found += _texts(value.values(), numbers)
        elif numbers and value is not None and not isinstance(value, bool):
            found.append(str(value))
    return found


@dataclass(frozen=True)
class Rules:
    """The workspace's rules: channels by name, glossary, forbidden terms, languages, schemas."""

    channels: Mapping[str, Channel] = field(default_factory=dict)
    glossary: Glossary = field(default_factory=Glossary)
    forbidden: Forbidden = field(default_factory=Forbidden)
    languages: tuple[str, ...] = ()
    schemas: Mapping[str, Schema] = field(default_factory=dict)

    @lazy
    def _units(self) -> dict[str, Mapping[str, str]]:
        return {}

    def units(self, category: str | None) -> Mapping[str, str]:
        """Give the units a category's schema states, by attribute."""
        if not self.schemas:
            return {}
        key = category or ""
        if key not in self._units:
            schema = schema_for(self.schemas, category)
            attributes = schema.attributes if schema else ()
            self._units[key] = {a.name: a.unit for a in attributes if a.unit}
        return self._units[key]

    @lazy
    def _vocabularies(self) -> dict[str, Vocabulary | None]:
        return {}

    def vocabulary(self, category: str | None) -> Vocabulary | None:
        """Give the words for what a product of a category has or has not; None without any."""
        key = category or ""
        if key not in self._vocabularies:
            schema = schema_for(self.schemas, category)
            self._vocabularies[key] = _vocabulary(schema, self.glossary)
        return self._vocabularies[key]


@dataclass(frozen=True)
class Vocabulary:
    """Words for what a product has or has not: closed values of attributes that hold lists (notes,
    materials), and the glossary's facts.

    `values[i]` are all spellings of the i-th; `owners` gives the i of each of the matcher's terms.
    """

    values: tuple[tuple[str, ...], ...]
    matcher: Matcher
    owners: tuple[int, ...]


def _vocabulary(schema: Schema | None, glossary: Glossary) -> Vocabulary | None:
    """Collect closed values of attributes that hold lists, and the glossary's facts."""
    spelled: dict[str, dict[str, None]] = {}
    for term in glossary.terms:
        for spelling in term.spellings:
            spelled.setdefault(spelling.casefold(), {}).update(dict.fromkeys(term.spellings))
    groups = [term.spellings for term in glossary.terms if term.fact]
    for attribute in schema.attributes if schema else ():
        groups += [value.spellings for value in attribute.values if attribute.many]
    values = []
    for group in groups:
        every = dict.fromkeys(group)
        for spelling in group:
            every.update(spelled.get(spelling.casefold(), {}))
        values.append(tuple(every))
    if not values:
        return None
    pairs = [(spelling, i) for i, every_one in enumerate(values) for spelling in every_one]
    return Vocabulary(tuple(values), Matcher(s for s, _ in pairs), tuple(i for _, i in pairs))


Check = Callable[[Draft, Rules], list[Finding]]
"""A check: pure, gives what it found wrong, an empty list where nothing is."""

C = TypeVar("C", bound=Check)


def check(name: str) -> Callable[[C], C]:
    """Mark a function as the check of that name; the function is returned unchanged."""

    def mark(function: C) -> C:
        function.check_name = name  # type: ignore[attr-defined]  # functions take attributes
        return function

    return mark
