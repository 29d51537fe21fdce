"""The pieces of knowledge bases' documents: made, cleared, handed to an index, found by passage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection, Select, func, select, update

from waremill.store.bulk import BulkInsert, Values
from waremill.store.knowledge import NAMES_A_QUERY, READY, Base, begin_change
from waremill.store.tables import AnyRow, dumps
from waremill.store.tables_knowledge import knowledge_documents, knowledge_pieces

_PIECES = BulkInsert(
    knowledge_pieces,
    ("base_id", "document_id", "position", "passage", "text", "headings", "page", "tokens", "alike",
     "sketch_1", "sketch_2", "sketch_3", "repeats"),
)  # fmt: skip
METADATA = 2_000
"""Different metadata of a base's documents that are counted."""
_A_FETCH = 1_000


@dataclass(frozen=True, slots=True)
class NewPiece:
    """A piece to store; see the table."""

    position: int
    passage: str
    text: str
    headings: Sequence[str]
    page: int | None
    tokens: int
    alike: bytes
    sketches: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class FoundPiece:
    """A piece with what its document says: what an index takes and a search gives."""

    id: int
    passage: str
    document: str
    title: str
    text: str
    headings: tuple[str, ...]
    page: int | None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def count_pieces(conn: Connection, documents: Sequence[int]) -> dict[int, int]:
    """Count the pieces of at most some hundred documents; those without any are left out."""
    query = (
        select(knowledge_pieces.c.document_id, func.count())
        .where(knowledge_pieces.c.document_id.in_(documents))
        .group_by(knowledge_pieces.c.document_id)
    )
    return {row[0]: row[1] for row in conn.execute(query)}


def put_pieces(
    conn: Connection, base: Base, document: int, pieces: Sequence[NewPiece], content: bytes | None
) -> None:
    """Add pieces to a document; with `content`, what they hash to, it is ready."""
    number = begin_change(conn, base)
    rows: list[Values] = []
    for one in pieces:
        sketches = (*one.sketches, None, None, None)[:3]
        rows.append((base.id, document, one.position, one.passage, one.text,
                     dumps(list(one.headings)), one.page, one.tokens, one.alike, *sketches,
                     False))  # fmt: skip
    _PIECES.run(conn, rows)
    if content is not None:
        conn.execute(
            update(knowledge_documents)
            .where(knowledge_documents.c.id == document)
            .values(state=READY, content=content, sequence=number)
        )


def pieces_after(
    conn: Connection, base: Base, documents: Sequence[int], after: int, limit: int
) -> list[FoundPiece]:
    """Give the indexed pieces of documents with higher ids than `after`, by id."""
    query = (
        _found()
        .where(
            knowledge_pieces.c.document_id.in_(documents),
            knowledge_pieces.c.id > after,
            knowledge_pieces.c.repeats.is_(False),
            knowledge_documents.c.state == READY,
        )
        .order_by(knowledge_pieces.c.id)
        .limit(limit)
    )
    return [_as_found(row) for row in conn.execute(query)]


def pieces_in_order(conn: Connection, base_id: int) -> Iterator[FoundPiece]:
    """Give all indexed pieces of a base by document's name, each document's in its order."""
    query = (
        _found()
        .where(
            knowledge_documents.c.base_id == base_id,
            knowledge_documents.c.state == READY,
            knowledge_pieces.c.repeats.is_(False),
        )
        .order_by(knowledge_documents.c.name, knowledge_pieces.c.position)
    )
    for row in conn.execute(query, execution_options={"yield_per": _A_FETCH}):
        yield _as_found(row)


def find_pieces(conn: Connection, base_id: int, passages: Sequence[str]) -> dict[str, FoundPiece]:
    """Give pieces by their passage ids; those that are gone are left out."""
    found: dict[str, FoundPiece] = {}
    for start in range(0, len(passages), NAMES_A_QUERY):
        some = passages[start : start + NAMES_A_QUERY]
        query = _found().where(
            knowledge_pieces.c.base_id == base_id, knowledge_pieces.c.passage.in_(some)
        )
        found.update({row.passage: _as_found(row) for row in conn.execute(query)})
    return found


def neighbours(conn: Connection, base_id: int, passage: str) -> tuple[str, str]:
    """Give the texts just before and after a passage in its document, empty where there is none."""
    table = knowledge_pieces.c
    place = conn.execute(
        select(table.document_id, table.position)
        .where(table.base_id == base_id, table.passage == passage)
    ).one_or_none()  # fmt: skip
    if place is None:
        return "", ""
    query = select(table.position, table.text).where(
        table.document_id == place.document_id,
        table.position.in_((place.position - 1, place.position + 1)),
    )
    texts = {row.position: row.text for row in conn.execute(query)}
    return texts.get(place.position - 1, ""), texts.get(place.position + 1, "")


def stated_metadata(conn: Connection, base_id: int) -> list[tuple[dict[str, Any], int]]:
    """Give the metadata of a base's documents, each with how many state it; the commonest first."""
    table = knowledge_documents.c
    count = func.count()
    query = (
        select(table.metadata, count)
        .where(table.base_id == base_id, table.state == READY)
        .group_by(table.metadata)
        .order_by(count.desc(), table.metadata)
        .limit(METADATA)
    )
    return [(orjson.loads(row[0]), row[1]) for row in conn.execute(query)]


def _found() -> Select[Any]:
    pieces, documents = knowledge_pieces.c, knowledge_documents.c
    return select(
        pieces.id, pieces.passage, pieces.text, pieces.headings, pieces.page,
        documents.name, documents.title, documents.metadata,
    ).join(knowledge_documents, documents.id == pieces.document_id)  # fmt: skip


def _as_found(row: AnyRow) -> FoundPiece:
    return FoundPiece(
        row.id, row.passage, row.name, row.title, row.text, tuple(orjson.loads(row.headings)),
        row.page, orjson.loads(row.metadata),
    )  # fmt: skip
