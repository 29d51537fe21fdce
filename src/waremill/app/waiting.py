"""Filters of items at the review desk: compiled to what waits, and told in a record's words.

Unlike in a listing, an item that took over another's results is found by that one's findings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection

from waremill.app.item_filters import STATES, ItemFilters
from waremill.app.working import condition_of
from waremill.errors import ConfigError
from waremill.review.verdicts import WAITING
from waremill.store.database import Dialect
from waremill.store.reviewing import Wanted, known_rules
from waremill.store.run_items import holds_text
from waremill.store.runs import Run
from waremill.store.tables import items

EVERY = ItemFilters()
"""No filter: all that waits."""


def wanted_items(conn: Connection, run: Run, filters: ItemFilters, dialect: Dialect) -> Wanted:
    """Compile filters; without `states` what waits is meant, in the order review, ready.

    Raises SelectionError for a `where` that cannot be understood, ConfigError for a wrong state.
    """
    conditions: list[ColumnElement[bool]] = []
    states = tuple(dict.fromkeys(filters.get("states") or WAITING))
    for state in states:
        if state not in STATES:
            raise ConfigError(f"“{state}” is no state of an item; there are {', '.join(STATES)}")
    if where := (filters.get("where") or "").strip():
        conditions.append(condition_of(run, where, dialect))
    if target := filters.get("target"):
        conditions.append(items.c.target == target)
    if text := filters.get("text"):
        conditions.append(holds_text(text))
    rule, about = filters.get("rule") or None, filters.get("field") or None
    rules = known_rules(conn) if about is not None and rule is None else ()
    return Wanted(run.id, states, tuple(conditions), rule, about, rules)


def waiting_items(conn: Connection, run: Run, filters: ItemFilters, dialect: Dialect) -> Wanted:
    """Compile filters over what waits: bulk verdicts and lots touch nothing else."""
    wanted = wanted_items(conn, run, filters, dialect)
    return replace(wanted, states=tuple(one for one in WAITING if one in wanted.states))


def given(filters: ItemFilters) -> Mapping[str, Any]:
    """Give what was filtered by, without what was not."""
    return {name: value for name, value in filters.items() if value}


def told(filters: ItemFilters) -> str:
    """Say in short which items are meant, as it stands in the record."""
    said = [
        f"{name} {', '.join(value) if isinstance(value, (list, tuple)) else value}"
        for name, value in given(filters).items()
    ]
    return ", ".join(said) or "all that wait"
