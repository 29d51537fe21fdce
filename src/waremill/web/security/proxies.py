"""Who a request comes from when a proxy stands in between: the address, and whether over https.

What a proxy writes counts only where the connection itself is a trusted proxy's: from anybody else
it is what anybody can write. One header is read, the one the proxies are said to write, since a
client may send the other one through them. The host is never taken from a proxy's header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from typing import Final, Literal

from starlette.datastructures import Headers
from starlette.types import Scope

ProxyHeader = Literal["x-forwarded-for", "forwarded"]
_FOR: Final = "x-forwarded-for"
_PROTO: Final = "x-forwarded-proto"
_FORWARDED: Final = "forwarded"
_PAIR = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:\"([^\"\\]*)\"|([^\s\",;=]*))\s*")
_WITH_PORT = re.compile(r"\[([^\[\]]+)\](?::\d{1,5})?|([\d.]+):\d{1,5}")


@dataclass(frozen=True, slots=True)
class Came:
    """How a request came: through a trusted proxy or not, from which address and port (None: from
    none), and whether a trusted proxy says that its client spoke https.
    """

    proxied: bool
    client: tuple[str, int] | None
    https: bool = False


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies that are trusted, by address, and the header they write (RFC 7239, or the older
    `X-Forwarded-For` with `X-Forwarded-Proto`).
    """

    trusted: tuple[IPv4Network | IPv6Network, ...] = ()
    header: ProxyHeader = _FOR

    def trusts(self, address: str) -> bool:
        """Say whether an address is a trusted proxy's."""
        parsed = _address(address)
        return parsed is not None and self._holds(parsed)

    def came(self, scope: Scope) -> Came:
        """Say how a request or a socket came.

        The client is the last address in the header that is no trusted proxy's; what stands before
        it, the client wrote. What is no address ends the search at the proxy that wrote it.
        """
        peer = scope.get("client")
        client = None if peer is None else (str(peer[0]), int(peer[1]))
        if client is None or not self.trusts(client[0]):
            return Came(False, client)
        headers = Headers(scope=scope)
        found, said = client[0], None
        for hop in self._hops(headers):
            address = _address(hop.get("for", ""))
            if address is None:
                break
            found, said = str(address), hop.get("proto")
            if not self._holds(address):
                break
        https = said == "https" if self.header == _FORWARDED else _all_https(headers)
        return Came(True, client if found == client[0] else (found, 0), https)

    def _holds(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self.trusted)

    def _hops(self, headers: Headers) -> Iterator[Mapping[str, str]]:
        """Give what proxies noted, the nearest first."""
        text = ",".join(headers.getlist(self.header))
        if self.header == _FORWARDED:
            yield from map(_pairs, _elements(text))
        else:
            yield from ({"for": one.strip()} for one in reversed(text.split(",")))


def _elements(text: str) -> Iterator[str]:
    """Give the elements of a `Forwarded` header from the last to the first.

    Read backwards, so that a quote a client left open cannot swallow what a proxy wrote after it.
    """
    end, quoted = len(text), False
    for place in range(len(text) - 1, -1, -1):
        if text[place] == '"':
            quoted = not quoted
        elif text[place] == "," and not quoted:
            yield text[place + 1 : end]
            end = place
    yield text[:end]


def _pairs(element: str) -> dict[str, str]:
    """Read an element's `name=value` pairs; nothing where one of them is malformed or twice."""
    found: dict[str, str] = {}
    for part in element.split(";"):
        pair = _PAIR.fullmatch(part)
        if pair is None or pair[1].lower() in found:
            return {}
        found[pair[1].lower()] = (pair[2] if pair[3] is None else pair[3]).lower()
    return found


def _all_https(headers: Headers) -> bool:
    said = ",".join(headers.getlist(_PROTO)).split(",")
    return all(one.strip().lower() == "https" for one in said)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address, with or without a port; None for what is none, such as `unknown`."""
    port = _WITH_PORT.fullmatch(text)
    try:
        found = ip_address(text if port is None else port[1] or port[2])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


__all__ = ["Came", "Proxies", "ProxyHeader"]
