"""OpenAI's chat completions, and every vendor and server that speaks them.

Builds the request, reads the reply or the stream, and knows what each vendor does differently:
addresses, how JSON is asked for, names of limits, and shapes of usage. Must not retry, cache or
count. Azure: `base_url` is the resource's address (`?api-version=…` chooses the version), a full
deployment address, or one that ends in `/openai/v1`; the model's name is the deployment's.
Vertex: `base_url` is `https://LOCATION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/
LOCATION/endpoints/openapi`, the model `google/gemini-…`, and the key a short-lived access token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import orjson

from waremill.domain import (
    AnyMessage,
    Chat,
    Emit,
    ImageRequest,
    Message,
    Model,
    Outcome,
    Response,
    Usage,
)
from waremill.errors import ConfigError, Refused
from waremill.providers.calling import REPLY, Calling, openai_message, openai_tools
from waremill.providers.drawing import chat_of
from waremill.providers.effort import effort_of, reasoning_allowance
from waremill.providers.http import Connection, base_urls, identity, join_url, require_key
from waremill.providers.pictures import content_parts, needs_files, with_files
from waremill.providers.schemas import (
    FULL,
    GOOGLE,
    OPENAI,
    Subset,
    adapt,
    add_instruction,
    instruction,
)
from waremill.providers.tokens import estimated_usage

AZURE_VERSION = "2024-10-21"
"""The newest generally available version of Azure's dated API (Microsoft Learn, read 2026-11)."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """What one vendor does differently. `key` names the variable its key is usually in, None where
    none is needed; `schemas` matches the models that take a JSON schema, others get `object`.
    """

    url: str | None
    key: str | None = None
    subset: Subset = OPENAI
    schemas: str = ""
    auth: tuple[str, str] = ("Authorization", "Bearer {key}")


VENDORS: Mapping[str, Vendor] = {
    "openai": Vendor(
        "https://api.openai.com/v1", "OPENAI_API_KEY", schemas=r"(?!gpt-3|gpt-4($|-))"
    ),
    "azure": Vendor(
        None, "AZURE_OPENAI_API_KEY", schemas=r"(?!gpt-3|gpt-4($|-))", auth=("api-key", "{key}")
    ),
    "dashscope": Vendor(
        "https://dashscope.aliyuncs.com/compatible-mode/v1",
        "DASHSCOPE_API_KEY",
        schemas=r"qwen3-max|qwen-(plus|flash)|qwen3\.[789]-",
    ),
    "google": Vendor(
        "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY", subset=GOOGLE
    ),
    "vertex": Vendor(None, "VERTEX_ACCESS_TOKEN", subset=GOOGLE),
    "deepseek": Vendor("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", schemas=r"(?!)"),
    "ollama": Vendor("http://127.0.0.1:11434/v1", subset=FULL),
    "vllm": Vendor("http://127.0.0.1:8000/v1", subset=FULL),
    "llamacpp": Vendor("http://127.0.0.1:8080/v1", subset=FULL),
    "custom": Vendor(None, subset=FULL),
}

_FINISHED: Mapping[str, Outcome] = {
    "stop": "complete", "tool_calls": "complete", "function_call": "complete", "eos": "complete",
    "length": "truncated", "max_tokens": "truncated",
    "content_filter": "refused", "safety": "refused", "refusal": "refused",
}  # fmt: skip
_NEW_LIMIT = re.compile(r"o\d|gpt-5|gpt-[6-9]|codex")
_OLD_LIMIT = re.compile(r"gpt-3|gpt-4|ft:gpt-[34]|chatgpt-4o")
_PASSED = ("temperature", "top_p", "stop")


def open_provider(model: Model) -> OpenAIChat:
    """Open a model that speaks chat completions; ConfigError says what its settings lack."""
    vendor = VENDORS[model.vendor]
    if not model.name:
        raise ConfigError(f"model “{model.alias}”: write {model.vendor}:NAME")
    urls = base_urls(model, vendor.url)
    require_key(model, urls, vendor.key)
    return OpenAIChat(model, vendor, urls)


class OpenAIChat:
    """One model behind chat completions; see `waremill.domain.Provider`."""

    def __init__(self, model: Model, vendor: Vendor, urls: tuple[str, ...]) -> None:
        self._vendor = vendor
        self._model = model
        self._urls = urls
        self._identity = identity(model, urls)
        name, value = vendor.auth
        addresses = tuple(_address(model, url) for url in urls)
        self._connection = Connection(model, addresses, {name: value})
        self.structured = _structured(model, vendor)
        self._limit = _limit_name(model, vendor)
        self._allowance = reasoning_allowance(model)
        self._fixed = _fixed_fields(model)
        self._shapes: dict[int, tuple[Mapping[str, Any], dict[str, Any]]] = {}

    def __repr__(self) -> str:
        return f"OpenAIChat({self._model.use})"

    @property
    def identity(self) -> str:
        """The model's `use` and base URLs."""
        return self._identity

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
        messages = list(map(_message, request.messages))
        body: dict[str, Any] = {"model": self._model.name, "messages": messages, **self._fixed}
        body[self._limit] = request.max_tokens + self._allowance
        if request.options:
            self._add_options(body, request)
        if request.schema is not None:
            fields, words = self._shape(request.schema)
            if request.tools:
                fields, words = self._shape_beside_tools(request, fields, words)
            body.update(fields)
            if words:
                add_instruction(messages, words)
        if request.tools:
            self._add_tools(body, request)
        return body

    def _shape_beside_tools(
        self, request: Chat, fields: dict[str, Any], words: str
    ) -> tuple[dict[str, Any], str]:
        """Ask for JSON where tools may be called too.

        Most servers bind every reply to a shape that is asked for, so that none could be a call:
        there words ask for it until the reply must be the answer.
        """
        may_call = request.tool_choice == "auto"
        native = self._model.vendor in ("openai", "azure") and self.structured == "schema"
        if self.structured == "tool" or native or not may_call:
            return fields, words
        return {}, words or instruction(request.schema or {})

    def _add_tools(self, body: dict[str, Any], request: Chat) -> None:
        """Offer the tools; beside a reply that is given by a tool, one of them must be called."""
        tools: list[Any] = openai_tools(request.tools, self._vendor.subset)
        may_call = request.tool_choice == "auto"
        if isinstance(body.get("tools"), orjson.Fragment):
            known = self._shapes[id(request.schema)][1]["tool"]
            body["tools"] = [*tools, known]
            if may_call:
                body["tool_choice"] = "required"
        elif may_call or self._model.vendor != "ollama":  # which knows no choice
            body["tools"] = tools
            body["tool_choice"] = request.tool_choice

    def _add_options(self, body: dict[str, Any], request: Chat) -> None:
        options = request.options
        for name in _PASSED:
            if options.get(name) is not None:
                body[name] = options[name]
        if options.get("seed") is not None:
            # Samples and takes of one prompt must differ on the wire as they do in the hash.
            body["seed"] = int(options["seed"]) + request.sample + 1_000 * request.take

    def _shape(self, schema: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
        """Give the fields that ask for the schema, and the words for the instruction; kept per
        schema object, serialised once.
        """
        known = self._shapes.get(id(schema))
        if known is not None and known[0] is schema:
            return known[1]["fields"], known[1]["words"]
        fields: dict[str, Any] = {}
        words = ""
        tool: Any = None
        if self.structured == "schema":
            subset = self._vendor.subset
            shape = {"name": "reply", "strict": True, "schema": adapt(schema, subset)}
            wanted = {"type": "json_schema", "json_schema": shape}
            fields["response_format"] = orjson.Fragment(orjson.dumps(wanted))
        elif self.structured == "tool":
            function = {"name": REPLY, "parameters": adapt(schema, self._vendor.subset)}
            tool = {"type": "function", "function": {**function, "strict": True}}
            fields["tools"] = orjson.Fragment(orjson.dumps([tool]))
            fields["tool_choice"] = {"type": "function", "function": {"name": REPLY}}
        else:
            words = instruction(schema)
            if self.structured == "object":
                fields["response_format"] = {"type": "json_object"}
        if len(self._shapes) >= 256:
            self._shapes.clear()
        self._shapes[id(schema)] = (schema, {"fields": fields, "words": words, "tool": tool})
        return fields, words

    def read(self, data: dict[str, Any], request: Chat, request_id: str | None) -> Response:
        """Read a whole reply; raises `ProviderError` where it is none."""
        broken = self._connection.broken
        request_id = request_id or data.get("id")
        choices = data.get("choices")
        if not choices:
            if data.get("error"):
                error = self._connection.error_in(data, request_id)
                if isinstance(error, Refused):
                    return Response(error.message, "refused", Usage(), "", request_id)
                raise error
            raise broken("sent a reply without an answer", request_id)
        try:
            choice = choices[0]
            message = choice["message"]
            calling = Calling()
            if request.tools:
                calling.add_openai(message.get("tool_calls"), None)
            text = calling.reply or _text_of(message, called=bool(request.tools))
            finish = choice.get("finish_reason")
            outcome = self._outcome(finish, message.get("refusal"), request_id)
        except (KeyError, TypeError, IndexError, AttributeError):
            raise broken("sent a reply of an unknown shape", request_id) from None
        if outcome == "refused" and not text:
            text = message.get("refusal") or ""
        usage = self._usage(data.get("usage"), request, text)
        name = data.get("model") or ""
        return Response(text, outcome, usage, name, request_id, calls=calling.calls)

    def _outcome(self, finish: Any, refusal: Any, request_id: str | None) -> Outcome:
        if refusal:
            return "refused"
        word = str(finish or "stop").partition(":")[0].strip().lower()
        if word == "insufficient_system_resource":  # DeepSeek: stopped by the server, retry later
            raise self._connection.broken("stopped for lack of resources", request_id)
        return _FINISHED.get(word, "complete")

    def _usage(self, data: Any, request: Chat, text: str) -> Usage:
        if not isinstance(data, dict) or not data.get("prompt_tokens"):
            return estimated_usage(request, text)
        given, made = int(data["prompt_tokens"]), int(data.get("completion_tokens") or 0)
        inside = data.get("prompt_tokens_details") or {}
        thought = data.get("completion_tokens_details") or {}
        cached = inside.get("cached_tokens") or data.get("prompt_cache_hit_tokens") or 0
        reasoning = int(thought.get("reasoning_tokens") or 0)
        total = int(data.get("total_tokens") or 0)
        if self._model.vendor in ("google", "vertex") and total > given + made:
            # Google's compatible endpoint counts thoughts in the total only.
            reasoning = total - given - made
            made += reasoning
        return Usage(given, made, min(int(cached), given), min(reasoning, made))

    async def _stream(self, body: dict[str, Any], request: Chat, emit: Emit) -> Response:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
        state = _Streamed(called=bool(request.tools))
        async with aclosing(self._connection.stream(orjson.dumps(body))) as pieces:
            async for piece, request_id in pieces:
                if piece == b"[DONE]":
                    state.ended = True
                    break
                try:
                    data = orjson.loads(piece)
                except ValueError:
                    raise self._connection.broken("sent a broken stream", request_id) from None
                if not isinstance(data, dict):
                    raise self._connection.broken("sent a broken stream", request_id)
                if data.get("error"):
                    raise self._connection.error_in(data, request_id)
                if (
                    data.get("object") == "chat.completion"
                    or "message" in ((data.get("choices") or [{}])[0])
                ):
                    whole = self.read(data, request, request_id)
                    emit(whole.text)
                    return whole
                state.add(data, request_id, emit)
        if not state.ended and state.finish is None:
            raise self._connection.broken("cut the stream", state.request_id)
        return self._finish(state, request)

    def _finish(self, state: _Streamed, request: Chat) -> Response:
        refusal = "".join(state.refusal)
        outcome = self._outcome(state.finish, refusal, state.request_id)
        text = state.calling.reply or "".join(state.text)
        if outcome == "refused" and not text:
            text = refusal
        usage = self._usage(state.usage, request, text)
        calls = state.calling.calls
        return Response(text, outcome, usage, state.model, state.request_id, calls=calls)

    async def list_models(self) -> tuple[str, ...]:
        """Give the names the endpoint offers."""
        url = self._urls[0]
        if self._model.vendor == "azure":
            return ()  # lists base models, not deployments
        data = await self._connection.get_json(join_url(url, "/models"))
        rows = data.get("data") if isinstance(data, dict) else data
        names = [str(one.get("id", "")) for one in rows or () if isinstance(one, dict)]
        return tuple(name.removeprefix("models/") for name in names)


class _Streamed:
    """What has come in of a stream."""

    __slots__ = (
        "called", "calling", "ended", "finish", "model", "refusal", "request_id", "text", "usage",
    )  # fmt: skip

    def __init__(self, called: bool) -> None:
        self.called = called
        self.calling = Calling()
        self.text: list[str] = []
        self.refusal: list[str] = []
        self.finish: str | None = None
        self.usage: Any = None
        self.model = ""
        self.request_id: str | None = None
        self.ended = False

    def add(self, data: dict[str, Any], request_id: str | None, emit: Emit) -> None:
        self.model = data.get("model") or self.model
        self.request_id = request_id or data.get("id") or self.request_id
        self.usage = data.get("usage") or self.usage
        for choice in data.get("choices") or ():
            delta = choice.get("delta") or {}
            piece = _text_of(delta, self.called)
            if piece:
                emit(piece)
                self.text.append(piece)
            if self.called:
                self.calling.add_openai(delta.get("tool_calls"), emit)
            if delta.get("refusal"):
                self.refusal.append(delta["refusal"])
            self.finish = choice.get("finish_reason") or self.finish


def _message(message: AnyMessage) -> dict[str, Any]:
    if not isinstance(message, Message):
        return openai_message(message)
    content: Any = message.content
    if not isinstance(content, str):
        content = content_parts(content)
    return {"role": message.role, "content": content}


def _text_of(message: Mapping[str, Any], called: bool) -> str:
    """The text of a message or delta: plain, in parts, or a forced tool's arguments.

    Where tools may be `called`, arguments are no text.
    """
    content = message.get("content")
    if isinstance(content, str) and content:
        return content
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content)
    calls = None if called else message.get("tool_calls")
    return (calls[0]["function"].get("arguments") or "") if calls else ""


def _address(model: Model, url: str) -> str:
    if model.vendor != "azure" or "/openai/v1" in url:
        return join_url(url, "/chat/completions")
    version = "" if "api-version=" in url else f"api-version={AZURE_VERSION}"
    if "/deployments/" in url:
        return join_url(url, "/chat/completions", version)
    return join_url(url, f"/openai/deployments/{model.name}/chat/completions", version)


def _structured(model: Model, vendor: Vendor) -> str:
    if model.structured != "auto":
        return model.structured
    if re.match(vendor.schemas, model.name):
        return "schema"
    if model.vendor in ("openai", "azure") and re.match(r"gpt-4($|-0|-32k)", model.name):
        return "tool"  # the first GPT-4 has neither schemas nor the JSON mode
    return "object"


def _limit_name(model: Model, vendor: Vendor) -> str:
    """OpenAI's own newer models take only `max_completion_tokens`; most compatible servers know
    only `max_tokens`.
    """
    if model.vendor not in ("openai", "azure"):
        return "max_tokens"
    if _NEW_LIMIT.match(model.name):
        return "max_completion_tokens"
    elsewhere = model.vendor == "openai" and model.base_urls and vendor.url not in model.base_urls
    return "max_tokens" if elsewhere or _OLD_LIMIT.match(model.name) else "max_completion_tokens"


def _fixed_fields(model: Model) -> dict[str, Any]:
    effort = effort_of(model)
    if effort is None:
        return {}
    if model.vendor == "dashscope":
        return {"enable_thinking": effort not in ("none", "minimal")}
    if model.vendor == "deepseek":
        if effort in ("none", "minimal"):
            return {"thinking": {"type": "disabled"}}
        return {"thinking": {"type": "enabled"}, "reasoning_effort": effort}
    return {"reasoning_effort": effort}
