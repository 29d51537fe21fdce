"""What happens while a reply is written, for a door that shows it as it happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from waremill.chat.turns import Draft, Source
from waremill.domain import ToolCall


@dataclass(frozen=True, slots=True)
class Text:
    """A further piece of the reply."""

    text: str


@dataclass(frozen=True, slots=True)
class Cited:
    """The reply cites a source for the first time."""

    source: Source


@dataclass(frozen=True, slots=True)
class Called:
    """A tool is being called."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class Resulted:
    """A call has its result; `failed` says that `content` tells what went wrong."""

    call: ToolCall
    content: str
    failed: bool
    seconds: float


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


Event: TypeAlias = Text | Cited | Called | Resulted | PermissionAsked | Drafted | Noted

__all__ = [
    "Called",
    "Cited",
    "Drafted",
    "Event",
    "Noted",
    "PermissionAsked",
    "Resulted",
    "Text",
]
