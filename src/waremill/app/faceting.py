"""What a catalogue holds: its facets with counts, and which attributes are missing how often.

Picture slots are attributes too: what was made for one fills it.

A facet is a column of text with few different values. In a large catalogue those are the columns
with a facet index, and the index counts them; under a filter that lets many products through, a
sample spread over the catalogue is counted and scaled up, and the answer says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
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
from waremill.app.slotting import NO_SLOTS, Slots, held, taken
from waremill.app.walking import spread, stretches
from waremill.catalog.json_values import can_be_facet
from waremill.domain import category_of, is_missing
from waremill.rules import Attribute, Channel, Schema, schema_for, slot_names
from waremill.store import browsing
from waremill.store import slots as store_slots
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
    not `exact`, `missing` and `total` are those of a sample. A picture slot is filled by what was
    made for any target too; where `target` is not None, for that one (or for all at once) only.
    """

    category: str
    attribute: str
    required: bool
    missing: int
    total: int
    exact: bool = True
    slot: bool = False
    target: str | None = None


@dataclass(slots=True)
class Tally:
    """Products and filled attributes by category; of slots, filled ones by target as well."""

    slots: Slots = NO_SLOTS
    totals: Counter[str | None] = field(default_factory=Counter)
    filled: dict[str | None, Counter[str]] = field(default_factory=dict)
    by_target: dict[str | None, Counter[store_slots.Pair]] = field(default_factory=dict)

    def add(self, rows: Iterable[tuple[Mapping[str, Any], frozenset[store_slots.Pair]]]) -> None:
        """Count products, each with what was made for its slots."""
        slots, targets = frozenset(self.slots.names), self.slots.targets or ()
        for attributes, made in rows:
            category = category_of(attributes)
            self.totals[category] += 1
            names = {name for name, value in attributes.items() if not is_missing(value)}
            own = names & slots
            if targets and (own or made):
                found = _for_targets(own, made, targets)
                self.by_target.setdefault(category, Counter()).update(found)
            names.update(slot for _, slot in made)
            self.filled.setdefault(category, Counter()).update(names)


def _for_targets(
    own: frozenset[str] | set[str], made: frozenset[store_slots.Pair], targets: Sequence[str]
) -> Iterator[store_slots.Pair]:
    """Give the (target, slot) pairs that are filled by the catalogue or by what was made."""
    for slot in own.union(slot for _, slot in made):
        once = slot in own or ("", slot) in made
        yield from ((target, slot) for target in targets if once or (target, slot) in made)


async def signature(database: Database, catalog: Catalog, *, made: bool = False) -> tuple[int, ...]:
    """Give what tells a catalogue from itself after an import; `made`: and after anything was made.

    The latter is for what depends on picture slots.
    """
    _, last = await database.read(browsing.first_and_last, catalog.id)
    newest = await database.read(store_slots.mark) if made else ()
    return (catalog.id, catalog.imports, last, *newest)


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


async def facets_of(
    database: Database, catalog: Catalog, where: str | None, slots: Slots = NO_SLOTS
) -> tuple[Facet, ...]:
    """Give a catalogue's facets, counted over what a filter picks."""
    known = await database.read(browsing.indexed)
    columns = [one for one in catalog.columns if index_name(one) in known]
    if not columns and await size_of(database, catalog) <= SMALL:
        columns = await _few_values(database, catalog)
    elif where is None:
        return await _by_index(database, catalog, columns)
    if not columns:
        return ()
    return await _looked_at(database, catalog, columns, where, slots)


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
    database: Database, catalog: Catalog, columns: Sequence[str], where: str | None, slots: Slots
) -> tuple[Facet, ...]:
    """Count facets by looking at products: at all that a filter picks, or at a sample."""
    shown = [facet_of(column, database.dialect) for column in columns]

    async def work() -> tuple[Facet, ...]:
        streams, parts, exact = await _parts(database, catalog, where, slots, EXACT_FACETS)
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

    named = slots.named_in(catalog.columns, where)
    asked = (where, slots) if named else (where,)
    key = ("facets", *asked, *await signature(database, catalog, made=named))
    return await remembered(database).get(key, work)


async def _parts(
    database: Database, catalog: Catalog, where: str | None, slots: Slots, most: int
) -> tuple[tuple[Stream, ...], list[Stretch], bool]:
    """Give what to look at of a selection: all of it, or a sample of a catalogue above `most`."""

    def few(conn: Connection) -> bool:
        if where is None:
            return False
        term = best_term(conn, catalog, database.dialect, where, slots.names)
        return term is not None and entries(conn, catalog, database.dialect, term) <= FEW

    dialect = database.dialect
    if await size_of(database, catalog) <= most or await database.read(few):
        streams = await database.read(choose_streams, catalog, dialect, where, slots)
        return streams, [part async for part in stretches(database, streams)], True
    condition = None if where is None else compile_selection(catalog, where, dialect, slots)
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
    database: Database,
    catalog: Catalog,
    schemas: Mapping[str, Schema],
    where: str | None,
    targets: Mapping[str, Channel | None] | None = None,
) -> tuple[Completeness, ...]:
    """Say which attribute is missing how often, by the schema of the products' category.

    With targets, each with its channel, the slots that one takes come once for each, after all
    other attributes and in its own order.
    """
    # What the selection itself asks of slots is asked for the same targets.
    slots = Slots(slot_names(schemas), tuple(targets or ()) or None)

    async def work() -> tuple[Tally, bool]:
        streams, parts, exact = await _parts(database, catalog, where, slots, EXACT_COMPLETENESS)
        tally = Tally(slots)
        holds = {name: held(name, database.dialect) for name in slots.names}

        def look(conn: Connection, part: Stretch) -> None:
            if holds:
                tally.add(store_slots.read_attributes(conn, streams, part, holds))
            else:
                rows = browsing.read_attributes(conn, streams, part)
                tally.add((attributes, frozenset()) for attributes in rows)

        for part in parts:
            await database.read(look, part)
        return tally, exact

    mark = await signature(database, catalog, made=bool(slots.names))
    tally, exact = await remembered(database).get(("completeness", where, slots, *mark), work)
    return _by_schema(tally, schemas, catalog.columns, targets or {}, exact)


def _by_schema(
    tally: Tally,
    schemas: Mapping[str, Schema],
    columns: Sequence[str],
    targets: Mapping[str, Channel | None],
    exact: bool,
) -> tuple[Completeness, ...]:
    whole: dict[str, Tally] = {}
    known: dict[str, Schema] = {}
    for category, total in tally.totals.items():
        schema = schema_for(schemas, category)
        name = "" if schema is None else schema.category
        if schema is not None:
            known[name] = schema
        summed = whole.setdefault(name, Tally(tally.slots))
        summed.totals[name] += total
        summed.filled.setdefault(name, Counter()).update(tally.filled.get(category, {}))
        summed.by_target.setdefault(name, Counter()).update(tally.by_target.get(category, {}))
    return tuple(
        line
        for name in sorted(whole, key=lambda one: (one == "", one))
        for line in _lines(
            whole[name], name, known.get(name) or _of_columns(columns), targets, exact
        )
    )


def _of_columns(columns: Sequence[str]) -> Schema:
    """Give what stands in for the schema of a category that has none: the catalogue's columns."""
    return Schema("", tuple(map(Attribute, columns)))


def _lines(
    tally: Tally,
    category: str,
    schema: Schema,
    targets: Mapping[str, Channel | None],
    exact: bool,
) -> Iterator[Completeness]:
    total, filled = tally.totals[category], tally.filled[category]
    for one in schema.attributes:
        slot = one.type == "image"
        if not slot or not targets:
            yield Completeness(category, one.name, one.required, total - filled[one.name],
                               total, exact, slot)  # fmt: skip
    by_target = tally.by_target[category]
    for target, channel in targets.items():
        for one in taken(schema, {target: channel}):
            yield Completeness(category, one.name, one.required,
                               total - by_target[target, one.name], total, exact, True,
                               target)  # fmt: skip


__all__ = [
    "Completeness",
    "Facet",
    "completeness_of",
    "facet_texts",
    "facets_of",
    "signature",
    "size_of",
]
