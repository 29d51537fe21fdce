"""The use case *add*: documents into a knowledge base, each only as far as it changed.

Two passes. The first reads, hashes and parses what changed, and stores it; the second makes pieces
of what is stored and not yet done, embeds them, and at last brings the index up. Each commits as it
goes, so an interrupted add loses nothing and the next one goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection

from waremill.app import auditing
from waremill.app.embedding import embedding
from waremill.app.knowing.bases import remove_base
from waremill.app.knowing.changing import (
    Progress,
    Report,
    claimed,
    find_or_make,
    nobody,
)
from waremill.app.knowing.fetching import clean_address, fetch
from waremill.app.knowing.indexing import bring_up, settle_version
from waremill.app.knowing.making import make_pieces, remove_all
from waremill.app.knowing.sources import (
    UPLOADED,
    Found,
    find_files,
    has_moved,
    other_file,
    read_file,
    refuse_twice,
)
from waremill.app.knowing.underway import followed
from waremill.app.uploading import Uploads
from waremill.errors import ConfigError, SourceError, UserError
from waremill.knowledge.conditions import check_validity
from waremill.knowledge.document import Document, sections_as_json
from waremill.knowledge.language import language_of
from waremill.knowledge.loading import Isolation, load
from waremill.store import knowledge as store
from waremill.store.knowledge import Base, Loaded
from waremill.store.tables import dumps

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

RECIPE = 2
"""Raised when loading gives other documents of the same files: all are parsed anew then."""
AT_ONCE = 100
"""Documents looked up, and stored, together."""
BYTES_AT_ONCE = 16 * 1024**2
"""Bytes of loaded documents kept until they are stored."""
LONGEST_NAME = 2_000
"""Bytes of a document's name: an index of PostgreSQL's takes no more than 2,704."""
PROBLEMS_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class AddOptions:
    """How to add: metadata for every document, and whether what vanished from a folder goes."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    prune: bool = False


@dataclass(slots=True)
class Added:
    """What an add did. `problems` are pairs of a document and what was wrong with it."""

    name: str
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    passages: int = 0
    version: str = ""
    problem_count: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def problem(self, document: str, message: str) -> None:
        """Note a document that was not added; the first thousand are kept, all are counted."""
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append((document, message))


async def add_documents(
    workspace: Workspace,
    name: str,
    sources: Sequence[str] = (),
    options: AddOptions | None = None,
    report: Report = nobody,
) -> Added:
    """Add files, folders and web addresses to a knowledge base, which is made if need be.

    A base that was made for nothing readable is removed again. Without a source the workspace's
    folder `knowledge/NAME` is added. For operators. A document
    that cannot be read keeps what it was and stands among the problems. Raises Conflict while
    somebody else changes the base.
    """
    options = options or AddOptions()
    found, notes = await asyncio.to_thread(
        find_files, list(sources) or [_own_folder(workspace, name)]
    )
    done = await add_found(workspace, name, found, options, report)
    done.notes[:0] = notes
    return done


async def add_sent(
    workspace: Workspace,
    name: str,
    uploads: Sequence[str],
    addresses: Sequence[str],
    options: AddOptions,
    report: Report = nobody,
) -> Added:
    """Add files that were sent to a server, and web addresses; see `add_documents`.

    Raises NotFound for an upload that is not the actor's.
    """
    kept = Uploads(workspace)
    sent = [kept.find(one) for one in dict.fromkeys(uploads)]
    found = [Found(one.name, UPLOADED, one.path) for one in sent]
    found += [Found(one, one, address=one) for one in map(clean_address, addresses)]
    if not found:
        raise ConfigError("name uploads or addresses to add")
    refuse_twice(found)
    return await add_found(workspace, name, found, options, report)


async def add_found(
    workspace: Workspace,
    name: str,
    found: Sequence[Found],
    options: AddOptions,
    report: Report = nobody,
) -> Added:
    """Add documents that were found already; see `add_documents`."""
    check_validity(options.metadata)
    base = await find_or_make(workspace, name)
    async with (
        embedding(workspace, base.team_id) as embedder,
        claimed(workspace, base) as own,
    ):
        with followed(workspace, own, report) as told:
            adding = _Adding(workspace, own, options, told)
            try:
                await adding.load(found)
                if options.prune:
                    await adding.prune(found)
                await make_pieces(workspace, own, embedder, told)
                await bring_up(workspace, own, embedder, told)
                adding.done.version = await settle_version(workspace, own, embedder)
            finally:
                await asyncio.shield(adding.note())
        counts = await workspace.database.read(store.count_base, own)
        adding.done.passages = counts.pieces
    if not base.version and not counts.documents:  # made for what could not be read
        await remove_base(workspace, name)
    return adding.done


def _own_folder(workspace: Workspace, name: str) -> str:
    folder = workspace.settings.root / "knowledge" / name
    if not folder.is_dir():
        raise ConfigError(
            f"name files, folders or addresses to add, or put documents into knowledge/{name}"
        )
    return str(folder)


class _Adding:
    """An add under way."""

    def __init__(
        self, workspace: Workspace, base: Base, options: AddOptions, report: Report
    ) -> None:
        self._workspace = workspace
        self._base = base
        self._options = options
        self._report = report
        self._waiting: list[Loaded] = []
        self._bytes = 0
        self._moved: dict[str, list[int]] = {}
        self.done = Added(base.name)

    async def load(self, found: Sequence[Found]) -> None:
        """Store what is new or changed among documents."""
        with closing(Isolation()) as isolation:
            for start in range(0, len(found), AT_ONCE):
                some = found[start : start + AT_ONCE]
                names = [one.name for one in some]
                known = await self._workspace.database.read(
                    store.known_documents, self._base, names
                )
                for number, one in enumerate(some, start + 1):
                    await self._load(one, known.get(one.name), isolation)
                    self._report(Progress("loading", number, len(found)))
            await self._store()
            for origin, ids in self._moved.items():
                await self._workspace.database.write(store.move_source, self._base, ids, origin)

    def _source_now(self, one: Found, source: str) -> str:
        """Give where a document was added from; a copied workspace has its own folder."""
        own = self._workspace.settings.root.resolve() / "knowledge" / self._base.name
        copied = one.origin == str(own) and Path(source).parts[-2:] == own.parts[-2:]
        return one.origin if copied else source

    async def _load(self, one: Found, known: store.Known | None, isolation: Isolation) -> None:
        try:
            content, media_type = await self._content(one)
            digest = await asyncio.to_thread(self._hash, content, one)
            there = known is not None and known.state != store.REMOVED
            other = None
            if known is not None and there:
                source = self._source_now(one, known.source)
                other = await asyncio.to_thread(other_file, one, source)
                if known.hash == digest:
                    if source != known.source or has_moved(one, source):
                        self._moved.setdefault(one.origin, []).append(known.id)
                    self.done.unchanged += 1
                    return
            if other is not None:
                raise SourceError(
                    f"a document of this name was added from {other} and would be replaced: add "
                    "the folder that holds both, or remove that one first"
                )
            document = await asyncio.to_thread(
                load, content, one.name, media_type=media_type, isolation=isolation
            )
            check_validity({**(one.metadata or {}), **document.metadata})
        except UserError as error:
            self.done.problem(one.name, error.message)
            return
        self.done.notes += [f"{one.name}: {note}" for note in document.notes]
        self._waiting.append(
            await asyncio.to_thread(self._loaded, one, document, digest, len(content))
        )
        self._bytes += len(self._waiting[-1].body)
        if there:
            self.done.changed += 1
        else:
            self.done.new += 1
        if len(self._waiting) >= AT_ONCE or self._bytes > BYTES_AT_ONCE:
            await self._store()

    async def _content(self, one: Found) -> tuple[bytes, str | None]:
        if len(one.name.encode()) > LONGEST_NAME:
            raise SourceError(
                f"the document's name has more than {LONGEST_NAME:,} bytes: give it a shorter one"
            )
        if one.address is None:
            return await asyncio.to_thread(read_file, one), None
        fetched = await fetch(self._workspace, one.address)
        return fetched.content, fetched.media_type

    async def _store(self) -> None:
        if self._waiting:
            await self._workspace.database.write(store.put_loaded, self._base, self._waiting)
            self._waiting, self._bytes = [], 0

    def _told(self, one: Found) -> dict[str, Any]:
        return {**(one.metadata or {}), **self._options.metadata}

    def _hash(self, content: bytes, one: Found) -> bytes:
        told = orjson.dumps([RECIPE, self._told(one)], option=orjson.OPT_SORT_KEYS)
        return blake2b(told + b"\0" + content, digest_size=16).digest()

    def _loaded(self, one: Found, document: Document, digest: bytes, size: int) -> Loaded:
        # What is said at the door goes before what the document says, and that before its folder.
        metadata = {**(one.metadata or {}), **document.metadata, **self._options.metadata}
        if "language" not in metadata:
            found = language_of(document, self._workspace.settings.languages)
            metadata |= {} if found is None else {"language": found}
        return Loaded(
            document.name, digest, one.origin, document.title, document.media_type, size,
            metadata, document.notes, dumps(sections_as_json(document.sections)),
        )  # fmt: skip

    async def prune(self, found: Sequence[Found]) -> None:
        """Remove documents that were added from the same folders and are there no more."""
        database = self._workspace.database
        seen = {one.name for one in found}
        for origin in dict.fromkeys(one.origin for one in found):
            known = await database.read(store.names_from, self._base, origin)
            gone = [number for number, name in known if name not in seen]
            self.done.removed += len(gone)
            await remove_all(self._workspace, self._base, gone)

    async def note(self) -> None:
        """Record in the audit log what was done so far."""
        done = self.done
        if not (done.new or done.changed or done.removed):
            return

        def record(conn: Connection) -> None:
            auditing.record(
                conn, self._workspace.actor, "knowledge.add", f"knowledge {done.name}",
                self._base.team_id, added=done.new, changed=done.changed, removed=done.removed,
            )  # fmt: skip

        await self._workspace.database.write(record)


__all__ = ["AddOptions", "Added", "add_documents", "add_found", "add_sent"]
