"""HTTP GET, to the addresses the settings allow and to nothing else.

An address must begin with one of the allowed ones: same scheme, host and port, and a path below
theirs. It is compared as it will be requested, and a redirect is compared again. How a connection
is made, so that it reaches no private network, is handed in.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote

from waremill.tools.tool import Marks, Tool, ToolFailed, tool_of

if TYPE_CHECKING:
    from yarl import URL

LARGEST = 256 * 1024
"""Bytes read of a reply; what is longer is cut, and the reply says so."""
REDIRECTS = 3
_TEXT = ("text/", "application/json", "application/xml", "application/javascript")


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an address gave.

    `location` is where it redirects to; `whole` is false where the content was cut.
    """

    status: int
    media_type: str
    content: bytes
    location: str | None = None
    whole: bool = True


Fetch = Callable[[str, int], Awaitable[Fetched]]
"""Gets an address once, without following redirects, and reads so many bytes; raises OSError."""


def http_get(allowed: Sequence[str], fetch: Fetch) -> Tool:
    """Give the tool; `allowed` are the beginnings of addresses that may be read."""

    async def get(url: Annotated[str, "the whole address, with https://"]) -> str:
        address = permitted(url, allowed)
        for _ in range(REDIRECTS + 1):
            try:
                found = await fetch(str(address), LARGEST)
            except OSError as error:
                reason = error.strerror or str(error) or type(error).__name__
                raise ToolFailed(f"{address.host} cannot be reached: {reason}") from error
            if found.location is None:
                return _told(found)
            address = permitted(str(address.join(_url(found.location))), allowed)
        raise ToolFailed(f"{address.host} redirects more than {REDIRECTS} times")

    shown = ", ".join(allowed) or "none"
    words = f"Read a page or an API by HTTP GET. Only addresses that begin with: {shown}."
    return tool_of(get, Marks("http_get", words))


def permitted(url: str, allowed: Sequence[str]) -> URL:
    """Give an address as it will be requested; raises ToolFailed where it is not allowed."""
    address = _url(url)
    if any(_below(address, _url(one)) for one in allowed):
        return address.with_fragment(None)
    raise ToolFailed(f"“{url[:200]}” is not allowed; allowed are {', '.join(allowed) or 'none'}")


def _url(text: str) -> URL:
    from yarl import URL

    if any(ord(sign) <= 32 or ord(sign) == 127 for sign in text) or "\\" in text:
        raise ToolFailed("the address holds a sign that no address has")
    try:
        return URL(text)
    except ValueError as error:
        raise ToolFailed(f"“{text[:200]}” is no address") from error


def _below(address: URL, allowed: URL) -> bool:
    if address.scheme not in ("http", "https") or address.user or address.password:
        return False
    if (address.scheme, address.host, address.port) != (
        allowed.scheme, allowed.host, allowed.port
    ):  # fmt: skip
        return False
    path = address.raw_path
    # Servers differ in what they take for a step upward, so none is let through.
    plain = path
    for _ in range(3):  # some decode twice
        plain = unquote(plain)
    if any(part in (".", "..") for part in re.split(r"[/\\]", plain)):
        return False
    beginning = allowed.raw_path
    if allowed.raw_query_string:
        return path == beginning and address.raw_query_string.startswith(allowed.raw_query_string)
    return path == beginning or path.startswith(beginning.rstrip("/") + "/")


def _told(found: Fetched) -> str:
    kind = found.media_type.partition(";")[0].strip().lower()
    if found.status >= 400:
        text = found.content[:500].decode("utf-8", "replace") if kind.startswith(_TEXT) else ""
        raise ToolFailed(f"the server answered {found.status}: {text}".rstrip(": "))
    if not (kind.startswith(_TEXT) or kind.endswith(("+json", "+xml"))):
        raise ToolFailed(f"the server sent {kind or 'something without a type'}, which is no text")
    text = _decoded(found)
    return text if found.whole else f"{text}\n… (cut after {LARGEST:,} bytes)"


def _decoded(found: Fetched) -> str:
    _, _, named = found.media_type.lower().partition("charset=")
    name = named.partition(";")[0].strip().strip("\"'") or "utf-8"
    try:
        return found.content.decode(name, "replace")
    except (LookupError, ValueError):  # unknown, or a codec of bytes alone, such as hex
        return found.content.decode("utf-8", "replace")
