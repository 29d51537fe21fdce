"""Which index serves a filter: from a `WHERE` to the streams of products that answer it.

A condition `column = 'text'`, `column IN (…)` or `missing(column)` that must hold is answered by
the column's facet index, where there is one; of several, by the one that gives the fewest. All else
is checked row by row. That a product's missing values are never stored is the store's promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_
from sqlglot import exp

from waremill.app.slotting import NO_SLOTS, Slots
from waremill.catalog.filter_syntax import chain, column_name, parse
from waremill.catalog.json_values import DATABASES, can_be_facet, number_in
from waremill.catalog.selection import compile_order_by, compile_where, facet_index
from waremill.store import browsing
from waremill.store.browsing import Condition, Stream
from waremill.store.database import Dialect
from waremill.store.products import Catalog
from waremill.store.tables import products

FEW = 20_000
"""Index entries so few that an index is not chosen by counting further."""
SORTED = 100_000
"""Index entries that are sorted for a page. Of more, every tenth product of a million is one: the
catalogue's own order soon comes by enough of them."""


EXTRA = ("_key", "_findings", "_status", "_target")
"""Names a filter may use beside a catalogue's columns."""


@dataclass(frozen=True, slots=True)
class Term:
    """A condition that an index answers: a column, or `_key`, is one of some texts.

    None among the texts stands for a missing value. The index of a slot's own attribute does not
    know what was made for it: there it gives too many, and the term is not `exact`.
    """

    column: str
    texts: tuple[str | None, ...]
    exact: bool = True

    def ways(self, dialect: Dialect) -> list[Condition]:
        """Give the conditions an index answers; each product is picked by at most one of them.

        They let through all that the term does, and lists in which it must be looked for.
        """
        if self.column == "_key":
            return [products.c.key == one for one in self.texts]
        facet = facet_of(self.column, dialect)
        found = [facet.is_(None) if one is None else facet == one for one in self.texts]
        return found if self.texts == (None,) else [*found, lists_of(facet)]


def compile_selection(
    catalog: Catalog, where: str, dialect: Dialect, slots: Slots = NO_SLOTS
) -> Condition:
    """Compile a selection's `WHERE` over a catalogue's attributes, picture slots and `_key`."""
    return compile_where(
        where, products.c.attributes, catalog.columns, dialect, {"_key": products.c.key},
        slots.conditions(dialect),
    )  # fmt: skip


def compile_order(
    catalog: Catalog, order_by: str, dialect: Dialect, slots: Slots = NO_SLOTS
) -> list[ColumnElement[Any]]:
    """Compile a selection's `ORDER BY` over the same names."""
    return compile_order_by(
        order_by, products.c.attributes, catalog.columns, dialect, {"_key": products.c.key},
        slots.conditions(dialect),
    )  # fmt: skip


def facet_of(column: str, dialect: Dialect) -> ColumnElement[str]:
    """Give the expression that a column's facet index is over."""
    return DATABASES[dialect].facet(products.c.attributes, column)


@lru_cache(maxsize=1024)
def index_name(column: str) -> str | None:
    """Give the name a column's facet index has, whether or not it is there."""
    made = facet_index(column, products.c.attributes, "sqlite", leading=("catalog_id", "is_group"))
    return None if made is None else made[0]


def facet_terms(where: str, columns: Sequence[str], slots: Sequence[str] = ()) -> tuple[Term, ...]:
    """Give the terms that must hold: `x = 'a'`, `x IN ('a', 'b')`, `missing(x)`, `x IS NULL`.

    `slots` are names of picture slots. A text that reads as a number or a truth value may equal
    what is no text, and one that begins like a list is not told from it in an index: neither makes
    a term.
    """
    parts = chain(parse(where, exp.Condition), exp.And)
    return tuple(term for part in parts if (term := _term(part, columns, slots)) is not None)


def _term(part: exp.Expr, columns: Sequence[str], slots: Sequence[str]) -> Term | None:
    column, texts = _asked(part)
    if column is None:
        return None
    name = column_name(column, tuple(dict.fromkeys((*columns, *slots, *EXTRA))))
    if name == "_key" and None not in texts:
        return Term(name, texts)
    if name not in columns or not can_be_facet(name) or not all(map(_is_plain, texts)):
        return None
    return Term(name, texts, exact=name not in slots)


def _asked(part: exp.Expr) -> tuple[exp.Column | None, tuple[str | None, ...]]:
    """Give the column a condition is about, and the texts it may be; no column for any other."""
    nothing: tuple[None, tuple[str | None, ...]] = None, ()
    if part.args.get("negate"):
        return nothing
    if isinstance(part, exp.Anonymous) and part.name.lower() == "missing":
        only = part.expressions[0] if len(part.expressions) == 1 else None
        return (only, (None,)) if isinstance(only, exp.Column) else nothing
    if not isinstance(part.this, exp.Column):
        return nothing
    if isinstance(part, exp.Is):
        return (part.this, (None,)) if isinstance(part.expression, exp.Null) else nothing
    if not isinstance(part, exp.EQ | exp.In):
        return nothing
    values = part.expressions if isinstance(part, exp.In) else [part.expression]
    if not values or not all(isinstance(one, exp.Literal) and one.is_string for one in values):
        return nothing
    return part.this, tuple(dict.fromkeys(one.this for one in values))


def _is_plain(text: str | None) -> bool:
    return text is None or (
        number_in(text) is None
        and text.lower() not in ("true", "false")
        and not text.startswith("[")
    )


def choose_streams(
    conn: Connection,
    catalog: Catalog,
    dialect: Dialect,
    where: str | None,
    slots: Slots = NO_SLOTS,
) -> tuple[Stream, ...]:
    """Give the streams whose products together are what a filter picks, each product in one."""
    if where is None:
        return (Stream(catalog.id),)
    condition = compile_selection(catalog, where, dialect, slots)
    term = best_term(conn, catalog, dialect, where, slots.names)
    if term is None:
        return (Stream(catalog.id, None, condition),)
    if dialect == "postgresql" and entries(conn, catalog, dialect, term, SORTED) > SORTED:
        return (Stream(catalog.id, None, condition),)
    # The first ways are one value each; what follows is the range of lists.
    found = [
        Stream(catalog.id, way, condition, unordered=unordered(dialect, place, term))
        for place, way in enumerate(term.ways(dialect))
    ]
    if term.exact and len(chain(parse(where, exp.Condition), exp.And)) == 1:
        # Nothing else is asked for: the index alone says which products have a text.
        number = len(term.texts)
        found[:number] = [replace(one, where=None) for one in found[:number]]
    return tuple(found)


def unordered(dialect: Dialect, place: int, term: Term) -> bool:
    """Say whether an index gives a way of a term in another order than that of ids.

    SQLite keeps the entries of one value in that order; PostgreSQL keeps them in none.
    """
    return dialect == "postgresql" or place >= len(term.texts)


def best_term(
    conn: Connection,
    catalog: Catalog,
    dialect: Dialect,
    where: str,
    slots: Sequence[str] = (),
) -> Term | None:
    """Give the term with an index that lets the fewest products through; None without one."""
    terms = facet_terms(where, catalog.columns, slots)
    known = browsing.indexed(conn) if terms else frozenset()
    usable = [one for one in terms if one.column == "_key" or index_name(one.column) in known]
    if len(usable) < 2:
        return usable[0] if usable else None
    return min(usable, key=lambda one: entries(conn, catalog, dialect, one))


def entries(
    conn: Connection, catalog: Catalog, dialect: Dialect, term: Term, most: int | None = None
) -> int:
    """Count what an index gives for a term, up to one more than `most`, or than `FEW`."""
    most = FEW if most is None else most
    total = 0
    for way in term.ways(dialect):
        total += browsing.most_entries(conn, Stream(catalog.id, way), most + 1 - total)
        if total > most:
            break
    return total


def lists_of(facet: ColumnElement[str]) -> Condition:
    """Give what picks a facet's lists: any of them may hold the value that is asked for."""
    return and_(facet >= "[", facet < "\\")


__all__ = [
    "FEW",
    "SORTED",
    "Term",
    "best_term",
    "choose_streams",
    "compile_order",
    "compile_selection",
    "entries",
    "facet_of",
    "facet_terms",
    "index_name",
    "lists_of",
]
