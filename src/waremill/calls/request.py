"""A request's canonical bytes and its hash: what makes two requests the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import orjson

from waremill.domain import Chat, Model

_SCHEMAS: dict[int, tuple[Mapping[str, Any], orjson.Fragment]] = {}
_SCHEMAS_KEPT = 512


def configured(request: Chat, model: Model) -> Chat:
    """Give a request the options its model is configured with, unless it has its own."""
    if request.options or not model.options:
        return request
    return replace(request, options=model.options)


def canonical(request: Chat) -> bytes:
    """Write a request as canonical JSON: names sorted, no white space, UTF-8."""
    return orjson.dumps(
        {
            "max_tokens": request.max_tokens,
            "messages": request.messages,
            "options": request.options,
            "sample": request.sample,
            "schema": None if request.schema is None else _schema(request.schema),
            "take": request.take,
        },
        option=orjson.OPT_SORT_KEYS,
    )


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
