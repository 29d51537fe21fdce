"""Stored documents to pieces: cleaned, split, embedded, committed; and removing documents."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sqlalchemy import Connection

from waremill.app.knowing.changing import Progress, Report
from waremill.app.knowing.pieces import as_document, content_hash, new_pieces
from waremill.app.knowing.sources import is_address
from waremill.knowledge.cleaning import count_blocks, near, without_boilerplate
from waremill.knowledge.document import Document
from waremill.knowledge.embedding import Embedder, meaning_of
from waremill.knowledge.loading import html
from waremill.knowledge.splitting import MOST_TOKENS, OVERLAP, split
from waremill.store import knowledge as store
from waremill.store import knowledge_pieces as pieces_of
from waremill.store import knowledge_repeats as repeats
from waremill.store.knowledge import Base, Stored
from waremill.store.knowledge_pieces import NewPiece

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

DOCUMENTS_AT_ONCE = 50
BYTES_AT_ONCE = 16 * 1024**2
"""Stored documents read together, and bytes of their files; they are in memory meanwhile."""
TEXTS_AT_ONCE = 256
"""Texts embedded between two reports of progress."""
PAGES_COUNTED = 200
"""Pages of a site looked at to find what stands on most of them."""


async def make_pieces(workspace: Workspace, base: Base, embedder: Embedder, report: Report) -> None:
    """Make the pieces of every document that is stored and has none yet, or old ones."""
    counts = await workspace.database.read(store.count_base, base)
    sites = _Sites(workspace, base)
    done = 0
    while some := await workspace.database.read(
        store.loaded_documents, base, DOCUMENTS_AT_ONCE, BYTES_AT_ONCE
    ):
        documents = [await sites.clean(one, as_document(one)) for one in some]
        made = await asyncio.to_thread(_cut_all, workspace, some, documents)
        texts = [text for one in made for text in one.texts]
        # Kept by text: embedding again what an interrupted add embedded costs a look-up.
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            await embedder.embed(texts[start : start + TEXTS_AT_ONCE], "passage")
            share = min(1.0, (start + TEXTS_AT_ONCE) / len(texts))
            report(Progress("embedding", done + int(share * len(some)), counts.waiting))
        await _store(workspace, base, made)
        done += len(some)
        report(Progress("embedding", done, counts.waiting))


class _Sites:
    """What stands on most pages of a folder or site, counted once while documents are made."""

    def __init__(self, workspace: Workspace, base: Base) -> None:
        self._workspace = workspace
        self._base = base
        self._counted: dict[str, tuple[Counter[bytes], int]] = {}

    async def clean(self, stored: Stored, document: Document) -> Document:
        """Give a document without its site's boilerplate; only web pages have any."""
        if stored.media_type != html.MEDIA_TYPE:
            return document
        site, below = _site_of(stored.source)
        if site not in self._counted:
            bodies = await self._workspace.database.read(
                store.site_documents, self._base, html.MEDIA_TYPE, site, below, PAGES_COUNTED
            )
            self._counted[site] = await asyncio.to_thread(
                lambda: count_blocks(as_document(one) for one in bodies)
            )
        counts, total = self._counted[site]
        return without_boilerplate(document, counts, total)


def _site_of(source: str) -> tuple[str, bool]:
    """Give what a page's neighbours come from: its folder, or below its address's host."""
    if not is_address(source):
        return source, False
    parts = urlsplit(source)
    return f"{parts.scheme}://{parts.netloc}/", True


@dataclass(frozen=True, slots=True)
class _Made:
    """A document's pieces, with the texts they are embedded as."""

    document: int
    pieces: Sequence[NewPiece]
    content: bytes
    texts: Sequence[str]


def _cut_all(
    workspace: Workspace, stored: Sequence[Stored], documents: Sequence[Document]
) -> list[_Made]:
    return [_cut(workspace, *both) for both in zip(stored, documents, strict=True)]


def _cut(workspace: Workspace, stored: Stored, document: Document) -> _Made:
    settings = workspace.settings.knowledge
    most = settings.passage_tokens or MOST_TOKENS
    overlap = OVERLAP if settings.overlap is None else settings.overlap
    pieces = new_pieces(document, split(document, most, overlap))
    texts = [meaning_of(one.headings, one.text) for one in pieces]
    return _Made(stored.id, pieces, content_hash(document, pieces), texts)


async def _store(workspace: Workspace, base: Base, made: Sequence[_Made]) -> None:
    """Store pieces: those of many small documents in one transaction, of a large one in several."""
    database = workspace.database
    old = await database.read(pieces_of.count_pieces, [one.document for one in made])
    waiting: list[_Made] = []
    rows = 0
    for one in made:
        size = len(one.pieces) + old.get(one.document, 0)
        if waiting and rows + size > store.ROWS_A_WRITE:
            await database.write(_replace, base, waiting)
            waiting, rows = [], 0
        if size > store.ROWS_A_WRITE:
            await _store_large(workspace, base, one)
            continue
        waiting.append(one)
        rows += size
    if waiting:
        await database.write(_replace, base, waiting)


def _replace(conn: Connection, base: Base, made: Sequence[_Made]) -> None:
    for one in made:
        repeats.clear(conn, base, one.document, near)
        pieces_of.put_pieces(conn, base, one.document, one.pieces, one.content)
        repeats.settle(conn, base, one.document, near)


async def _store_large(workspace: Workspace, base: Base, made: _Made) -> None:
    database = workspace.database
    await _clear(workspace, base, made.document)
    for start in range(0, len(made.pieces), store.ROWS_A_WRITE):
        some = made.pieces[start : start + store.ROWS_A_WRITE]
        await database.write(pieces_of.put_pieces, base, made.document, some, None)

    def finish(conn: Connection) -> None:
        pieces_of.put_pieces(conn, base, made.document, (), made.content)
        repeats.settle(conn, base, made.document, near)

    await database.write(finish)


async def _clear(workspace: Workspace, base: Base, document: int) -> None:
    while not await workspace.database.write(repeats.clear, base, document, near):
        continue


async def remove_all(workspace: Workspace, base: Base, documents: Sequence[int]) -> None:
    """Remove documents by id; the index learns of it when it is brought up."""
    for document in documents:
        await _clear(workspace, base, document)
        await workspace.database.write(store.remove_document, base, document)
