"""A pipeline: ordered steps with parameters, as data; and the context its steps work in.

This room loads and describes; it runs nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

import yaml

from waremill.domain import (
    Answer,
    Finding,
    Item,
    Passage,
    Request,
    Search,
    Signature,
    Step,
    Target,
)
from waremill.errors import ConfigError, NotFound
from waremill.rules.document import Section, paths, read_yaml, suggestion

T = TypeVar("T")
Per = Literal["target", "product", "group"]
PER: tuple[Per, ...] = ("target", "product", "group")


@dataclass(frozen=True, slots=True)
class StepSettings:
    """One step as it was written: `kind` names the built-in step, `settings` are its own words.

    `per` says what it is made for: each target, once a product, or once a group. `when` is an
    expression over the product's attributes and earlier fields; a step whose `when` is false is
    left out for that item.
    """

    kind: str
    name: str
    settings: Mapping[str, Any]
    per: Per = "target"
    when: str | None = None
    model: str | None = None
    file: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Steps in order, with default targets and parameters; `accept` is the review rule."""

    name: str
    steps: tuple[StepSettings, ...]
    targets: tuple[Target, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    accept: str | None = None
    description: str = ""

    @property
    def uses_groups(self) -> bool:
        """Whether a step is made once a group."""
        return any(step.per == "group" for step in self.steps)


class Call(Protocol):
    """Asks a model on behalf of an item; raises what `calls/` raises."""

    async def __call__(self, item: Item, request: Request, model: str | None = None) -> Answer:
        """Give the committed answer to a request."""


@dataclass(frozen=True, slots=True)
class Derivation:
    """Something made by us alone from stored files, and so the same whoever makes it.

    `what` names the operation and `version` its state; `options` are its settings as JSON;
    `inputs` the references it is made from, in order. Equal derivations are made once for good.
    """

    what: str
    version: int
    options: Mapping[str, Any]
    inputs: tuple[str, ...]


class Files(Protocol):
    """Stored files, named by their content, and what is made of them without a model's call."""

    async def read(self, reference: str) -> bytes:
        """Read the content of a reference; raises NotFound."""

    async def keep(self, content: bytes, media_type: str) -> str:
        """Store content and give its reference."""

    async def bring(self, source: str) -> str:
        """Store a picture that a product names by path or address; raises SourceError.

        What lies there may change, so a step brings through `Context.record`.
        """

    async def derive(self, derivation: Derivation, make: Callable[[], Awaitable[Any]]) -> Any:
        """Give what was made of a derivation, a JSON value; `make` is asked once for good."""

    async def compute(self, function: Callable[..., T], *args: Any) -> T:
        """Run a function that takes long on one of a few threads."""


Retrieve = Callable[[Item, Search], Awaitable[tuple[Passage, ...]]]
Embed = Callable[[Sequence[str]], Awaitable[Any]]
"""Gives texts their vectors: a float32 array of shape (texts, dimensions), rows of unit length."""


async def no_knowledge(_item: Item, search: Search) -> tuple[Passage, ...]:
    """Raise ConfigError: nobody handed in a way to search."""
    raise ConfigError(f"the knowledge base “{search.knowledge}” cannot be searched here")


Use = Callable[[Item, str, Mapping[str, Any]], Awaitable[Any]]
"""Calls a tool by its name, with arguments that fit it, on behalf of an item."""


async def no_tools(_item: Item, name: str, _arguments: Mapping[str, Any]) -> Any:
    """Raise ConfigError: nobody handed in a way to call tools."""
    raise ConfigError(f"the tool “{name}” cannot be called here")


def unnoted(_item: Item, _name: str, _value: Any) -> None:
    """Keep nothing: nobody stores how a result was made."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a step may use of the outside: callables, filled by the run.

    `call` asks a model. `similar` files a field's signature and gives the keys of products of the
    same run and target whose value is nearly the same, with the likeness from 0 to 1. `report`
    hands in findings about an item. `record` runs something that could differ another time (search,
    clock, chance) once and gives the same value on replay; the value must be JSON. `files` keeps
    pictures and makes others of them. `retrieve` searches a knowledge base, through `record`, and
    enters what it found into the result's provenance. `note` enters a JSON value under a name
    there. `embed` gives texts their vectors, None where there is no embedder. `use` calls a tool.
    """

    call: Call
    report: Callable[[Item, Sequence[Finding]], None]
    record: Callable[[Item, str, Callable[[], Awaitable[Any]]], Awaitable[Any]]
    similar: Callable[[Item, str, Signature], Awaitable[Sequence[tuple[str, float]]]]
    files: Files
    params: Mapping[str, Any] = field(default_factory=dict)
    retrieve: Retrieve = no_knowledge
    note: Callable[[Item, str, Any], None] = unnoted
    embed: Embed | None = None
    use: Use = no_tools


@dataclass(frozen=True, slots=True)
class Outlook:
    """What an estimate may use before anything is paid: a search and an embedder that cost nothing.

    None where they would ask a model behind a network.
    """

    search: Callable[[Search], Awaitable[Sequence[Passage]]] | None = None
    embed: Embed | None = None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A request a step would send, with the passages that were found for it."""

    request: Request
    passages: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True)
class BoundStep:
    """A step ready to work: its function, its condition, and a preview for estimates.

    `preview` gives the request a step would send for an item, or None when it would send none; it
    calls nothing. A step without model calls has no preview. `calls` is how many calls an item
    needs when none has to be repeated.

    `knowledge` names the bases a step searches. `searches` gives what it would look for before its
    first request, in order, and `preview_with` that request with what was found for each.

    A step that sends several requests for one item has `foresee`, which gives them all.

    `reads` are the attributes its settings name, where it reads those alone.
    """

    name: str
    kind: str
    per: Per
    run: Step
    when: Callable[[Mapping[str, Any]], bool] | None = None
    model: str = "default"
    preview: Callable[[Item, Mapping[str, Any]], Request | None] | None = None
    calls: int = 1
    fields: tuple[str, ...] = ()
    needs_target: bool = False
    provenance: Mapping[str, Any] = field(default_factory=dict)
    knowledge: tuple[str, ...] = ()
    searches: Callable[[Item, Mapping[str, Any]], tuple[Search, ...]] | None = None
    preview_with: (
        Callable[[Item, Mapping[str, Any], Sequence[Sequence[Passage]]], Request | None] | None
    ) = None
    foresee: Callable[[Item, Mapping[str, Any], Outlook], Awaitable[Sequence[Foreseen]]] | None = (
        None
    )
    reads: tuple[str, ...] = ()


def scalar(text: str) -> Any:
    """Read a parameter's text as YAML would: a number, true/false, or text."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    return value if isinstance(value, (int, float, bool)) else text


def pipeline_names(files: Mapping[str, str]) -> tuple[str, ...]:
    """List what may be run: pipelines, then single templates."""
    found: dict[str, None] = {}
    for folder in ("pipelines", "templates"):
        for path in paths(files, folder, (".yaml", ".yml")):
            name = path.removeprefix(f"{folder}/").rpartition(".")[0]
            if "/" not in name:
                found[name] = None
    return tuple(found)


def load_pipeline(files: Mapping[str, str], name: str, kinds: Collection[str]) -> Pipeline:
    """Load a pipeline, or make a template's name a pipeline of one step.

    `kinds` are the known steps. Raises NotFound and ConfigError with file, line and suggestion.
    """
    for ending in (".yaml", ".yml"):
        if (path := f"pipelines/{name}{ending}") in files:
            return _read(read_yaml(files, path), name, kinds)
    for ending in (".yaml", ".yml"):
        if f"templates/{name}{ending}" in files:
            return Pipeline(name, (StepSettings("generate", name, {"template": name}),))
    raise NotFound(
        f"there is no pipeline or template “{name}”{suggestion(name, pipeline_names(files))}"
    )


_KEYS = ("name", "description", "targets", "params", "steps", "review")
_STEP_KEYS = ("per", "when", "model", "name")


def _read(top: Section, name: str, kinds: Collection[str]) -> Pipeline:
    top.allow(_KEYS, "a pipeline")
    written = top.text("name", name)
    if written != name:
        top.fail(
            f"the file is called “{name}” and its name says “{written}”; make them equal", "name"
        )
    targets = []
    for text in top.texts("targets"):
        try:
            targets.append(Target.parse(text))
        except ValueError as error:
            top.fail(str(error), "targets")
    params = {key: scalar(value) for key, value in top.mapping("params").items()}
    steps = tuple(_step(part, top, kinds) for part in top.parts("steps"))
    if not steps:
        top.fail("a pipeline needs steps", "steps")
    names = [step.name for step in steps]
    for step in steps:
        if names.count(step.name) > 1:
            top.fail(f"two steps are called “{step.name}”; give one a name of its own", "steps")
    review = top.section("review")
    accept = None
    if review is not None:
        review.allow(("accept",), "review")
        accept = review.text("accept", None)
    return Pipeline(name, steps, tuple(targets), params, accept, top.text("description", ""))


def _step(part: Section | str, top: Section, kinds: Collection[str]) -> StepSettings:
    if isinstance(part, str) or len(part.names()) != 1:
        top.fail("a step is one line such as “- generate: {template: NAME}”", "steps")
    kind = part.names()[0]
    part.allow(kinds, "a pipeline's step")
    node = part._value(kind)
    if isinstance(node, yaml.SequenceNode):
        return StepSettings(kind, kind, {"rules": part.texts(kind)}, file=part.file, line=part.line)
    inner = part.section(kind)
    if inner is None:
        part.fail(f"say what “{kind}” works with", kind)
    per = inner.text("per", "target")
    if per not in PER:
        inner.fail(f"per must be target, product or group, not “{per}”", "per")
    own = {key: _plain(inner, key) for key in inner.names() if key not in _STEP_KEYS}
    default = own["template"] if isinstance(own.get("template"), str) else kind
    return StepSettings(
        kind, inner.text("name", default), own, per,
        inner.text("when", None), inner.text("model", None), part.file, part.line,
    )  # fmt: skip


def _plain(section: Section, key: str) -> Any:
    node = section._value(key)
    if isinstance(node, yaml.ScalarNode):
        return section.text(key, "")
    if isinstance(node, yaml.SequenceNode):
        return section.texts(key)
    return section.mapping(key)
