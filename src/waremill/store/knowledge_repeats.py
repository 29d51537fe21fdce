"""Which pieces of a knowledge base repeat others, kept up as documents come, change and go.

Of pieces that say the same, the first by document and place is kept, whichever came first. Whether
two nearly say the same is asked of the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, or_, select, update

from waremill.store.knowledge import NAMES_A_QUERY, ROWS_A_WRITE, Base, begin_change
from waremill.store.tables import AnyRow
from waremill.store.tables_knowledge import knowledge_documents, knowledge_pieces

SIMILAR_AT_MOST = 200
"""Pieces looked at for one that was lost; they share a sketch with it."""
Near = Callable[[str, str], bool]
_SKETCHES = ("sketch_1", "sketch_2", "sketch_3")


@dataclass(frozen=True, slots=True)
class Compared:
    """A piece as it is compared; `place` orders pieces of one base."""

    id: int
    document: int
    place: tuple[str, int]
    text: str
    alike: bytes
    sketches: tuple[int, ...]


def clear(conn: Connection, base: Base, document: int, near: Near) -> bool:
    """Delete pieces of a document, some thousand at a time; say whether all are gone.

    Others that repeated them, and of which none is kept otherwise, can be found again at once.
    """
    begin_change(conn, base)
    query = (
        _compared(knowledge_pieces.c.repeats)
        .where(knowledge_pieces.c.document_id == document)
        .order_by(knowledge_pieces.c.position)
        .limit(ROWS_A_WRITE)
    )
    rows = conn.execute(query).all()
    for start in range(0, len(rows), NAMES_A_QUERY):
        ids = [row.id for row in rows[start : start + NAMES_A_QUERY]]
        conn.execute(delete(knowledge_pieces).where(knowledge_pieces.c.id.in_(ids)))
    lost = [_as_compared(row) for row in rows if not row.repeats]
    _touch(conn, base, _promote(conn, base, lost, near) - {document})
    return len(rows) < ROWS_A_WRITE


def settle(conn: Connection, base: Base, document: int, near: Near) -> None:
    """Say which pieces repeat others, now that a document's are all there."""
    query = _compared().where(
        knowledge_pieces.c.document_id == document, knowledge_pieces.c.repeats.is_(False)
    )
    own = [_as_compared(row) for row in conn.execute(query)]
    _touch(conn, base, _mark(conn, own, _rivals(conn, base, own), near) - {document})


def _touch(conn: Connection, base: Base, documents: Collection[int]) -> None:
    """Number documents of which other pieces are kept now, so that indexes learn of it."""
    if not documents:
        return
    number = begin_change(conn, base)
    some = sorted(documents)
    for start in range(0, len(some), NAMES_A_QUERY):
        conn.execute(
            update(knowledge_documents)
            .where(knowledge_documents.c.id.in_(some[start : start + NAMES_A_QUERY]))
            .values(sequence=number)
        )


def repeated_passages(conn: Connection, base: Base) -> list[str]:
    """Give the ids of the passages that are left out, as they repeat others."""
    query = select(knowledge_pieces.c.passage).where(
        knowledge_pieces.c.base_id == base.id, knowledge_pieces.c.repeats.is_(True)
    )
    return [row.passage for row in conn.execute(query)]


def _rivals(conn: Connection, base: Base, own: Sequence[Compared]) -> list[Compared]:
    """Give the kept pieces, a document's own included, that may say what its pieces say."""
    kept = (knowledge_pieces.c.base_id == base.id, knowledge_pieces.c.repeats.is_(False))
    found = {one.id: one for one in own}
    for row in _matching(conn, _compared().where(*kept), own):
        found.setdefault(row.id, _as_compared(row))
    return sorted(found.values(), key=lambda one: one.place)


def _mark(
    conn: Connection, own: Sequence[Compared], rivals: Sequence[Compared], near: Near
) -> set[int]:
    """Mark all but the first of pieces that say the same; give the documents they belong to."""
    mine = {one.id for one in own}
    by_key: dict[object, list[Compared]] = {}
    repeats: list[Compared] = []
    for one in rivals:
        before = {
            other.id: other for key in _keys(one) for other in by_key.get(key, ())
        }.values()  # fmt: skip
        # Two that are both from elsewhere were compared when they came.
        if any(
            (one.id in mine or other.id in mine)
            and (one.alike == other.alike or near(one.text, other.text))
            for other in before
        ):
            repeats.append(one)
            continue
        for key in _keys(one):
            by_key.setdefault(key, []).append(one)
    _set(conn, [one.id for one in repeats], True)
    return {one.document for one in repeats}


def _promote(conn: Connection, base: Base, lost: Sequence[Compared], near: Near) -> set[int]:
    """Bring back the first piece that repeated a lost one, where no other says it now."""
    changed: set[int] = set()
    pieces = knowledge_pieces.c
    for one in lost:
        same = pieces.alike == one.alike
        conditions = [same, *(pieces[name] == key for name, key in _named(one))]
        query = (
            _compared(pieces.repeats)
            .where(pieces.base_id == base.id, or_(*conditions))
            .order_by(knowledge_documents.c.name, pieces.position)
            .limit(SIMILAR_AT_MOST)
        )
        rows = conn.execute(query).all()
        saying = [row for row in rows if row.alike == one.alike or near(row.text, one.text)]
        if saying and all(row.repeats for row in saying):
            first = _as_compared(saying[0])
            _set(conn, [first.id], False)
            changed.add(first.document)
    return changed


def _matching(conn: Connection, query: Select[Any], own: Sequence[Compared]) -> Iterable[AnyRow]:
    """Give the rows of a query that share a hash or a sketch with some pieces."""
    pieces = knowledge_pieces.c
    for start in range(0, len(own), NAMES_A_QUERY // 4):
        some = own[start : start + NAMES_A_QUERY // 4]
        yield from conn.execute(query.where(pieces.alike.in_([one.alike for one in some])))
        for place, name in enumerate(_SKETCHES):
            keys = [one.sketches[place] for one in some if one.sketches]
            if keys:
                yield from conn.execute(query.where(pieces[name].in_(keys)))


def _keys(piece: Compared) -> list[object]:
    return [piece.alike, *enumerate(piece.sketches)]


def _named(piece: Compared) -> list[tuple[str, int]]:
    return list(zip(_SKETCHES, piece.sketches, strict=False))


def _set(conn: Connection, ids: Sequence[int], repeats: bool) -> None:
    for start in range(0, len(ids), NAMES_A_QUERY):
        conn.execute(
            update(knowledge_pieces)
            .where(knowledge_pieces.c.id.in_(ids[start : start + NAMES_A_QUERY]))
            .values(repeats=repeats)
        )


def _compared(*more: ColumnElement[Any]) -> Select[Any]:
    pieces = knowledge_pieces.c
    return select(
        pieces.id, pieces.document_id, pieces.position, pieces.text, pieces.alike,
        pieces.sketch_1, pieces.sketch_2, pieces.sketch_3, knowledge_documents.c.name, *more,
    ).join(knowledge_documents, knowledge_documents.c.id == pieces.document_id)  # fmt: skip


def _as_compared(row: AnyRow) -> Compared:
    keys = (row.sketch_1, row.sketch_2, row.sketch_3)
    return Compared(
        row.id, row.document_id, (row.name, row.position), row.text, row.alike,
        () if keys[0] is None else keys,
    )  # fmt: skip
