"""How a JSON attribute reads in SQL: as a number, as text, as a boolean, element by element.

SQLite (JSON text, 3.35 or newer) and PostgreSQL (JSONB, 12 or newer) give the same answer to the
same question. Nothing here raises inside the database, whatever the data: text that is no number
is NULL as a number. Builds SQLAlchemy expressions only: no I/O, no SQL text made from input.

Numbers are double precision, good for 15 digits. Text compares by code point.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, Protocol

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Double,
    Integer,
    Numeric,
    Text,
    and_,
    any_,
    case,
    cast,
    column,
    false,
    func,
    literal,
    literal_column,
    not_,
    null,
    or_,
    select,
    true,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

Expression = ColumnElement[Any]
Condition = ColumnElement[bool]

BLANKS = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
"""Every Unicode white space, as `str.strip` takes off: the database trims the same characters."""

_LONGEST_NUMBER = 64
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")


def number_in(text: str) -> float | None:
    """Read numeric-looking text: sign, digits, decimal point. No exponent, no thousands mark.

    `1,234` might be either side of a border and `12E3` may be a code, so neither is guessed.
    """
    stripped = text.strip()
    fits = len(stripped) <= _LONGEST_NUMBER and _NUMBER.fullmatch(stripped)
    return float(stripped) if fits else None


@dataclass(frozen=True, slots=True)
class Value:
    """Something with a value for each row, of one known kind; each reading is NULL where there is
    none, such as the number of a text that holds none.
    """

    kind: Literal["number", "text", "boolean", "null"]
    number: Expression
    text: Expression
    boolean: Condition
    is_null: Condition


@dataclass(frozen=True, slots=True)
class Cell:
    """A JSON value, whose kind is known only row by row.

    `content` is the text of a value that is text; `text` is a number's too. `length` is a list's.
    `either` is the cell as it is here, and whether there is a value in another place.
    """

    is_null: Condition
    is_number: Condition
    is_text: Condition
    is_boolean: Condition
    is_list: Condition
    length: Expression
    content: Expression
    number: Expression
    text: Expression
    boolean: Condition
    elements: Callable[[], tuple[Any, Cell]] | None = None
    either: tuple[Cell, Condition] | None = None

    @property
    def kind(self) -> Literal["cell"]:
        """Tell a cell from a value of a known kind."""
        return "cell"

    def or_elsewhere(self, there: Condition) -> Cell:
        """Give the cell as one that is not missing either where its value is in another place."""
        return replace(self, is_null=and_(self.is_null, not_(there)), either=(self, there))

    def any_element(self, holds: Callable[[Cell], Condition]) -> Condition:
        """Say whether a condition holds for the value itself or, in a list, for any element."""
        if self.elements is None:
            return holds(self)
        source, element = self.elements()
        found = select(literal_column("1", Integer)).select_from(source)
        found = found.where(holds(element)).correlate_except(source)
        single = replace(self, elements=None)
        return case(
            (and_(self.is_list, self.length > 0), found.exists()),
            (self.is_list, UNKNOWN),
            else_=holds(single),
        )


class Database(Protocol):
    """What the two databases write differently."""

    def cell(self, attributes: Expression, name: str) -> Cell:
        """Read one attribute."""

    def facet(self, attributes: Expression, name: str) -> Expression:
        """Give the indexable text of an attribute; a list's begins with `[`."""

    def number_in(self, text: Expression) -> Expression:
        """Read numeric-looking text, as `number_in` does."""

    def number_text(self, number: Expression) -> Expression:
        """Write a number plainly, to 15 digits, without an exponent; NULL beyond that."""

    def ordered(self, text: Expression) -> Expression:
        """Make text compare by code point."""

    def lower(self, text: Expression) -> Expression:
        """Turn A–Z into a–z."""

    def upper(self, text: Expression) -> Expression:
        """Turn a–z into A–Z."""

    def like(self, text: Expression, pattern: tuple[str, ...]) -> Condition:
        """Match a pattern that `like_parts` gave, whatever the case."""

    def stripped(self, text: Expression) -> Expression:
        """Take white space off both ends."""

    def member(self, value: Expression, members: Sequence[str] | Sequence[float]) -> Condition:
        """Say whether a value is one of many, which are one parameter together."""


NO_NUMBER: Expression = cast(null(), Double)
NO_TEXT: Expression = cast(null(), Text)
UNKNOWN: Condition = cast(null(), Boolean)
"""NULL as a truth value; PostgreSQL wants to know its type."""


def null_value() -> Value:
    """Give the value of NULL."""
    return Value("null", NO_NUMBER, NO_TEXT, UNKNOWN, literal(True))


def number_value(number: Expression, database: Database) -> Value:
    """Give a value that is a number."""
    as_text = database.number_text(number)
    return Value("number", number, as_text, UNKNOWN, number.is_(None))


def text_value(text: Expression, database: Database) -> Value:
    """Give a value that is text."""
    number = database.number_in(text)
    return Value("text", number, text, _boolean_in(text, database), text.is_(None))


def boolean_value(boolean: Condition) -> Value:
    """Give a value that is a boolean."""
    return Value("boolean", NO_NUMBER, NO_TEXT, boolean, boolean.is_(None))


def text_literal(text: str) -> Value:
    """Give a text from the user as bound parameters, its readings worked out beforehand."""
    number = number_in(text)
    words = {"true": literal(True), "false": literal(False)}
    return Value(
        "text",
        NO_NUMBER if number is None else literal(number, Double),
        literal(text, Text),
        words.get(text.lower(), UNKNOWN),
        literal(False),
    )


def column_value(expression: Expression, database: Database) -> Value:
    """Give a table's own column as a value of its type."""
    if isinstance(expression.type, Boolean):
        return boolean_value(expression)
    if isinstance(expression.type, Integer | Numeric):
        return number_value(cast(expression, Double), database)
    return text_value(type_coerce(expression, Text), database)


def missing(value: Value | Cell, database: Database) -> Condition:
    """Say whether a value is absent, null, blank text or an empty list; never NULL."""
    if not isinstance(value, Cell):
        if value.kind != "text":
            return value.is_null
        return or_(value.is_null, database.stripped(value.text) == "")
    if value.either is not None:
        here, there = value.either
        return and_(missing(here, database), not_(there))
    return case(
        (value.is_null, true()),
        (value.is_text, database.stripped(value.content) == ""),
        (value.is_list, value.length == 0),
        else_=false(),
    )


def _boolean_in(text: Expression, database: Database) -> Condition:
    lowered = database.lower(text)
    return case((_is(lowered, "true"), true()), (_is(lowered, "false"), false()), else_=UNKNOWN)


class Sqlite:
    """SQLite: attributes are JSON text."""

    def cell(self, attributes: Expression, name: str) -> Cell:
        """Read one attribute."""
        if _is_plain(name):
            path = literal(f'$."{name}"', Text)
            at_path = func.json_extract(attributes, path)
            return self._cell(func.json_type(attributes, path), at_path, at_path)
        # A JSON path cannot hold a quotation mark; a look-up by key can.
        each = func.json_each(attributes).table_valued("key", "value", "type")
        found = select(each.c.value).where(each.c.key == name).limit(1)
        kinds = select(each.c.type).where(each.c.key == name).limit(1)
        value = found.correlate_except(each).scalar_subquery()
        return self._cell(kinds.correlate_except(each).scalar_subquery(), value, value)

    def _cell(self, kind: Expression, value: Expression, array: Expression | None) -> Cell:
        is_text, is_number = _is(kind, "text"), _is(kind, "integer", "real")
        text, number = type_coerce(value, Text), cast(value, Double)
        is_list = _is(kind, "array")

        def elements() -> tuple[Any, Cell]:
            # Guarded: text that is no JSON would be an error.
            guarded = case((is_list, array))
            each = func.json_each(guarded).table_valued("value", "type")
            return each, self._cell(each.c.type, each.c.value, None)

        return Cell(
            is_null=or_(kind.is_(None), _is(kind, "null")),
            is_number=is_number,
            is_text=is_text,
            is_boolean=_is(kind, "true", "false"),
            is_list=is_list,
            length=func.json_array_length(case((is_list, text))),
            content=text,
            number=case((is_number, number), (is_text, self.number_in(text))),
            text=case((is_text, text), (is_number, self.number_text(number))),
            boolean=case(
                (_is(kind, "true"), true()),
                (_is(kind, "false"), false()),
                (is_text, _boolean_in(text, self)),
            ),
            elements=None if array is None else elements,
        )

    def facet(self, attributes: Expression, name: str) -> Expression:
        """Give the indexable text of an attribute; a list's begins with `[`."""
        # The path stands in the statement itself: an index is matched by its text.
        path = literal(f'$."{name}"', Text, literal_execute=True)
        return func.json_extract(attributes, path, type_=Text)

    def number_in(self, text: Expression) -> Expression:
        """Read numeric-looking text, as `number_in` does."""
        stripped = self.stripped(text)
        # Compared with a NUMERIC, text becomes a number only where all of it is one.
        whole = stripped == cast(stripped, Numeric)
        plain = stripped.op("NOT GLOB", is_comparison=True)("*[^0-9.+-]*")
        short = func.length(stripped) <= _LONGEST_NUMBER
        return case((and_(plain, short, whole), cast(stripped, Double)))

    def number_text(self, number: Expression) -> Expression:
        """Write a number plainly, to 15 digits, without an exponent; NULL beyond that."""
        digits = func.rtrim(func.rtrim(func.printf("%!.15g", number), "0"), ".")
        return _plain_number(number, digits)

    def ordered(self, text: Expression) -> Expression:
        """Make text compare by code point."""
        return text

    def lower(self, text: Expression) -> Expression:
        """Turn A–Z into a–z."""
        return func.lower(text, type_=Text)

    def upper(self, text: Expression) -> Expression:
        """Turn a–z into A–Z."""
        return func.upper(text, type_=Text)

    def like(self, text: Expression, pattern: tuple[str, ...]) -> Condition:
        """Match a pattern that `like_parts` gave, whatever the case."""
        glob = {"%": "*", "_": "?"}
        parts = [glob[part] if part in glob else _glob_class(part[1:]) for part in pattern]
        return text.op("GLOB", is_comparison=True, return_type=Boolean())("".join(parts))

    def stripped(self, text: Expression) -> Expression:
        """Take white space off both ends."""
        return func.trim(text, BLANKS, type_=Text)

    def member(self, value: Expression, members: Sequence[str] | Sequence[float]) -> Condition:
        """Say whether a value is one of many, which are one parameter together."""
        each = func.json_each(literal(json.dumps(members), Text)).table_valued("value")
        return value.in_(select(each.c.value).correlate(None))


class Postgres:
    """PostgreSQL: attributes are JSONB."""

    def cell(self, attributes: Expression, name: str) -> Cell:
        """Read one attribute."""
        found = attributes.op("->", return_type=JSONB())(literal(name, Text))
        return self._cell(found, nested=True)

    def _cell(self, value: Expression, *, nested: bool) -> Cell:
        kind = func.jsonb_typeof(value)
        is_text, is_number, is_list = (_is(kind, one) for one in ("string", "number", "array"))
        content = value.op("#>>", return_type=Text())(literal_column("'{}'"))
        number = cast(content, Double)
        array = case((is_list, value), else_=literal_column("'[]'::jsonb"))

        def elements() -> tuple[Any, Cell]:
            each = func.jsonb_array_elements(array).table_valued(column("value", JSONB))
            return each, self._cell(each.c.value, nested=False)

        return Cell(
            is_null=or_(kind.is_(None), _is(kind, "null")),
            is_number=is_number,
            is_text=is_text,
            is_boolean=_is(kind, "boolean"),
            is_list=is_list,
            length=func.jsonb_array_length(array),
            content=content,
            number=case((is_number, number), (is_text, self.number_in(content))),
            text=case((is_text, content), (is_number, self.number_text(number))),
            boolean=case(
                (_is(kind, "boolean"), _is(content, "true")),
                (is_text, _boolean_in(content, self)),
            ),
            elements=elements if nested else None,
        )

    def facet(self, attributes: Expression, name: str) -> Expression:
        """Give the indexable text of an attribute; a list's begins with `[`."""
        key = literal(name, Text, literal_execute=True)
        return self.ordered(attributes.op("->>", return_type=Text())(key))

    def number_in(self, text: Expression) -> Expression:
        """Read numeric-looking text, as `number_in` does."""
        stripped = self.stripped(text)
        looks = stripped.op("~", is_comparison=True)(f"^(?:{_NUMBER.pattern})$")
        short = func.length(stripped) <= _LONGEST_NUMBER
        return case((and_(short, looks), cast(stripped, Double)))

    def number_text(self, number: Expression) -> Expression:
        """Write a number plainly, to 15 digits, without an exponent; NULL beyond that."""
        # From double precision to numeric PostgreSQL rounds to 15 digits.
        return _plain_number(number, cast(cast(number, Numeric), Text))

    def ordered(self, text: Expression) -> Expression:
        """Make text compare by code point."""
        return text.collate("C")

    def lower(self, text: Expression) -> Expression:
        """Turn A–Z into a–z."""
        return func.lower(text.collate("C"), type_=Text)

    def upper(self, text: Expression) -> Expression:
        """Turn a–z into A–Z."""
        return func.upper(text.collate("C"), type_=Text)

    def like(self, text: Expression, pattern: tuple[str, ...]) -> Condition:
        """Match a pattern that `like_parts` gave, whatever the case."""
        regex = {"%": ".*", "_": "."}
        parts = [regex[part] if part in regex else _regex_class(part[1:]) for part in pattern]
        match = text.collate("C").op("~", is_comparison=True, return_type=Boolean())
        return match(f"^{''.join(parts)}$")

    def stripped(self, text: Expression) -> Expression:
        """Take white space off both ends."""
        return func.btrim(text, BLANKS, type_=Text)

    def member(self, value: Expression, members: Sequence[str] | Sequence[float]) -> Condition:
        """Say whether a value is one of many, which are one parameter together."""
        kind: Any = Text if isinstance(members[0], str) else Double
        return value == any_(literal(list(members), ARRAY(kind)))


def _is_plain(name: str) -> bool:
    """Say whether a name can stand in an SQLite JSON path as it is written in JSON."""
    return bool(name) and not re.search(r'["\\\x00-\x1f]', name)


def _is(kind: Expression, *words: str) -> Condition:
    """Compare with words of ours, which need no parameters."""
    constants = [literal_column(f"'{word}'", Text) for word in words]
    return kind == constants[0] if len(constants) == 1 else kind.in_(constants)


def can_be_facet(name: str) -> bool:
    """Say whether a column can have an index of its own."""
    return _is_plain(name) and "'" not in name


def _plain_number(number: Expression, written: Expression) -> Expression:
    size = func.abs(number)
    return case((number == 0, literal("0", Text)), (and_(size < 1e15, size >= 1e-4), written))


def like_parts(pattern: str, escape: str | None) -> tuple[str, ...] | None:
    """Take a LIKE pattern apart: `%`, `_`, or `=` and a character that stands for itself.

    None where the pattern ends in the escape character.
    """
    parts: list[str] = []
    characters = iter(pattern)
    for character in characters:
        if character == escape:
            following = next(characters, None)
            if following is None:
                return None
            parts.append("=" + following)
        elif character not in "%_":
            parts.append("=" + character)
        elif (character, parts[-1:]) != ("%", ["%"]):
            parts.append(character)
    return tuple(parts)


@lru_cache(maxsize=1)
def _same_letters() -> dict[str, str]:
    """Group the letters that differ in case only, by Unicode's mappings of one to one.

    ß and SS are two letters against one and stay different.
    """
    groups: dict[str, list[str]] = {}
    for code in range(0x1E944):  # the last letter with two cases is Adlam's
        character = chr(code)
        folded = character.casefold()
        if len(folded) > 1:
            folded = character.lower()
        if len(folded) == 1 and (folded != character or character.upper() != character):
            groups.setdefault(folded, []).append(character)
    return {letter: "".join(group) for group in groups.values() for letter in group}


def _glob_class(character: str) -> str:
    letters = _same_letters().get(character, character)
    return f"[{letters}]" if len(letters) > 1 or character in "*?[" else character


def _regex_class(character: str) -> str:
    letters = _same_letters().get(character, character)
    if len(letters) > 1:
        return f"[{letters}]"
    return f"\\{character}" if character in r".^$*+?()[]{}|\\" else character


DATABASES: dict[str, Database] = {"sqlite": Sqlite(), "postgresql": Postgres()}
