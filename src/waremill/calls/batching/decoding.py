"""A request read back from its canonical bytes, to be written for a vendor or to read its reply."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from waremill.domain import (
    AnyMessage,
    CallMessage,
    Chat,
    Image,
    Message,
    ResultMessage,
    ToolCall,
    ToolSpec,
)


def chat_from(body: bytes) -> Chat:
    """Read a chat back from what `canonical` wrote: equal to it, and hashed alike."""
    data = orjson.loads(body)
    schema = data["schema"]
    return Chat(
        messages=tuple(map(_message, data["messages"])),
        max_tokens=data["max_tokens"],
        schema=None if schema is None else _kept(orjson.dumps(schema)),
        options=data["options"],
        sample=data["sample"],
        take=data["take"],
        tools=tuple(ToolSpec(**one) for one in data.get("tools", ())),
        tool_choice=data.get("tool_choice", "auto"),
    )


@lru_cache(maxsize=64)
def _kept(written: bytes) -> Mapping[str, Any]:
    """Give equal schemas as one object: providers keep what they made of it by its identity."""
    schema: Mapping[str, Any] = orjson.loads(written)
    return schema


def _message(data: Mapping[str, Any]) -> AnyMessage:
    content = data["content"]
    if "calls" in data:
        return CallMessage(tuple(ToolCall(**one) for one in data["calls"]), content)
    if "call" in data:
        return ResultMessage(data["call"], data["name"], content, data["failed"])
    if not isinstance(content, str):
        content = tuple(
            Image(part["url"]) if isinstance(part, dict) else str(part) for part in content
        )
    return Message(data["role"], content)
