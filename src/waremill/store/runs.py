"""Runs and their items: create, plan, claim, page through, count.

A run has one owner at a time. Claiming it raises its epoch; every commit of its work checks the
epoch, so a worker that lost the run cannot write any more.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    true,
    update,
)

from waremill.domain import Item, Product, Target
from waremill.errors import Conflict, NotFound
from waremill.store.tables import (
    AnyRow,
    documents,
    dumps,
    fingerprints,
    items,
    pipeline_versions,
    product_versions,
    products,
    reviews,
    runs,
)

ALIVE_SECONDS = 20.0
"""A heartbeat older than this is a dead owner's; workers beat every 2 s."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run's row. `plan` is its frozen JSON: selection, targets, params, models, limits."""

    id: int
    name: str
    kind: str
    state: str
    reason: str | None
    catalog_id: int
    pipeline_version_id: int
    pipeline: str
    plan: Mapping[str, Any]
    take: int
    total: int
    budget: int | None
    drawn: int
    owner: str | None
    epoch: int
    heartbeat: float | None
    command: str | None
    progress: Mapping[str, Any] | None
    summary: Mapping[str, Any] | None
    output: str | None
    created_at: float
    started_at: float | None
    ended_at: float | None
    worked_seconds: float


def as_run(row: AnyRow) -> Run:
    """Make a Run of a row of `runs`."""
    values = dict(row._mapping)
    for name in ("plan", "progress", "summary"):
        if values[name] is not None:
            values[name] = orjson.loads(values[name])
    return Run(**values)


def save_files(conn: Connection, files: Mapping[str, str]) -> dict[str, str]:
    """Store file texts by content hash; give path to hash."""
    hashes = file_hashes(files)
    known = set(
        conn.execute(
            select(documents.c.hash).where(documents.c.hash.in_(hashes.values()))
        ).scalars()
    )
    fresh = {h: files[path] for path, h in hashes.items() if h not in known}
    if fresh:
        conn.execute(insert(documents), [{"hash": h, "body": body} for h, body in fresh.items()])
    return hashes


def file_hashes(files: Mapping[str, str]) -> dict[str, str]:
    """Hash file texts by path."""
    return {
        path: blake2b(body.encode(), digest_size=16).hexdigest() for path, body in files.items()
    }


def pipeline_hash(name: str, files: Mapping[str, str]) -> str:
    """Hash a pipeline with every file it was built from: its version."""
    body = orjson.dumps({"name": name, "files": file_hashes(files)}, option=orjson.OPT_SORT_KEYS)
    return blake2b(body, digest_size=16).hexdigest()


def save_pipeline(
    conn: Connection, name: str, files: Mapping[str, str], templates: Mapping[str, str]
) -> tuple[int, str]:
    """Store a pipeline version with the files it was built from; give its id and hash.

    `templates` are the versions of the templates in it, by name.
    """
    hashes = save_files(conn, files)
    version = pipeline_hash(name, files)
    found = conn.execute(
        select(pipeline_versions.c.id).where(pipeline_versions.c.hash == version)
    ).scalar()
    if found is None:
        found = conn.execute(
            insert(pipeline_versions)
            .values(hash=version, name=name, files=dumps(hashes), templates=dumps(templates),
                    created_at=time.time())
            .returning(pipeline_versions.c.id)
        ).scalar_one()  # fmt: skip
    return found, version


def load_pipeline_files(conn: Connection, version_id: int) -> tuple[str, dict[str, str]]:
    """Give a stored pipeline version's name and the texts it was built from."""
    row = conn.execute(select(pipeline_versions).where(pipeline_versions.c.id == version_id)).one()
    hashes: dict[str, str] = orjson.loads(row.files)
    query = select(documents).where(documents.c.hash.in_(hashes.values()))
    bodies = {document.hash: document.body for document in conn.execute(query)}
    return row.name, {path: bodies[h] for path, h in hashes.items()}


def find_pipeline_version(conn: Connection, name: str, prefix: str) -> int | None:
    """Find a stored version of a pipeline by a prefix of its hash or of a template's version.

    The newest wins; None when there is none.
    """
    rows = conn.execute(
        select(pipeline_versions)
        .where(pipeline_versions.c.name == name)
        .order_by(pipeline_versions.c.id.desc())
    )
    for row in rows:
        versions = [row.hash, *orjson.loads(row.templates).values()]
        if any(version.startswith(prefix) for version in versions):
            return int(row.id)
    return None


def fingerprint_id(conn: Connection, parts: Mapping[str, Any]) -> int:
    """Give the id of what, besides the product, decides an item's results."""
    body = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    digest = blake2b(body, digest_size=16).digest()
    found = conn.execute(select(fingerprints.c.id).where(fingerprints.c.hash == digest)).scalar()
    if found is None:
        found = conn.execute(
            insert(fingerprints).values(hash=digest).returning(fingerprints.c.id)
        ).scalar_one()
    return int(found)


def create_run(conn: Connection, values: Mapping[str, Any]) -> int:
    """Insert a run, not yet owned; give its id. Names are short, random and sortable by eye."""
    row = {
        "name": f"{time.strftime('%m%d')}-{secrets.token_hex(3)}", "state": "planned",
        "reason": None, "drawn": 0, "owner": None, "epoch": 0, "heartbeat": None,
        "command": None, "total": 0, "created_at": time.time(), "worked_seconds": 0.0, **values,
    }  # fmt: skip
    return int(conn.execute(insert(runs).values(row).returning(runs.c.id)).scalar_one())


def next_take(conn: Connection, fingerprint_ids: Sequence[int]) -> int:
    """Give a take that no run of these fingerprints has used."""
    used = select(items.c.run_id).where(items.c.fingerprint_id.in_(fingerprint_ids)).distinct()
    highest = conn.execute(select(func.max(runs.c.take)).where(runs.c.id.in_(used))).scalar()
    return 0 if highest is None else int(highest) + 1


def insert_items(
    conn: Connection,
    run_id: int,
    chosen: Select[Any],
    targets: Sequence[tuple[str, int]],
    *,
    link: bool,
    with_groups: bool,
) -> int:
    """Plan a run's items in one statement: products × targets, in the order `chosen` gives.

    `chosen` selects columns of `products` and a `rank`; `targets` are (target, fingerprint id).
    With `link`, an item whose fingerprint and versions were
    finished before takes over that item's state and results, and is not worked again.
    """
    picked = chosen.subquery("picked")
    aims = _values(targets)
    group = products.alias("grp")
    done = items.alias("done")
    group_version = func.coalesce(group.c.version, 0) if with_groups else literal(0)
    source = (
        select(func.max(done.c.id))
        .where(
            done.c.fingerprint_id == aims.c.fingerprint_id,
            done.c.product_id == picked.c.id,
            done.c.product_version == picked.c.version,
            done.c.group_version == group_version,
            # Word for word as in the partial index: SQLite does not match bound parameters.
            text("done.source_id IS NULL AND done.state NOT IN ('pending', 'failed')"),
        )
        .correlate(picked, aims, group)
        .scalar_subquery()
    )
    planned = (
        select(
            picked.c.rank.label("rank"), aims.c.place.label("place"),
            picked.c.id.label("product_id"), picked.c.version.label("product_version"),
            group_version.label("group_version"), aims.c.fingerprint_id, aims.c.target,
            (source if link else literal(None, items.c.id.type)).label("source_id"),
        )
        .select_from(
            picked.join(aims, true()).outerjoin(group, group.c.id == picked.c.group_id)
            if with_groups
            else picked.join(aims, true())
        )
        .subquery("planned")
    )  # fmt: skip
    old = items.alias("old")
    query = (
        select(
            literal(run_id), planned.c.product_id, planned.c.product_version,
            planned.c.group_version, planned.c.fingerprint_id, planned.c.target,
            func.coalesce(old.c.state, "pending"), planned.c.source_id, literal(0),
            func.coalesce(old.c.findings, 0), case((planned.c.source_id.is_not(None), 0)),
            old.c.list_cost, old.c.latency,
        )
        .select_from(planned.outerjoin(old, old.c.id == planned.c.source_id))
        .order_by(planned.c.rank, planned.c.place)
    )  # fmt: skip
    columns = (
        items.c.run_id, items.c.product_id, items.c.product_version, items.c.group_version,
        items.c.fingerprint_id, items.c.target, items.c.state, items.c.source_id,
        items.c.attempts, items.c.findings, items.c.paid, items.c.list_cost, items.c.latency,
    )  # fmt: skip
    conn.execute(insert(items).from_select(columns, query))
    planned_items = select(func.count()).select_from(items).where(items.c.run_id == run_id)
    total = int(conn.execute(planned_items).scalar_one())
    conn.execute(update(runs).where(runs.c.id == run_id).values(total=total))
    return total


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


def find_run(conn: Connection, name: str) -> Run:
    """Find a run by its name, a unique prefix, or `last`."""
    if name == "last":
        row = conn.execute(select(runs).order_by(runs.c.id.desc()).limit(1)).one_or_none()
        if row is None:
            raise NotFound("there is no run yet")
        return as_run(row)
    rows = conn.execute(
        select(runs).where(runs.c.name.startswith(name, autoescape=True)).limit(2)
    ).all()
    exact = [row for row in rows if row.name == name]
    if not rows:
        raise NotFound(f"there is no run “{name}”; `waremill runs` lists them")
    if len(rows) > 1 and not exact:
        raise NotFound(f"more than one run starts with “{name}”; write more of it")
    return as_run((exact or rows)[0])


def get_run(conn: Connection, run_id: int) -> Run:
    """Give a run by its row id."""
    return as_run(conn.execute(select(runs).where(runs.c.id == run_id)).one())


def list_runs(conn: Connection, limit: int = 100) -> list[Run]:
    """Give the newest runs first."""
    return [
        as_run(row) for row in conn.execute(select(runs).order_by(runs.c.id.desc()).limit(limit))
    ]


def claim(conn: Connection, run_id: int, owner: str, *, owner_is_dead: bool) -> Run:
    """Become a run's owner and raise its epoch; a live owner makes it a Conflict."""
    now = clock(conn)
    run = get_run(conn, run_id)
    beating = run.heartbeat is not None and now - run.heartbeat < ALIVE_SECONDS
    taken = Conflict(
        f"run {run.name} is being worked by {run.owner}; pause it first, or wait until it ends"
    )
    # One process may work several runs, but each only once: its own name is no exception.
    if run.owner and beating and not owner_is_dead:
        raise taken
    if run.state in ("done", "cancelled"):
        raise Conflict(f"run {run.name} is {run.state}; there is nothing left to work")
    claimed = conn.execute(
        update(runs)
        .where(runs.c.id == run_id, runs.c.epoch == run.epoch)
        .values(owner=owner, epoch=run.epoch + 1, heartbeat=now, state="running", command=None,
                reason=None, started_at=func.coalesce(runs.c.started_at, now), ended_at=None)
    )  # fmt: skip
    if claimed.rowcount != 1:  # somebody else claimed it between our look and our update
        raise taken
    return get_run(conn, run_id)


def release(
    conn: Connection, run: Run, state: str, reason: str | None, unspent: int, seconds: float
) -> None:
    """Give a run up: its state, the budget slice not used, the time worked."""
    changed = conn.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.epoch == run.epoch)
        .values(owner=None, heartbeat=None, state=state, reason=reason, command=None,
                drawn=runs.c.drawn - unspent, ended_at=clock(conn),
                worked_seconds=runs.c.worked_seconds + seconds)
    )  # fmt: skip
    if changed.rowcount != 1:
        raise Conflict(f"run {run.name} was taken over by another worker")


def beat(conn: Connection, run: Run, progress: Mapping[str, Any]) -> str | None:
    """Say the owner lives and how far it is; give the command somebody left, if any."""
    changed = conn.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.epoch == run.epoch)
        .values(heartbeat=clock(conn), progress=dumps(progress))
    )
    if changed.rowcount != 1:
        raise Conflict(f"run {run.name} was taken over by another worker")
    command: str | None = conn.execute(select(runs.c.command).where(runs.c.id == run.id)).scalar()
    return command


def leave_command(conn: Connection, run: Run, command: str) -> bool:
    """Ask a run's owner to pause or cancel; False when nobody owns it."""
    now = clock(conn)
    changed = conn.execute(
        update(runs)
        .where(
            runs.c.id == run.id, runs.c.owner.is_not(None), runs.c.heartbeat > now - ALIVE_SECONDS
        )
        .values(command=command)
    )
    return bool(changed.rowcount)


def stop_orphan(conn: Connection, run: Run, state: str, reason: str) -> bool:
    """Set a run nobody works to a state; False when somebody claimed it since it was read.

    The epoch is raised, so that an owner who only seemed dead cannot write any more.
    """
    changed = conn.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.epoch == run.epoch)
        .values(state=state, reason=reason, owner=None, heartbeat=None, command=None,
                epoch=run.epoch + 1, ended_at=clock(conn))
    )  # fmt: skip
    return changed.rowcount == 1


def set_run(conn: Connection, run_id: int, values: Mapping[str, Any]) -> None:
    """Set plain columns of a run."""
    conn.execute(update(runs).where(runs.c.id == run_id).values(dict(values)))


def clock(conn: Connection) -> float:
    """Give the database's clock, so that machines agree on who is alive."""
    if conn.dialect.name == "sqlite":
        return time.time()
    return float(conn.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())


def draw(conn: Connection, run: Run, amount: int) -> bool:
    """Draw a slice of the run's budget; False when that much is not left."""
    changed = conn.execute(
        update(runs)
        .where(
            runs.c.id == run.id,
            runs.c.epoch == run.epoch,
            or_(runs.c.budget.is_(None), runs.c.drawn + amount <= runs.c.budget),
        )
        .values(drawn=runs.c.drawn + amount)
    )
    return changed.rowcount == 1


def pending_page(conn: Connection, run: Run, after: int, size: int) -> list[Item]:
    """Give the next items to work, in order, each with its product at the pinned version."""
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
        .outerjoin(group, and_(group.c.id == products.c.group_id, items.c.group_version != 0))
        .where(items.c.run_id == run.id, items.c.id > after, items.c.state == "pending")
        .order_by(items.c.id)
        .limit(size)
    )  # fmt: skip
    return [_as_item(conn, row, run.take) for row in conn.execute(query).all()]


def _as_item(conn: Connection, row: AnyRow, take: int) -> Item:
    attributes = row.attributes
    if row.version != row.product_version:
        attributes = _pinned(conn, row.product_id, row.product_version)
    group = None
    if row.group_id is not None:
        merged = row.group_attributes
        if row.group_now != row.group_version:
            merged = _pinned(conn, row.group_id, row.group_version)
        group = Product(row.group_id, row.group_key, merged, row.group_version)
    product = Product(
        row.product_id, row.key, attributes, row.product_version, row.group_key, row.position
    )
    target = Target.parse(row.target) if row.target else None
    return Item(row.id, product, target, {}, take, group)


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


def retry_failed(conn: Connection, run_id: int) -> int:
    """Set failed items back to pending; give how many."""
    changed = conn.execute(
        update(items)
        .where(items.c.run_id == run_id, items.c.state == "failed")
        .values(state="pending", error=None, findings=0)
    )
    return int(changed.rowcount)


def accept_where(conn: Connection, run: Run, condition: ColumnElement[bool], rule: str) -> int:
    """Accept finished items a rule picks, with a review row for each; give how many.

    `condition` may name columns of `items` and of `products`.
    """
    picked = (
        select(items.c.id)
        .join(products, products.c.id == items.c.product_id)
        .where(items.c.run_id == run.id, items.c.state.in_(("ready", "review")), condition)
    )
    chosen = picked.subquery()
    conn.execute(
        insert(reviews).from_select(
            ["item_id", "verdict", "rule", "created_at"],
            select(chosen.c.id, literal("accept"), literal(rule), literal(time.time())),
        )
    )
    changed = conn.execute(update(items).where(items.c.id.in_(picked)).values(state="accepted"))
    return int(changed.rowcount)
