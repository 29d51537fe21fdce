"""Selection: SQL `WHERE` and `ORDER BY` syntax over attributes, compiled for both databases.

sqlglot parses; only what is listed here is translated, node by node, into SQLAlchemy expressions
with bound parameters. Nothing of the user's text reaches the database as SQL. No I/O.

The rules, identical on SQLite and PostgreSQL:

- Beside a number, numeric-looking text is a number, anything else NULL; `7,5` is not guessed.
- Text compares by code point. `LIKE` and `ILIKE` ignore case in every script, letter by letter;
  `lower` and `upper` change A–Z only. LIKE has no escape character unless ESCAPE names one.
- A list matches where any of its elements does. `<>`, `NOT IN` and `NOT LIKE` are the negation: no
  element does. Functions and arithmetic see no lists. An empty list is NULL to a comparison.
- `missing(x)` is absent, null, blank text or an empty list; `IS NULL` is absent or null.
- A picture slot is missing only where nothing was made for it either; `IS NULL` likewise.
- Ordering puts numbers (numeric-looking text too) before text, then the rest; missing always last.
- Everything else is SQL's: NULL with anything is NULL, and a row is taken where the whole is true.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Literal, TypeAlias

from sqlalchemy import Column, Index, MetaData, Table, Text, and_
from sqlalchemy.schema import CreateIndex
from sqlglot import exp

from waremill.catalog.filter_sql import Translator
from waremill.catalog.filter_syntax import (
    SelectionError,
    check_size,
    column_name,
    in_order,
    parse,
)
from waremill.catalog.json_values import DATABASES, Condition, Expression, can_be_facet

__all__ = [
    "DialectName",
    "SelectionError",
    "compile_order_by",
    "compile_where",
    "facet_index",
    "parse_where",
]

_DEEPEST_SQL = 52
_LARGEST_SQL = 150_000

DialectName: TypeAlias = Literal["sqlite", "postgresql"]


def parse_where(text: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Give the columns a filter names, in order; raise SelectionError where it is not usable."""
    found: dict[str, None] = {}
    tree = parse(text, exp.Condition)
    check_size(tree)
    for node in in_order(tree):
        if isinstance(node, exp.Column):
            found[column_name(node, columns)] = None
    # What the names alone do not show is seen by translating it.
    compile_where(text, Column("attributes", Text), columns, "sqlite")
    return tuple(found)


def compile_where(
    text: str,
    attributes: Expression,
    columns: Sequence[str],
    dialect: DialectName,
    extra: Mapping[str, Expression] | None = None,
    slots: Mapping[str, Condition] | None = None,
) -> Condition:
    """Compile a filter over a JSON column of attributes.

    `columns` are the attributes' names; `extra` gives further names and the expressions they
    stand for, such as `_key`. `slots` gives the names of picture slots, columns or not, and when
    each is filled by something made (never NULL): then it is neither missing nor NULL, and compares
    as what the attribute of that name is. Raises SelectionError, one sentence, for anything not
    understood.
    """
    tree = parse(text, exp.Condition)
    check_size(tree)
    translator = _translator(attributes, columns, dialect, extra, slots)
    # The facet conditions are implied by the rest: they let an index find the rows.
    return _bounded(and_(*translator.facet_conditions(tree), translator.condition(tree)))


def compile_order_by(
    text: str,
    attributes: Expression,
    columns: Sequence[str],
    dialect: DialectName,
    extra: Mapping[str, Expression] | None = None,
    slots: Mapping[str, Condition] | None = None,
) -> list[Expression]:
    """Compile `ORDER BY` terms, without these two words; add a unique column to break ties."""
    tree = parse(text, exp.Order)
    check_size(tree)
    translator = _translator(attributes, columns, dialect, extra, slots)
    keys: list[Expression] = []
    for term in tree.expressions:
        keys.extend(
            map(_bounded, translator.order_keys(term.this, descending=bool(term.args.get("desc"))))
        )
    return keys


def _translator(
    attributes: Expression,
    columns: Sequence[str],
    dialect: DialectName,
    extra: Mapping[str, Expression] | None,
    slots: Mapping[str, Condition] | None,
) -> Translator:
    return Translator(
        attributes, tuple(columns), dict(extra or {}), DATABASES[dialect], dict(slots or {})
    )


def _bounded(expression: Expression) -> Expression:
    """Refuse an expression that SQLite's parser, which stacks at most 100 levels, cannot take."""
    size = 0
    waiting: list[tuple[Any, int]] = [(expression, 0)]
    while waiting:
        part, depth = waiting.pop()
        size += 1
        if depth > _DEEPEST_SQL or size > _LARGEST_SQL:
            raise SelectionError(
                "this is nested too deeply or too long; use fewer functions within each other"
            )
        waiting.extend((child, depth + 1) for child in part.get_children())
    return expression


def facet_index(
    column: str,
    attributes: Column[Any],
    dialect: DialectName,
    leading: Sequence[str] = (),
) -> tuple[str, CreateIndex] | None:
    """Give the name of a facet column's index and the statement that creates it where absent.

    `attributes` is a table's column; `leading` are columns of the table to put first. Filters of
    the form `column = 'text'` and `column IN ('a', 'b')` then use it. None for the rare column
    whose name holds quotation marks or backslashes.
    """
    if not can_be_facet(column):
        return None
    name = f"ix_facet_{blake2b(column.encode(), digest_size=6).hexdigest()}"
    # A table of its own, so that the real one's metadata does not learn of the index.
    table = Table(
        attributes.table.name,
        MetaData(),
        *(Column(one, Text) for one in leading),
        Column(attributes.name, attributes.type),
    )
    facet = DATABASES[dialect].facet(table.c[attributes.name], column)
    index = Index(name, *(table.c[one] for one in leading), facet)
    return name, CreateIndex(index, if_not_exists=True)
