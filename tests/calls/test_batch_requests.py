"""A request that is written down for a batch is read back as it was."""

from __future__ import annotations

import pytest

from waremill.calls.batching.decoding import chat_from
from waremill.calls.request import canonical
from waremill.domain import (
    CallMessage,
    Chat,
    Image,
    Message,
    ResultMessage,
    ToolCall,
    ToolSpec,
)

SCHEMA = {"type": "object", "properties": {"b": {"type": "string"}, "a": {"enum": ["x", None]}}}
TOOL = ToolSpec("look", "Looks things up.", {"type": "object", "properties": {}})


@pytest.mark.parametrize(
    "chat",
    [
        Chat((Message("system", "写 “copy”"), Message("user", "name: Eau\n")), 100),
        Chat((Message("user", "x"),), 5, SCHEMA, {"temperature": 0.5, "stop": ["\n"]}, 2, 3),
        Chat((Message("user", ("see", Image("asset:ab.png"), "this")),), 50, SCHEMA),
        Chat(
            (
                Message("user", "x"),
                CallMessage((ToolCall("1", "look", '{"q": 1}'),), "Let me see."),
                ResultMessage("1", "look", "found", failed=True),
            ),
            50,
            tools=(TOOL,),
            tool_choice="none",
        ),
    ],
)
def test_what_was_written_is_read_back_and_hashed_alike(chat: Chat) -> None:
    body = canonical(chat)
    read = chat_from(body)
    assert canonical(read) == body
    assert (read.messages, read.max_tokens, read.tools) == (
        chat.messages,
        chat.max_tokens,
        chat.tools,
    )


def test_equal_schemas_are_one_object_for_providers_keep_what_they_made_of_it() -> None:
    one, other = (canonical(Chat((Message("user", t),), 5, SCHEMA)) for t in "ab")
    assert chat_from(one).schema is chat_from(other).schema
