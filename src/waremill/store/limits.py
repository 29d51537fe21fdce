"""Shares of what several processes draw from together: requests and tokens per minute.

Each model has one row with two clocks: the time at which the next request, and the next token, is
due. A draw moves a clock forward by what it takes and says from when it may be used (the generic
cell rate algorithm, ITU-T I.371). What a dead process drew and did not use is lost, never doubled.
"""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from waremill.store.runs import clock
from waremill.store.tables import rates


def draw_rate(conn: Connection, model: str, requests: float, tokens: float, burst: float) -> float:
    """Draw a slice; give how many seconds to wait before it may be used.

    `requests` and `tokens` are the slice's length in seconds of each limit (amount × 60 / limit);
    0 for an absent limit. `burst` seconds of unused rate may be saved up.
    """
    now = clock(conn)
    query = select(rates.c.requests_at, rates.c.tokens_at).where(rates.c.model == model)
    row = conn.execute(query.with_for_update()).one_or_none()
    if row is None:
        try:
            with conn.begin_nested():
                conn.execute(
                    insert(rates).values(
                        model=model, requests_at=now - burst, tokens_at=now - burst
                    )
                )
        except IntegrityError:
            pass_through = conn.execute(query.with_for_update()).one()
            row = pass_through
        else:
            row = conn.execute(query).one()
    requests_at = max(row.requests_at, now - burst)
    tokens_at = max(row.tokens_at, now - burst)
    conn.execute(
        update(rates)
        .where(rates.c.model == model)
        .values(requests_at=requests_at + requests, tokens_at=tokens_at + tokens)
    )
    due = max(requests_at if requests else now, tokens_at if tokens else now)
    return max(0.0, due - now)
