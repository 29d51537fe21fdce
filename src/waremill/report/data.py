"""What a report is made of: frozen data, everything optional that an unfinished run lacks.

Units, everywhere in this room: money is in nano-USD (10⁻⁹ US dollars; a float inside an `Interval`)
and None where a price is unknown; durations are in seconds; rates are 0–1; counts are plain.
Amounts are shown in `ReportData.currency`, converted with `per_usd`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from waremill.domain import AnyMessage, Finding, Severity, Usage

Kind = Literal["run", "trial"]
State = Literal["planning", "planned", "running", "paused", "finished", "failed", "cancelled"]
Unit = Literal["money", "seconds", "rate", "count", "per second", "tokens"]
STATUSES = (
    "accepted", "edited", "ready", "review", "rejected", "failed", "waiting", "pending",
)  # fmt: skip
"""An item's states, in the order they are drawn."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % interval, in the unit of the field that holds it."""

    value: float
    """The estimate itself."""
    low: float | None = None
    """Lower end of the 95 % interval; None where none was computed."""
    high: float | None = None
    """Upper end of the 95 % interval."""
    count: int | None = None
    """How many observations it rests on."""


@dataclass(frozen=True, slots=True)
class FieldAccuracy:
    """How one generated field compares with gold (or with people's marks)."""

    field: str
    """The output field's name."""
    correct: Interval | None
    """Rate of correct values among those with gold, with its Wilson interval."""
    measure: str = "exact"
    """How values were compared: `exact`, `normalised`, `numeric`, `token F1`, `marked`."""
    invented: Interval | None = None
    """Rate of values written where gold says there is none, with its Wilson interval."""
    missing: Interval | None = None
    """Rate of values left out where gold has one."""


@dataclass(frozen=True, slots=True)
class CheckRate:
    """How often the results passed one rule."""

    rule: str
    """The check's name."""
    passed: int
    """Results without a finding of this rule."""
    total: int
    """Results the rule looked at."""


@dataclass(frozen=True, slots=True)
class LatencyBucket:
    """One bar of the latency histogram."""

    upto: float
    """Upper bound in seconds; the lower bound is the bucket before, or 0."""
    count: int
    """Calls that took this long."""


@dataclass(frozen=True, slots=True)
class Latency:
    """How long calls took, from sending to the last byte, in seconds; replayed answers left out."""

    p50: float
    """Half of the calls were at least this fast."""
    p90: float
    """Nine of ten were."""
    p99: float
    """Ninety-nine of a hundred were."""
    longest: float
    """The slowest call."""
    count: int
    """Calls measured."""
    buckets: tuple[LatencyBucket, ...] = ()
    """The histogram, by rising bound; empty for none."""


@dataclass(frozen=True, slots=True)
class TargetLine:
    """One target's share of the run."""

    target: str
    """The target as written, such as `de-DE@amazon`."""
    status: Mapping[str, int]
    """Items by state, as in `ReportData.status`."""
    paid: int | None = None
    """Paid for this target, nano-USD."""
    list_cost: int | None = None
    """List cost of this target's answers, nano-USD."""
    checks_passed: float | None = None
    """Rate of results without an error finding."""
    accuracy: Interval | None = None
    """Rate of correct values over all fields with gold."""
    latency: float | None = None
    """Median seconds a call."""


@dataclass(frozen=True, slots=True)
class ModelLine:
    """One model's share of the ledger."""

    model: str
    """Alias and name, such as `writer (openai:gpt-4.1-mini)`."""
    calls: int
    """Attempts sent."""
    outcomes: Mapping[str, int]
    """Attempts by outcome: `complete`, `truncated`, `refused`, `rate limited`, `unavailable` …"""
    usage: Usage = field(default_factory=Usage)
    """Tokens as the vendor counted them."""
    paid: int | None = None
    """Paid, nano-USD."""
    list_cost: int | None = None
    """List cost, replayed answers included, nano-USD."""
    replayed: int = 0
    """Answers that came from the journal and cost nothing."""
    latency: float | None = None
    """Median seconds a call."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed item, as an example of its group."""

    key: str
    """The product's key."""
    message: str
    """What was said, one sentence."""
    target: str | None = None
    """The item's target."""


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failed items of one cause."""

    cause: str
    """What they have in common, such as `Rejected: context length exceeded`."""
    count: int
    """Items that failed so."""
    advice: str = ""
    """What to do about it, one sentence."""
    examples: tuple[Failure, ...] = ()
    """A few of them."""


@dataclass(frozen=True, slots=True)
class FindingExample:
    """One finding with the item it was made on."""

    key: str
    """The product's key."""
    finding: Finding
    """What the check said."""
    target: str | None = None
    """The item's target."""


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """Findings of one rule that are still there after asking again."""

    rule: str
    """The check's name."""
    severity: Severity
    """`error` sends an item to review; `warning` is a hint."""
    count: int
    """Findings."""
    items: int
    """Items with at least one."""
    examples: tuple[FindingExample, ...] = ()
    """A few of them."""


@dataclass(frozen=True, slots=True)
class ForecastLine:
    """One quantity that was forecast, and what it came to."""

    name: str
    """Which: `cost`, `cost a product`, `duration`, `tokens in`, `accuracy`; shown as it is."""
    unit: Unit
    """How to show it."""
    forecast: Interval
    """Forecast with its 95 % interval, from the trial or the estimate."""
    final: float | None = None
    """What it is now; None in a trial, or where not yet known."""


@dataclass(frozen=True, slots=True)
class PairedLine:
    """One quantity compared over the same items made by two versions."""

    name: str
    """Which quantity: a field's accuracy, checks passed, cost a product …"""
    unit: Unit
    """How to show it."""
    first: float
    """Value of the first version."""
    second: float
    """Value of the second."""
    difference: Interval
    """Second minus first over the pairs, with its 95 % interval."""
    better: Literal["higher", "lower"] = "higher"
    """Which way is good."""
    wins: int | None = None
    """Pairs the second version wins."""
    losses: int | None = None
    """Pairs it loses; the rest are ties."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two template versions or models over the same sample."""

    first: str
    """The first version's label, such as `selling-points 3fa2c1`."""
    second: str
    """The second version's label."""
    pairs: int
    """Items that both have made."""
    lines: tuple[PairedLine, ...]
    """The quantities compared."""


@dataclass(frozen=True, slots=True)
class SampleField:
    """One generated value of a sample, and where it came from."""

    name: str
    """The output field's name."""
    value: Any
    """Text, number, boolean, list or mapping; None where nothing was written."""
    template: str = ""
    """The template (or step) that made it."""
    version: str = ""
    """That template's version, a content hash; its first characters are shown."""
    model: str = ""
    """The model that answered."""
    replayed: bool = False
    """Whether the answer came from the journal."""
    gold: Any = None
    """The right value, where gold gives one."""
    correct: bool | None = None
    """Whether the value matches gold; None where there is none."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One item shown side by side with its source."""

    key: str
    """The product's key."""
    status: str
    """The item's state, one of `STATUSES`."""
    source: Mapping[str, Any]
    """The product's attributes, in the source's order."""
    fields: tuple[SampleField, ...] = ()
    """What was generated."""
    findings: tuple[Finding, ...] = ()
    """What the checks found; marked in the field they name, where the evidence stands."""
    target: str | None = None
    """The item's target."""
    prompt: tuple[AnyMessage, ...] = ()
    """The messages sent, the last call's where there were several."""
    cost: int | None = None
    """List cost, nano-USD."""
    seconds: float | None = None
    """Time from its first call to its last answer."""
    error: str = ""
    """Why it failed, one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """All that a report shows. Required: what every run has from its first moment."""

    kind: Kind
    """A run, or a trial (a run over a sample)."""
    run: str
    """The run's id."""
    pipeline: str
    """The pipeline's (or single template's) name."""
    state: State
    """What the run is doing."""
    products: int
    """Products selected."""
    items: int
    """Items planned: products (or groups) times targets."""
    currency: str = "USD"
    """ISO 4217 code amounts are shown in."""
    per_usd: float = 1.0
    """Units of `currency` for one US dollar."""

    version: str = ""
    """The pipeline's version, a content hash."""
    reason: str = ""
    """Why a paused or failed run stopped, one sentence."""
    created: datetime | None = None
    """When the run was created, with its time zone."""
    ended: datetime | None = None
    """When it ended; None while it goes on."""
    written: datetime | None = None
    """When this report was made; not shown where None, so equal data give equal bytes."""
    catalog: str = ""
    """The catalogue's name."""
    selection: str = ""
    """The selection as the user wrote it; empty for everything."""
    targets: tuple[str, ...] = ()
    """The targets as written; empty where the pipeline has none."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The run's parameters (`--set`)."""
    sample_note: str = ""
    """How a trial's sample was drawn, such as `20 of 624 products, seed 7`."""

    status: Mapping[str, int] = field(default_factory=dict)
    """Items by state, names from `STATUSES`; absent means 0."""
    paid: int | None = None
    """Money paid by this run, nano-USD."""
    list_cost: int | None = None
    """What its answers cost at list price, replayed ones included, nano-USD."""
    unpriced_calls: int = 0
    """Calls whose price is unknown; the sums leave them out."""
    cost_per_product: Interval | None = None
    """List cost a product, nano-USD, over products done."""
    seconds: float | None = None
    """Time spent working, pauses left out."""
    items_per_second: float | None = None
    """Items done a second while working."""
    usage: Usage | None = None
    """Tokens of all calls."""
    calls: int = 0
    """Attempts sent."""
    replayed: int = 0
    """Answers that came from the journal."""

    accuracy: tuple[FieldAccuracy, ...] = ()
    """Accuracy by field, where there was gold."""
    checks: tuple[CheckRate, ...] = ()
    """Rate of checks passed, by rule."""
    latency: Latency | None = None
    """How long calls took."""
    by_target: tuple[TargetLine, ...] = ()
    """A line a target; shown when there are several."""
    by_model: tuple[ModelLine, ...] = ()
    """A line a model."""
    failures: tuple[FailureGroup, ...] = ()
    """Failed items by cause, most frequent first."""
    findings: tuple[FindingGroup, ...] = ()
    """Findings by rule, most frequent first."""
    forecast: tuple[ForecastLine, ...] = ()
    """In a trial: what the full run will take. In a run: that, and what it came to."""
    comparison: Comparison | None = None
    """Two versions compared in pairs."""
    samples: tuple[Sample, ...] = ()
    """Items shown side by side; about 20 for a trial, up to 200."""
    notes: tuple[str, ...] = ()
    """Anything else a reader must know, a sentence each."""
