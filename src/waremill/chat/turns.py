"""The nouns of a conversation: a turn, what was given to the model for it, and its branches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from waremill.domain import AnyMessage, CallMessage, ResultMessage, ToolCall

State = Literal["working", "complete", "truncated", "refused", "stopped", "failed"]
"""How far a reply is, or how it ended; what came before it was stopped or failed is kept."""


@dataclass(frozen=True, slots=True)
class Source:
    """Something the model was given to read, under the number it is cited by.

    `kind` says what it is: a passage of the base `of`, or a product of the catalogue `of`.
    `document` is the passage's document or the product's key; `id` tells it from all others.
    `place` says to people where it stands.
    """

    number: int
    kind: Literal["passage", "product"]
    of: str
    id: str
    document: str
    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """A tool's call and its result; `permitted` is None where no permission was needed."""

    call: ToolCall
    content: str = ""
    failed: bool = False
    seconds: float = 0.0
    permitted: bool | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """Something the model drafted, for the user to take or leave: nothing was saved or started.

    A selection has `catalog`, `where`, `targets`, `count`, `samples` and `command`; a template
    `name`, `text` and `problems`, each a line and a message; an estimate `pipeline` and figures.
    """

    kind: Literal["selection", "template", "estimate"]
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and what came of it.

    `parent` is the turn it goes on from. `sources` are what the model was given in this turn and
    `cited` the numbers it cited. `between` are the calls and results before the reply. `first` is
    how many seconds the first token took, None where none came; costs are nano-USD at list price
    and paid, None where unknown. `error` says why a turn failed.
    """

    id: int
    parent: int | None
    question: str
    model: str
    state: State
    reply: str = ""
    sources: tuple[Source, ...] = ()
    cited: tuple[int, ...] = ()
    steps: tuple[Step, ...] = ()
    drafts: tuple[Draft, ...] = ()
    notes: tuple[str, ...] = ()
    between: tuple[AnyMessage, ...] = ()
    answers: tuple[str, ...] = ()
    input: int = 0
    output: int = 0
    cached: int = 0
    list_cost: int | None = None
    paid: int | None = None
    first: float | None = None
    seconds: float = 0.0
    error: str | None = None
    at: float = 0.0
    take: int = 0

    def made(self) -> dict[str, Any]:
        """Give what is kept of it as one JSON object, for `read_made`."""
        return {
            "sources": [asdict(one) for one in self.sources],
            "cited": list(self.cited),
            "steps": [asdict(one) for one in self.steps],
            "drafts": [{"kind": one.kind, "body": dict(one.body)} for one in self.drafts],
            "notes": list(self.notes),
            "between": [_written(one) for one in self.between],
            "answers": list(self.answers),
        }


def read_made(made: Mapping[str, Any]) -> dict[str, Any]:
    """Read what `Turn.made` gave, as the arguments of a turn."""
    return {
        "sources": tuple(Source(**one) for one in made.get("sources", ())),
        "cited": tuple(made.get("cited", ())),
        "steps": tuple(
            Step(**{**one, "call": ToolCall(**one["call"])}) for one in made.get("steps", ())
        ),
        "drafts": tuple(Draft(one["kind"], one["body"]) for one in made.get("drafts", ())),
        "notes": tuple(made.get("notes", ())),
        "between": tuple(_read(one) for one in made.get("between", ())),
        "answers": tuple(made.get("answers", ())),
    }


def _written(message: AnyMessage) -> dict[str, Any]:
    if isinstance(message, CallMessage):
        calls = [asdict(one) for one in message.calls]
        return {"calls": calls, "content": message.content}
    if isinstance(message, ResultMessage):
        return {
            "call": message.call, "name": message.name, "content": message.content,
            "failed": message.failed,
        }  # fmt: skip
    raise TypeError(f"a {type(message).__name__} stands between no question and its reply")


def _read(written: Mapping[str, Any]) -> AnyMessage:
    if "calls" in written:
        return CallMessage(
            tuple(ToolCall(**one) for one in written["calls"]), written["content"]
        )  # fmt: skip
    return ResultMessage(**written)


def path_to(turns: Sequence[Turn], leaf: int | None) -> tuple[Turn, ...]:
    """Give the turns from the first to one, in order: a branch."""
    known = {one.id: one for one in turns}
    found: list[Turn] = []
    while leaf is not None and leaf in known:
        found.append(known[leaf])
        leaf = known[leaf].parent
    return tuple(reversed(found))


def leaf_below(turns: Sequence[Turn], turn: int) -> int:
    """Give the newest turn of the branch a turn begins; itself where none goes on from it."""
    while below := [one.id for one in turns if one.parent == turn]:
        turn = max(below)
    return turn


def beside(turns: Sequence[Turn], turn: Turn) -> tuple[int, ...]:
    """Give the ids of a turn and its neighbours, which go on from the same one, in order."""
    return tuple(one.id for one in turns if one.parent == turn.parent)


@dataclass(slots=True)
class Given:
    """The sources of a branch, each under its number: whatever else is cited was never given."""

    known: dict[int, Source] = field(default_factory=dict)
    fresh: list[Source] = field(default_factory=list)
    last: int = 0

    @classmethod
    def of(cls, turns: Sequence[Turn]) -> Given:
        """Give the sources of earlier turns, before anything is given in a new one."""
        known = {source.number: source for turn in turns for source in turn.sources}
        return cls(known, last=max(known, default=0))

    def add(
        self, kind: Literal["passage", "product"], of: str, id: str, document: str, place: str,
        text: str,
    ) -> Source:  # fmt: skip
        """Give a source its number: the one it has already, or the next."""
        for one in self.known.values():
            if (one.kind, one.of, one.id) == (kind, of, id):
                if one not in self.fresh:
                    self.fresh.append(one)
                return one
        self.last += 1
        made = Source(self.last, kind, of, id, document, place, text)
        self.known[made.number] = made
        self.fresh.append(made)
        return made

    def keep(self, turns: Sequence[Turn]) -> None:
        """Forget the sources of turns that the model does not read any more."""
        read = {source.number for turn in turns for source in turn.sources}
        read |= {source.number for source in self.fresh}
        for number in [one for one in self.known if one not in read]:
            del self.known[number]


__all__ = [
    "Draft",
    "Given",
    "Source",
    "State",
    "Step",
    "Turn",
    "beside",
    "leaf_below",
    "path_to",
    "read_made",
]
