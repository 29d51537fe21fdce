"""Products in and out of the database: upsert by key with a content hash, groups, pages.

A product's old version is archived when it changes, since items pin the version they worked on.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

import orjson
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Select,
    Text,
    any_,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from waremill.domain import Product, content_version, is_missing
from waremill.errors import Conflict, NotFound
from waremill.store.bulk import BulkInsert, BulkUpdate, Values
from waremill.store.tables import AnyRow, catalogs, dumps, items, product_versions, products

KEYS_A_QUERY = 500
"""Keys looked up at once: SQLite's parameter limit is 999 in old builds."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Catalog:
    """A named set of products; `columns` are in the order they first appeared."""

    id: int
    name: str
    key_column: str | None
    group_column: str | None
    columns: tuple[str, ...]
    sheet: str | None = None
    source: str | None = None
    imports: int = 0
    team_id: int = 1


@dataclass(slots=True)
class Counts:
    """What an import did, by product."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    repeated: int = 0


class Content(NamedTuple):
    """Attributes as they are stored: JSON text without missing values, and its version."""

    document: str
    version: int


class NewProduct(NamedTuple):
    """One product to import: its key, its group's key, its place in the source, what it says.

    A product that is `whole` keeps nothing of what stood under its key before: a row known only by
    its place may be about another product each time.
    """

    key: str
    group: str | None
    position: int
    attributes: Mapping[str, Any] | Content
    whole: bool = False


def version_of(attributes: Mapping[str, Any]) -> int:
    """Give the version that attributes make; the order of names does not matter."""
    return content_version(orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS))


def list_catalogs(conn: Connection) -> list[Catalog]:
    """Give all catalogues by name."""
    rows = conn.execute(select(catalogs).order_by(catalogs.c.name))
    return [_catalog(row) for row in rows]


_NEW_CATALOG = BulkInsert(
    catalogs,
    ("name", "key_column", "group_column", "columns", "source", "sheet", "imports", "created_at",
     "team_id"),
    ("name",),
)  # fmt: skip


def find_catalog(conn: Connection, name: str | None) -> Catalog:
    """Find a catalogue by name; None means the only one."""
    return pick_catalog(list_catalogs(conn), name)


def pick_catalog(known: Sequence[Catalog], name: str | None) -> Catalog:
    """Pick a catalogue by name; None means the only one."""
    if name is None:
        if len(known) == 1:
            return known[0]
        if not known:
            raise NotFound("there is no catalogue yet; import a file first")
        names = ", ".join(catalog.name for catalog in known)
        raise NotFound(f"there are several catalogues ({names}); name one with --catalog")
    for catalog in known:
        if catalog.name == name:
            return catalog
    names = ", ".join(catalog.name for catalog in known) or "none"
    raise NotFound(f"there is no catalogue “{name}”; there are: {names}")


def _catalog(row: AnyRow) -> Catalog:
    return Catalog(
        row.id, row.name, row.key_column, row.group_column,
        tuple(orjson.loads(row.columns)), row.sheet, row.source, row.imports,
        row.team_id,
    )  # fmt: skip


def save_catalog(conn: Connection, wanted: Catalog, *, further: bool = False) -> Catalog:
    """Create a catalogue or widen its columns, and number the import; its key stays."""
    row = conn.execute(select(catalogs).where(catalogs.c.name == wanted.name)).one_or_none()
    if row is None:
        new = (wanted.name, wanted.key_column, wanted.group_column, dumps(wanted.columns),
               wanted.source, wanted.sheet, 1, time.time(), wanted.team_id)  # fmt: skip
        _NEW_CATALOG.run(conn, [new])  # passed over where another process was first
        return find_catalog(conn, wanted.name)
    known = _catalog(row)
    if known.team_id != wanted.team_id:
        raise Conflict(f"another team has a catalogue “{wanted.name}”; choose another name")
    if known.key_column != wanted.key_column:
        raise Conflict(
            f"the catalogue “{known.name}” is keyed by {_named(known.key_column)}, not by "
            f"{_named(wanted.key_column)}; give --key {known.key_column or '…'} or another "
            "--catalog"
        )
    columns = tuple(dict.fromkeys((*known.columns, *wanted.columns)))
    group = wanted.group_column or known.group_column
    conn.execute(
        update(catalogs)
        .where(catalogs.c.id == known.id)
        .values(columns=dumps(columns), group_column=group, source=wanted.source,
                sheet=wanted.sheet, imports=known.imports + (not further))
    )  # fmt: skip
    return find_catalog(conn, wanted.name)


def _named(column: str | None) -> str:
    return f"“{column}”" if column else "sheet and row"


def count_where(conn: Connection, catalog_id: int, where: ColumnElement[bool] | None) -> int:
    """Count the products a condition picks."""
    query = chosen(catalog_id, where).with_only_columns(products.c.id).subquery()
    return int(conn.execute(select(func.count()).select_from(query)).scalar_one())


def upsert(
    conn: Connection,
    catalog: Catalog,
    columns: Sequence[str],
    rows: Sequence[NewProduct],
    counts: Counts,
) -> None:
    """Insert new products and update changed ones, by key.

    Columns absent from `columns` keep the values they had. Of two rows with one key in a batch the
    later wins. `counts` is added to. The merged views of groups whose members changed are made anew
    in the same transaction, so that an import that stops half-way leaves none behind.
    """
    fresh = {row.key: row for row in rows}
    counts.repeated += len(rows) - len(fresh)
    # A first import meets new keys alone, until one comes back: then they are looked up.
    if conn.dialect.name == "postgresql" and catalog.imports == 1 and not counts.repeated:
        tried = replace(counts)
        with suppress(IntegrityError), conn.begin_nested():
            _write(conn, catalog, columns, fresh, {}, tried)
            counts.new = tried.new
            return
    existing = _existing(conn, catalog.id, list(fresh), is_group=False)
    _write(conn, catalog, columns, fresh, existing, counts)


def _write(
    conn: Connection,
    catalog: Catalog,
    columns: Sequence[str],
    fresh: Mapping[str, NewProduct],
    existing: Mapping[str, AnyRow],
    counts: Counts,
) -> None:
    groups = _group_ids(conn, catalog, [row.group for row in fresh.values() if row.group])
    # A source without the group's column says nothing about groups: products stay in theirs.
    silent = catalog.group_column is not None and catalog.group_column not in columns
    writes = _Writes()
    differing: list[_Differing] = []
    number = catalog.imports
    for key, row in fresh.items():
        content = _content(row.attributes)
        old = existing.get(key)
        group_id = groups[row.group] if row.group else None
        if old is None:
            writes.added.append((catalog.id, False, key, group_id, content.version, row.position,
                                 number, content.document))  # fmt: skip
            writes.touched.add(group_id)
            continue
        group_id = old.group_id if silent else group_id
        writes.seen.append((number, row.position, old.id))
        counts.repeated += old.import_number == number
        # What says the same as before says nothing about any column the source lacks.
        if content.version == old.version and group_id == old.group_id:
            counts.unchanged += old.import_number != number
        else:
            differing.append(_Differing(old, content, group_id, row.whole))
    counts.new += len(writes.added)
    for part in batched(differing):
        _change(conn, part, set(columns), number, writes, counts)
    writes.run(conn)


class _Differing(NamedTuple):
    """A product as it is, without its attributes, beside what a source says about it now."""

    old: AnyRow
    content: Content
    group_id: int | None
    whole: bool


def _change(
    conn: Connection,
    some: Sequence[_Differing],
    covered: Collection[str],
    number: int,
    writes: _Writes,
    counts: Counts,
) -> None:
    """Put what a source lacks beside what it says, and note what differs from before even then."""
    query = select(products.c.id, products.c.attributes)
    ids = [one.old.id for one in some]
    found = conn.execute(query.where(products.c.id.in_(ids)))
    before = {row.id: row.attributes for row in found}
    for old, said, group_id, whole in some:
        content = said
        was = before[old.id]
        kept = {} if whole else {name: was[name] for name in was if name not in covered}
        if kept:
            content = _content({**kept, **orjson.loads(said.document)})
        changed = content.version != old.version or group_id != old.group_id
        if old.import_number != number:
            counts.changed += changed
            counts.unchanged += not changed
        if not changed:
            continue
        writes.touched |= {group_id, old.group_id}
        writes.changed.append((content.version, content.document, group_id, old.id))
        if content.version != old.version:
            writes.archived.append(
                {"product_id": old.id, "version": old.version, "attributes": was}
            )


def _content(attributes: Mapping[str, Any] | Content) -> Content:
    if isinstance(attributes, Content):
        return attributes
    present = {name: value for name, value in attributes.items() if not is_missing(value)}
    return Content(dumps(present), version_of(present))


_ADDED = BulkInsert(
    products,
    ("catalog_id", "is_group", "key", "group_id", "version", "position", "import_number",
     "attributes"),
)  # fmt: skip
_CHANGED = BulkUpdate(products, ("version", "attributes", "group_id"))
_MERGED = BulkUpdate(products, ("version", "attributes"))
_SEEN = BulkUpdate(products, ("import_number", "position"))


@dataclass(slots=True)
class _Writes:
    """What a batch writes: products added, changed and merely seen (as rows of the statements
    above), versions to archive, groups whose members changed.
    """

    added: list[Values] = field(default_factory=list)
    changed: list[Values] = field(default_factory=list)
    archived: list[dict[str, Any]] = field(default_factory=list)
    seen: list[Values] = field(default_factory=list)
    touched: set[int | None] = field(default_factory=set)

    def run(self, conn: Connection) -> None:
        """Write everything in the caller's transaction."""
        _ADDED.run(conn, self.added)
        _archive(conn, self.archived)
        _CHANGED.run(conn, self.changed)
        _SEEN.run(conn, self.seen)
        for part in batched(sorted(number for number in self.touched if number is not None)):
            refresh_groups(conn, part)


def _existing(
    conn: Connection, catalog_id: int, keys: Sequence[str], *, is_group: bool
) -> dict[str, AnyRow]:
    """Find products by key, without their attributes."""
    columns = (products.c.id, products.c.key, products.c.version, products.c.group_id,
               products.c.import_number)  # fmt: skip
    query = select(*columns).where(
        products.c.catalog_id == catalog_id,
        products.c.is_group.is_(is_group),
        _key_among(conn, keys),
    )
    return {row.key: row for row in conn.execute(query)}


def _key_among(conn: Connection, keys: Sequence[str]) -> ColumnElement[bool]:
    """Give the condition that a product has one of the keys, which are one parameter."""
    if conn.dialect.name == "sqlite":
        each = func.json_each(dumps(keys)).table_valued("value")
        return products.c.key.in_(select(each.c.value))
    return products.c.key == any_(literal(list(keys), ARRAY(Text)))


def _archive(conn: Connection, versions: list[dict[str, Any]]) -> None:
    """Keep old versions where any item may still need them."""
    if not versions or conn.execute(select(items.c.id).limit(1)).first() is None:
        return
    if conn.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as upsert_into
    else:
        from sqlalchemy.dialects.postgresql import (  # type: ignore[assignment]
            insert as upsert_into,
        )
    conn.execute(upsert_into(product_versions).on_conflict_do_nothing(), versions)


def _group_ids(conn: Connection, catalog: Catalog, keys: Iterable[str]) -> dict[str, int]:
    wanted = list(dict.fromkeys(keys))
    if not wanted:
        return {}
    found = {k: row.id for k, row in _existing(conn, catalog.id, wanted, is_group=True).items()}
    missing = [key for key in wanted if key not in found]
    if missing:
        conn.execute(
            insert(products),
            [
                {"catalog_id": catalog.id, "is_group": True, "key": key, "group_id": None,
                 "version": 0, "position": 0, "import_number": catalog.imports, "attributes": {}}
                for key in missing
            ],
        )  # fmt: skip
        fresh = _existing(conn, catalog.id, missing, is_group=True)
        found.update((key, row.id) for key, row in fresh.items())
    return found


def refresh_groups(conn: Connection, numbers: Sequence[int]) -> None:
    """Make the merged views of groups anew.

    A value all members share stays as it is; values that differ become a list in members' order.
    """
    query = select(products.c.id, products.c.version, products.c.attributes).where(
        products.c.id.in_(numbers)
    )
    groups = {row.id: row for row in conn.execute(query)}
    members: dict[int, list[dict[str, Any]]] = {}
    inside = (
        select(products.c.group_id, products.c.attributes)
        .where(products.c.group_id.in_(numbers), products.c.is_group.is_(False))
        .order_by(products.c.group_id, products.c.position, products.c.id)
    )
    for row in conn.execute(inside):
        members.setdefault(row.group_id, []).append(row.attributes)
    changed, archived = [], []
    for number, group in groups.items():
        attributes = merge_members(members.get(number, []))
        version = version_of(attributes)
        if version != group.version:
            changed.append((version, dumps(attributes), number))
            if group.version:
                archived.append({"product_id": number, "version": group.version,
                                 "attributes": group.attributes})  # fmt: skip
    _archive(conn, archived)
    _MERGED.run(conn, changed)


def batched(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut values into parts that fit one query."""
    for start in range(0, len(values), KEYS_A_QUERY):
        yield values[start : start + KEYS_A_QUERY]


def merge_members(members: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge members' attributes: one shared value, or the list of distinct ones."""
    merged: dict[str, list[Any]] = {}
    for member in members:
        for name, value in member.items():
            for one in value if isinstance(value, list) else [value]:
                seen = merged.setdefault(name, [])
                if one not in seen:
                    seen.append(one)
    return {name: seen[0] if len(seen) == 1 else seen for name, seen in merged.items()}


def chosen(
    catalog_id: int, where: ColumnElement[bool] | None = None, *, groups: bool = False
) -> Select[Any]:
    """Select a catalogue's products (or its groups) that a condition picks."""
    query = select(products).where(
        products.c.catalog_id == catalog_id, products.c.is_group.is_(groups)
    )
    return query if where is None else query.where(where)


def pages(conn: Connection, query: Select[Any], size: int = 1000) -> Iterator[list[Product]]:
    """Read a query over `products` in pages, streaming."""
    result = conn.execute(query, execution_options={"yield_per": size})
    for part in result.partitions(size):
        yield [as_product(row) for row in part]


def as_product(row: AnyRow) -> Product:
    """Make a product of a row of `products`."""
    return Product(row.id, row.key, row.attributes, row.version, None, row.position)


def products_of(conn: Connection, numbers: Sequence[int]) -> list[Product]:
    """Give products by their row ids, in the ids' order; those that are gone are left out."""
    found: list[Product] = []
    for part in batched(numbers):
        query = select(products).where(products.c.id.in_(part)).order_by(products.c.id)
        found += map(as_product, conn.execute(query))
    return found


def widen_catalog(conn: Connection, catalog: Catalog, columns: Sequence[str]) -> None:
    """Add columns a source named only after its first rows."""
    known = find_catalog(conn, catalog.name).columns
    merged = tuple(dict.fromkeys((*known, *columns)))
    if merged != known:
        conn.execute(
            update(catalogs).where(catalogs.c.id == catalog.id).values(columns=dumps(merged))
        )


def group_of(conn: Connection, group_id: int) -> Product:
    """Give the merged view of a group."""
    return as_product(conn.execute(select(products).where(products.c.id == group_id)).one())
