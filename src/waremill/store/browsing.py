"""Listings of products: read through an index, in stretches, so that no filter holds a reader long.

A `Stream` is products in the order of their ids that one index gives; a stretch is a part of it.
Nothing here decides which index serves a filter, and nothing is written.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    cast,
    func,
    literal,
    select,
    text,
    tuple_,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB

from waremill.domain import Product
from waremill.errors import NotFound
from waremill.store.products import Catalog
from waremill.store.tables import AnyRow, dumps, products

Condition = ColumnElement[bool]

_group = products.alias("grp")
_SHOWN = (
    products.c.id, products.c.key, products.c.attributes, products.c.version, products.c.position,
    select(_group.c.key).where(_group.c.id == products.c.group_id).scalar_subquery().label("named"),
)  # fmt: skip


LAST_ID = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Stream:
    """Some of a catalogue's products, read in the order of their ids.

    `entry` is what an index answers: the products of one facet's value. None means the catalogue's
    own order. An index that does not give its entry in the order of ids makes the stream
    `unordered`: it must be short, and is sorted. `where` is checked row by row.
    """

    catalog_id: int
    entry: Condition | None = None
    where: Condition | None = None
    unordered: bool = False


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a listing: ids above `after`, up to `upto`; None is its end."""

    after: int = 0
    upto: int | None = None


def opaque(conn: Connection, condition: Condition) -> Condition:
    """Hide a condition from SQLite's choice of an index, which has nothing to judge them by.

    PostgreSQL knows how often values occur, and is left to choose.
    """
    if conn.dialect.name != "sqlite":
        return condition
    return case((condition, 1), else_=0) == 1


def ahead(
    conn: Connection,
    leading: Sequence[tuple[ColumnElement[Any], Any]],
    number: ColumnElement[int],
    stretch: Stretch,
) -> tuple[list[Condition], list[ColumnElement[Any]]]:
    """Give the conditions and the order of a walk through the index over `leading` and `number`.

    On PostgreSQL whole rows are compared. From equalities it would conclude that the order of ids
    is all that is asked for, and rather walk the primary key past everybody else's rows.
    """
    if conn.dialect.name == "sqlite":
        found = [
            column.is_(value) if isinstance(value, bool) else column == value
            for column, value in leading
        ]
        # Said even of the first id: of the indexes that fit, it is the one in order that is meant.
        found.append(number > stretch.after)
        return found + ([number <= stretch.upto] if stretch.upto is not None else []), [number]
    columns = (*(column for column, _ in leading), number)
    values = [literal(value, column.type) for column, value in leading]
    place = tuple_(*columns)
    upto = LAST_ID if stretch.upto is None else stretch.upto
    ends = [
        place > tuple_(*values, literal(stretch.after, number.type)),
        place <= tuple_(*values, literal(upto, number.type)),
    ]
    return ends, list(columns)


def parts_of(
    conn: Connection, stream: Stream, stretch: Stretch
) -> tuple[list[Condition], list[ColumnElement[Any]]]:
    """Give the conditions that pick a stretch of a stream, and the order of ids."""
    # Both leading columns of every index over products are named: without them others win.
    leading = ((products.c.catalog_id, stream.catalog_id), (products.c.is_group, False))
    number: ColumnElement[int] = products.c.id
    if stream.entry is None:
        found, order = ahead(conn, leading, number, stretch)
        return found + ([] if stream.where is None else [stream.where]), order
    if stream.unordered:  # an index over ids is of no use, and must not look as if it were
        number = number + literal(0, number.type)
    found = [products.c.catalog_id == stream.catalog_id, products.c.is_group.is_(False)]
    found.append(stream.entry)
    if stretch.after:
        found.append(number > stretch.after)
    if stretch.upto is not None:
        found.append(number <= stretch.upto)
    if stream.where is not None:
        found.append(opaque(conn, stream.where))
    return found, [number]


def versions_after(
    conn: Connection, catalog_id: int, after: int, size: int
) -> list[tuple[int, int]]:
    """Give row id and version of a catalogue's products after a row id, in the ids' order."""
    found, order = parts_of(conn, Stream(catalog_id), Stretch(after))
    query = select(products.c.id, products.c.version).where(*found).order_by(*order).limit(size)
    return [(row.id, row.version) for row in conn.execute(query)]


def conditions(conn: Connection, stream: Stream, stretch: Stretch) -> list[Condition]:
    """Give what picks a stretch of a stream."""
    return parts_of(conn, stream, stretch)[0]


def page_query(conn: Connection, stream: Stream, stretch: Stretch, limit: int) -> Select[Any]:
    """Select a stretch's first products."""
    found, order = parts_of(conn, stream, stretch)
    return select(*_SHOWN).where(*found).order_by(*order).limit(limit)


def _shown(row: AnyRow) -> Product:
    return Product(row.id, row.key, row.attributes, row.version, row.named, row.position)


def read_page(
    conn: Connection, streams: Sequence[Stream], stretch: Stretch, limit: int
) -> list[Product]:
    """Give the first products of a stretch of several streams, in the order of ids."""
    rows = [
        row
        for stream in streams
        for row in conn.execute(page_query(conn, stream, stretch, limit)).all()
    ]
    rows.sort(key=lambda row: int(row.id))
    return [_shown(row) for row in rows[:limit]]


def end_query(conn: Connection, stream: Stream, after: int, rows: int) -> Select[int, int]:
    """Select the last id of the next `rows` index entries of a stream, and how many there are."""
    bare = replace(stream, where=None)
    some = page_query(conn, bare, Stretch(after), rows).with_only_columns(products.c.id).subquery()
    return select(func.max(some.c.id), func.count())


def stretch_end(conn: Connection, streams: Sequence[Stream], after: int, rows: int) -> int | None:
    """Say up to which id a stretch of about `rows` index entries goes; None: to the listing's end.

    The entries are not looked up, so this costs little beside what is done with them.
    """
    ends = []
    for stream in streams:
        last, count = conn.execute(end_query(conn, stream, after, rows)).one()
        if count >= rows:
            ends.append(int(last))
    return min(ends) if ends else None


def count_query(conn: Connection, stream: Stream, stretch: Stretch) -> Select[Any]:
    """Select how many products a stretch of a stream holds."""
    return select(func.count()).select_from(products).where(*conditions(conn, stream, stretch))


def count_stretch(conn: Connection, streams: Sequence[Stream], stretch: Stretch) -> int:
    """Count a stretch of several streams, which share no product."""
    counts = (conn.execute(count_query(conn, one, stretch)).scalar_one() for one in streams)
    return sum(map(int, counts))


def most_entries(conn: Connection, stream: Stream, most: int) -> int:
    """Count what an index gives for a stream's entry, up to `most`."""
    query = select(products.c.id).where(*conditions(conn, stream, Stretch())).limit(most)
    return int(conn.execute(select(func.count()).select_from(query.subquery())).scalar_one())


def first_and_last(conn: Connection, catalog_id: int) -> tuple[int, int]:
    """Give the lowest and the highest id of a catalogue's products; (0, 0) where it has none."""
    found, order = parts_of(conn, Stream(catalog_id), Stretch())
    ends = []
    for ordered in (order, [column.desc() for column in order]):
        query = select(products.c.id).where(*found).order_by(*ordered).limit(1)
        ends.append(int(conn.execute(query).scalar() or 0))
    return ends[0], ends[1]


def read_attributes(
    conn: Connection, streams: Sequence[Stream], stretch: Stretch
) -> Iterator[dict[str, Any]]:
    """Give the attributes of a stretch's products, in no order."""
    for stream in streams:
        query = select(products.c.attributes).where(*conditions(conn, stream, stretch))
        rows = conn.execute(query, execution_options={"yield_per": 2000})
        yield from rows.scalars()


def read_order(
    conn: Connection, streams: Sequence[Stream], order_by: Sequence[ColumnElement[Any]], most: int
) -> array[int]:
    """Give the ids of what streams hold in an order, equal ones by id; at most `most` of them."""
    parts = [conditions(conn, one, Stretch()) for one in streams]
    picked = and_(*parts[0])
    if len(parts) > 1:
        inside = [select(products.c.id).where(*part) for part in parts]
        picked = products.c.id.in_(inside[0].union_all(*inside[1:]))
    query = select(products.c.id).where(picked).order_by(*order_by, products.c.id).limit(most)
    rows = conn.execute(query, execution_options={"yield_per": 5000})
    return array("q", rows.scalars())


def read_listed(
    conn: Connection, numbers: Sequence[int], where: Condition | None = None
) -> list[Product]:
    """Give the products of some ids, in the ids' order; those gone meanwhile are left out."""
    query = select(*_SHOWN).where(products.c.id.in_(listed(conn, numbers)))
    if where is not None:
        query = query.where(where)
    found = {int(row.id): _shown(row) for row in conn.execute(query)}
    return [found[number] for number in numbers if number in found]


def listed(conn: Connection, numbers: Sequence[int]) -> Select[Any]:
    """Give ids as a table: one parameter, however many there are."""
    number = products.c.id.type
    if conn.dialect.name == "sqlite":
        each = func.json_each(dumps(list(numbers))).table_valued("value")
        return select(type_coerce(each.c.value, number))
    unpacked = func.jsonb_array_elements_text(cast(list(numbers), JSONB)).column_valued("value")
    return select(cast(unpacked, number))


def product_by_key(conn: Connection, catalog: Catalog, key: str) -> Product:
    """Give the product of a key; raise NotFound where there is none."""
    query = select(*_SHOWN).where(
        products.c.catalog_id == catalog.id, products.c.is_group.is_(False), products.c.key == key
    )
    row = conn.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"there is no product “{key}” in the catalogue “{catalog.name}”")
    return _shown(row)


# Facets.


def indexed(conn: Connection) -> frozenset[str]:
    """Name the facet indexes there are."""
    query = "SELECT name FROM sqlite_master WHERE type = 'index' AND name LIKE 'ix\\_facet\\_%' " \
        "ESCAPE '\\'"  # fmt: skip
    if conn.dialect.name == "postgresql":
        query = (
            "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() "
            "AND tablename = 'products' AND indexname LIKE 'ix\\_facet\\_%'"
        )
    return frozenset(conn.execute(text(query)).scalars())


def texts_query(catalog_id: int, facet: ColumnElement[Any]) -> Select[Any]:
    """Select a facet's texts with how often each occurs, by the facet's index alone."""
    return (
        select(facet.label("value"), func.count().label("number"))
        .where(products.c.catalog_id == catalog_id, products.c.is_group.is_(False))
        .group_by(facet)
    )


def facet_texts(
    conn: Connection, catalog_id: int, facet: ColumnElement[Any], most: int
) -> dict[str | None, int] | None:
    """Count a facet's texts as its index has them; None where there are more than `most`."""
    rows = conn.execute(texts_query(catalog_id, facet).limit(most + 1)).all()
    return None if len(rows) > most else {value: int(number) for value, number in rows}


def entries_of(value: Any) -> list[str | None]:
    """Give what a facet's text stands for: itself, or a list's entries."""
    if value is None:
        return [None]
    written = str(value)
    if not written.startswith("["):
        return [written]
    try:
        entries = orjson.loads(written)
    except orjson.JSONDecodeError:  # text that happens to begin with a bracket
        return [written]
    if not isinstance(entries, list):
        return [written]
    return list(dict.fromkeys(str(one) for one in entries)) or [None]


def read_values(
    conn: Connection,
    streams: Sequence[Stream],
    stretch: Stretch,
    facets: Sequence[ColumnElement[Any]],
) -> Iterator[Sequence[Any]]:
    """Give several facets' texts of each product of a stretch."""
    for stream in streams:
        query = select(*facets).where(*conditions(conn, stream, stretch))
        yield from conn.execute(query, execution_options={"yield_per": 5000})
