"""Stored files in requests and replies: filled in just before the wire, kept before the commit.

A request names pictures by reference, so that its hash is small and the same on every machine. What
a provider gets are `data:` URLs; what it gives as bytes goes to storage, and the answer holds the
references.
"""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from typing import Protocol

import orjson

from waremill.domain import AnyMessage, Asset, Chat, Image, ImageRequest, Message, Response
from waremill.errors import ConfigError

IN_BODY = b'"asset:'
"""How a reference begins in a request's canonical JSON."""


class Assets(Protocol):
    """Content-addressed storage."""

    async def read(self, reference: str) -> bytes:
        """Read the content of a reference; raises NotFound."""

    async def keep(self, content: bytes, media_type: str) -> str:
        """Store content and give its reference."""


def is_plain(request: Chat | ImageRequest) -> bool:
    """Say whether a request is text alone, as most are: told without looking at what it says."""
    if isinstance(request, ImageRequest):
        return False
    return all(message.content.__class__ is str for message in request.messages)


async def filled(request: Chat | ImageRequest, assets: Assets | None) -> Chat | ImageRequest:
    """Put `data:` URLs in place of a request's references.

    Raises NotFound where a file is gone, ConfigError where nothing is stored anywhere.
    """
    if isinstance(request, ImageRequest):
        images = [await _data_url(one, assets) for one in request.images]
        mask = None if request.mask is None else await _data_url(request.mask, assets)
        return replace(request, images=tuple(images), mask=mask)
    messages: list[AnyMessage] = []
    for message in request.messages:
        if not isinstance(message, Message) or isinstance(message.content, str):
            messages.append(message)
            continue
        parts = [
            Image(await _data_url(part.url, assets)) if isinstance(part, Image) else part
            for part in message.content
        ]
        messages.append(Message(message.role, tuple(parts)))
    return replace(request, messages=tuple(messages))


async def _data_url(url: str, assets: Assets | None) -> str:
    asset = Asset.parse(url)
    if asset is None:
        return url
    content = await require(assets).read(url)
    encoded = await asyncio.to_thread(base64.b64encode, content)
    return f"data:{asset.media_type};base64,{encoded.decode('ascii')}"


async def stored(response: Response, assets: Assets | None) -> Response:
    """Store a reply's bytes; give it with `{"images": [references]}` as its text and no bytes."""
    storage = require(assets)
    images = [await storage.keep(blob.content, blob.media_type) for blob in response.blobs]
    return replace(response, text=orjson.dumps({"images": images}).decode(), blobs=())


def images_of(text: str) -> tuple[str, ...]:
    """Give the references of an answer that is pictures; none where it is anything else."""
    try:
        data = orjson.loads(text)
    except ValueError:
        return ()
    images = data.get("images") if isinstance(data, dict) else None
    found = images if isinstance(images, list) else []
    return tuple(one for one in found if Asset.parse(one) is not None)


def require(assets: Assets | None) -> Assets:
    """Give the storage, or raise ConfigError where none was handed in."""
    if assets is None:
        raise ConfigError("pictures need a place to be kept in, and this caller was given none")
    return assets
