"""The calculator: arithmetic with units, read by a grammar of its own.

    50 ml in fl oz      3 * 12.5 %      100 - 20 %      2 * 250 g + 1 lb in kg      20 °C in °F

Nothing is ever handed to Python to evaluate. Values are exact fractions of bounded size; an
expression has at most 500 characters.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from waremill.tools.builtin.quantities import (
    Quantity,
    Unclear,
    Unit,
    added,
    multiplied,
    name_of,
    raised,
    read_in,
    root,
    unit_of,
    written,
)
from waremill.tools.tool import Tool, ToolFailed, tool, tool_of

LONGEST = 500
DEEPEST = 30
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3}(?![\w.]))?)"
    r"|(?P<word>°\s?[A-Za-z]|[℃℉]|[^\W\d_]+[²³23]?(?![\w])|[^\W\d_]+)"
    r"|(?P<sign>\*\*|[-+*/^(),%×÷·−])|(?P<other>\S))"
)
_SIGNS = {"×": "*", "·": "*", "÷": "/", "−": "-", "**": "^"}
_INTO = frozenset({"in", "to", "as", "into"})


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


@tool(name="calculator", pure=True)
def calculate(expression: str) -> str:
    """Work out an expression with numbers and units, and convert units.

    Knows + - * / ^ %, parentheses, sqrt, round(x, digits), abs, floor, ceil, min, max, and units of
    volume, mass, length, area, time, power, energy, voltage, current, data and temperature.

    Args:
        expression: such as “50 ml in fl oz”, “12.5 % of 80”, “100 - 20 %” or “1.2 kg / 8 in g”.
    """
    if len(expression) > LONGEST:
        raise ToolFailed(f"the expression is longer than {LONGEST} characters")
    try:
        return _Reading(expression).result()
    except Unclear as error:
        raise ToolFailed(f"“{expression[:80]}” cannot be worked out: {error}") from None


def calculator() -> Tool:
    """Give the calculator."""
    return tool_of(calculate)


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    for match in _TOKEN.finditer(text.strip().rstrip("=?").strip()):
        kind = match.lastgroup or "other"
        if kind == "other":
            raise Unclear(f"“{match['other']}” is not understood")
        token = match[kind]
        found.append(_Token(kind, _SIGNS.get(token, token)))
    if not found:
        raise Unclear("it is empty")
    return found


class _Reading:
    """One expression on its way to a value: recursive descent, one method a rank."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def result(self) -> str:
        value = self._whole()
        if self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.text == ",":
                raise Unclear("write 1.5 for one and a half, and 1000 without separators")
            raise Unclear(f"“{token.text}” is not expected there")
        return written(value)

    def _whole(self) -> Quantity:
        """Read a sum, and the unit it is to be given in."""
        value = self._sum()
        if self._word() not in _INTO:
            return value
        self._at += 1
        into = self._target(value)
        if into.written == "%":
            return Quantity(read_in(value, into) / 100, percent=True)
        return Quantity(read_in(value, into) * into.factor, into.dimensions, into)

    def _sum(self) -> Quantity:
        value = self._product()
        while (sign := self._sign("+-")) is not None:
            value = added(value, self._product(), 1 if sign == "+" else -1)
        return value

    def _product(self) -> Quantity:
        value = self._signed()
        while (sign := self._times()) is not None:
            value = multiplied(value, self._signed(), 1 if sign == "*" else -1)
        return value

    def _times(self) -> str | None:
        """Read a sign of this rank; “of” is one too: 10 % of 200."""
        if self._word() == "of":
            self._at += 1
            return "*"
        return self._sign("*/")

    def _signed(self) -> Quantity:
        sign = self._sign("+-")
        if sign is None:
            return self._power()
        self._deeper()
        value = self._signed()
        self._depth -= 1
        if sign == "+":
            return value
        return Quantity(-value.value, value.dimensions, value.unit, value.percent)

    def _power(self) -> Quantity:
        base = self._single()
        if self._sign("^") is None:
            return base
        self._deeper()
        exponent = self._signed()
        self._depth -= 1
        return raised(base, exponent)

    def _single(self) -> Quantity:
        token = self._next()
        if token.kind == "number":
            return self._with_unit(Fraction(token.text))
        if token.text == "(":
            self._deeper()
            value = self._whole()
            self._close()
            self._depth -= 1
            return self._with_percent(value)
        if token.kind == "word":
            if (function := _FUNCTIONS.get(token.text.lower())) is not None and self._opens():
                return function(self._arguments())
            self._at -= 1
            unit = self._unit()
            if unit is not None:
                return Quantity(unit.factor, unit.dimensions, unit)
            raise Unclear(f"“{token.text}” is no unit and no function")
        raise Unclear(f"“{token.text}” is not expected there")

    def _with_unit(self, number: Fraction) -> Quantity:
        if self._sign("%") is not None:
            return Quantity(number / 100, percent=True)
        if self._word() in (*_INTO, "of") and not self._is_inch():
            return Quantity(number)
        unit = self._unit()
        if unit is None:
            return Quantity(number)
        unit = self._raised_unit(unit)
        return Quantity(number * unit.factor, unit.dimensions, unit)

    def _with_percent(self, value: Quantity) -> Quantity:
        if self._sign("%") is None:
            return value
        if value.dimensions:
            raise Unclear(f"a percentage of {name_of(value)} is written 10 % * …")
        return Quantity(value.value / 100, percent=True)

    def _raised_unit(self, unit: Unit) -> Unit:
        """Read `cm^3`: the power is the unit's, not the quantity's."""
        following = self._tokens[self._at : self._at + 2]
        if len(following) < 2 or following[0].text != "^" or following[1].text not in ("2", "3"):
            return unit
        count = int(following[1].text)
        self._at += 2
        dimensions = tuple((name, one * count) for name, one in unit.dimensions)
        return Unit(f"{unit.written}^{count}", unit.factor**count, dimensions)

    def _is_inch(self) -> bool:
        """Say whether “in” after a number is the inch: unless a unit and nothing else follows."""
        if self._word() != "in":
            return False
        rest = self._tokens[self._at + 1 :]
        return not rest or rest[0].kind != "word" or rest[0].text.lower() in _INTO

    def _target(self, value: Quantity) -> Unit:
        """Read what to convert into: a unit, or units multiplied and divided, or %."""
        if self._sign("%") is not None:
            return Unit("%", Fraction(1, 100), ())
        unit = self._target_part(value)
        while (sign := self._sign("*/")) is not None:
            other = self._target_part(None)
            power = 1 if sign == "*" else -1
            product = multiplied(
                Quantity(unit.factor, unit.dimensions), Quantity(other.factor, other.dimensions),
                power,
            )  # fmt: skip
            unit = Unit(f"{unit.written}{sign}{other.written}", product.value, product.dimensions)
        return unit

    def _target_part(self, value: Quantity | None) -> Unit:
        unit = self._unit(value)
        if unit is None:
            shown = self._tokens[self._at].text if self._at < len(self._tokens) else "nothing"
            raise Unclear(f"“{shown}” is no unit that is known here")
        return self._raised_unit(unit)

    def _unit(self, beside: Quantity | None = None) -> Unit | None:
        """Read a unit of up to three words: the longest that is one."""
        words: list[str] = []
        for token in self._tokens[self._at : self._at + 3]:
            if token.kind != "word":
                break
            words.append(token.text)
        for count in range(len(words), 0, -1):
            dimensions = None if beside is None else beside.dimensions
            found = unit_of(" ".join(words[:count]), dimensions)
            if found is not None:
                self._at += count
                return found
        return None

    def _arguments(self) -> list[Quantity]:
        self._next()
        self._deeper()
        found = [self._whole()]
        while self._sign(",") is not None:
            found.append(self._whole())
        self._close()
        self._depth -= 1
        return found

    def _opens(self) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at].text == "("

    def _close(self) -> None:
        if self._sign(")") is None:
            raise Unclear("a parenthesis is not closed")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise Unclear("it is nested too deeply")

    def _next(self) -> _Token:
        if self._at >= len(self._tokens):
            raise Unclear("something is missing at the end")
        self._at += 1
        return self._tokens[self._at - 1]

    def _word(self) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at].kind != "word":
            return ""
        return self._tokens[self._at].text.lower()

    def _sign(self, wanted: str) -> str | None:
        if self._at < len(self._tokens) and self._tokens[self._at].kind == "sign":
            text = self._tokens[self._at].text
            if text in wanted:
                self._at += 1
                return text
        return None


def _one(arguments: list[Quantity]) -> Quantity:
    if len(arguments) != 1:
        raise Unclear("this function takes one value")
    return arguments[0]


def _rounding(how: Callable[[Fraction], int]) -> Callable[[list[Quantity]], Quantity]:
    def apply(arguments: list[Quantity]) -> Quantity:
        return _to_digits(_one(arguments), 0, how)

    return apply


def _to_digits(value: Quantity, digits: int, how: Callable[[Fraction], int]) -> Quantity:
    """Round in the unit the value is shown in."""
    factor = value.unit.factor if value.unit is not None else Fraction(1)
    scale = Fraction(10) ** digits
    rounded = Fraction(how(value.value / factor * scale)) / scale
    return Quantity(rounded * factor, value.dimensions, value.unit, value.percent)


def _half_up(value: Fraction) -> int:
    half = Fraction(1, 2)
    return math.floor(value + half) if value >= 0 else math.ceil(value - half)


def _round(arguments: list[Quantity]) -> Quantity:
    if not 1 <= len(arguments) <= 2:
        raise Unclear("round takes a value and perhaps a number of digits")
    digits = arguments[1].value if len(arguments) == 2 else Fraction(0)
    if digits.denominator != 1 or abs(digits) > 12:
        raise Unclear("round takes a whole number of digits up to 12")
    return _to_digits(arguments[0], int(digits), _half_up)


def _extreme(sign: int) -> Callable[[list[Quantity]], Quantity]:
    def choose(arguments: list[Quantity]) -> Quantity:
        best = arguments[0]
        for one in arguments[1:]:
            if added(one, best, -1).value * sign > 0:
                best = one
        return best

    return choose


def _abs(arguments: list[Quantity]) -> Quantity:
    value = _one(arguments)
    return Quantity(abs(value.value), value.dimensions, value.unit, value.percent)


def _sqrt(arguments: list[Quantity]) -> Quantity:
    return root(_one(arguments))


_FUNCTIONS: Mapping[str, Callable[[list[Quantity]], Quantity]] = {
    "abs": _abs, "ceil": _rounding(math.ceil), "floor": _rounding(math.floor),
    "max": _extreme(1), "min": _extreme(-1), "round": _round, "sqrt": _sqrt,
}  # fmt: skip
