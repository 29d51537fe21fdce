"""The embedded model: llama.cpp's server inside this process, through `xllamacpp`.

One engine serves every alias with the same weights. It is loaded by the first request, works on a
few requests at once (slots), and is freed when its last provider closes. Must not fetch files
itself (`weights` does, where `fetch_weights_from` told it to) and must not price or retry.

llama.cpp also listens on a port of loopback, which only token counting uses; a random key of this
process guards it. While weights are mapped (0.5 to 1 s) the binding keeps Python's global lock, so
the event loop stands still once; everything else runs beside it.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from waremill import weights
from waremill.domain import (
    AnyMessage,
    Chat,
    Emit,
    Image,
    ImageRequest,
    Message,
    Model,
    Response,
    Usage,
)
from waremill.errors import AccessDenied, ProviderError, Rejected, Unavailable, UserError
from waremill.providers import local_calling
from waremill.providers.cores import physical_cores
from waremill.providers.drawing import chat_of
from waremill.providers.schemas import add_instruction

VENDORS = frozenset({"local"})

SLOTS = 4
"""Requests worked on at once unless the model's `concurrency` says otherwise. Four give 1.3 times
the tokens per second of one on two cores, since a batch shares each pass over the weights."""

SLOT_TOKENS = 4096
"""The context of one slot, prompt and reply together; 48 MB of memory with the default weights."""

PROMPT_CACHE_MB = 256

_VARIED_TEMPERATURE = 0.7
_SILENT = -1
_CLOSED = "the embedded model was closed before its reply was whole"
# Compact JSON, as prompts write their examples: with white space a small model needs a fifth more
# tokens and gets fewer lists right. What the grammar engine does not know in a schema is left to
# the output contract instead of refused.
_GUIDANCE = {
    "whitespace_flexible": False,
    "item_separator": ",",
    "key_separator": ":",
    "lenient": True,
}

_where: dict[str, Any] = {}


def fetch_weights_from(
    *,
    folder: Path,
    hub: str | None = weights.HUGGING_FACE,
    modelscope: str | None = weights.MODELSCOPE,
    index: bool = True,
    root: Path | None = None,
    progress: weights.Progress | None = None,
) -> None:
    """Set, for this process, where model files are kept and fetched from (see `weights.resolve`).

    Without it, files are kept in `weights.default_folder()` and fetched from the public sources.
    """
    _where.clear()
    _where.update(
        folder=folder, hub=hub, modelscope=modelscope, index=index, root=root, progress=progress
    )


def weights_from() -> Mapping[str, Any]:
    """Give where this process keeps and fetches model files, as `fetch_weights_from` set it."""
    return {"folder": weights.default_folder(), "hub": weights.HUGGING_FACE, **_where}


def open_provider(model: Model) -> LocalModel:
    """Open the embedded model; nothing is fetched or loaded yet.

    Raises NotFound or ConfigError where the name is none, or its file is no model file.
    """
    return LocalModel(model)


class LocalModel:
    """A provider whose model runs in this process.

    Replies are greedy unless the model's options say otherwise; where several samples or a new
    take are asked for, the temperature is 0.7 then, and the seed differs from sample to sample. A
    schema becomes a grammar; one that no grammar can be made of leaves the reply free. The model's
    `timeout` does not apply: a request waits for a slot as long as it takes.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._entry = weights.find(model.name)
        self._engine: _Engine | None = None
        if self._entry is None:
            _present(model.name)

    @property
    def slots(self) -> int:
        """How many requests are worked on at once."""
        return max(1, min(self._model.concurrency or SLOTS, 16))

    @property
    def identity(self) -> str:
        """`local:` and the weights' sha256, whatever the file is called."""
        if self._entry is not None:
            return f"local:{self._entry.sha256}"
        file = _present(self._model.name)
        assert file is not None  # a path is present, or refused with a UserError
        return f"local:{weights.sha256_of(file)}"

    async def __call__(self, request: Chat | ImageRequest, emit: Emit | None = None) -> Response:
        """Answer one request; see `domain.Provider`.

        Cancelling ends the work at the next token and frees the slot. Raises Rejected where the
        prompt is too long or holds pictures, AccessDenied where there are no weights to load.
        """
        request = chat_of(request, self._model)
        body = self._body(request)
        if self._engine is None or self._engine.closed:
            loop = asyncio.get_running_loop()
            self._engine = await loop.run_in_executor(_loading, self._load)
        try:
            if not request.tools:
                return await self._engine.answer(body, emit, self)
            # What is written is a call or the answer, and which it is shows only in the end.
            response = await self._engine.answer(body, None, self)
            return local_calling.read(response, emit)
        except ProviderError as error:
            raise type(error)(
                error.message, provider="local", model=self._model.use, status=error.status
            ) from error

    async def aclose(self) -> None:
        """Stop this provider's requests and let the engine go; the last to go frees its memory."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await asyncio.get_running_loop().run_in_executor(_loading, engine.release, self)

    def _load(self) -> _Engine:
        try:
            engine = _engine(self._model.name, self.slots)
        except UserError as error:
            raise AccessDenied(str(error), provider="local", model=self._model.use) from error
        engine.holders.add(self)
        return engine

    def _body(self, request: Chat) -> dict[str, Any]:
        options = request.options
        varied = bool(request.sample or request.take)
        body: dict[str, Any] = {
            "messages": [self._message(message) for message in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": options.get("temperature", _VARIED_TEMPERATURE if varied else 0.0),
            "seed": int(options.get("seed", 0)) + request.sample + 1009 * request.take,
            "cache_prompt": True,
            # Only a streamed reply can be stopped before its end.
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        for name in ("top_p", "stop"):
            if options.get(name) is not None:
                body[name] = options[name]
        if request.tools:
            add_instruction(body["messages"], local_calling.instruction(request.tools))
            body["schema"] = local_calling.schema(request)
        elif request.schema is not None:
            body["schema"] = request.schema
        return body

    def _message(self, message: AnyMessage) -> dict[str, Any]:
        if not isinstance(message, Message):
            return local_calling.message(message)
        parts = (message.content,) if isinstance(message.content, str) else message.content
        if any(isinstance(part, Image) for part in parts):
            raise Rejected(
                "the embedded model reads no pictures; choose a model that does",
                provider="local",
                model=self._model.use,
            )
        return {"role": message.role, "content": "".join(map(str, parts))}


def local_token_counter(model: Model) -> Callable[[str], int] | None:
    """Give an exact token counter of an embedded model, or None where its file is not here yet.

    The first count loads the model (about a second, the memory of the weights); each count costs
    about 0.4 ms. What the chat template adds, some five tokens a message, is not counted.
    """
    if _present(model.name) is None:
        return None

    def count(text: str) -> int:
        return _loading.submit(_engine, model.name, SLOTS).result().count_tokens(text)

    return count


def _present(name: str) -> Path | None:
    folder = _where.get("folder") or weights.default_folder()
    return weights.present(name, folder=folder, root=_where.get("root"))


# ----------------------------------------------------------------------------------- the engine

_engines: dict[str, _Engine] = {}
# Engines are made and freed on one thread, so that two first requests load only once.
_loading = ThreadPoolExecutor(1, thread_name_prefix="local-model")


def _engine(name: str, slots: int) -> _Engine:
    """Give the engine of a model's weights, loading it where it is not; runs on `_loading`."""
    file = weights.resolve(name, **{"folder": weights.default_folder(), **_where})
    digest = weights.sha256_of(file)
    if digest not in _engines:
        _engines[digest] = _Engine(file, digest, slots)
    return _engines[digest]


class _Engine:
    """One loaded model with its slots."""

    def __init__(self, file: Path, digest: str, slots: int) -> None:
        self.closed = False
        self.holders: set[LocalModel] = set()
        self._digest = digest
        self._name = file.name
        self._key = secrets.token_urlsafe(24)
        self._calls: set[_Call] = set()
        self._server = _load(file, slots, self._key)
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="local-slot")

    async def answer(
        self, body: Mapping[str, Any], emit: Emit | None, holder: LocalModel
    ) -> Response:
        """Run one request of a holder in a slot's thread, as soon as one is free."""
        loop = asyncio.get_running_loop()
        # Pieces are queued before the result is, so they are all out when the caller goes on.
        call = _Call(holder, emit and (lambda piece: loop.call_soon_threadsafe(emit, piece)))
        self._calls.add(call)
        try:
            await loop.run_in_executor(self._pool, call.run, self._server, body)
        except asyncio.CancelledError:
            call.stopped = True
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise Unavailable(_CLOSED) from None  # closing the engine cancelled what was queued
        except RuntimeError as error:  # the pool takes nothing any more
            raise Unavailable(_CLOSED) from error
        finally:
            self._calls.discard(call)
        return call.response(self._name)

    def count_tokens(self, text: str) -> int:
        """Count a text's tokens; llama.cpp offers that on its port only."""
        address = urlsplit(self._server.listening_address)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        try:
            headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
            connection.request("POST", "/tokenize", orjson.dumps({"content": text}), headers)
            return len(orjson.loads(connection.getresponse().read())["tokens"])
        finally:
            connection.close()

    def release(self, holder: LocalModel) -> None:
        """Stop a holder's calls and, after the last holder, free the model; runs on `_loading`."""
        self.holders.discard(holder)
        for call in tuple(self._calls):
            call.stopped = call.stopped or call.holder is holder
        if self.holders or self.closed:
            return
        self.closed = True
        _engines.pop(self._digest, None)
        # A call still inside the server would wait for Python's global lock, which freeing holds.
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._server = None


class _Call:
    """One request inside the server: what came back so far, and whether to go on."""

    def __init__(self, holder: LocalModel, emit: Callable[[str], object] | None) -> None:
        self.holder = holder
        self.stopped = False
        self._emit = emit
        self._pieces: list[str] = []
        self._finish: str | None = None
        self._usage: Mapping[str, Any] | None = None
        self._id: str | None = None
        self._error: Mapping[str, Any] | None = None
        self._created = time.monotonic()
        self._first: float | None = None

    def run(self, server: Any, body: Mapping[str, Any]) -> None:
        """Send the request and take what comes; runs on a slot's thread."""
        if self.stopped:
            return
        try:
            server.handle_chat_completions(_with_grammar(body), self._take)
        except ValueError as error:
            raise Rejected(f"the embedded model refused the request: {error}") from error
        except RuntimeError as error:
            raise Unavailable(f"the embedded model failed: {error}") from error

    def _take(self, chunk: Mapping[str, Any]) -> bool:
        """Take one chunk; True ends the work. Must not raise: the server would drop it."""
        if "error" in chunk:
            self._error = chunk["error"]
            return True
        self._id = chunk.get("id", self._id)
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices", ()):
            self._finish = choice.get("finish_reason") or self._finish
            piece = (choice.get("delta") or {}).get("content")
            if piece:
                if self._first is None:  # the wait for a slot counts: somebody waited
                    self._first = time.monotonic() - self._created
                self._pieces.append(piece)
                if self._emit is not None and not self.stopped:
                    with suppress(RuntimeError):  # the event loop is gone, and its request with it
                        self._emit(piece)
        return self.stopped

    def response(self, name: str) -> Response:
        """Give the whole reply, or raise what the server said instead."""
        if self._error is not None:
            raise _provider_error(self._error)
        if self._finish is None or self._usage is None:
            raise Unavailable(_CLOSED)
        details = self._usage.get("prompt_tokens_details") or {}
        return Response(
            text="".join(self._pieces),
            outcome="truncated" if self._finish == "length" else "complete",
            usage=Usage(
                input=self._usage["prompt_tokens"],
                output=self._usage["completion_tokens"],
                cached=details.get("cached_tokens", 0),
            ),
            model=name,
            request_id=self._id,
            first=self._first,
        )


def _with_grammar(body: Mapping[str, Any]) -> dict[str, Any]:
    import xllamacpp

    sent = dict(body)
    schema = sent.pop("schema", None)
    if schema is not None:
        sent["grammar"] = xllamacpp.json_schema_to_grammar({**schema, "x-guidance": _GUIDANCE})
    return sent


def _provider_error(error: Mapping[str, Any]) -> ProviderError:
    status = int(error.get("code") or 500)
    if error.get("type") == "exceed_context_size_error":
        return Rejected(
            f"the prompt is {error.get('n_prompt_tokens')} tokens long, and the embedded model "
            f"takes {error.get('n_ctx')}: shorten the template's input, context or examples",
            status=status,
        )
    said = f"the embedded model refused the request: {error.get('message', 'no reason given')}"
    return Rejected(said, status=status) if status < 500 else Unavailable(said, status=status)


def let_idle_threads_sleep() -> None:
    """Keep threads from spinning while they wait; to be called before a library with OpenMP loads.

    On a busy machine spinning threads starve each other: 54 to 2 tokens a second were seen, and
    0.1 to 10 seconds a picture. The OpenMP runtime reads this once, when it is loaded.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def _load(file: Path, slots: int, key: str) -> Any:
    """Start llama.cpp's server on a model file."""
    let_idle_threads_sleep()
    import xllamacpp

    with file.open("rb") as opened:  # into the page cache first: reading does not hold the lock
        while opened.read(1 << 22):
            pass
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(file)
    parameters.n_parallel = slots
    parameters.n_ctx = slots * SLOT_TOKENS
    parameters.n_batch = parameters.n_ubatch = 512
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = physical_cores()
    # A slot that turns to another template's prompt puts the old one here and finds it again
    # (a fifth less work where two templates alternate); the default would grow to 8 GB.
    parameters.cache_ram_mib = PROMPT_CACHE_MB
    parameters.warmup = parameters.fit_params = False
    parameters.verbosity = _SILENT
    parameters.api_keys = [key]
    parameters.cors_origins = ""
    parameters.ui = parameters.endpoint_slots = False
    parameters.n_threads_http = 1
    try:
        return xllamacpp.Server(parameters)
    except RuntimeError as error:
        raise AccessDenied(f"the model file “{file}” cannot be loaded") from error
