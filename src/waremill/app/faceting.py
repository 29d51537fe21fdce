"""What a catalogue holds: its facets with counts, and which attributes are missing how often.

A facet is a column of text with few different values. In a large catalogue those are the columns
with a facet index, and the index counts them; under a filter that lets many products through, a
sample spread over the catalogue is counted and scaled up, and the answer says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from waremill.app.filtering import (
    FEW,
    best_term,
    choose_streams,
    compile_selection,
    entries,
    facet_of,
    index_name,
)
from waremill.app.remembering import remembered
from waremill.app.walking import spread, stretches
from waremill.catalog.json_values import can_be_facet
from waremill.domain import category_of, is_missing
from waremill.rules.schema import Schema, schema_for
from waremill.store import browsing
from waremill.store.browsing import Stream, Stretch
from waremill.store.database import Database
from waremill.store.products import Catalog

SMALL = 20_000
"""Products that are looked through one by one for facets, without an index."""
MOST_FACETS = 12
MOST_VALUES = 50
"""Values a column may have to be a facet; of an indexed one as many are shown."""
MOST_DISTINCT = 1_000
EXACT_FACETS = 100_000
EXACT_COMPLETENESS = 200_000
"""Products that are all looked at under a filter; of more, a sample is."""
PIECES, PIECE_ROWS = 100, 500


@dataclass(frozen=True, slots=True)
class Facet:
    """A column with few values: each with how many products have it, the most frequent first.

    `missing` products have none; `more` is how many further values there are. Where not `exact`,
    numbers are scaled up from a sample.
    """

    column: str
    values: tuple[tuple[str, int], ...]
    missing: int = 0
    more: int = 0
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Completeness:
    """How often an attribute is missing among the products of a schema's category.

    A category of '' is what no schema describes: there every column of the catalogue stands. Where
    not `exact`, `missing` and `total` are those of a sample.
    """

    category: str
    attribute: str
    required: bool
    missing: int
    total: int
    exact: bool = True


@dataclass(slots=True)
class Tally:
    """Products and filled attributes by category."""

    totals: Counter[str | None] = field(default_factory=Counter)
    filled: dict[str | None, Counter[str]] = field(default_factory=dict)

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Count products."""
        for attributes in rows:
            category = category_of(attributes)
            self.totals[category] += 1
            names = [name for name, value in attributes.items() if not is_missing(value)]
            self.filled.setdefault(category, Counter()).update(names)


async def signature(database: Database, catalog: Catalog) -> tuple[int, ...]:
    """Give what tells a catalogue from itself after an import."""
    _, last = await database.read(browsing.first_and_last, catalog.id)
    return catalog.id, catalog.imports, last


async def size_of(database: Database, catalog: Catalog) -> int:
    """Count a catalogue's products; what was counted lately is known."""

    async def work() -> int:
        return await database.read(browsing.count_stretch, (Stream(catalog.id),), Stretch())

    key = ("size", *await signature(database, catalog))
    return await remembered(database).get(key, work)


async def facet_texts(
    database: Database, catalog: Catalog, column: str
) -> dict[str | None, int] | None:
    """Count the texts of an indexed column as the index has them; None where they are too many."""

    async def work() -> dict[str | None, int] | None:
        facet = facet_of(column, database.dialect)
        return await database.read(browsing.facet_texts, catalog.id, facet, MOST_DISTINCT)

    key: Hashable = ("texts", column, *await signature(database, catalog))
    return await remembered(database).get(key, work)


async def facets_of(database: Database, catalog: Catalog, where: str | None) -> tuple[Facet, ...]:
    """Give a catalogue's facets, counted over what a filter picks."""
    known = await database.read(browsing.indexed)
    columns = [one for one in catalog.columns if index_name(one) in known]
    if not columns and await size_of(database, catalog) <= SMALL:
        columns = await _few_values(database, catalog)
    elif where is None:
        return await _by_index(database, catalog, columns)
    if not columns:
        return ()
    return await _looked_at(database, catalog, columns, where)


async def _by_index(
    database: Database, catalog: Catalog, columns: Sequence[str]
) -> tuple[Facet, ...]:
    found = []
    for column in columns:
        texts = await facet_texts(database, catalog, column)
        if texts is not None:
            found.append(_facet(column, _entries(texts.items())))
    return tuple(one for one in found if one.values)


async def _few_values(database: Database, catalog: Catalog) -> list[str]:
    """Name a small catalogue's columns of text whose values repeat."""

    def look(conn: Connection) -> list[str]:
        values: dict[str, Counter[str]] = {}
        for attributes in browsing.read_attributes(conn, (Stream(catalog.id),), Stretch()):
            for name, value in attributes.items():
                if isinstance(value, str) and len(values.setdefault(name, Counter())) < SMALL:
                    values[name][value] += 1
        found = [
            name for name, counted in values.items()
            if 2 <= len(counted) <= MOST_VALUES and len(counted) * 2 <= counted.total()
            and can_be_facet(name)
        ]  # fmt: skip
        fullest = sorted(found, key=lambda name: -values[name].total())[:MOST_FACETS]
        return [name for name in catalog.columns if name in fullest]

    async def work() -> list[str]:
        return await database.read(look)

    key = ("columns", *await signature(database, catalog))
    return await remembered(database).get(key, work)


async def _looked_at(
    database: Database, catalog: Catalog, columns: Sequence[str], where: str | None
) -> tuple[Facet, ...]:
    """Count facets by looking at products: at all that a filter picks, or at a sample."""
    shown = [facet_of(column, database.dialect) for column in columns]

    async def work() -> tuple[Facet, ...]:
        streams, parts, exact = await _parts(database, catalog, where, EXACT_FACETS)
        counted: list[Counter[str | None]] = [Counter() for _ in columns]
        seen = 0

        def look(conn: Connection, part: Stretch) -> int:
            rows = 0
            for row in browsing.read_values(conn, streams, part, shown):
                rows += 1
                for tally, value in zip(counted, row, strict=True):
                    tally[value] += 1
            return rows

        for part in parts:
            seen += await database.read(look, part)
        scale = 1.0
        if not exact:
            scale = await size_of(database, catalog) / max(1, PIECES * PIECE_ROWS)
        return tuple(
            facet
            for column, tally in zip(columns, counted, strict=True)
            if (facet := _facet(column, _entries(tally.items()), scale, exact)).values
        )

    key = ("facets", where, *await signature(database, catalog))
    return await remembered(database).get(key, work)


async def _parts(
    database: Database, catalog: Catalog, where: str | None, most: int
) -> tuple[tuple[Stream, ...], list[Stretch], bool]:
    """Give what to look at of a selection: all of it, or a sample of a catalogue above `most`."""

    def few(conn: Connection) -> bool:
        if where is None:
            return False
        term = best_term(conn, catalog, database.dialect, where)
        return term is not None and entries(conn, catalog, database.dialect, term) <= FEW

    dialect = database.dialect
    if await size_of(database, catalog) <= most or await database.read(few):
        streams = await database.read(choose_streams, catalog, dialect, where)
        return streams, [part async for part in stretches(database, streams)], True
    condition = None if where is None else compile_selection(catalog, where, dialect)
    parts = await database.read(spread, catalog.id, PIECES, PIECE_ROWS)
    return (Stream(catalog.id, None, condition),), parts, False


def _entries(counted: Iterable[tuple[Any, int]]) -> Counter[str | None]:
    """Count lists' entries one by one: a filter finds a product by each of them."""
    found: Counter[str | None] = Counter()
    for value, number in counted:
        for one in browsing.entries_of(value):
            found[one] += number
    return found


def _facet(
    column: str, counted: Counter[str | None], scale: float = 1.0, exact: bool = True
) -> Facet:
    missing = counted.pop(None, 0)
    ordered = sorted(counted.items(), key=lambda pair: (-pair[1], str(pair[0])))
    values = tuple((str(value), round(number * scale)) for value, number in ordered[:MOST_VALUES])
    return Facet(column, values, round(missing * scale), len(ordered) - len(values), exact)


async def completeness_of(
    database: Database, catalog: Catalog, schemas: Mapping[str, Schema], where: str | None
) -> tuple[Completeness, ...]:
    """Say which attribute is missing how often, by the schema of the products' category."""

    async def work() -> tuple[Tally, bool]:
        streams, parts, exact = await _parts(database, catalog, where, EXACT_COMPLETENESS)
        tally = Tally()

        def look(conn: Connection, part: Stretch) -> None:
            tally.add(browsing.read_attributes(conn, streams, part))

        for part in parts:
            await database.read(look, part)
        return tally, exact

    key = ("completeness", where, *await signature(database, catalog))
    tally, exact = await remembered(database).get(key, work)
    return _by_schema(tally, schemas, catalog.columns, exact)


def _by_schema(
    tally: Tally, schemas: Mapping[str, Schema], columns: Sequence[str], exact: bool
) -> tuple[Completeness, ...]:
    totals: Counter[str] = Counter()
    filled: dict[str, Counter[str]] = {}
    known: dict[str, Schema] = {}
    for category, total in tally.totals.items():
        schema = schema_for(schemas, category)
        name = "" if schema is None else schema.category
        if schema is not None:
            known[name] = schema
        totals[name] += total
        filled.setdefault(name, Counter()).update(tally.filled.get(category, {}))
    lines = []
    for name in sorted(totals, key=lambda one: (one == "", one)):
        wanted = [(column, False) for column in columns]
        if name in known:
            wanted = [(one.name, one.required) for one in known[name].attributes]
        lines += [
            Completeness(name, attribute, required, totals[name] - filled[name][attribute],
                         totals[name], exact)
            for attribute, required in wanted
        ]  # fmt: skip
    return tuple(lines)


__all__ = [
    "Completeness",
    "Facet",
    "completeness_of",
    "facet_texts",
    "facets_of",
    "signature",
    "size_of",
]
