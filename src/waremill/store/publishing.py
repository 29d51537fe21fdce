"""Publications and their receipts: what may be published, what is live, what was written when.

A publication's receipts are written first and count only once it is done: its values are then moved
to `published`, some thousands a transaction, which may be repeated. This file knows no format and
no file.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson
from sqlalchemy import Connection, func, insert, literal, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from waremill.errors import Conflict, NotFound
from waremill.store.bulk import BulkInsert
from waremill.store.runs import clock
from waremill.store.tables import AnyRow, dumps, items, products, results
from waremill.store.tables_publishing import publications, published, receipts

OPEN = ("working", "written")
"""States of a publication that has not ended."""
PAGE = 1_000
SETTLED_AT_ONCE = 5_000
"""Receipts that are moved to `published` in one transaction."""
_IDS_A_QUERY = 500
_RECEIPTS = BulkInsert(
    receipts,
    ("publication_id", "target", "product_id", "field", "hash", "value", "result_id", "before_id",
     "before"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Publication:
    """A publication's row; `outputs` are files by target, `report` what it came to."""

    id: int
    name: str
    run_id: int
    team_id: int
    channel: str
    format: str
    stage: str
    state: str
    rolls_back_id: int | None
    mapping: str
    outputs: Mapping[str, str]
    report: Mapping[str, Any] | None
    reason: str | None
    by: str
    owner: str | None
    heartbeat: float | None
    created_at: float
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """An accepted item: its product as it is now, and by (step, field) value and result."""

    id: int
    product_id: int
    key: str
    group_id: int | None
    group: str | None
    target: str
    attributes: Mapping[str, Any]
    fields: Mapping[tuple[str, str], tuple[Any, int]]


@dataclass(frozen=True, slots=True)
class Receipt:
    """A value to be published; None takes it back."""

    target: str
    product_id: int
    field: str
    value: Any
    result_id: int | None = None
    before_id: int | None = None
    before: Any = None


def value_hash(value: Any) -> bytes:
    """Give a value's hash: 16 bytes of BLAKE2b of its JSON with sorted names."""
    document = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return blake2b(document, digest_size=16).digest()


# Publications.


def open_publication(conn: Connection, values: Mapping[str, Any]) -> Publication:
    """Insert a working publication; raise Conflict where its channel has one that has not ended."""
    row = {
        "name": f"{time.strftime('p%m%d')}-{secrets.token_hex(3)}", "state": "working",
        "created_at": clock(conn), "heartbeat": clock(conn), **values,
    }  # fmt: skip
    row["outputs"] = dumps(row["outputs"])
    row["report"] = dumps(row["report"]) if "report" in row else None
    try:
        made = conn.execute(insert(publications).values(row).returning(publications.c.id))
    except IntegrityError as error:
        raise Conflict(
            f"the channel “{values['channel']}” is being published to just now"
        ) from error
    return get_publication(conn, int(made.scalar_one()))


def unfinished(conn: Connection, channel: str) -> Publication | None:
    """Give the publication of a channel that has not ended."""
    # Word for word as in the partial index: SQLite does not match bound parameters.
    is_open = text("publications.state IN ('working', 'written')")
    query = select(publications).where(publications.c.channel == channel, is_open)
    row = conn.execute(query).first()
    return None if row is None else _as_publication(row)


def unfinished_channels(conn: Connection) -> list[str]:
    """Name the channels whose publication has not ended."""
    is_open = text("publications.state IN ('working', 'written')")
    return list(conn.execute(select(publications.c.channel).where(is_open)).scalars())


def set_publication(conn: Connection, publication_id: int, values: Mapping[str, Any]) -> None:
    """Change a publication that has not ended; raise Conflict where it has."""
    wanted = (publications.c.id == publication_id) & publications.c.state.in_(OPEN)
    row = {**values, "heartbeat": clock(conn)}
    if row.get("report") is not None:
        row["report"] = dumps(row["report"])
    if row.get("state") in ("done", "failed"):
        row |= {"ended_at": clock(conn), "owner": None}
    if conn.execute(update(publications).where(wanted).values(row)).rowcount != 1:
        raise Conflict("this publication was ended by somebody else")


def get_publication(conn: Connection, publication_id: int) -> Publication:
    """Read a publication by its id."""
    query = select(publications).where(publications.c.id == publication_id)
    return _as_publication(conn.execute(query).one())


def find_publication(conn: Connection, name: str, teams: Collection[int] | None) -> Publication:
    """Find a publication by its name, a unique prefix, or `last`; raise NotFound."""
    query = select(publications).order_by(publications.c.id.desc()).limit(2)
    if teams is not None:
        query = query.where(publications.c.team_id.in_(teams))
    if name == "last":
        row = conn.execute(query).first()
        if row is None:
            raise NotFound("nothing was published yet")
        return _as_publication(row)
    rows = conn.execute(query.where(publications.c.name.startswith(name, autoescape=True))).all()
    exact = [row for row in rows if row.name == name]
    if not rows or not name:
        raise NotFound(f"there is no publication “{name}”; `waremill publish list` lists them")
    if len(rows) > 1 and not exact:
        raise NotFound(f"more than one publication starts with “{name}”; write more of it")
    return _as_publication((exact or rows)[0])


def list_publications(
    conn: Connection,
    teams: Collection[int] | None,
    *,
    before: int | None = None,
    limit: int = 50,
    channel: str | None = None,
    run_id: int | None = None,
) -> list[Publication]:
    """Give publications, the newest first."""
    query = select(publications).order_by(publications.c.id.desc()).limit(limit)
    if teams is not None:
        query = query.where(publications.c.team_id.in_(teams))
    if before is not None:
        query = query.where(publications.c.id < before)
    if channel is not None:
        query = query.where(publications.c.channel == channel)
    if run_id is not None:
        query = query.where(publications.c.run_id == run_id)
    return [_as_publication(row) for row in conn.execute(query)]


def teams_of_channel(conn: Connection, channel: str) -> list[int]:
    """Give the teams that published to a channel."""
    query = select(publications.c.team_id).where(
        publications.c.channel == channel, publications.c.state.in_(("written", "done"))
    )
    return list(conn.execute(query.distinct()).scalars())


def stages_done(conn: Connection, run_id: int, channel: str) -> set[str]:
    """Give the stages of a run that a channel has and that were not rolled back."""
    back = publications.alias("back")
    undone = (
        select(back.c.rolls_back_id)
        .where(back.c.rolls_back_id.is_not(None), back.c.state == "done", back.c.channel == channel)
        .scalar_subquery()
    )
    query = select(publications.c.stage).where(
        publications.c.run_id == run_id, publications.c.channel == channel,
        publications.c.state == "done", publications.c.rolls_back_id.is_(None),
        publications.c.id.not_in(undone),
    )  # fmt: skip
    return set(conn.execute(query).scalars())


def _as_publication(row: AnyRow) -> Publication:
    values = dict(row._mapping)
    values["outputs"] = orjson.loads(values["outputs"])
    if values["report"] is not None:
        values["report"] = orjson.loads(values["report"])
    return Publication(**values)


# What may be published.


def accepted_page(
    conn: Connection, run_id: int, targets: Collection[str], after: int, size: int = PAGE
) -> list[Accepted]:
    """Read the next accepted and edited items of a run for some targets, by their ids."""
    group = products.alias("grp")
    query = (
        select(items.c.id, items.c.source_id, items.c.target, items.c.product_id, products.c.key,
               products.c.attributes, products.c.group_id, group.c.key.label("group_key"))
        .join(products, products.c.id == items.c.product_id)
        .outerjoin(group, group.c.id == products.c.group_id)
        .where(items.c.run_id == run_id, items.c.id > after, items.c.target.in_(targets),
               items.c.state.in_(("accepted", "edited")))
        .order_by(items.c.id)
        .limit(size)
    )  # fmt: skip
    rows = conn.execute(query).all()
    made = _made(conn, [row.source_id or row.id for row in rows])
    return [
        Accepted(row.id, row.product_id, row.key, row.group_id, row.group_key, row.target,
                 row.attributes, made.get(row.source_id or row.id, {}))
        for row in rows
    ]  # fmt: skip


def as_accepted(conn: Connection, product_ids: Sequence[int], target: str) -> list[Accepted]:
    """Read products as items of no run: their ids stand for the items'."""
    group, found = products.alias("grp"), list[Accepted]()
    for start in range(0, len(product_ids), _IDS_A_QUERY):
        query = (
            select(products.c.id, products.c.key, products.c.group_id, group.c.key.label("grp_key"))
            .outerjoin(group, group.c.id == products.c.group_id)
            .where(products.c.id.in_(product_ids[start : start + _IDS_A_QUERY]))
        )
        found += [
            Accepted(row.id, row.id, row.key, row.group_id, row.grp_key, target, {}, {})
            for row in conn.execute(query)
        ]
    return found


def _made(
    conn: Connection, item_ids: Sequence[int]
) -> dict[int, dict[tuple[str, str], tuple[Any, int]]]:
    found: dict[int, dict[tuple[str, str], tuple[Any, int]]] = {}
    columns = (results.c.id, results.c.item_id, results.c.step, results.c["values"])
    for start in range(0, len(item_ids), _IDS_A_QUERY):
        some = item_ids[start : start + _IDS_A_QUERY]
        query = select(*columns).where(results.c.item_id.in_(some)).order_by(results.c.id)
        for result_id, item_id, step, values in conn.execute(query).all():
            fields = found.setdefault(item_id, {})
            for name, value in orjson.loads(values).items():
                fields[step, name] = (value, result_id)
    return found


# Receipts.


def unsure_receipts(
    conn: Connection, channel: str, target: str, product_ids: Sequence[int]
) -> dict[int, dict[str, AnyRow]]:
    """Give, by product and field, the last receipt of a publication that failed on its way.

    Its value may stand in the target or not. `before` is that of the first one that failed.
    """
    failed = select(publications.c.id).where(
        publications.c.channel == channel, publications.c.state == "failed"
    )
    ids = list(conn.execute(failed).scalars())
    found: dict[int, dict[str, AnyRow]] = {}
    for start in range(0, len(product_ids) if ids else 0, _IDS_A_QUERY):
        query = (
            select(receipts.c.id, receipts.c.product_id, receipts.c.field,
                   func.first_value(receipts.c.before).over(
                       partition_by=(receipts.c.product_id, receipts.c.field),
                       order_by=receipts.c.id).label("before"))
            .where(receipts.c.publication_id.in_(ids), receipts.c.target == target,
                   receipts.c.product_id.in_(product_ids[start : start + _IDS_A_QUERY]))
            .order_by(receipts.c.id)
        )  # fmt: skip
        for row in conn.execute(query):
            found.setdefault(row.product_id, {})[row.field] = row
    return found


def add_receipts(conn: Connection, publication: Publication, rows: Sequence[Receipt]) -> None:
    """Write receipts of a working publication; they do not count before it is done."""
    set_publication(conn, publication.id, {})
    _RECEIPTS.run(
        conn,
        [
            (publication.id, one.target, one.product_id, one.field,
             None if one.value is None else value_hash(one.value),
             None if one.value is None else dumps(one.value), one.result_id, one.before_id,
             None if one.before is None else dumps(one.before))
            for one in rows
        ],
    )  # fmt: skip


def receipts_page(
    conn: Connection, publication_id: int, after: int, size: int = PAGE
) -> list[AnyRow]:
    """Read the next receipts of a publication by their ids."""
    query = (
        select(receipts)
        .where(receipts.c.publication_id == publication_id, receipts.c.id > after)
        .order_by(receipts.c.id)
        .limit(size)
    )
    return list(conn.execute(query))


def last_receipt(conn: Connection, publication_id: int) -> int:
    """Give the id of a publication's last receipt; later publications' are above it."""
    query = select(func.max(receipts.c.id)).where(receipts.c.publication_id == publication_id)
    return int(conn.execute(query).scalar() or 0)


def receipts_by_id(conn: Connection, ids: Sequence[int]) -> dict[int, AnyRow]:
    """Read receipts by their ids."""
    found: dict[int, AnyRow] = {}
    for start in range(0, len(ids), _IDS_A_QUERY):
        query = select(receipts).where(receipts.c.id.in_(ids[start : start + _IDS_A_QUERY]))
        found.update({row.id: row for row in conn.execute(query)})
    return found


def restored(conn: Connection, ids: Sequence[int]) -> dict[int, int | None]:
    """Give what rollbacks' receipts brought back: by their id the receipt that had the value.

    Others are left out; None where nothing stood before.
    """
    found: dict[int, int | None] = {}
    old = receipts.alias("old")
    for start in range(0, len(ids), _IDS_A_QUERY):
        query = (
            select(receipts.c.id, old.c.before_id)
            .join(publications, publications.c.id == receipts.c.publication_id)
            .join(old, old.c.id == receipts.c.before_id)
            .where(receipts.c.id.in_(ids[start : start + _IDS_A_QUERY]),
                   publications.c.rolls_back_id.is_not(None))
        )  # fmt: skip
        for one, before in conn.execute(query).all():
            found[one] = before
    again = [one for one in found.values() if one is not None]
    further = restored(conn, again) if again else {}
    return {one: further.get(before, before) if before else None for one, before in found.items()}


def settle(conn: Connection, publication: Publication, after: int) -> int:
    """Let the next receipts of a written publication count; give the last one's id, 0 at the end.

    Doing it again changes nothing.
    """
    set_publication(conn, publication.id, {})
    page = (
        select(receipts.c.id)
        .where(receipts.c.publication_id == publication.id, receipts.c.id > after)
        .order_by(receipts.c.id)
        .limit(SETTLED_AT_ONCE)
        .subquery("page")
    )
    last = conn.execute(select(func.max(page.c.id))).scalar()
    if last is None:
        return 0
    rows = select(
        literal(publication.channel), receipts.c.target, receipts.c.product_id, receipts.c.field,
        receipts.c.id,
    ).where(
        receipts.c.publication_id == publication.id, receipts.c.id > after, receipts.c.id <= last
    )  # fmt: skip
    dialect = sqlite if conn.dialect.name == "sqlite" else postgresql
    names = ("channel", "target", "product_id", "field", "receipt_id")
    into = dialect.insert(published).from_select(names, rows)
    conn.execute(
        into.on_conflict_do_update(
            index_elements=[published.c[name] for name in names[:4]],
            set_={"receipt_id": into.excluded.receipt_id},
        )
    )
    return int(last)
