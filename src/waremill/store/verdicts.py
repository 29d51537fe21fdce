"""Verdicts: each is rows of `reviews`, the item's new state and, for an edit, a new result.

Nothing is changed but an item's state and what it is linked to; an undo is a row too. A linked item
follows the item it took over from until it is decided. What a person edits gets results of its own
before; and before an item's results grow, those decided items that show them get copies, so that no
accepted value ever changes behind an accepting person's back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)

from waremill.domain import UNMADE_STATES, Finding
from waremill.errors import Conflict
from waremill.store.bulk import BulkInsert
from waremill.store.journal import allocate
from waremill.store.reviewing import (
    CHUNK,
    ItemView,
    Made,
    Reviewed,
    among,
    as_made,
    drop_lease,
    load_item,
)
from waremill.store.runs import Run, clock
from waremill.store.tables import current, dumps, findings, items, products, results, reviews

WAITING = ("review", "ready")
_DECIDED = ("accepted", "edited", "rejected")
_RESULTS = BulkInsert(
    results,
    ("id", "item_id", "product_id", "target", "step", "origin", "values", "findings", "provenance",
     "created_at"),
)  # fmt: skip
_CURRENT = BulkInsert(
    current,
    ("product_id", "target", "field", "result_id"),
    ("product_id", "target", "field"),
    "replace",
)
_FINDINGS = BulkInsert(
    findings, ("run_id", "rule", "item_id", "field"), ("run_id", "rule", "item_id", "field")
)


@dataclass(frozen=True, slots=True)
class Edited:
    """What a person makes of a step's fields: the new values, and all findings of that step then.

    `provenance` says more than who: what it reverts to or undoes, which file it came from.
    """

    step: str
    product_id: int
    target: str
    values: Mapping[str, Any]
    findings: Sequence[Finding] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict to be written: the word, the state it leads to, by whom, why.

    `fields` are what a rejection is about (none: the whole); `edits` are an edit's values.
    """

    verdict: str
    state: str
    by: str | None
    reason: str | None = None
    rule: str | None = None
    fields: tuple[str, ...] = ()
    edits: tuple[Edited, ...] = ()


def judge(
    conn: Connection,
    run_id: int,
    item_id: int,
    version: int | None,
    decide: Callable[[ItemView], Decision | None],
) -> ItemView:
    """Judge an item and give it as it is then; `decide` is asked with the item locked.

    Raises Conflict, saying who did what, when `version` is not the item's newest, and where there
    is nothing to judge. Where `decide` gives None nothing is written.
    """
    view = load_item(conn, run_id, item_id, lock=True)
    if version is not None and version != view.version:
        raise Conflict(changed_since(view, clock(conn)))
    if view.state in UNMADE_STATES:
        failed = view.state == "failed"
        why = "it failed, so nothing was made" if failed else "it is not made yet"
        raise Conflict(f"{name_of(view)} cannot be judged: {why}")
    decision = decide(view)
    if decision is None:
        return view
    write(conn, view, decision)
    drop_lease(conn, item_id)
    return load_item(conn, run_id, item_id)


def write(conn: Connection, view: ItemView, decision: Decision) -> None:
    """Write a verdict on an item that is locked."""
    now = clock(conn)
    about: list[tuple[str | None, int | None]] = [(None, view.newest or None)]
    if decision.edits:
        about = [
            (name, number)
            for edited, number in zip(
                decision.edits, _edit(conn, view, decision.edits, decision.by), strict=True
            )
            for name in edited.values
        ]
    elif decision.fields:
        about = [(name, view.newest or None) for name in decision.fields]
    conn.execute(
        insert(reviews),
        [
            {"item_id": view.id, "field": name, "verdict": decision.verdict,
             "reason": decision.reason, "by": decision.by, "rule": decision.rule,
             "result_id": result, "before": view.state, "created_at": now}
            for name, result in about
        ],
    )  # fmt: skip
    conn.execute(update(items).where(items.c.id == view.id).values(state=decision.state))


def _edit(conn: Connection, view: ItemView, edits: Sequence[Edited], by: str | None) -> list[int]:
    """Append a result for each step that was edited; give their ids."""
    if view.linked:
        copy_results(conn, [((view.run_id, view.id), made) for made in view.made])
        conn.execute(update(items).where(items.c.id == view.id).values(source_id=None))
    keep_followers(conn, [view.id])
    rows = [
        (one.step, view.id, one.product_id, one.target, one.values,
         [finding.as_json() for finding in one.findings], {"by": by, **one.provenance})
        for one in edits
    ]  # fmt: skip
    numbers = append_results(conn, rows)
    _settle_findings(conn, view, load_item(conn, view.run_id, view.id))
    return numbers


Appended = tuple[str, int, int, str, Mapping[str, Any], "list[Any] | None", Mapping[str, Any]]
"""(step, item id, product id, target, values, findings, provenance) of a person's result."""


def append_results(conn: Connection, rows: Sequence[Appended]) -> list[int]:
    """Append results of a person's and move `current` on to them; give their ids."""
    numbers = list(allocate(conn, results, len(rows)))
    now, made = time.time(), []
    latest: dict[tuple[int, str, str], int] = {}
    for number, row in zip(numbers, rows, strict=True):
        step, item_id, product_id, target, values, objections, provenance = row
        made.append(
            (number, item_id, product_id, target, step, "human", dumps(dict(values)),
             None if objections is None else dumps(objections), dumps(dict(provenance)), now)
        )  # fmt: skip
        latest.update({(product_id, target, name): number for name in values})
    _RESULTS.run(conn, made)
    # One order, so that two writers never wait for each other.
    _CURRENT.run(conn, [(*key, latest[key]) for key in sorted(latest)])
    return numbers


def copy_results(conn: Connection, pairs: Sequence[tuple[tuple[int, int], Made]]) -> None:
    """Give items, named as (run id, item id), results of their own that are copies of others'.

    `current` stays as it is.
    """
    rows = []
    numbers = allocate(conn, results, len(pairs))
    for number, ((_, item_id), made) in zip(numbers, pairs, strict=True):
        objections = None
        if made.findings is not None:
            objections = dumps([one.as_json() for one in made.findings])
        rows.append(
            (number, item_id, made.product_id, made.target, made.step, made.origin,
             dumps(dict(made.values)), objections,
             dumps({**made.provenance, "copy_of": made.since}), made.created_at)
        )  # fmt: skip
    _RESULTS.run(conn, rows)
    about = {
        (place[0], one.rule, place[1], one.field)
        for place, made in pairs
        for one in made.findings or ()
    }
    _FINDINGS.run(conn, sorted(about))


def keep_followers(conn: Connection, item_ids: Sequence[int]) -> None:
    """Let decided items that show others' results keep what they were decided on.

    They stay marked as taken over, by a link to themselves, so that no later run takes over from
    them what was newer in their source.
    """
    query = select(items.c.id, items.c.run_id, items.c.source_id).where(
        items.c.source_id.in_(item_ids), items.c.source_id != items.c.id,
        items.c.state.in_(_DECIDED),
    )  # fmt: skip
    followers = conn.execute(query).all()
    if not followers:
        return
    sources = {row.source_id for row in followers}
    made: dict[int, list[Made]] = {}
    for row in conn.execute(select(results).where(results.c.item_id.in_(sources))):
        made.setdefault(row.item_id, []).append(as_made(row))
    pairs = [
        ((row.run_id, row.id), one)
        for row in followers
        for one in sorted(made.get(row.source_id, []), key=lambda one: one.id)
    ]
    copy_results(conn, pairs)
    ids = [row.id for row in followers]
    conn.execute(update(items).where(items.c.id.in_(ids)).values(source_id=items.c.id))


def _settle_findings(conn: Connection, before: ItemView, after: ItemView) -> None:
    """Bring an item's count of errors and its rows of `findings` to what is still objected to."""
    left = [one for some in after.findings().values() for one in some]
    old = {(one.rule, one.field) for some in before.findings().values() for one in some}
    new = {(one.rule, one.field) for one in left}
    for rule, name in old - new:
        conn.execute(
            delete(findings).where(
                findings.c.run_id == after.run_id, findings.c.rule == rule,
                findings.c.item_id == after.id, findings.c.field == name,
            )
        )  # fmt: skip
    _FINDINGS.run(conn, [(after.run_id, rule, after.id, name) for rule, name in sorted(new - old)])
    errors = sum(one.severity == "error" for one in left)
    conn.execute(update(items).where(items.c.id == after.id).values(findings=errors))


# Undo.


def judgements(view: ItemView) -> list[list[Reviewed]]:
    """Give the verdicts on an item that were not undone: each its rows, the oldest first."""
    groups: list[list[Reviewed]] = []
    for row in view.reviews:
        last = groups[-1][-1] if groups else None
        same = last is not None and (last.by, last.created_at, last.verdict, last.rule) == (
            row.by, row.created_at, row.verdict, row.rule
        )  # fmt: skip
        if same:
            groups[-1].append(row)
        else:
            groups.append([row])
    undone = {
        int((group[0].reason or "").rpartition(" ")[2])
        for group in groups
        if group[0].verdict == "undo"
    }
    return [g for g in groups if g[0].verdict != "undo" and g[0].id not in undone]


def undo(view: ItemView, by: str) -> Decision:
    """Decide what takes back the last verdict on an item, which must be `by`'s own.

    The state of before comes back; values that were edited come back as a new result.
    """
    standing = judgements(view)
    if not any(group[0].by == by for group in standing):
        raise Conflict(f"there is no verdict of {by} on {name_of(view)} to undo")
    last = standing[-1]
    if last[0].by != by:
        raise Conflict(
            f"{_who(last[0])} {_did(last)} {name_of(view)} after {by}; only that can be undone now"
        )
    state = last[0].before or ("review" if any(view.findings().values()) else "ready")
    edits = []
    numbers = {row.result_id for row in last if row.verdict == "edit" and row.result_id}
    for result_id in sorted(numbers):
        made = next(one for one in view.made if one.id == result_id)
        earlier = {
            name: one.values[name]
            for one in view.made
            if one.id < made.id and one.step == made.step
            for name in made.values
            if name in one.values
        }
        edits.append(
            Edited(
                made.step, made.product_id, made.target,
                {name: earlier.get(name) for name in made.values},
                tuple(view.findings(before=made.id).get(made.step, ())), {"undoes": made.id},
            )
        )  # fmt: skip
    return Decision("undo", state, by, f"review {last[0].id}", edits=tuple(edits))


def name_of(view: ItemView) -> str:
    """Name an item as people do."""
    return f"{view.key} for {view.target}" if view.target else view.key


def changed_since(view: ItemView, now: float) -> str:
    """Say who changed an item last, and what: the message of a conflict."""
    standing = judgements(view)
    human = next((made for made in reversed(view.made) if made.origin == "human"), None)
    if view.reviews and view.reviews[-1].verdict == "undo":
        row = view.reviews[-1]
        return f"{_who(row)} took a verdict on {name_of(view)} back {_ago(now, row)}; look again"
    if standing and (human is None or human.created_at <= standing[-1][-1].created_at + 1):
        last = standing[-1]
        return f"{_who(last[0])} {_did(last)} {name_of(view)} {_ago(now, last[0])}; look again"
    if human is not None:
        names = ", ".join(human.values)
        return f"{human.provenance.get('by')} changed {names} of {name_of(view)}; look again"
    return f"{name_of(view)} changed since it was shown; look again"


def _who(row: Reviewed) -> str:
    return row.by or f"the rule “{row.rule}”"


def _did(group: Sequence[Reviewed]) -> str:
    first = group[0]
    if first.verdict == "edit":
        return f"edited {', '.join(row.field or '' for row in group)} of"
    if first.verdict == "reject":
        return f"rejected ({first.reason})" if first.reason else "rejected"
    return "accepted"


def _ago(now: float, row: Reviewed) -> str:
    seconds = max(0, round(now - row.created_at))
    if seconds < 120:
        return f"{seconds} s ago"
    return f"{seconds // 60} min ago" if seconds < 7200 else f"{seconds // 3600} h ago"


# Many at once.


def judge_many(
    conn: Connection,
    run_id: int,
    ids: Sequence[int],
    decision: Decision,
    states: Sequence[str] = WAITING,
) -> int:
    """Judge those of at most 5,000 items that are in certain states; give how many.

    Each gets a review of its own. Without `states`, only what waits is judged.
    """
    picked = (items.c.run_id == run_id, items.c.state.in_(states), among(conn, ids))
    return _write_many(conn, picked, decision)


def _write_many(conn: Connection, picked: Sequence[ColumnElement[bool]], decision: Decision) -> int:
    if conn.dialect.name == "postgresql":
        # In one order, so that two who decide the same items do not block each other for good.
        conn.execute(select(items.c.id).where(*picked).order_by(items.c.id).with_for_update())
    newest = (
        select(func.max(results.c.id))
        .where(results.c.item_id == func.coalesce(items.c.source_id, items.c.id))
        .scalar_subquery()
    )
    said = select(
        items.c.id, literal(decision.verdict), literal(decision.reason, Text),
        literal(decision.by, Text), literal(decision.rule, Text), newest, items.c.state,
        literal(clock(conn)),
    ).where(*picked)  # fmt: skip
    columns = ["item_id", "verdict", "reason", "by", "rule", "result_id", "before", "created_at"]
    conn.execute(insert(reviews).from_select(columns, said))
    changed = conn.execute(update(items).where(*picked).values(state=decision.state))
    return int(changed.rowcount)


def accept_where(
    conn: Connection,
    run: Run,
    condition: ColumnElement[bool],
    rule: str,
    after: int = 0,
    by: str | None = None,
) -> tuple[int, int | None]:
    """Accept the next 5,000 waiting items a rule picks; give how many, and the last one's id.

    `condition` may name columns of `items` and of `products`. The id is where to go on after; None
    when none is left.
    """
    query = (
        select(items.c.id)
        .join(products, products.c.id == items.c.product_id)
        .where(items.c.run_id == run.id, items.c.id > after, items.c.state.in_(WAITING), condition)
        .order_by(items.c.id)
        .limit(CHUNK)
    )
    ids = list(conn.execute(query).scalars())
    if not ids:
        return 0, None
    accepted = judge_many(conn, run.id, ids, Decision("accept", "accepted", by, rule=rule))
    return accepted, ids[-1] if len(ids) == CHUNK else None
