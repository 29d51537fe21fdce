"""What an import would make of rows: new, changed or unchanged products. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import ARRAY, ColumnElement, Connection, Text, any_, func, literal, select

from waremill.domain import is_missing
from waremill.store.browsing import listed
from waremill.store.products import Catalog, Content, NewProduct, version_of
from waremill.store.tables import AnyRow, dumps, products


class Verdict(StrEnum):
    """What an import would find a row to be."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


def compare(
    conn: Connection,
    catalog: Catalog,
    rows: Sequence[NewProduct],
    columns: Sequence[str],
    group_column: str | None,
) -> dict[str, Verdict]:
    """Say of each row's key what an import would find; each key stands in one row.

    As when importing, columns that a source lacks keep their values, and a source without the
    group's column leaves products in their groups.
    """
    existing = _existing(conn, catalog.id, [row.key for row in rows])
    silent = group_column is not None and group_column not in columns
    found: dict[str, Verdict] = {}
    unclear: list[NewProduct] = []
    for row in rows:
        old = existing.get(row.key)
        if old is None:
            found[row.key] = Verdict.NEW
        elif not silent and old.group_key != row.group:
            found[row.key] = Verdict.CHANGED
        elif isinstance(row.attributes, Content) and row.attributes.version == old.version:
            found[row.key] = Verdict.UNCHANGED
        else:
            unclear.append(row)
    if unclear:
        before = _before(conn, [existing[row.key].id for row in unclear])
        for row in unclear:
            old = existing[row.key]
            alike = _version(row, before[old.id], columns) == old.version
            found[row.key] = Verdict.UNCHANGED if alike else Verdict.CHANGED
    return found


def attributes_of(row: NewProduct) -> dict[str, Any]:
    """Give what a row says, without missing values."""
    said = row.attributes
    if isinstance(said, Content):
        found: dict[str, Any] = orjson.loads(said.document)
        return found
    return {name: value for name, value in said.items() if not is_missing(value)}


def _version(row: NewProduct, was: Mapping[str, Any], columns: Sequence[str]) -> int:
    kept = {} if row.whole else {name: was[name] for name in was if name not in columns}
    return version_of({**kept, **attributes_of(row)})


def _before(conn: Connection, numbers: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    query = select(products.c.id, products.c.attributes).where(
        products.c.id.in_(listed(conn, numbers))
    )
    return {row.id: row.attributes for row in conn.execute(query)}


def _existing(conn: Connection, catalog_id: int, keys: Sequence[str]) -> dict[str, AnyRow]:
    group = products.alias("grp")
    query = (
        select(products.c.id, products.c.key, products.c.version,
               group.c.key.label("group_key"))
        .outerjoin(group, group.c.id == products.c.group_id)
        .where(products.c.catalog_id == catalog_id, products.c.is_group.is_(False),
               _key_among(conn, keys))
    )  # fmt: skip
    return {row.key: row for row in conn.execute(query)}


def _key_among(conn: Connection, keys: Sequence[str]) -> ColumnElement[bool]:
    if conn.dialect.name == "sqlite":
        each = func.json_each(dumps(list(keys))).table_valued("value")
        return products.c.key.in_(select(each.c.value))
    return products.c.key == any_(literal(list(keys), ARRAY(Text)))
