"""What was answered to requests that carry an Idempotency-Key: kept for a day, by who asked."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from waremill.store.runs import clock
from waremill.store.tables_people import requests

KEPT_SECONDS = 24 * 3600.0
ABANDONED_SECONDS = 15 * 60.0
"""After so long without a sign of life an unanswered request is one whose server died."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A request that is known by its key; no status while it is being worked."""

    digest: bytes
    status: int | None
    body: bytes | None
    media_type: str | None


def begin(conn: Connection, by: str, key: str, digest: bytes) -> Kept | None:
    """Note that a request is being worked; give what is known of one with the same key instead."""
    now = clock(conn)
    conn.execute(
        delete(requests).where(
            or_(
                requests.c.created_at < now - KEPT_SECONDS,
                requests.c.status.is_(None) & (requests.c.created_at < now - ABANDONED_SECONDS),
            )
        )
    )
    own = (requests.c.by == by) & (requests.c.key == key)
    query = select(
        requests.c.digest, requests.c.status, requests.c.body, requests.c.media_type
    ).where(own)
    row = conn.execute(query).one_or_none()
    if row is None:
        try:
            with conn.begin_nested():
                conn.execute(insert(requests).values(by=by, key=key, digest=digest, created_at=now))
        except IntegrityError:  # the same key came at the same moment to another server
            row = conn.execute(query).one()
        else:
            return None
    return Kept(*row)


def refresh(conn: Connection, by: str, key: str) -> bool:
    """Give a sign of life of a request that is being worked; False when it is not known so."""
    done = conn.execute(
        update(requests)
        .where(requests.c.by == by, requests.c.key == key, requests.c.status.is_(None))
        .values(created_at=clock(conn))
    )
    return bool(done.rowcount)


def finish(conn: Connection, by: str, key: str, answer: tuple[int, bytes, str | None]) -> None:
    """Keep a request's answer: status, body, media type."""
    status, body, media_type = answer
    conn.execute(
        update(requests)
        .where(requests.c.by == by, requests.c.key == key)
        .values(status=status, body=body, media_type=media_type)
    )


def forget(conn: Connection, by: str, key: str) -> None:
    """Forget a request that was not carried out, so that it may be sent again."""
    conn.execute(
        delete(requests).where(
            requests.c.by == by, requests.c.key == key, requests.c.status.is_(None)
        )
    )
