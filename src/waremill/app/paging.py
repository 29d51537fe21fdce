"""Pages of listings: some rows, and an opaque cursor that says where the next ones begin.

A cursor is base64url of JSON. It holds where a listing stopped, never what may be seen: who hands
in another one sees other rows of what they may see anyway.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

from waremill.errors import ConfigError

T = TypeVar("T")

SIZE = 50
"""Rows of a page, where nothing else is asked for."""
LARGEST = 1000
_LONGEST = 20_000


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a listing; `next` is the cursor of the page after, None on the last one."""

    rows: tuple[T, ...]
    next: str | None = None


def encode_cursor(place: Mapping[str, Any]) -> str:
    """Write a place in a listing as text that can stand in a URL."""
    return urlsafe_b64encode(orjson.dumps(dict(place))).decode().rstrip("=")


def decode_cursor(text: str) -> dict[str, Any]:
    """Read a cursor; raise ConfigError for text that is none."""
    try:
        if len(text) > _LONGEST:
            raise ValueError
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        place = orjson.loads(urlsafe_b64decode(padded))
        if not isinstance(place, dict):
            raise ValueError
    except (ValueError, binascii.Error) as error:
        raise bad_cursor() from error
    return place


def bad_cursor() -> ConfigError:
    """Give the error for a cursor that no listing of ours made."""
    return ConfigError("the cursor is not one of this listing; start again without one")


def page_size(size: int) -> int:
    """Give a page's size as asked for; raise ConfigError where it is not from 1 to 1,000."""
    if not 1 <= size <= LARGEST:
        raise ConfigError(f"a page has from 1 to {LARGEST:,} rows, not {size:,}")
    return size


__all__ = ["LARGEST", "SIZE", "Page", "bad_cursor", "decode_cursor", "encode_cursor", "page_size"]
