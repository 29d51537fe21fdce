"""The use case *search*: the passages of a knowledge base that answer a query best."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING

from waremill.app.knowing.changing import find_base, is_changing
from waremill.app.knowing.indexing import bring_up, is_behind, version_today
from waremill.app.knowing.opened import embedder_of, open_index
from waremill.app.knowing.places import as_passage
from waremill.app.retrieving import retriever_of, retriever_version
from waremill.domain import Passage, Search
from waremill.errors import ConfigError, Conflict
from waremill.knowledge.embedding import Embedder
from waremill.knowledge.index import Bounds, Ranked
from waremill.knowledge.searching import search as search_index
from waremill.store.knowledge_pieces import find_pieces

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace
    from waremill.store.knowledge import Base

MOST = 100
"""Passages a search gives at most."""
LONGEST = 8_000
"""Characters of a query."""


async def search(workspace: Workspace, wanted: Search) -> list[Passage]:
    """Give the passages that answer a query best, best first; for viewers of the base's team.

    Documents that are not valid today are left out. An index that lacks a change, as after an
    interruption or on another machine, is brought up first, unless somebody is at it: then what it
    has is searched.
    """
    if not 1 <= wanted.top <= MOST:
        raise ConfigError(f"a search gives 1 to {MOST} passages, not {wanted.top}")
    if (retriever := retriever_of(workspace, wanted.knowledge)) is not None:
        return list(await retriever(wanted))
    base = await find_base(workspace, wanted.knowledge)
    bounds = Bounds(wanted.where, today=date.today().isoformat())
    # A shell whose encoding is another hands over what is no text.
    text = wanted.query.encode("utf-8", "replace").decode()
    query = " ".join(text.split())[:LONGEST]
    async with embedder_of(workspace, base) as embedder:
        await _catch_up(workspace, base, embedder)
        index = open_index(workspace, base, embedder)
        ranked = await search_index(index, embedder, query, wanted.top, bounds)
    return await _passages(workspace, base, ranked)


async def knowledge_version(workspace: Workspace, name: str) -> str:
    """Give the version of what a base's searches can give today: it is equal while nothing changes.

    For viewers of the base's team.
    """
    if (retriever := retriever_version(workspace, name)) is not None:
        return retriever
    return await version_today(workspace, await find_base(workspace, name))


async def _catch_up(workspace: Workspace, base: Base, embedder: Embedder) -> None:
    if not is_behind(workspace, base, embedder) or await is_changing(workspace, base):
        return
    with suppress(Conflict):  # another process brings it up at this moment
        await bring_up(workspace, base, embedder)


async def _passages(workspace: Workspace, base: Base, ranked: Ranked) -> list[Passage]:
    """Give the passages of ids; one whose document changed this moment is left out."""
    found = await workspace.database.read(find_pieces, base.id, [one for one, _ in ranked])
    return [
        as_passage(piece, score)
        for passage, score in ranked
        if (piece := found.get(passage)) is not None
    ]
