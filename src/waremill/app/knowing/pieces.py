"""Loaded documents to pieces in the database: cleaned, split, each with its passage id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import orjson

from waremill.knowledge.cleaning import alike, sketches
from waremill.knowledge.document import Document, Piece, sections_from_json
from waremill.store.knowledge import Stored
from waremill.store.knowledge_pieces import NewPiece


def as_document(stored: Stored) -> Document:
    """Give a stored document as it was loaded."""
    sections = sections_from_json(orjson.loads(stored.body))
    return Document(stored.name, stored.title, stored.media_type, sections, stored.metadata)


def new_pieces(document: Document, pieces: Sequence[Piece]) -> list[NewPiece]:
    """Give pieces with their passage ids and what they are compared by."""
    again: Counter[tuple[tuple[str, ...], str]] = Counter()
    told = orjson.dumps(dict(document.metadata), option=orjson.OPT_SORT_KEYS)
    found = []
    for piece in pieces:
        place = (piece.headings, piece.text)
        found.append(
            NewPiece(
                piece.position, passage_id(document.name, piece, again[place]), piece.text,
                piece.headings, piece.page, piece.tokens, alike(piece.text, told),
                sketches(piece.text, told),
            )
        )  # fmt: skip
        again[place] += 1
    return found


def passage_id(document: str, piece: Piece, again: int) -> str:
    """Hash where a piece stands and what it says: 32 hexadecimal digits.

    `again` counts equal pieces before it under the same headings.
    """
    parts = [document, list(piece.headings), piece.text, again]
    return blake2b(orjson.dumps(parts), digest_size=16).hexdigest()


def content_hash(document: Document, pieces: Sequence[NewPiece]) -> bytes:
    """Hash what a search can give of a document: 16 bytes."""
    parts: list[Any] = [document.name, document.title, _sorted(document.metadata)]
    parts += [[one.passage, one.page] for one in pieces]
    return blake2b(orjson.dumps(parts), digest_size=16).digest()


def _sorted(metadata: Mapping[str, Any]) -> list[Any]:
    return [[name, metadata[name]] for name in sorted(metadata)]
