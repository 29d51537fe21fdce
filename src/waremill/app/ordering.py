"""The order of a listing: which way of reading gives products sorted as asked.

- By a column with a facet index: value after value, each through the index, equal ones by id.
- By anything else: the ids are sorted by the database once, kept in memory (8 bytes a product) and
  paged from there. A million products take some seconds the first time after an import.

Both sort exactly as a run with the same `ORDER BY` does; the first products of a listing are those
that a limit would take.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, and_
from sqlglot import exp

from waremill.app.filtering import (
    FEW,
    SORTED,
    best_term,
    choose_streams,
    compile_order,
    compile_selection,
    entries,
    facet_of,
    index_name,
    lists_of,
)
from waremill.app.slotting import NO_SLOTS, Slots
from waremill.catalog.filter_syntax import column_name, parse
from waremill.catalog.json_values import number_in
from waremill.errors import ConfigError
from waremill.store import browsing
from waremill.store.browsing import Stream
from waremill.store.database import Dialect
from waremill.store.products import Catalog

MOST_SORTED = 2_000_000
MOST_VALUES = 200
"""Values of a facet that are walked one after the other."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Products that are equal in a listing's order: their name in a cursor, and their streams."""

    name: str
    streams: tuple[Stream, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """What a listing is of: a catalogue, what of it, in which order."""

    catalog: Catalog
    dialect: Dialect
    where: str | None
    order_by: str | None
    slots: Slots = NO_SLOTS

    @property
    def of_slots(self) -> bool:
        """Whether what it holds, or its order, changes with what is made for picture slots."""
        return self.slots.named_in(self.catalog.columns, self.where, self.order_by)

    def keys(self) -> list[ColumnElement[Any]]:
        """Compile the order."""
        return compile_order(self.catalog, self.order_by or "_key", self.dialect, self.slots)

    def check(self) -> None:
        """Raise SelectionError for a filter or an order that is not understood."""
        if self.where is not None:
            compile_selection(self.catalog, self.where, self.dialect, self.slots)
        if self.order_by is not None:
            self.keys()


def facet_order(conn: Connection, selection: Selection) -> tuple[str, bool] | None:
    """Give the facet's column and whether it is descending, where its index gives the order.

    None for any other order, and for a filter that lets so few through that sorting them is less.
    """
    terms = parse(selection.order_by or "", exp.Order).expressions
    if len(terms) != 1 or not isinstance(terms[0].this, exp.Column):
        return None
    catalog, slots = selection.catalog, selection.slots.names
    column = column_name(terms[0].this, tuple(dict.fromkeys((*catalog.columns, *slots, "_key"))))
    if column not in catalog.columns or index_name(column) not in browsing.indexed(conn):
        return None
    if column in slots:  # the index knows the catalogue's own pictures only
        return None
    if selection.where is not None:
        term = best_term(conn, catalog, selection.dialect, selection.where, slots)
        if term is not None and entries(conn, catalog, selection.dialect, term) <= FEW:
            return None
    return column, bool(terms[0].args.get("desc"))


def segments(
    selection: Selection, column: str, descending: bool, values: Mapping[Any, int]
) -> tuple[Segment, ...] | None:
    """Cut a listing by a facet's values in their order: numbers, texts, lists, what is missing.

    None where the index does not tell the kinds apart, or there are too many values.
    """
    texts = [one for one in values if isinstance(one, str) and not one.startswith("[")]
    lists = [one for one in values if isinstance(one, str) and one.startswith("[")]
    unclear = any(one is not None and not isinstance(one, str) for one in values)
    unclear = unclear or any(one.lower() in ("true", "false") or not one.strip() for one in texts)
    if unclear or len(texts) > MOST_VALUES or not all(map(_is_list, lists)):
        return None
    catalog, facet = selection.catalog, facet_of(column, selection.dialect)
    where = None
    if selection.where is not None:
        where = compile_selection(catalog, selection.where, selection.dialect, selection.slots)

    def segment(name: str, condition: ColumnElement[bool], number: int) -> Segment:
        many = selection.dialect == "postgresql" and number > SORTED
        if many:  # the catalogue's own order soon comes by enough of them
            both = condition if where is None else and_(condition, where)
            return Segment(name, (Stream(catalog.id, None, both),))
        mixed = selection.dialect == "postgresql" or name == "["
        return Segment(name, (Stream(catalog.id, condition, where, unordered=mixed),))

    found = [
        segment(f"={one}", facet == one, values[one]) for one in sorted(texts, key=_numbers_first)
    ]
    if lists:
        found.append(segment("[", lists_of(facet), sum(values[one] for one in lists)))
    if descending:
        found.reverse()
    return (*found, segment("", facet.is_(None), values.get(None, 0)))


def _numbers_first(text: str) -> tuple[bool, float, str]:
    number = number_in(text)
    return number is None, number or 0.0, text


def _is_list(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), list)
    except orjson.JSONDecodeError:
        return False


def sort(conn: Connection, selection: Selection) -> array[int]:
    """Give a selection's ids in its order; raise ConfigError where there are too many."""
    streams = choose_streams(
        conn, selection.catalog, selection.dialect, selection.where, selection.slots
    )
    found = browsing.read_order(conn, streams, selection.keys(), MOST_SORTED + 1)
    if len(found) > MOST_SORTED:
        raise ConfigError(
            f"more than {MOST_SORTED:,} products are not sorted by “{selection.order_by}”; "
            "narrow the selection, or leave the order out"
        )
    return found


def place_after(order: Sequence[int], position: int, last: int) -> int:
    """Say where to go on in an order that may have been made anew since."""
    if 0 < position <= len(order) and order[position - 1] == last:
        return position
    try:
        return order.index(last) + 1
    except ValueError:
        return min(position, len(order))


__all__ = ["Segment", "Selection", "facet_order", "place_after", "segments", "sort"]
