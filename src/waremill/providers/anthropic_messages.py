"""Anthropic's messages protocol.

Builds the request, reads the reply or the stream. JSON comes by the native structured output of
Claude 4.5 and later, by a forced tool for older models and for other servers that speak this
protocol. A long system prompt is marked for the prompt cache. Must not retry, cache or count.

Sources, read 2026-11: Anthropic API reference (Messages, Errors, Streaming), “Structured outputs”,
“Effort”, “Adaptive thinking”, “Prompt caching”.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

import orjson

from waremill.domain import (
    AnyMessage,
    CallMessage,
    Chat,
    Emit,
    ImageRequest,
    Model,
    Outcome,
    Response,
    ResultMessage,
    Usage,
)
from waremill.errors import ConfigError, Refused
from waremill.providers.calling import (
    REPLY,
    Calling,
    add_anthropic_result,
    anthropic_calls,
    anthropic_tools,
)
from waremill.providers.drawing import chat_of
from waremill.providers.effort import ALLOWANCE, effort_of, reasoning_allowance
from waremill.providers.http import Connection, base_urls, identity, join_url, require_key
from waremill.providers.pictures import anthropic_blocks, needs_files, with_files
from waremill.providers.schemas import ANTHROPIC, adapt, instruction
from waremill.providers.tokens import estimated_usage

VENDORS: frozenset[str] = frozenset({"anthropic"})
DEFAULT_URL = "https://api.anthropic.com"
VERSION = "2023-06-01"
CACHE_FROM = 3_000
"""Characters from which a system prompt is marked for the cache; shorter ones are under the
1,024-token minimum of every model."""

_OUTCOMES: Mapping[str, Outcome] = {
    "max_tokens": "truncated",
    "model_context_window_exceeded": "truncated",
    "refusal": "refused",
}
# Claude 3 and the first Claude 4: no native structured output, thinking by a budget of tokens.
_OLDER = re.compile(r"claude-(2|3|instant)|claude-(opus|sonnet)-4-(0|1|20\d\d)")
_BUDGETED = re.compile(r"claude-(2|3|instant)|claude-\w+-4-([0-5](-|$)|20\d\d)")


def open_provider(model: Model) -> AnthropicMessages:
    """Open a model that speaks the messages protocol; ConfigError says what its settings lack."""
    if not model.name:
        raise ConfigError(f"model “{model.alias}”: write {model.vendor}:NAME")
    if model.structured == "object":
        raise ConfigError(
            f"model “{model.alias}”: Anthropic has no JSON object mode; use structured = 'tool'"
        )
    urls = base_urls(model, DEFAULT_URL)
    require_key(model, urls, "ANTHROPIC_API_KEY")
    return AnthropicMessages(model, urls)


class AnthropicMessages:
    """One model behind the messages protocol; see `waremill.domain.Provider`."""

    def __init__(self, model: Model, urls: tuple[str, ...]) -> None:
        self._model = model
        self._urls = urls
        self._identity = identity(model, urls)
        addresses = tuple(address(url, "/messages") for url in urls)
        auth = {"x-api-key": "{key}", "anthropic-version": VERSION}
        self._connection = Connection(model, addresses, auth)
        self._allowance = reasoning_allowance(model)
        self._effort = effort_of(model)
        self.structured = model.structured
        if model.structured == "auto":
            native = model.name.startswith("claude") and not _OLDER.match(model.name)
            self.structured = "schema" if native else "tool"
        if self._thinks and self.structured == "tool":
            self.structured = "text"  # a forced tool and thinking exclude each other
        self._shapes: dict[int, tuple[Mapping[str, Any], Any]] = {}

    def __repr__(self) -> str:
        return f"AnthropicMessages({self._model.use})"

    @property
    def identity(self) -> str:
        """The model's `use` and base URLs."""
        return self._identity

    @property
    def _thinks(self) -> bool:
        return self._effort is not None and self._effort not in ("none", "minimal")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connection.aclose()

    async def __call__(self, request: Chat | ImageRequest, emit: Emit | None = None) -> Response:
        """Send one request once; see `waremill.domain.Provider`."""
        request = chat_of(request, self._model)
        if needs_files(request):
            request = await with_files(request)
        body = self._body(request)
        try:
            if emit is not None:
                return await self._stream(body, request, emit)
            reply = await self._connection.post(orjson.dumps(body))
        except Refused as error:
            return Response(error.message, "refused", Usage(), self._model.name, error.request_id)
        try:
            data = orjson.loads(reply.body)
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise self._connection.broken("sent a reply that is not JSON", reply.request_id)
        return self.read(data, request, reply.request_id)

    def written(self, request: Chat) -> bytes:
        """Write a request as it goes over the wire; its pictures must be `data:` or web URLs."""
        return orjson.dumps(self._body(request))

    def _body(self, request: Chat) -> dict[str, Any]:
        system: list[str] = []
        messages: list[dict[str, Any]] = []
        for message in request.messages:
            if message.role == "system" and isinstance(message.content, str):
                system.append(message.content)
            else:
                _add_message(messages, message)
        body: dict[str, Any] = {
            "model": self._model.name,
            "max_tokens": request.max_tokens + self._allowance,
            "messages": messages,
        }
        self._add_options(body, request)
        if request.schema is not None:
            words = self._add_schema(body, request.schema)
            if words:
                system.append(words)
        if request.tools:
            _add_tools(body, request)
        if system:
            text = "\n\n".join(system)
            block: dict[str, Any] = {"type": "text", "text": text}
            if len(text) >= CACHE_FROM:
                block["cache_control"] = {"type": "ephemeral"}
            body["system"] = [block]
        return body

    def _add_options(self, body: dict[str, Any], request: Chat) -> None:
        options = request.options
        for name in ("temperature", "top_p"):
            if options.get(name) is not None:
                body[name] = options[name]
        stop = options.get("stop")
        if stop:
            body["stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
        # The protocol has no seed; a seed still tells requests apart in our own hash.
        if not self._thinks:
            return
        if _BUDGETED.match(self._model.name):
            if request.tools:
                return  # their thoughts would have to be sent back with the calls; none are kept
            budget = max(1_024, ALLOWANCE.get(str(self._effort), ALLOWANCE["medium"]))
            body["thinking"] = {"type": "enabled", "budget_tokens": budget}
        else:
            body["thinking"] = {"type": "adaptive"}
            body["output_config"] = {"effort": self._effort}

    def _add_schema(self, body: dict[str, Any], schema: Mapping[str, Any]) -> str:
        known = self._shapes.get(id(schema))
        if known is None or known[0] is not schema:
            if len(self._shapes) >= 256:
                self._shapes.clear()
            made: Any = instruction(schema)
            if self.structured != "text":
                made = orjson.Fragment(orjson.dumps(adapt(schema, ANTHROPIC)))
            known = self._shapes[id(schema)] = (schema, made)
        if self.structured == "schema":
            wanted = {"type": "json_schema", "schema": known[1]}
            body["output_config"] = {**body.get("output_config", {}), "format": wanted}
        elif self.structured == "tool":
            tool = {"name": REPLY, "description": "Gives the reply.", "input_schema": known[1]}
            body["tools"] = [tool]
            body["tool_choice"] = {"type": "tool", "name": REPLY}
        else:
            return str(known[1])
        return ""

    def read(self, data: dict[str, Any], request: Chat, request_id: str | None) -> Response:
        """Read a whole reply; raises `ProviderError` where it is none."""
        request_id = request_id or data.get("id")
        if data.get("type") == "error":
            raise self._connection.error_in(data, request_id)
        try:
            calling = Calling()
            text = "".join(
                _block_text(block, calling if request.tools else None) for block in data["content"]
            )
            text = text if not calling.reply else calling.reply
            outcome = _OUTCOMES.get(data.get("stop_reason") or "", "complete")
        except (KeyError, TypeError, AttributeError):
            raise self._connection.broken("sent a reply of an unknown shape", request_id) from None
        if not data["content"] and outcome == "complete":
            raise self._connection.broken("sent a reply without an answer", request_id)
        usage = _usage(data.get("usage"), request, text)
        name = data.get("model") or ""
        return Response(text, outcome, usage, name, request_id, calls=calling.calls)

    async def _stream(self, body: dict[str, Any], request: Chat, emit: Emit) -> Response:
        body["stream"] = True
        state = _Streamed(called=bool(request.tools))
        request_id: str | None = None
        async with aclosing(self._connection.stream(orjson.dumps(body))) as pieces:
            async for piece, request_id in pieces:
                try:
                    data = orjson.loads(piece)
                    kind = data.get("type")
                except (ValueError, AttributeError):
                    raise self._connection.broken("sent a broken stream", request_id) from None
                if kind == "message":
                    whole = self.read(data, request, request_id)
                    emit(whole.text)
                    return whole
                if kind == "error":
                    raise self._connection.error_in(data, request_id)
                if kind == "message_stop":
                    state.ended = True
                    break
                state.add(kind, data, emit)
        if not state.ended:
            raise self._connection.broken("cut the stream", request_id)
        text = state.calling.reply or "".join(state.text)
        usage = _usage(state.counts, request, text)
        outcome = _OUTCOMES.get(state.stop or "", "complete")
        return Response(text, outcome, usage, state.model, request_id, calls=state.calling.calls)

    async def list_models(self) -> tuple[str, ...]:
        """Give the names the endpoint offers."""
        data = await self._connection.get_json(address(self._urls[0], "/models"))
        return tuple(str(one.get("id", "")) for one in data.get("data") or ())


class _Streamed:
    """What has come in of a stream."""

    __slots__ = ("called", "calling", "counts", "ended", "model", "stop", "text")

    def __init__(self, called: bool) -> None:
        self.called = called
        self.calling = Calling()
        self.counts: dict[str, Any] = {}
        self.ended = False
        self.model = ""
        self.stop: str | None = None
        self.text: list[str] = []

    def add(self, kind: str | None, data: Mapping[str, Any], emit: Emit) -> None:
        if kind == "message_start":
            message = data.get("message") or {}
            self.model = message.get("model") or ""
            self.counts.update(message.get("usage") or {})
        elif kind == "content_block_start":
            block = data.get("content_block") or {}
            if self.called and block.get("type") == "tool_use":
                self.calling.start(data.get("index", 0), block.get("id", ""), block.get("name", ""))
        elif kind == "content_block_delta":
            delta = data.get("delta") or {}
            if self.called and delta.get("type") == "input_json_delta":
                self.calling.go_on(data.get("index", 0), delta.get("partial_json") or "", emit)
                return
            new = delta.get("text") or delta.get("partial_json") or ""
            if new:
                emit(new)
                self.text.append(new)
        elif kind == "message_delta":
            self.stop = (data.get("delta") or {}).get("stop_reason") or self.stop
            self.counts.update(data.get("usage") or {})


def _add_message(messages: list[dict[str, Any]], message: AnyMessage) -> None:
    if isinstance(message, CallMessage):
        messages.append(anthropic_calls(message))
    elif isinstance(message, ResultMessage):
        add_anthropic_result(messages, message)
    else:
        content: Any = message.content
        if not isinstance(content, str):
            content = anthropic_blocks(content)
        role = "user" if message.role == "system" else message.role
        messages.append({"role": role, "content": content})


def _add_tools(body: dict[str, Any], request: Chat) -> None:
    """Offer the tools; beside a reply that is given by a tool, one of them must be called."""
    may_call = request.tool_choice == "auto"
    if "tools" in body:
        body["tools"] = [*anthropic_tools(request), *body["tools"]]
        if may_call:
            body["tool_choice"] = {"type": "any"}
    else:
        body["tools"] = anthropic_tools(request)
        body["tool_choice"] = {"type": request.tool_choice}


def address(url: str, path: str) -> str:
    """Append a path to a base URL that may end in a version or not."""
    return join_url(url, path if re.search(r"/v\d+/?$", url.partition("?")[0]) else "/v1" + path)


def _block_text(block: Mapping[str, Any], calling: Calling | None) -> str:
    """Give a block's text; a call goes to `calling`, or is the reply where no tool was offered."""
    if block["type"] == "text":
        return str(block["text"])
    if block["type"] == "tool_use":
        given = orjson.dumps(block["input"]).decode()
        if calling is None:
            return given
        calling.add_whole(str(block.get("id") or ""), str(block["name"]), given)
    return ""


def _usage(data: Any, request: Chat, text: str) -> Usage:
    """Add up the usage: Anthropic counts cached and newly cached input apart from the rest."""
    if not isinstance(data, dict) or data.get("input_tokens") is None:
        return estimated_usage(request, text)
    read = int(data.get("cache_read_input_tokens") or 0)
    written = int(data.get("cache_creation_input_tokens") or 0)
    made = int(data.get("output_tokens") or 0)
    inside = data.get("output_tokens_details") or {}
    thought = int(inside.get("thinking_tokens") or 0)
    return Usage(int(data["input_tokens"]) + read + written, made, read, min(thought, made))
