"""Listings of a run's items: which ones a filter picks, and what each shows.

Ids are found first, through an index that gives them in order; the rows of a page are then read by
id, with what was made for them. A linked item shows what its source item has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    SelectBase,
    and_,
    func,
    literal,
    or_,
    select,
)

from waremill.store.browsing import Stretch, ahead, listed, opaque
from waremill.store.tables import dumps, findings, items, product_versions, products, results

Condition = ColumnElement[bool]
_TOGETHER = 500


@dataclass(frozen=True, slots=True)
class ItemStream:
    """A run's items in the order of ids: those in one state, with a finding of one rule, of some
    products, or all. `where` is checked row by row; `joined` says that it names products' columns.

    `chosen` are conditions on products, any of which may hold. They pick so few that their items
    are looked up one by one.
    """

    run_id: int
    state: str | None = None
    rule: str | None = None
    field: str | None = None
    chosen: tuple[Condition, ...] = ()
    where: Condition | None = None
    joined: bool = False


@dataclass(frozen=True, slots=True)
class ListedItem:
    """An item as a listing shows it: `product` is what it worked on, `values` what was made.

    `paid` is in nano-USD, `latency` in seconds, `found` are its findings.
    """

    id: int
    key: str
    target: str
    state: str
    findings: int
    paid: int | None
    latency: float | None
    error: Mapping[str, Any] | None
    values: Mapping[str, Any] = field(default_factory=dict)
    product: Mapping[str, Any] = field(default_factory=dict)
    found: tuple[Mapping[str, Any], ...] = ()
    result_id: int | None = None


def parts_of(
    conn: Connection, stream: ItemStream, stretch: Stretch
) -> tuple[Select[Any], list[ColumnElement[Any]]]:
    """Select the ids of a stretch of a stream, last among its columns; and give their order."""
    leading: tuple[tuple[ColumnElement[Any], Any], ...]
    if stream.rule is not None:
        leading = ((findings.c.run_id, stream.run_id), (findings.c.rule, stream.rule))
        found, order = ahead(conn, leading, findings.c.item_id, stretch)
        query = select(*order).where(*found).distinct()
        if stream.field is not None:
            query = query.where(findings.c.field == stream.field)
        if stream.where is not None or stream.joined:
            query = query.join(items, items.c.id == findings.c.item_id)
    elif stream.chosen:
        # Hidden, so that SQLite goes from the products to their items and not the other way.
        own = [items.c.run_id == stream.run_id, items.c.id > stretch.after]
        query = select(items.c.id).where(*(opaque(conn, one) for one in own))
        query = query.where(items.c.product_id.in_(chosen_query(stream.chosen)))
        order = [items.c.id + literal(0, items.c.id.type)]
    else:
        leading = ((items.c.run_id, stream.run_id),)
        if stream.state is not None:
            leading = (*leading, (items.c.state, stream.state))
        found, order = ahead(conn, leading, items.c.id, stretch)
        query = select(items.c.id).where(*found)
    if stream.joined:
        query = query.join(products, products.c.id == items.c.product_id)
    if stream.where is not None:
        query = query.where(opaque(conn, stream.where))
    return query, order


def page_query(conn: Connection, stream: ItemStream, stretch: Stretch, limit: int) -> Select[Any]:
    """Select a stretch's first ids, last among the columns."""
    query, order = parts_of(conn, stream, stretch)
    return query.order_by(*order).limit(limit)


def read_ids(
    conn: Connection, streams: Sequence[ItemStream], stretch: Stretch, limit: int
) -> list[int]:
    """Give the first ids of a stretch of several streams, in order, each once."""
    found: set[int] = set()
    for stream in streams:
        rows = conn.execute(page_query(conn, stream, stretch, limit))
        found.update(row[-1] for row in rows)
    return sorted(found)[:limit]


def end_query(conn: Connection, stream: ItemStream, after: int, rows: int) -> Select[int, int]:
    """Select the last id of the next `rows` index entries of a stream, and how many there are."""
    bare = ItemStream(stream.run_id, stream.state, stream.rule)
    some = page_query(conn, bare, Stretch(after), rows).subquery()
    return select(func.max(list(some.c)[-1]), func.count())


def stretch_end(
    conn: Connection, streams: Sequence[ItemStream], after: int, rows: int
) -> int | None:
    """Say up to which id a stretch of about `rows` index entries goes; None: to the end."""
    ends = []
    for stream in streams:
        if stream.chosen:
            continue
        last, count = conn.execute(end_query(conn, stream, after, rows)).one()
        if count >= rows:
            ends.append(int(last))
    return min(ends) if ends else None


def count_query(conn: Connection, stream: ItemStream, stretch: Stretch) -> Select[Any]:
    """Select how many items a stretch of one stream holds."""
    return select(func.count()).select_from(parts_of(conn, stream, stretch)[0].subquery())


def count_stretch(conn: Connection, streams: Sequence[ItemStream], stretch: Stretch) -> int:
    """Count a stretch of several streams; an item may be in more than one."""
    if len({stream.rule for stream in streams}) > 1:
        parts = [parts_of(conn, one, stretch)[0].subquery() for one in streams]
        numbers = [select(list(part.c)[-1].label("id")) for part in parts]
        query = select(func.count()).select_from(numbers[0].union(*numbers[1:]).subquery())
        return int(conn.execute(query).scalar_one())
    counts = (conn.execute(count_query(conn, one, stretch)).scalar_one() for one in streams)
    return sum(map(int, counts))


def rules_of(conn: Connection, run_id: int) -> list[str]:
    """Name the rules a run has findings of, by jumping through the index from one to the next."""
    found: list[str] = []
    while True:
        query = select(func.min(findings.c.rule)).where(findings.c.run_id == run_id)
        if found:
            query = query.where(findings.c.rule > found[-1])
        rule = conn.execute(query).scalar()
        if rule is None:
            return found
        found.append(rule)


def has_finding(run_id: int, rule: str | None, about: str | None) -> Condition:
    """Give the condition that an item has a finding of a rule, about a field; None is any."""
    inside = select(findings.c.item_id).where(
        findings.c.run_id == run_id, findings.c.item_id == items.c.id
    )
    if rule is not None:
        inside = inside.where(findings.c.rule == rule)
    if about is not None:
        inside = inside.where(findings.c.field == about)
    return inside.exists()


def holds_text(wanted: str) -> Condition:
    """Give the condition that a text stands in the product's key or in a value that was made.

    Whatever the case of A to Z; a linked item's values are its source's.
    """
    made = select(results.c.id).where(
        results.c.item_id == func.coalesce(items.c.source_id, items.c.id),
        results.c["values"].icontains(dumps(wanted)[1:-1], autoescape=True),
    )
    return or_(products.c.key.icontains(wanted, autoescape=True), made.exists())


def within(catalog_id: int, condition: Condition) -> tuple[Condition, ...]:
    """Give what picks a catalogue's products and its groups by an index, a condition for each."""
    return tuple(
        and_(products.c.catalog_id == catalog_id, products.c.is_group.is_(groups), condition)
        for groups in (False, True)
    )


def chosen_query(chosen: Sequence[Condition], most: int | None = None) -> SelectBase:
    """Select the products that any of some conditions picks, each through its own index."""
    parts = [select(products.c.id).where(one) for one in chosen]
    query = parts[0].union_all(*parts[1:]) if len(parts) > 1 else parts[0]
    return query if most is None else query.limit(most)


def most_products(conn: Connection, chosen: Sequence[Condition], most: int) -> int:
    """Count the products any of some conditions picks, up to `most`."""
    some = chosen_query(chosen, most).subquery()
    return int(conn.execute(select(func.count()).select_from(some)).scalar_one())


def read_items(conn: Connection, numbers: Sequence[int]) -> list[ListedItem]:
    """Give items by their ids, in order of ids, with their products and what was made for them."""
    query = (
        select(items, products.c.key, products.c.attributes, products.c.version)
        .join(products, products.c.id == items.c.product_id)
        .where(items.c.id.in_(listed(conn, numbers)))
        .order_by(items.c.id)
    )
    rows = conn.execute(query).all()
    old = _pinned(conn, [row.product_id for row in rows if row.version != row.product_version])
    sources = [row.source_id for row in rows if row.source_id is not None]
    made = _results(conn, [*sources, *(row.id for row in rows)])
    found = []
    for row in rows:
        values: dict[str, Any] = {}
        noted: dict[str, list[Mapping[str, Any]]] = {}
        newest = None
        linked = row.source_id is not None and row.source_id != row.id
        for result in made.get(row.source_id if linked else row.id, ()):
            values.update(orjson.loads(result.values))
            noted[result.step] = orjson.loads(result.findings) if result.findings else []
            newest = result.id
        found.append(
            ListedItem(
                row.id, row.key, row.target, row.state, row.findings, row.paid, row.latency,
                orjson.loads(row.error) if row.error else None, values,
                old.get((row.product_id, row.product_version), row.attributes),
                tuple(one for part in noted.values() for one in part), newest,
            )
        )  # fmt: skip
    return found


def _pinned(
    conn: Connection, product_ids: Sequence[int]
) -> dict[tuple[int, int], Mapping[str, Any]]:
    """Give the old versions of products that changed since they were worked on."""
    found: dict[tuple[int, int], Mapping[str, Any]] = {}
    if product_ids:
        query = select(product_versions).where(
            product_versions.c.product_id.in_(listed(conn, product_ids))
        )
        for row in conn.execute(query):
            found[row.product_id, row.version] = row.attributes
    return found


@dataclass(frozen=True, slots=True)
class _Result:
    id: int
    step: str
    values: str
    findings: str | None


def _results(conn: Connection, item_ids: Sequence[int]) -> dict[int | None, list[_Result]]:
    query = (
        select(
            results.c.item_id, results.c.id, results.c.step, results.c["values"],
            results.c.findings,
        )
        .where(results.c.item_id.in_(listed(conn, item_ids)))
        .order_by(results.c.item_id, results.c.id)
    )  # fmt: skip
    found: dict[int | None, list[_Result]] = {}
    for item_id, *rest in conn.execute(query):
        found.setdefault(item_id, []).append(_Result(*rest))
    return found
