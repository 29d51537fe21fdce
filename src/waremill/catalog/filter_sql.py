"""From a filter's tree to SQLAlchemy expressions, node by node, by a list of what is known.

Pure. A node, or a part of one, that is not listed here is refused; every value is a parameter.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import Double, and_, case, false, func, literal, not_, nulls_last, or_, true
from sqlglot import exp

from waremill.catalog.filter_syntax import SelectionError, chain, column_name
from waremill.catalog.json_values import (
    NO_NUMBER,
    NO_TEXT,
    UNKNOWN,
    Cell,
    Condition,
    Database,
    Expression,
    Value,
    boolean_value,
    can_be_facet,
    column_value,
    like_parts,
    missing,
    null_value,
    number_in,
    number_value,
    text_literal,
)

AnyValue: TypeAlias = Value | Cell
Comparison: TypeAlias = Callable[[Any, Any], Any]

_COMPARISONS: dict[type[exp.Expr], Comparison] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.eq,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
}
_ARITHMETIC: dict[type[exp.Expr], Comparison] = {
    exp.Add: operator.add,
    exp.Sub: operator.sub,
    exp.Mul: operator.mul,
    exp.Div: operator.truediv,
}


@dataclass(frozen=True, slots=True)
class _Number:
    """A calculation with bounds, as powers of ten, on the size of a result other than zero."""

    expression: Expression
    low: float
    high: float


@dataclass(slots=True)
class Translator:
    """Translates the nodes of one filter for one database.

    `slots` are attributes that are not missing either where their condition holds.
    """

    attributes: Expression
    columns: tuple[str, ...]
    extra: dict[str, Expression]
    database: Database
    slots: dict[str, Condition] = field(default_factory=dict)
    _cells: dict[str, AnyValue] = field(default_factory=dict)

    def name_of(self, node: exp.Column) -> str:
        """Find the name a column node means among all that are known."""
        return column_name(node, tuple(dict.fromkeys((*self.columns, *self.slots, *self.extra))))

    def _allow(self, node: exp.Expr, *parts: str) -> None:
        """Refuse a node with any part beyond those named: a part not read could change it."""
        for name, part in node.args.items():
            if part not in (None, False, [], "") and name not in parts:
                raise self._refusal(node)

    def _refusal(self, node: exp.Expr) -> SelectionError:
        if isinstance(node, exp.Query | exp.Subquery | exp.Exists):
            return SelectionError("a query within a filter is not understood")
        return SelectionError(
            f"“{_shown(node)}” is not understood here; filters know comparisons, AND, OR, NOT, IN, "
            "BETWEEN, LIKE, IS NULL, + - * /, missing, present, lower, upper, length and coalesce"
        )

    # -- conditions

    def condition(self, node: exp.Expr) -> Condition:
        """Translate what is true or false."""
        if isinstance(node, exp.And | exp.Or):
            join = and_ if isinstance(node, exp.And) else or_
            return join(*(self.condition(part) for part in _chain_of(node)))
        if isinstance(node, exp.Paren):
            return self.condition(node.this)
        if isinstance(node, exp.Not):
            return not_(self.condition(node.this))
        if type(node) in _COMPARISONS:
            return self._comparison(node)
        for kind, translate in (
            (exp.In, self._membership),
            (exp.Between, self._between),
            (exp.Is, self._identity),
            (exp.Like | exp.ILike | exp.Escape, self._likeness),
        ):
            if isinstance(node, kind):
                found = translate(node)
                return not_(found) if node.args.get("negate") else found
        if isinstance(node, exp.Anonymous) and node.name.lower() in ("missing", "present"):
            found = self._missing(node)
            return found if node.name.lower() == "missing" else not_(found)
        value = self._value(node)
        if value.kind in ("number", "text"):
            raise SelectionError(
                f"“{_shown(node)}” is no condition; compare it with something, such as price > 30"
            )
        return value.boolean

    def _comparison(self, node: exp.Expr) -> Condition:
        self._allow(node, "this", "expression")
        compare = _COMPARISONS[type(node)]
        found = self._compared(compare, self._value(node.this), self._value(node.expression))
        return not_(found) if isinstance(node, exp.NEQ) else found

    def _compared(self, compare: Comparison, left: AnyValue, right: AnyValue) -> Condition:
        if isinstance(left, Cell) and isinstance(right, Cell):
            # Either may be a list; two lists do not compare.
            return case(
                (right.is_list, right.any_element(lambda one: self._single(compare, left, one))),
                else_=left.any_element(lambda one: self._single(compare, one, right)),
            )
        if isinstance(left, Cell):
            return left.any_element(lambda one: self._single(compare, one, right))
        if isinstance(right, Cell):
            return right.any_element(lambda one: self._single(compare, left, one))
        return self._single(compare, left, right)

    def _single(self, compare: Comparison, left: AnyValue, right: AnyValue) -> Condition:
        """Compare two values that are no lists."""
        kinds = {left.kind, right.kind}
        if "null" in kinds:
            return UNKNOWN
        by_number, by_boolean = UNKNOWN, UNKNOWN
        if left.number is not NO_NUMBER and right.number is not NO_NUMBER:
            by_number = compare(left.number, right.number)
        if left.boolean is not UNKNOWN and right.boolean is not UNKNOWN:
            by_boolean = compare(left.boolean, right.boolean)
        if "number" in kinds:
            return by_number
        if "boolean" in kinds:
            return by_boolean
        by_text = self._texts_compared(compare, _content(left), _content(right))
        cells = [one for one in (left, right) if isinstance(one, Cell)]
        if not cells:
            return by_text
        branches = [(and_(true(), *(one.is_text for one in cells)), by_text)]
        if by_number is not UNKNOWN:
            branches.append((or_(false(), *(one.is_number for one in cells)), by_number))
        if by_boolean is not UNKNOWN:
            branches.append((or_(false(), *(one.is_boolean for one in cells)), by_boolean))
        chosen: Condition = case(*branches)
        return chosen

    def _texts_compared(
        self, compare: Comparison, left: Expression, right: Expression
    ) -> Condition:
        # Equality needs no collation, and keeps a table column's own index usable.
        equal = compare is operator.eq
        found: Condition = compare(left if equal else self.database.ordered(left), right)
        return found

    def _membership(self, node: exp.Expr) -> Condition:
        self._allow(node, "this", "expressions", "negate")
        members = [self._value(member) for member in node.expressions]
        if not members:
            raise SelectionError("IN needs at least one value: category IN ('Perfume', 'Soap')")
        subject = self._value(node.this)
        if isinstance(subject, Cell):
            return subject.any_element(lambda one: self._is_member(one, node.expressions, members))
        return self._is_member(subject, node.expressions, members)

    def _is_member(
        self, subject: AnyValue, nodes: Sequence[exp.Expr], members: Sequence[AnyValue]
    ) -> Condition:
        """Compare with all numbers at once and all texts at once: lists may be long."""
        numbers = [_number_of(n) for n in nodes if isinstance(n, exp.Literal) and _is_number(n)]
        texts = [n.this for n in nodes if _is_text(n)]
        found: list[Condition] = []
        if numbers and subject.number is not NO_NUMBER:
            found.append(self.database.member(subject.number, numbers))
        elif numbers:
            found.append(UNKNOWN)
        if texts:
            found.append(self._is_text_member(subject, texts))
        for member_node, member in zip(nodes, members, strict=True):
            if not _is_number(member_node) and not _is_text(member_node):
                found.append(self._compared(operator.eq, subject, member))
        return or_(false(), *found)

    def _is_text_member(self, subject: AnyValue, texts: Sequence[str]) -> Condition:
        """Compare with texts, each read as what the subject is; unreadable ones are NULL."""
        numbers = [number for text in texts if (number := number_in(text)) is not None]
        words = {text.lower() for text in texts} & {"true", "false"}
        by_text = self.database.member(_content(subject), texts)
        by_number = by_boolean = UNKNOWN
        if numbers:
            unread = [UNKNOWN] if len(numbers) < len(texts) else []
            by_number = or_(self.database.member(subject.number, numbers), *unread)
        if words:
            equal = [subject.boolean == literal(word == "true") for word in sorted(words)]
            unread = [] if all(text.lower() in words for text in texts) else [UNKNOWN]
            by_boolean = or_(*equal, *unread)
        if not isinstance(subject, Cell):
            by_kind = {"text": by_text, "number": by_number, "boolean": by_boolean}
            return by_kind.get(subject.kind, UNKNOWN)
        branches = [(subject.is_text, by_text)]
        if numbers:
            branches.append((subject.is_number, by_number))
        if words:
            branches.append((subject.is_boolean, by_boolean))
        return case(*branches)

    def _between(self, node: exp.Expr) -> Condition:
        self._allow(node, "this", "low", "high", "negate")
        low, high = self._value(node.args["low"]), self._value(node.args["high"])
        subject = self._value(node.this)

        def within(one: AnyValue) -> Condition:
            return and_(self._single(operator.ge, one, low), self._single(operator.le, one, high))

        return subject.any_element(within) if isinstance(subject, Cell) else within(subject)

    def _identity(self, node: exp.Expr) -> Condition:
        self._allow(node, "this", "expression", "negate")
        if isinstance(node.expression, exp.Null):
            return self._value(node.this).is_null
        if isinstance(node.expression, exp.Boolean):
            wanted = self.condition(node.this)
            return case((wanted if node.expression.this else not_(wanted), true()), else_=false())
        raise self._refusal(node)

    def _likeness(self, node: exp.Expr) -> Condition:
        escape = None
        negated = False
        if isinstance(node, exp.Escape):
            self._allow(node, "this", "expression")
            escape = node.expression.this if _is_text(node.expression) else ""
            node = node.this
            if not isinstance(node, exp.Like | exp.ILike):
                raise self._refusal(node)
            negated = bool(node.args.get("negate"))
            if len(escape) != 1:
                raise SelectionError("ESCAPE takes one character in quotes, such as ESCAPE '!'")
        self._allow(node, "this", "expression", "negate")
        if not _is_text(node.expression):
            raise SelectionError(
                "LIKE takes a pattern in single quotes, such as name LIKE '%rose%'"
            )
        pattern = node.expression.this
        parts = like_parts(pattern, escape) if len(pattern) <= 1000 else None
        if parts is None:
            raise SelectionError(
                "a LIKE pattern has at most 1,000 characters and does not end in its ESCAPE"
            )
        subject = self._value(node.this)
        if isinstance(subject, Cell):
            found = subject.any_element(lambda one: self.database.like(one.text, parts))
        else:
            found = self.database.like(subject.text, parts)
        return not_(found) if negated else found

    def _missing(self, node: exp.Anonymous) -> Condition:
        if len(node.expressions) != 1:
            raise SelectionError(f"{node.name.lower()} takes one column: missing(description)")
        return missing(self._value(node.expressions[0]), self.database)

    # -- values

    def value(self, node: exp.Expr) -> AnyValue:
        """Translate what has a value: a column, a literal, a calculation, a function."""
        return self._value(node)

    def _value(self, node: exp.Expr) -> AnyValue:
        """Translate what has a value."""
        if isinstance(node, exp.Paren):
            return self._value(node.this)
        if isinstance(node, exp.Column):
            return self._column(node)
        if isinstance(node, exp.Literal):
            return self._literal(node)
        if isinstance(node, exp.Null):
            return null_value()
        if isinstance(node, exp.Boolean):
            return boolean_value(literal(bool(node.this)))
        if type(node) in _ARITHMETIC or isinstance(node, exp.Neg):
            return number_value(self._calculation(node).expression, self.database)
        if isinstance(node, exp.Lower | exp.Upper | exp.Length):
            return self._text_function(node)
        if isinstance(node, exp.Coalesce):
            return self._coalesce(node)
        conditions = (exp.And, exp.Or, exp.Not, exp.In, exp.Between, exp.Is, exp.Like, exp.ILike)
        named = isinstance(node, exp.Anonymous) and node.name.lower() in ("missing", "present")
        if named or type(node) in _COMPARISONS or isinstance(node, (*conditions, exp.Escape)):
            return boolean_value(self.condition(node))
        raise self._refusal(node)

    def _column(self, node: exp.Column) -> AnyValue:
        name = self.name_of(node)
        if name not in self._cells:
            if name in self.extra:
                self._cells[name] = column_value(self.extra[name], self.database)
            else:
                cell = self.database.cell(self.attributes, name)
                made = self.slots.get(name)
                self._cells[name] = cell if made is None else cell.or_elsewhere(made)
        return self._cells[name]

    def _literal(self, node: exp.Literal) -> AnyValue:
        if node.is_string:
            if "\0" in node.this:
                raise SelectionError("a text must not hold a NUL character")
            return text_literal(node.this)
        return number_value(literal(_number_of(node), Double), self.database)

    def _text_function(self, node: exp.Expr) -> AnyValue:
        self._allow(node, "this")
        inner = self._value(node.this)
        if isinstance(node, exp.Length):
            return number_value(func.length(inner.text) + literal(0.0, Double), self.database)
        change = self.database.lower if isinstance(node, exp.Lower) else self.database.upper
        # Case changes neither the number nor the truth value a text holds.
        return Value("text", inner.number, change(inner.text), inner.boolean, inner.text.is_(None))

    def _coalesce(self, node: exp.Expr) -> AnyValue:
        """Give the first value that is not NULL, each row's with its own kind."""
        self._allow(node, "this", "expressions")
        values = [v for v in map(self._value, [node.this, *node.expressions]) if v.kind != "null"]
        if not values:
            return null_value()

        def first(reading: Callable[[AnyValue], Any]) -> Any:
            return case(*((not_(value.is_null), reading(value)) for value in values))

        def kind(name: str, of_cell: Callable[[Cell], Condition]) -> Condition:
            return case(
                *(
                    (
                        not_(one.is_null),
                        of_cell(one)
                        if isinstance(one, Cell)
                        else (true() if one.kind == name else false()),
                    )
                    for one in values
                ),
                else_=false(),
            )

        return Cell(
            is_null=and_(*(value.is_null for value in values)),
            is_number=kind("number", lambda one: one.is_number),
            is_text=kind("text", lambda one: one.is_text),
            is_boolean=kind("boolean", lambda one: one.is_boolean),
            is_list=kind("list", lambda one: one.is_list),
            length=first(lambda one: one.length if isinstance(one, Cell) else NO_NUMBER),
            content=first(_content),
            number=first(lambda one: one.number),
            text=first(lambda one: one.text),
            boolean=first(lambda one: one.boolean),
        )

    def _calculation(self, node: exp.Expr) -> _Number:
        """Translate arithmetic that provably stays within double precision.

        PostgreSQL raises an error on overflow, SQLite gives infinity: so neither may happen.
        """
        if isinstance(node, exp.Paren):
            return self._calculation(node.this)
        if isinstance(node, exp.Neg):
            inner = self._calculation(node.this)
            return _Number(-inner.expression, inner.low, inner.high)
        if type(node) not in _ARITHMETIC:
            return self._operand(node)
        self._allow(node, "this", "expression", "typed", "safe")
        left, right = self._calculation(node.this), self._calculation(node.expression)
        a, b = left.expression, right.expression
        if isinstance(node, exp.Add | exp.Sub):
            # A difference other than zero is at least one unit in the last place of the smaller.
            low, high = min(left.low, right.low) - 17, max(left.high, right.high) + 1
        elif isinstance(node, exp.Mul):
            low, high = left.low + right.low, left.high + right.high
        else:
            b = func.nullif(b, 0.0, type_=Double)  # by zero is NULL
            low, high = left.low - right.high, left.high - right.low
        if low < -300 or high > 300:
            raise SelectionError("this calculation is too long")
        return _Number(_ARITHMETIC[type(node)](a, b), low, high)

    def _operand(self, node: exp.Expr) -> _Number:
        value = self._value(node)
        if isinstance(node, exp.Literal) and not node.is_string:
            size = math.log10(abs(float(node.this)) or 1.0)
            return _Number(value.number, math.floor(size), math.ceil(size))
        number = value.number
        size_of = func.abs(number)
        sane = or_(number == 0, and_(size_of <= 1e24, size_of >= 1e-24))
        return _Number(case((sane, number)), -24, 24)

    # -- ordering and indexes

    def order_keys(self, node: exp.Expr, *, descending: bool) -> list[Expression]:
        """Give the keys of one term: missing last, numbers, text, the rest; then each by value."""
        value = self._value(node)
        text: Expression = value.text
        if isinstance(value, Cell):
            text = case((value.is_text, value.content))
        gone = missing(value, self.database)
        absent = case((gone, 1), else_=0)
        text = case((gone, NO_TEXT), else_=text)
        rank = case((value.number.is_not(None), 0), (text.is_not(None), 1), (gone, 1), else_=2)
        keys = [rank, value.number, self.database.ordered(text), _truth(value.boolean)]
        return [absent, *(nulls_last(key.desc() if descending else key.asc()) for key in keys)]

    def facet_conditions(self, tree: exp.Expr) -> Iterator[Condition]:
        """Give, for each `column = 'text'` that must hold, a condition that an index answers.

        It may let more rows through, never fewer: lists, whose facet begins with “[”, among them.
        """
        for part in chain(tree, exp.And):
            values = part.expressions if isinstance(part, exp.In) else [part.args.get("expression")]
            if not isinstance(part, exp.EQ | exp.In) or part.args.get("negate"):
                continue
            if not isinstance(part.this, exp.Column) or not all(map(_is_only_text, values)):
                continue
            name = self.name_of(part.this)
            if name in self.extra or not can_be_facet(name) or not values:
                continue
            facet = self.database.facet(self.attributes, name)
            texts = [one.this for one in values if one is not None]
            known = facet == texts[0] if len(texts) == 1 else self.database.member(facet, texts)
            yield or_(known, and_(facet >= "[", facet < "\\"))


def _content(value: AnyValue) -> Expression:
    return value.content if isinstance(value, Cell) else value.text


def _shown(node: exp.Expr) -> str:
    written = node.sql(dialect="sqlite")
    return written if len(written) <= 60 else written[:59] + "…"


def _chain_of(node: exp.Expr) -> list[exp.Expr]:
    return chain(node, type(node))


def _truth(boolean: Condition) -> Expression:
    return case((boolean, 1), (not_(boolean), 0))


def _is_text(node: Any) -> bool:
    return isinstance(node, exp.Literal) and bool(node.is_string)


def _is_number(node: Any) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string


def _is_only_text(node: Any) -> bool:
    """Say whether a literal can equal nothing but text."""
    if not _is_text(node):
        return False
    return number_in(node.this) is None and node.this.lower() not in ("true", "false")


def _number_of(node: exp.Literal) -> float:
    try:
        number = float(node.this)
    except ValueError:
        number = math.inf
    if not math.isfinite(number) or not (number == 0 or 1e-300 <= abs(number) <= 1e300):
        raise SelectionError(f"“{node.this[:40]}” is not a usable number")
    if len(node.this.lower().partition("e")[0].replace(".", "").strip("0")) > 15:
        raise SelectionError(
            f"“{node.this[:40]}” has more than 15 digits; put long numbers in quotes"
        )
    return number
