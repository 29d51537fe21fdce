"""The filters, tests and operators templates may use. All are bounded and accept missing values.

This module computes; what may be written in a template is decided in `expressions`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Undefined, pass_context
from jinja2.runtime import Context

from waremill.domain import is_missing
from waremill.templates.values import cut, write_value

_MOST_ROUNDS = 10_000
_LONGEST = 200_000


class ExpressionError(ValueError):
    """A template text that cannot be compiled or computed; `line` counts within the text."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


def missing(value: Any) -> bool:
    """Say whether a value is absent, null, blank or empty."""
    return isinstance(value, Undefined) or is_missing(value) or value == ()


def number(value: Any) -> float | int | None:
    """Read a number, or text that looks like one; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str) and len(value) <= 40:
        try:
            found = float(value)
        except ValueError:
            return None
        return found if found == found and abs(found) != float("inf") else None
    return None


def add(operator: str, left: Any, right: Any) -> Any:
    """Compute `+ - / //`: numbers as numbers, texts joined by `+`, anything else is missing."""
    one, two = number(left), number(right)
    if one is not None and two is not None and not isinstance(left, str):
        if operator == "+":
            return one + two
        if operator == "-":
            return one - two
        if two == 0:
            return None
        return one / two if operator == "/" else one // two
    if operator == "+":
        if missing(left) and missing(right):
            return None
        return _bounded(_raw(left) + _raw(right))
    if one is None or two is None:
        return None
    return add(operator, one, two)


def items(value: Any) -> list[Any]:
    """Give the parts of a list, a text as one part, nothing for a missing value."""
    if missing(value):
        return []
    if isinstance(value, (list, tuple)):
        return [part for part in value if not missing(part)]
    if isinstance(value, Mapping):
        return list(value)
    return [value]


def _raw(value: Any) -> str:
    """Write a value, keeping the white space around a text: `brand ~ " " ~ name`."""
    return value if isinstance(value, str) else write_value(value)


def _bounded(text: str) -> str:
    if len(text) > _LONGEST:
        raise ExpressionError(f"the text grows beyond {_LONGEST} characters")
    return text


@pass_context
def _items(context: Context, value: Any) -> list[Any]:
    parts = items(value)
    work = context.parent["_work"]
    work[0] += len(parts) + 1
    if work[0] > _MOST_ROUNDS:
        raise ExpressionError(f"loops of one text go around more than {_MOST_ROUNDS} times")
    return parts


def _concat(parts: list[Any]) -> str:
    texts = [_raw(part) for part in parts]
    if sum(map(len, texts)) > _LONGEST:
        raise ExpressionError(f"the text grows beyond {_LONGEST} characters")
    return "".join(texts)


def _equal(left: Any, right: Any) -> bool:
    if missing(left) or missing(right):
        return missing(left) and missing(right)
    one, two = number(left), number(right)
    if one is not None and two is not None and isinstance(left, str) != isinstance(right, str):
        return one == two
    return bool(left == right)


def _contains(container: Any, value: Any) -> bool:
    if missing(container) or missing(value):
        return False
    if isinstance(container, str):
        return write_value(value) in container
    if isinstance(container, (list, tuple)):
        return any(_equal(part, value) for part in container)
    return isinstance(container, Mapping) and isinstance(value, str) and value in container


def compare(left: Any, operator: str, right: Any) -> bool:
    """Compare two values; nothing is before or after a missing value."""
    if operator in ("eq", "ne"):
        return _equal(left, right) is (operator == "eq")
    if operator in ("in", "notin"):
        return _contains(right, left) is (operator == "in")
    if missing(left) or missing(right):
        return False
    one: Any = number(left)
    two: Any = number(right)
    if one is None or two is None:
        if not (isinstance(left, str) and isinstance(right, str)):
            return False
        one, two = left.casefold(), right.casefold()
    if operator == "gt":
        return bool(one > two)
    if operator == "gteq":
        return bool(one >= two)
    return bool(one < two) if operator == "lt" else bool(one <= two)


def _join(value: Any, separator: str = ", ") -> str:
    parts = [write_value(part) for part in items(value)]
    if sum(map(len, parts)) + len(parts) * len(separator) > _LONGEST:
        raise ExpressionError(f"the text grows beyond {_LONGEST} characters")
    return separator.join(parts)


def _replace(value: Any, old: str, new: str = "") -> str:
    text = write_value(value)
    old, new = _raw(old), _raw(new)
    if not old:
        return text
    if len(text) + text.count(old) * len(new) > _LONGEST:
        raise ExpressionError(f"the text grows beyond {_LONGEST} characters")
    return text.replace(old, new)


def _split(value: Any, separator: str = ";") -> list[str]:
    if isinstance(value, (list, tuple)):
        return [write_value(part) for part in value]
    if not separator:
        return [write_value(value)]
    return [part.strip() for part in write_value(value).split(separator) if part.strip()]


def _default(value: Any, default: Any = "") -> Any:
    return default if missing(value) else value


def _length(value: Any) -> int:
    if missing(value):
        return 0
    return len(value) if isinstance(value, (str, list, tuple, Mapping)) else 1


def _end(index: int) -> Callable[[Any], Any]:
    def end(value: Any) -> Any:
        if isinstance(value, str):
            return value[index:] if index else value[:1]
        parts = items(value)
        return parts[index] if parts else None

    return end


def _round(value: Any, digits: int = 0) -> float | int | None:
    found = number(value)
    if found is None:
        return None
    rounded = round(found, max(-9, min(int(number(digits) or 0), 9)))
    return int(rounded) if float(rounded).is_integer() else rounded


def _int(value: Any, default: int = 0) -> int:
    found = number(value)
    return default if found is None else int(found)


def _float(value: Any, default: float = 0.0) -> float:
    found = number(value)
    return default if found is None else float(found)


def _unique(value: Any) -> list[Any]:
    seen: dict[str, Any] = {}
    for part in items(value):
        seen.setdefault(write_value(part).casefold(), part)
    return list(seen.values())


def _sort(value: Any, reverse: bool = False) -> list[Any]:
    def order(part: Any) -> tuple[int, float, str]:
        found = number(part)
        return (1, 0.0, write_value(part).casefold()) if found is None else (0, float(found), "")

    return sorted(items(value), key=order, reverse=bool(reverse))


FILTERS: dict[str, Callable[..., Any]] = {
    "abs": lambda value: None if number(value) is None else abs(number(value) or 0),
    "default": _default,
    "first": _end(0),
    "float": _float,
    "int": _int,
    "join": _join,
    "last": _end(-1),
    "length": _length,
    "list": items,
    "lower": lambda value: write_value(value).lower(),
    "replace": _replace,
    "round": _round,
    "sort": _sort,
    "split": _split,
    "title": lambda value: write_value(value).title(),
    "trim": write_value,
    "truncate": lambda value, length=100: cut(write_value(value), max(_int(length), 1)),
    "unique": _unique,
    "upper": lambda value: write_value(value).upper(),
}
INTERNAL_FILTERS: dict[str, Callable[..., Any]] = {
    "_compare": compare,
    "_concat": _concat,
    "_items": _items,
}
TESTS: dict[str, Callable[..., bool]] = {
    "defined": lambda value: not missing(value),
    "missing": missing,
    "none": missing,
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "sequence": lambda value: isinstance(value, (list, tuple)),
    "string": lambda value: isinstance(value, str),
    "undefined": missing,
}
