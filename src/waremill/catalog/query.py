"""Questions to a catalogue: one `SELECT` over one table of products, compiled for both databases.

The grammar is SQL's, the rest a list of what is known: attributes as columns, conditions as filters
know them (`catalog/selection.py`), count, sum, avg, min and max, GROUP BY, ORDER BY and LIMIT.
sqlglot parses; every node is translated into SQLAlchemy expressions with bound parameters, and
nothing of the text reaches the database as SQL. No I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import (
    Double,
    FromClause,
    Select,
    and_,
    case,
    distinct,
    func,
    literal_column,
    not_,
    nulls_last,
    select,
    type_coerce,
)
from sqlglot import exp

from waremill.catalog.filter_sql import Translator
from waremill.catalog.filter_syntax import SelectionError, check_size, parse
from waremill.catalog.json_values import DATABASES, Cell, Condition, Expression, Value
from waremill.catalog.selection import DialectName

TABLE = "products"
MOST_COLUMNS = 30
MOST_ROWS = 200
USUAL_ROWS = 50
_PARTS = frozenset(
    {"kind", "expressions", "from", "from_", "where", "group", "order", "limit", "distinct"}
)
_SHAPE = "write SELECT columns FROM products WHERE … GROUP BY … ORDER BY … LIMIT …"
_AGGREGATES: Mapping[type[exp.Expr], Callable[[Any], Any]] = {
    exp.Sum: func.sum, exp.Avg: func.avg, exp.Min: func.min, exp.Max: func.max
}  # fmt: skip
_AnyValue: TypeAlias = Value | Cell


_Made: TypeAlias = Callable[[FromClause], Expression]
"""Gives an output column over the rows of the inner query, whose columns are `i0`, `i1` …"""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the answer: an attribute as it is, or an expression's value."""

    label: str
    attribute: str | None = None
    expression: Expression | None = None
    made: _Made | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A compiled question.

    Rows of `statement` are the product's attributes, then each column that is an expression; of a
    grouped question each column.
    """

    columns: tuple[Column, ...]
    attributes: Expression
    where: Condition | None
    limit: int
    order_by: tuple[Expression, ...] = ()
    inputs: tuple[Expression, ...] = ()
    keys: tuple[int, ...] = ()
    order_made: tuple[tuple[_Made, bool], ...] = ()
    grouped: bool = False

    def statement(self, base: Select[Any]) -> Select[Any]:
        """Narrow a selection of products to the question's rows."""
        if self.where is not None:
            base = base.where(self.where)
        if not self.grouped:
            expressions = (one.expression for one in self.columns if one.expression is not None)
            found = base.with_only_columns(self.attributes, *expressions)
            return found.order_by(*self.order_by).limit(self.limit)
        # Worked out inside and grouped outside: PostgreSQL takes two equal expressions with
        # parameters for two, and would not know that one is the other's group.
        labelled = (one.label(f"i{place}") for place, one in enumerate(self.inputs))
        inner = base.with_only_columns(literal_column("1").label("one"), *labelled).subquery()
        found = select(*(one.made(inner) for one in self.columns if one.made is not None))
        found = found.select_from(inner)
        found = found.group_by(*(inner.c[f"i{place}"] for place in self.keys))
        for made, falls in self.order_made:
            key = made(inner)
            found = found.order_by(nulls_last(key.desc() if falls else key.asc()))
        return found.limit(self.limit)

    def rows(self, fetched: Iterable[Sequence[Any]]) -> list[list[Any]]:
        """Give the answer's rows of what the statement gave."""
        if self.grouped:
            return [list(row) for row in fetched]
        answer = []
        for row in fetched:
            values = iter(row[1:])
            answer.append(
                [
                    next(values) if one.attribute is None else row[0].get(one.attribute)
                    for one in self.columns
                ]
            )
        return answer


def compile_question(
    text: str,
    attributes: Expression,
    columns: Sequence[str],
    dialect: DialectName,
    extra: Mapping[str, Expression] | None = None,
) -> Question:
    """Compile a `SELECT` over a JSON column of attributes.

    `columns` and `extra` are as for `compile_where`. A list counts in a filter by each of its
    elements; as a group it is “(list)”. Raises SelectionError, one sentence, for anything else.
    """
    tree = parse(text.strip().rstrip(";"), exp.Select)
    check_size(tree)
    if not isinstance(tree, exp.Select):
        raise SelectionError(f"only a SELECT is understood; {_SHAPE}")
    for name, part in tree.args.items():
        if part not in (None, False, [], "") and name not in _PARTS:
            raise SelectionError(f"“{_shown(name)}” is not understood here; {_SHAPE}")
    _check_table(tree)
    names = tuple(columns)
    for node in tree.find_all(exp.Column):
        if node.table.casefold() == TABLE and f"{node.table}.{node.name}" not in names:
            node.set("table", None)
    translator = Translator(attributes, names, dict(extra or {}), DATABASES[dialect])
    return _Compiling(tree, translator, (*(extra or {}), *names)).question()


class _Compiling:
    def __init__(self, tree: exp.Select, translator: Translator, names: Sequence[str]) -> None:
        self._tree = tree
        self._translator = translator
        self._names = names
        self._by_label: dict[str, exp.Expr] = {}
        self._inputs: list[Expression] = []
        self._keys: dict[str, int] = {}

    def question(self) -> Question:
        tree, translator = self._tree, self._translator
        items = self._items()
        groups = self._groups(items)
        where = tree.args.get("where")
        condition = None
        if where is not None:
            found = translator.condition(where.this)
            condition = and_(*translator.facet_conditions(where.this), found)
        terms = self._terms(items)
        if groups is None:
            order = [key for node, falls in terms for key in self._keys_of(node, falls)]
            chosen = tuple(self._plain(label, node) for label, node in items)
            return Question(chosen, translator.attributes, condition, self._limit(), tuple(order))
        places = tuple(self._input(self._key(node)) for node in groups)
        for node, place in zip(groups, places, strict=True):
            self._keys[node.sql()] = place
        folded = tuple(Column(label, made=self._folded(node)) for label, node in items)
        ordered = tuple((self._folded(node), falls) for node, falls in terms)
        return Question(
            folded, translator.attributes, condition, self._limit(), (), tuple(self._inputs),
            places, ordered, True,
        )  # fmt: skip

    def _input(self, expression: Expression) -> int:
        """Add a column to the inner query; give its place."""
        self._inputs.append(expression)
        return len(self._inputs) - 1

    def _keys_of(self, node: exp.Expr, falls: bool) -> list[Expression]:
        return self._translator.order_keys(node, descending=falls)

    def _items(self) -> list[tuple[str, exp.Expr]]:
        found: list[tuple[str, exp.Expr]] = []
        for item in self._tree.expressions:
            if isinstance(item, exp.Star):
                found += ((name, exp.column(name, quoted=True)) for name in self._names)
                continue
            node = item.this if isinstance(item, exp.Alias) else item
            label = item.alias if isinstance(item, exp.Alias) else _shown(node)
            if isinstance(item, exp.Alias):
                self._by_label[label.casefold()] = node
            elif isinstance(node, exp.Column):
                label = self._translator.name_of(node)
            found.append((label, node))
        if not found:
            raise SelectionError(f"no column is selected; {_SHAPE}")
        if len(found) > MOST_COLUMNS and not self._tree.is_star:
            raise SelectionError(f"at most {MOST_COLUMNS} columns can be selected")
        return found

    def _groups(self, items: Sequence[tuple[str, exp.Expr]]) -> list[exp.Expr] | None:
        """Give what the rows are grouped by: None where each product is a row."""
        group = self._tree.args.get("group")
        written = list(group.expressions) if group is not None else []
        if group is not None and any(
            part for name, part in group.args.items() if name != "expressions"
        ):
            raise SelectionError("only GROUP BY with columns is understood")
        if self._tree.args.get("distinct"):
            if self._tree.args["distinct"].args.get("on") or written:
                raise SelectionError("DISTINCT stands alone: SELECT DISTINCT brand FROM products")
            return [node for _, node in items]
        found = [self._named(node, items) for node in written]
        if not found and not any(_is_aggregate(node) for _, node in items):
            return None
        return found

    def _named(self, node: exp.Expr, items: Sequence[tuple[str, exp.Expr]]) -> exp.Expr:
        """Give what a label or a column's number stands for."""
        if isinstance(node, exp.Literal) and not node.is_string:
            place = _whole(node.this) or 0
            if not 1 <= place <= len(items):
                raise SelectionError(f"there is no column number {node.this[:20]}")
            return items[place - 1][1]
        if isinstance(node, exp.Column) and len(node.parts) == 1:
            return self._by_label.get(node.name.casefold(), node)
        return node

    def _plain(self, label: str, node: exp.Expr) -> Column:
        if isinstance(node, exp.Column):
            name = self._translator.name_of(node)
            if name not in self._translator.extra:
                return Column(label, name, None)
        return Column(label, None, _shown_value(self._translator.value(node)))

    def _key(self, node: exp.Expr) -> Expression:
        if _is_aggregate(node):
            raise SelectionError("what is counted cannot be grouped by")
        return _shown_value(self._translator.value(node))

    def _folded(self, node: exp.Expr) -> _Made:
        """Translate a column of grouped rows: what they are grouped by, or what is counted."""
        if (place := self._keys.get(node.sql())) is not None:
            return _over(place, None)
        if isinstance(node, exp.Count):
            return self._count(node)
        if isinstance(node, exp.Round):  # whoever reads it can round
            _only(node, "this", "decimals")
            return self._folded(node.this)
        fold = _AGGREGATES.get(type(node))
        if fold is None:
            raise SelectionError(
                f"“{_shown(node)}” is neither grouped by nor counted; use count, sum, avg, min or "
                "max, or add it to GROUP BY"
            )
        _only(node, "this")
        value = self._translator.value(node.this)
        if type(node) in (exp.Min, exp.Max) and value.kind == "text":
            return _over(self._input(value.text), fold)
        sane = case((func.abs(value.number) <= 1e24, value.number))  # a sum stays a number
        return _over(self._input(type_coerce(sane, Double)), fold)

    def _count(self, node: exp.Count) -> _Made:
        _only(node, "this", "big_int")
        inner = node.this
        if isinstance(inner, exp.Star | exp.Literal):
            return lambda _rows: func.count()
        if isinstance(inner, exp.Distinct):
            _only(inner, "expressions")
            if len(inner.expressions) != 1:
                raise SelectionError("count(DISTINCT …) takes one column")
            place = self._input(_shown_value(self._translator.value(inner.expressions[0])))
            return _over(place, lambda one: func.count(distinct(one)))
        value = self._translator.value(inner)
        return _over(self._input(case((not_(value.is_null), literal_column("1")))), func.count)

    def _terms(self, items: Sequence[tuple[str, exp.Expr]]) -> list[tuple[exp.Expr, bool]]:
        """Give what is ordered by, and whether it falls."""
        order = self._tree.args.get("order")
        found = []
        for term in () if order is None else order.expressions:
            if not isinstance(term, exp.Ordered):
                raise SelectionError("ORDER BY takes columns, each perhaps with DESC")
            found.append((self._named(term.this, items), bool(term.args.get("desc"))))
        return found

    def _limit(self) -> int:
        limit = self._tree.args.get("limit")
        if limit is None:
            return USUAL_ROWS
        number = limit.expression if isinstance(limit, exp.Limit) else None
        most = _whole(number.this) if isinstance(number, exp.Literal) else None
        if most is None:
            raise SelectionError("LIMIT takes a whole number")
        return max(1, min(most, MOST_ROWS))


def _whole(text: str) -> int | None:
    """Read a whole number; None for what is none, or has more digits than any count of rows."""
    return int(text) if text.isdecimal() and len(text) <= 18 else None


def _over(place: int, fold: Callable[[Any], Any] | None) -> _Made:
    """Give an inner column, folded."""

    def make(rows: FromClause) -> Expression:
        inner: Expression = rows.c[f"i{place}"]
        return inner if fold is None else fold(inner)

    return make


def _check_table(tree: exp.Select) -> None:
    clause = tree.args.get("from") or tree.args.get("from_")
    table = clause.this if isinstance(clause, exp.From) else None
    if not isinstance(table, exp.Table) or table.name.casefold() != TABLE:
        raise SelectionError(f"there is one table, products; {_SHAPE}")
    for name, part in table.args.items():
        if part not in (None, False, [], "") and name != "this":
            raise SelectionError(f"the table products stands alone, without another name; {_SHAPE}")


def _only(node: exp.Expr, *parts: str) -> None:
    for name, part in node.args.items():
        if part not in (None, False, [], "") and name not in parts:
            raise SelectionError(f"“{_shown(node)}” is not understood here")


def _is_aggregate(node: exp.Expr) -> bool:
    if isinstance(node, exp.Round):
        node = node.this
    return isinstance(node, exp.Count) or type(node) in _AGGREGATES


def _shown_value(value: _AnyValue) -> Expression:
    """Give a value to be shown: a number as one where it is known to be, anything else as text."""
    if value.kind == "number":
        return value.number
    truth = case((value.boolean, "true"), (value.boolean.is_(False), "false"))
    if isinstance(value, Cell):
        return case(
            (value.is_list, "(list)"), (value.is_boolean, truth), else_=value.text
        )  # fmt: skip
    return truth if value.kind == "boolean" else value.text


def _shown(node: exp.Expr | str) -> str:
    written = node if isinstance(node, str) else node.sql(dialect="sqlite")
    return written if len(written) <= 60 else written[:59] + "…"
