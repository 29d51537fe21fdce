"""What a result was given of the shop's knowledge: passages, what its sentences stand on, votes.

Read from the result's provenance. The texts are those the model saw, as the item recorded them,
whatever became of the documents since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from waremill.domain import Passage
from waremill.runs.searching import from_json
from waremill.store import recordings
from waremill.store.knowledge import find_base
from waremill.store.knowledge_pieces import find_pieces
from waremill.store.reviewing import load_item

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

PRODUCT = "product"
"""What a sentence stands on that says what the product's own data say."""


@dataclass(frozen=True, slots=True)
class GivenPassage:
    """A passage a model was given; `number` counts from 1 within its result."""

    number: int
    knowledge: str
    id: str
    place: str


@dataclass(frozen=True, slots=True)
class Stands:
    """A sentence, and what it stands on: a passage's number, the product's data, or nothing.

    `verdict` is the check's: supported, weak, unsupported, unclear, no claim. `share` is from 0 to
    1; `missing` are numbers and names that stand nowhere.
    """

    field: str
    sentence: str
    verdict: str
    passage: int | None
    on_product: bool
    share: float
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """What one result was made with; `agreement` is by field, of `votes` replies."""

    passages: tuple[GivenPassage, ...] = ()
    sentences: tuple[Stands, ...] = ()
    agreement: Mapping[str, float] = field(default_factory=dict)
    votes: int = 0

    def of_field(self, name: str) -> tuple[Stands, ...]:
        """Give the sentences of a field."""
        return tuple(one for one in self.sentences if one.field == name)


@dataclass(frozen=True, slots=True)
class PassageSeen:
    """A passage as a model saw it; `still` says that its base has it now, for who may look."""

    given: GivenPassage
    passage: Passage
    still: bool


def given_in(provenance: Mapping[str, Any]) -> Given:
    """Read what a result's provenance says of knowledge and votes."""
    passages: dict[str, GivenPassage] = {}
    for one in provenance.get("passages") or ():
        known = str(one.get("id", ""))
        place = str(one.get("place") or one.get("document") or "")
        passages.setdefault(
            known, GivenPassage(len(passages) + 1, str(one.get("knowledge", "")), known, place)
        )
    sentences = tuple(
        _stands(one, passages) for one in provenance.get("grounded") or () if "sentence" in one
    )
    agreed = provenance.get("agreement") or {}
    return Given(
        tuple(passages.values()), sentences, dict(agreed.get("fields") or {}),
        int(agreed.get("of") or 0),
    )  # fmt: skip


def _stands(one: Mapping[str, Any], passages: Mapping[str, GivenPassage]) -> Stands:
    source = str(one.get("source") or "")
    found = passages.get(source)
    return Stands(
        str(one.get("field", "")), str(one["sentence"]), str(one.get("verdict", "")),
        None if found is None else found.number, source == PRODUCT,
        float(one.get("score") or 0.0), tuple(map(str, one.get("missing") or ())),
    )  # fmt: skip


async def passages_seen(workspace: Workspace, run: str, item_id: int) -> dict[str, PassageSeen]:
    """Give the passages an item's models saw, with their texts, by id; for the run's viewers.

    Raises NotFound for an item the run has not.
    """
    found = await workspace.find_run(run)

    def read(conn: Connection) -> dict[str, PassageSeen]:
        made = load_item(conn, found.id, item_id).made
        items = dict.fromkeys([one.item_id for one in made] + [item_id])
        texts = {
            one.id: one
            for worked in items
            for some in recordings.searches(conn, worked)
            for one in from_json(some)
        }
        given = {one.id: one for result in made for one in given_in(result.provenance).passages}
        bases = {one.knowledge for one in given.values()}
        there = {name: _there(conn, workspace, name, list(given)) for name in bases}
        return {
            known: PassageSeen(one, texts[known], known in there[one.knowledge])
            for known, one in given.items()
            if known in texts
        }

    return await workspace.database.read(read)


def _there(conn: Connection, workspace: Workspace, name: str, passages: list[str]) -> set[str]:
    base = find_base(conn, name)
    if base is None or workspace.actor.role(base.team_id) is None:
        return set()
    return set(find_pieces(conn, base.id, passages))


__all__ = ["Given", "GivenPassage", "PassageSeen", "Stands", "given_in", "passages_seen"]
