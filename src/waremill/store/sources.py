"""What is remembered of named sources: how far a database was read, what became of files."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, insert, select, update

from waremill.store.runs import clock
from waremill.store.tables_schedules import source_files, source_states

WAITING, IMPORTED, ASIDE = "waiting", "imported", "aside"
FAILED = "failed"
"""Of a file that did not arrive here: nothing is noted, so that it is tried again."""


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file of a source as it was seen last; `seen_at` is when it was first seen like that."""

    source: str
    path: str
    size: int
    changed: str
    hash: str | None
    state: str
    reason: str | None
    seen_at: float


def newest_read(conn: Connection, source: str) -> str | None:
    """Give how far a source was read, as it was noted."""
    query = select(source_states.c.newest).where(source_states.c.source == source)
    found: str | None = conn.execute(query).scalar_one_or_none()
    return found


def note_newest(conn: Connection, source: str, newest: str) -> None:
    """Note how far a source was read."""
    values = {"newest": newest, "changed_at": clock(conn)}
    same = source_states.c.source == source
    if not conn.execute(update(source_states).where(same).values(values)).rowcount:
        conn.execute(insert(source_states).values(source=source, **values))


def seen_files(conn: Connection, source: str) -> dict[str, SeenFile]:
    """Give the files that were seen of a source, by path."""
    rows = conn.execute(select(source_files).where(source_files.c.source == source))
    return {row.path: SeenFile(**row._mapping) for row in rows}


def note_file(conn: Connection, file: SeenFile) -> None:
    """Note how a file is now, and what became of it."""
    conn.execute(
        delete(source_files).where(
            source_files.c.source == file.source, source_files.c.path == file.path
        )
    )
    conn.execute(insert(source_files).values(asdict(file)))


__all__ = ["ASIDE", "IMPORTED", "WAITING", "SeenFile", "newest_read", "note_file", "note_newest",
           "seen_files"]  # fmt: skip
