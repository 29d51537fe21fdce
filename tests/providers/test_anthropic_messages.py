"""Anthropic's messages over real HTTP, against the loopback vendor."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.providers.asking import KEY, SCHEMA, ask, chat, failure, model, opened
from tests.vendor import Reply, Vendor

from waremill.domain import Chat, Image, Message
from waremill.errors import ConfigError, Unavailable
from waremill.providers import open_provider

CLAUDE = "anthropic:claude-sonnet-4-5"


async def test_a_plain_reply_carries_text_usage_model_and_request_id() -> None:
    async with Vendor() as vendor:
        response = await ask(CLAUDE, vendor)
        sent = vendor.requests[0]
    assert response.outcome == "complete" and "Eau Sauvage" in response.text
    assert response.model == "claude-sonnet-4-5" and response.request_id
    assert sent.path == "/v1/messages"
    assert sent.headers["x-api-key"] == KEY and sent.headers["anthropic-version"] == "2023-06-01"
    assert sent.body["system"] == [{"type": "text", "text": "You write product copy."}]
    assert [one["role"] for one in sent.body["messages"]] == ["user"]
    assert sent.body["max_tokens"] == 300


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("claude-sonnet-4-5", "schema"),
        ("claude-opus-4-8", "schema"),
        ("claude-haiku-4-5-20251001", "schema"),
        ("claude-3-5-haiku-latest", "tool"),
        ("claude-sonnet-4-20250514", "tool"),
        ("deepseek-v4-pro", "tool"),
    ],
)
async def test_json_comes_by_schema_or_by_a_forced_tool(name: str, way: str) -> None:
    async with Vendor() as vendor:
        response = await ask(f"anthropic:{name}", vendor, chat(schema=SCHEMA))
        body = vendor.requests[0].body
    assert response.outcome == "complete"
    assert set(json.loads(response.text)) == {"title", "points", "family"}
    if way == "schema":
        sent = body["output_config"]["format"]["schema"]
        assert body["output_config"]["format"]["type"] == "json_schema"
    else:
        sent = body["tools"][0]["input_schema"]
        assert body["tool_choice"] == {"type": "tool", "name": "reply"}
    points = sent["properties"]["points"]
    assert points["minItems"] == 1 and "maxItems" not in points
    assert points["description"] == "At least 2 items. At most 3 items."


async def test_structured_text_is_asked_for_in_the_system_prompt() -> None:
    async with Vendor() as vendor:
        response = await ask(CLAUDE, vendor, chat(schema=SCHEMA), structured="text")
        body = vendor.requests[0].body
    assert set(json.loads(response.text)) == {"title", "points", "family"}
    assert "JSON Schema" in body["system"][0]["text"] and "output_config" not in body


@pytest.mark.parametrize("name", ["claude-sonnet-4-5", "claude-3-5-haiku-latest"])
async def test_streaming_emits_the_pieces_of_the_text_and_gives_the_usage(name: str) -> None:
    pieces: list[str] = []
    async with Vendor() as vendor:
        streamed = await ask(f"anthropic:{name}", vendor, chat(schema=SCHEMA), pieces.append)
        plain = await ask(f"anthropic:{name}", vendor, chat(schema=SCHEMA))
    assert len(pieces) > 2 and "".join(pieces) == streamed.text
    assert json.loads(streamed.text) == json.loads(plain.text)
    assert streamed.usage.output == plain.usage.output and streamed.usage.input > 0
    assert streamed.outcome == "complete" and streamed.model == name


async def test_a_stream_without_its_end_is_unavailable() -> None:
    body = (
        b'event: message_start\ndata: {"type":"message_start","message":{"model":"m"}}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta",'
        b'"delta":{"type":"text_delta","text":"Half"}}\n\n'
    )
    async with Vendor(reply=lambda *_: Reply(body=body)) as vendor:
        assert type(await failure(CLAUDE, vendor, emit=lambda _: None)) is Unavailable


async def test_an_error_inside_a_stream_is_unavailable() -> None:
    body = (
        b'event: error\ndata: {"type":"error",'
        b'"error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    )
    async with Vendor(reply=lambda *_: Reply(body=body)) as vendor:
        caught = await failure(CLAUDE, vendor, emit=lambda _: None)
    assert type(caught) is Unavailable and "Overloaded" in caught.message


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("fault", "outcome"), [("truncated", "truncated"), ("refused", "refused")])
async def test_truncated_and_refused_replies_are_answers(
    fault: str, outcome: str, streamed: bool
) -> None:
    emit = (lambda _: None) if streamed else None
    shares: dict[str, Any] = {fault: 1.0}
    async with Vendor(**shares) as vendor:
        response = await ask(CLAUDE, vendor, chat(schema=SCHEMA), emit)
    assert response.outcome == outcome


async def test_cached_and_newly_cached_tokens_are_part_of_the_input() -> None:
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 900,
        "cache_creation_input_tokens": 100,
        "output_tokens": 20,
    }
    async with Vendor(reply=lambda *_: Reply(text="ok", usage=usage)) as vendor:
        got = (await ask(CLAUDE, vendor)).usage
    assert (got.input, got.cached, got.output) == (1010, 900, 20)


async def test_a_long_system_prompt_is_marked_for_the_cache() -> None:
    messages = (Message("system", "rule " * 1000), Message("user", "name: x"))
    async with Vendor() as vendor:
        await ask(CLAUDE, vendor, Chat(messages, 50))
        block = vendor.requests[0].body["system"][0]
    assert block["cache_control"] == {"type": "ephemeral"}


async def test_settings_are_passed_under_anthropics_names() -> None:
    options = {"temperature": 0.1, "stop": "END", "seed": 3}
    async with Vendor() as vendor:
        await ask(CLAUDE, vendor, chat(options=options))
        body = vendor.requests[0].body
    assert body["temperature"] == 0.1 and body["stop_sequences"] == ["END"]
    assert "seed" not in body and "stop" not in body and "thinking" not in body


async def test_effort_is_adaptive_thinking_for_newer_models_and_a_budget_for_older() -> None:
    options = {"effort": "medium"}
    async with Vendor() as vendor:
        newer = await ask("anthropic:claude-opus-4-8", vendor, chat(schema=SCHEMA), options=options)
        await ask("anthropic:claude-3-7-sonnet", vendor, chat(schema=SCHEMA), options=options)
        first, second = (one.body for one in vendor.requests)
    assert first["thinking"] == {"type": "adaptive"}
    assert first["output_config"]["effort"] == "medium" and "format" in first["output_config"]
    assert json.loads(newer.text)["title"]
    assert second["thinking"] == {"type": "enabled", "budget_tokens": 8192}
    assert second["max_tokens"] == 300 + 8192
    assert "tools" not in second  # a forced tool and thinking exclude each other


async def test_pictures_become_url_and_base64_blocks() -> None:
    parts = ("Look", Image("https://x.example/a.jpg"), Image("data:image/png;base64,AAAA"))
    async with Vendor() as vendor:
        await ask(CLAUDE, vendor, Chat((Message("user", parts),), 50))
        content = vendor.requests[0].body["messages"][0]["content"]
    assert content[1]["source"] == {"type": "url", "url": "https://x.example/a.jpg"}
    assert content[2]["source"] == {"type": "base64", "media_type": "image/png", "data": "AAAA"}


async def test_the_base_url_may_end_with_the_version_or_not() -> None:
    async with Vendor() as vendor:
        for url in (vendor.origin, vendor.url, vendor.origin + "/anthropic"):
            async with opened(CLAUDE, url) as provider:
                await provider(chat())
        paths = [one.path for one in vendor.requests]
    assert paths == ["/v1/messages", "/v1/messages", "/anthropic/v1/messages"]


def test_settings_that_cannot_work_are_said_before_anything_is_sent() -> None:
    with pytest.raises(ConfigError, match="ANTHROPIC_API_KEY"):
        open_provider(model(CLAUDE, keys=()))
    with pytest.raises(ConfigError, match="no JSON object mode"):
        open_provider(model(CLAUDE, structured="object"))
