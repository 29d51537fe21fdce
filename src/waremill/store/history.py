"""What past calls and answers say: reply lengths, latencies, bytes a token, asks an item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Float, Select, cast, func, select

from waremill.store.browsing import Stretch, ahead
from waremill.store.tables import answers, calls, derivations, runs, spend

RECENT = 20_000
"""Calls looked back at; older ones say little about today's model."""
RUNS_BACK = 20
"""Runs looked back at for them."""
ANSWERS_BACK = 5 * RECENT
"""Answers looked back at, whatever their model: one that never answered is not sought in all."""


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
    asked_it = select(spend.c.run_id).where(spend.c.run_id == runs.c.id, spend.c.model == model)
    newest = (
        select(runs.c.id)
        .where(runs.c.pipeline == pipeline, asked_it.exists())
        .order_by(runs.c.id.desc())
        .limit(RUNS_BACK)
    )
    sums = [0.0] * 8
    for run_id in conn.execute(newest).scalars().all():
        if sums[0] >= RECENT:
            break
        # Items are of one run, so that counts of them add up.
        found = conn.execute(_sums_of(conn, run_id, step, model)).one()
        sums = [one + float(more or 0) for one, more in zip(sums, found, strict=True)]
    number, output, squared, latency, timed, asked, cached, total = sums
    if not number:
        return None
    return Past(
        int(number), output / number, squared / number, latency / max(timed, 1),
        number / max(asked, 1), cached / max(total, 1.0),
    )  # fmt: skip


def _sums_of(conn: Connection, run_id: int, step: str, model: str) -> Select[*tuple[Any, ...]]:
    """Select the sums of a step's complete replies among the last calls of a run."""
    found, order = ahead(conn, ((calls.c.run_id, run_id),), calls.c.id, Stretch())
    last = select(calls).where(*found).order_by(*(one.desc() for one in order)).limit(RECENT)
    recent = last.subquery()
    return select(
        func.count(), func.sum(recent.c.output),
        # As a float: a long reply's square does not fit PostgreSQL's 32-bit integer.
        func.sum(cast(recent.c.output, Float) * recent.c.output),
        # 0 stands for a batch, whose time says nothing about how long a reply takes.
        func.sum(recent.c.latency), func.count(func.nullif(recent.c.latency, 0.0)),
        func.count(recent.c.item_id.distinct()),
        func.sum(recent.c.cached), func.sum(recent.c.input),
    ).where(
        recent.c.step == step, recent.c.model == model,
        recent.c.item_id != 0,  # a playground's: which calls were one item's is not known
        recent.c.outcome.in_(("complete", "truncated")),
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
    newest = select(func.max(answers.c.id)).scalar_subquery()
    size, tokens = conn.execute(
        select(func.sum(answers.c.request_bytes), func.sum(answers.c.input)).where(
            answers.c.id > newest - ANSWERS_BACK, answers.c.model == identity, answers.c.input > 0
        )
    ).one()
    return float(size) / float(tokens) if tokens else None


def known_answers(conn: Connection, hashes: list[bytes]) -> set[bytes]:
    """Say which requests were answered before."""
    found: set[bytes] = set()
    for start in range(0, len(hashes), 500):
        some = hashes[start : start + 500]
        found.update(conn.execute(select(answers.c.hash).where(answers.c.hash.in_(some))).scalars())
    return found
