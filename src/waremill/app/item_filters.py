"""What of a run's items a listing asks for: filters, and which index serves them.

All filters must hold. They become one condition over `items` and `products`, or the streams that
read the items through an index in the order of their ids. Unlike the review desk's, a listing's
filters without states pick items in any state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from sqlalchemy import ColumnElement, Connection, and_

from waremill.app.filtering import FEW, best_term
from waremill.app.working import condition_of
from waremill.errors import ConfigError
from waremill.store import run_items
from waremill.store.browsing import Condition
from waremill.store.database import Dialect
from waremill.store.products import Catalog
from waremill.store.run_items import ItemStream
from waremill.store.runs import Run
from waremill.store.tables import items

STATES = ("pending", "waiting", "ready", "review", "accepted", "edited", "rejected", "failed")


class ItemFilters(TypedDict, total=False):
    """What may be asked of a run's items; what is absent, None or empty asks nothing.

    `where` is SQL over attributes and `_findings`, `_status`, `_target`, `_key`; `rule` names a
    check an item has a finding of, `field` the field such a finding is about; `target` is written
    as `de-DE@amazon`; `text` stands in the product's key or in a value that was made.
    """

    where: str | None
    states: Sequence[str]
    rule: str | None
    field: str | None
    target: str | None
    text: str | None


def item_condition(run: Run, filters: ItemFilters, dialect: Dialect) -> ColumnElement[bool]:
    """Give all filters as one condition for a query that joins `items` and `products`.

    Raises UserError for a filter that is not understood.
    """
    found: list[Condition] = [items.c.run_id == run.id, *_checked(run, filters, dialect)]
    if states := _states(filters):
        found.append(items.c.state.in_(states))
    rule, about = filters.get("rule") or None, filters.get("field") or None
    if rule or about:
        found.append(run_items.has_finding(run.id, rule, about))
    return and_(*found)


def choose_item_streams(
    conn: Connection, run: Run, catalog: Catalog, filters: ItemFilters, dialect: Dialect
) -> tuple[ItemStream, ...]:
    """Give the streams that together hold what the filters pick."""
    rule, about = filters.get("rule") or None, filters.get("field") or None
    states = _states(filters)
    checked = _checked(run, filters, dialect)
    joined = bool(filters.get("where") or filters.get("text"))
    by_state = [items.c.state.in_(states)] if states else []
    if chosen := _few_products(conn, run, catalog, filters, dialect):
        found = [run_items.has_finding(run.id, rule, about)] if rule or about else []
        rest = _all([*checked, *by_state, *found])
        return (ItemStream(run.id, chosen=chosen, where=rest, joined=joined),)
    if rule is None and about is None:
        rest = _all(checked)
        return tuple(
            ItemStream(run.id, state=one, where=rest, joined=joined) for one in states or (None,)
        )
    rest = _all([*checked, *by_state])
    rules = [rule] if rule is not None else run_items.rules_of(conn, run.id)
    return tuple(
        ItemStream(run.id, rule=one, field=about, where=rest, joined=joined) for one in rules
    )


def _checked(run: Run, filters: ItemFilters, dialect: Dialect) -> list[Condition]:
    """Give the conditions that no index answers in the order of ids."""
    found: list[Condition] = []
    if target := filters.get("target"):
        found.append(items.c.target == target)
    if where := (filters.get("where") or "").strip():
        found.append(condition_of(run, where, dialect))
    if text := filters.get("text"):
        found.append(run_items.holds_text(text))
    return found


def _states(filters: ItemFilters) -> tuple[str, ...]:
    states = tuple(dict.fromkeys(filters.get("states") or ()))
    unknown = [one for one in states if one not in STATES]
    if unknown:
        known = f"{', '.join(STATES[:-1])} and {STATES[-1]}"
        raise ConfigError(f"“{unknown[0]}” is no state of an item; there are {known}")
    return states


def _all(conditions: Sequence[Condition]) -> Condition | None:
    return and_(*conditions) if conditions else None


def _few_products(
    conn: Connection, run: Run, catalog: Catalog, filters: ItemFilters, dialect: Dialect
) -> tuple[Condition, ...]:
    """Give what picks a few products whose items are looked up one by one, if a filter does."""
    where = (filters.get("where") or "").strip()
    slots = tuple(run.plan.get("slots", ()))
    term = best_term(conn, catalog, dialect, where, slots) if where else None
    if term is None:
        return ()
    chosen = tuple(one for way in term.ways(dialect) for one in run_items.within(catalog.id, way))
    return chosen if run_items.most_products(conn, chosen, FEW + 1) <= FEW else ()


__all__ = ["STATES", "ItemFilters", "choose_item_streams", "item_condition"]
