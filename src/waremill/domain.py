"""The nouns: frozen data that every room shares. No I/O, no decisions.

This module must not import any other room.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Literal, Protocol, TypeAlias

Severity = Literal["error", "warning"]
Outcome = Literal["complete", "truncated", "refused"]
Attributes = Mapping[str, Any]
"""A product's attributes: name to text, number, boolean or a list of these. A missing value is an
absent name, `None`, or blank text; all three mean the same everywhere."""


def is_missing(value: object) -> bool:
    """Say whether a value counts as missing: absent, null, blank text or an empty list."""
    return value is None or (isinstance(value, str) and not value.strip()) or value == []


def category_of(values: Attributes) -> str | None:
    """Give the category a product's values name, None where they name none.

    A group whose members differ has a list; the first entry, its first member's, counts.
    """
    category = values.get("category")
    if isinstance(category, (list, tuple)):
        category = category[0] if category else None
    return None if is_missing(category) else str(category)


def content_version(document: bytes) -> int:
    """Give the version of a product whose attributes, written as JSON with sorted names, are this.

    It is the first 64 bits of the text's BLAKE2b hash, as a signed integer.
    """
    return int.from_bytes(blake2b(document, digest_size=8).digest(), "big", signed=True)


@dataclass(frozen=True, slots=True)
class Product:
    """One product as it was at one version.

    `version` is the first 64 bits of the content's hash as a signed integer; `position` is its
    place in the source, from 0.
    """

    id: int
    key: str
    attributes: Attributes
    version: int
    group: str | None = None
    position: int = 0


_TARGET = re.compile(
    r"(?P<language>[a-z]{2,3})(?:-(?P<script>[A-Z][a-z]{3}))?"
    r"(?:-(?P<market>[A-Z]{2}|\d{3}))?(?:@(?P<channel>[a-z0-9][a-z0-9_.-]*))?"
)
_LANGUAGE_NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "cs": "Czech", "da": "Danish", "de": "German",
    "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "fi": "Finnish",
    "fr": "French", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian",
    "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian",
    "lv": "Latvian", "ms": "Malay", "nb": "Norwegian", "nl": "Dutch", "pl": "Polish",
    "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian",
    "sr": "Serbian", "sv": "Swedish", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian",
    "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """For whom content is made: a language, and optionally a market and a channel.

    Written `de`, `de-DE`, `de-DE@amazon`, `zh-Hans-CN@tmall` (BCP 47 language tag, then channel).
    """

    language: str
    market: str | None = None
    channel: str | None = None
    script: str | None = None

    @staticmethod
    @lru_cache(maxsize=1024)
    def parse(text: str) -> Target:
        """Read a target from its written form; raise ValueError with a plain sentence."""
        match = _TARGET.fullmatch(text)
        if match is None:
            raise ValueError(
                f"“{text}” is not a target: write language-MARKET@channel, such as de-DE@amazon"
            )
        return Target(**match.groupdict())

    @property
    def locale(self) -> str:
        """The BCP 47 tag without the channel, such as `de-DE`."""
        return "-".join(part for part in (self.language, self.script, self.market) if part)

    @property
    def language_name(self) -> str:
        """The language's English name, or its code where we know no name."""
        return _LANGUAGE_NAMES.get(self.language, self.language)

    def __str__(self) -> str:
        return f"{self.locale}@{self.channel}" if self.channel else self.locale


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found wrong: `field` is the output field ('' for the whole), `rule` the check's
    name, `message` one sentence a model or a person can act on, `evidence` the offending text.
    """

    field: str
    rule: str
    severity: Severity
    message: str
    evidence: str = ""

    def as_json(self) -> dict[str, str]:
        """Give the finding as a JSON object."""
        return {
            "field": self.field,
            "rule": self.rule,
            "severity": self.severity,
            "message": self.message,
            "evidence": self.evidence,
        }


_ENDINGS = {
    "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/avif": "avif",
    "image/gif": "gif", "image/tiff": "tif", "image/bmp": "bmp",
}  # fmt: skip
_REFERENCE = re.compile(r"asset:(?P<sha256>[0-9a-f]{64})\.(?P<ending>[a-z0-9]{1,8})")


@dataclass(frozen=True, slots=True)
class Asset:
    """A stored file, named by its content: `asset:<sha256>.<ending>` as a field's value.

    The bytes lie in file storage; whoever has the reference has the hash to check them by.
    """

    sha256: str
    ending: str

    @staticmethod
    def parse(text: object) -> Asset | None:
        """Read a reference; None for anything else."""
        match = _REFERENCE.fullmatch(text) if isinstance(text, str) else None
        return Asset(**match.groupdict()) if match is not None else None

    @staticmethod
    def of(sha256: str, media_type: str) -> Asset:
        """Name content of a media type, `image/png` for example; an unknown type ends in `bin`."""
        return Asset(sha256, _ENDINGS.get(media_type, "bin"))

    @property
    def media_type(self) -> str:
        """The media type its ending stands for."""
        kinds = {ending: kind for kind, ending in _ENDINGS.items()}
        return kinds.get(self.ending, "application/octet-stream")

    @property
    def path(self) -> str:
        """Where it lies below the storage's root; two letters a folder keep folders small."""
        return f"{self.sha256[:2]}/{self.sha256[2:4]}/{self.sha256}.{self.ending}"

    def __str__(self) -> str:
        return f"asset:{self.sha256}.{self.ending}"


def refers(value: object) -> bool:
    """Say whether a field's value refers to a stored file, or is a list in which an entry does."""
    if isinstance(value, str):
        return "asset:" in value and Asset.parse(value.strip()) is not None
    return isinstance(value, list | tuple) and any(map(refers, value))


@dataclass(frozen=True, slots=True)
class Signature:
    """What a text or picture is found again by among many, when it is only nearly the same.

    Two that share one of `bands` are candidates; `likeness` of their `content`, from 0 to 1,
    decides, and at `least` they count as alike.
    """

    content: bytes
    bands: tuple[int, ...]
    likeness: Callable[[bytes, bytes], float]
    least: float


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


@dataclass(frozen=True, slots=True)
class Chat:
    """A request for text. Everything that can change the reply is here and is hashed.

    `schema` is a JSON Schema the reply must match (None for free text); `max_tokens` bounds the
    reply; `sample` tells several replies to one prompt apart; `take` is raised by *Regenerate*.
    `options` are the sampling settings a model was configured with: temperature, top_p, seed,
    stop, effort.
    """

    messages: tuple[Message, ...]
    max_tokens: int
    schema: Mapping[str, Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    sample: int = 0
    take: int = 0


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
    def messages(self) -> tuple[Message, ...]:
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
    its text is `{"images": ["asset:…"]}`.
    """

    text: str
    outcome: Outcome
    usage: Usage
    model: str = ""
    request_id: str | None = None
    blobs: tuple[Blob, ...] = ()


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
    `concurrency` bounds the calls in flight. `structured` picks how JSON is asked for: `auto`,
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


@dataclass(frozen=True, slots=True)
class Item:
    """One product (or group) for one target in one run: the unit of retry, resume and cost.

    `fields` are what earlier steps made; `group` is the merged view of the product's group where
    the pipeline asks for it.
    """

    id: int
    product: Product
    target: Target | None
    fields: Mapping[str, Any]
    take: int = 0
    group: Product | None = None

    @property
    def values(self) -> dict[str, Any]:
        """Attributes overlaid with the fields earlier steps made."""
        return {**self.product.attributes, **self.fields}


Step = Callable[[Item, Any], Awaitable[dict[str, Any]]]
"""A plain async function from an item and a context to new fields."""
