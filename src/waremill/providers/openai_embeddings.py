"""OpenAI's embeddings API, and every vendor and server that speaks it.

Addresses and keys are those of the same vendors' chat completions. Must not retry, cache or count.

Sources, read 2026-11: OpenAI API reference (Create embeddings), Alibaba Cloud Model Studio (text
embedding, compatible interface), Gemini API (OpenAI compatibility), Ollama (OpenAI compatibility).
"""

from __future__ import annotations

import array
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from waremill.domain import Embed, Embedded, Model, Usage
from waremill.errors import ConfigError
from waremill.providers.http import Connection, base_urls, identity, join_url, require_key
from waremill.providers.openai_chat import AZURE_VERSION, VENDORS
from waremill.providers.tokens import approximate

MOST_TEXTS: Mapping[str, int] = {"dashscope": 10, "google": 100, "vertex": 100}
"""Texts of one request, where a vendor takes fewer than `TEXTS`."""
TEXTS = 128
CHARACTERS = 120_000
"""Characters of one request; OpenAI takes 300,000 tokens, and no script needs two a character."""
_OWN = ("query_prefix", "passage_prefix")
"""Options that are no fields of the request: what is written before a text by its purpose."""


def open_embeddings(model: Model) -> OpenAIEmbeddings:
    """Open a model that embeds; ConfigError says what its settings lack."""
    vendor = VENDORS.get(model.vendor)
    if vendor is None:
        known = ", ".join(sorted(VENDORS))
        raise ConfigError(
            f"model “{model.alias}”: “{model.vendor}” gives no embeddings here; {known} do"
        )
    if not model.name:
        raise ConfigError(f"model “{model.alias}”: write {model.vendor}:NAME")
    urls = base_urls(model, vendor.url)
    require_key(model, urls, vendor.key)
    return OpenAIEmbeddings(model, urls, vendor.auth)


class OpenAIEmbeddings:
    """One model behind the embeddings API; calling it sends one request once."""

    def __init__(self, model: Model, urls: tuple[str, ...], auth: tuple[str, str]) -> None:
        self._model = model
        shaping = {name: model.options[name] for name in sorted(model.options)}
        self._identity = identity(model, urls)
        if shaping:
            self._identity += " " + orjson.dumps(shaping).decode()
        addresses = tuple(_address(model, url) for url in urls)
        self._connection = Connection(model, addresses, {auth[0]: auth[1]})
        self.most_texts = MOST_TEXTS.get(model.vendor, TEXTS)
        self.most_characters = CHARACTERS

    def __repr__(self) -> str:
        return f"OpenAIEmbeddings({self._model.use})"

    @property
    def identity(self) -> str:
        """The model's `use`, its base URLs, and the options that shape vectors."""
        return self._identity

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connection.aclose()

    async def __call__(self, request: Embed) -> Embedded:
        """Send one request once; raise a `ProviderError` for whatever goes wrong outside."""
        options = {**self._model.options, **request.options}
        prefix = str(options.get(f"{request.purpose}_prefix", ""))
        # An empty text is refused by OpenAI; a space means as little.
        texts = [f"{prefix}{text}" or " " for text in request.texts]
        body = {
            **{name: value for name, value in options.items() if name not in _OWN},
            "model": self._model.name,
            "input": texts,
            "encoding_format": "float",
        }
        reply = await self._connection.post(orjson.dumps(body))
        broken = self._connection.broken
        try:
            data = orjson.loads(reply.body)
            if data.get("error"):
                raise self._connection.error_in(data, reply.request_id)
            vectors, dimensions = _vectors(data["data"], len(texts))
            usage = _usage(data.get("usage"), texts)
            model = str(data.get("model") or "")
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            raise broken("sent a reply of an unknown shape", reply.request_id) from None
        return Embedded(vectors, dimensions, usage, model, reply.request_id)


def _vectors(rows: Sequence[Any], count: int) -> tuple[bytes, int]:
    """Put the vectors in the texts' order; ValueError where one is missing or unlike the others."""
    places: dict[int, Sequence[float]] = {}
    for place, row in enumerate(rows):
        index = row.get("index")
        places[place if index is None else int(index)] = row["embedding"]
    dimensions = len(places[0])
    found = array.array("f")
    for place in range(count):
        vector = places[place]
        if len(vector) != dimensions or not dimensions:
            raise ValueError
        found.extend(vector)
    if len(places) != count or not all(map(math.isfinite, found)):
        raise ValueError
    if sys.byteorder == "big":
        found.byteswap()
    return found.tobytes(), dimensions


def _usage(data: Any, texts: Sequence[str]) -> Usage:
    if isinstance(data, dict) and data.get("prompt_tokens"):
        return Usage(int(data["prompt_tokens"]))
    return Usage(sum(approximate(text) for text in texts))


def _address(model: Model, url: str) -> str:
    if model.vendor != "azure" or "/openai/v1" in url:
        return join_url(url, "/embeddings")
    version = "" if "api-version=" in url else f"api-version={AZURE_VERSION}"
    if "/deployments/" in url:
        return join_url(url, "/embeddings", version)
    return join_url(url, f"/openai/deployments/{model.name}/embeddings", version)
