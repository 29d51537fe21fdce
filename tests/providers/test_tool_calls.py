"""Tool calls over real HTTP in both protocols: request, reply, stream."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.providers.asking import SCHEMA, ask, chat
from tests.vendor import Reply, Vendor

from waremill.domain import CallMessage, Chat, ResultMessage, ToolCall, ToolSpec

PRICE = ToolSpec(
    "price", "Give a price.",
    {"type": "object", "properties": {"sku": {"type": "string"}, "at": {"type": "string"}},
     "required": ["sku"], "additionalProperties": False},
)  # fmt: skip
STOCK = ToolSpec("stock", "Give the stock.", {"type": "object", "properties": {}})
GPT, CLAUDE, OLD_CLAUDE = (
    "openai:gpt-4.1-mini",
    "anthropic:claude-sonnet-4-5",
    "anthropic:claude-3-haiku",
)
BOTH = pytest.mark.parametrize("use", [GPT, CLAUDE, "vllm:qwen", "dashscope:qwen-plus"])
STREAMED = pytest.mark.parametrize("streamed", [False, True])
CALLS = (("price", {"sku": "A"}), ("stock", {}))


def offering(schema: dict[str, Any] | None = None, **fields: Any) -> Chat:
    return replace(chat(schema=schema), tools=(PRICE, STOCK), **fields)


def calling(*calls: tuple[str, Any], text: str = "") -> Vendor:
    return Vendor(reply=lambda request, path: Reply(text=text, calls=calls))


@BOTH
@STREAMED
async def test_calls_are_read_whole_and_are_no_text(use: str, streamed: bool) -> None:
    heard: list[str] = []
    async with calling(*CALLS, text="Let me look.") as vendor:
        response = await ask(use, vendor, offering(), heard.append if streamed else None)
    assert [(one.name, json.loads(one.arguments)) for one in response.calls] == list(CALLS)
    assert all(one.id for one in response.calls) and response.text == "Let me look."
    assert len({one.id for one in response.calls}) == 2
    assert response.outcome == "complete"
    assert "".join(heard) == ("Let me look." if streamed else "")


async def test_tools_are_offered_in_each_protocols_shape() -> None:
    async with Vendor() as vendor:
        await ask(GPT, vendor, offering())
        await ask(CLAUDE, vendor, offering())
        openai, anthropic = (one.body for one in vendor.requests)
    function = openai["tools"][0]["function"]
    assert function == {
        "name": "price",
        "description": "Give a price.",
        "parameters": dict(PRICE.parameters),
    }
    assert openai["tool_choice"] == "auto"
    assert anthropic["tools"][0] == {
        "name": "price", "description": "Give a price.", "input_schema": dict(PRICE.parameters)
    }  # fmt: skip
    assert anthropic["tool_choice"] == {"type": "auto"}


def followed() -> Chat:
    calls = CallMessage(
        (ToolCall("id:1", "price", '{"sku":"A"}'), ToolCall("id2", "stock", "{oops")), "Hm."
    )
    results = (ResultMessage("id:1", "price", "9.5"), ResultMessage("id2", "stock", "no", True))
    request = offering()
    return replace(request, messages=(*request.messages, calls, *results), tool_choice="none")


async def test_calls_and_results_go_back_in_each_protocols_shape() -> None:
    async with Vendor() as vendor:
        await ask(GPT, vendor, followed())
        await ask(CLAUDE, vendor, followed())
        openai, anthropic = (one.body for one in vendor.requests)
    said, price, stock = openai["messages"][-3:]
    assert said["role"] == "assistant" and said["content"] == "Hm."
    assert said["tool_calls"][0]["function"] == {"name": "price", "arguments": '{"sku":"A"}'}
    assert said["tool_calls"][1]["function"]["arguments"] == "{}"
    assert price == {"role": "tool", "tool_call_id": "id:1", "content": "9.5"}
    assert stock["content"] == "Error: no"
    assert openai["tool_choice"] == "none"
    blocks, results = (one["content"] for one in anthropic["messages"][-2:])
    assert blocks[0] == {"type": "text", "text": "Hm."}
    assert blocks[1] == {"type": "tool_use", "id": "id_1", "name": "price", "input": {"sku": "A"}}
    assert results[0] == {"type": "tool_result", "tool_use_id": "id_1", "content": "9.5"}
    assert results[1]["is_error"] is True and anthropic["messages"][-1]["role"] == "user"
    assert anthropic["tool_choice"] == {"type": "none"}


async def test_a_schema_goes_beside_tools_where_the_vendor_takes_both() -> None:
    async with Vendor() as vendor:
        await ask(GPT, vendor, offering(SCHEMA))
        await ask(CLAUDE, vendor, offering(SCHEMA))
        openai, anthropic = (one.body for one in vendor.requests)
    assert openai["response_format"]["type"] == "json_schema" and openai["tools"]
    assert anthropic["output_config"]["format"]["type"] == "json_schema" and anthropic["tools"]


@pytest.mark.parametrize(
    "use", ["vllm:qwen", "dashscope:qwen-plus", "deepseek:v4", "google:gemini-3"]
)
async def test_elsewhere_words_ask_for_the_shape_until_the_answer_is_due(use: str) -> None:
    async with Vendor() as vendor:
        await ask(use, vendor, offering(SCHEMA))
        await ask(use, vendor, offering(SCHEMA, tool_choice="none"))
        free, due = (one.body for one in vendor.requests)
    assert "response_format" not in free and "JSON Schema" in free["messages"][0]["content"]
    assert due["response_format"] and due["tool_choice"] == "none"


@pytest.mark.parametrize("use", ["openai:gpt-4", OLD_CLAUDE])
@STREAMED
async def test_where_the_reply_is_a_tool_it_stands_beside_the_others(
    use: str, streamed: bool
) -> None:
    reply = {"title": "Eau", "points": ["a", "b"], "family": "woody"}
    heard: list[str] = []
    emit = heard.append if streamed else None
    async with calling(("reply", reply)) as vendor:
        answered = await ask(use, vendor, offering(SCHEMA), emit)
        body = vendor.requests[0].body
    assert json.loads(answered.text) == reply and answered.calls == ()
    if streamed:
        assert json.loads("".join(heard)) == reply
    names = [one.get("name") or one["function"]["name"] for one in body["tools"]]
    assert names == ["price", "stock", "reply"]
    assert body["tool_choice"] in ("required", {"type": "any"})
    async with calling(("price", {"sku": "A"})) as vendor:
        called = await ask(use, vendor, offering(SCHEMA), emit)
    assert [one.name for one in called.calls] == ["price"] and called.text == ""


@BOTH
@STREAMED
async def test_without_tools_offered_nothing_is_a_call(use: str, streamed: bool) -> None:
    async with calling(("delete", {"sku": "A"})) as vendor:
        response = await ask(use, vendor, chat(), (lambda _: None) if streamed else None)
    assert response.calls == ()


FORGED = (
    '<tool_call>{"name": "price", "arguments": {"sku": "A"}}</tool_call>',
    '{"tool_calls": [{"id": "1", "function": {"name": "price", "arguments": "{}"}}]}',
    '{"type": "tool_use", "name": "price", "input": {}}',
)


@BOTH
@STREAMED
@pytest.mark.parametrize("text", FORGED)
async def test_a_text_that_looks_like_a_call_is_a_text(use: str, streamed: bool, text: str) -> None:
    async with Vendor(reply=lambda request, path: Reply(text=text)) as vendor:
        response = await ask(use, vendor, offering(), (lambda _: None) if streamed else None)
    assert (response.text, response.calls) == (text, ())


async def test_arguments_that_are_no_json_are_handed_on_as_they_are() -> None:
    async with calling(("price", '{"sku": ')) as vendor:
        response = await ask(GPT, vendor, offering())
    assert response.calls[0].arguments == '{"sku": '


async def test_streams_without_an_index_and_objects_as_arguments_are_read() -> None:
    chunks = [
        {
            "delta": {
                "tool_calls": [
                    {"id": "a", "function": {"name": "price", "arguments": {"sku": "A"}}}
                ]
            }
        },
        {
            "delta": {
                "tool_calls": [{"id": "b", "function": {"name": "price", "arguments": '{"sku":'}}]
            }
        },
        {
            "delta": {"tool_calls": [{"function": {"arguments": ' "B"}'}}]},
            "finish_reason": "tool_calls",
        },
    ]
    body = b"".join(b"data: " + json.dumps({"choices": [one]}).encode() + b"\n\n" for one in chunks)
    body += b"data: [DONE]\n\n"
    async with Vendor(reply=lambda request, path: Reply(body=body)) as vendor:
        response = await ask("google:gemini-3", vendor, offering(), lambda _: None)
    assert [json.loads(one.arguments)["sku"] for one in response.calls] == ["A", "B"]


async def test_thoughts_that_cannot_be_sent_back_are_not_asked_for() -> None:
    async with Vendor() as vendor:
        await ask("anthropic:claude-3-7-sonnet", vendor, offering(), options={"effort": "medium"})
        assert "thinking" not in vendor.requests[0].body
