"""What a run came to: sums, groups, and its items with their results in pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import Connection, case, func, literal, select

from waremill.store.browsing import Stretch, ahead
from waremill.store.ledger import ANSWERED
from waremill.store.tables import (
    calls,
    items,
    outcomes,
    product_versions,
    products,
    results,
)

PAGE = 1000
LATENCIES = 20_000
"""Latencies read for percentiles; more are thinned out evenly."""


@dataclass(frozen=True, slots=True)
class FinishedItem:
    """An item with its product and what its steps made, in their order."""

    id: int
    key: str
    target: str
    state: str
    attributes: Mapping[str, Any]
    fields: Mapping[str, Any]
    findings: list[dict[str, Any]]
    list_cost: int | None
    paid: int | None
    latency: float | None
    error: Mapping[str, Any] | None
    provenance: Mapping[str, Mapping[str, Any]]
    """By field: the template, its version, the model, the answers."""
    by_step: Mapping[str, Mapping[str, Any]]
    """What each step made, so that two steps may use one field name."""
    product_id: int


def item_pages(
    conn: Connection, run_id: int, states: Sequence[str] | None = None, size: int = PAGE
) -> Iterator[list[FinishedItem]]:
    """Read a run's items in order, in pages of flat size."""
    after = 0
    while page := item_page(conn, run_id, after, states, size):
        after = page[-1].id
        yield page


def item_page(
    conn: Connection, run_id: int, after: int, states: Sequence[str] | None = None, size: int = PAGE
) -> list[FinishedItem]:
    """Read the page of a run's items whose ids follow `after`."""
    found, order = ahead(conn, ((items.c.run_id, run_id),), items.c.id, Stretch(after))
    query = (
        select(items, products.c.key, products.c.attributes, products.c.version)
        .join(products, products.c.id == items.c.product_id)
        .where(*found)
        .order_by(*order)
        .limit(size)
    )
    if states is not None:
        query = query.where(items.c.state.in_(states))
    rows = conn.execute(query).all()
    pinned = _pinned(conn, [row for row in rows if row.version != row.product_version])
    made = _results(conn, [row.source_id or row.id for row in rows])
    finished = []
    for row in rows:
        fields: dict[str, Any] = {}
        findings: dict[str, list[dict[str, Any]]] = {}
        provenance: dict[str, Mapping[str, Any]] = {}
        by_step: dict[str, Mapping[str, Any]] = {}
        for result in made.get(row.source_id or row.id, []):
            values = orjson.loads(result["values"])
            fields.update(values)
            by_step[result["step"]] = {**by_step.get(result["step"], {}), **values}
            made_how = orjson.loads(result["provenance"] or "{}")
            if made_how:
                origin = {**made_how, "replayed": row.source_id is not None}
                provenance.update(dict.fromkeys(values, origin))
            if "restores" not in made_how:  # the values of before, and so their findings
                _follow(findings, result, values)
        finished.append(
            FinishedItem(
                row.id, row.key, row.target, row.state,
                pinned.get((row.product_id, row.product_version), row.attributes), fields,
                [one for some in findings.values() for one in some],
                row.list_cost, row.paid, row.latency,
                orjson.loads(row.error) if row.error else None,
                provenance, by_step, row.product_id,
            )
        )  # fmt: skip
    return finished


def _follow(
    findings: dict[str, list[dict[str, Any]]], result: Mapping[str, Any], values: Mapping[str, Any]
) -> None:
    """Move an item's findings, by step, on to one more result.

    A person's result has all findings of its step, and ends those about its fields elsewhere.
    """
    some = orjson.loads(result["findings"]) if result["findings"] else None
    if result["origin"] != "human":
        findings.setdefault(result["step"], []).extend(some or ())
        return
    for step, known in findings.items():
        findings[step] = [one for one in known if one["field"] not in values]
    if some is not None:
        findings[result["step"]] = some


def _pinned(conn: Connection, rows: Sequence[Any]) -> dict[tuple[int, int], Mapping[str, Any]]:
    """Give the attributes that items worked on where their product has changed since."""
    found: dict[tuple[int, int], Mapping[str, Any]] = {}
    for start in range(0, len(rows), 500):
        ids = {row.product_id for row in rows[start : start + 500]}
        query = select(product_versions).where(product_versions.c.product_id.in_(ids))
        for row in conn.execute(query):
            found[row.product_id, row.version] = row.attributes
    return found


def _results(conn: Connection, item_ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for start in range(0, len(item_ids), 500):
        some = item_ids[start : start + 500]
        query = (
            select(
                results.c.item_id,
                results.c.step,
                results.c.origin,
                results.c["values"],
                results.c.findings,
                results.c.provenance,
            )
            .where(results.c.item_id.in_(some))
            .order_by(results.c.id)
        )
        for row in conn.execute(query).mappings():
            found.setdefault(row["item_id"], []).append(dict(row))
    return found


def by_target(conn: Connection, run_id: int, targets: Sequence[str]) -> list[dict[str, Any]]:
    """Sum a run's items by target and state: items, paid, list cost, items without a price.

    Grouped by state alone, which an index gives in order: grouping by the target too would sort
    all items in memory.
    """
    summed: dict[str, Any] = {
        "items": literal(1), "paid": items.c.paid, "list_cost": items.c.list_cost,
        "linked": case((items.c.source_id.is_not(None), 1), else_=0),
    }  # fmt: skip
    columns = [
        func.sum(case((items.c.target == target, value))).label(f"{name}_{place}")
        for place, target in enumerate(targets)
        for name, value in summed.items()
    ]
    query = select(items.c.state, *columns).where(items.c.run_id == run_id).group_by(items.c.state)
    rows = list(conn.execute(query).mappings())
    return [
        _plain({"target": target, "state": row["state"],
                **{name: row[f"{name}_{place}"] for name in summed}})
        for target, place in sorted(zip(targets, range(len(targets)), strict=True))
        for row in rows
        if row[f"items_{place}"]
    ]  # fmt: skip


def by_model(conn: Connection, run_id: int) -> list[dict[str, Any]]:
    """Give a run's calls by model and outcome: attempts, tokens, paid, list cost, mean seconds.

    `priced` have a list cost, and of `charge_known` it is known what was paid.
    """
    query = (
        select(outcomes)
        .where(outcomes.c.run_id == run_id)
        .order_by(outcomes.c.model, outcomes.c.outcome)
    )
    return [
        {
            "model": row.model, "outcome": row.outcome, "calls": row.calls, "input": row.input,
            "cached": row.cached, "output": row.output, "reasoning": row.reasoning,
            "paid": row.paid, "list_cost": row.list_cost, "priced": row.priced,
            "charge_known": row.charged, "latency": row.seconds / row.calls,
            "streamed": row.streamed, "first_seconds": row.first_seconds,
        }
        for row in conn.execute(query)
    ]  # fmt: skip


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Make PostgreSQL's decimals plain numbers."""
    return {
        name: (int(value) if value == value.to_integral_value() else float(value))
        if isinstance(value, Decimal)
        else value
        for name, value in row.items()
    }


def latencies(conn: Connection, run_id: int) -> list[float]:
    """Give the latencies of a run's complete replies, sorted, in seconds; batches have none."""
    done = (calls.c.run_id == run_id, calls.c.outcome.in_(ANSWERED), calls.c.latency > 0)
    number = sum(one["calls"] for one in by_model(conn, run_id) if one["outcome"] in ANSWERED)
    query = select(calls.c.latency).where(*done)
    if number > LATENCIES:
        query = query.where(calls.c.id % (number // LATENCIES + 1) == 0)
    return sorted(conn.execute(query).scalars())
