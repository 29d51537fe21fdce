"""What a model may call, what it calls, and what it is told of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model is told of it; `parameters` is the JSON Schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call a model asks for.

    `id` is the model's own, by which its result is told; `arguments` is the text it wrote, which
    should be a JSON object and need not be one.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class CallMessage:
    """What a model said when it called tools: the calls, and the text beside them."""

    calls: tuple[ToolCall, ...]
    content: str = ""
    role: Literal["assistant"] = field(default="assistant", init=False)


@dataclass(frozen=True, slots=True)
class ResultMessage:
    """What one call gave: data for the model to read, never a word of ours or the user's.

    `call` is the call's id. `failed` says that `content` tells what went wrong.
    """

    call: str
    name: str
    content: str
    failed: bool = False
    role: Literal["tool"] = field(default="tool", init=False)
