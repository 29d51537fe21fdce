"""What a model is asked and answers, what it costs, and how it is configured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from waremill.domain.tools import CallMessage, ResultMessage, ToolCall, ToolSpec

Outcome = Literal["complete", "truncated", "refused"]


@dataclass(frozen=True, slots=True)
class Image:
    """A picture inside a message: a stored file's reference (see `Asset`), an `https:` or `data:`
    URL, or a path the provider may read.
    """

    url: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat; `content` is text or a mix of text and pictures."""

    role: Literal["system", "user", "assistant"]
    content: str | tuple[str | Image, ...]


AnyMessage: TypeAlias = Message | CallMessage | ResultMessage
"""What a chat is made of; each has a `role` and a `content`."""


@dataclass(frozen=True, slots=True)
class Chat:
    """A request for text. Everything that can change the reply is here and is hashed.

    `schema` is a JSON Schema the reply must match (None for free text); `max_tokens` bounds the
    reply; `sample` tells several replies to one prompt apart; `take` is raised by *Regenerate*.
    `options` are the sampling settings a model was configured with: temperature, top_p, seed,
    stop, effort. `tools` are what the model may call; with `tool_choice` “none” it must answer and
    is told of them only because earlier messages speak of them.
    """

    messages: tuple[AnyMessage, ...]
    max_tokens: int
    schema: Mapping[str, Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    sample: int = 0
    take: int = 0
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: Literal["auto", "none"] = "auto"


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """A request for a picture. Everything that can change the reply is here and is hashed.

    `width` and `height` are in pixels. `images` are references (see `Asset`): first the picture to
    start from, then further ones to look at. `mask` is a picture of the first one's shape, white
    where it may change and black where it must not. `strength` says how far the start is left
    behind, from 0 (not at all) to 1; it, `steps` and `guidance` (how closely the prompt is
    followed) are the model's own where None. `options` are further settings by the names the model
    uses. `sample` and `take` are as for `Chat`.
    """

    prompt: str
    negative: str = ""
    width: int = 1024
    height: int = 1024
    images: tuple[str, ...] = ()
    mask: str | None = None
    strength: float | None = None
    steps: int | None = None
    guidance: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    sample: int = 0
    take: int = 0

    @property
    def messages(self) -> tuple[AnyMessage, ...]:
        """What is asked, as a chat's messages: for whoever shows or counts it."""
        return (Message("user", self.prompt),)

    @property
    def max_tokens(self) -> int:
        """The most tokens a vendor that counts tokens may count for the picture.

        OpenAI's models count up to a token for 149 pixels (gpt-image-2 at its highest quality, by
        its price of a 1024 × 1024 picture, 2026-11); this is a token for 126.
        """
        return -(-self.width * self.height // 126)


@dataclass(frozen=True, slots=True)
class Embed:
    """A request for the vectors of texts.

    `purpose` tells a question from what may answer it: some models write the two in different ways.
    `options` are further fields of the request by the names the model uses, such as `dimensions`.
    """

    texts: tuple[str, ...]
    purpose: Literal["query", "passage"] = "passage"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes a model made, such as a picture, with their media type, such as `image/png`."""

    media_type: str
    content: bytes = field(repr=False)


Request: TypeAlias = Chat | ImageRequest
"""What a model may be asked."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the vendor counted them; `cached` is part of `input`, `reasoning` of `output`."""

    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Response:
    """One complete reply, verbatim. `model` is the name the endpoint reported.

    `blobs` are pictures as they came in. An answer has none any more: they are kept in storage, and
    its text is `{"images": ["asset:…"]}`. `calls` are the tools the model asks to be called, in
    order; only a protocol's own field for calls fills it, never what a text says. `first` is after
    how many seconds the first piece came, where the model says so itself.
    """

    text: str
    outcome: Outcome
    usage: Usage
    model: str = ""
    request_id: str | None = None
    blobs: tuple[Blob, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    first: float | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vectors of an `Embed`'s texts in their order: little-endian float32, one after another.

    They are as the endpoint gave them, of whatever length.
    """

    vectors: bytes = field(repr=False)
    dimensions: int
    usage: Usage
    model: str = ""
    request_id: str | None = None


Emit = Callable[[str], None]
"""Receives pieces of text while a reply streams in."""


class Provider(Protocol):
    """A model endpoint.

    Calling it sends one request once: no retry, no caching, no accounting. It raises a
    `ProviderError` and nothing else for whatever goes wrong outside our own code. A malformed body
    or a cut connection is `Unavailable`. A refusal or a truncated reply is a `Response` with that
    outcome, not an error. A request of a kind it cannot answer, and a picture it cannot read, is a
    `UserError` raised before anything is sent.
    """

    @property
    def identity(self) -> str:
        """What is hashed into a request: vendor, model and base URL, or the weights' sha256."""

    async def __call__(self, request: Chat | ImageRequest, emit: Emit | None = None) -> Response:
        """Send one request and return the whole reply."""

    async def aclose(self) -> None:
        """Close connections and stop what was started."""


@dataclass(frozen=True, slots=True)
class Price:
    """List price in nano-USD per million tokens; `source` says from where and when."""

    input: int
    output: int
    cached: int | None = None
    per_call: int = 0
    source: str = ""

    def cost(self, usage: Usage) -> int:
        """Give the cost of a usage in nano-USD, rounded up."""
        cached_price = self.input if self.cached is None else self.cached
        total = (
            (usage.input - usage.cached) * self.input
            + usage.cached * cached_price
            + usage.output * self.output
        )
        return -(-total // 1_000_000) + self.per_call


@dataclass(frozen=True, slots=True)
class Model:
    """One entry of `[models.ALIAS]`. `use` is `vendor:name`; keys are never shown or stored.

    `timeout` is in seconds per attempt; `rpm` and `tpm` are the account's limits per minute;
    `enqueued_tokens` those it may have waiting in batches; `concurrency` bounds the calls in
    flight. `structured` picks how JSON is asked for: `auto`,
    `schema`, `tool`, `object` or `text`. `workflow` is the text of a workflow's file, for servers
    that run one.
    """

    alias: str
    use: str
    base_urls: tuple[str, ...] = ()
    keys: tuple[str, ...] = field(default=(), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy: str | None = field(default=None, repr=False)
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    timeout: float = 120.0
    fallback: tuple[str, ...] = ()
    price: Price | None = None
    structured: str = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)
    workflow: str | None = field(default=None, repr=False)
    window: int | None = None
    tools: bool | None = None
    enqueued_tokens: int | None = None

    @property
    def vendor(self) -> str:
        """The part of `use` before the first colon."""
        return self.use.partition(":")[0]

    @property
    def name(self) -> str:
        """The part of `use` after the first colon; empty for the embedded default."""
        return self.use.partition(":")[2]


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply as the journal keeps it: with its hash, cost, and whether it was replayed."""

    hash: bytes
    response: Response
    model: str
    list_cost: int | None
    replayed: bool = False
