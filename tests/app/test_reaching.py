"""Addresses that somebody else wrote lead nowhere inside: names, figures, redirects."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from waremill.app.keeping import _download
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
