"""Vectors of texts, by the model that made them and the text: each is made once.

A vector is little-endian float32, of unit length. The key is a hash of model and text.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from sqlalchemy import Connection, delete, select

from waremill.store.bulk import BulkInsert
from waremill.store.tables_knowledge import vectors

KEYS_A_QUERY = 500
_ROWS = BulkInsert(vectors, ("hash", "model", "vector"), ("hash",))


def key_of(model: str, text: str) -> bytes:
    """Hash a text for one model: 16 bytes of BLAKE2b."""
    key = blake2b(model.encode(), digest_size=32).digest()
    return blake2b(text.encode("utf-8", "replace"), digest_size=16, key=key).digest()


def find(conn: Connection, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    """Give the vectors that are there, by key."""
    found: dict[bytes, bytes] = {}
    for start in range(0, len(keys), KEYS_A_QUERY):
        some = keys[start : start + KEYS_A_QUERY]
        query = select(vectors.c.hash, vectors.c.vector).where(vectors.c.hash.in_(some))
        found.update((row.hash, row.vector) for row in conn.execute(query))
    return found


def save(conn: Connection, rows: Sequence[tuple[bytes, str, bytes]]) -> None:
    """Keep vectors: key, model, content; one that is there stays."""
    _ROWS.run(conn, rows)


def forget(conn: Connection, model: str) -> int:
    """Delete a model's vectors; give how many there were."""
    return conn.execute(delete(vectors).where(vectors.c.model == model)).rowcount
