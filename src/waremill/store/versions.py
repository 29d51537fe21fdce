"""Versions of a workspace's files: drafts, what was approved, rejected or replaced.

A version's text is in `documents`, by its hash. Which one is on disk is for the caller to see to.
Who decides by what is there what to add locks the path first: two at once then follow one another.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal, TypeAlias

from sqlalchemy import Connection, func, insert, select, update

from waremill.errors import NotFound
from waremill.store.owners import claim_new
from waremill.store.pipelines import file_hashes, save_files
from waremill.store.tables import AnyRow, documents, versions
from waremill.store.tables_people import owners, users

VersionState: TypeAlias = Literal["draft", "approved", "rejected", "replaced"]
_PATHS_LOCK = 1_986_359_924
"""The first number of PostgreSQL's advisory locks on paths; the second is the path's hash."""


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A version of a file. `author` is empty for a text that was found on disk, written there by
    other means. Times are Unix seconds.
    """

    id: int
    path: str
    hash: str
    state: VersionState
    note: str | None
    author: str
    created_at: float
    decided_by: str | None
    decided_at: float | None


def text_hash(text: str) -> str:
    """Give the hash a text is stored under."""
    return file_hashes({"": text})[""]


def lock_path(conn: Connection, path: str) -> None:
    """Let nobody else change a path's versions until this write transaction ends.

    On SQLite nobody else writes meanwhile in any case.
    """
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_advisory_xact_lock(_PATHS_LOCK, func.hashtext(path))))


def add_version(
    conn: Connection,
    path: str,
    text: str,
    state: VersionState,
    author: str,
    note: str | None = None,
) -> FileVersion:
    """Append a version; what was open or approved of the path before it is replaced by it.

    A draft replaces a draft, an approved version an approved one. A new template's or pipeline's
    first draft makes it its author's team's, where the author is in one team only.
    """
    if state == "draft":
        claim_new(conn, path, author)
    digest = save_files(conn, {path: text})[path]
    _replace(conn, path, state)
    number = conn.execute(
        insert(versions)
        .values(path=path, hash=digest, state=state, note=note, author=author,
                created_at=time.time())
        .returning(versions.c.id)
    ).scalar_one()  # fmt: skip
    return get_version(conn, int(number))


def _replace(conn: Connection, path: str, state: VersionState) -> None:
    conn.execute(
        update(versions)
        .where(versions.c.path == path, versions.c.state == state)
        .values(state="replaced")
    )


def decide_version(conn: Connection, version: int, state: VersionState, by: str) -> bool:
    """Approve or reject a draft; False when it is no draft any more.

    What was approved of its path before is replaced by an approved one.
    """
    found = get_version(conn, version)
    if found.state != "draft":
        return False
    if state == "approved":
        _replace(conn, found.path, "approved")
    changed = conn.execute(
        update(versions)
        .where(versions.c.id == version, versions.c.state == "draft")
        .values(state=state, decided_by=by, decided_at=time.time())
    )
    return changed.rowcount == 1


def get_version(conn: Connection, version: int) -> FileVersion:
    """Give a version by its id; raise NotFound where there is none."""
    row = conn.execute(select(versions).where(versions.c.id == version)).one_or_none()
    if row is None:
        raise NotFound(f"there is no version {version}")
    return _version(row)


def newest_version(conn: Connection, path: str, state: VersionState) -> FileVersion | None:
    """Give a path's newest version in a state; None where there is none."""
    query = (
        select(versions)
        .where(versions.c.path == path, versions.c.state == state)
        .order_by(versions.c.id.desc())
        .limit(1)
    )
    row = conn.execute(query).one_or_none()
    return None if row is None else _version(row)


def list_versions(
    conn: Connection, path: str, *, before: int | None = None, limit: int = 50
) -> list[FileVersion]:
    """Give a path's versions, newest first; those whose ids are below `before`, if given."""
    query = select(versions).where(versions.c.path == path)
    if before is not None:
        query = query.where(versions.c.id < before)
    return [
        _version(row) for row in conn.execute(query.order_by(versions.c.id.desc()).limit(limit))
    ]


def open_drafts(conn: Connection) -> dict[str, FileVersion]:
    """Give every path's open draft."""
    query = select(versions).where(versions.c.state == "draft").order_by(versions.c.id)
    return {row.path: _version(row) for row in conn.execute(query)}


def version_text(conn: Connection, version: FileVersion) -> str:
    """Give a version's text."""
    query = select(documents.c.body).where(documents.c.hash == version.hash)
    return str(conn.execute(query).scalar_one())


def owner_of(conn: Connection, kind: str, name: str) -> int | None:
    """Give the team that a template or pipeline belongs to; None where it is every team's."""
    query = select(owners.c.team_id).where(owners.c.kind == kind, owners.c.name == name)
    return conn.execute(query).scalar()


def owned_by(conn: Connection) -> dict[tuple[str, str], int]:
    """Give the team of everything that belongs to one, by kind and name."""
    query = select(owners.c.kind, owners.c.name, owners.c.team_id)
    return {(row.kind, row.name): row.team_id for row in conn.execute(query)}


def has_accounts(conn: Connection) -> bool:
    """Say whether anybody has an account."""
    return conn.execute(select(users.c.id).limit(1)).scalar() is not None


def _version(row: AnyRow) -> FileVersion:
    return FileVersion(
        row.id, row.path, row.hash, row.state, row.note, row.author, row.created_at,
        row.decided_by, row.decided_at,
    )  # fmt: skip
