"""An answer that calls tools, as one text: `answers` has no column for calls.

Such an answer is told by its row's outcome, `calls`, which no reply can write. What a reply says is
never read as one: a text that looks like an envelope is a text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from waremill.domain import Response, ToolCall, Usage

CALLS = "calls"
"""The outcome an answer with calls is stored under; what its reply's was is in the envelope."""


def sealed(response: Response) -> str:
    """Write a reply with calls as one text."""
    return orjson.dumps(
        {"calls": response.calls, "outcome": response.outcome, "text": response.text}
    ).decode()


def unsealed(row: Mapping[str, Any], usage: Usage) -> Response:
    """Read a stored answer with calls."""
    held = orjson.loads(row["text"])
    calls = tuple(ToolCall(one["id"], one["name"], one["arguments"]) for one in held["calls"])
    return Response(
        held["text"], held["outcome"], usage, row["reported_model"], row["request_id"], calls=calls
    )


def shown(outcome: str, text: str) -> str:
    """Give a stored answer's text for people: calls as `name arguments`, one a line."""
    if outcome != CALLS:
        return text
    held = orjson.loads(text)
    lines = [f"{one['name']} {one['arguments']}" for one in held["calls"]]
    return "\n".join([held["text"], *lines] if held["text"] else lines)
