"""Cards: an item as a reviewer sees it, with where each value comes from and what it replaces.

Made from what the store read and what the run was frozen with; nothing is decided or written here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

from waremill.app.assembly import Assembly
from waremill.app.working import thaw
from waremill.domain import Finding, Target, category_of, is_missing
from waremill.errors import UserError
from waremill.review.grounds import grounds
from waremill.review.highlighting import Span, spans
from waremill.review.verdicts import split_reason
from waremill.review.wording import Operation, difference
from waremill.settings import Settings
from waremill.store.database import Database
from waremill.store.reviewing import ItemView, Made, Reviewed
from waremill.store.runs import Run
from waremill.templates import Template, load_template
from waremill.templates.fields import Field

MOST_KEPT = 16
"""Runs whose pipeline is kept built."""


@dataclass(frozen=True, slots=True)
class CardField:
    """One generated field.

    `name` is the field's, or `step.field` where two steps made one of that name. `type` is string,
    number, integer, boolean, array or object; `limit` the most characters (of an entry, in a
    list); `choices` the values it may have. `previous` is the live value before: the newest
    accepted or edited one of another item, else the product's own attribute; `difference` are the
    pieces from it to the value, where both are there and differ. `spans` say where in the value the
    findings' evidence stands. `sources` are the attributes whose words or numbers the value has.
    `origin` is `model` or `human`, and `by` the person.
    """

    name: str
    type: str
    value: Any
    previous: Any
    findings: tuple[Finding, ...]
    spans: tuple[Span, ...]
    sources: tuple[str, ...]
    result_id: int | None
    limit: int | None = None
    choices: tuple[str, ...] = ()
    difference: tuple[tuple[Operation, str], ...] = ()
    origin: str = "model"
    by: str | None = None
    step: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody, or a rule, said of an item; `at` is in Unix seconds."""

    at: float
    by: str | None
    verdict: str
    reason: str | None
    note: str | None
    fields: tuple[str, ...]
    rule: str | None


@dataclass(frozen=True, slots=True)
class Card:
    """An item to be judged.

    `source` are the product's attributes as they were worked on, those the templates read first
    (`used` names them). `findings` are those about no field that is shown. `provenance` is by step:
    template, version, model and the answers' hashes. `version` is to be handed back with a verdict.
    `holder` is who else has the item in hand just now. `made_from` names, by step, the fields and
    attributes whose pictures the step worked on.
    """

    item_id: int
    run: str
    key: str
    target: str
    state: str
    version: int
    source: Mapping[str, Any]
    used: tuple[str, ...]
    fields: tuple[CardField, ...]
    findings: tuple[Finding, ...]
    provenance: Mapping[str, Mapping[str, Any]]
    history: tuple[Said, ...]
    taken_over: bool
    error: str | None = None
    holder: str | None = None
    made_from: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def field(self, name: str) -> CardField:
        """Give a field by its name; KeyError where there is none."""
        for one in self.fields:
            if one.name == name:
                return one
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a run's pipeline says about its fields: templates by step, steps in order, rules."""

    assembly: Assembly
    templates: Mapping[str, Template]
    used: tuple[str, ...]
    checks: tuple[str, ...]

    @property
    def makes_pictures(self) -> bool:
        """Whether a step makes pictures."""
        about = (step.provenance for step in self.assembly.steps)
        return any("operation" in one or "made_by_model" in one for one in about)

    def specs(self, step: str, view: ItemView) -> Mapping[str, Field]:
        """Give the contract's fields of a step for one product; none where no contract is known."""
        template = self.templates.get(step)
        if template is None:
            return {}
        values = {**view.attributes, **current_values(view)}
        try:
            return template.contract(values, target_of(view), {}).fields
        except UserError:  # the product's category has no schema any more; nothing was made then
            return template.fields

    def limit(self, name: str, spec: Field | None, view: ItemView) -> int | None:
        """Give the most characters of a field: the contract's or the channel's, the smaller one."""
        limits = []
        if spec is not None:
            limits.append(spec.item_max_chars if spec.type == "array" else spec.max_chars)
        target = target_of(view)
        if target is not None and target.channel is not None:
            channel = self.assembly.rules.channels.get(target.channel)
            rule = channel.rule(name, category_of(view.attributes)) if channel else None
            limits.append(rule.max_chars if rule is not None else None)
        return min((one for one in limits if one is not None), default=None)


_KEPT: WeakKeyDictionary[Database, dict[int, Frozen]] = WeakKeyDictionary()


async def frozen_of(settings: Settings, database: Database, run: Run) -> Frozen:
    """Build what a run was frozen with; a verdict a second must not do that each time."""
    kept = _KEPT.setdefault(database, {})
    if run.id not in kept:
        assembly = await thaw(settings, database, run, check_models=False)
        if len(kept) >= MOST_KEPT:
            del kept[next(iter(kept))]
        kept[run.id] = _freeze(assembly)
    return kept[run.id]


def _freeze(assembly: Assembly) -> Frozen:
    templates: dict[str, Template] = {}
    used: dict[str, None] = {}
    for step in assembly.steps:
        name = step.provenance.get("template", "")
        if name in assembly.templates:
            template = templates[step.name] = load_template(assembly.files, name)
            used |= dict.fromkeys(one.name for one in template.inputs)
            used |= dict.fromkeys(sorted(template.variables))
        used |= dict.fromkeys(step.provenance.get("pictures", ()))
    checks = [
        name
        for step in assembly.pipeline.steps
        if step.kind == "check"
        for name in step.settings.get("rules", ())
    ]
    return Frozen(assembly, templates, tuple(used), tuple(checks))


def target_of(view: ItemView) -> Target | None:
    """Give an item's target; None for content without one."""
    return Target.parse(view.target) if view.target else None


def current_values(view: ItemView) -> dict[str, Any]:
    """Give what an item's fields hold now, the last step's where two have one name."""
    return {name: made.values[name] for (_, name), made in view.fields().items()}


def shown_names(view: ItemView, frozen: Frozen) -> dict[tuple[str, str], str]:
    """Name an item's fields in the pipeline's order: by themselves, or with their step's name."""
    known = [(step.name, name) for step in frozen.assembly.steps for name in step.fields]
    made = view.fields()
    ordered = [place for place in known if place in made]
    ordered += [place for place in made if place not in set(known)]
    # Fields the checks found missing are shown empty, so that a person can write them.
    for step, found in view.findings().items():
        specs = frozen.specs(step, view)
        ordered += [
            (step, one.field)
            for one in found
            if one.field in specs and (step, one.field) not in ordered
        ]
    ordered = list(dict.fromkeys(ordered))
    often = Counter(name for _, name in ordered)
    return {(step, name): f"{step}.{name}" if often[name] > 1 else name for step, name in ordered}


def make_card(
    run: Run,
    view: ItemView,
    frozen: Frozen,
    live: Mapping[tuple[int, str, str], Any],
    holder: str | None = None,
) -> Card:
    """Make the card of an item; `live` are other items' published values."""
    names = shown_names(view, frozen)
    made = view.fields()
    found = view.findings()
    source = {name: value for name, value in view.attributes.items() if not is_missing(value)}
    used = tuple(name for name in frozen.used if name in source)
    fields = []
    for (step, name), label in names.items():
        objections = tuple(one for some in found.values() for one in some if one.field == name)
        spec = frozen.specs(step, view).get(name)
        one = made.get((step, name))
        fields.append(_field(label, (step, name), one, spec, objections, source))
        previous = view.attributes.get(name)
        if one is not None:
            previous = live.get((one.product_id, one.target, name), previous)
        fields[-1] = _compared(fields[-1], previous, frozen.limit(name, spec, view))
    shown = {name for _, name in names}
    rest = [one for some in found.values() for one in some if one.field not in shown]
    first = {name: source[name] for name in used}
    return Card(
        view.id, run.name, view.key, view.target, view.state, view.version,
        {**first, **source}, used, tuple(fields), tuple(rest),
        {one.step: one.provenance for one in view.made if one.provenance}, history_of(view),
        view.linked, None if view.error is None else str(view.error.get("message", "")), holder,
        {one.step: tuple(one.provenance["pictures"]) for one in view.made
         if "pictures" in one.provenance},
    )  # fmt: skip


def _field(
    label: str,
    place: tuple[str, str],
    made: Made | None,
    spec: Field | None,
    objections: tuple[Finding, ...],
    source: Mapping[str, Any],
) -> CardField:
    step, name = place
    value = made.values.get(name) if made is not None else None
    return CardField(
        label, spec.type if spec is not None else type_of(value), value, None, objections,
        spans(value, objections), grounds(value, source), made.id if made is not None else None,
        choices=spec.values if spec is not None else (),
        origin=made.origin if made is not None else "model",
        by=made.provenance.get("by") if made is not None else None,
        step=step, target=made.target if made is not None else "",
    )  # fmt: skip


def _compared(field: CardField, previous: Any, limit: int | None) -> CardField:
    pieces: tuple[tuple[Operation, str], ...] = ()
    if not is_missing(previous) and previous != field.value:
        pieces = tuple(difference(previous, field.value))
    return replace(field, previous=previous, limit=limit, difference=pieces)


def type_of(value: Any) -> str:
    """Name a value's type as an output contract does."""
    for kind, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (list, "array"),
                       (dict, "object")):  # fmt: skip
        if isinstance(value, kind):
            return name
    return "string"


def history_of(view: ItemView) -> tuple[Said, ...]:
    """Give what was said of an item, the newest first; the rows of one verdict as one."""
    said: list[tuple[Reviewed, list[str]]] = []
    for row in view.reviews:
        if said and _same(said[-1][0], row):
            said[-1][1].extend([row.field] if row.field else [])
        else:
            said.append((row, [row.field] if row.field else []))
    found = []
    for row, fields in reversed(said):
        reason, note = (None, None) if row.verdict == "undo" else split_reason(row.reason)
        found.append(
            Said(row.created_at, row.by, row.verdict, reason, note, tuple(fields), row.rule)
        )
    return tuple(found)


def _same(one: Reviewed, other: Reviewed) -> bool:
    return (one.by, one.created_at, one.verdict, one.rule) == (
        other.by, other.created_at, other.verdict, other.rule
    )  # fmt: skip
