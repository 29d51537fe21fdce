"""Items as a reviewer sees them: what was made, what was said of it, whose turn it is.

What an item shows are the results under its own id, or, while it is linked, those of the item it
took over from. `store/verdicts.py` writes; this module reads, and keeps leases.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Select, delete, exists, func, select, text, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from waremill.domain import Finding
from waremill.errors import NotFound
from waremill.store.browsing import listed
from waremill.store.runs import clock
from waremill.store.tables import (
    AnyRow,
    bands,
    findings,
    items,
    leases,
    product_versions,
    products,
    results,
    reviews,
    signatures,
)

LEASE_SECONDS = 120.0
CHUNK = 5_000
"""Most items of one write transaction."""
_IDS_A_QUERY = 500
_LIVE_LOOKED_AT = 60
_WINDOW = 20
"""Waiting items among which the most similar to the last one is picked."""
_ALIKE_A_BAND = 30
_MATES = 200
_TELLING = (("brand", 2), ("category", 1))
_SAME = 10
"""How much an attribute that is the same counts, and the product itself."""


@dataclass(frozen=True, slots=True)
class Made:
    """A result: what a step or a person made of an item's fields.

    `since` is the id of the result it is a copy of, its own where it is none.
    """

    id: int
    since: int
    item_id: int
    product_id: int
    target: str
    step: str
    origin: str
    values: Mapping[str, Any]
    findings: tuple[Finding, ...] | None
    provenance: Mapping[str, Any]
    created_at: float


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A review's row; `before` is the state the item had until then."""

    id: int
    field: str | None
    verdict: str
    reason: str | None
    by: str | None
    rule: str | None
    result_id: int | None
    before: str | None
    created_at: float


@dataclass(frozen=True, slots=True)
class ItemView:
    """An item with its product as it was worked on, its results and its reviews in order."""

    id: int
    run_id: int
    product_id: int
    key: str
    group_id: int | None
    fingerprint_id: int
    target: str
    state: str
    source_id: int | None
    error: Mapping[str, Any] | None
    attributes: Mapping[str, Any]
    made: tuple[Made, ...]
    reviews: tuple[Reviewed, ...]

    @property
    def linked(self) -> bool:
        """Whether the item shows another item's results."""
        return self.source_id is not None and self.source_id != self.id

    @property
    def newest(self) -> int:
        """The newest result it shows; 0 where there is none. A copy counts as its original."""
        return max((made.since for made in self.made), default=0)

    @property
    def version(self) -> int:
        """A number that grows with every result and every review of the item."""
        return self.newest + len(self.reviews)

    def fields(self, until: int | None = None) -> dict[tuple[str, str], Made]:
        """Give by (step, field) the result that decides it; with `until`, as it was then."""
        return {
            (made.step, name): made
            for made in self.made
            if until is None or made.since <= until
            for name in made.values
        }

    def findings(self, before: int | None = None) -> dict[str, list[Finding]]:
        """Give by step what is still objected to; with `before`, as it was before that result.

        A person's result has all findings of its step, and ends those about its fields elsewhere.
        """
        found: dict[str, list[Finding]] = {}
        for made in self.made:
            if before is not None and made.id >= before:
                break
            if "restores" in made.provenance:  # the values of before, and so their findings
                continue
            if made.origin == "human":
                for step, some in found.items():
                    found[step] = [one for one in some if one.field not in made.values]
                if made.findings is not None:
                    found[made.step] = list(made.findings)
            else:
                found.setdefault(made.step, []).extend(made.findings or ())
        return found


def load_items(conn: Connection, run_id: int, ids: Sequence[int]) -> list[ItemView]:
    """Read items of a run in the order of their ids; foreign and unknown ids are left out."""
    views: list[ItemView] = []
    for start in range(0, len(ids), _IDS_A_QUERY):
        views += _load(conn, run_id, ids[start : start + _IDS_A_QUERY])
    return sorted(views, key=lambda view: view.id)


def load_item(conn: Connection, run_id: int, item_id: int, *, lock: bool = False) -> ItemView:
    """Read an item of a run; with `lock`, nobody else can judge it until the transaction ends.

    Raises NotFound where the run has no such item.
    """
    if lock and conn.dialect.name == "postgresql":
        conn.execute(select(items.c.id).where(items.c.id == item_id).with_for_update())
    found = _load(conn, run_id, [item_id])
    if not found:
        raise NotFound(f"the run has no item {item_id}")
    return found[0]


def _load(conn: Connection, run_id: int, ids: Sequence[int]) -> list[ItemView]:
    rows = conn.execute(
        select(items, products.c.key, products.c.attributes, products.c.version)
        .join(products, products.c.id == items.c.product_id)
        .where(items.c.id.in_(ids), items.c.run_id == run_id)
    ).all()
    pinned = _pinned(conn, [row for row in rows if row.version != row.product_version])
    made: dict[int, list[Made]] = {}
    sources = {row.source_id or row.id for row in rows}
    query = select(results).where(results.c.item_id.in_(sources)).order_by(results.c.id)
    for result in conn.execute(query):
        made.setdefault(result.item_id, []).append(as_made(result))
    said: dict[int, list[Reviewed]] = {}
    judged = select(reviews).where(reviews.c.item_id.in_([row.id for row in rows]))
    for row in conn.execute(judged.order_by(reviews.c.id)):
        said.setdefault(row.item_id, []).append(_reviewed(row))
    return [
        ItemView(
            row.id, row.run_id, row.product_id, row.key, row.group_id, row.fingerprint_id,
            row.target, row.state, row.source_id, orjson.loads(row.error) if row.error else None,
            pinned.get((row.product_id, row.product_version), row.attributes),
            tuple(made.get(row.source_id or row.id, ())), tuple(said.get(row.id, ())),
        )
        for row in rows
    ]  # fmt: skip


def _pinned(conn: Connection, rows: Sequence[AnyRow]) -> dict[tuple[int, int], Mapping[str, Any]]:
    ids = {row.product_id for row in rows}
    if not ids:
        return {}
    query = select(product_versions).where(product_versions.c.product_id.in_(ids))
    return {(row.product_id, row.version): row.attributes for row in conn.execute(query)}


def as_made(row: AnyRow) -> Made:
    """Make a Made of a row of `results`."""
    provenance = orjson.loads(row.provenance) if row.provenance else {}
    objections = None
    if row.findings is not None:
        objections = tuple(as_finding(one) for one in orjson.loads(row.findings))
    return Made(
        row.id, provenance.get("copy_of", row.id), row.item_id, row.product_id, row.target,
        row.step, row.origin, orjson.loads(row._mapping["values"]), objections, provenance,
        row.created_at,
    )  # fmt: skip


def as_finding(one: Mapping[str, Any]) -> Finding:
    """Make a Finding of its JSON."""
    return Finding(
        one.get("field") or "", one["rule"], one["severity"], one["message"],
        one.get("evidence") or "",
    )  # fmt: skip


def _reviewed(row: AnyRow) -> Reviewed:
    return Reviewed(
        row.id, row.field, row.verdict, row.reason, row.by, row.rule, row.result_id, row.before,
        row.created_at,
    )  # fmt: skip


def live_before(conn: Connection, view: ItemView) -> dict[tuple[int, str, str], Any]:
    """Give the newest accepted or edited values of other items, by (product, target, field)."""
    found: dict[tuple[int, str, str], Any] = {}
    own, follower = items.alias("own"), items.alias("follower")
    published = ("accepted", "edited")
    for product_id, target in {(made.product_id, made.target) for made in view.made}:
        query = (
            select(results)
            .where(
                results.c.product_id == product_id,
                results.c.target == target,
                exists().where(own.c.id == results.c.item_id, own.c.id != view.id,
                               own.c.state.in_(published))
                | exists().where(follower.c.source_id == results.c.item_id,
                                 follower.c.id != view.id, follower.c.state.in_(published)),
            )
            .order_by(results.c.id.desc())
            .limit(_LIVE_LOOKED_AT)
        )  # fmt: skip
        made = sorted(map(as_made, conn.execute(query)), key=lambda one: (one.since, one.id))
        for one in made:
            found.update({(product_id, target, name): v for name, v in one.values.items()})
    return found


# Whose turn it is.


def take_lease(conn: Connection, item_id: int, holder: str) -> bool:
    """Lease an item to somebody, or renew the lease; False where somebody else holds it."""
    now = clock(conn)
    dialect = sqlite if conn.dialect.name == "sqlite" else postgresql
    wanted = dialect.insert(leases).values(
        item_id=item_id, holder=holder, until=now + LEASE_SECONDS
    )
    taken = wanted.on_conflict_do_update(
        index_elements=[leases.c.item_id],
        set_={"holder": wanted.excluded.holder, "until": wanted.excluded.until},
        where=(leases.c.until <= now) | (leases.c.holder == wanted.excluded.holder),
    ).returning(leases.c.item_id)
    return conn.execute(taken).first() is not None


def drop_lease(conn: Connection, item_id: int, holder: str | None = None) -> None:
    """End the lease of an item: only `holder`'s, or whoever's it is."""
    mine = [leases.c.holder == holder] if holder is not None else []
    conn.execute(delete(leases).where(leases.c.item_id == item_id, *mine))


def drop_leases(conn: Connection, item_ids: Sequence[int]) -> None:
    """End the leases of some items, whoever's they are."""
    conn.execute(delete(leases).where(leases.c.item_id.in_(listed(conn, item_ids))))


def lease_holder(conn: Connection, item_id: int) -> str | None:
    """Say who holds an item just now."""
    query = select(leases.c.holder).where(leases.c.item_id == item_id, leases.c.until > clock(conn))
    holder: str | None = conn.execute(query).scalar()
    return holder


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which items of a run: conditions over `items` and `products`, states in their order.

    `rule` and `field` are of a finding the items must have; `rules` are all rules there are.
    """

    run_id: int
    states: tuple[str, ...]
    conditions: tuple[ColumnElement[bool], ...] = ()
    rule: str | None = None
    field: str | None = None
    rules: tuple[str, ...] = ()

    def query(self, *columns: Any, state: str | None = None) -> Select[Any]:
        """Select columns of such items, `products` joined where a condition may need it."""
        query = select(*columns).select_from(items)
        if self.conditions:
            query = query.join(products, products.c.id == items.c.product_id)
        query = query.where(items.c.run_id == self.run_id, *self.conditions)
        if self.rule is not None or self.field is not None:
            about = [findings.c.field == self.field] if self.field is not None else []
            named = (self.rule,) if self.rule is not None else self.rules
            shown = items.alias("shown")
            query = query.where(
                exists().where(
                    shown.c.id == func.coalesce(items.c.source_id, items.c.id),
                    findings.c.run_id == shown.c.run_id, findings.c.rule.in_(named),
                    findings.c.item_id == shown.c.id, *about,
                )
            )  # fmt: skip
        if state is not None:
            return query.where(items.c.state == state)
        return query.where(items.c.state.in_(self.states))


def known_rules(conn: Connection) -> tuple[str, ...]:
    """Give all rules there are findings of, by a step along the key for each run and rule."""
    found: set[str] = set()
    key = (findings.c.run_id, findings.c.rule)
    query = select(*key).order_by(*key).limit(1)
    row = conn.execute(query).first()
    while row is not None:
        found.add(row.rule)
        row = conn.execute(query.where(tuple_(*key) > tuple_(row.run_id, row.rule))).first()
    return tuple(sorted(found))


def count(conn: Connection, wanted: Wanted) -> int:
    """Count such items."""
    return int(conn.execute(wanted.query(func.count())).scalar_one())


def ids_of(conn: Connection, wanted: Wanted) -> array[int]:
    """Give the ids of such items in order, 8 bytes each."""
    found = conn.execute(wanted.query(items.c.id).order_by(items.c.id)).scalars()
    return array("q", found)


def candidates(
    conn: Connection,
    wanted: Wanted,
    holder: str,
    *,
    skip: Collection[int] = (),
    near: ItemView | None = None,
    keys: Mapping[str, Sequence[int]] | None = None,
) -> list[int]:
    """Give some items that could be next for somebody, the best first; none where none waits.

    `near` is the item looked at before: what is like it comes first, by the near-duplicate `keys`
    of its fields, then by group, else by brand and category among those that follow it.
    """
    free = [~exists().where(leases.c.item_id == items.c.id, leases.c.holder != holder,
                            leases.c.until > clock(conn))]  # fmt: skip
    if skip:
        free.append(items.c.id.not_in(skip))
    if near is not None:
        free.append(items.c.id != near.id)
        for some in ([one for one, _ in alike(conn, near, keys or {})], of_group(conn, near)):
            if some:
                query = wanted.query(items.c.id).where(items.c.id.in_(some), *free)
                left = set(conn.execute(query).scalars())
                if left:
                    return [one for one in some if one in left]
    after = near.id if near is not None else 0
    for state in wanted.states:
        for bound in (items.c.id > after, items.c.id < after) if after else (items.c.id > 0,):
            query = wanted.query(items.c.id, items.c.product_id, state=state)
            query = query.where(bound, *free).order_by(items.c.id)
            rows = conn.execute(query.limit(_WINDOW)).all()
            if rows:
                return _closest(conn, near, [(row.id, row.product_id) for row in rows])
    return []


def lease_one(conn: Connection, wanted: Wanted, ids: Sequence[int], holder: str) -> int | None:
    """Lease the first of some items that still is as wanted and nobody else's; None: none is."""
    conn.execute(delete(leases).where(leases.c.until <= clock(conn)))
    query = wanted.query(items.c.id).where(items.c.id.in_(ids))
    still = set(conn.execute(query).scalars())
    return next((one for one in ids if one in still and take_lease(conn, one, holder)), None)


def alike(
    conn: Connection, near: ItemView, keys: Mapping[str, Sequence[int]]
) -> list[tuple[int, int]]:
    """Give (item, shared keys) of the run's items that share near-duplicate keys with an item."""
    shared: dict[int, int] = {}
    own = near.source_id or near.id
    for name, values in keys.items():
        for value in values:
            query = select(bands.c.item_id).where(bands.c.field == name, bands.c.band == value)
            for item_id in conn.execute(query.limit(_ALIKE_A_BAND)).scalars():
                if item_id != own:
                    shared[item_id] = shared.get(item_id, 0) + 1
    if not shared:
        return []
    linked = select(items.c.id, items.c.source_id).where(
        items.c.run_id == near.run_id, items.c.source_id.in_(shared)
    )
    found = {row.id: shared[row.source_id] for row in conn.execute(linked)}
    ours = select(items.c.id).where(items.c.run_id == near.run_id, items.c.id.in_(shared))
    found.update({item_id: shared[item_id] for item_id in conn.execute(ours).scalars()})
    found.pop(near.id, None)
    return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))


def of_group(conn: Connection, near: ItemView) -> list[int]:
    """Give the items that were worked like an item, of the other products of its group."""
    own = select(products.c.group_id).where(products.c.id == near.product_id)
    group = conn.execute(own).scalar()
    if group is None:
        return []
    mates = select(products.c.id).where(products.c.group_id == group).limit(_MATES)
    query = select(items.c.id, items.c.run_id).where(
        items.c.fingerprint_id == near.fingerprint_id,
        items.c.product_id.in_(list(conn.execute(mates).scalars())),
        # Word for word as in the partial index: SQLite does not match bound parameters.
        text("items.source_id IS NULL AND items.state NOT IN ('pending', 'failed')"),
        items.c.state != "waiting",
    )
    return sorted(row.id for row in conn.execute(query) if row.run_id == near.run_id)


def _closest(conn: Connection, near: ItemView | None, rows: Sequence[tuple[int, int]]) -> list[int]:
    """Order items by how much their products are like the last one's, then as they came."""
    if near is None or len(rows) == 1:
        return [item_id for item_id, _ in rows]
    ids = [product_id for _, product_id in rows]
    query = select(products.c.id, products.c.attributes).where(products.c.id.in_(ids))
    known = {row.id: row.attributes for row in conn.execute(query)}
    wanted = {name: near.attributes.get(name) for name, _ in _TELLING}

    def likeness(row: tuple[int, int]) -> int:
        if row[1] == near.product_id:
            return _SAME
        other = known[row[1]]
        return sum(
            weight for name, weight in _TELLING if wanted[name] and wanted[name] == other.get(name)
        )

    return [item_id for item_id, _ in sorted(rows, key=lambda row: -likeness(row))]


def signatures_of(conn: Connection, item_id: int) -> dict[str, bytes]:
    """Give an item's texts' signatures by field; `item_id` is where its results stand."""
    query = select(signatures.c.field, signatures.c.signature).where(
        signatures.c.item_id == item_id
    )
    return {row.field: row.signature for row in conn.execute(query)}


def among(conn: Connection, ids: Iterable[int]) -> ColumnElement[bool]:
    """Give the condition that an item's id is one of many, as one parameter."""
    return items.c.id.in_(listed(conn, list(ids)))
