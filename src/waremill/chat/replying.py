"""One reply being written: by a model that calls tools, or by one that is given passages.

Whatever came is kept from the first piece on, so that a reply that is stopped, or fails, leaves
what the user saw. Must not store anything and must not know where tools look.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from waremill.chat.attributing import Attributing
from waremill.chat.citing import Citing
from waremill.chat.events import (
    CallEnded,
    CallStarted,
    Cited,
    Drafted,
    Event,
    Noted,
    PermissionAsked,
    TextPiece,
)
from waremill.chat.telling import (
    Count,
    Surroundings,
    Told,
    fitting,
    instruction,
    size_of_tools,
    tell,
    with_sources,
)
from waremill.chat.turns import Draft, Given, State, Step, Turn
from waremill.domain import Answer, AnyMessage, Chat, Emit, ToolCall
from waremill.tools import loop
from waremill.tools.loop import Ask, Handed, LoopLimits, Permit, converse
from waremill.tools.tool import Tool

RESERVE = 0.1
"""The share of a model's window that is left alone, since tokens are counted nearly."""
FOUND = 0.45
"""The share of the window that what was found may take, where a model calls no tools."""
LONGEST_RESULT = 8_000
"""Characters of a tool's result; less where the model's window is small."""
PERMIT_SECONDS = 120.0
"""How long a permission is waited for; then the answer is no."""
LEFT_OUT = (
    "The {count} oldest turns were left out of what the model reads, since they do not fit its "
    "window of {window} tokens."
)
LEFT_OUT_ONE = (
    "The oldest turn was left out of what the model reads, since it does not fit its window of "
    "{window} tokens."
)
INVENTED = "{count} citations named nothing the model was given, and were taken out."
INVENTED_ONE = "One citation named nothing the model was given, and was taken out."
UNFOUNDED = (
    "The reply cites nothing: no sentence of it stands on what was found in the shop's data."
)

Find = Callable[[tuple[str, ...], Given], Awaitable[None]]
"""Searches for questions, the newest first, and adds what is found to the sources."""


@dataclass(frozen=True, slots=True)
class Kit:
    """What a reply is written with.

    `window` is how many tokens the model reads and writes at most, `most` how long the reply may
    be. With `tools` the model looks things up; without, `find` does it beforehand.
    """

    ask: Ask
    find: Find
    count: Count
    window: int
    most: int
    tools: tuple[Tool, ...] = ()
    permit: Permit = loop.never
    limits: LoopLimits = field(default_factory=LoopLimits)


class Reply:
    """A reply as far as it has come. `hear` is told what happens; `clock` is in seconds."""

    def __init__(
        self,
        before: tuple[Turn, ...],
        hear: Callable[[Event], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._before = before
        self._hear = hear
        self._clock = clock
        self._began = clock()
        self._texts: list[str] = []
        self._piece: list[str] = []
        self._gap = False
        self._asking = False
        self._steps: dict[str, Step] = {}
        self._between: tuple[AnyMessage, ...] = ()
        self._outcome: State = "complete"
        self.given = Given.of(before)
        self.drafts: list[Draft] = []
        self.notes: list[str] = []
        self.answers: list[Answer] = []
        self.first: float | None = None
        self._citing = Citing(self.given.known)
        self._attributing: Attributing | None = None

    # What tools and the application tell.

    def draft(self, draft: Draft) -> None:
        """Hand the user something that was drafted."""
        self.drafts.append(draft)
        self._hear(Drafted(draft))

    def note(self, text: str) -> None:
        """Tell the user something of how the reply is made, once."""
        if text and text not in self.notes:
            self.notes.append(text)
            self._hear(Noted(text))

    # Writing.

    async def write(self, question: str, around: Surroundings, kit: Kit, take: int = 0) -> None:
        """Write the reply; raises what asking raises. What came before stays in any case."""
        if kit.tools:
            request = self._with_tools(question, around, kit, take)
        else:
            request = await self._with_passages(question, around, kit, take)
        handed = Handed(
            ask=self._asker(kit.ask), permit=self._permitter(kit.permit), hear=self._heard,
            clock=self._clock,
        )  # fmt: skip
        most = max(500, min(LONGEST_RESULT, kit.window // 4))
        limits = replace(kit.limits, characters=most)
        done = await converse(request, kit.tools, handed, limits)
        self._between = done.messages
        self._outcome = done.answer.response.outcome
        self.note(done.note)
        self._end()

    def _with_tools(self, question: str, around: Surroundings, kit: Kit, take: int) -> Chat:
        system = instruction(around, tools=True)
        taken = kit.most + size_of_tools([one.spec for one in kit.tools], kit.count)
        # What tools give in this turn must find room, too.
        room = int(kit.window * (1 - RESERVE) * 0.75) - taken
        told = tell(system, self._before, question, room, kit.count, tools=True)
        self._tell_left_out(told, kit.window)
        return Chat(told.messages, kit.most, take=take)

    async def _with_passages(
        self, question: str, around: Surroundings, kit: Kit, take: int
    ) -> Chat:  # fmt: skip
        questions = (question, *(one.question for one in reversed(self._before[-1:])))
        await kit.find(questions, self.given)
        usable = int(kit.window * (1 - RESERVE)) - kit.most
        sources = fitting(self.given.fresh, int(kit.window * FOUND), kit.count)
        self._drop_unread(len(sources))
        asked = with_sources(question, sources)
        system = instruction(around, tools=False)
        told = tell(system, self._before, asked, usable, kit.count, tools=False)
        self._tell_left_out(told, kit.window)
        self._attributing = Attributing(sources)
        return Chat(told.messages, kit.most, take=take)

    def _drop_unread(self, kept: int) -> None:
        """Forget what was found and did not fit: it is not given, so it cannot be cited."""
        del self.given.fresh[kept:]
        self.given.keep(self._before)

    def _tell_left_out(self, told: Told, window: int) -> None:
        if told.left_out:
            self.given.keep(self._before[told.left_out :])
            said = LEFT_OUT_ONE if told.left_out == 1 else LEFT_OUT
            self.note(said.format(count=told.left_out, window=f"{window:,}"))

    def _asker(self, ask: Ask) -> Ask:
        async def asked(request: Chat, emit: Emit | None = None) -> Answer:
            self._piece = []
            self._asking = True
            answer = await ask(request, emit)
            self._asking = False
            self.answers.append(answer)
            # An attempt that broke off had its pieces shown; only what was answered counts.
            self._texts.append(answer.response.text)
            self._piece = []
            self._gap = bool(answer.response.text.strip())
            return answer

        return asked

    def _permitter(self, permit: Permit) -> Permit:
        async def permitted(call: ToolCall) -> bool:
            allowed = await permit(call)
            self._steps[call.id] = Step(call, permitted=allowed)
            return allowed

        return permitted

    def _heard(self, event: loop.Event) -> None:
        match event:
            case TextPiece(text):
                self._came(text)
            case loop.PermissionAsked(call):
                self._hear(PermissionAsked(call, PERMIT_SECONDS))
            case CallStarted(call):
                self._steps.setdefault(call.id, Step(call))
                self._hear(event)
            case CallEnded(call, content, failed, seconds):
                before = self._steps.get(call.id) or Step(call)
                made = replace(before, content=content, failed=failed, seconds=seconds)
                self._steps[call.id] = made
                self._hear(event)

    def _came(self, text: str) -> None:
        if not text:
            return
        if self.first is None:
            self.first = self._clock() - self._began
        self._piece.append(text)
        if self._gap:
            self._gap = False
            text = f"\n\n{text.lstrip()}"
        if self._attributing is not None:
            text = self._attributing.feed(text)
        known = len(self._citing.cited)
        self._show(self._citing.feed(text), known)

    def _end(self) -> None:
        known = len(self._citing.cited)
        last = self._attributing.end() if self._attributing is not None else ""
        self._show(self._citing.feed(last) + self._citing.end(), known)
        if self._attributing is not None and not self._citing.cited and self.first is not None:
            self.note(UNFOUNDED)
        if self._citing.unknown:
            said = INVENTED_ONE if self._citing.unknown == 1 else INVENTED
            self.note(said.format(count=self._citing.unknown))

    def _show(self, text: str, known: int) -> None:
        for number in list(self._citing.cited)[known:]:
            self._hear(Cited(self.given.known[number]))
        if text:
            self._hear(TextPiece(text))

    # What came of it.

    def ended(self, state: State | None = None, error: str | None = None) -> dict[str, Any]:
        """Give the values of the turn as far as it came; `state` where it did not end by itself."""
        citing = Citing(self.given.known)
        raw = "\n\n".join(
            one.strip() for one in (*self._texts, "".join(self._piece)) if one.strip()
        )
        if self._attributing is not None:
            again = self._attributing.anew()
            raw = again.feed(raw) + again.end()
        text = citing.feed(raw) + citing.end()
        costs = [one.list_cost for one in self.answers]
        # What an attempt that was broken off costs is not known.
        priced = not self._asking and all(one is not None for one in costs)
        paid = sum(one.list_cost or 0 for one in self.answers if not one.replayed)
        usages = [one.response.usage for one in self.answers]
        return {
            "state": state or self._outcome, "reply": text, "error": error,
            "sources": tuple(self.given.fresh), "cited": tuple(citing.cited),
            "steps": tuple(self._steps.values()), "drafts": tuple(self.drafts),
            "notes": tuple(self.notes), "between": self._between,
            "answers": tuple(one.hash.hex() for one in self.answers),
            "input": sum(one.input for one in usages), "output": sum(one.output for one in usages),
            "cached": sum(one.cached for one in usages),
            "list_cost": sum(one or 0 for one in costs) if priced else None,
            "paid": paid if priced else None, "first": self.first,
            "seconds": self._clock() - self._began,
        }  # fmt: skip


__all__ = ["PERMIT_SECONDS", "Find", "Kit", "Reply"]
