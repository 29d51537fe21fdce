"""Knowledge bases in the database: who changes one, its documents, their pieces.

A base has one owner at a time, as a run has; each change names the epoch it was made under and
raises the base's sequence, which numbers the documents it touched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, delete, func, insert, select, update

from waremill.errors import Conflict
from waremill.store.runs import clock
from waremill.store.tables import AnyRow, dumps
from waremill.store.tables_knowledge import knowledge_bases, knowledge_documents, knowledge_pieces

ALIVE_SECONDS = 60.0
"""An owner not heard of for longer is dead; one embedding a large batch is silent for seconds."""
NAMES_A_QUERY = 500
ROWS_A_WRITE = 4_000
"""Pieces written or deleted in one transaction, with room for their documents."""
LOADED, READY, REMOVED = "loaded", "ready", "removed"
Alive = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Base:
    """A knowledge base. `embedder` is the identity of the model its index is made with."""

    id: int
    name: str
    team_id: int
    embedder: str | None
    sequence: int
    version: str
    owner: str | None
    epoch: int
    heartbeat: float | None
    created_at: float
    changed_at: float


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a document's source: what it hashed to, where it was added from."""

    id: int
    hash: bytes
    state: str
    source: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """A document to store: `body` is its sections as JSON, `hash` that of its source."""

    name: str
    hash: bytes
    source: str
    title: str
    media_type: str
    size: int
    metadata: Mapping[str, Any]
    notes: Sequence[str]
    body: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored document. `pieces` is None where they were not counted."""

    id: int
    name: str
    state: str
    source: str
    title: str
    media_type: str
    size: int
    metadata: Mapping[str, Any]
    notes: Sequence[str]
    changed_at: float
    body: str = ""
    pieces: int | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a base holds; `repeats` are pieces left out because others say the same."""

    documents: int = 0
    pieces: int = 0
    repeats: int = 0
    tokens: int = 0
    waiting: int = 0


# Bases.


def list_bases(conn: Connection, teams: Collection[int] | None) -> list[Base]:
    """Give the bases of teams (None: of all) by name."""
    query = select(knowledge_bases).order_by(knowledge_bases.c.name)
    if teams is not None:
        query = query.where(knowledge_bases.c.team_id.in_(teams))
    return [_as_base(row) for row in conn.execute(query)]


def find_base(conn: Connection, name: str) -> Base | None:
    """Find a base by its name."""
    query = select(knowledge_bases).where(knowledge_bases.c.name == name)
    row = conn.execute(query).one_or_none()
    return None if row is None else _as_base(row)


def make_base(conn: Connection, name: str, team: int) -> Base:
    """Make an empty base; raise Conflict where there is one of that name, whoever's."""
    if find_base(conn, name) is not None:
        raise Conflict(f"there is a knowledge base “{name}” already; take another name")
    now = clock(conn)
    conn.execute(
        insert(knowledge_bases).values(
            name=name, team_id=team, sequence=0, version="", epoch=0, created_at=now, changed_at=now
        )
    )
    made = find_base(conn, name)
    assert made is not None
    return made


def claim(conn: Connection, base: Base, owner: str, is_dead: Alive, is_alive: Alive) -> Base:
    """Become the one who changes a base; raise Conflict while somebody else does.

    `is_dead` says of an owner heard lately whether it is known to be gone, `is_alive` of one that
    was not whether it is known to live.
    """
    row = conn.execute(
        select(knowledge_bases).where(knowledge_bases.c.id == base.id).with_for_update()
    ).one_or_none()
    if row is None:
        raise Conflict(f"the knowledge base “{base.name}” was removed meanwhile")
    if is_changing(conn, _as_base(row), is_dead, is_alive):
        raise _taken(base, row.owner)
    changed = conn.execute(
        update(knowledge_bases)
        .where(knowledge_bases.c.id == base.id, knowledge_bases.c.epoch == row.epoch)
        .values(owner=owner, epoch=row.epoch + 1, heartbeat=clock(conn))
    )
    found = find_base(conn, base.name)
    if changed.rowcount != 1 or found is None:
        raise _taken(base, row.owner)
    return found


def is_changing(conn: Connection, base: Base, is_dead: Alive, is_alive: Alive) -> bool:
    """Say whether somebody who lives changes a base now."""
    if not base.owner or is_dead(base.owner):
        return False
    beating = base.heartbeat is not None and clock(conn) - base.heartbeat < ALIVE_SECONDS
    return beating or is_alive(base.owner)


def _taken(base: Base, owner: str | None) -> Conflict:
    return Conflict(
        f"the knowledge base “{base.name}” is being changed by {owner or 'somebody else'}; "
        "wait until that is done"
    )


def release(conn: Connection, base: Base) -> None:
    """Let others change a base."""
    conn.execute(
        update(knowledge_bases)
        .where(knowledge_bases.c.id == base.id, knowledge_bases.c.epoch == base.epoch)
        .values(owner=None, heartbeat=None)
    )


def beat(conn: Connection, /, base: Base, **values: Any) -> None:
    """Say the owner lives, and set columns; raise Conflict where the base is somebody else's."""
    changed = conn.execute(
        update(knowledge_bases)
        .where(knowledge_bases.c.id == base.id, knowledge_bases.c.epoch == base.epoch)
        .values(heartbeat=clock(conn), **values)
    )
    if changed.rowcount != 1:
        raise _taken(base, None)


def begin_change(conn: Connection, base: Base) -> int:
    """Give the number of a change made in this transaction; raise Conflict as `beat` does."""
    beat(conn, base, sequence=knowledge_bases.c.sequence + 1, changed_at=clock(conn))
    query = select(knowledge_bases.c.sequence).where(knowledge_bases.c.id == base.id)
    return int(conn.execute(query).scalar_one())


def drop_base(conn: Connection, base: Base) -> bool:
    """Delete a base's rows, some thousand at a time; say whether all is gone."""
    beat(conn, base)
    pieces = select(knowledge_pieces.c.id).where(knowledge_pieces.c.base_id == base.id)
    gone = delete(knowledge_pieces).where(knowledge_pieces.c.id.in_(pieces.limit(ROWS_A_WRITE)))
    if conn.execute(gone).rowcount:
        return False
    own = select(knowledge_documents.c.id).where(knowledge_documents.c.base_id == base.id)
    gone = delete(knowledge_documents).where(knowledge_documents.c.id.in_(own.limit(ROWS_A_WRITE)))
    if conn.execute(gone).rowcount:
        return False
    conn.execute(delete(knowledge_bases).where(knowledge_bases.c.id == base.id))
    return True


# Documents.


def known_documents(conn: Connection, base: Base, names: Sequence[str]) -> dict[str, Known]:
    """Give what is known of documents by name, removed ones included."""
    found: dict[str, Known] = {}
    table = knowledge_documents.c
    for start in range(0, len(names), NAMES_A_QUERY):
        query = select(
            table.id, table.name, table.hash, table.state, table.source, table.media_type
        ).where(table.base_id == base.id, table.name.in_(names[start : start + NAMES_A_QUERY]))
        for row in conn.execute(query):
            found[row.name] = Known(row.id, row.hash, row.state, row.source, row.media_type)
    return found


def names_from(conn: Connection, base: Base, source: str) -> list[tuple[int, str]]:
    """Give id and name of the documents added from a folder or address."""
    table = knowledge_documents.c
    query = select(table.id, table.name).where(
        table.base_id == base.id, table.source == source, table.state != REMOVED
    )
    return [(row.id, row.name) for row in conn.execute(query)]


def put_loaded(conn: Connection, base: Base, documents: Sequence[Loaded]) -> None:
    """Store documents as loaded; their pieces stay what they were until new ones are made."""
    number = begin_change(conn, base)
    now = clock(conn)
    known = known_documents(conn, base, [one.name for one in documents])
    for one in documents:
        values = {
            "state": LOADED, "sequence": number, "hash": one.hash, "source": one.source,
            "title": one.title, "media_type": one.media_type, "size": one.size,
            "metadata": dumps(dict(one.metadata)), "notes": dumps(list(one.notes)),
            "valid_from": _day(one.metadata.get("valid_from")),
            "valid_to": _day(one.metadata.get("valid_to")),
            "body": one.body, "changed_at": now,
        }  # fmt: skip
        if one.name in known:
            there = knowledge_documents.c.id == known[one.name].id
            conn.execute(update(knowledge_documents).where(there).values(**values))
        else:
            conn.execute(
                insert(knowledge_documents).values(base_id=base.id, name=one.name, **values)
            )


def _day(value: Any) -> str | None:
    return None if value is None else str(value)[:10]


def move_source(conn: Connection, base: Base, ids: Sequence[int], source: str) -> None:
    """Note that unchanged documents are now added from another folder."""
    beat(conn, base)
    for start in range(0, len(ids), NAMES_A_QUERY):
        conn.execute(
            update(knowledge_documents)
            .where(knowledge_documents.c.id.in_(ids[start : start + NAMES_A_QUERY]))
            .values(source=source)
        )


def loaded_documents(conn: Connection, base: Base, limit: int, most_bytes: int) -> list[Stored]:
    """Give documents whose pieces are still to be made, with their bodies.

    At most `limit`, and no more than their files' bytes come to `most_bytes`, but one at least.
    """
    table = knowledge_documents.c
    waiting = (
        select(table.id, table.size)
        .where(table.base_id == base.id, table.state == LOADED)
        .order_by(table.id)
        .limit(limit)
    )
    ids: list[int] = []
    for row in conn.execute(waiting):
        most_bytes -= row.size
        if ids and most_bytes < 0:
            break
        ids.append(row.id)
    query = select(knowledge_documents).where(table.id.in_(ids)).order_by(table.id)
    return [_as_stored(row) for row in conn.execute(query)] if ids else []


def site_documents(
    conn: Connection, base: Base, media_type: str, source: str, below: bool, limit: int
) -> list[Stored]:
    """Give documents of a kind that come from one folder, or from addresses that begin so."""
    table = knowledge_documents.c
    place = table.source.startswith(source, autoescape=True) if below else table.source == source
    query = (
        select(knowledge_documents)
        .where(table.base_id == base.id, table.state != REMOVED, table.media_type == media_type)
        .where(place)
        .order_by(table.id)
        .limit(limit)
    )
    return [_as_stored(row) for row in conn.execute(query)]


def remove_document(conn: Connection, base: Base, document: int) -> None:
    """Remove a document whose pieces are gone; its name stays, for indexes to learn of it."""
    number = begin_change(conn, base)
    conn.execute(
        update(knowledge_documents)
        .where(knowledge_documents.c.id == document)
        .values(state=REMOVED, body="", content=None, hash=b"", sequence=number)
    )


def changed_since(conn: Connection, base: Base, after: tuple[int, int], limit: int) -> list[AnyRow]:
    """Give the documents changed since a (sequence, id): id, name, state, sequence, in order."""
    table = knowledge_documents.c
    number, document = after
    query = (
        select(table.id, table.name, table.state, table.sequence)
        .where(
            table.base_id == base.id,
            (table.sequence > number) | ((table.sequence == number) & (table.id > document)),
        )
        .order_by(table.sequence, table.id)
        .limit(limit)
    )
    return list(conn.execute(query).all())


def contents(conn: Connection, base: Base) -> list[tuple[str, bytes]]:
    """Give name and content hash of every document a search can give, in no order."""
    table = knowledge_documents.c
    query = select(table.name, table.content).where(table.base_id == base.id, table.state == READY)
    return [(row.name, row.content) for row in conn.execute(query)]


def out_of_date(conn: Connection, base_id: int, today: str) -> list[str]:
    """Give the names of the documents that are not valid on a day."""
    table = knowledge_documents.c
    query = select(table.name).where(
        table.base_id == base_id, table.state != REMOVED,
        (table.valid_from > today) | (table.valid_to < today),
    )  # fmt: skip
    return [row.name for row in conn.execute(query)]


def find_document(conn: Connection, base: Base, name: str) -> Stored | None:
    """Find a document by its name, with its body and how many pieces it has."""
    row = conn.execute(
        select(knowledge_documents).where(
            knowledge_documents.c.base_id == base.id,
            knowledge_documents.c.name == name,
            knowledge_documents.c.state != REMOVED,
        )
    ).one_or_none()
    if row is None:
        return None
    count = select(func.count()).where(knowledge_pieces.c.document_id == row.id)
    return _as_stored(row, conn.execute(count).scalar_one())


def page_documents(conn: Connection, base: Base, after: str | None, limit: int) -> list[Stored]:
    """Give documents in the order of their names, without bodies, after a name."""
    table = knowledge_documents.c
    columns = [one for one in table if one.name != "body"]
    query = (
        select(*columns)
        .where(table.base_id == base.id, table.state != REMOVED)
        .order_by(table.name)
        .limit(limit)
    )
    if after is not None:
        query = query.where(table.name > after)
    rows = conn.execute(query).all()
    count: dict[int, int] = {}
    for start in range(0, len(rows), NAMES_A_QUERY):
        ids = [row.id for row in rows[start : start + NAMES_A_QUERY]]
        counted = (
            select(knowledge_pieces.c.document_id, func.count())
            .where(knowledge_pieces.c.document_id.in_(ids))
            .group_by(knowledge_pieces.c.document_id)
        )
        count.update({row[0]: row[1] for row in conn.execute(counted)})
    return [_as_stored(row, count.get(row.id, 0)) for row in rows]


def count_base(conn: Connection, base: Base) -> Counts:
    """Count a base's documents and pieces."""
    table = knowledge_documents.c
    by_state = conn.execute(
        select(table.state, func.count()).where(table.base_id == base.id).group_by(table.state)
    )
    states = {row[0]: row[1] for row in by_state}
    pieces = knowledge_pieces.c
    by_kind = conn.execute(
        select(pieces.repeats, func.count(), func.coalesce(func.sum(pieces.tokens), 0))
        .where(pieces.base_id == base.id)
        .group_by(pieces.repeats)
    ).all()
    return Counts(
        documents=states.get(LOADED, 0) + states.get(READY, 0),
        pieces=sum(row[1] for row in by_kind if not row[0]),
        repeats=sum(row[1] for row in by_kind if row[0]),
        tokens=sum(int(row[2]) for row in by_kind if not row[0]),
        waiting=states.get(LOADED, 0),
    )


def _as_base(row: AnyRow) -> Base:
    return Base(
        row.id, row.name, row.team_id, row.embedder, row.sequence, row.version, row.owner,
        row.epoch, row.heartbeat, row.created_at, row.changed_at,
    )  # fmt: skip


def _as_stored(row: AnyRow, pieces: int | None = None) -> Stored:
    return Stored(
        row.id, row.name, row.state, row.source, row.title, row.media_type, row.size,
        orjson.loads(row.metadata), orjson.loads(row.notes), row.changed_at,
        getattr(row, "body", ""), pieces,
    )  # fmt: skip
