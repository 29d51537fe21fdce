"""The `langchain` step: a LangChain Runnable makes fields.

    - langchain: {runnable: tagline, input: [name, brand], output: tagline}

`waremill.toml` says which Runnable a name is; a pipeline can choose among these alone. It is handed
the product's attributes (those of `input`, or all) and the target's language, market and channel.
What it gives is recorded, so that a replay asks it no more; what it asks models by itself is not in
the ledger, and so not under a budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from waremill.domain import Finding, Item
from waremill.domain import refers as names_file
from waremill.errors import ConfigError, SourceError, UserError, WaremillError, Where
from waremill.pipeline import BoundStep, Context, StepSettings
from waremill.rules.document import suggestion
from waremill.steps import Kit

_SETTINGS = ("runnable", "input", "output")


def make(step: StepSettings, kit: Kit) -> BoundStep:
    """Build the step; refuse settings it does not know and a Runnable nobody has named."""
    where = Where(step.file or None, line=step.line)
    for key in step.settings:
        if key not in _SETTINGS:
            hint = suggestion(key, _SETTINGS)
            raise ConfigError(f"langchain has no setting “{key}”{hint}", where)
    name, output = step.settings.get("runnable"), step.settings.get("output")
    if not isinstance(name, str) or not output:
        raise ConfigError("langchain needs `runnable` and `output`", where)
    fields = _texts(output)
    try:
        found = kit.runnable(name)
    except UserError as error:
        raise ConfigError(error.message, where) from error
    work = _Work(step, name, found, _texts(step.settings.get("input")), fields)
    return BoundStep(
        step.name, step.kind, step.per, work.run, fields=fields,
        provenance={"runnable": name},
    )  # fmt: skip


def _texts(written: Any) -> tuple[str, ...]:
    return (written,) if isinstance(written, str) else tuple(map(str, written or ()))


class _Work:
    def __init__(
        self,
        step: StepSettings,
        name: str,
        runnable: Any,
        inputs: Sequence[str],
        fields: tuple[str, ...],
    ) -> None:
        self._step = step
        self._name = name
        self._runnable = runnable
        self._inputs = inputs
        self._fields = fields

    async def run(self, item: Item, ctx: Context) -> dict[str, Any]:
        """Make the fields for one item; a field that is missing is a finding."""

        async def ask() -> Any:
            return _plain(await self._asked(item, ctx))

        given = await ctx.record(item, f"langchain {self._step.name}", ask)
        values = given if isinstance(given, Mapping) else {self._fields[0]: given}
        if len(self._fields) == 1 and self._fields[0] not in values:
            values = {self._fields[0]: given}
        made, findings = {}, []
        for name in self._fields:
            value = values.get(name)
            if value is None:
                said = f"the Runnable {self._name} gave no {name}"
                findings.append(Finding(name, "contract", "error", said))
            elif names_file(value):  # what a model writes opens no stored file
                said = "this names a stored file; write text"
                findings.append(Finding(name, "contract", "error", said))
            else:
                made[name] = value
        ctx.report(item, findings)
        return made

    async def _asked(self, item: Item, ctx: Context) -> Any:
        values = item.values
        if self._step.per == "group" and item.group is not None:
            values = {**item.group.attributes, **item.fields}
        handed = {**ctx.params, **values}
        if self._inputs:
            handed = {name: handed.get(name) for name in self._inputs}
        if self._step.per == "target" and item.target is not None:
            target = item.target
            handed |= {"language": target.language, "market": target.market,
                       "channel": target.channel}  # fmt: skip
        try:
            return await self._runnable.ainvoke(handed)
        except WaremillError:
            raise
        except Exception as error:
            said = f"the Runnable {self._name} failed: {type(error).__name__}: {error}"
            raise SourceError(said[:500]) from error


def _plain(given: Any) -> Any:
    """Give what a Runnable gave as a JSON value: a message's text, a model's fields."""
    if hasattr(given, "model_dump") and not hasattr(given, "content"):
        return given.model_dump(mode="json")
    content = getattr(given, "content", given)
    if isinstance(content, list) and content is not given:  # a message in parts
        return "".join(
            part if isinstance(part, str) else str(part.get("text") or "") for part in content
        )
    return content
