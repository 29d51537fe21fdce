"""One model's HTTP connection: session, endpoints, and what goes wrong on the way.

Keeps one aiohttp session with prebuilt headers, spreads calls round-robin over the endpoints (base
URLs and keys) and leaves out for a while those that fail. Turns every failure of the network into
an error of the taxonomy. Must not retry, must not know what a body means, and must not limit how
many calls are in flight: `calls/` does.
"""

from __future__ import annotations

import io
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from waremill.domain import Model
from waremill.errors import AccessDenied, ConfigError, ProviderError, RateLimited, Unavailable
from waremill.providers.failures import (
    Source,
    detail_of,
    error_for,
    read_detail,
    secrets_of,
)
from waremill.providers.sse import events

if TYPE_CHECKING:
    import aiohttp
    from multidict import CIMultiDict
    from yarl import URL

CONNECT_SECONDS = 10.0
"""How long opening a connection may take."""
FIRST_REST = 2.0
LONGEST_REST = 60.0
"""Seconds a failing endpoint is left out: doubled from the first at each failure, up to this."""
DENIED_REST = 600.0
"""Seconds an endpoint whose key was refused is left out while others work."""
LARGE_BODY = 1 << 20
"""From this many bytes on (pictures) a body is sent as a stream, as aiohttp advises."""
LARGEST_REPLY = 256 << 20
"""Bytes of a reply that is made of pictures; more is broken off."""


@dataclass(slots=True, eq=False)
class Endpoint:
    """One address with one key; `rests_until` is on the monotonic clock."""

    url: str
    key: str | None = field(default=None, repr=False)
    headers: CIMultiDict[str] | None = field(default=None, repr=False)
    target: URL | None = field(default=None, repr=False)
    rests_until: float = 0.0
    failures: int = 0
    denied: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A 200: the body's bytes and the request's id."""

    body: bytes
    request_id: str | None


class Connection:
    """The session and endpoints of one model.

    `urls` are complete addresses to post to, or what `send` appends paths to; `auth` makes the
    headers for a key. With as many keys as URLs each URL has its own key, in order; otherwise every
    URL is used with every key.
    """

    def __init__(self, model: Model, urls: tuple[str, ...], auth: Mapping[str, str]) -> None:
        self.source = Source(
            model.vendor, model.name, secrets_of(model.keys, model.headers, model.proxy)
        )
        self._auth = auth
        self._model = model
        keys: tuple[str | None, ...] = model.keys or (None,)
        pairs = (
            list(zip(urls, keys, strict=True))
            if len(urls) == len(keys)
            else [(url, key) for key in keys for url in urls]
        )
        self.endpoints = tuple(Endpoint(url, key) for url, key in pairs)
        self._turn = 0
        self._session: aiohttp.ClientSession | None = None
        self._proxy: URL | None = None

    def __repr__(self) -> str:
        return f"Connection({self.source.vendor}:{self.source.model})"

    def _open(self) -> aiohttp.ClientSession:
        """Open the session on first use, inside the running loop (aiohttp is imported here)."""
        import aiohttp
        from multidict import CIMultiDict
        from yarl import URL

        for endpoint in self.endpoints:
            headers = CIMultiDict({"Content-Type": "application/json", "User-Agent": "waremill"})
            for name, value in self._auth.items():
                if "{key}" not in value:
                    headers[name] = value
                elif endpoint.key:
                    headers[name] = value.replace("{key}", endpoint.key)
            headers.update(self._model.headers)
            endpoint.headers = headers
            endpoint.target = URL(endpoint.url)
        if self._model.proxy:
            self._proxy = URL(self._model.proxy)
        seconds = self._model.timeout
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(
                total=seconds, sock_connect=min(CONNECT_SECONDS, seconds)
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        return self._session

    async def aclose(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def pick(self) -> Endpoint:
        """Choose an endpoint for several requests that belong together."""
        return self._pick()

    def _pick(self) -> Endpoint:
        if len(self.endpoints) == 1:
            return self.endpoints[0]
        now = time.monotonic()
        count = len(self.endpoints)
        for step in range(count):
            endpoint = self.endpoints[(self._turn + step) % count]
            if endpoint.rests_until <= now:
                self._turn = (self._turn + step + 1) % count
                return endpoint
        return min(self.endpoints, key=lambda one: one.rests_until)

    def _judge(self, endpoint: Endpoint, error: ProviderError) -> ProviderError:
        """Let a failing endpoint rest; a refused key among working ones is no reason to stop."""
        now = time.monotonic()
        if isinstance(error, RateLimited):
            endpoint.rests_until = now + min(error.retry_after or 1.0, LONGEST_REST)
        elif isinstance(error, Unavailable):
            rest = min(FIRST_REST * 2.0 ** min(endpoint.failures, 6), LONGEST_REST)
            endpoint.failures += 1
            endpoint.rests_until = now + rest
        elif isinstance(error, AccessDenied) and error.status in (401, 402, 403, 429):
            endpoint.denied = True
            endpoint.rests_until = now + DENIED_REST
            if not all(one.denied for one in self.endpoints):
                number = self.endpoints.index(endpoint) + 1
                return self.source.unavailable(
                    f"endpoint {number} of {len(self.endpoints)} is left out: {error.message}",
                    status=error.status,
                    request_id=error.request_id,
                )
        return error

    async def post(self, body: bytes) -> Reply:
        """Send one body once and give the whole 200; raise a `ProviderError` for anything else."""
        session = self._session or self._open()
        endpoint = self._pick()
        failure: ProviderError
        try:
            async with session.post(
                endpoint.target or endpoint.url,
                data=body if len(body) < LARGE_BODY else io.BytesIO(body),
                headers=endpoint.headers,
                proxy=self._proxy,
                allow_redirects=False,
            ) as response:
                content = await response.read()
                if response.status == 200:
                    endpoint.failures = 0
                    endpoint.denied = False
                    return Reply(content, _request_id(response.headers))
                failure = self._status_error(response.status, response.headers, content)
        except Exception as error:  # sorted below: ours is re-raised as it is
            failure = self._network_error(error, endpoint)
        # Raised outside `except`, so that no aiohttp exception (whose request holds the key) hangs
        # on it as its context.
        raise self._judge(endpoint, failure)

    async def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        kind: str = "application/json",
        endpoint: Endpoint | None = None,
    ) -> Reply:
        """Send one request to a path below an endpoint's address once; give the whole 200.

        `path` may end in a query, and be a whole address of the endpoint's host; `kind` is the
        body's media type. Raises a `ProviderError` for anything else.
        """
        from yarl import URL

        session = self._session or self._open()
        chosen = endpoint or self._pick()
        below, _, query = path.partition("?")
        address = URL(path, encoded=True) if "://" in below else join_url(chosen.url, below, query)
        failure: ProviderError
        try:
            async with session.request(
                method,
                address,
                data=body if len(body) < LARGE_BODY else io.BytesIO(body),
                headers={**(chosen.headers or {}), "Content-Type": kind},
                proxy=self._proxy,
                allow_redirects=False,
            ) as response:
                content = bytearray()
                async for piece in response.content.iter_any():
                    content += piece
                    if len(content) > LARGEST_REPLY:
                        raise self.broken(f"sent more than {LARGEST_REPLY >> 20} MB")
                if response.status == 200:
                    chosen.failures = 0
                    chosen.denied = False
                    return Reply(bytes(content), _request_id(response.headers))
                failure = self._status_error(response.status, response.headers, bytes(content))
        except Exception as error:
            failure = self._network_error(error, chosen)
        raise self._judge(chosen, failure)

    async def lines(self, path: str) -> AsyncGenerator[bytes]:
        """Fetch a file of lines below an endpoint's address once; give line after line.

        Raises a `ProviderError` where it is not there, or breaks off before its end.
        """
        session = self._session or self._open()
        chosen = self.endpoints[0]
        failure: ProviderError | None = None
        rest = b""
        try:
            async with session.get(
                join_url(chosen.url, path),
                headers=chosen.headers,
                proxy=self._proxy,
                allow_redirects=False,
            ) as response:
                if response.status != 200:
                    content = await response.read()
                    failure = self._status_error(response.status, response.headers, content)
                else:
                    async for piece in response.content.iter_any():
                        *whole, rest = (rest + piece).split(b"\n")
                        for line in whole:
                            if line.strip():
                                yield line
        except Exception as error:
            failure = self._network_error(error, chosen)
        if failure is not None:
            raise self._judge(chosen, failure)
        if rest.strip():
            yield rest

    async def stream(self, body: bytes) -> AsyncGenerator[tuple[bytes, str | None]]:
        """Send one body once; give each event's data with the request's id.

        A server that answers with plain JSON instead gives that as the only piece.
        """
        session = self._session or self._open()
        endpoint = self._pick()
        failure: ProviderError | None = None
        try:
            async with session.post(
                endpoint.target or endpoint.url,
                data=body if len(body) < LARGE_BODY else io.BytesIO(body),
                headers=endpoint.headers,
                proxy=self._proxy,
                allow_redirects=False,
            ) as response:
                request_id = _request_id(response.headers)
                if response.status != 200:
                    content = await response.read()
                    failure = self._status_error(response.status, response.headers, content)
                elif response.content_type == "text/event-stream":
                    async for data in events(response.content.iter_any()):
                        yield data, request_id
                else:
                    yield await response.read(), request_id
        except Exception as error:
            failure = self._network_error(error, endpoint)
        if failure is not None:
            raise self._judge(endpoint, failure)
        endpoint.failures = 0
        endpoint.denied = False

    def broken(self, what: str, request_id: str | None = None) -> Unavailable:
        """Make the error for a 200 that is no whole reply."""
        return self.source.unavailable(what, status=200, request_id=request_id)

    def error_in(self, data: Any, request_id: str | None) -> ProviderError:
        """Make the error for a 200 whose body says `error`."""
        detail = detail_of(data)
        status = detail.status if detail.status and detail.status >= 400 else 500
        return error_for(self.source, status, {}, detail, request_id)

    def _status_error(
        self, status: int, headers: Mapping[str, str], content: bytes
    ) -> ProviderError:
        detail = read_detail(content)
        return error_for(self.source, status, headers, detail, _request_id(headers))

    def _network_error(self, error: Exception, endpoint: Endpoint) -> ProviderError:
        import aiohttp

        if isinstance(error, ProviderError):
            return error
        host = urlsplit(endpoint.url).netloc.rpartition("@")[2]
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return self.source.unavailable(f"did not accept a connection at {host} in time")
        if isinstance(error, TimeoutError):
            return self.source.unavailable(f"did not answer within {self._model.timeout:g} s")
        if isinstance(error, aiohttp.ClientProxyConnectionError):
            return self.source.unavailable("could not be reached: the proxy does not answer")
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return self.source.unavailable(f"could not be reached: the proxy said {error.status}")
        if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
            return self.source.unavailable(f"at {host} has no valid certificate")
        if isinstance(error, aiohttp.ClientConnectorError):
            reason = error.os_error.strerror or "the name or address is not known"
            return self.source.unavailable(f"could not be reached at {host}: {reason}")
        if isinstance(error, aiohttp.InvalidURL):
            return AccessDenied(
                self.source.clean(f"{self.source.vendor}: base_url is no address: {host}"),
                provider=self.source.vendor,
                model=self.source.model,
            )
        if isinstance(error, aiohttp.ClientError | OSError):
            return self.source.unavailable(f"cut the connection ({type(error).__name__})")
        raise error

    async def get_json(self, url: str) -> Any:
        """Fetch a JSON document with the first endpoint's key (for listing models)."""
        import orjson

        session = self._session or self._open()
        endpoint = self.endpoints[0]
        failure: ProviderError
        try:
            async with session.get(
                url, headers=endpoint.headers, proxy=self._proxy, allow_redirects=False
            ) as response:
                content = await response.read()
                if response.status == 200:
                    return orjson.loads(content)
                failure = self._status_error(response.status, response.headers, content)
        except ValueError:
            failure = self.broken("listed its models as something that is not JSON")
        except Exception as error:
            failure = self._network_error(error, endpoint)
        raise failure


def _request_id(headers: Mapping[str, str]) -> str | None:
    return headers.get("x-request-id") or headers.get("request-id")


def is_loopback(url: str) -> bool:
    """Say whether an address is this machine."""
    host = (urlsplit(url).hostname or "").lower()
    return host in ("localhost", "::1") or host.startswith("127.") or host.endswith(".localhost")


def base_urls(model: Model, default: str | None) -> tuple[str, ...]:
    """Give the model's base URLs or the vendor's; raise ConfigError where there is none or it is
    not an http(s) address.
    """
    urls = model.base_urls or ((default,) if default else ())
    if not urls:
        raise ConfigError(
            f"model “{model.alias}” ({model.use}) needs a base_url: the address of its endpoint"
        )
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            shown = parts.hostname or url.rpartition("@")[2]
            raise ConfigError(f"model “{model.alias}”: base_url “{shown}” is no http(s) address")
    return tuple(urls)


def require_key(model: Model, urls: tuple[str, ...], variable: str | None) -> None:
    """Raise ConfigError where a key is needed (not on loopback) and there is none."""
    if variable is None or model.keys or all(map(is_loopback, urls)):
        return
    if any(name.lower() in ("authorization", "api-key", "x-api-key") for name in model.headers):
        return
    raise ConfigError(
        f"model “{model.alias}” ({model.use}) has no key: set {variable}, or name another variable "
        "with api_key_env"
    )


def identity(model: Model, urls: tuple[str, ...]) -> str:
    """Name the model, its endpoints and how JSON is asked for, for the request's hash.

    No alias, no login, no key.
    """
    cleaned: set[str] = set()
    for url in urls:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        query = parts.query if "key=" not in parts.query else ""
        cleaned.add(urlunsplit((parts.scheme, host, parts.path.rstrip("/"), query, "")))
    asked = "" if model.structured == "auto" else f" structured={model.structured}"
    return f"{model.use} {' '.join(sorted(cleaned))}{asked}"


def join_url(base: str, path: str, query: str = "") -> str:
    """Append a path to a base URL, keeping and extending its query."""
    parts = urlsplit(base)
    joined = "&".join(one for one in (parts.query, query) if one)
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + path, joined, ""))
