"""Addresses that somebody else wrote lead nowhere inside: names, figures, redirects."""

from __future__ import annotations

import ipaddress

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from waremill.app.keeping import _download
from waremill.app.notifying import is_public
from waremill.app.reaching import open_session
from waremill.errors import SourceError


async def served(_request: web.Request) -> web.Response:
    return web.Response(body=b"secret")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0", "localhost"])
async def test_a_private_address_is_not_connected_to(host: str) -> None:
    app = web.Application()
    app.router.add_get("/a.png", served)
    async with TestServer(app) as server:
        address = f"http://{host}:{server.port}/a.png"
        async with open_session(private=False, timeout=5) as session:
            with pytest.raises(aiohttp.ClientError):
                await session.get(address)
        with pytest.raises(SourceError, match="cannot be fetched") as caught:
            await _download(address)
        assert str(server.port) in str(caught.value) and "refused" not in str(caught.value)
        async with open_session(private=True, timeout=5) as session:
            if host == "127.0.0.1":
                assert await (await session.get(address)).read() == b"secret"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "169.254.169.254", "100.100.100.200", "192.0.0.192",
        "168.63.129.16", "192.88.99.1", "198.18.0.1", "224.0.0.1", "0.0.0.0", "::1", "::",
        "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:7f00:1::",
        "2001::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "2001:db8::1", "3fff::1",
        "::ffff:168.63.129.16", "2002:a83f:8110::",
    ],
)  # fmt: skip
def test_what_lies_inside_is_not_public_whatever_it_is_wrapped_in(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "2002:808:808::"])
def test_what_lies_outside_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
