"""Remembers what was seen on disk, so that finding two alike takes no memory that grows."""

from __future__ import annotations

import sqlite3
from hashlib import blake2b


class Distinct:
    """Which identities were seen, and whose they are, in a temporary database without a name."""

    def __init__(self) -> None:
        self._seen = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._seen.execute("PRAGMA cache_size = -8192")
        self._seen.execute("CREATE TABLE seen (hash BLOB PRIMARY KEY, key TEXT) WITHOUT ROWID")
        self._seen.execute("BEGIN")

    def owner(self, target: str, identity: tuple[str, ...], key: str) -> str:
        """Give the key of the product that has an identity for a target: the first that asked."""
        digest = blake2b(repr((target, identity)).encode("utf-8", "replace"), digest_size=16)
        row = (digest.digest(), key)
        self._seen.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", row)
        query = "SELECT key FROM seen WHERE hash = ?"
        return str(self._seen.execute(query, row[:1]).fetchone()[0])

    def close(self) -> None:
        """Forget everything."""
        self._seen.close()
