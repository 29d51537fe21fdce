"""What past calls and answers say: reply lengths, latencies, bytes a token, asks an item."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Float, cast, func, select

from waremill.store.tables import answers, calls, derivations, runs

RECENT = 20_000
"""Calls looked back at; older ones say little about today's model."""


@dataclass(frozen=True, slots=True)
class Past:
    """Means over the recent complete replies of a step and model; lengths in tokens, seconds."""

    calls: int
    output: float
    output_squared: float
    latency: float
    asks: float
    cached_share: float


def past_calls(conn: Connection, pipeline: str, step: str, model: str) -> Past | None:
    """Say how a pipeline's step did on a model lately; None when it never ran there."""
    recent = (
        select(calls)
        .join(runs, runs.c.id == calls.c.run_id)
        .where(runs.c.pipeline == pipeline, calls.c.step == step, calls.c.model == model,
               calls.c.item_id != 0,  # a playground's: which calls were one item's is not known
               calls.c.outcome.in_(("complete", "truncated")))
        .order_by(calls.c.id.desc())
        .limit(RECENT)
        .subquery()
    )  # fmt: skip
    row = conn.execute(
        select(
            func.count(), func.avg(recent.c.output),
            # As a float: a long reply's square does not fit PostgreSQL's 32-bit integer.
            func.avg(cast(recent.c.output, Float) * recent.c.output),
            # 0 stands for a batch, whose time says nothing about how long a reply takes.
            func.avg(func.nullif(recent.c.latency, 0.0)), func.count(recent.c.item_id.distinct()),
            func.sum(recent.c.cached), func.sum(recent.c.input),
        )
    ).one()  # fmt: skip
    number, output, squared, latency, asked, cached, total = row
    if not number:
        return None
    return Past(
        int(number), float(output), float(squared), float(latency or 0.0),
        number / max(asked, 1), float(cached or 0) / max(float(total or 0), 1.0),
    )  # fmt: skip


def derivation_seconds(conn: Connection) -> dict[str, float]:
    """Give how many seconds making one took lately, by operation, while others were made beside."""
    recent = (
        select(derivations.c.what, derivations.c.seconds)
        .order_by(derivations.c.created_at.desc())
        .limit(RECENT)
        .subquery()
    )
    query = select(recent.c.what, func.avg(recent.c.seconds)).group_by(recent.c.what)
    return {what: float(seconds) for what, seconds in conn.execute(query)}


def item_seconds(conn: Connection, run_id: int) -> dict[int, float]:
    """Give how many seconds a run's items spent in calls, by item; whatever was replayed is not in.

    An item that sent nothing is left out: it says nothing about how long the work takes.
    """
    query = (
        select(calls.c.item_id, func.sum(calls.c.latency))
        .where(calls.c.run_id == run_id, calls.c.latency > 0,  # 0: it came in a batch
               calls.c.outcome.in_(("complete", "truncated", "refused")))
        .group_by(calls.c.item_id)
    )  # fmt: skip
    return {int(item): float(seconds) for item, seconds in conn.execute(query)}


def bytes_per_token(conn: Connection, identity: str) -> float | None:
    """Say how many request bytes made one input token on a model lately; None when unknown."""
    recent = (
        select(answers.c.request_bytes, answers.c.input)
        .where(answers.c.model == identity, answers.c.input > 0)
        .order_by(answers.c.id.desc())
        .limit(RECENT)
        .subquery()
    )
    size, tokens = conn.execute(
        select(func.sum(recent.c.request_bytes), func.sum(recent.c.input))
    ).one()
    return float(size) / float(tokens) if tokens else None


def known_answers(conn: Connection, hashes: list[bytes]) -> set[bytes]:
    """Say which requests were answered before."""
    found: set[bytes] = set()
    for start in range(0, len(hashes), 500):
        some = hashes[start : start + 500]
        found.update(conn.execute(select(answers.c.hash).where(answers.c.hash.in_(some))).scalars())
    return found
