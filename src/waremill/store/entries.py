"""What a run's FAQ says, laid out to be sorted: a database of its own in a file that vanishes.

A run may have millions of answers, which no memory holds and no table of the shop's should. They
are written here in any order and read in groups: of one place (field, target and category), one
topic and one meaning. Which texts are one topic or mean the same is told from outside.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import Self

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE said (
  place INTEGER, product INTEGER, key TEXT, topic TEXT, asked TEXT, question TEXT, answer TEXT,
  meaning BLOB, whole INTEGER, more TEXT, times INTEGER, own INTEGER
);
CREATE TABLE topics (place INTEGER, topic TEXT, one TEXT, PRIMARY KEY (place, topic))
  WITHOUT ROWID;
"""
_TOPICS = """
SELECT topic, min(asked), count(DISTINCT product) AS number FROM said WHERE place = ?
GROUP BY topic ORDER BY number DESC, topic LIMIT ?
"""
_SETTLED = """
CREATE TABLE told AS
SELECT said.place, CASE WHEN whole THEN '' ELSE coalesce(topics.one, said.topic) END AS topic,
  meaning, product, key, asked, question, answer, more, times, own
FROM said LEFT JOIN topics ON topics.place = said.place AND topics.topic = said.topic
ORDER BY 1, 2, 3, 4, asked, question, answer;
DROP TABLE said;
CREATE INDEX told_groups ON told (place, topic, meaning, product);
"""
_GROUPS = """
SELECT topic, meaning, count(DISTINCT product) AS number FROM told WHERE place = ?
GROUP BY topic, meaning ORDER BY number DESC, topic, meaning
"""
_LINES = """
SELECT product, key, asked, question, answer, more, times, own FROM told
WHERE place = ? AND topic = ? AND meaning = ? ORDER BY product, rowid
"""


@dataclass(frozen=True, slots=True)
class Said:
    """One line of a product's FAQ: a question as it was asked and as it is written, its answer.

    `topic` is what the question is compared by, `meaning` what the answer is; with `whole` the
    answer says it all, whatever was asked. `more` is JSON; `product` is the product's place in the
    run; the question was asked `times` times, of this product alone where it is its `own`.
    """

    place: int
    product: int
    key: str
    topic: str
    asked: str
    question: str
    answer: str = ""
    meaning: bytes = b""
    whole: bool = False
    more: str = ""
    times: int = 1
    own: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a group, in the order of products."""

    product: int
    key: str
    asked: str
    question: str
    answer: str
    more: str
    times: int
    own: int


@dataclass(frozen=True, slots=True)
class SameSaid:
    """A group: lines of one place that say the same, and how many products they are of."""

    place: int
    topic: str
    meaning: bytes
    products: int


class Entries:
    """All lines of a run's FAQ; close it, or use it as a context manager, and the file is gone."""

    def __init__(self) -> None:
        with NamedTemporaryFile(prefix="waremill-faq-", suffix=".db", delete=False) as file:
            self.path = Path(file.name)
        self._conn = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        self._conn.executescript(_TABLES)

    def add(self, lines: Iterable[Said]) -> None:
        """Write lines, some thousand at a time."""
        rows = (
            (one.place, one.product, one.key, one.topic, one.asked, one.question, one.answer,
             one.meaning, one.whole, one.more, one.times, one.own)
            for one in lines
        )  # fmt: skip
        self._conn.execute("BEGIN")
        self._conn.executemany(f"INSERT INTO said VALUES ({', '.join('?' * 12)})", rows)
        self._conn.execute("COMMIT")

    def topics(self, place: int, most: int) -> list[tuple[str, str, int]]:
        """Give a place's most frequent topics: what they are compared by, a wording, products."""
        return self._conn.execute(_TOPICS, (place, most)).fetchall()

    def join(self, place: int, one: Mapping[str, str]) -> None:
        """Say which topics are one: each to the topic that stands for it."""
        rows = [(place, topic, whole) for topic, whole in one.items()]
        self._conn.executemany("INSERT INTO topics VALUES (?, ?, ?)", rows)

    def arrange(self) -> None:
        """Make topics quick to find, when all lines are there."""
        self._conn.execute("CREATE INDEX said_topics ON said (place, topic)")

    def settle(self) -> None:
        """Sort the lines into their groups, when all topics that are one were joined."""
        self._conn.executescript(_SETTLED)

    def groups(self, places: Sequence[int]) -> Iterator[SameSaid]:
        """Give the groups of places, those of most products first in each."""
        for place in places:
            for topic, meaning, number in self._conn.execute(_GROUPS, (place,)):
                yield SameSaid(place, topic, meaning, number)

    def lines(self, group: SameSaid) -> Iterator[Line]:
        """Give a group's lines."""
        found = self._conn.execute(_LINES, (group.place, group.topic, group.meaning))
        return (Line(*row) for row in found)

    def count(self) -> int:
        """Count the groups."""
        query = "SELECT count(*) FROM (SELECT DISTINCT place, topic, meaning FROM told)"
        return int(self._conn.execute(query).fetchone()[0])

    def close(self) -> None:
        """Drop everything."""
        self._conn.close()
        with suppress(FileNotFoundError):
            self.path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
