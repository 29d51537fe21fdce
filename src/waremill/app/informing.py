"""What the shop's knowledge adds to a task: which bases at which version, and what is found.

A search costs nothing where the embedder runs on this machine, so previews and estimates do the
real one. Behind a network every text is paid for: an estimate then leaves passages out and says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from waremill.app.assembly import Assembly
from waremill.domain import Item, Passage, Request
from waremill.errors import TemplateError
from waremill.knowledge.embedding import DEFAULT, local_names
from waremill.pipeline import BoundStep, Embed, Foreseen, Outlook
from waremill.runs.searching import Searcher, Searches, from_json
from waremill.store.tables_people import FIRST_TEAM
from waremill.templates.retrieval import merged

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

AT_ONCE = 16
"""Searches of an estimate at the same time; an embedder takes them together."""
Found = Mapping[str, Sequence[Sequence[Passage]]]
"""What was found for an item, by step: a list of passages for each search."""


async def knowledge_of(workspace: Workspace, assembly: Assembly) -> dict[str, str]:
    """Give the version of every knowledge base that a pipeline searches, by name.

    Raises NotFound for a base that is not there or is not the actor's to know of.
    """
    names = dict.fromkeys(name for step in assembly.steps for name in step.knowledge)
    if not names:
        return {}
    from waremill.app.knowing.searching import knowledge_version

    return {name: await knowledge_version(workspace, name) for name in sorted(names)}


async def base_names(workspace: Workspace) -> tuple[str, ...]:
    """List the knowledge bases an actor may search."""
    from waremill.store import knowledge as store

    found = await workspace.database.read(store.list_bases, workspace.actor.sees)
    outside = workspace.settings.knowledge.retrievers
    return tuple(dict.fromkeys((*(base.name for base in found), *outside)))


def free_search(workspace: Workspace) -> Searcher | None:
    """Give what searches for nothing; None where it would ask a model behind a network."""
    name = workspace.settings.knowledge.embedder or DEFAULT
    local = name in local_names() and name not in workspace.settings.models
    return workspace.search if local else None


def embedding_by(workspace: Workspace, team: int) -> Embed:
    """Give what turns texts into vectors, as the workspace's settings say; the team pays."""
    from waremill.app.embedding import embedding

    async def embed(texts: Sequence[str]) -> Any:
        async with embedding(workspace, team) as embedder:
            return await embedder.embed(texts, "passage")

    return embed


async def found_for(
    steps: Sequence[BoundStep], item: Item, params: Mapping[str, Any], search: Searcher | None
) -> dict[str, list[tuple[Passage, ...]]]:
    """Search what an item's steps would look for first; nothing for steps that look for nothing."""
    found: dict[str, list[tuple[Passage, ...]]] = {}
    for step in steps:
        if step.searches is None or search is None or step.foresee is not None:
            continue
        if step.when is not None and not step.when(item.product.attributes):
            continue
        found[step.name] = [tuple(await search(one)) for one in step.searches(item, params)]
    return found


async def found_for_all(
    steps: Sequence[BoundStep], items: Sequence[Item], params: Mapping[str, Any], search: Searcher
) -> list[dict[str, list[tuple[Passage, ...]]]]:
    """Search for many items; for one whose query cannot be rendered nothing is found."""
    if not any(step.searches is not None for step in steps):
        return [{} for _ in items]
    together = Searches(search)
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(item: Item) -> dict[str, list[tuple[Passage, ...]]]:
        async with slots:
            try:
                return await found_for(steps, item, params, together)
            except TemplateError:  # it is told of where its prompt is rendered
                return {}

    return list(await asyncio.gather(*(one(item) for item in items)))


def outlook_of(workspace: Workspace) -> Outlook:
    """Give what an estimate may use: a search and an embedder that cost nothing, or neither."""
    search = free_search(workspace)
    if search is None:
        return Outlook()
    return Outlook(search, embedding_by(workspace, FIRST_TEAM))


async def foreseen_for(
    step: BoundStep, items: Sequence[Item], params: Mapping[str, Any], outlook: Outlook
) -> list[Sequence[Foreseen]]:
    """Give all requests a step would send for each of some items; it must have `foresee`.

    None are given for an item that the step leaves out, or whose prompt cannot be rendered.
    """
    foresee = step.foresee
    assert foresee is not None
    together = outlook
    if outlook.search is not None:
        together = Outlook(Searches(outlook.search), outlook.embed)
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(item: Item) -> Sequence[Foreseen]:
        if step.when is not None and not step.when(item.product.attributes):
            return ()
        async with slots:
            try:
                return await foresee(item, params, together)
            except TemplateError:  # it is told of where its first prompt is rendered
                return ()

    return list(await asyncio.gather(*map(one, items)))


async def requests_of(
    step: BoundStep, item: Item, params: Mapping[str, Any], found: Found, outlook: Outlook
) -> list[Foreseen]:
    """Give the requests a step would send for an item, each with its passages.

    Where a step does not foresee them all, that is the first one.
    """
    if step.foresee is not None:
        return list((await foreseen_for(step, [item], params, outlook))[0])
    request = first_request(step, item, params, found)
    if request is None:
        return []
    given = found.get(step.name, ())
    return [Foreseen(request, merged(given, max(map(len, given), default=0)))]


def given_to(
    provenance: Mapping[str, Any], recorded: Sequence[Sequence[Mapping[str, Any]]]
) -> list[tuple[Passage, ...]]:
    """Give the passages a result says it was made with, with their texts, by base."""
    every = {one.id: one for some in recorded for one in from_json(some)}
    found: dict[str, list[Passage]] = {}
    for entry in provenance.get("passages", ()):
        if (passage := every.get(entry["id"])) is not None:
            found.setdefault(entry["knowledge"], []).append(passage)
    return [tuple(some) for some in found.values()]


def first_request(
    step: BoundStep, item: Item, params: Mapping[str, Any], found: Found
) -> Request | None:
    """Give the first request a step would send, with the passages that were found for it."""
    if step.preview_with is not None and step.name in found:
        return step.preview_with(item, params, found[step.name])
    return None if step.preview is None else step.preview(item, params)
