"""What became of a product's fields: every result of them, and taking back what a run made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select, tuple_

from waremill.domain import Item, Product, Target
from waremill.errors import NotFound
from waremill.store.reviewing import Made, as_made
from waremill.store.runs import Run
from waremill.store.tables import (
    AnyRow,
    answers,
    current,
    items,
    product_versions,
    products,
    results,
    reviews,
    runs,
)
from waremill.store.verdicts import Appended, Decision, append_results, judge_many

MOST_RESULTS = 2_000
"""Results of one product that are looked back at."""
REVERTED_AT_ONCE = 500
_MADE = ("ready", "review", "accepted", "edited")
REVERT = "revert of run "
"""How the rule of a review begins that took a whole run back."""
Place = tuple[int, str, str]
"""(product id, target, field)."""


@dataclass(frozen=True, slots=True)
class RunOf:
    """The run a result was made in, as far as a change names it."""

    id: int
    name: str
    team_id: int
    created_by: str | None


@dataclass(frozen=True, slots=True)
class TakenBack:
    """A review that took an item's values back with their whole run."""

    item_id: int
    at: float
    by: str | None


def results_of(
    conn: Connection, product_ids: Sequence[int], target: str | None
) -> list[tuple[Made, RunOf]]:
    """Give the newest results of products (or groups), oldest first, copies left out."""
    query = (
        select(results, runs.c.id.label("run_id"), runs.c.name, runs.c.team_id, runs.c.created_by)
        .join(items, items.c.id == results.c.item_id)
        .join(runs, runs.c.id == items.c.run_id)
        .where(results.c.product_id.in_(product_ids))
        .order_by(results.c.id.desc())
        .limit(MOST_RESULTS)
    )
    if target is not None:
        query = query.where(results.c.target == target)
    found = [
        (as_made(row), RunOf(row.run_id, row.name, row.team_id, row.created_by))
        for row in conn.execute(query)
    ]
    return [pair for pair in reversed(found) if pair[0].since == pair[0].id]


def taken_back(conn: Connection, item_ids: Sequence[int]) -> list[TakenBack]:
    """Give which of some items were taken back with their run, when and by whom."""
    query = (
        select(reviews.c.item_id, reviews.c.created_at, reviews.c.by)
        .where(reviews.c.item_id.in_(item_ids), reviews.c.rule.startswith(REVERT))
        .order_by(reviews.c.id)
    )
    return [TakenBack(row.item_id, row.created_at, row.by) for row in conn.execute(query)]


def result_by_id(conn: Connection, result_id: int) -> tuple[Made, RunOf]:
    """Give a result and the run it was made in; raise NotFound where there is none."""
    query = (
        select(results, runs.c.id.label("run_id"), runs.c.name, runs.c.team_id, runs.c.created_by)
        .join(items, items.c.id == results.c.item_id)
        .join(runs, runs.c.id == items.c.run_id)
        .where(results.c.id == result_id)
    )
    row = conn.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"there is no result {result_id}")
    return as_made(row), RunOf(row.run_id, row.name, row.team_id, row.created_by)


def current_result(conn: Connection, place: Place) -> int | None:
    """Give the result that decides a field now; None where nothing does."""
    product_id, target, name = place
    found: int | None = conn.execute(
        select(current.c.result_id).where(
            current.c.product_id == product_id,
            current.c.target == target,
            current.c.field == name,
        )
    ).scalar()
    return found


def group_of(conn: Connection, product_id: int) -> int | None:
    """Give the id of a product's group, if it has one."""
    found: int | None = conn.execute(
        select(products.c.group_id).where(products.c.id == product_id)
    ).scalar()
    return found


def item_as_worked(conn: Connection, item_id: int, run: Run) -> Item:
    """Give an item with product and group at the versions they were worked on."""
    row = conn.execute(select(items).where(items.c.id == item_id)).one()
    product = _pinned(conn, row.product_id, row.product_version)
    group = None
    if row.group_id is not None:
        group = _pinned(conn, row.group_id, row.group_version)
    target = Target.parse(row.target) if row.target else None
    return Item(row.id, product, target, {}, run.take, group)


def _pinned(conn: Connection, product_id: int, version: int) -> Product:
    row = conn.execute(select(products).where(products.c.id == product_id)).one()
    attributes = row.attributes
    if row.version != version:
        query = select(product_versions.c.attributes).where(
            product_versions.c.product_id == product_id, product_versions.c.version == version
        )
        attributes = conn.execute(query).scalar_one()
    return Product(row.id, row.key, attributes, version, None, row.position)


def answers_by_hash(conn: Connection, hashes: Sequence[bytes]) -> dict[bytes, AnyRow]:
    """Give stored answers by their requests' hashes."""
    query = select(answers).where(answers.c.hash.in_(hashes))
    return {row.hash: row for row in conn.execute(query)}


# Taking a run back.


def revert_some(
    conn: Connection, run: Run, after: int, by: str, size: int = REVERTED_AT_ONCE
) -> tuple[int, int | None]:
    """Take back what the next items of a run made; give how many, and the last one's id.

    The items are rejected. Each field that still has a value of theirs gets back the newest value
    of another run's item that is not rejected, as a new result of that item; where there is none
    the field has no current value any more. The id is where to go on after, None at the end.
    """
    query = (
        select(items.c.id)
        .where(items.c.run_id == run.id, items.c.id > after, items.c.state.in_(_MADE))
        .order_by(items.c.id)
        .limit(size)
    )
    if conn.dialect.name == "postgresql":
        query = query.with_for_update()
    ids = list(conn.execute(query).scalars())
    if not ids:
        return 0, None
    _restore(conn, run, ids, by)
    decision = Decision("reject", "rejected", by, rule=f"{REVERT}{run.name}")
    count = judge_many(conn, run.id, ids, decision, _MADE)
    return count, ids[-1] if len(ids) == size else None


def _restore(conn: Connection, run: Run, ids: Sequence[int], by: str) -> None:
    own: dict[int, int] = {}
    for row in conn.execute(
        select(results.c.id, results.c.product_id).where(results.c.item_id.in_(ids))
    ):
        own[row.id] = row.product_id
    if not own:
        return
    places = {
        (row.product_id, row.target, row.field): row.result_id
        for row in conn.execute(select(current).where(current.c.product_id.in_(set(own.values()))))
        if row.result_id in own
    }
    before = _before(conn, run, sorted({place[0] for place in places}))
    restored: dict[tuple[int, str, int, str], dict[str, tuple[Any, int]]] = {}
    gone: list[Place] = []
    for place in sorted(places):
        product_id, target, name = place
        made = before.get(place)
        if made is None:
            gone.append(place)
        else:
            to = restored.setdefault((made.item_id, made.step, product_id, target), {})
            to[name] = (made.values[name], made.id)
    append_results(conn, [_again(to, values, run, by) for to, values in restored.items()])
    if gone:
        key = tuple_(current.c.product_id, current.c.target, current.c.field)
        conn.execute(delete(current).where(key.in_(gone)))


def _again(
    to: tuple[int, str, int, str],
    values: Mapping[str, tuple[Any, int]],
    run: Run,
    by: str,
) -> Appended:
    item_id, step, product_id, target = to
    provenance = {
        "by": by, "reverts": run.name, "restores": sorted({number for _, number in values.values()})
    }  # fmt: skip
    plain = {name: value for name, (value, _) in values.items()}
    return step, item_id, product_id, target, plain, None, provenance


def _before(conn: Connection, run: Run, product_ids: Sequence[int]) -> dict[Place, Made]:
    """Give by place the newest result of other runs' items that are not rejected."""
    query = (
        select(results)
        .join(items, items.c.id == results.c.item_id)
        .where(
            results.c.product_id.in_(product_ids),
            items.c.run_id != run.id,
            items.c.state.in_(_MADE),
        )
        .order_by(results.c.id)
    )
    made = sorted(map(as_made, conn.execute(query)), key=lambda one: (one.since, one.id))
    return {(one.product_id, one.target, name): one for one in made for name in one.values}
