"""Tool calls of a model that has no field of its own for them: the embedded one.

A grammar leaves it two things to write: one call, or its answer. Which of the two it is stands at
the top of what it writes, where only the model writes; a call inside an answer's text is a text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from waremill.domain import CallMessage, Chat, Emit, Response, ResultMessage, ToolCall, ToolSpec
from waremill.providers.calling import REPLY, arguments_of

_TEXT: Mapping[str, Any] = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": False,
}


def schema(request: Chat) -> dict[str, Any]:
    """Give the schema of what may be written: a call of one of the tools, or the answer.

    Where no tool may be called any more the answer alone.
    """
    offered = request.tools if request.tool_choice == "auto" else ()
    shapes = {one.name: one.parameters for one in offered}
    shapes[REPLY] = request.schema or _TEXT
    return {"anyOf": [_called(name, shape) for name, shape in shapes.items()]}


def _called(name: str, shape: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"name": {"const": name}, "arguments": shape},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def instruction(tools: Sequence[ToolSpec]) -> str:
    """Say which tools there are and how one is called."""
    lines = [
        orjson.dumps(
            {"name": one.name, "description": one.description, "parameters": one.parameters}
        ).decode()
        for one in tools
    ]
    return "\n".join(
        [
            "# Tools",
            "",
            *lines,
            "",
            'Write one JSON object: {"name": TOOL, "arguments": {…}} to call a tool you need, or '
            f'{{"name": "{REPLY}", "arguments": {{…}}}} to answer the user.',
        ]
    )


def message(told: CallMessage | ResultMessage) -> dict[str, Any]:
    """Write calls as the model wrote them, and a result as something it is told."""
    if isinstance(told, CallMessage):
        calls = (
            orjson.dumps({"name": one.name, "arguments": arguments_of(one)}).decode()
            for one in told.calls
        )
        return {"role": "assistant", "content": "\n".join(calls)}
    said = "failed" if told.failed else "gave"
    return {"role": "user", "content": f"The tool {told.name} {said}: {told.content}"}


def read(response: Response, emit: Emit | None) -> Response:
    """Tell a call from an answer in what was written; cut off, it is neither, and stays a text."""
    try:
        written = orjson.loads(response.text)
        name, arguments = written["name"], written["arguments"]
    except (ValueError, KeyError, TypeError):
        return response
    given = orjson.dumps(arguments).decode()
    if name != REPLY:
        return replace(response, text="", calls=(ToolCall("", name, given),))
    text = arguments["text"] if arguments.keys() == {"text"} else given
    if emit is not None:
        emit(text)
    return replace(response, text=text)
