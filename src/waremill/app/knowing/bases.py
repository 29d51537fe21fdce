"""The use cases that look at knowledge bases and take from them: list, show, remove."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Connection

from waremill.app import auditing
from waremill.app.embedding import chosen_identity, embedder_name
from waremill.app.knowing.changing import (
    Progress,
    Report,
    claimed,
    find_base,
    is_changing,
    nobody,
)
from waremill.app.knowing.indexing import bring_up, settle_version, version_today
from waremill.app.knowing.making import remove_all
from waremill.app.knowing.opened import embedder_of, index_folder
from waremill.app.knowing.pieces import as_document
from waremill.app.knowing.underway import followed, progress_of
from waremill.app.paging import Page, bad_cursor, decode_cursor, encode_cursor, page_size
from waremill.errors import NotFound
from waremill.store import knowledge as store
from waremill.store.knowledge import Base, Stored

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

State = Literal["ready", "changing", "interrupted", "outdated"]


@dataclass(frozen=True, slots=True)
class BaseShown:
    """A knowledge base as people see it; `waiting` documents were loaded and are not indexed yet.

    `version` is the hash of what its searches can give today. `state` is `changing` while somebody
    changes it; `interrupted`, where documents wait and nobody is at it: the next add or rebuild
    goes on; `outdated`, where the settings name another embedder: a rebuild takes it; or `ready`.
    `progress` is how far a change is that this process makes.
    """

    name: str
    team: int
    documents: int
    passages: int
    repeats: int
    tokens: int
    waiting: int
    embedder: str | None
    version: str
    changed_at: float
    state: State = "ready"
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class DocumentShown:
    """A document as people see it; `text` is None where it was not asked for."""

    name: str
    title: str
    media_type: str
    size: int
    passages: int
    metadata: Mapping[str, Any]
    notes: Sequence[str]
    changed_at: float
    source: str
    text: str | None = None


async def list_bases(workspace: Workspace) -> list[BaseShown]:
    """List the knowledge bases the actor sees, by name."""
    known = await workspace.database.read(store.list_bases, workspace.actor.sees)
    return [await _shown(workspace, one) for one in known]


async def show_base(workspace: Workspace, name: str) -> BaseShown:
    """Show one knowledge base; for viewers of its team."""
    return await _shown(workspace, await find_base(workspace, name))


async def list_documents(
    workspace: Workspace, name: str, *, after: str | None = None, size: int = 50
) -> Page[DocumentShown]:
    """Page through a base's documents by name; `after` is the cursor of the page before."""
    base = await find_base(workspace, name)
    size = page_size(size)
    start = None
    if after is not None:
        start = decode_cursor(after).get("name")
        if not isinstance(start, str):
            raise bad_cursor()
    found = await workspace.database.read(store.page_documents, base, start, size + 1)
    more = encode_cursor({"name": found[size - 1].name}) if len(found) > size else None
    return Page(tuple(_document(one) for one in found[:size]), more)


async def show_document(workspace: Workspace, name: str, document: str) -> DocumentShown:
    """Show a document with its text, as it was loaded."""
    base = await find_base(workspace, name)
    return _document(await _find(workspace, base, document), whole=True)


async def remove_documents(
    workspace: Workspace, name: str, documents: Sequence[str], report: Report = nobody
) -> int:
    """Remove documents from a base; give how many. Raises NotFound before anything is removed."""
    base = await find_base(workspace, name, "operator")
    found = [await _find(workspace, base, one) for one in dict.fromkeys(documents)]
    async with embedder_of(workspace, base) as embedder, claimed(workspace, base) as own:
        with followed(workspace, own, report) as told:
            await remove_all(workspace, own, [one.id for one in found])
            await bring_up(workspace, own, embedder, told)
            await settle_version(workspace, own, embedder)

        def note(conn: Connection) -> None:
            auditing.record(
                conn, workspace.actor, "knowledge.remove", f"knowledge {name}", own.team_id,
                documents=[one.name for one in found[:20]], count=len(found),
            )  # fmt: skip

        await workspace.database.write(note)
    return len(found)


async def remove_base(workspace: Workspace, name: str) -> int:
    """Remove a whole knowledge base; give how many documents it had."""
    base = await find_base(workspace, name, "operator")
    counts = await workspace.database.read(store.count_base, base)
    async with claimed(workspace, base) as own:
        while not await workspace.database.write(store.drop_base, own):
            continue

        def note(conn: Connection) -> None:
            auditing.record(
                conn, workspace.actor, "knowledge.drop", f"knowledge {name}", own.team_id,
                documents=counts.documents,
            )  # fmt: skip

        await workspace.database.write(note)
    await asyncio.to_thread(shutil.rmtree, index_folder(workspace, base), ignore_errors=True)
    return counts.documents


async def _find(workspace: Workspace, base: Base, document: str) -> Stored:
    found = await workspace.database.read(store.find_document, base, document)
    if found is None:
        raise NotFound(
            f"the knowledge base “{base.name}” has no document “{document[:200]}”; "
            f"`waremill knowledge show {base.name}` lists them"
        )
    return found


async def _shown(workspace: Workspace, base: Base) -> BaseShown:
    counts = await workspace.database.read(store.count_base, base)
    return BaseShown(
        base.name, base.team_id, counts.documents, counts.pieces, counts.repeats, counts.tokens,
        counts.waiting, base.embedder or embedder_name(workspace),
        await version_today(workspace, base), base.changed_at,
        await _state(workspace, base, counts.waiting), progress_of(workspace, base),
    )  # fmt: skip


async def _state(workspace: Workspace, base: Base, waiting: int) -> State:
    if await is_changing(workspace, base):
        return "changing"
    if waiting:
        return "interrupted"
    chosen = chosen_identity(workspace)
    return "outdated" if base.embedder and chosen and base.embedder != chosen else "ready"


def _document(stored: Stored, *, whole: bool = False) -> DocumentShown:
    return DocumentShown(
        stored.name, stored.title, stored.media_type, stored.size, stored.pieces or 0,
        stored.metadata, stored.notes, stored.changed_at, stored.source,
        as_document(stored).text if whole else None,
    )  # fmt: skip
