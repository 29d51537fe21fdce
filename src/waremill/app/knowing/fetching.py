"""Documents fetched from web addresses: http and https, never from our own network.

Where a connection goes is checked at the socket, redirects included (see `app.reaching`). Private
addresses are reached only where the settings permit them; no request can.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from waremill.app.reaching import open_session
from waremill.errors import SourceError, Where
from waremill.knowledge.loading import LARGEST

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

SECONDS = 60.0
REDIRECTS = 5
_CHUNK = 1 << 16
_HEADERS = {
    "Accept": "text/html, application/pdf, text/markdown, text/plain, */*;q=0.5",
    "User-Agent": "waremill",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an address gave; `media_type` is what the server called it, without parameters."""

    content: bytes
    media_type: str


def clean_address(address: str) -> str:
    """Give an address in the form documents are named by; raise SourceError for what is none."""
    where = Where(file=address[:200])
    try:
        parts = urlsplit(address.strip())
        usable = parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
        usable = usable and parts.port != 0 and not re.search(r"[\s\x00-\x1f]", address.strip())
    except ValueError:
        usable = False
    if not usable:
        raise SourceError("this is no web address that starts with http:// or https://", where)
    if parts.username is not None or parts.password is not None:
        raise SourceError("an address must not hold a user or password", Where(parts.hostname))
    scheme, host = parts.scheme.lower(), parts.netloc.lower()
    return urlunsplit((scheme, host, parts.path or "/", parts.query, ""))


async def fetch(workspace: Workspace, address: str) -> Fetched:
    """Fetch a document; raise SourceError where that does not work within time and size."""
    import aiohttp

    where = Where(file=address)
    private = workspace.settings.knowledge.allow_private_addresses
    try:
        async with (
            open_session(private=private, timeout=SECONDS) as session,
            session.get(address, max_redirects=REDIRECTS, headers=_HEADERS) as reply,
        ):
            if reply.status != 200:
                raise SourceError(f"the address answers with status {reply.status}", where)
            content = bytearray()
            async for chunk in reply.content.iter_chunked(_CHUNK):
                content += chunk
                if len(content) > LARGEST:
                    raise SourceError(
                        f"the document is larger than {LARGEST >> 20} MB: name a smaller one", where
                    )
            return Fetched(bytes(content), reply.content_type)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        # Which of these it is stays unsaid: whoever names addresses could ask what machines
        # there are.
        raise SourceError(
            "the address cannot be fetched: it does not answer in time, or is not on the public "
            "internet (knowledge.allow_private_addresses permits others)",
            where,
        ) from error
