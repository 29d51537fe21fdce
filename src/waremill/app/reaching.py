"""Connections to addresses that somebody else wrote: never into our own network.

The address that is checked is the address that is connected to, so a name that answers differently
the second time (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from waremill.app.notifying import is_public


class PublicResolver(AbstractResolver):
    """Looks names up and gives the public addresses alone."""

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Give a name's addresses; raise OSError where one of them is not public."""
        found = await self._resolver.resolve(host, port, family)
        if not all(is_public(ipaddress.ip_address(one["host"])) for one in found):
            raise OSError("the name stands for a private address")
        return found

    async def close(self) -> None:
        """Close the resolver."""
        await self._resolver.close()


def _public_socket(info: AddrInfoType) -> socket.socket:
    """Make the socket of a connection; no resolver is asked about an address in figures."""
    family, kind, protocol, _, address = info
    if not is_public(ipaddress.ip_address(address[0])):
        raise OSError("this is a private address")
    return socket.socket(family, kind, protocol)


def open_session(private: bool, timeout: float) -> AbstractAsyncContextManager[Any]:
    """Open a session; without `private` it reaches public addresses alone.

    It uses no proxy of the environment's, keeps no cookies, and connects anew each time.
    """
    connector = aiohttp.TCPConnector(
        resolver=None if private else PublicResolver(),
        socket_factory=None if private else _public_socket,
        use_dns_cache=False, force_close=True,
    )  # fmt: skip
    return aiohttp.ClientSession(
        connector=connector, timeout=aiohttp.ClientTimeout(total=timeout),
        cookie_jar=aiohttp.DummyCookieJar(), trust_env=False,
    )  # fmt: skip
