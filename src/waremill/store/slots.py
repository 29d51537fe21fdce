"""Picture slots in the database: whether something was made for one, and what.

All look-ups go through the primary key of `current`, one product at a time: a statement that takes
the newest of all products apart would read the table whole. What was made for a product's group
counts for the product too. Which names are slots is decided by the schemas; nothing here knows
them, and nothing is written.

`Holds` maps a slot's name to the condition that a result's values hold something under it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    Text,
    and_,
    any_,
    cast,
    distinct,
    func,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB, array

from waremill.store.browsing import Stream, Stretch, conditions, listed
from waremill.store.tables import current, items, products, results, reviews

Condition: TypeAlias = ColumnElement[bool]
Holds: TypeAlias = Mapping[str, Condition]
Whose: TypeAlias = tuple[ColumnElement[Any], ColumnElement[Any]]
"""The ids of a product and of its group."""
Pair: TypeAlias = tuple[str, str]
"""(target, slot) of something made; the target is '' for what is made once a product."""


def filled(dialect: str, slot: str, holds: Condition, targets: Sequence[str] | None) -> Condition:
    """Give the condition that something was made for a slot of a row of `products`.

    For every one of `targets`, or once for all of them; with None, for any target.
    """
    made = _made(dialect, slot, holds, (products.c.id, products.c.group_id))
    if targets is None:
        return _any(made)
    wanted = tuple(dict.fromkeys(one for one in targets if one))
    if len(wanted) < 2:
        return _any(made.where(current.c.target.in_(("", *wanted))))
    each = made.where(current.c.target.in_(wanted))
    count = each.with_only_columns(func.count(distinct(current.c.target))).scalar_subquery()
    return or_(_any(made.where(current.c.target == "")), count >= literal(len(wanted), Integer))


def filled_for_item(dialect: str, slot: str, holds: Condition) -> Condition:
    """Give the condition that something was made for the slot of an item's product and target.

    It names nothing but `items`: as a condition on their join with products PostgreSQL would not
    count what it costs, and rather read all products than look up a page's.
    """
    own = products.alias("own")
    group = select(own.c.group_id).where(own.c.id == items.c.product_id).correlate(items)
    made = _made(dialect, slot, holds, (items.c.product_id, group.scalar_subquery()))
    return _any(made.where(current.c.target.in_(("", items.c.target))))


def _any(made: Select[Any]) -> Condition:
    # A value and not EXISTS, which PostgreSQL may answer by reading `current` from end to end; and
    # `> 0`, of which it expects a third of the rows, where IS NULL would be almost none.
    found = made.limit(literal_column("1")).scalar_subquery()
    return func.coalesce(found, literal_column("0", Integer)) > 0


def _made(dialect: str, slot: str, holds: Condition, whose: Whose) -> Select[Any]:
    one = literal_column("1", Integer)
    query = select(one).select_from(current.join(results, results.c.id == current.c.result_id))
    query = query.where(_of(dialect, whose), current.c.field == slot, holds)
    return query.correlate(products, items)


def _of(dialect: str, whose: Whose) -> Condition:
    """Give what picks the rows of `current` of a product and of its group."""
    if dialect == "sqlite":
        return current.c.product_id.in_(whose)
    return current.c.product_id == any_(array(whose))


def _among(holds: Holds) -> Condition:
    return or_(*(and_(current.c.field == slot, one) for slot, one in holds.items()))


def attributes_query(dialect: str, holds: Holds, picked: Sequence[Condition]) -> Select[Any]:
    """Select products' attributes, and as JSON the (target, slot) pairs of what was made."""
    lite = dialect == "sqlite"
    pair = (func.json_array if lite else func.jsonb_build_array)(current.c.target, current.c.field)
    pairs = (func.json_group_array if lite else func.jsonb_agg)(pair)
    made = (
        select(cast(pairs, Text))
        .select_from(current.join(results, results.c.id == current.c.result_id))
        .where(_of(dialect, (products.c.id, products.c.group_id)), _among(holds))
        .correlate(products)
        .scalar_subquery()
    )
    return select(products.c.attributes, made.label("made")).where(*picked)


def read_attributes(
    conn: Connection, streams: Sequence[Stream], stretch: Stretch, holds: Holds
) -> Iterator[tuple[dict[str, Any], frozenset[Pair]]]:
    """Give the attributes of a stretch's products, in no order, and what was made for their slots.

    `holds` names at least one slot.
    """
    none: frozenset[Pair] = frozenset()
    for stream in streams:
        query = attributes_query(conn.dialect.name, holds, conditions(conn, stream, stretch))
        for attributes, made in conn.execute(query, execution_options={"yield_per": 2000}):
            some = none if made in (None, "[]") else frozenset(map(tuple, orjson.loads(made)))
            yield attributes, some


def made_query(conn: Connection, product_ids: Sequence[int], holds: Holds) -> Select[Any]:
    """Select what stands in the slots of some products, the newest last."""
    return (
        select(products.c.id, current.c.target, current.c.field, results.c["values"])
        .select_from(products)
        .join(current, _of(conn.dialect.name, (products.c.id, products.c.group_id)))
        .join(results, results.c.id == current.c.result_id)
        .where(products.c.id.in_(listed(conn, product_ids)), _among(holds))
        .order_by(results.c.id)
    )


def read_made(
    conn: Connection, product_ids: Sequence[int], holds: Holds
) -> dict[tuple[int, str, str], Any]:
    """Give what stands in the slots of some products by (product id, target, slot)."""
    if not product_ids or not holds:
        return {}
    return {
        (number, target, slot): orjson.loads(values)[slot]
        for number, target, slot, values in conn.execute(made_query(conn, product_ids, holds))
    }


def mark(conn: Connection) -> tuple[int, int]:
    """Give what tells what was made from what had been made before: the newest result and review.

    A run that is taken back may leave no result, but always a review.
    """
    newest = (conn.execute(select(func.max(one.c.id))).scalar() for one in (results, reviews))
    made, said = (int(one or 0) for one in newest)
    return made, said


def values_of(dialect: str) -> ColumnElement[Any]:
    """Give a result's values as what the database reads as JSON."""
    values: ColumnElement[Any] = results.c["values"]
    if dialect == "sqlite":
        return values
    # JSONB takes no NUL character, which a text beside the picture may hold.
    return cast(func.replace(values, "\\u0000", "\\ufffd"), JSONB)


__all__ = [
    "Holds",
    "Pair",
    "filled",
    "filled_for_item",
    "mark",
    "read_attributes",
    "read_made",
    "values_of",
]
