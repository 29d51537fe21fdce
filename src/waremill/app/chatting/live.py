"""Replies that are being written in this process: stopping them, and permitting their calls.

A reply lives where it was begun. Another process sees its turn when it has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from waremill.chat.events import Event, PermissionAsked
from waremill.chat.replying import PERMIT_SECONDS
from waremill.chat.turns import Turn
from waremill.domain import ToolCall
from waremill.errors import NotFound
from waremill.store.database import Database

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

Hear = Callable[[Event], None]
UNANSWERED = "Nobody permitted the call of {name} within {seconds:.0f} seconds, so it was not made."


@dataclass(slots=True)
class Live:
    """A reply being written: its conversation, its turn, and the calls that wait for permission."""

    conversation: int
    turn: int
    hear: Hear
    patience: float = PERMIT_SECONDS
    waiting: dict[str, asyncio.Future[bool]] = field(default_factory=dict)
    error: Exception | None = None
    _task: asyncio.Task[Turn] | None = None
    _stopped: bool = False

    def begin(self, task: asyncio.Task[Turn]) -> None:
        """Say which task writes it."""
        self._task = task

    def heard(self, event: Event) -> None:
        """Pass an event on; a call that asks for permission can be answered from now on."""
        if isinstance(event, PermissionAsked):
            loop = asyncio.get_running_loop()
            self.waiting[event.call.id] = loop.create_future()
            event = PermissionAsked(event.call, self.patience)
        self.hear(event)

    async def permitted(self, call: ToolCall) -> tuple[bool, bool]:
        """Wait for the answer to a call; give it, and whether there was one in time."""
        waiting = self.waiting[call.id]
        try:
            async with asyncio.timeout(self.patience):
                return await waiting, True
        except TimeoutError:
            return False, False
        finally:
            self.waiting.pop(call.id, None)

    def permit(self, call: str, allow: bool) -> None:
        """Answer a call that waits; raises NotFound where none of that id does."""
        waiting = self.waiting.get(call)
        if waiting is None or waiting.done():
            raise NotFound(f"no call “{call[:80]}” waits for permission")
        waiting.set_result(allow)

    def stop(self) -> None:
        """Stop writing; what came so far is kept. A second time changes nothing."""
        if self._task is not None and not self._stopped:
            self._stopped = True
            self._task.cancel()

    async def ended(self) -> Turn:
        """Wait for its end, and give the turn as it is kept; raises a bug of ours."""
        assert self._task is not None
        return await asyncio.shield(self._task)


_LIVE: WeakKeyDictionary[Database, dict[int, Live]] = WeakKeyDictionary()


def of(workspace: Workspace, conversation: int) -> Live | None:
    """Give the reply that is being written in a conversation, if any is in this process."""
    return _LIVE.get(workspace.database, {}).get(conversation)


def enter(workspace: Workspace, live: Live) -> None:
    """Note a reply that is being written."""
    _LIVE.setdefault(workspace.database, {})[live.conversation] = live


def leave(workspace: Workspace, live: Live) -> None:
    """Note that a reply has ended."""
    known = _LIVE.get(workspace.database, {})
    if known.get(live.conversation) is live:
        del known[live.conversation]


async def close(workspace: Workspace) -> None:
    """Stop all replies, and wait until what came of them is kept."""
    for live in list(_LIVE.get(workspace.database, {}).values()):
        live.stop()
        await asyncio.wait([live._task] if live._task is not None else [])


__all__ = ["UNANSWERED", "Hear", "Live", "close", "enter", "leave", "of"]
