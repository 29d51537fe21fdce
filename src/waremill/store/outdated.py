"""Which products a pipeline's results are outdated for: one condition over `products`.

What was finished before stands under an item's four columns: fingerprint, product, its version and
its group's. A product is outdated for a target where the pipeline made something for it, and
nothing under the four columns of now. Both are looked up by index, a product at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    text,
)

from waremill.domain import UNMADE_STATES
from waremill.store.tables import items, products, runs

Condition: TypeAlias = ColumnElement[bool]
Works: TypeAlias = Literal["products", "products in groups", "groups"]
"""What a pipeline's items are of: products; products with their group; groups alone."""


def outdated(pipeline: str, aims: Sequence[tuple[str, int | None]], works: Works) -> Condition:
    """Give the condition that a product's results are outdated for at least one target.

    `aims` are (target, fingerprint id); None is a fingerprint nothing was ever made under. What a
    group alone is made for, its products are outdated with.
    """
    group = products.alias("whose")
    version_of_group = (
        select(group.c.version)
        .where(group.c.id == products.c.group_id)
        .correlate(products)
        .scalar_subquery()
    )
    of: ColumnElement[Any] = products.c.id
    version: ColumnElement[Any] = products.c.version
    beside: ColumnElement[Any] = literal_column("0", Integer)
    if works == "groups":
        of, version = products.c.group_id, version_of_group
    elif works == "products in groups":
        beside = func.coalesce(version_of_group, 0)
    return or_(
        *(
            and_(
                _any(_made(pipeline, target, of)),
                literal(True)
                if fingerprint is None
                else not_(_any(_same(fingerprint, of, version, beside))),
            )
            for target, fingerprint in aims
        )
    )


def _any(found: Select[Any]) -> Condition:
    # A value and not EXISTS, as for picture slots: a look-up a product, whatever is planned.
    one = found.limit(literal_column("1")).scalar_subquery()
    return func.coalesce(one, literal_column("0", Integer)) > 0


def _made(pipeline: str, target: str, of: ColumnElement[Any]) -> Select[Any]:
    return (
        select(literal_column("1", Integer))
        .select_from(items.join(runs, runs.c.id == items.c.run_id))
        .where(
            items.c.product_id == of, items.c.target == target, runs.c.pipeline == pipeline,
            items.c.state.not_in(UNMADE_STATES),
        )
        .correlate(products)
    )  # fmt: skip


def _same(
    fingerprint: int,
    of: ColumnElement[Any],
    version: ColumnElement[Any],
    beside: ColumnElement[Any],
) -> Select[Any]:
    done = items.alias("done")
    return (
        select(literal_column("1", Integer))
        .select_from(done)
        .where(
            done.c.fingerprint_id == fingerprint,
            done.c.product_id == of,
            done.c.product_version == version,
            done.c.group_version == beside,
            # Word for word as in the partial index: SQLite does not match bound parameters.
            text("done.source_id IS NULL AND done.state NOT IN ('pending', 'failed')"),
            text("done.state <> 'waiting'"),
        )
        .correlate(products)
    )


def newest_item(conn: Connection) -> int:
    """Give the newest item's id: with it what is outdated may have changed."""
    return int(conn.execute(select(func.max(items.c.id))).scalar() or 0)


__all__ = ["Works", "newest_item", "outdated"]
