"""How far a database was read, as text: numbers, texts and times come back as what they were."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import orjson

from waremill.errors import SourceError
from waremill.store.tables import dumps


def write_value(value: Any) -> str:
    """Write a column's value; raises SourceError for one that does not grow."""
    if isinstance(value, datetime):
        return dumps({"datetime": value.isoformat()})
    if isinstance(value, date):
        return dumps({"date": value.isoformat()})
    if isinstance(value, Decimal):
        return dumps({"decimal": str(value)})
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        return dumps({"plain": value})
    raise SourceError("a column that grows holds numbers, texts or times")


def read_value(text: str) -> Any:
    """Read what `write_value` wrote."""
    ((kind, value),) = orjson.loads(text).items()
    if kind == "datetime":
        return datetime.fromisoformat(value)
    if kind == "date":
        return date.fromisoformat(value)
    return Decimal(value) if kind == "decimal" else value


def has_grown(before: Any, now: Any) -> bool:
    """Say whether a column goes on from a value: not where it went back, or is of another kind."""
    numbers = isinstance(before, int | float | Decimal) and isinstance(now, int | float | Decimal)
    if not numbers and type(before) is not type(now):
        return False
    try:
        return bool(now >= before)
    except TypeError:  # a time with its zone, and one without
        return False


__all__ = ["has_grown", "read_value", "write_value"]
