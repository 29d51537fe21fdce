"""One entry out of what several products say: the wording, the sources, for whom it holds.

Lines come sorted; nothing is kept but what an entry shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from waremill.store.entries import Line

KEYS = 1_000
"""Keys of products an entry names; how many there are is always said."""
WORDINGS = 5
"""Other wordings of a question that are shown."""
SOURCES = 10
"""Sources of an entry, the most cited first."""
_COUNTED = 10_000
"""Wordings and sources that are counted; what comes after so many different ones is left out."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where entries belong together: a step's field, a target, a category.

    `products` is how many products of the category the run worked for the target.
    """

    field: str
    target: str
    language: str
    category: str
    products: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer, and the products it holds for.

    `scope` is `category` where these are all of the category in this run, `products` where they are
    several, `product` where it is one. `of` is how many the category has in this run.
    """

    field: str
    target: str
    language: str
    category: str
    scope: Literal["category", "products", "product"]
    question: str
    answer: str
    sources: tuple[dict[str, Any], ...]
    products: int
    of: int
    keys: tuple[str, ...]
    also_asked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Open:
    """A question nothing answered: for how many products, such as which, and why.

    `asked` is how often shoppers asked it; `reasons` counts why no answer was kept.
    """

    field: str
    target: str
    language: str
    category: str
    question: str
    products: int
    of: int
    asked: int
    keys: tuple[str, ...]
    reasons: dict[str, int]
    also_asked: tuple[str, ...]


def entry_of(place: Place, lines: Iterable[Line]) -> Entry:
    """Put the lines of one answer together; the most frequent wording stands for all."""
    wordings: Counter[tuple[str, str]] = Counter()
    sources: Counter[str] = Counter()
    kept = _Products()
    for one in lines:
        kept.take(one)
        _count(wordings, (one.question, one.answer))
        for source in orjson.loads(one.more):
            _count(sources, orjson.dumps(source, option=orjson.OPT_SORT_KEYS).decode())
    question, answer = _first(wordings)
    scope: Literal["category", "products", "product"] = "products"
    if kept.count == 1:
        scope = "product"
    elif kept.count == place.products:
        scope = "category"
    asked = Counter(dict[str, int]())
    for (text, _), count in wordings.items():
        asked[text] += count
    return Entry(
        place.field, place.target, place.language, place.category, scope, question, answer,
        tuple(orjson.loads(one) for one in _ranked(sources)[:SOURCES]),
        kept.count, place.products, tuple(kept.keys), _others(asked, question),
    )  # fmt: skip


def open_of(place: Place, lines: Iterable[Line]) -> Open:
    """Put the lines of one open question together."""
    wordings: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    kept = _Products()
    own = shared = 0
    for one in lines:
        kept.take(one)
        _count(wordings, one.question)
        _count(reasons, one.more)
        if one.own:
            own += one.times
        else:  # every product of the category was asked what was asked so often in all
            shared = max(shared, one.times)
    question = _first(wordings)
    return Open(
        place.field, place.target, place.language, place.category, question, kept.count,
        place.products, own + shared, tuple(kept.keys),
        {one: reasons[one] for one in _ranked(reasons)}, _others(wordings, question),
    )  # fmt: skip


class _Products:
    """The products of lines that come in their order: how many, and the first keys."""

    def __init__(self) -> None:
        self.count = 0
        self.keys: list[str] = []
        self._last: int | None = None

    def take(self, line: Line) -> None:
        if line.product == self._last:
            return
        self._last = line.product
        self.count += 1
        if len(self.keys) < KEYS:
            self.keys.append(line.key)


def _count(counter: Counter[Any], value: Any) -> None:
    if value in counter or len(counter) < _COUNTED:
        counter[value] += 1


def _ranked(counter: Counter[Any]) -> list[Any]:
    """Give what was counted, the most frequent first, then the shortest, then by its text."""
    return sorted(counter, key=lambda one: (-counter[one], len(str(one)), one))


def _first(counter: Counter[Any]) -> Any:
    return _ranked(counter)[0]


def _others(counter: Counter[str], taken: str) -> tuple[str, ...]:
    return tuple(one for one in _ranked(counter) if one != taken)[:WORDINGS]


__all__ = ["Entry", "Open", "Place", "entry_of", "open_of"]
