"""What shoppers ask: the same question in many words, put together and counted.

Real questions repeat themselves: “how many outlets?”, “number of outlets?”. Those that mean the
same are found by their vectors and their words, which are handed in. Everything is decided by the
numbers and the questions' order alone, so the same questions give the same groups. Nothing here
asks or searches.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from waremill.knowledge.embedding import Vectors

MOST = 5_000
"""Questions compared with each other: 5,000 × 5,000 cosines are 100 MB and 0.3 s."""
SURE = 0.8
"""Nearness from which two questions are one whatever their words."""
ALIKE = 0.4
"""Nearness from which two questions are one when they share most of their words, too."""
SHARED = 0.6
"""How much of their words (Jaccard) that is."""
UNRELATED = (
    "Does the parcel come with a return label?", "Is it made of organic cotton?",
    "Who designed the pattern on the box?", "Can I charge it overnight?",
    "Which wine goes well with this cheese?", "How do I fold it for the suitcase?",
    "Is the smell gone after washing?", "When was the book first printed?",
)  # fmt: skip
"""Questions about nothing in common. How near others are to them is where nearness begins: between
unrelated questions the cosine is 0.84 with one embedder and 0.1 with another."""

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class Question:
    """A shopper's question. `key` is the product it was asked about, `category` its category where
    the source says one; `count` is how often it was asked.
    """

    text: str
    key: str = ""
    category: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Group:
    """Questions that mean the same: the one that stands for them, how often all were asked, and
    their places in what was grouped.
    """

    text: str
    count: int
    places: tuple[int, ...]


def plain(text: str) -> str:
    """Give a question as it is compared: case, width, white space and the mark at its end aside."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return folded.rstrip("?？.。!！ ")


def repeated(questions: Sequence[Question]) -> list[Question]:
    """Put together what is word for word the same, in the order of first standing there.

    Blank ones are left out. The spelling that comes first is kept.
    """
    found: dict[str, Question] = {}
    for one in questions:
        if not (mark := plain(one.text)):
            continue
        first = found.get(mark)
        count = one.count + (first.count if first else 0)
        kept = first or one
        found[mark] = Question(kept.text, kept.key, kept.category, count)
    return list(found.values())


def nearness(vectors: Vectors, others: Vectors, unrelated: Vectors) -> Vectors:
    """Give how near texts are: 0 as near as to unrelated ones, 1 the same.

    All rows are of unit length; the result has a row for each of `vectors`, rounded so that another
    machine decides alike.
    """
    import numpy

    base = (vectors @ unrelated.T).mean(axis=1, keepdims=True)
    found: Vectors = numpy.round((vectors @ others.T - base) / (1 - base), 3)
    return found


def grouped(
    questions: Sequence[Question], near: Vectors, words: Sequence[frozenset[str]]
) -> list[Group]:
    """Group questions that mean the same; the most asked group first.

    `near` is the nearness of each to each, `words` are their content words; at most MOST are taken.
    Two are one when they name the same numbers and are SURE to mean the same, or ALIKE and share
    most of their words. Meaning alone joins “how many outlets?” and “how many watts?”. The
    question with the most asked neighbours takes them, then the next of what is left. The
    representative is the group's medoid: the one nearest to all others by their counts; ties go to
    the more asked, the shorter, the earlier.
    """
    import numpy

    questions = questions[:MOST]
    if not questions:
        return []
    size = len(questions)
    near = numpy.minimum(near[:size, :size], near[:size, :size].T)
    linked = _linked(questions, near, words)
    counts = numpy.array([one.count for one in questions], dtype=numpy.float64)
    free = numpy.ones(size, dtype=bool)
    groups: list[Group] = []
    weight = linked @ counts
    while free.any():
        leader = int(numpy.argmax(numpy.where(free, weight, -1.0)))
        members = numpy.flatnonzero(linked[leader] & free)
        groups.append(_group(questions, near, members.tolist()))
        free[members] = False
        weight -= linked[:, members] @ counts[members]
    return sorted(groups, key=lambda one: (-one.count, one.places[0]))


def _linked(questions: Sequence[Question], near: Vectors, words: Sequence[frozenset[str]]) -> Any:
    import numpy

    linked = near >= ALIKE
    numbers = [frozenset(_NUMBER.findall(one.text)) for one in questions]
    for one, other in numpy.argwhere(numpy.triu(linked, 1)).tolist():
        same = numbers[one] == numbers[other] and (
            near[one, other] >= SURE or _overlap(words[one], words[other]) >= SHARED
        )
        linked[one, other] = linked[other, one] = same
    numpy.fill_diagonal(linked, True)
    return linked


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / (len(one | other) or 1)


def _group(questions: Sequence[Question], near: Vectors, members: list[int]) -> Group:
    counts = [questions[place].count for place in members]

    def centrality(place: int) -> float:
        total = sum(
            float(near[place, other]) * count for other, count in zip(members, counts, strict=True)
        )
        return round(total, 4)

    def rank(place: int) -> tuple[float, int, int, int]:
        one = questions[place]
        return centrality(place), one.count, -len(one.text), -place

    best = max(members, key=rank)
    return Group(questions[best].text, sum(counts), tuple(members))


def without(
    groups: Sequence[Group], taken: Sequence[Group], near: Vectors, words: Sequence[frozenset[str]]
) -> list[Group]:
    """Leave out the groups that ask what was asked already.

    `near` and `words` are those of all representatives: of the groups first, then of those taken.
    """
    every = [Question(one.text) for one in (*groups, *taken)]
    if not taken or not groups:
        return list(groups)
    import numpy

    linked = _linked(every, numpy.minimum(near, near.T), words)
    return [one for place, one in enumerate(groups) if not linked[place, len(groups) :].any()]
