"""Tools and their calls in the shapes the wire protocols take, and calls read from replies.

A call is read from the protocol's own field alone, and only where tools were offered: what a text
says is never one. Must not run a tool, nor judge arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from waremill.domain import CallMessage, Chat, Emit, ResultMessage, ToolCall, ToolSpec
from waremill.providers.schemas import GOOGLE, Subset, adapt

REPLY = "reply"
"""The tool by which models without schemas of their own give the reply a schema asks for."""
_GOOGLE = replace(GOOGLE, strict=False)
"""For arguments: strict would have the model write null for what it leaves out."""
_UNUSUAL = re.compile(r"[^A-Za-z0-9_-]")


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """Give a call's arguments as an object; empty for what is none, which some servers refuse."""
    try:
        held = orjson.loads(call.arguments or "{}")
        orjson.dumps(held)
    except (ValueError, TypeError):  # what nests deep can be read and not written again
        return {}
    return held if isinstance(held, dict) else {}


# Chat completions.


def openai_message(message: CallMessage | ResultMessage) -> dict[str, Any]:
    """Write calls, or a result, as a message of chat completions."""
    if isinstance(message, ResultMessage):
        said = f"Error: {message.content}" if message.failed else message.content
        return {"role": "tool", "tool_call_id": message.call, "content": said}
    calls = [
        {
            "id": one.id,
            "type": "function",
            "function": {
                "name": one.name,
                "arguments": orjson.dumps(arguments_of(one)).decode(),
            },
        }
        for one in message.calls
    ]
    return {"role": "assistant", "content": message.content or None, "tool_calls": calls}


def openai_tools(tools: Sequence[ToolSpec], subset: Subset) -> list[dict[str, Any]]:
    """Write tools as chat completions take them."""
    return [
        {
            "type": "function",
            "function": {
                "name": one.name,
                "description": one.description,
                "parameters": adapt(one.parameters, _GOOGLE)
                if subset is GOOGLE
                else one.parameters,
            },
        }
        for one in tools
    ]


@dataclass(slots=True)
class Calling:
    """Calls as they come in of one reply, whole or piece by piece.

    The reserved tool's arguments are the reply's text; they go to `emit` as they come.
    """

    _calls: list[_Coming] = field(default_factory=list)

    def add_openai(self, pieces: Iterable[Mapping[str, Any]] | None, emit: Emit | None) -> None:
        """Take `tool_calls` of a message or of a delta."""
        for piece in pieces or ():
            function = piece.get("function") or {}
            coming = self._place(piece.get("index"), piece.get("id"))
            coming.id = coming.id or str(piece.get("id") or "")
            coming.name += function.get("name") or ""
            arguments = function.get("arguments") or ""
            if not isinstance(arguments, str):  # some servers give the object itself
                arguments = orjson.dumps(arguments).decode()
            coming.add(arguments, emit)

    def add_whole(self, id: str, name: str, arguments: str) -> None:
        """Take a call that came in one piece."""
        self._calls.append(_Coming(len(self._calls), id, name, [arguments]))

    def start(self, index: int, id: str, name: str) -> None:
        """Take the start of a call whose arguments follow under its index."""
        self._calls.append(_Coming(index, id, name))

    def go_on(self, index: int, piece: str, emit: Emit | None) -> None:
        """Take a piece of the arguments of a call that has started."""
        self._place(index, None).add(piece, emit)

    def _place(self, index: int | None, id: str | None) -> _Coming:
        """Find the call a piece belongs to.

        Some servers leave the index out, or write 0 for all: there a new id is a new call.
        """
        if index is None and not id and self._calls:
            return self._calls[-1]
        for one in reversed(self._calls):
            if (index is None or one.index == index) and (not id or not one.id or one.id == id):
                return one
        self._calls.append(_Coming(len(self._calls) if index is None else index))
        return self._calls[-1]

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls that came in whole, without the reserved tool's."""
        return tuple(
            ToolCall(one.id, one.name, "".join(one.arguments))
            for one in self._calls
            if one.name and one.name != REPLY
        )

    @property
    def reply(self) -> str:
        """What was said through the reserved tool."""
        return "".join("".join(one.arguments) for one in self._calls if one.name == REPLY)


@dataclass(slots=True)
class _Coming:
    index: int
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def add(self, piece: str, emit: Emit | None) -> None:
        if not piece:
            return
        self.arguments.append(piece)
        if self.name == REPLY and emit is not None:
            emit(piece)


# Anthropic's messages.


def anthropic_calls(message: CallMessage) -> dict[str, Any]:
    """Write calls as a message of Anthropic's protocol."""
    blocks: list[dict[str, Any]] = []
    if message.content.strip():
        blocks.append({"type": "text", "text": message.content})
    blocks += (
        {"type": "tool_use", "id": _id(one.id), "name": one.name, "input": arguments_of(one)}
        for one in message.calls
    )
    return {"role": "assistant", "content": blocks}


def add_anthropic_result(messages: list[dict[str, Any]], message: ResultMessage) -> None:
    """Append a result; results that follow each other stand in one message, as is asked for."""
    block: dict[str, Any] = {
        "type": "tool_result", "tool_use_id": _id(message.call), "content": message.content
    }  # fmt: skip
    if message.failed:
        block["is_error"] = True
    last = messages[-1] if messages else None
    blocks = last["content"] if last is not None and last["role"] == "user" else None
    if isinstance(blocks, list) and blocks and blocks[-1].get("type") == "tool_result":
        blocks.append(block)
    else:
        messages.append({"role": "user", "content": [block]})


def anthropic_tools(request: Chat) -> list[dict[str, Any]]:
    """Write a request's tools as Anthropic's protocol takes them."""
    return [
        {"name": one.name, "description": one.description, "input_schema": one.parameters}
        for one in request.tools
    ]


def _id(written: str) -> str:
    """Give an id as the protocol allows it; another vendor's may hold other signs."""
    return _UNUSUAL.sub("_", written) or "call"
