"""The bytes of the loopback vendor: HTTP responses in OpenAI's and Anthropic's shapes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from tests.vendor_replies import prompt_text

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Slow"}


@dataclass
class Reply:
    """What the server sends instead of its usual answer.

    `text` alone gives a normal 200 in the protocol's shape; `body` replaces the whole HTTP body.
    `calls` are tools the model calls, as names with arguments (an object, or a text as it is).
    `cut` sends only so many bytes and closes; `silent` never answers; `delay` is in seconds.
    """

    text: str | None = None
    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    finish: str | None = None
    refusal: str | None = None
    usage: Mapping[str, Any] | None = None
    delay: float = 0.0
    cut: int | None = None
    silent: bool = False
    close: bool = False
    outcome: str = "override"
    calls: Sequence[tuple[str, Any]] = ()


Hook = Callable[[dict[str, Any], str], "Reply | str | dict[str, Any] | None"]


def openai_error(status: int, message: str, *, code: str | None = None, **headers: str) -> Reply:
    """An error in OpenAI's shape; header names take `_` for `-`."""
    body = {"error": {"message": message, "type": code or "error", "param": None, "code": code}}
    return Reply(
        status=status, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def anthropic_error(status: int, kind: str, message: str, **headers: str) -> Reply:
    """An error in Anthropic's shape."""
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    return Reply(
        status=status, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def http(
    status: int, body: bytes, headers: Mapping[str, str], kind: str = "application/json"
) -> bytes:
    extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = (
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}\r\ncontent-type: {kind}\r\n"
        f"content-length: {len(body)}\r\n{extra}\r\n"
    )
    return head.encode("latin-1") + body


def payload(path: str, request: dict[str, Any], raw: bytes, digest: int, reply: Reply) -> bytes:
    """The bytes of one HTTP response in the protocol of `path`."""
    headers = {"x-request-id": f"req_{digest:016x}", **reply.headers}
    if reply.body is not None:
        body = reply.body if isinstance(reply.body, bytes) else orjson.dumps(reply.body)
        streamed = body.startswith((b"data:", b"event:", b":"))
        kind = "text/event-stream" if streamed else "application/json"
        return http(reply.status, body, headers, kind)
    anthropic = path.endswith("/messages")
    make = _anthropic_message if anthropic else _openai_completion
    message = make(request, raw, digest, reply)
    if request.get("stream"):
        stream = _anthropic_events if anthropic else _openai_events
        body = stream(request, message)
        kind = "text/event-stream"
    else:
        body = orjson.dumps(message)
        kind = "application/json"
    if reply.cut == -1:  # malformed: cut the JSON, but with a content length that fits it
        body = body[: max(1, len(body) * 2 // 3)]
    return http(reply.status, body, headers, kind)


def _tokens(request: dict[str, Any], raw: bytes, text: str) -> tuple[int, int, int]:
    """Tokens in, of these cached, and out: a quarter of the characters, cached from 1,024 on."""
    messages = request.get("messages") or [{}]
    fixed = len(prompt_text(messages[0])) // 4 if messages[0].get("role") == "system" else 0
    cached = fixed // 128 * 128 if fixed >= 1024 else 0
    return max(1, len(raw) // 4), cached, max(1, (len(text) + 3) // 4)


def _openai_completion(
    request: dict[str, Any], raw: bytes, digest: int, reply: Reply
) -> dict[str, Any]:
    text = reply.text or ""
    finish = reply.finish or "stop"
    limit = request.get("max_completion_tokens") or request.get("max_tokens")
    if limit is not None and len(text) > limit * 4 and reply.finish is None:
        text, finish = text[: limit * 4], "length"
    given, cached, made = _tokens(request, raw, text)
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if reply.refusal is not None:
        message["content"], message["refusal"] = None, reply.refusal
    elif request.get("tools") and isinstance(request.get("tool_choice"), dict):
        name = request["tool_choice"]["function"]["name"]
        call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": text}}
        message["content"], message["tool_calls"] = None, [call]
    if reply.calls:
        message["content"] = reply.text
        message["tool_calls"] = [
            {
                "id": f"call_{digest:08x}_{place}",
                "type": "function",
                "function": {"name": name, "arguments": _arguments(given)},
            }
            for place, (name, given) in enumerate(reply.calls)
        ]
        finish = reply.finish or "tool_calls"
    thought = 64 if request.get("reasoning_effort") in ("low", "medium", "high") else 0
    usage = reply.usage or {
        "prompt_tokens": given,
        "completion_tokens": made + thought,
        "total_tokens": given + made + thought,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": thought},
    }
    return {
        "id": f"chatcmpl-{digest:016x}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": request.get("model", ""),
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
    }


def _arguments(given: Any) -> str:
    return given if isinstance(given, str) else json.dumps(given)


def _openai_events(request: dict[str, Any], message: dict[str, Any]) -> bytes:
    base = {k: message[k] for k in ("id", "created", "model")}
    base["object"] = "chat.completion.chunk"
    choice = message["choices"][0]
    out: list[bytes] = []

    def push(delta: dict[str, Any], finish: str | None = None) -> None:
        chunk = {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        out.append(b"data: " + orjson.dumps(chunk) + b"\n\n")

    push({"role": "assistant", "content": ""})
    if choice["message"].get("refusal"):
        push({"refusal": choice["message"]["refusal"]})
    text = choice["message"]["content"] or ""
    for start in range(0, len(text), 24):
        push({"content": text[start : start + 24]})
    for place, call in enumerate(choice["message"].get("tool_calls") or ()):
        arguments = call["function"]["arguments"]
        opening = {**call, "index": place, "function": {**call["function"], "arguments": ""}}
        push({"tool_calls": [opening]})
        for start in range(0, len(arguments), 24):
            piece = {"index": place, "function": {"arguments": arguments[start : start + 24]}}
            push({"tool_calls": [piece]})
    push({}, choice["finish_reason"])
    if (request.get("stream_options") or {}).get("include_usage"):
        last = {**base, "choices": [], "usage": message["usage"]}
        out.append(b"data: " + orjson.dumps(last) + b"\n\n")
    out.append(b"data: [DONE]\n\n")
    return b"".join(out)


def _anthropic_message(
    request: dict[str, Any], raw: bytes, digest: int, reply: Reply
) -> dict[str, Any]:
    text = reply.text or ""
    stop = reply.finish or "end_turn"
    limit = request.get("max_tokens")
    if limit is not None and len(text) > limit * 4 and reply.finish is None:
        text, stop = text[: limit * 4], "max_tokens"
    given, _, made = _tokens(request, raw, text)
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if reply.refusal is not None:
        content, stop = [], "refusal"
    elif request.get("tools") and (request.get("tool_choice") or {}).get("type") == "tool":
        name = request["tool_choice"]["name"]
        try:
            value = orjson.loads(text)
            stop = reply.finish or "tool_use"
        except ValueError:
            value = {}
        content = [{"type": "tool_use", "id": "toolu_1", "name": name, "input": value}]
    if reply.calls:
        content = [{"type": "text", "text": text}] if text else []
        content += [
            {"type": "tool_use", "id": f"toolu_{digest:08x}_{place}", "name": name, "input": given}
            for place, (name, given) in enumerate(reply.calls)
        ]
        stop = reply.finish or "tool_use"
    if (request.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
        content.insert(0, {"type": "thinking", "thinking": "Let me see.", "signature": "x"})
    usage = reply.usage or {
        "input_tokens": given,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
        "output_tokens": made,
    }
    return {
        "id": f"msg_{digest:016x}",
        "type": "message",
        "role": "assistant",
        "model": request.get("model", ""),
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }


def _anthropic_events(request: dict[str, Any], message: dict[str, Any]) -> bytes:
    out: list[bytes] = []

    def push(kind: str, **fields: Any) -> None:
        data = json.dumps({"type": kind, **fields})
        out.append(f"event: {kind}\ndata: {data}\n\n".encode())

    opening = {**message, "content": [], "stop_reason": None}
    opening["usage"] = {**message["usage"], "output_tokens": 1}
    push("message_start", message=opening)
    push("ping")
    for index, block in enumerate(message["content"]):
        if block["type"] == "tool_use":
            push("content_block_start", index=index, content_block={**block, "input": {}})
            text, name, kind = json.dumps(block["input"]), "partial_json", "input_json_delta"
        elif block["type"] == "thinking":
            push("content_block_start", index=index, content_block={**block, "thinking": ""})
            text, name, kind = block["thinking"], "thinking", "thinking_delta"
        else:
            push("content_block_start", index=index, content_block={"type": "text", "text": ""})
            text, name, kind = block["text"], "text", "text_delta"
        for start in range(0, len(text), 24):
            push(
                "content_block_delta",
                index=index,
                delta={"type": kind, name: text[start : start + 24]},
            )
        push("content_block_stop", index=index)
    push(
        "message_delta",
        delta={"stop_reason": message["stop_reason"], "stop_sequence": None},
        usage={"output_tokens": message["usage"]["output_tokens"]},
    )
    push("message_stop")
    return b"".join(out)
