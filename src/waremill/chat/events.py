"""What happens while a reply is written, for a door that shows it as it happens.

Pieces of the reply and calls are the tool loop's own events; the rest only a chat has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from waremill.chat.turns import Draft, Source
from waremill.domain import ToolCall
from waremill.tools.loop import CallEnded, CallStarted, TextPiece


@dataclass(frozen=True, slots=True)
class Cited:
    """The reply cites a source for the first time."""

    source: Source


@dataclass(frozen=True, slots=True)
class PermissionAsked:
    """A call waits to be permitted, for so many seconds; without an answer it is not made."""

    call: ToolCall
    seconds: float


@dataclass(frozen=True, slots=True)
class Drafted:
    """Something was drafted for the user to take or leave."""

    draft: Draft


@dataclass(frozen=True, slots=True)
class Noted:
    """Something the user should know of how the reply is made."""

    text: str


Event: TypeAlias = TextPiece | Cited | CallStarted | CallEnded | PermissionAsked | Drafted | Noted

__all__ = [
    "CallEnded",
    "CallStarted",
    "Cited",
    "Drafted",
    "Event",
    "Noted",
    "PermissionAsked",
    "TextPiece",
]
