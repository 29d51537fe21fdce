"""The use case *gather*: read a run's FAQ once, put together what is one, give it in order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from sqlalchemy import Connection

from waremill.app.faqs.meaning import meaning_of
from waremill.app.faqs.merging import Entry, Open, Place, entry_of, open_of
from waremill.app.informing import embedding_by, free_search
from waremill.app.working import thaw
from waremill.domain import Target, category_of
from waremill.errors import ConfigError
from waremill.knowledge.questions import MOST, Question, plain
from waremill.steps.asking.questioning import group_alike
from waremill.store import reporting
from waremill.store.entries import Entries, Line, Said, SameSaid
from waremill.store.reporting import FinishedItem
from waremill.store.runs import Run
from waremill.store.tables import dumps

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

T = TypeVar("T", Entry, Open)
ACCEPTED = ("accepted", "edited")
MADE = ("ready", "review", *ACCEPTED)
BY_WORDS = "questions that mean the same in other words stand apart: putting them together would "\
    "ask a model behind a network"  # fmt: skip


@dataclass(frozen=True, slots=True)
class Faq(Generic[T]):
    """What was gathered of a run: `total` entries or open questions; use it as a context manager.

    `each` gives them in order: by target and category, those of most products first.
    """

    run: str
    pipeline: str
    total: int
    places: Mapping[int, Place]
    entries: Entries
    kind: type[T]
    notes: tuple[str, ...] = ()

    def each(self) -> Iterator[T]:
        """Give all, one at a time."""
        return (one for one, _ in self.with_lines())

    def with_lines(self) -> Iterator[tuple[T, Iterator[Line]]]:
        """Give all, each with the lines it was made of, in the order of products."""
        for group in self.entries.groups(sorted(self.places, key=self._rank)):
            yield self._made(group), self.entries.lines(group)

    async def first(self, most: int) -> list[T]:
        """Give the first ones."""

        def take() -> list[T]:
            return [one for one, _ in zip(self.each(), range(most), strict=False)]

        return await asyncio.to_thread(take)

    def _made(self, group: SameSaid) -> T:
        make: Any = entry_of if self.kind is Entry else open_of
        made: T = make(self.places[group.place], self.entries.lines(group))
        return made

    def _rank(self, number: int) -> tuple[str, str, str]:
        place = self.places[number]
        return place.field, place.target, place.category

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.entries.close()


async def gather(
    workspace: Workspace, run: str, kind: type[T], *, accepted: bool = False
) -> Faq[T]:
    """Gather a run's answers (`Entry`) or its open questions (`Open`); for viewers.

    With `accepted` only of items that were accepted; rejected and failed ones never count. Raises
    ConfigError for a pipeline without a step `faq`.
    """
    found = await workspace.find_run(run)
    assembly = await thaw(workspace.settings, workspace.database, found, check_models=False)
    fields = {step.name: step.fields[0] for step in assembly.steps if step.kind == "faq"}
    if not fields:
        raise ConfigError(f"the pipeline “{found.pipeline}” has no step faq, which asks questions")
    entries = Entries()
    try:
        reading = _Reading(entries, fields, answered=kind is Entry)
        states = ACCEPTED if accepted else MADE
        await workspace.database.read_all(reading.read, found, states)
        notes = await _join(workspace, found, reading)
        await asyncio.to_thread(entries.settle)
        total = await asyncio.to_thread(entries.count)
    except BaseException:
        entries.close()
        raise
    return Faq(found.name, found.pipeline, total, reading.places, entries, kind, notes)


async def _join(workspace: Workspace, run: Run, reading: _Reading) -> tuple[str, ...]:
    """Join the topics that mean the same, the most frequent of each place."""
    entries = reading.entries
    await asyncio.to_thread(entries.arrange)
    if free_search(workspace) is None:
        return (BY_WORDS,)
    embed = embedding_by(workspace, run.team_id)
    for number in reading.places:
        topics = await asyncio.to_thread(entries.topics, number, MOST)
        if len(topics) < 2:
            continue
        asked = [Question(text, count=count) for _, text, count in topics]
        joined: dict[str, str] = {}
        for group in await group_alike(asked, embed):
            first = topics[group.places[0]][0]
            joined |= {topics[one][0]: first for one in group.places[1:]}
        await asyncio.to_thread(entries.join, number, joined)
    return ()


class _Reading:
    """Lays a run's FAQ out, an item at a time."""

    def __init__(self, entries: Entries, fields: Mapping[str, str], *, answered: bool) -> None:
        self.entries = entries
        self.places: dict[int, Place] = {}
        self._numbers: dict[tuple[str, str, str], int] = {}
        self._fields = fields
        self._answered = answered

    def read(self, conn: Connection, run: Run, states: Sequence[str]) -> None:
        """Read a run's items in pages."""
        for page in reporting.item_pages(conn, run.id, states):
            self.entries.add(line for item in page for line in self._lines(item))

    def _lines(self, item: FinishedItem) -> Iterator[Said]:
        for step, field in self._fields.items():
            made = item.by_step.get(step)
            if made is None:
                continue
            place = self._place(field, item)
            notes = _notes(item, field)
            yield from (
                _answers(place, item, made.get(field), notes)
                if self._answered
                else _open(place, item, made.get(f"{field}_unanswered"), notes)
            )

    def _place(self, field: str, item: FinishedItem) -> int:
        category = category_of(item.attributes) or ""
        key = (field, item.target, category.casefold())
        number = self._numbers.setdefault(key, len(self._numbers))
        if number not in self.places:
            language = Target.parse(item.target).language if item.target else ""
            self.places[number] = Place(field, item.target, language, category)
        known = self.places[number]
        self.places[number] = replace(known, products=known.products + 1)
        return number


def _notes(item: FinishedItem, field: str) -> Sequence[Mapping[str, Any]]:
    """Give what the step noted of each question, by which questions are known again."""
    made_how = item.provenance.get(f"{field}_unanswered") or item.provenance.get(field) or {}
    notes = made_how.get("faq")
    return [one for one in notes if isinstance(one, dict)] if isinstance(notes, list) else []


def _answers(
    place: int, item: FinishedItem, value: Any, notes: Sequence[Mapping[str, Any]]
) -> Iterator[Said]:
    asked = {plain(str(one.get("written") or one.get("question"))): one for one in notes}
    for one in _parts(value):
        question, answer = str(one.get("question") or ""), str(one.get("answer") or "")
        if not question.strip() or not answer.strip():
            continue
        first = str(asked.get(plain(question), {}).get("question") or question)
        meaning, whole = meaning_of(answer)
        sources = one.get("sources")
        yield Said(
            place, item.product_id, item.key, plain(first), first, question, answer, meaning,
            whole, dumps(list(_parts(sources))),
        )  # fmt: skip


def _open(
    place: int, item: FinishedItem, value: Any, notes: Sequence[Mapping[str, Any]]
) -> Iterator[Said]:
    known = {str(one.get("question")): one for one in notes}
    for question in value if isinstance(value, list) else ():
        if not isinstance(question, str) or not plain(question):
            continue
        note = known.get(question, {})
        yield Said(
            place, item.product_id, item.key, plain(question), question, question,
            more=str(note.get("reason") or "not known"), times=int(note.get("asked") or 1),
            own=bool(note.get("own")),
        )  # fmt: skip


def _parts(value: Any) -> Iterable[Mapping[str, Any]]:
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else ()


__all__ = ["Faq", "gather"]
