"""A REST source page by page into one file of JSON lines, which the import then reads.

Only the host that the settings name is asked: a next page elsewhere is refused, redirects are not
followed, private addresses are refused unless the source allows them. Nothing is imported unless
all pages came.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import orjson

from waremill.app.notifying import check_literal
from waremill.app.reaching import open_session
from waremill.errors import ConfigError, SourceError
from waremill.settings.load import Source

if TYPE_CHECKING:
    from aiohttp import ClientSession

PAGE_BYTES, ALL_BYTES = 64 << 20, 4 << 30
MOST_PAGES = 1_000_000
TIMEOUT = 60.0
ATTEMPTS = 6
LONGEST_PAUSE = 60.0
_NEXT = re.compile(r'<([^>]+)>\s*;[^,]*\brel\s*=\s*"?next"?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Page:
    """A page's items, its whole document, and what its Link header names as next."""

    items: list[dict[str, Any]]
    document: Any
    link: str | None
    digest: bytes


async def fetch(source: Source, place: Path, *, most: int | None = None) -> int:
    """Write the items of a REST source as JSON lines; give how many.

    `most` pages are read where only a look is wanted. Raises SourceError in one sentence, without
    the address, which may hold what must stay secret.
    """
    count = written = 0
    with place.open("wb") as file:
        async for page in _pages(source, most or MOST_PAGES):
            for item in page.items:
                written += file.write(orjson.dumps(item) + b"\n")
            count += len(page.items)
            if written > ALL_BYTES:
                raise SourceError(f"the source gives more than {ALL_BYTES >> 30} GB")
    if not count:
        raise SourceError("the source gives no item")
    return count


async def _pages(source: Source, most: int) -> AsyncIterator[Page]:
    assert source.url is not None, "it was checked"
    _check(source, source.url)
    url, seen, pages = source.url, set[bytes](), 0
    params = _first(source)
    async with open_session(source.allow_private, TIMEOUT) as session:
        reader = _Reading(source, session)
        while True:
            page = await reader.page(url, params)
            pages += 1
            if page.items and page.digest in seen:
                raise SourceError(
                    f"page {pages} is the same as an earlier one: is the paging right?"
                )
            seen.add(page.digest)
            yield page
            following = _following(source, page, url, params, pages)
            if following is None or pages >= most < MOST_PAGES:
                return
            if pages >= most:
                raise SourceError(f"the source has more than {MOST_PAGES:,} pages")
            url, params = following


def _first(source: Source) -> dict[str, str]:
    params: dict[str, str] = {}
    if source.size_param is not None:
        params[source.size_param] = str(source.page_size)
    if source.paging == "page":
        params[source.page_param or "page"] = "1"
    if source.paging == "offset":
        params[source.page_param or "offset"] = "0"
    return params


def _following(
    source: Source, page: Page, url: str, params: Mapping[str, str], pages: int
) -> tuple[str, dict[str, str]] | None:
    """Give the address and parameters of the next page; None after the last."""
    if source.paging == "none" or not page.items:
        return None
    if source.paging == "link":
        if page.link is None:
            return None
        following = urljoin(url, page.link)
        _check(source, following)
        return following, {}
    if source.paging == "cursor":
        cursor = _at(page.document, source.next_field)
        if cursor in (None, "", False):
            return None
        text = str(cursor)
        if text.startswith(("http://", "https://", "/")) and source.page_param is None:
            following = urljoin(url, text)
            _check(source, following)
            return following, {}
        return url, {**params, source.page_param or "cursor": text}
    if source.paging == "page":
        return url, {**params, source.page_param or "page": str(pages + 1)}
    name = source.page_param or "offset"
    return url, {**params, name: str(int(params[name]) + len(page.items))}


def _check(source: Source, url: str) -> None:
    """Raise SourceError for an address that is not of the named host, or private."""
    own, other = urlsplit(source.url or ""), urlsplit(url)
    if (own.scheme, own.hostname, own.port) != (other.scheme, other.hostname, other.port):
        raise SourceError(
            f"the next page is on another host ({other.hostname}), not the one in waremill.toml"
        )
    try:
        check_literal(url, private=source.allow_private)
    except ConfigError:
        raise SourceError(
            "the address is private: allow_private = true in waremill.toml lets it be read"
        ) from None


class _Reading:
    """Asks for pages: not faster than the source allows, again where it was busy."""

    def __init__(self, source: Source, session: ClientSession) -> None:
        self._source = source
        self._session = session
        self._next_at = 0.0

    async def page(self, url: str, params: Mapping[str, str]) -> Page:
        for attempt in range(1, ATTEMPTS + 1):
            await self._wait()
            found = await self._ask(url, params)
            if isinstance(found, Page):
                return found
            reason, after = found
            if attempt == ATTEMPTS:
                raise SourceError(f"the source {reason}, {ATTEMPTS} times running")
            pause = min(LONGEST_PAUSE, 0.5 * 2.0**attempt * random.uniform(0.9, 1.1))
            await asyncio.sleep(pause if after is None else min(after, LONGEST_PAUSE))
        raise AssertionError("the last attempt returns or raises")

    async def _wait(self) -> None:
        if self._source.rpm is None:
            return
        now = time.monotonic()
        pause, self._next_at = self._next_at - now, max(now, self._next_at) + 60 / self._source.rpm
        if pause > 0:
            await asyncio.sleep(pause)

    async def _ask(self, url: str, params: Mapping[str, str]) -> Page | tuple[str, float | None]:
        """Give a page, or why to ask again and after how many seconds."""
        from aiohttp import ClientError

        headers = {"Accept": "application/json", "User-Agent": "Waremill"}
        if self._source.auth is not None:
            headers[self._source.auth_header] = self._source.auth
        try:
            async with self._session.get(
                url, params=params, headers=headers, allow_redirects=False
            ) as reply:
                if reply.status == 429 or reply.status >= 500:
                    after = reply.headers.get("Retry-After", "")
                    return f"answered {reply.status}", float(after) if after.isdecimal() else None
                if 300 <= reply.status < 400:
                    raise SourceError(
                        "the source leads elsewhere, which is not followed: name that address"
                    )
                if reply.status != 200:
                    raise SourceError(f"the source answered {reply.status}")
                body = bytearray()
                async for chunk in reply.content.iter_chunked(1 << 16):
                    body += chunk
                    if len(body) > PAGE_BYTES:
                        raise SourceError(f"a page is larger than {PAGE_BYTES >> 20} MB")
                return _read(self._source, bytes(body), reply.headers.get("Link", ""))
        except TimeoutError:
            return f"did not answer within {TIMEOUT:g} s", None
        except (ClientError, OSError) as error:
            return f"cannot be reached ({type(error).__name__})", None


def _read(source: Source, body: bytes, link: str) -> Page:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise SourceError("the source gives no JSON") from None
    items = document if source.items is None else _at(document, source.items)
    if source.items is None and isinstance(document, dict):
        lists = [one for one in document.values() if isinstance(one, list)]
        items = max(lists, key=len, default=None)
    if not isinstance(items, list):
        if source.items is None:
            raise SourceError("the source's page holds no list; say with items where it is")
        raise SourceError(f"the source's page holds no list under “{source.items}”")
    found = _NEXT.search(link)
    if not all(isinstance(one, dict) for one in items):
        raise SourceError("the source's list holds something that is no object")
    return Page(items, document, found[1] if found else None, sha256(body).digest())


def _at(document: Any, path: str) -> Any:
    """Give what stands at a path such as `meta.next`; None where nothing does."""
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


__all__ = ["fetch"]
