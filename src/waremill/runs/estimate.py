"""Say what a run would cost and how long it would take, without a paid call.

Prompts of a sample are rendered and counted; the rest is extrapolated. How long replies are comes
from past calls of the same step and model; without any, from the output contract.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from waremill.calls.request import canonical, configured, request_hash
from waremill.domain import ImageRequest, Item, Model, Passage, Price, Request, Usage
from waremill.pipeline import BoundStep
from waremill.store.history import Past

TYPICAL_SHARE = 0.4
"""Without past calls a reply is taken to fill this share of its bound; the range is 0.1 to 1."""
TYPICAL_THINKING = 0.25
"""Without past calls a model that thinks is taken to use this share of what it may, a guess on the
careful side; the range is 0 to 1. Past calls count thinking among the tokens of the reply.
"""
TYPICAL_SECONDS = 1.0
TYPICAL_SPEED = 60.0
"""Without past calls a call takes 1 s and 1/60 s per output token, as hosted models commonly do."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What an estimate needs to know of a model. `count` counts a text's tokens; `allowance` is
    how many tokens a reply may take for thinking, beyond its limit. `batch_price` is None where it
    has no batches, or no known price.
    """

    name: str
    identity: str
    price: Price | None
    count: Callable[[str], int]
    counted_by: str
    concurrency: int
    rpm: int | None = None
    tpm: int | None = None
    allowance: int = 0
    batch_price: Price | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """An expected value with a low and a high end."""

    low: float
    expected: float
    high: float

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.expected + other.expected, self.high + other.high)

    def __mul__(self, factor: float) -> Range:
        return Range(self.low * factor, self.expected * factor, self.high * factor)


NOTHING = Range(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class StepEstimate:
    """One step's share; money in nano-USD at list price, None where the price is unknown.

    `calls`, `input`, `output` and `cost` are of what is still to be asked; `list_cost` also counts
    what was answered before. `batch_cost` is the cost in batches, or `cost` where there are none;
    `batched` says which.
    """

    step: str
    model: str
    calls: float
    answered: float
    input: Range
    output: Range
    cost: Range | None
    list_cost: Range | None
    counted_by: str
    from_past: bool
    batch_cost: Range | None = None
    batched: bool = False


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would need. `cost` is what is still to be paid, in nano-USD at list price;
    `list_cost` also counts what was answered before, as a finished run's list cost does. Both are
    None when a model's price is unknown. `batch_cost` is what is to be paid when the run goes
    through batches; None also where no model has any. `seconds` is wall time under the limits,
    without batches.
    """

    products: int
    items: int
    calls: float
    cost: Range | None
    list_cost: Range | None
    seconds: Range
    steps: tuple[StepEstimate, ...]
    unpriced: tuple[str, ...] = ()
    sample: int = 0
    notes: tuple[str, ...] = ()
    batch_cost: Range | None = None

    @property
    def cost_per_product(self) -> float | None:
        """The expected list cost a product, in nano-USD."""
        return None if self.list_cost is None else self.list_cost.expected / max(self.products, 1)


def prompts(
    steps: Sequence[BoundStep],
    items: Sequence[Item],
    params: Mapping[str, Any],
    passages: Mapping[str, Sequence[Sequence[Passage]]] | None = None,
) -> dict[str, list[Request]]:
    """Render the sample's first requests by step; equal requests (per product) count once.

    Fields of earlier steps are not known yet, so their texts are missing from later prompts.
    `passages` are what each step's searches found, for a sample of one item.
    """
    given = passages or {}
    found: dict[str, dict[bytes, Request]] = {step.name: {} for step in steps if step.preview}
    for item in items:
        for step in steps:
            if step.preview is None:
                continue
            if step.when is not None and not step.when(item.product.attributes):
                continue
            if step.preview_with is not None and step.name in given:
                request = step.preview_with(item, params, given[step.name])
            else:
                request = step.preview(item, params)
            if request is not None:
                found[step.name].setdefault(canonical(request), request)
    return {name: list(by_body.values()) for name, by_body in found.items()}


def hashes(requests: Sequence[Request], identity: str, model: Model) -> list[bytes]:
    """Give the hashes that calling a model with these requests would look up.

    A fallback's answers are not looked for, so an estimate is too high rather than too low.
    """
    return [request_hash(identity, canonical(configured(one, model))) for one in requests]


def text_of(request: Request) -> str:
    """Give all text of a request, as a tokenizer counts it."""
    if isinstance(request, ImageRequest):
        return f"{request.prompt}\n{request.negative}"
    parts: list[str] = []
    for message in request.messages:
        content = message.content
        texts = (
            [content] if isinstance(content, str) else [c for c in content if isinstance(c, str)]
        )
        parts += texts
    parts += (f"{one.name}\n{one.description}\n{one.parameters}" for one in request.tools)
    if request.schema is not None:
        parts.append(canonical(request).decode().partition('"schema":')[2])
    return "\n".join(parts)


def estimate_step(
    step: BoundStep,
    model: ModelFacts,
    requests: Sequence[Request],
    answered: int,
    scale: float,
    past: Past | None,
) -> StepEstimate:
    """Estimate one step: `requests` of the sample, `answered` of them paid before, `scale` the
    number of items each sampled item stands for.

    `requests` are the first of each item, or all where the step foresees them.
    """
    size = len(requests)
    every = size * scale
    if step.foresee is None:  # each request is the first of an item's
        every *= past.asks if past else step.calls
    new = every * max(size - answered, 0) / max(size, 1)
    read = mean_range([model.count(text_of(request)) for request in requests])
    written = _reply(model, requests, past)
    cost = list_cost = batch_cost = None
    if model.price is not None:
        cost = _cost(model.price, read, written, new)
        list_cost = _cost(model.price, read, written, every)
        batch_cost = _cost(model.batch_price or model.price, read, written, new)
    return StepEstimate(
        step.name, model.name, new, answered * scale, read * new, written * new, cost, list_cost,
        model.counted_by, past is not None, batch_cost, model.batch_price is not None,
    )  # fmt: skip


def _reply(model: ModelFacts, requests: Sequence[Request], past: Past | None) -> Range:
    """Say how many tokens one reply takes, thinking included."""
    if past is not None:
        spread = math.sqrt(max(past.output_squared - past.output**2, 0.0))
        margin = 1.96 * spread / math.sqrt(past.calls) + 0.05 * past.output
        return Range(max(past.output - margin, 0.0), past.output, past.output + margin)
    most = sum(request.max_tokens for request in requests) / max(len(requests), 1)
    thinking = TYPICAL_THINKING * model.allowance
    return Range(0.1 * most, TYPICAL_SHARE * most + thinking, most + model.allowance)


def _cost(price: Price, read: Range, written: Range, calls: float) -> Range:
    """Give the list cost of so many calls of one length."""
    return Range(
        *(
            price.cost(Usage(int(i * calls), int(o * calls))) + price.per_call * (calls - 1)
            for i, o in zip(_ends(read), _ends(written), strict=True)
        )
    )


def duration(step: StepEstimate, model: ModelFacts, past: Past | None, concurrency: int) -> Range:
    """Say how many seconds a step's calls take under the model's limits."""
    if step.calls <= 0:
        return NOTHING
    together = max(1, min(concurrency, model.concurrency))
    ends = []
    for read, written in zip(_ends(step.input), _ends(step.output), strict=True):
        if past is not None and past.latency:  # 0: they all came in batches
            one = past.latency
        else:
            one = TYPICAL_SECONDS + written / step.calls / TYPICAL_SPEED
        seconds = step.calls * one / together
        if model.rpm:
            seconds = max(seconds, step.calls * 60 / model.rpm)
        if model.tpm:
            seconds = max(seconds, (read + written) * 60 / model.tpm)
        ends.append(max(seconds, one))
    margin = 0.8 if past is not None else 0.5
    return Range(ends[0] * margin, ends[1], ends[2] / margin)


def mean_range(values: Sequence[float]) -> Range:
    """Give the mean with a normal 95 % interval."""
    if not values:
        return NOTHING
    mean = sum(values) / len(values)
    if len(values) < 2:
        return Range(mean, mean, mean)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    margin = 1.96 * math.sqrt(variance / len(values))
    return Range(max(mean - margin, 0.0), mean, mean + margin)


def _ends(interval: Range) -> tuple[float, float, float]:
    return interval.low, interval.expected, interval.high
