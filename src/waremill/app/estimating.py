"""The use case *estimate*: render a sample, count tokens, look at what is answered already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Connection

from waremill.app.assembly import price_of
from waremill.app.options import Prepared
from waremill.domain import Chat, Item, Target
from waremill.errors import TemplateError
from waremill.pipeline import BoundStep
from waremill.providers import open_provider
from waremill.providers.tokens import approximate, token_counter
from waremill.runs.estimate import (
    NOTHING,
    Estimate,
    ModelFacts,
    StepEstimate,
    duration,
    estimate_step,
    hashes,
    prompts,
)
from waremill.runs.plan import Choice, count_chosen, ranked
from waremill.settings import Settings
from waremill.store import history
from waremill.store import products as store_products
from waremill.store.database import Database

SAMPLE = 200
"""Products whose prompts are rendered; the token counts of more would change the mean by < 1 %."""


async def estimate(settings: Settings, database: Database, prepared: Prepared) -> Estimate:
    """Estimate a prepared task; no model is called."""
    choice = prepared.choice
    total = await database.read(count_chosen, choice)
    sample = await database.read(_sample, choice, prepared.targets)
    sampled = len({item.product.id for item in sample})
    scale = total / sampled if sampled else 0.0
    rendered, unusable = _render(prepared, sample)
    steps: list[StepEstimate] = []
    seconds, cost, unpriced = NOTHING, NOTHING, []
    notes: list[str] = []
    if unusable:
        notes.append(
            f"{unusable} of {len(sample)} sampled items lack a required input and would fail"
        )
    for step in prepared.assembly.steps:
        if step.preview is None:
            continue
        facts = await _facts(settings, database, step)
        requests = rendered.get(step.name, [])
        known = await database.read(history.known_answers, hashes(requests, facts.identity))
        past = await database.read(
            history.past_calls, prepared.assembly.pipeline.name, step.name, step.model
        )
        one = estimate_step(step, facts, requests, len(known), scale, past)
        steps.append(one)
        seconds = seconds + duration(one, facts, past, settings.limits.concurrency)
        if one.cost is None:
            unpriced.append(facts.name)
        else:
            cost = cost + one.cost
    return Estimate(
        products=total, items=total * len(prepared.targets), calls=sum(s.calls for s in steps),
        cost=None if unpriced else cost, seconds=seconds, steps=tuple(steps),
        unpriced=tuple(dict.fromkeys(unpriced)), sample=len(sample), notes=tuple(notes),
    )  # fmt: skip


def _sample(conn: Connection, choice: Choice, targets: tuple[str, ...]) -> list[Item]:
    drawn = replace(choice, sample=SAMPLE, order_by=(), limit=None)
    if choice.limit is not None and choice.limit <= SAMPLE:
        drawn = choice
    items = []
    for row in conn.execute(ranked(conn, drawn)).all():
        product = store_products.as_product(row)
        group = store_products.group_of(conn, row.group_id) if row.group_id else None
        for target in targets:
            aim = Target.parse(target) if target else None
            items.append(Item(0, product, aim, {}, 0, group))
    return items


def _render(prepared: Prepared, sample: list[Item]) -> tuple[dict[str, list[Chat]], int]:
    found: dict[str, dict[bytes, Chat]] = {}
    unusable = 0
    for item in sample:
        try:
            for name, requests in prompts(prepared.assembly.steps, [item], prepared.params).items():
                kept = found.setdefault(name, {})
                for request in requests:
                    kept.setdefault(hashes([request], "")[0], request)
        except TemplateError:
            unusable += 1
    return {name: list(kept.values()) for name, kept in found.items()}, unusable


async def _facts(settings: Settings, database: Database, step: BoundStep) -> ModelFacts:
    model = settings.model(step.model)
    provider = open_provider(model)
    counter: Callable[[str], int] | None = token_counter(model)
    by = "the model's own tokenizer"
    if counter is None:
        per_token = await database.read(history.bytes_per_token, provider.identity)
        if per_token is not None:
            by = "bytes a token of past answers"
            counter = _by_bytes(per_token)
        else:
            by = "an approximation by script"
            counter = approximate
    slots = getattr(provider, "slots", None)
    return ModelFacts(
        step.model, provider.identity, price_of(settings, model), counter, by,
        model.concurrency or slots or settings.limits.concurrency, model.rpm, model.tpm,
    )  # fmt: skip


def _by_bytes(per_token: float) -> Callable[[str], int]:
    return lambda text: int(len(text.encode()) / per_token) + 1
