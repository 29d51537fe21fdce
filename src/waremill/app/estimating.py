"""The use case *estimate*: render a sample, count tokens, look at what is answered already."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from waremill.app.assembly import concurrency_of, idle_provider, price_of
from waremill.app.informing import foreseen_for, found_for_all
from waremill.app.options import Prepared
from waremill.calls.request import canonical
from waremill.domain import Item, Passage, Request, Target
from waremill.errors import TemplateError
from waremill.pipeline import BoundStep, Outlook
from waremill.providers import reasoning_allowance
from waremill.providers.batches import batch_price, terms_of
from waremill.providers.tokens import approximate, token_counter
from waremill.runs.estimate import (
    NOTHING,
    Estimate,
    ModelFacts,
    Range,
    StepEstimate,
    duration,
    estimate_step,
    hashes,
    prompts,
)
from waremill.runs.plan import Choice, count_chosen, ranked
from waremill.runs.searching import Searcher
from waremill.settings import Settings
from waremill.store import history
from waremill.store import products as store_products
from waremill.store.database import Database

SAMPLE = 200
"""Products whose prompts are rendered; the token counts of more would change the mean by < 1 %."""
FORESEEN = 50
"""Of these, about how many items all requests are rendered of, where a step sends several: an item
is many requests then, each with searches, and fewer items tell as much."""
NOTHING_FREE = Outlook()


async def estimate(
    settings: Settings,
    database: Database,
    prepared: Prepared,
    *,
    exact: bool = True,
    outlook: Outlook = NOTHING_FREE,
) -> Estimate:
    """Estimate a prepared task; no model is called.

    Without `exact` no tokenizer is loaded, which costs up to 150 MB: for the forecast of a run that
    is about to start in this process. `outlook` searches the shop's knowledge for the sample, so
    that passages count; without it they do not, and a note says so.
    """
    choice = prepared.choice
    total = await database.read(count_chosen, choice)
    sample = await database.read(_sample, choice, prepared.targets)
    sampled = len({item.product.id for item in sample})
    scale = total / sampled if sampled else 0.0
    rendered, unusable = await _render(prepared, sample, outlook.search)
    steps: list[StepEstimate] = []
    notes = _notes(prepared, len(sample), unusable, outlook)
    made, unknown = await _pictures(settings, database, prepared, total)
    seconds = made
    if unknown:
        notes.append(f"how long {', '.join(unknown)} takes is not known before a trial")
    for step in prepared.assembly.steps:
        if step.preview is None:
            continue
        facts = await facts_of(settings, database, step, exact)
        requests, stands_for = rendered.get(step.name, []), scale
        if step.foresee is not None:
            some = _some(sample, len(prepared.targets))
            requests = await _foreseen(step, some, prepared.params, outlook)
            stands_for = scale * len(sample) / max(len(some), 1)
        known: set[bytes] = set()
        if not prepared.fresh:
            wanted = hashes(requests, facts.identity, settings.model(step.model))
            known = await database.read(history.known_answers, wanted)
        past = await database.read(
            history.past_calls, prepared.assembly.pipeline.name, step.name, step.model
        )
        one = estimate_step(step, facts, requests, len(known), stands_for, past)
        steps.append(one)
        seconds = seconds + duration(one, facts, past, settings.limits.concurrency)
    return Estimate(
        products=total, items=total * len(prepared.targets), calls=sum(s.calls for s in steps),
        cost=_together([one.cost for one in steps]),
        list_cost=_together([one.list_cost for one in steps]), seconds=seconds, steps=tuple(steps),
        unpriced=tuple(dict.fromkeys(one.model for one in steps if one.cost is None)),
        sample=len(sample), notes=tuple(notes),
        batch_cost=_in_batches(steps),
    )  # fmt: skip


def _notes(prepared: Prepared, sampled: int, unusable: int, outlook: Outlook) -> list[str]:
    found: list[str] = []
    if unusable:
        found.append(f"{unusable} of {sampled} sampled items lack a required input and would fail")
    searches = any(step.searches is not None for step in prepared.assembly.steps)
    if outlook.search is None and searches:
        found.append("passages of the shop's knowledge are not counted: a search would cost money")
    return found


def _in_batches(steps: Sequence[StepEstimate]) -> Range | None:
    """Give what steps cost in batches; None where a price is unknown, or no model has any."""
    if not any(one.batched for one in steps):
        return None
    return _together([one.batch_cost for one in steps])


def _together(costs: Sequence[Range | None]) -> Range | None:
    """Add costs up; None where one is unknown."""
    known = [one for one in costs if one is not None]
    return sum(known, NOTHING) if len(known) == len(costs) else None


def _some(sample: Sequence[Item], targets: int) -> list[Item]:
    """Take every so manieth product of a sample, with all its targets."""
    every = max(1, -(-len(sample) // FORESEEN))
    return [item for place, item in enumerate(sample) if place // targets % every == 0]


async def _foreseen(
    step: BoundStep, sample: Sequence[Item], params: Mapping[str, Any], outlook: Outlook
) -> list[Request]:
    """Give all requests of a sample, equal ones once."""
    found: dict[bytes, Request] = {}
    for asked in await foreseen_for(step, sample, params, outlook):
        for one in asked:
            found.setdefault(canonical(one.request), one.request)
    return list(found.values())


async def _pictures(
    settings: Settings, database: Database, prepared: Prepared, total: int
) -> tuple[Range, list[str]]:
    """Say how long operations on pictures take, as they did lately; and which ones never ran.

    What was made before is not known without reading pictures, so all counts as new.
    """
    past = await database.read(history.derivation_seconds)
    seconds, unknown = NOTHING, []
    for step in prepared.assembly.steps:
        operation = step.provenance.get("operation")
        if operation is None:
            continue
        if operation not in past:
            unknown.append(step.name)
            continue
        count = total * (len(prepared.targets) if step.per == "target" else 1)
        mean = past[operation] * count / settings.pictures.threads
        seconds = seconds + Range(mean * 0.5, mean, mean * 2)
    return seconds, unknown


def _sample(conn: Connection, choice: Choice, targets: tuple[str, ...]) -> list[Item]:
    items = []
    for row in conn.execute(ranked(conn, replace(choice, sample=SAMPLE))).all():
        product = store_products.as_product(row)
        group = store_products.group_of(conn, row.group_id) if row.group_id else None
        for target in targets:
            aim = Target.parse(target) if target else None
            items.append(Item(0, product, aim, {}, 0, group))
    return items


async def _render(
    prepared: Prepared, sample: list[Item], search: Searcher | None
) -> tuple[dict[str, list[Request]], int]:
    steps, params = prepared.assembly.steps, prepared.params
    passages: list[dict[str, list[tuple[Passage, ...]]]] = [{} for _ in sample]
    if search is not None:
        passages = await found_for_all(steps, sample, params, search)
    found: dict[str, dict[bytes, Request]] = {}
    unusable = 0
    for item, given in zip(sample, passages, strict=True):
        try:
            for name, requests in prompts(steps, [item], params, given).items():
                kept = found.setdefault(name, {})
                for request in requests:
                    kept.setdefault(canonical(request), request)
        except TemplateError:
            unusable += 1
    return {name: list(kept.values()) for name, kept in found.items()}, unusable


async def facts_of(
    settings: Settings, database: Database, step: BoundStep, exact: bool
) -> ModelFacts:
    """Give what an estimate needs to know of a step's model; `exact` may load a tokenizer."""
    model = settings.model(step.model)
    provider = idle_provider(model)
    counter: Callable[[str], int] | None = token_counter(model) if exact else None
    by = "the model's own tokenizer"
    if counter is None:
        per_token = await database.read(history.bytes_per_token, provider.identity)
        if per_token is not None:
            by = "bytes a token of past answers"
            counter = _by_bytes(per_token)
        else:
            by = "an approximation by script"
            counter = approximate
    price = price_of(settings, model)
    return ModelFacts(
        step.model, provider.identity, price, counter, by,
        concurrency_of(settings, model, provider), model.rpm, model.tpm,
        reasoning_allowance(model),
        batch_price(model, price) if price is not None and terms_of(model) is not None else None,
    )  # fmt: skip


def _by_bytes(per_token: float) -> Callable[[str], int]:
    return lambda text: int(len(text.encode()) / per_token) + 1
