"""The use cases that look closer: a passage where it stands, and what metadata documents state."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from waremill.app.knowing.changing import find_base
from waremill.domain import Passage
from waremill.errors import NotFound
from waremill.store.knowledge_pieces import FoundPiece, find_pieces, neighbours, stated_metadata

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

NAMES, VALUES = 20, 200
"""Names of metadata, and values of each, that are listed: those of the most documents."""


@dataclass(frozen=True, slots=True)
class PassageInPlace:
    """A passage and the text just before and after it in its document, empty at its ends."""

    knowledge: str
    passage: Passage
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Stated:
    """A name of documents' metadata, and its values with how many documents state each."""

    name: str
    values: tuple[tuple[Any, int], ...]


async def show_passage(workspace: Workspace, name: str, passage: str) -> PassageInPlace:
    """Show a passage where it stands; for viewers of the base's team.

    Raises NotFound for one that is not there, or is no more since its document changed.
    """
    base = await find_base(workspace, name)
    found = (await workspace.database.read(find_pieces, base.id, [passage])).get(passage)
    if found is None:
        raise NotFound(
            f"the knowledge base “{name}” has no passage “{passage[:64]}” any more: its document "
            "changed or was removed"
        )
    before, after = await workspace.database.read(neighbours, base.id, passage)
    return PassageInPlace(name, as_passage(found), before, after)


async def stated(workspace: Workspace, name: str) -> list[Stated]:
    """Give what metadata a base's documents state, by name; for viewers of its team."""
    base = await find_base(workspace, name)
    counts: dict[str, Counter[Any]] = {}
    for metadata, documents in await workspace.database.read(stated_metadata, base.id):
        for key, value in metadata.items():
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, (str, int, float, bool)):
                    counts.setdefault(key, Counter())[one] += documents
    often = sorted(counts, key=lambda key: (-counts[key].total(), key))[:NAMES]
    return [Stated(key, tuple(counts[key].most_common(VALUES))) for key in sorted(often)]


def as_passage(found: FoundPiece, score: float = 0.0) -> Passage:
    """Give a stored piece as a search gives it."""
    return Passage(
        id=found.passage, document=found.document, text=found.text, title=found.title,
        headings=found.headings, page=found.page, score=score, metadata=found.metadata,
    )  # fmt: skip


__all__ = ["PassageInPlace", "Stated", "as_passage", "show_passage", "stated"]
