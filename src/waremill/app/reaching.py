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


def open_session(private: bool, timeout: float) -> AbstractAsyncContextManager[Any]:
    """Open a session; without `private` it reaches public addresses alone.

    It uses no proxy of the environment's, keeps no cookies, and connects anew each time.
    """
    resolver = None if private else PublicResolver()
    connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, force_close=True)
    return aiohttp.ClientSession(
        connector=connector, timeout=aiohttp.ClientTimeout(total=timeout),
        cookie_jar=aiohttp.DummyCookieJar(), trust_env=False,
    )  # fmt: skip
