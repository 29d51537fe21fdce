"""Take a product out of rows that are not its own: groups, others' findings, messages, examples.

Each function is one bounded transaction, and leaves a row that says nothing of the product as it
was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, delete, or_, select, update

from waremill.store.products import refresh_groups
from waremill.store.tables import (
    AnyRow,
    current,
    documents,
    dumps,
    items,
    product_versions,
    products,
    results,
)
from waremill.store.tables_people import deliveries, requests
from waremill.store.webhooks import WAITING

ROWS_AT_ONCE = 2_000
SHORTEST = 3
"""Characters from which on a value can say whose it is; shorter ones are in every text."""
Names = Mapping[str, str]
"""What the erased are called from now on, by their keys."""


def scrub_findings(conn: Connection, names: Names, after: int) -> int | None:
    """Give the erased other names in the next results' findings; give where to go on."""
    rows = conn.execute(
        select(results.c.id, results.c.findings)
        .where(results.c.id > after, results.c.findings.is_not(None))
        .order_by(results.c.id)
        .limit(ROWS_AT_ONCE)
    ).all()
    for row in rows:
        said: list[dict[str, str]] = orjson.loads(row.findings)
        new = [_renamed(one, names) for one in said]
        if new != said:
            conn.execute(update(results).where(results.c.id == row.id).values(findings=dumps(new)))
    return rows[-1].id if len(rows) == ROWS_AT_ONCE else None


def _renamed(finding: dict[str, str], names: Names) -> dict[str, str]:
    """Give a finding that names another product with that one's new name."""
    key = finding.get("evidence", "")
    if key not in names or f"product {key}" not in finding["message"]:
        return finding
    message = finding["message"].replace(f"product {key}", f"product {names[key]}")
    return {**finding, "message": message, "evidence": names[key]}


def scrub_messages(conn: Connection, names: Names, ids: Collection[int], after: int) -> int | None:
    """Take the erased out of the next webhooks' messages; give where to go on.

    A message that is about nobody else goes, unless it is still to be sent: then it is empty.
    """
    mine = or_(*(deliveries.c.body.contains(_quoted(key), autoescape=True) for key in names))
    rows = conn.execute(
        select(deliveries.c.id, deliveries.c.body, deliveries.c.state)
        .where(deliveries.c.id > after, mine)
        .order_by(deliveries.c.id)
        .limit(ROWS_AT_ONCE)
    ).all()
    for row in rows:
        body: dict[str, Any] = orjson.loads(row.body)
        told: list[dict[str, Any]] = body.get("items", [])
        gone = _items_of(conn, [one["item"] for one in told if one["key"] in names], ids)
        left = [one for one in told if one["item"] not in gone]
        if len(left) == len(told):
            continue
        of_row = deliveries.c.id == row.id
        if left or row.state == WAITING:
            body["items"] = left
            conn.execute(update(deliveries).where(of_row).values(body=dumps(body)))
        else:
            conn.execute(delete(deliveries).where(of_row))
    return rows[-1].id if len(rows) == ROWS_AT_ONCE else None


def _items_of(conn: Connection, some: Collection[int], ids: Collection[int]) -> set[int]:
    query = select(items.c.id).where(items.c.id.in_(some), items.c.product_id.in_(ids))
    return set(conn.execute(query).scalars())


def forget_answered(conn: Connection, names: Names) -> int:
    """Delete kept replies to requests with an Idempotency-Key that name the erased; how many."""
    wanted = [_quoted(key).encode() for key in names]
    query = select(requests.c.by, requests.c.key, requests.c.body).where(
        requests.c.body.is_not(None)
    )
    gone = [
        (row.by, row.key)
        for row in conn.execute(query.execution_options(yield_per=100))
        if any(key in row.body for key in wanted)
    ]
    for by, key in gone:
        conn.execute(delete(requests).where(requests.c.by == by, requests.c.key == key))
    return len(gone)


def scrub_examples(
    conn: Connection, names: Names, attributes: Collection[Mapping[str, Any]], after: str
) -> str | None:
    """Take the erased out of the next examples that runs were built with; give where to go on.

    `attributes` are what the erased say and said: a key alone may be of another catalogue.
    """
    mine = or_(*(documents.c.body.contains(f'"key":{_quoted(key)}', autoescape=True)
                 for key in names))  # fmt: skip
    rows = conn.execute(
        select(documents).where(documents.c.hash > after, mine).order_by(documents.c.hash).limit(50)
    ).all()
    for row in rows:
        lines = row.body.split("\n")
        left = [line for line in lines if not _is_example_of(line, names, attributes)]
        if len(left) < len(lines):
            conn.execute(
                update(documents).where(documents.c.hash == row.hash).values(body="\n".join(left))
            )
    return rows[-1].hash if len(rows) == 50 else None


def _is_example_of(line: str, names: Names, attributes: Collection[Mapping[str, Any]]) -> bool:
    try:
        said = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    if not isinstance(said, dict) or said.get("key") not in names:
        return False
    given = said.get("input")
    return isinstance(given, dict) and any(
        all(name in one and one[name] == value for name, value in given.items())
        for one in attributes
    )


def _quoted(key: str) -> str:
    return dumps(key)


def renew_group(conn: Connection, group: int, gone: Collection[Mapping[str, Any]]) -> None:
    """Make a group's view anew from who is left, without what only the erased said.

    Results made for the whole group stay, but for those that repeat a value nobody else has.
    """
    refresh_groups(conn, [group])
    conn.execute(delete(product_versions).where(product_versions.c.product_id == group))
    members = select(products.c.id, products.c.attributes).where(products.c.group_id == group)
    left = conn.execute(members).all()
    version = conn.execute(select(products.c.version).where(products.c.id == group)).scalar_one()
    # A failed one may be tried again, and its pinned version of the group is no more.
    conn.execute(
        update(items)
        .where(items.c.product_id.in_([row.id for row in left]), items.c.state == "failed",
               items.c.group_id == group)
        .values(group_version=version)
    )  # fmt: skip
    own = set(_texts(gone)) - set(_texts(row.attributes for row in left))
    made = select(results).where(results.c.product_id == group).order_by(results.c.id)
    told = [row.id for row in conn.execute(made) if _repeats(row, own)]
    _forget_results(conn, told)


def clear_group_results(conn: Connection, group: int) -> None:
    """Delete what was made for a group nobody is left of."""
    _forget_results(
        conn,
        list(conn.execute(select(results.c.id).where(results.c.product_id == group)).scalars()),
    )
    conn.execute(delete(current).where(current.c.product_id == group))


def _forget_results(conn: Connection, ids: Collection[int]) -> None:
    of = conn.execute(select(results.c.product_id).where(results.c.id.in_(ids)).distinct())
    conn.execute(delete(current).where(current.c.product_id.in_(list(of.scalars())),
                                       current.c.result_id.in_(ids)))  # fmt: skip
    conn.execute(delete(results).where(results.c.id.in_(ids)))


def _repeats(row: AnyRow, own: Collection[str]) -> bool:
    said = set(_texts([orjson.loads(row.values)]))
    return any(value in text for value in own for text in said)


def _texts(some: Any) -> Iterator[str]:
    """Give all texts in nested values that are long enough to tell products apart."""
    for one in some:
        if isinstance(one, str):
            if len(one) >= SHORTEST:
                yield one
        elif isinstance(one, Mapping):
            yield from _texts(one.values())
        elif isinstance(one, (list, tuple)):
            yield from _texts(one)
