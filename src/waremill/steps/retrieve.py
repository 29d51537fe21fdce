"""The `retrieve` step: look into the shop's knowledge once, for the steps that follow.

    - retrieve: {knowledge: [manuals, policies], query: "{{ name }} {{ category }}", top: 3,
                 where: {brand: "{{ brand }}", language: "{{ language_code }}"}, as: background}

The passages become the field that `as` names: a list of `{id, place, text}`, best first. A template
takes it as an input like any other field, and the check *grounded* of later steps compares with it.
A query that renders to nothing finds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from waremill.domain import Item, Passage, Search, Target
from waremill.errors import ConfigError, TemplateError, Where
from waremill.pipeline import BoundStep, Context, StepSettings
from waremill.rules.document import suggestion
from waremill.steps import Kit
from waremill.steps.asking import prompting
from waremill.templates.expressions import TARGET_NAMES
from waremill.templates.filters import ExpressionError
from waremill.templates.layout import variables_of
from waremill.templates.retrieval import Retrieval, compile_retrieval
from waremill.templates.values import PASSAGE

_SETTINGS = ("knowledge", "query", "top", "where", "as")


def make(step: StepSettings, kit: Kit) -> BoundStep:
    """Build the step; raise ConfigError with file and line for settings it cannot work with."""
    where = Where(step.file or None, line=step.line)
    for key in step.settings:
        if key not in _SETTINGS:
            raise ConfigError(f"retrieve has no setting “{key}”{suggestion(key, _SETTINGS)}", where)
    retrieval = retrieval_of(step.settings, "retrieve", where)
    field = step.settings.get("as")
    if not isinstance(field, str) or not field.isidentifier():
        raise ConfigError("retrieve needs `as`, the field the passages go into", where)
    uses_target = not retrieval.names.free.isdisjoint(TARGET_NAMES)
    if uses_target and step.per != "target":
        raise ConfigError(
            f"retrieve uses the target's language or market, so it cannot be made once per "
            f"{step.per}; take these names out or write per: target",
            where,
        )

    def searches(item: Item, params: Mapping[str, Any]) -> tuple[Search, ...]:
        return rendered(retrieval, *_view(item, step), params, where)

    async def retrieve(item: Item, ctx: Context) -> dict[str, Any]:
        wanted = searches(item, ctx.params)
        return {field: as_values(await prompting.retrieved(item, ctx, wanted))}

    return BoundStep(
        step.name, step.kind, step.per, retrieve, fields=(field,), needs_target=uses_target,
        knowledge=retrieval.knowledge, searches=searches,
    )  # fmt: skip


def retrieval_of(settings: Mapping[str, Any], kind: str, where: Where) -> Retrieval:
    """Read the settings that say what is looked for; raise ConfigError where they do not."""

    def fail(message: str) -> NoReturn:
        raise ConfigError(message, where)

    knowledge = settings.get("knowledge")
    names = [knowledge] if isinstance(knowledge, str) else list(knowledge or ())
    if not names or not all(isinstance(name, str) and name for name in names):
        fail(f"{kind} needs `knowledge`, the name of a knowledge base or a list of names")
    query = settings.get("query")
    if not isinstance(query, str) or not query.strip():
        fail(f"{kind} needs `query`, the text that is looked for")
    top = str(settings.get("top", 3))
    if not top.isdecimal() or int(top) < 1:
        fail(f"top must be a whole number from 1, not “{top}”")
    filters = settings.get("where", {})
    if not isinstance(filters, Mapping):
        fail('where is {NAME: VALUE}, such as {brand: "{{ brand }}"}')
    return compile_retrieval(names, query, int(top), filters, fail)


def rendered(
    retrieval: Retrieval,
    values: Mapping[str, Any],
    target: Target | None,
    params: Mapping[str, Any],
    where: Where,
) -> tuple[Search, ...]:
    """Render a retrieval's searches; TemplateError where a text passes a limit."""
    try:
        return retrieval.searches(variables_of(values, target, params))
    except ExpressionError as error:
        raise TemplateError(error.message, where) from None


def as_values(passages: Sequence[Passage]) -> list[dict[str, Any]]:
    """Give passages as a field's value."""
    return [{"id": one.id, "place": one.place, "text": one.text} for one in passages]


def as_passages(value: Any) -> tuple[Passage, ...]:
    """Read a field's value as passages; empty where it is something else."""
    if not isinstance(value, list) or not value:
        return ()
    if not all(isinstance(one, Mapping) and one.keys() == PASSAGE for one in value):
        return ()
    return tuple(
        Passage(str(one["id"]), str(one["place"]), str(one["text"]), str(one["place"]))
        for one in value
    )


def _view(item: Item, step: StepSettings) -> tuple[Mapping[str, Any], Target | None]:
    if step.per == "group" and item.group is not None:
        return {**item.group.attributes, **item.fields}, None
    return item.values, item.target if step.per == "target" else None
