"""A request's canonical bytes and its hash: what makes two requests the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from typing import Any, TypeVar

import orjson

from waremill.domain import Chat, Embed, ImageRequest, Model

R = TypeVar("R", bound=Chat | ImageRequest)

_SCHEMAS: dict[int, tuple[Mapping[str, Any], orjson.Fragment]] = {}
_SCHEMAS_KEPT = 512


def configured(request: R, model: Model) -> R:
    """Give a request the options its model is configured with, unless it has its own.

    For a picture the request's own go before the model's, name by name.
    """
    if not model.options:
        return request
    if request.options:
        if isinstance(request, Chat):
            return request
        return replace(request, options={**model.options, **request.options})
    return replace(request, options=model.options)


def canonical(request: Chat | ImageRequest) -> bytes:
    """Write a request as canonical JSON: names sorted, no white space, UTF-8.

    References to stored files stay as they are: they name the content by its hash.
    """
    if isinstance(request, ImageRequest):
        return _canonical_image(request)
    parts = {
        "max_tokens": request.max_tokens,
        "messages": request.messages,
        "options": request.options,
        "sample": request.sample,
        "schema": None if request.schema is None else _schema(request.schema),
        "take": request.take,
    }
    if request.tools:  # a request without any is written as before there were tools
        parts["tools"] = request.tools
        parts["tool_choice"] = request.tool_choice
    return orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)


def canonical_embed(request: Embed) -> bytes:
    """Write a request for vectors as canonical JSON, as `canonical` does."""
    parts = {name: getattr(request, name) for name in ("options", "purpose", "texts")}
    return orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)


def _canonical_image(request: ImageRequest) -> bytes:
    parts = {name: getattr(request, name) for name in _IMAGE_PARTS}
    for name in ("strength", "guidance"):  # 1 and 1.0 are the same strength
        parts[name] = None if parts[name] is None else float(parts[name])
    return orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)


_IMAGE_PARTS = tuple(ImageRequest.__dataclass_fields__)


def _schema(schema: Mapping[str, Any]) -> orjson.Fragment:
    """Write a schema once: templates hand the same object to every request.

    The object is kept beside its text, so its id cannot be another's meanwhile.
    """
    known = _SCHEMAS.get(id(schema))
    if known is not None:
        return known[1]
    if len(_SCHEMAS) >= _SCHEMAS_KEPT:
        _SCHEMAS.clear()
    fragment = orjson.Fragment(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS))
    _SCHEMAS[id(schema)] = (schema, fragment)
    return fragment


def request_hash(identity: str, body: bytes) -> bytes:
    """Hash a request for one model: 16 bytes of BLAKE2b over the model's identity and the body."""
    return blake2b(body, digest_size=16, key=_key(identity)).digest()


@lru_cache(maxsize=256)
def _key(identity: str) -> bytes:
    return blake2b(identity.encode(), digest_size=32).digest()
