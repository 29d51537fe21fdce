"""Tools of a `generate` step: the loop inside it, journalled and replayed like everything else.

    - generate: {template: selling-points, tools: [calculator, catalogue, "knowledge:manuals"]}

The answer still obeys the template's contract. What a tool gave is recorded before it is used, so
that a replay asks the same requests. Nobody is there to permit anything: a tool that changes
something is refused when the step is built.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from waremill.domain import Answer, Chat, Emit, Item
from waremill.errors import ConfigError, UserError, Where
from waremill.pipeline import Context, StepSettings
from waremill.steps import Kit
from waremill.tools.loop import USUAL, Handed, LoopLimits, converse, offering
from waremill.tools.tool import Tool

SETTINGS = ("tools",)
_BASE = "knowledge:"


@dataclass(frozen=True, slots=True)
class Tooling:
    """The tools of one step; without any, a request is asked as it is.

    `knowledge` are the bases they search.
    """

    step: str
    model: str
    tools: tuple[Tool, ...] = ()
    limits: LoopLimits = USUAL
    knowledge: tuple[str, ...] = ()

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Which tools the model was given, for the result."""
        return {"tools": [one.name for one in self.tools]} if self.tools else {}

    @property
    def asks(self) -> int:
        """How often the model is asked for one answer: with tools once more, as a rule."""
        return 2 if self.tools else 1

    def offered(self, request: Chat) -> Chat:
        """Give a request as the model is first asked it."""
        return offering(request, self.tools)

    async def ask(self, item: Item, ctx: Context, request: Chat, place: str) -> Answer:
        """Give the answer to a request after the tools it called for.

        `place` tells one request of an item's step from its others, for what is recorded.
        """
        if not self.tools:
            return await ctx.call(item, request, self.model)

        async def ask(request: Chat, emit: Emit | None = None) -> Answer:
            return await ctx.call(item, request, self.model)

        async def recall(name: str, make: Callable[[], Awaitable[Any]]) -> Any:
            return await ctx.record(item, f"tools {self.step} {place} {name}", make)

        tools = [replace(one, call=partial(ctx.use, item, one.name)) for one in self.tools]
        done = await converse(request, tools, Handed(ask, recall=recall), self.limits)
        if done.note:
            ctx.note(item, "tools_ended", done.note)
        return done.answer


def tooling_of(step: StepSettings, kit: Kit) -> Tooling:
    """Read a step's `tools`; raises ConfigError with file and line for one that cannot be used."""
    where = Where(step.file or None, line=step.line)
    written = step.settings.get("tools", ())
    names = (written,) if isinstance(written, str) else written
    if not isinstance(names, list | tuple) or not all(isinstance(one, str) for one in names):
        raise ConfigError("tools is a list of names, such as [calculator, catalogue]", where)
    names = tuple(dict.fromkeys(names))
    if "knowledge" in names:
        raise ConfigError("say which knowledge base the tool searches: knowledge:NAME", where)
    model = step.model or kit.model
    if not names:
        return Tooling(step.name, model)
    try:
        tools = kit.tools(names)
    except UserError as error:
        raise ConfigError(error.message, where) from error
    for one in tools:
        if one.changes:
            raise ConfigError(
                f"the tool “{one.name}” changes something and needs somebody's permission, which a "
                "step cannot ask for",
                where,
            )
    bases = tuple(one.removeprefix(_BASE) for one in names if one.startswith(_BASE))
    return Tooling(step.name, model, tools, kit.tool_limits, bases)
