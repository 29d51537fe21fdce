"""Any LangChain chat model as a provider.

`langchain:anthropic:claude-sonnet-4-5` opens what `init_chat_model` knows by that name;
`langchain:package.module:Class`, `langchain:package.module:factory` or `langchain:module:Class`
opens one's own, called without arguments (or used as it is, if it already is a model). LangChain is
an extra and is imported on first use. Must not use agents, chains or LangChain's own retries.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from waremill.domain import (
    AnyMessage,
    Chat,
    Emit,
    ImageRequest,
    Message,
    Model,
    Outcome,
    Response,
    ResultMessage,
    Usage,
)
from waremill.errors import ConfigError, ProviderError, Refused
from waremill.providers.calling import REPLY, Calling, arguments_of, openai_tools
from waremill.providers.drawing import chat_of
from waremill.providers.failures import Detail, Source, error_for, secrets_of
from waremill.providers.pictures import content_parts, needs_files, with_files
from waremill.providers.schemas import FULL, OPENAI, adapt, add_instruction, instruction
from waremill.providers.tokens import estimated_usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

VENDORS: frozenset[str] = frozenset({"langchain"})
INSTALL = 'pip install "waremill[langchain]"'

_FINISHED: Mapping[str, Outcome] = {
    "length": "truncated", "max_tokens": "truncated", "MAX_TOKENS": "truncated",
    "content_filter": "refused", "refusal": "refused", "SAFETY": "refused",
}  # fmt: skip
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_LIMITS = ("max_tokens", "max_output_tokens", "max_completion_tokens", "num_predict")


def open_provider(model: Model) -> LangChainModel:
    """Open a LangChain model; ConfigError where the extra is missing or the name opens nothing."""
    try:
        import langchain_core  # noqa: F401
    except ImportError:
        raise ConfigError(f"model “{model.alias}” needs LangChain: {INSTALL}") from None
    return LangChainModel(model, _load(model))


def _load(model: Model) -> BaseChatModel:
    from langchain_core.language_models import BaseChatModel

    if not model.name:
        raise ConfigError(
            f"model “{model.alias}”: write langchain:PROVIDER:MODEL or langchain:MODULE:CLASS"
        )
    head, _, tail = model.name.partition(":")
    own = _DOTTED.fullmatch(head) is not None or tail[:1].isupper()
    try:
        found = _own(head, tail) if own else _named(model)
    except ConfigError as error:
        raise ConfigError(f"model “{model.alias}”: {error.message}") from None
    except Exception as error:
        clean = Source("langchain", model.name, secrets_of(model.keys, model.headers, None)).clean
        reason = clean(f"{type(error).__name__}: {error}")
        raise ConfigError(
            f"model “{model.alias}” ({model.use}) cannot be opened: {reason}"
        ) from None
    if not isinstance(found, BaseChatModel):
        raise ConfigError(
            f"model “{model.alias}”: {model.name} is a {type(found).__name__}, not a chat model"
        )
    return found


def _own(module_name: str, attribute: str) -> Any:
    if not attribute:
        module_name, _, attribute = module_name.rpartition(".")
    try:
        target: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(f"the module {module_name} cannot be imported ({error})") from None
    for part in attribute.split("."):
        if not hasattr(target, part):
            raise ConfigError(f"the module {module_name} has no {attribute}")
        target = getattr(target, part)
    from langchain_core.language_models import BaseChatModel

    return target if isinstance(target, BaseChatModel) else target()


def _named(model: Model) -> Any:
    try:
        from langchain.chat_models import init_chat_model
    except ImportError:
        raise ConfigError(f"it needs LangChain: {INSTALL}") from None
    extra: dict[str, Any] = {"max_retries": 0, "timeout": model.timeout}
    if model.keys:
        extra["api_key"] = model.keys[0]
    if model.base_urls:
        extra["base_url"] = model.base_urls[0]
    if model.headers:
        extra["default_headers"] = dict(model.headers)
    try:
        return init_chat_model(model.name, **extra)
    except ImportError as error:
        raise ConfigError(f"{model.name} needs one more package: {error}") from None


class LangChainModel:
    """One LangChain chat model; see `waremill.domain.Provider`."""

    def __init__(self, model: Model, chat: BaseChatModel) -> None:
        self._model = model
        self._chat = chat
        self._source = Source(
            "langchain", model.name, secrets_of(model.keys, model.headers, model.proxy)
        )
        self.structured = model.structured
        if model.structured == "auto":
            self.structured = "tool" if _binds_tools(chat) else "text"
        self._shapes: dict[int, tuple[Mapping[str, Any], Any]] = {}

    def __repr__(self) -> str:
        return f"LangChainModel({self._model.name})"

    @property
    def identity(self) -> str:
        """The model's `use` and base URLs."""
        return " ".join((self._model.use, *sorted(self._model.base_urls)))

    async def aclose(self) -> None:
        """Do nothing: LangChain's models keep their clients for the process."""

    async def __call__(self, request: Chat | ImageRequest, emit: Emit | None = None) -> Response:
        """Send one request once; see `waremill.domain.Provider`."""
        import asyncio

        request = chat_of(request, self._model)
        if needs_files(request):
            request = await with_files(request)
        failure: ProviderError
        try:
            async with asyncio.timeout(self._model.timeout):
                reply = await self._ask(request, emit)
            return self._read(reply, request)
        except Exception as error:
            failure = self._failure(error)
        if isinstance(failure, Refused):
            return Response(failure.message, "refused", Usage(), self._model.name)
        raise failure

    async def _ask(self, request: Chat, emit: Emit | None) -> BaseMessage:
        messages = [_plain(message) for message in request.messages]
        chat = self._configured(request)
        shape = None if request.schema is None else self._shape(request.schema)
        if isinstance(shape, str):
            add_instruction(messages, shape)
            shape = None
        runnable = self._offering(chat, request, shape)
        stop = {"stop": request.options["stop"]} if request.options.get("stop") else {}
        if emit is None:
            answer: BaseMessage = await runnable.ainvoke(messages, **stop)
            return answer
        whole: Any = None
        async for chunk in runnable.astream(messages, **stop):
            piece = _text(chunk)
            if not piece and not request.tools:
                pieces = getattr(chunk, "tool_call_chunks", None) or ()
                piece = "".join(one.get("args") or "" for one in pieces)
            if piece:
                emit(piece)
            whole = chunk if whole is None else whole + chunk
        if whole is None:
            raise self._source.unavailable("sent an empty stream")
        merged: BaseMessage = whole
        return merged

    def _offering(self, chat: BaseChatModel, request: Chat, shape: Any) -> Any:
        """Bind the tools, and the one that gives the reply's shape; which of these is called is
        said by words all packages know.
        """
        tools = openai_tools(request.tools, FULL)
        if shape is not None and (not tools or request.tool_choice == "none"):
            return chat.bind_tools([*tools, shape], tool_choice=REPLY)
        if shape is not None:
            return chat.bind_tools([*tools, shape], tool_choice="any")
        # There is no word for “none” that all take: what is called then is not read.
        return chat.bind_tools(tools) if tools else chat

    def _configured(self, request: Chat) -> BaseChatModel:
        """Copy the model with the request's limit and settings, as far as its class has them.

        They are fields, not arguments of a call: which of those a model takes differs by package.
        """
        fields = type(self._chat).model_fields
        wanted: dict[str, Any] = {
            name: request.options[name]
            for name in ("temperature", "top_p", "seed")
            if name in fields and request.options.get(name) is not None
        }
        if "seed" in wanted:
            wanted["seed"] += request.sample + 1_000 * request.take
        limit = next((name for name in _LIMITS if name in fields), None)
        if limit is not None:
            wanted[limit] = request.max_tokens
        return self._chat.model_copy(update=wanted) if wanted else self._chat

    def _shape(self, schema: Mapping[str, Any]) -> Any:
        known = self._shapes.get(id(schema))
        if known is not None and known[0] is schema:
            return known[1]
        made: Any = instruction(schema)
        if self.structured in ("tool", "schema", "object"):
            function = {"name": REPLY, "description": "Gives the reply."}
            parameters = adapt(schema, OPENAI)
            made = {"type": "function", "function": {**function, "parameters": parameters}}
        if len(self._shapes) >= 256:
            self._shapes.clear()
        self._shapes[id(schema)] = (schema, made)
        return made

    def _read(self, reply: BaseMessage, request: Chat) -> Response:
        import orjson

        text = _text(reply)
        calls = getattr(reply, "tool_calls", None)
        broken = getattr(reply, "invalid_tool_calls", None)
        calling = Calling()
        if request.tools:
            for one in (*(calls or ()), *(broken or ())):
                given = one.get("args") or ""
                given = given if isinstance(given, str) else orjson.dumps(given).decode()
                calling.add_whole(str(one.get("id") or ""), str(one.get("name") or ""), given)
            text = calling.reply or text
        elif calls:
            text = orjson.dumps(calls[0]["args"]).decode()
        elif broken:
            text = broken[0].get("args") or ""
        about = reply.response_metadata or {}
        finish = about.get("finish_reason") or about.get("stop_reason") or about.get("done_reason")
        outcome = _FINISHED.get(str(finish), "complete")
        refusal = (reply.additional_kwargs or {}).get("refusal")
        if refusal:
            outcome, text = "refused", text or str(refusal)
        name = about.get("model_name") or about.get("model") or ""
        usage = _usage(reply, request, text)
        return Response(text, outcome, usage, str(name), reply.id, calls=calling.calls)

    def _failure(self, error: Exception) -> ProviderError:
        """Sort a client library's exception by its HTTP status, or by its name."""
        if isinstance(error, ProviderError):
            return error
        status = getattr(error, "status_code", None) or getattr(error, "code", None)
        response = getattr(error, "response", None)
        if not isinstance(status, int):
            status = getattr(response, "status_code", None)
        name = type(error).__name__
        if isinstance(status, int) and status >= 300:
            body = getattr(error, "body", None)
            codes = (
                str(body.get("code") or body.get("type") or "") if isinstance(body, dict) else ""
            )
            headers = getattr(response, "headers", None) or {}
            return error_for(self._source, status, headers, Detail(str(error), codes))
        if isinstance(error, TimeoutError | OSError) or re.search(
            r"timeout|connect|unavailable|overload|protocol|exhausted", name, re.IGNORECASE
        ):
            return self._source.unavailable(f"failed: {name}: {error}")
        # Whatever else a foreign model raises is about this request.
        return error_for(self._source, 400, {}, Detail(f"{name}: {error}", ""))


def _binds_tools(chat: BaseChatModel) -> bool:
    from langchain_core.language_models import BaseChatModel

    return type(chat).bind_tools is not BaseChatModel.bind_tools


def _plain(message: AnyMessage) -> Any:
    if isinstance(message, ResultMessage):
        from langchain_core.messages import ToolMessage

        status: Any = "error" if message.failed else "success"
        return ToolMessage(
            message.content, tool_call_id=message.call, name=message.name, status=status
        )
    if not isinstance(message, Message):
        from langchain_core.messages import AIMessage

        calls = [
            {"type": "tool_call", "id": one.id, "name": one.name, "args": arguments_of(one)}
            for one in message.calls
        ]
        return AIMessage(message.content, tool_calls=calls)
    content: Any = message.content
    if not isinstance(content, str):
        content = content_parts(content)
    return {"role": message.role, "content": content}


def _text(message: Any) -> str:
    content = message.content
    if isinstance(content, str):
        return content
    return "".join(
        part if isinstance(part, str) else str(part.get("text") or "")
        for part in content
        if isinstance(part, str) or part.get("type") == "text"
    )


def _usage(reply: Any, request: Chat, text: str) -> Usage:
    data = getattr(reply, "usage_metadata", None)
    if not data or not data.get("input_tokens"):
        return estimated_usage(request, text)
    inside = data.get("input_token_details") or {}
    thought = data.get("output_token_details") or {}
    return Usage(
        int(data["input_tokens"]),
        int(data.get("output_tokens") or 0),
        int(inside.get("cache_read") or 0),
        int(thought.get("reasoning") or 0),
    )
