"""Pipeline versions: what was asked, frozen with every file it was built from; fingerprints."""

from __future__ import annotations

import time
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson
from sqlalchemy import Connection, select

from waremill.store.bulk import BulkInsert
from waremill.store.tables import documents, dumps, fingerprints, pipeline_versions

# Two processes may plan the same pipeline for the first time at once; who comes second finds it.
_DOCUMENTS = BulkInsert(documents, ("hash", "body"), ("hash",))
_VERSIONS = BulkInsert(
    pipeline_versions, ("hash", "name", "files", "templates", "created_at"), ("hash",)
)
_FINGERPRINTS = BulkInsert(fingerprints, ("hash",), ("hash",))


def save_files(conn: Connection, files: Mapping[str, str]) -> dict[str, str]:
    """Store file texts by content hash; give path to hash."""
    hashes = file_hashes(files)
    known = set(
        conn.execute(
            select(documents.c.hash).where(documents.c.hash.in_(hashes.values()))
        ).scalars()
    )
    fresh = {h: files[path] for path, h in hashes.items() if h not in known}
    _DOCUMENTS.run(conn, sorted(fresh.items()))
    return hashes


def file_hashes(files: Mapping[str, str]) -> dict[str, str]:
    """Hash file texts by path."""
    return {
        path: blake2b(body.encode(), digest_size=16).hexdigest() for path, body in files.items()
    }


def pipeline_hash(name: str, files: Mapping[str, str]) -> str:
    """Hash a pipeline with every file it was built from: its version."""
    body = orjson.dumps({"name": name, "files": file_hashes(files)}, option=orjson.OPT_SORT_KEYS)
    return blake2b(body, digest_size=16).hexdigest()


def save_pipeline(
    conn: Connection, name: str, files: Mapping[str, str], templates: Mapping[str, str]
) -> tuple[int, str]:
    """Store a pipeline version with the files it was built from; give its id and hash.

    `templates` are the versions of the templates in it, by name.
    """
    hashes = save_files(conn, files)
    version = pipeline_hash(name, files)
    query = select(pipeline_versions.c.id).where(pipeline_versions.c.hash == version)
    found = conn.execute(query).scalar()
    if found is None:
        row = (version, name, dumps(hashes), dumps(templates), time.time())
        _VERSIONS.run(conn, [row])
        found = conn.execute(query).scalar_one()
    return int(found), version


def load_pipeline_files(conn: Connection, version_id: int) -> tuple[str, dict[str, str]]:
    """Give a stored pipeline version's name and the texts it was built from."""
    row = conn.execute(select(pipeline_versions).where(pipeline_versions.c.id == version_id)).one()
    hashes: dict[str, str] = orjson.loads(row.files)
    query = select(documents).where(documents.c.hash.in_(hashes.values()))
    bodies = {document.hash: document.body for document in conn.execute(query)}
    return row.name, {path: bodies[h] for path, h in hashes.items()}


def find_pipeline_version(conn: Connection, name: str, prefix: str) -> int | None:
    """Find a stored version of a pipeline by a prefix of its hash or of a template's version.

    The newest wins; None when there is none.
    """
    rows = conn.execute(
        select(pipeline_versions)
        .where(pipeline_versions.c.name == name)
        .order_by(pipeline_versions.c.id.desc())
    )
    for row in rows:
        versions = [row.hash, *orjson.loads(row.templates).values()]
        if any(version.startswith(prefix) for version in versions):
            return int(row.id)
    return None


def fingerprint_id(conn: Connection, parts: Mapping[str, Any]) -> int:
    """Give the id of what, besides the product, decides an item's results."""
    found = find_fingerprint(conn, parts)
    if found is None:
        _FINGERPRINTS.run(conn, [(_fingerprint(parts),)])
        found = find_fingerprint(conn, parts)
    assert found is not None
    return found


def find_fingerprint(conn: Connection, parts: Mapping[str, Any]) -> int | None:
    """Find the id of what decides an item's results; None where nothing was ever planned so."""
    query = select(fingerprints.c.id).where(fingerprints.c.hash == _fingerprint(parts))
    found = conn.execute(query).scalar()
    return None if found is None else int(found)


def _fingerprint(parts: Mapping[str, Any]) -> bytes:
    body = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    return blake2b(body, digest_size=16).digest()
