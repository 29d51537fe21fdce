"""OpenAI's chat completions over real HTTP, against the loopback vendor."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.providers.asking import KEY, PRODUCT, SCHEMA, ask, chat, failure, model, opened
from tests.vendor import Reply, Vendor

from waremill.domain import Chat, Image, Message
from waremill.errors import ConfigError, SourceError, Unavailable
from waremill.providers import open_provider

GPT = "openai:gpt-4.1-mini"


async def test_a_plain_reply_carries_text_usage_model_and_request_id() -> None:
    async with Vendor() as vendor:
        response = await ask(GPT, vendor)
        sent = vendor.requests[0]
    assert response.outcome == "complete"
    assert "Eau Sauvage" in response.text
    assert response.model == "gpt-4.1-mini"
    assert response.request_id is not None and response.request_id.startswith("req_")
    assert response.usage.input > 10 and response.usage.output > 2
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.headers["content-type"] == "application/json"
    assert sent.body["max_tokens"] == 300
    assert sent.body["messages"][0] == {"role": "system", "content": "You write product copy."}


async def test_a_schema_is_asked_for_natively_and_strictly() -> None:
    async with Vendor() as vendor:
        response = await ask(GPT, vendor, chat(schema=SCHEMA))
        shape = vendor.requests[0].body["response_format"]["json_schema"]
    reply = json.loads(response.text)
    assert reply["family"] in ("woody", "fresh") and len(reply["points"]) >= 2
    assert shape["strict"] is True
    title = shape["schema"]["properties"]["title"]
    assert title == {"type": "string", "description": "At most 40 characters."}
    assert shape["schema"]["properties"]["points"]["minItems"] == 2
    assert shape["schema"]["additionalProperties"] is False


@pytest.mark.parametrize(
    ("use", "way"),
    [
        ("openai:gpt-4.1", "schema"),
        ("openai:gpt-4-turbo", "object"),
        ("openai:gpt-4", "tool"),
        ("dashscope:qwen-plus", "schema"),
        ("dashscope:qwen-max", "object"),
        ("deepseek:deepseek-flash", "object"),
        ("google:gemini-2.5-flash", "schema"),
        ("vllm:any", "schema"),
        ("ollama:llama3", "schema"),
        ("llamacpp:x", "schema"),
        ("custom:x", "schema"),
    ],
)
async def test_each_vendor_is_asked_for_json_by_its_own_mechanism(use: str, way: str) -> None:
    async with Vendor() as vendor:
        response = await ask(use, vendor, chat(schema=SCHEMA))
        body = vendor.requests[0].body
    assert set(json.loads(response.text)) == {"title", "points", "family"}
    if way == "schema":
        assert body["response_format"]["type"] == "json_schema"
    elif way == "object":
        assert body["response_format"] == {"type": "json_object"}
        assert "JSON Schema" in body["messages"][0]["content"]
    else:
        assert body["tool_choice"]["function"]["name"] == body["tools"][0]["function"]["name"]


async def test_own_servers_get_the_schema_untouched() -> None:
    async with Vendor() as vendor:
        await ask("vllm:any", vendor, chat(schema=SCHEMA))
        assert vendor.requests[0].body["response_format"]["json_schema"]["schema"] == SCHEMA


async def test_structured_text_puts_the_schema_into_the_instruction() -> None:
    async with Vendor() as vendor:
        response = await ask(GPT, vendor, chat(schema=SCHEMA), structured="text")
        body = vendor.requests[0].body
        alone = Chat((Message("user", PRODUCT),), 50, SCHEMA)
        await ask(GPT, vendor, alone, structured="text")
        second = vendor.requests[1].body
    assert set(json.loads(response.text)) == {"title", "points", "family"}
    assert "response_format" not in body and "maxLength" in body["messages"][0]["content"]
    assert [one["role"] for one in second["messages"]] == ["system", "user"]


@pytest.mark.parametrize(
    ("use", "urls", "name"),
    [
        ("openai:gpt-4o", False, "max_tokens"),
        ("openai:o4-mini", True, "max_completion_tokens"),
        ("openai:gpt-5-mini", True, "max_completion_tokens"),
        ("openai:qwen2.5-7b", True, "max_tokens"),
        ("azure:my-deployment", True, "max_completion_tokens"),
        ("azure:gpt-4o", True, "max_tokens"),
        ("deepseek:deepseek-chat", True, "max_tokens"),
    ],
)
async def test_the_limit_has_the_name_the_model_family_takes(
    use: str, urls: bool, name: str
) -> None:
    async with Vendor() as vendor:
        await ask(use, vendor)
        body = vendor.requests[0].body
    assert {"max_tokens", "max_completion_tokens"} & set(body) == {name}


async def test_sampling_settings_are_passed_and_samples_get_seeds_of_their_own() -> None:
    options = {"temperature": 0.2, "top_p": 0.9, "seed": 7, "stop": ["END"]}
    async with Vendor() as vendor:
        await ask(GPT, vendor, chat(options=options))
        await ask(GPT, vendor, chat(options=options, sample=2, take=1))
        first, second = (one.body for one in vendor.requests)
    assert {name: first[name] for name in options} == options
    assert second["seed"] == 7 + 2 + 1000


@pytest.mark.parametrize(
    ("use", "effort", "fields", "more"),
    [
        ("openai:gpt-5-mini", None, {"reasoning_effort": "minimal"}, 512),
        ("openai:gpt-5.1", None, {"reasoning_effort": "none"}, 0),
        ("openai:gpt-5-mini", "high", {"reasoning_effort": "high"}, 24_576),
        ("openai:gpt-5-mini", "default", {}, 8_192),
        ("openai:gpt-4.1", None, {}, 0),
        ("dashscope:qwen-plus", None, {"enable_thinking": False}, 0),
        ("dashscope:qwen-plus", "low", {"enable_thinking": True}, 2_048),
        ("deepseek:deepseek-flash", None, {"thinking": {"type": "disabled"}}, 0),
        ("google:gemini-2.5-flash", None, {"reasoning_effort": "none"}, 0),
    ],
)
async def test_models_think_as_little_as_they_can_unless_told(
    use: str, effort: str | None, fields: dict[str, Any], more: int
) -> None:
    options = {"effort": effort} if effort else {}
    async with Vendor() as vendor:
        await ask(use, vendor, chat(options=options), options=options)
        body = vendor.requests[0].body
    words = ("reasoning_effort", "enable_thinking", "thinking")
    assert {name: body[name] for name in words if name in body} == fields
    assert (body.get("max_tokens") or body.get("max_completion_tokens")) == 300 + more


async def test_streaming_emits_the_pieces_of_the_text_and_gives_the_usage() -> None:
    pieces: list[str] = []
    async with Vendor() as vendor:
        streamed = await ask(GPT, vendor, chat(schema=SCHEMA), pieces.append)
        plain = await ask(GPT, vendor, chat(schema=SCHEMA))
        assert vendor.requests[0].body["stream_options"] == {"include_usage": True}
    assert len(pieces) > 2 and "".join(pieces) == streamed.text == plain.text
    assert streamed.usage.output == plain.usage.output
    assert streamed.outcome == "complete" and streamed.model == "gpt-4.1-mini"


async def test_a_stream_with_crlf_comments_and_split_data_lines_is_read() -> None:
    body = (
        b": keep-alive\r\n\r\nevent: x\r\nid: 1\r\n"
        b'data: {"choices": [{"delta":\r\ndata: {"content": "Gr\xc3\xbc\xc3\x9fe"}}]}\r\n\r\n'
        b'data:{"choices":[{"delta":{},"finish_reason":"stop"}]}\r\n\r\n'
        b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3}}\r\n\r\n'
        b"data: [DONE]\r\n\r\n"
    )
    pieces: list[str] = []
    async with Vendor(reply=lambda *_: Reply(body=body)) as vendor:
        response = await ask(GPT, vendor, emit=pieces.append)
    assert (response.text, response.usage.input, response.usage.output) == ("Grüße", 5, 3)
    assert pieces == ["Grüße"]


async def test_a_server_that_does_not_stream_is_read_all_the_same() -> None:
    whole = {
        "choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}],
        "object": "chat.completion",
        "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    }
    pieces: list[str] = []
    async with Vendor(reply=lambda *_: Reply(body=whole)) as vendor:
        response = await ask(GPT, vendor, emit=pieces.append)
    assert response.text == "Hello" and pieces == ["Hello"]


async def test_a_stream_cut_before_its_end_is_unavailable() -> None:
    body = b'data: {"choices":[{"delta":{"content":"Half"}}]}\n\n'
    async with Vendor(reply=lambda *_: Reply(body=body)) as vendor:
        error = await failure(GPT, vendor, emit=lambda _: None)
        assert isinstance(error, Unavailable) and "cut" in error.message
    async with Vendor(cut=1.0) as vendor:
        assert isinstance(await failure(GPT, vendor, emit=lambda _: None), Unavailable)


async def test_an_error_inside_a_stream_is_sorted_like_any_other() -> None:
    body = b'data: {"error":{"message":"overloaded","code":503}}\n\n'
    async with Vendor(reply=lambda *_: Reply(body=body)) as vendor:
        error = await failure(GPT, vendor, emit=lambda _: None)
    assert isinstance(error, Unavailable) and "overloaded" in error.message


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_truncated_reply_is_an_answer_with_that_outcome(streamed: bool) -> None:
    emit = (lambda _: None) if streamed else None
    async with Vendor(truncated=1.0) as vendor:
        response = await ask(GPT, vendor, chat(schema=SCHEMA), emit)
    assert response.outcome == "truncated" and response.text.startswith('{"title"')


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_refusal_is_an_answer_with_that_outcome(streamed: bool) -> None:
    emit = (lambda _: None) if streamed else None
    async with Vendor(refused=1.0) as vendor:
        response = await ask(GPT, vendor, chat(schema=SCHEMA), emit)
    assert response.outcome == "refused" and "can’t help" in response.text


async def test_a_reply_stopped_by_the_content_filter_is_refused() -> None:
    async with Vendor(reply=lambda *_: Reply(text="Half a", finish="content_filter")) as vendor:
        response = await ask(GPT, vendor)
    assert (response.outcome, response.text) == ("refused", "Half a")


@pytest.mark.parametrize(
    ("use", "usage", "expected"),
    [
        (
            "openai:x",
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "prompt_tokens_details": {"cached_tokens": 64},
                "completion_tokens_details": {"reasoning_tokens": 30},
            },
            (100, 50, 64, 30),
        ),
        (
            "deepseek:x",
            {"prompt_tokens": 100, "completion_tokens": 50, "prompt_cache_hit_tokens": 40},
            (100, 50, 40, 0),
        ),
        (
            "google:gemini-2.5-pro",
            {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 400},
            (100, 300, 0, 250),
        ),
        (
            "ollama:x",
            {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": None},
            (9, 3, 0, 0),
        ),
    ],
)
async def test_usage_is_read_in_each_vendors_shape(
    use: str, usage: dict[str, Any], expected: tuple[int, ...]
) -> None:
    async with Vendor(reply=lambda *_: Reply(text="ok", usage=usage)) as vendor:
        got = (await ask(use, vendor)).usage
    assert (got.input, got.output, got.cached, got.reasoning) == expected


async def test_a_reply_without_usage_is_estimated_not_free() -> None:
    body = {"choices": [{"message": {"content": "Some words here"}, "finish_reason": "stop"}]}
    async with Vendor(reply=lambda *_: Reply(body=body)) as vendor:
        usage = (await ask("custom:x", vendor)).usage
    assert usage.input > 20 and usage.output >= 3


async def test_pictures_go_out_as_urls_and_files_as_data(tmp_path: Path) -> None:
    (tmp_path / "bottle.png").write_bytes(b"\x89PNG fake")
    parts = (
        "What is this?",
        Image("https://example.com/a.jpg"),
        Image("data:image/png;base64,AA=="),
        Image(str(tmp_path / "bottle.png")),
    )
    async with Vendor() as vendor:
        await ask(GPT, vendor, Chat((Message("user", parts),), 50))
        content = vendor.requests[0].body["messages"][0]["content"]
        with pytest.raises(SourceError, match="picture cannot be sent"):
            missing = Message("user", (Image(str(tmp_path / "none.png")),))
            await ask(GPT, vendor, Chat((missing,), 50))
    assert content[0] == {"type": "text", "text": "What is this?"}
    urls = [part["image_url"]["url"] for part in content[1:]]
    assert urls[:2] == ["https://example.com/a.jpg", "data:image/png;base64,AA=="]
    assert base64.b64decode(urls[2].partition(",")[2]) == b"\x89PNG fake"


async def test_a_large_picture_is_sent() -> None:
    picture = Image("data:image/png;base64," + "A" * 3_000_000)
    async with Vendor() as vendor:
        response = await ask(GPT, vendor, Chat((Message("user", ("Look", picture)),), 50))
        assert len(vendor.requests[0].raw) > 3_000_000
    assert response.outcome == "complete"


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("", "/openai/deployments/copy/chat/completions?api-version=2024-10-21"),
        ("?api-version=2026-01", "/openai/deployments/copy/chat/completions?api-version=2026-01"),
        ("/openai/deployments/x", "/openai/deployments/x/chat/completions?api-version=2024-10-21"),
        ("/openai/v1", "/openai/v1/chat/completions"),
    ],
)
async def test_azure_addresses_are_made_from_the_deployment(base: str, path: str) -> None:
    async with Vendor() as vendor:
        async with opened("azure:copy", vendor.origin + base) as provider:
            assert (await provider(chat())).outcome == "complete"
        sent = vendor.requests[0]
    assert sent.path == path
    assert sent.headers["api-key"] == KEY and "authorization" not in sent.headers


async def test_extra_headers_are_sent_and_may_replace_the_key() -> None:
    headers = {"Authorization": "Token abcdef123", "X-Team": "copy"}
    async with Vendor() as vendor:
        await ask(GPT, vendor, headers=headers)
        sent = vendor.requests[0].headers
    assert sent["authorization"] == "Token abcdef123" and sent["x-team"] == "copy"


async def test_one_connection_serves_calls_one_after_another() -> None:
    async with Vendor() as vendor:
        async with opened(GPT, vendor.url) as provider:
            for _ in range(5):
                await provider(chat())
        assert vendor.accepted == 1


async def test_the_same_schema_object_is_serialised_once() -> None:
    async with Vendor() as vendor, opened(GPT, vendor.url) as provider:
        for _ in range(3):
            await provider(chat(schema=SCHEMA))
        assert len(provider._shapes) == 1  # type: ignore[attr-defined]
        bodies = {one.raw for one in vendor.requests}
    assert len(bodies) == 1


def test_identity_names_vendor_model_and_address_but_no_alias_and_no_login() -> None:
    one = open_provider(model(GPT, "https://user:pass@host.example/v1/"))
    assert one.identity == "openai:gpt-4.1-mini https://host.example/v1"
    default = open_provider(model(GPT))
    explicit = open_provider(model(GPT, "https://api.openai.com/v1"))
    assert default.identity == explicit.identity


@pytest.mark.parametrize(
    ("use", "urls", "keys", "words"),
    [
        ("openai:gpt-4.1", (), (), "OPENAI_API_KEY"),
        ("azure:x", (), ("k",), "base_url"),
        ("vertex:google/gemini-2.5-pro", (), ("k",), "base_url"),
        ("openai:", (), ("k",), "NAME"),
        ("openai:gpt-4.1", ("ftp://x",), ("k",), "no http"),
        ("nobody:x", (), (), "no vendor"),
    ],
)
def test_settings_that_cannot_work_are_said_before_anything_is_sent(
    use: str, urls: tuple[str, ...], keys: tuple[str, ...], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        open_provider(model(use, *urls, keys=keys))


def test_no_key_is_needed_on_loopback_or_for_own_servers() -> None:
    open_provider(model(GPT, "http://localhost:8000/v1", keys=()))
    open_provider(model("ollama:llama3", keys=()))
    open_provider(model("custom:x", "http://10.0.0.5/v1", keys=()))


async def test_a_key_never_shows_in_a_repr() -> None:
    async with Vendor() as vendor, opened(GPT, vendor.url, proxy=None) as provider:
        await provider(chat())
        shown = repr(provider) + repr(vars(provider))
        assert KEY not in shown
        connection = provider._connection  # type: ignore[attr-defined]
        assert KEY not in repr(connection.endpoints) + repr(connection) + repr(connection.source)


async def test_the_body_is_what_orjson_reads_back() -> None:
    text = 'quote " backslash \\ newline \n emoji 🧴 中文'
    async with Vendor() as vendor:
        await ask(GPT, vendor, chat(text))
        assert orjson.loads(vendor.requests[0].raw)["messages"][1]["content"] == text
