"""The items of runs: planned some thousands at a time, paged with their pinned products, counted.

An item is linked instead of planned anew when its fingerprint and versions were finished before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    case,
    cast,
    func,
    insert,
    literal,
    select,
    text,
    true,
    tuple_,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from waremill.domain import Item, Product, Target
from waremill.errors import Conflict
from waremill.store.browsing import Stretch, ahead
from waremill.store.bulk import BulkInsert
from waremill.store.runs import Run, add_planned, get_run, shut_all_out
from waremill.store.tables import (
    AnyRow,
    dumps,
    findings,
    items,
    product_versions,
    products,
    runs,
)

ITEMS_AT_ONCE = 5_000
"""Most items of one write transaction."""
TOGETHER = 500
"""How far beyond a span's end the rest of a product's or a group's items is looked for."""
_FINDINGS = BulkInsert(
    findings, ("run_id", "rule", "item_id", "field"), ("run_id", "rule", "item_id", "field")
)


def insert_items(
    conn: Connection,
    run_id: int,
    numbers: Sequence[int],
    targets: Sequence[tuple[str, int]],
    *,
    link: bool,
    with_groups: bool,
) -> int:
    """Plan items of a run: products × targets, in their order; give how many.

    `numbers` are row ids of products; `targets` are (target, fingerprint id). With `link`, an item
    whose fingerprint and versions were finished before takes over that item's state and results,
    and is not worked again.
    """
    picked = _listed(conn, numbers)
    aims = _values(targets)
    group = products.alias("grp")
    group_version = func.coalesce(group.c.version, 0) if with_groups else literal(0)
    source = _finished_before(aims, group_version, group)
    chosen = picked.join(products, products.c.id == picked.c.id).join(aims, true())
    planned = (
        select(
            picked.c.rank.label("rank"), aims.c.place.label("place"),
            products.c.id.label("product_id"), products.c.version.label("product_version"),
            (group.c.id if with_groups else literal(None, items.c.id.type)).label("group_id"),
            group_version.label("group_version"), aims.c.fingerprint_id, aims.c.target,
            (source if link else literal(None, items.c.id.type)).label("source_id"),
        )
        .select_from(
            chosen.outerjoin(group, group.c.id == products.c.group_id) if with_groups else chosen
        )
        .subquery("planned")
    )  # fmt: skip
    old = items.alias("old")
    query = (
        select(
            literal(run_id), planned.c.product_id, planned.c.product_version,
            planned.c.group_id, planned.c.group_version, planned.c.fingerprint_id, planned.c.target,
            func.coalesce(old.c.state, "pending"), planned.c.source_id, literal(0),
            func.coalesce(old.c.findings, 0), case((planned.c.source_id.is_not(None), 0)),
            old.c.list_cost, old.c.latency,
        )
        .select_from(planned.outerjoin(old, old.c.id == planned.c.source_id))
        .order_by(planned.c.rank, planned.c.place)
    )  # fmt: skip
    columns = (
        items.c.run_id, items.c.product_id, items.c.product_version, items.c.group_id,
        items.c.group_version, items.c.fingerprint_id, items.c.target, items.c.state,
        items.c.source_id, items.c.attempts, items.c.findings, items.c.paid, items.c.list_cost,
        items.c.latency,
    )  # fmt: skip
    written = conn.execute(
        insert(items).from_select(columns, query), execution_options={"preserve_rowcount": True}
    )
    return int(written.rowcount)


def linked_runs(conn: Connection, run_id: int) -> list[int]:
    """Give the runs whose items a planned run's linked items take over."""
    worked = select(items.c.id).where(items.c.run_id == run_id).limit(1)
    if not any(
        conn.execute(worked.where(other)).first()
        for other in (items.c.state < "pending", items.c.state > "pending")
    ):
        return []
    own, source = items.alias("own"), items.alias("source")
    linked = (
        select(source.c.run_id)
        .join(own, own.c.source_id == source.c.id)
        .where(own.c.run_id == run_id)
        .distinct()
    )
    return sorted(conn.execute(linked).scalars())


Linked: TypeAlias = tuple[str, int, str, int]
"""A finding that a linked item takes over: its rule, its item, its field, and the linked item."""


def linked_findings(
    conn: Connection, run_id: int, source_run: int, after: Linked | None, size: int
) -> list[Linked]:
    """Give the next findings of another run that a run's linked items take over, in order."""
    own = items.alias("own")
    place = tuple_(findings.c.rule, findings.c.item_id, findings.c.field)
    query = (
        select(findings.c.rule, findings.c.item_id, findings.c.field, own.c.id)
        .join(own, (own.c.source_id == findings.c.item_id) & (own.c.run_id == run_id))
        .where(findings.c.run_id == source_run)
        .order_by(findings.c.rule, findings.c.item_id, findings.c.field)
        .limit(size)
    )
    if after is not None:
        query = query.where(place > tuple_(*(literal(one) for one in after[:3])))
    return [tuple(row) for row in conn.execute(query)]


def link_findings(conn: Connection, run: Run, rows: Sequence[Linked]) -> None:
    """Let a run's linked items be found by the findings they take over; again changes nothing.

    Raises Conflict when the run is not planned any more.
    """
    add_planned(conn, run, 0)
    _FINDINGS.run(conn, [(run.id, rule, own, field) for rule, _, field, own in rows])


def _listed(conn: Connection, numbers: Sequence[int]) -> Any:
    """Give ids as a table with their `rank`: one parameter, however many there are."""
    number = items.c.id.type
    rank: ColumnElement[Any]
    found: ColumnElement[Any]
    if conn.dialect.name == "sqlite":
        each = func.json_each(dumps(list(numbers))).table_valued("key", "value")
        rank, found = each.c.key, type_coerce(each.c.value, number)
    else:
        unpacked = func.jsonb_array_elements_text(cast(list(numbers), JSONB))
        each = unpacked.table_valued("value", with_ordinality="rank").render_derived()
        rank, found = each.c.rank, cast(each.c.value, number)
    return select(rank.label("rank"), found.label("id")).subquery("picked")


def _finished_before(aims: Any, group_version: Any, group: Any) -> Any:
    """Give the newest item of the same fingerprint and versions that was finished, if any."""
    done = items.alias("done")
    return (
        select(func.max(done.c.id))
        .where(
            done.c.fingerprint_id == aims.c.fingerprint_id,
            done.c.product_id == products.c.id,
            done.c.product_version == products.c.version,
            done.c.group_version == group_version,
            # Word for word as in the partial index: SQLite does not match bound parameters.
            text("done.source_id IS NULL AND done.state NOT IN ('pending', 'failed')"),
            text("done.state <> 'waiting'"),
        )
        .correlate(products, aims, group)
        .scalar_subquery()
    )


def _values(targets: Sequence[tuple[str, int]]) -> Any:
    parts = [
        select(
            literal(place).label("place"), literal(target).label("target"),
            literal(fingerprint).label("fingerprint_id"),
        )
        for place, (target, fingerprint) in enumerate(targets)
    ]  # fmt: skip
    first, *rest = parts
    return first.union_all(*rest).subquery("aims") if rest else first.subquery("aims")


def revive_run(conn: Connection, run: Run) -> tuple[Run, int]:
    """Set a run to paused, so that its failed items can be set back; give it, and how many failed.

    Whoever worked it cannot write any more. Raises Conflict for a cancelled run, or one that
    changed hands since it was read.
    """
    if run.state == "cancelled":
        raise Conflict(f"run {run.name} is cancelled, which is for good; start a new run")
    if run.state == "planning":
        raise Conflict(f"run {run.name} is still being planned; nothing of it can have failed")
    changed = conn.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.epoch == run.epoch)
        .values(state="paused", epoch=run.epoch + 1, owner=None)
    )
    if changed.rowcount != 1:
        raise _taken_over(run)
    shut_all_out(conn, run.id)
    failed = select(func.count()).where(items.c.run_id == run.id, items.c.state == "failed")
    return get_run(conn, run.id), int(conn.execute(failed).scalar_one())


def _taken_over(run: Run) -> Conflict:
    return Conflict(f"run {run.name} was taken over by another worker")


def _pending(run: Run) -> tuple[tuple[ColumnElement[Any], Any], ...]:
    return ((items.c.run_id, run.id), (items.c.state, "pending"))


def pending_page(
    conn: Connection, run: Run, after: int, size: int, until: int | None = None
) -> list[Item]:
    """Give the next items to work, in order, each with its product at the pinned version.

    With `until` none is given whose id is above it.
    """
    found, order = ahead(conn, _pending(run), items.c.id, Stretch(after, until))
    group = products.alias("grp")
    query = (
        select(
            items.c.id, items.c.target, items.c.product_version, items.c.group_version,
            products.c.id.label("product_id"), products.c.key, products.c.version,
            products.c.attributes, products.c.position,
            group.c.id.label("group_id"), group.c.key.label("group_key"),
            group.c.version.label("group_now"), group.c.attributes.label("group_attributes"),
        )
        .join_from(items, products, products.c.id == items.c.product_id)
        .outerjoin(group, group.c.id == items.c.group_id)
        .where(*found)
        .order_by(*order)
        .limit(size)
    )  # fmt: skip
    return [_as_item(conn, row, run.take) for row in conn.execute(query).all()]


def pending_span(conn: Connection, run: Run, after: int, size: int) -> tuple[int, int] | None:
    """Give up to which id the next `size` pending items go, and how many they are; None at the end.

    Items of one product, and of one group, follow each other and are not torn apart, since what is
    made once for them is shared inside a process: a span may be some items longer.
    """

    def place(after: int, size: int) -> Select[Any]:
        found, order = ahead(conn, _pending(run), items.c.id, Stretch(after))
        columns = (items.c.id, items.c.product_id, items.c.group_id)
        return select(*columns).where(*found).order_by(*order).limit(size)

    short = place(after, size).subquery()
    last, count = conn.execute(select(func.max(short.c.id), func.count())).one()
    if last is None:
        return None
    edge, *beyond = conn.execute(place(last - 1, 1 + TOGETHER)).all()
    more = 0
    for number, row in enumerate(beyond, 1):
        shared = edge.group_id is not None and row.group_id == edge.group_id
        if shared or row.product_id == edge.product_id:
            last, more = row.id, number
    return int(last), int(count) + more


def _as_item(conn: Connection, row: AnyRow, take: int) -> Item:
    # Unpacked at once: looking columns up by name would cost more than the query.
    (
        item_id, target, pinned, group_pinned,
        product_id, key, version, attributes, position,
        group_id, group_key, group_version, merged,
    ) = row  # fmt: skip
    if version != pinned:
        attributes = _pinned(conn, product_id, pinned)
    group = None
    if group_id is not None:
        if group_version != group_pinned:
            merged = _pinned(conn, group_id, group_pinned)
        group = Product(group_id, group_key, merged, group_pinned)
    product = Product(product_id, key, attributes, pinned, group_key, position)
    return Item(item_id, product, Target.parse(target) if target else None, {}, take, group)


def _pinned(conn: Connection, product_id: int, version: int) -> Mapping[str, Any]:
    found: Mapping[str, Any] = conn.execute(
        select(product_versions.c.attributes).where(
            product_versions.c.product_id == product_id, product_versions.c.version == version
        )
    ).scalar_one()
    return found


def count_states(conn: Connection, run_id: int) -> dict[str, int]:
    """Count a run's items by state."""
    query = select(items.c.state, func.count()).where(items.c.run_id == run_id)
    return {state: int(n) for state, n in conn.execute(query.group_by(items.c.state))}


def retry_some(conn: Connection, run: Run, size: int = ITEMS_AT_ONCE) -> int:
    """Set the next failed items of a run back to pending; give how many, 0 when none is left.

    Raises Conflict when the run changed hands since it was read: its worker would never see them.
    """
    held = (runs.c.id == run.id) & (runs.c.epoch == run.epoch)
    if conn.execute(update(runs).where(held).values(epoch=run.epoch)).rowcount != 1:
        raise _taken_over(run)
    some = (
        select(items.c.id)
        # Of version 0 is what was erased, or emptied by retention: there is nothing to try again.
        .where(items.c.run_id == run.id, items.c.state == "failed", items.c.product_version != 0)
        .order_by(items.c.id)
        .limit(size)
    )
    changed = conn.execute(
        update(items)
        .where(items.c.id.in_(some.scalar_subquery()))
        .values(state="pending", error=None, findings=0)
    )
    return int(changed.rowcount)
