"""Plan a run: choose products, fix targets and fingerprints, write the items.

Nothing is rendered and nothing is paid. Items whose fingerprint and product version were finished
before are linked to what was made then.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from waremill.errors import NotFound
from waremill.pipeline import Pipeline
from waremill.store import items as store_items
from waremill.store import pipelines as store_pipelines
from waremill.store import runs as store_runs
from waremill.store.database import Database
from waremill.store.items import ITEMS_AT_ONCE
from waremill.store.products import Catalog, chosen
from waremill.store.runs import Run
from waremill.store.tables import dumps, products


@dataclass(frozen=True, slots=True)
class Choice:
    """Which products, in which order: compiled from a selection.

    `limit` takes the first in that order. `sample` of those are drawn at random with `seed`, the
    same share of each value of `strata` where that is given. `also` narrows what is worked: the
    products, or with `groups` the groups, that the selection gives.
    """

    catalog: Catalog
    where: ColumnElement[bool] | None = None
    order_by: Sequence[ColumnElement[Any]] = ()
    limit: int | None = None
    sample: int | None = None
    seed: int = 0
    strata: ColumnElement[Any] | None = None
    groups: bool = False
    also: ColumnElement[bool] | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """All a run is made of; `models` are the identities of the models its steps call, `settings`
    the workspace's settings that change what is made, `knowledge` the versions of the bases that
    are searched.

    `plan` is what is frozen with the run as JSON. `budget` is in nano-USD; `by` is who ordered it.
    `opened` writes what belongs to the run in the transaction that creates it: it is called with
    the run and how many items it will have.
    """

    kind: str
    pipeline: Pipeline
    files: Mapping[str, str]
    templates: Mapping[str, str]
    choice: Choice
    targets: tuple[str, ...]
    models: Mapping[str, str]
    plan: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    knowledge: Mapping[str, str] = field(default_factory=dict)
    budget: int | None = None
    fresh: bool = False
    output: str | None = None
    by: str | None = None
    opened: Callable[[Connection, Run, int], None] | None = None


def fingerprint_parts(
    version: str,
    params: Mapping[str, Any],
    target: str,
    *,
    models: Mapping[str, str],
    settings: Mapping[str, Any],
    knowledge: Mapping[str, str],
) -> dict[str, Any]:
    """Give what besides the product decides an item's results; see `Order`."""
    return {
        "pipeline": version, "params": params, "target": target, "models": models,
        "settings": settings, **({"knowledge": knowledge} if knowledge else {}),
    }  # fmt: skip


async def plan_run(database: Database, order: Order) -> Run:
    """Create a run with its items; raise NotFound, and leave nothing, when nothing is chosen.

    Some thousand items are written a transaction, so that others can write meanwhile. Until the
    last of them the run's state is `planning`: it cannot be worked, and one whose planning was cut
    off can only be cancelled.
    """
    numbers = await database.read(_numbers, order.choice)
    size = max(1, ITEMS_AT_ONCE // len(order.targets))
    run, aims = await database.write(_open_run, order, numbers[:size], len(numbers))
    for start in range(size, len(numbers), size):
        await database.write(_plan_more, run, order, aims, numbers[start : start + size])
    await _link_findings(database, run)
    return await database.write(store_runs.planned, run.id)


async def _link_findings(database: Database, run: Run) -> None:
    """Let linked items be found by their findings; they are read before each transaction."""
    for source in await database.read(store_items.linked_runs, run.id):
        after = None
        while rows := await database.read(
            store_items.linked_findings, run.id, source, after, ITEMS_AT_ONCE
        ):
            await database.write(store_items.link_findings, run, rows)
            after = rows[-1]


def _numbers(conn: Connection, choice: Choice) -> array[int]:
    """Give the chosen products' row ids in the run's order: 8 bytes each."""
    query = ranked(conn, choice).with_only_columns(products.c.id)
    rows = conn.execute(query, execution_options={"yield_per": 5000})
    numbers = array("q", rows.scalars())
    if not numbers:
        raise NotFound("the selection holds no product; look at it with `waremill products`")
    return numbers


def _open_run(
    conn: Connection, order: Order, numbers: Sequence[int], count: int
) -> tuple[Run, list[tuple[str, int]]]:
    """Create the run with its first items; give it and its (target, fingerprint id) pairs."""
    version_id, version = store_pipelines.save_pipeline(
        conn, order.pipeline.name, order.files, order.templates
    )
    params = order.plan.get("params", {})
    aims = [
        (
            target,
            store_pipelines.fingerprint_id(
                conn,
                fingerprint_parts(
                    version,
                    params,
                    target,
                    models=order.models,
                    settings=order.settings,
                    knowledge=order.knowledge,
                ),
            ),
        )
        for target in order.targets
    ]
    run_id = store_runs.create_run(
        conn,
        {
            "kind": order.kind, "catalog_id": order.choice.catalog.id,
            "pipeline_version_id": version_id, "pipeline": order.pipeline.name,
            "plan": dumps({**order.plan, "version": version, "targets": order.targets}),
            "take": 0, "budget": order.budget, "output": order.output,
            "team_id": order.choice.catalog.team_id, "created_by": order.by,
        },
    )  # fmt: skip
    if order.fresh:  # a run's own number is a take that no other run has
        store_runs.set_run(conn, run_id, {"take": run_id})
    run = store_runs.get_run(conn, run_id)
    _plan_more(conn, run, order, aims, numbers)
    if order.opened is not None:
        order.opened(conn, run, count * len(aims))
    return run, aims


def _plan_more(
    conn: Connection,
    run: Run,
    order: Order,
    aims: Sequence[tuple[str, int]],
    numbers: Sequence[int],
) -> None:
    """Write the items of some products; raise Conflict when the run was cancelled meanwhile."""
    written = store_items.insert_items(
        conn, run.id, numbers, aims, link=not order.fresh, with_groups=order.pipeline.uses_groups
    )
    store_runs.add_planned(conn, run, written)


def ranked(conn: Connection, choice: Choice) -> Select[Any]:
    """Select the chosen products with a `rank` that fixes their order."""
    query = _selected(choice)
    if choice.sample is not None:
        keys = sample_ids(conn, _limited(query, choice), choice)
        query = chosen(choice.catalog.id, products.c.id.in_(keys), groups=choice.groups)
    if choice.order_by:
        order = (*choice.order_by, products.c.id)
        query = query.add_columns(func.row_number().over(order_by=order).label("rank"))
        query = query.order_by(*order)
    else:
        query = query.add_columns(products.c.id.label("rank")).order_by(products.c.id)
    return query if choice.limit is None else query.limit(choice.limit)


def _selected(choice: Choice) -> Select[Any]:
    """Select the products that a choice's condition picks, or the groups they belong to."""
    query = chosen(choice.catalog.id, choice.where)
    if choice.groups:
        members = query.subquery()
        inside = products.c.id.in_(select(members.c.group_id))
        query = chosen(choice.catalog.id, inside, groups=True)
    return query if choice.also is None else query.where(choice.also)


def _limited(query: Select[Any], choice: Choice) -> Select[Any]:
    """Narrow a selection to the first `limit` in the choice's order."""
    if choice.limit is None:
        return query
    ordered = query.with_only_columns(products.c.id).order_by(*choice.order_by, products.c.id)
    first = ordered.limit(choice.limit).subquery()
    within = products.c.id.in_(select(first.c.id))
    return chosen(choice.catalog.id, within, groups=choice.groups)


def count_chosen(conn: Connection, choice: Choice) -> int:
    """Count what a choice picks, before sampling."""
    query = _selected(choice).with_only_columns(products.c.id)
    if choice.limit is not None:
        query = query.limit(choice.limit)
    return int(conn.execute(select(func.count()).select_from(query.subquery())).scalar_one())


def sample_ids(conn: Connection, query: Select[Any], choice: Choice) -> list[int]:
    """Draw a seeded random sample without holding the catalogue in memory.

    One reservoir a stratum (Vitter 1985, algorithm R); then each stratum gives its share, the
    largest remainders first.
    """
    wanted = choice.sample or 0
    stratum = choice.strata if choice.strata is not None else func.coalesce(None, 0)
    # On the statement, not the connection, which would keep the option for what follows.
    rows = conn.execute(
        query.with_only_columns(products.c.id, stratum.label("stratum")).order_by(products.c.id),
        execution_options={"yield_per": 5000},
    )
    chance = random.Random(choice.seed)
    reservoirs: dict[Any, list[int]] = {}
    seen: dict[Any, int] = {}
    for number, name in rows:
        count = seen[name] = seen.get(name, 0) + 1
        kept = reservoirs.setdefault(name, [])
        if len(kept) < wanted:
            kept.append(number)
        elif (place := chance.randrange(count)) < wanted:
            kept[place] = number
    shares = _shares(seen, wanted)
    drawn: list[int] = []
    for name, kept in reservoirs.items():
        chance.shuffle(kept)
        drawn += kept[: shares[name]]
    return sorted(drawn)


def _shares(sizes: Mapping[Any, int], wanted: int) -> dict[Any, int]:
    total = sum(sizes.values())
    if total <= wanted:
        return dict(sizes)
    exact = {name: wanted * size / total for name, size in sizes.items()}
    shares = {name: int(value) for name, value in exact.items()}
    rest = sorted(exact, key=lambda name: exact[name] - shares[name], reverse=True)
    for name in rest[: wanted - sum(shares.values())]:
        shares[name] += 1
    return shares
