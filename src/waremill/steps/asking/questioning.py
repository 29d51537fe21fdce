"""Which questions a product's FAQ answers: its own first, then those of its category.

Reads a file of shoppers' questions, or the questions that stand in a knowledge base, groups those
that mean the same, and chooses. It answers none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from waremill.checks.sentences import content_words, sentences
from waremill.domain import Item, Passage, category_of
from waremill.errors import ConfigError, Where
from waremill.knowledge.questions import (
    MOST,
    UNRELATED,
    Group,
    Question,
    grouped,
    nearness,
    plain,
    repeated,
    without,
)
from waremill.pipeline import Context, Embed
from waremill.rules.document import read_csv, suggestion

COLUMNS = ("question", "key", "category", "count")
NO_EMBEDDER = "the step “faq” needs the extra “knowledge”: pip install 'waremill[knowledge]'"
LONGEST = 500
"""Characters of a question; longer texts are no questions."""


def read_questions(
    files: Mapping[str, str], path: str, columns: Mapping[str, str], where: Where
) -> tuple[Question, ...]:
    """Read a CSV or JSON lines file of questions.

    `columns` says which of its names are the question, the product's key, the category and how
    often it was asked; the names themselves otherwise. Raises ConfigError with the line.
    """
    if path not in files:
        known = [one for one in files if one.startswith("questions/")]
        raise ConfigError(f"there is no file “{path}”{suggestion(path, known)}", where)
    names = {name: columns.get(name, name) for name in COLUMNS}
    found: list[Question] = []
    for line, row in _rows(files, path):
        text = str(row.get(names["question"]) or "").strip()
        if not text or len(text) > LONGEST:
            continue
        count = str(row.get(names["count"]) or "1")
        if not count.isdecimal():
            message = f"“{names['count']}” must be a whole number, not “{count}”"
            raise ConfigError(message, Where(file=path, line=line))
        found.append(
            Question(
                text, str(row.get(names["key"]) or "").strip(),
                str(row.get(names["category"]) or "").strip(), max(int(count), 1),
            )
        )  # fmt: skip
    if not found:
        raise ConfigError(
            f"the file has no questions; it needs a column “{names['question']}”", Where(file=path)
        )
    return tuple(found)


def _rows(files: Mapping[str, str], path: str) -> list[tuple[int, Mapping[str, Any]]]:
    if path.endswith(".csv"):
        return list(read_csv(files, path))
    rows: list[tuple[int, Mapping[str, Any]]] = []
    for line, text in enumerate(files[path].removeprefix("\ufeff").split("\n"), 1):
        if not text.strip():
            continue
        try:
            row = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            message = f"this line is not JSON: {error.msg}"
            raise ConfigError(message, Where(file=path, line=line)) from None
        if not isinstance(row, dict):
            raise ConfigError("a line must be an object", Where(file=path, line=line))
        rows.append((line, row))
    return rows


def questions_in(passages: Sequence[Passage]) -> tuple[Question, ...]:
    """Give the questions that stand in passages: their sentences with a question mark."""
    return tuple(
        Question(one)
        for passage in passages
        for one in sentences(passage.text)
        if one.endswith(("?", "？")) and len(one) <= LONGEST
    )


class Questions:
    """A file's questions, grouped by product and by category when they are first asked for."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self._own: dict[str, list[Question]] = {}
        self._category: dict[str, list[Question]] = {}
        for one in questions:
            if one.key:
                self._own.setdefault(one.key, []).append(one)
            # Without either it is asked about every product.
            if one.category or not one.key:
                self._category.setdefault(one.category.casefold(), []).append(one)
        self._grouped: dict[tuple[str, bool], list[Group]] = {}
        self._grouping = asyncio.Lock()

    def first(self, item: Item) -> str | None:
        """Give a question the item would likely be asked, without grouping; None for none."""
        every = [*self._own.get(item.product.key, ()), *self._of_category(item)]
        return every[0].text if every else None

    def _of_category(self, item: Item) -> list[Question]:
        category = (category_of(item.values) or "").casefold()
        found = list(self._category.get(category, ())) if category else []
        return [*found, *self._category.get("", ())]

    async def choose(
        self, item: Item, ctx: Context, extra: Sequence[Question], most: int, name: str
    ) -> list[dict[str, Any]]:
        """Choose an item's questions, most asked first: `{question, asked, own}`.

        `extra` are further questions of its own. The choice is recorded, under the step's `name`.
        """

        async def choose() -> list[dict[str, Any]]:
            return await self._chosen(item, _embedder(ctx), extra, most)

        found: list[dict[str, Any]] = await ctx.record(item, f"questions {name}", choose)
        return found

    async def foresee(
        self, item: Item, embed: Embed | None, extra: Sequence[Question], most: int
    ) -> list[str]:
        """Give the questions an item would be asked; without vectors only equal ones are one."""
        return [one["question"] for one in await self._chosen(item, embed, extra, most)]

    async def _chosen(
        self, item: Item, embed: Embed | None, extra: Sequence[Question], most: int
    ) -> list[dict[str, Any]]:
        own = await group_alike([*self._own.get(item.product.key, ()), *extra], embed)
        chosen = [_entry(one, True) for one in own[:most]]
        if len(chosen) < most and (shared := await self._shared(item, embed)):
            left = await _left(shared, own, embed)
            chosen += [_entry(one, False) for one in left[: most - len(chosen)]]
        return chosen

    async def _shared(self, item: Item, embed: Embed | None) -> list[Group]:
        place = ((category_of(item.values) or "").casefold(), embed is None)
        async with self._grouping:
            found = self._grouped.get(place)
            if found is None:
                found = self._grouped[place] = await group_alike(self._of_category(item), embed)
        return found


def _embedder(ctx: Context) -> Embed:
    if ctx.embed is None:
        raise ConfigError(NO_EMBEDDER)
    return ctx.embed


async def group_alike(questions: Sequence[Question], embed: Embed | None) -> list[Group]:
    """Group questions that mean the same, at most `MOST` different ones; see `grouped`.

    Without an embedder only equal ones are one.
    """
    once = repeated(questions)[:MOST]
    if len(once) < 2 or embed is None:
        groups = [Group(one.text, one.count, (place,)) for place, one in enumerate(once)]
        return sorted(groups, key=lambda one: (-one.count, one.places[0]))
    texts = [one.text for one in once]
    return grouped(once, await _near(texts, embed), _words(texts))


async def _left(
    groups: Sequence[Group], taken: Sequence[Group], embed: Embed | None
) -> list[Group]:
    """Leave out the groups that ask what was taken already."""
    if not taken:
        return list(groups)
    if embed is None:
        known = {plain(one.text) for one in taken}
        return [one for one in groups if plain(one.text) not in known]
    texts = [one.text for one in (*groups, *taken)]
    return without(groups, taken, await _near(texts, embed), _words(texts))


async def _near(texts: Sequence[str], embed: Embed) -> Any:
    vectors = await embed([*texts, *UNRELATED])
    own, unrelated = vectors[: len(texts)], vectors[len(texts) :]
    return nearness(own, own, unrelated)


def _words(texts: Sequence[str]) -> list[frozenset[str]]:
    return [frozenset(content_words(text)) for text in texts]


def _entry(group: Group, own: bool) -> dict[str, Any]:
    return {"question": group.text, "asked": group.count, "own": own}
