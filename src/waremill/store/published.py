"""What is live in a channel: the newest receipts that count, by target, product and field.

Derived from receipts (`store/publishing.py`); read here in pages and never changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Select, select, union

from waremill.store.publishing import PAGE, Publication
from waremill.store.tables import products
from waremill.store.tables_publishing import published, receipts

_IDS_A_QUERY = 500


@dataclass(frozen=True, slots=True)
class Live:
    """A value that is live: its receipt, its hash and the value; both None once taken back."""

    receipt_id: int
    hash: bytes | None
    value: Any


@dataclass(frozen=True, slots=True)
class LiveProduct:
    """A product's live values for a target; `changed` are the fields a publication changes."""

    product_id: int
    key: str
    group: str | None
    values: Mapping[str, Any]
    changed: frozenset[str]


def live_values(
    conn: Connection, channel: str, target: str, product_ids: Sequence[int]
) -> dict[int, dict[str, Live]]:
    """Give products' live values by field; those taken back have neither hash nor value."""
    found: dict[int, dict[str, Live]] = {}
    for start in range(0, len(product_ids), _IDS_A_QUERY):
        query = (
            select(published.c.product_id, published.c.field, receipts.c.id, receipts.c.hash,
                   receipts.c.value)
            .join(receipts, receipts.c.id == published.c.receipt_id)
            .where(published.c.channel == channel, published.c.target == target,
                   published.c.product_id.in_(product_ids[start : start + _IDS_A_QUERY]))
        )  # fmt: skip
        for product_id, name, receipt, digest, value in conn.execute(query).all():
            live = Live(receipt, digest, None if value is None else orjson.loads(value))
            found.setdefault(product_id, {})[name] = live
    return found


def live_pages(
    conn: Connection, publication: Publication, target: str, *, whole: bool, grouped: bool = False
) -> Iterator[list[list[LiveProduct]]]:
    """Give what a channel holds for a target once a publication is done, in pages of groups.

    With `whole` it is every product, else those alone of which the publication has values. With
    `grouped` the products of a group come together, where its first one stands.
    """
    after = 0
    while ids := _product_page(conn, publication, target, after, whole):
        after = ids[-1]
        sets = _by_group(conn, publication, target, ids, whole) if grouped else [[n] for n in ids]
        found = _live(conn, publication, target, [n for one in sets for n in one])
        pages = [[found[n] for n in one if n in found] for one in sets]
        yield [one for one in pages if one]


def _product_page(
    conn: Connection, publication: Publication, target: str, after: int, whole: bool
) -> list[int]:
    parts = [_own(publication, target).where(receipts.c.product_id > after)]
    if whole:
        parts.append(_standing(publication, target).where(published.c.product_id > after))
    limited = [
        select(part.distinct().order_by(part.selected_columns[0]).limit(PAGE).subquery())
        for part in parts
    ]
    query = union(*limited) if len(limited) > 1 else limited[0]
    return sorted(conn.execute(query).scalars())[:PAGE]


def _own(publication: Publication, target: str) -> Select[Any]:
    return select(receipts.c.product_id).where(
        receipts.c.publication_id == publication.id, receipts.c.target == target
    )


def _standing(publication: Publication, target: str) -> Select[Any]:
    return select(published.c.product_id).where(
        published.c.channel == publication.channel, published.c.target == target
    )


def _by_group(
    conn: Connection, publication: Publication, target: str, ids: Sequence[int], whole: bool
) -> list[list[int]]:
    """Set products of a page together with the live others of their groups."""
    pairs: dict[int, int | None] = {}
    for start in range(0, len(ids), _IDS_A_QUERY):
        query = select(products.c.id, products.c.group_id)
        rows = conn.execute(query.where(products.c.id.in_(ids[start : start + _IDS_A_QUERY])))
        pairs.update({row.id: row.group_id for row in rows})
    groups = sorted({group for group in pairs.values() if group is not None})
    members: dict[int, list[int]] = {}
    for start in range(0, len(groups), _IDS_A_QUERY):
        query = select(products.c.id, products.c.group_id).order_by(products.c.id)
        some = groups[start : start + _IDS_A_QUERY]
        own = _own(publication, target).where(receipts.c.product_id == products.c.id).exists()
        standing = _standing(publication, target)
        live = standing.where(published.c.product_id == products.c.id).exists()
        there = own | live if whole else own
        for row in conn.execute(query.where(products.c.group_id.in_(some), there)):
            members.setdefault(row.group_id, []).append(row.id)
    found = []
    for one in ids:
        group = pairs.get(one)
        together = [one] if group is None else members[group]
        if together[0] == one:  # the others of the group were given with their first one
            found.append(together)
    return found


def _live(
    conn: Connection, publication: Publication, target: str, ids: Sequence[int]
) -> dict[int, LiveProduct]:
    group = products.alias("grp")
    values: dict[int, dict[str, Any]] = {}
    changed: dict[int, set[str]] = {}
    for product_id, fields in live_values(conn, publication.channel, target, ids).items():
        values[product_id] = {name: live.value for name, live in fields.items()}
    found: dict[int, LiveProduct] = {}
    for start in range(0, len(ids), _IDS_A_QUERY):
        some = ids[start : start + _IDS_A_QUERY]
        own = select(receipts.c.product_id, receipts.c.field, receipts.c.value).where(
            receipts.c.publication_id == publication.id, receipts.c.target == target,
            receipts.c.product_id.in_(some),
        )  # fmt: skip
        for product_id, name, value in conn.execute(own).all():
            read = None if value is None else orjson.loads(value)
            values.setdefault(product_id, {})[name] = read
            changed.setdefault(product_id, set()).add(name)
        query = (
            select(products.c.id, products.c.key, group.c.key.label("group_key"))
            .outerjoin(group, group.c.id == products.c.group_id)
            .where(products.c.id.in_(some))
        )
        for row in conn.execute(query):
            there = {name: one for name, one in values.get(row.id, {}).items() if one is not None}
            if there:
                own_fields = frozenset(changed.get(row.id, ()))
                found[row.id] = LiveProduct(row.id, row.key, row.group_key, there, own_fields)
    return found
