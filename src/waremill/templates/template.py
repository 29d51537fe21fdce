"""The nouns of this room: a template, its parts, and the prompt it renders to.

A template is compiled from text once and renders many products. What does not depend on the product
is rendered once per (target, parameters, contract) and kept. It does not call models, read files,
or decide what happens to a bad reply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from waremill.domain import Finding, Message, Passage, Search, Target, is_missing
from waremill.errors import TemplateError
from waremill.rules.channel import FieldRule
from waremill.rules.schema import Schema, schema_for
from waremill.templates.contract import (
    Contract,
    Reasoning,
    build_contract,
    json_schema,
    tokens_per_char,
)
from waremill.templates.document import did_you_mean
from waremill.templates.examples import Examples
from waremill.templates.expressions import Condition, Text
from waremill.templates.fields import Field
from waremill.templates.retrieval import Retrieval
from waremill.templates.values import write_value

_EMPTY: Mapping[str, Any] = {}
_MOST_KEPT = 2_000
"""Contracts and prefixes kept per template; beyond it they are rendered anew."""


@dataclass(frozen=True, slots=True)
class Input:
    """One attribute that goes into the prompt: its name, what it is called there (`label`), whether
    a product without it fails, after how many characters it is cut, and whether entries that are
    terms of the glossary are shown in the target's language (`translate`). A `picture` is not
    written into the prompt but shown to the model beside it.
    """

    name: str
    label: str
    required: bool = False
    max_chars: int | None = None
    translate: bool = False
    picture: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of instruction or one requirement: its text, and when it applies (None: always).
    `file` and `line` say where it was written.
    """

    text: Text
    when: Condition | None
    file: str
    line: int

    @property
    def names(self) -> frozenset[str]:
        """Every name the text or its condition reads."""
        return self.text.names.free | (self.when.names.free if self.when else frozenset())


@dataclass(frozen=True, slots=True)
class PictureOutput:
    """`output: {scene: {type: picture, …}}`: what is made is a picture, of this size in pixels.

    `negative` says what must not be in it; `steps` and `guidance` are for models that have them.
    """

    name: str
    width: int = 1024
    height: int = 1024
    negative: str = ""
    steps: int | None = None
    guidance: float | None = None


@dataclass(frozen=True, slots=True)
class SchemaOutput:
    """`output: {from: schema}`: the fields are the attributes of the product's category.

    `category` fixes the category; `attribute` names the product's own. `only` and `without` choose
    among the attributes. Picture slots are never among them: a text model makes no picture.
    """

    schemas: Mapping[str, Schema]
    category: str | None = None
    attribute: str = "category"
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    write: Literal["fill", "replace"] = "replace"

    def fields(self, category: str | None) -> tuple[Field, ...]:
        """Give the fields of a category; raise TemplateError where no schema knows it."""
        schema = schema_for(self.schemas, category)
        if schema is None:
            if not category:
                raise TemplateError(
                    f"the product has no `{self.attribute}`, which chooses its schema"
                )
            near = did_you_mean(category, tuple(self.schemas))
            raise TemplateError(f"no file in schemas/ describes the category “{category}”{near}")
        return tuple(
            field_from(attribute, self.write)
            for attribute in schema.attributes
            if attribute.type != "image"
            and attribute.name not in self.without
            and (not self.only or attribute.name in self.only)
        )


def field_from(attribute: Any, write: Literal["fill", "replace"]) -> Field:
    """Make an output field of a schema's attribute."""
    one = Field(
        name=attribute.name,
        type=attribute.type,
        description=attribute.description,
        max_chars=attribute.max_chars,
        values=tuple(value.code for value in attribute.values),
        choices=attribute.values,
        write=write,
        unit=attribute.unit,
        required=attribute.required,
        labels=attribute.labels,
    )
    if not attribute.many:
        return one
    entry = Field(
        name=one.name, type=one.type, max_chars=one.max_chars, values=one.values,
        choices=one.choices, unit=one.unit,
    )  # fmt: skip
    return Field(
        name=one.name, type="array", description=one.description, item_max_chars=one.max_chars,
        values=one.values, write=write, required=one.required, items=entry, labels=one.labels,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one product's request is made of. `skipped`: nothing is left to fill, so nothing is to
    be asked, and there are no messages.
    """

    messages: tuple[Message, ...]
    contract: Contract
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Extras:
    """What a prompt may hold besides the product.

    `key`: the product's key, so that its own example is not chosen. `context`: passages, best
    first. `examples`: chosen ones as JSON objects (None: the template chooses). `glossary`: terms
    as (source, translation), None meaning that the term stays as it is. `channel`: limits by output
    field. For asking again: `feedback` (what was wrong), `previous` (the reply, verbatim) and
    `attempt` (1 for the first correction), so that every correction is a new request.
    """

    key: str | None = None
    context: Sequence[str | Passage] = ()
    examples: Sequence[Mapping[str, Any]] | None = None
    glossary: Sequence[tuple[str, str | None]] = ()
    channel: Mapping[str, FieldRule] = field(default_factory=dict)
    feedback: Sequence[Finding] = ()
    previous: str | None = None
    attempt: int = 1


NO_EXTRAS = Extras()


@dataclass(frozen=True, slots=True)
class Prefix:
    """The fixed part of a prompt, rendered: the system message, and the parts left for each
    product (an instruction or requirements that read its values).
    """

    system: Message
    instructions: tuple[Part, ...]
    requirements: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A contract, and the fixed parts rendered for it so far."""

    contract: Contract
    prefixes: dict[Any, Prefix] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a template has rendered and compiled so far, by what it depends on."""

    plans: dict[Any, Plan] = field(default_factory=dict)
    schemas: dict[Any, tuple[tuple[Field, ...], Mapping[str, Any]]] = field(default_factory=dict)
    categories: dict[str | None, tuple[Field, ...]] = field(default_factory=dict)
    examples: dict[Any, str] = field(default_factory=dict)


def keep(store: dict[Any, Any], key: Any, value: Any) -> None:
    """Keep a value; start over when a store has grown too large."""
    if len(store) >= _MOST_KEPT:
        store.clear()
    store[key] = value


@dataclass(frozen=True)
class Template:
    """A compiled template.

    `version` is the first 16 hex digits of the SHA-256 over every file it is made of. `fields` are
    the output fields by name; with `output: {from: schema}` those of every category, and the
    contract of a prompt says which one product has. `variables` are the product attributes it
    reads anywhere (its inputs included); parameters read by their bare name are among them, since
    only the pipeline knows which those are. `uses_target`: it cannot be rendered without a target.
    `from_reviews`: its examples are results that were accepted.
    """

    name: str
    version: str
    description: str
    inputs: tuple[Input, ...]
    fields: Mapping[str, Field]
    checks: tuple[str, ...]
    reasoning: Reasoning
    file: str
    variables: frozenset[str]
    parameters: frozenset[str]
    uses_target: bool
    instructions: tuple[Part, ...] = ()
    requirements: tuple[Part, ...] = ()
    retrieval: Retrieval | None = None
    few_shot: Examples | None = None
    schema_output: SchemaOutput | None = None
    own_fields: tuple[Field, ...] = ()
    picture: PictureOutput | None = None
    from_reviews: bool = False
    _kept: Kept = field(default_factory=Kept, repr=False, compare=False)

    @property
    def context(self) -> dict[str, Any] | None:
        """The context section as data (`knowledge`, `query`, `top`), or None."""
        if self.retrieval is None:
            return None
        one = self.retrieval
        return {"knowledge": list(one.knowledge), "query": one.query.source, "top": one.top}

    @property
    def examples(self) -> dict[str, Any] | None:
        """The examples section as data (`from`, `top`, `by`, `count`), or None."""
        if self.few_shot is None:
            return None
        one = self.few_shot
        return {"from": one.source, "top": one.top, "by": one.by, "count": len(one.all)}

    @property
    def pictures(self) -> tuple[str, ...]:
        """The inputs that are pictures, shown to the model beside the prompt."""
        return tuple(one.name for one in self.inputs if one.picture)

    @cached_property
    def fills(self) -> bool:
        """Whether any field is written only where a product lacks it."""
        return any(one.write == "fill" for one in self.fields.values())

    def query(
        self,
        values: Mapping[str, Any],
        target: Target | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> str:
        """Render the context section's query for one product; "" where there is none."""
        from waremill.templates.layout import render_query

        return render_query(self, values, target, params or _EMPTY)

    def searches(
        self,
        values: Mapping[str, Any],
        target: Target | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> tuple[Search, ...]:
        """Render the context section to searches for one product, one a knowledge base."""
        from waremill.templates.layout import render_searches

        return render_searches(self, values, target, params or _EMPTY)

    def choose_examples(
        self, values: Mapping[str, Any], target: Target | None = None, key: str | None = None
    ) -> tuple[dict[str, Any], ...]:
        """Choose the few-shot examples for one product, as JSON objects to record and hand back."""
        if self.few_shot is None:
            return ()
        return tuple(one.as_json() for one in self.few_shot.choose(values, target, key))

    def contract(
        self,
        values: Mapping[str, Any],
        target: Target | None = None,
        present: Mapping[str, Any] | None = None,
    ) -> Contract:
        """Give the contract for one product: without the `fill` fields it already has."""
        return self.plan(values, target, present).contract

    def plan(
        self,
        values: Mapping[str, Any],
        target: Target | None,
        present: Mapping[str, Any] | None,
    ) -> Plan:
        """Give one product's contract with what has been rendered for it (used by rendering)."""
        kept = self._kept
        category: str | None = None
        fields = self.own_fields
        if self.schema_output is not None:
            category = self._category(values)
            found = kept.categories.get(category)
            if found is None:
                found = (*self.schema_output.fields(category), *self.own_fields)
                keep(kept.categories, category, found)
            fields = found
        omitted: tuple[str, ...] = ()
        if present and self.fills:
            omitted = tuple(
                one.name
                for one in fields
                if one.write == "fill" and not is_missing(present.get(one.name))
            )
        language = target.language if target is not None and self.uses_target else None
        key = (category, omitted, language)
        plan = kept.plans.get(key)
        if plan is None:
            plan = Plan(self._build_contract(fields, category, omitted, language))
            keep(kept.plans, key, plan)
        return plan

    def _category(self, values: Mapping[str, Any]) -> str | None:
        assert self.schema_output is not None
        if self.schema_output.category is not None:
            return self.schema_output.category
        return write_value(values.get(self.schema_output.attribute)) or None

    def _build_contract(
        self,
        fields: tuple[Field, ...],
        category: str | None,
        omitted: tuple[str, ...],
        language: str | None,
    ) -> Contract:
        known = self._kept.schemas.get((category, omitted))
        if known is None:
            asked = tuple(one for one in fields if one.name not in omitted)
            known = (asked, json_schema(asked, self.reasoning))
            keep(self._kept.schemas, (category, omitted), known)
        asked, schema = known
        return build_contract(asked, self.reasoning, schema, tokens_per_char(language))

    def render(
        self,
        values: Mapping[str, Any],
        target: Target | None = None,
        params: Mapping[str, Any] | None = None,
        *,
        present: Mapping[str, Any] | None = None,
        extras: Extras = NO_EXTRAS,
    ) -> Prompt:
        """Render the prompt for one product.

        `values` are the product's attributes and earlier steps' fields; `present` the output fields
        that already have a value (`write: fill` leaves them out). Raises TemplateError where a
        required input is missing, or a target is needed and not given.
        """
        from waremill.templates.layout import render_prompt

        return render_prompt(self, values, target, params or _EMPTY, present, extras)

    def picture_prompt(
        self,
        values: Mapping[str, Any],
        target: Target | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> str:
        """Render the text a model makes a picture from: what is asked, required, and the inputs.

        Raises TemplateError where a required input is missing, or a target is needed and not given.
        """
        from waremill.templates.layout import render_picture_prompt

        return render_picture_prompt(self, values, target, params or _EMPTY)
