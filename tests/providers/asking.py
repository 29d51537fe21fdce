"""Requests and models that the provider tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.vendor import Vendor

from waremill.domain import Chat, Emit, Message, Model, Provider, Response
from waremill.errors import ProviderError
from waremill.providers import open_provider

KEY = "sk-verysecret-0123456789abcdef"
PRODUCT = "name: Eau Sauvage\nbrand: Dior\nvolume_ml: 50\nnotes: bergamot, lavender and vetiver"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 40},
        "points": {
            "type": "array",
            "items": {"type": "string", "maxLength": 60},
            "minItems": 2,
            "maxItems": 3,
        },
        "family": {"type": "string", "enum": ["woody", "fresh"]},
    },
    "required": ["title", "points", "family"],
    "additionalProperties": False,
}


def chat(text: str = PRODUCT, schema: dict[str, Any] | None = None, **fields: Any) -> Chat:
    """A system prompt and one product."""
    messages = (Message("system", "You write product copy."), Message("user", text))
    return Chat(messages, fields.pop("max_tokens", 300), schema, **fields)


def model(use: str, *urls: str, **fields: Any) -> Model:
    """A model with a key, at the given addresses."""
    return Model("writer", use, tuple(urls), fields.pop("keys", (KEY,)), **fields)


@asynccontextmanager
async def opened(use: str, *urls: str, **fields: Any) -> AsyncIterator[Provider]:
    """An open provider, closed at the end."""
    provider = open_provider(model(use, *urls, **fields))
    try:
        yield provider
    finally:
        await provider.aclose()


async def ask(
    use: str, vendor: Vendor, request: Chat | None = None, emit: Emit | None = None, **fields: Any
) -> Response:
    """Send one request to the loopback vendor."""
    async with opened(use, vendor.url, **fields) as provider:
        return await provider(request or chat(), emit)


async def failure(
    use: str, vendor: Vendor, request: Chat | None = None, emit: Emit | None = None, **fields: Any
) -> ProviderError:
    """Send one request that must fail; give the error."""
    with pytest.raises(ProviderError) as caught:
        await ask(use, vendor, request, emit, **fields)
    return caught.value
