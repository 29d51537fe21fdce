"""Webhooks: whom we tell, how it is signed, and that nothing goes into our own network."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest
import pytest_asyncio
from aiohttp import web
from tests.workspaces import make_workspace, perfumes, vendor_process, write_sheet

from waremill.app import Workspace, notifying, open_workspace
from waremill.app.acting import Actor
from waremill.app.notifying import Webhooks, check_address, is_public, pause_after, sign
from waremill.app.reaching import open_session
from waremill.app.reviewing import ItemFilters, ReviewDesk
from waremill.errors import ConfigError, Forbidden, NotFound
from waremill.store import webhooks as store

PERMITTED = "\n[server]\nallow_private_webhooks = true\n"


@dataclass
class Listener:
    """A loopback server that is told; it answers the statuses it is given, then 200."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    hanging: int = 0
    most_hanging: int = 0
    free: asyncio.Event = field(default_factory=asyncio.Event)

    async def hang(self, request: web.Request) -> web.Response:
        """Take a message and answer when it is set free."""
        self.hanging += 1
        self.most_hanging = max(self.most_hanging, self.hanging)
        await self.free.wait()
        self.hanging -= 1
        return await self.handle(request)

    async def handle(self, request: web.Request) -> web.Response:
        """Take a message."""
        self.heard.append((dict(request.headers), await request.read()))
        status = self.answers.pop(0) if self.answers else 200
        headers = {"Location": "http://127.0.0.1:9/inside"} if status == 302 else None
        return web.Response(status=status, headers=headers)


@pytest_asyncio.fixture
async def listener() -> AsyncIterator[Listener]:
    """A running listener."""
    heard = Listener()
    app = web.Application()
    app.router.add_post("/hook", heard.handle)
    app.router.add_post("/slow", heard.hang)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    heard.url = f"http://127.0.0.1:{port}/hook"
    yield heard
    await runner.cleanup()


@pytest_asyncio.fixture
async def workspace(tmp_path: Path) -> AsyncIterator[Workspace]:
    """An open workspace that permits webhooks on loopback."""
    folder = make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1")
    settings = folder / "waremill.toml"
    settings.write_text(settings.read_text() + PERMITTED)
    async with open_workspace(folder) as opened:
        yield opened


async def tell(workspace: Workspace, name: str = "run.finished") -> None:
    """Write an event down for the first team."""
    await workspace.database.write(notifying.event, 1, name, {"run": "1122-abcdef"})


async def deliver(workspace: Workspace) -> int:
    """Deliver what is due."""
    private = workspace.settings.server.allow_private_webhooks
    async with open_session(private, 5) as session:
        return await Webhooks(workspace).deliver_due(session)


async def test_a_message_is_signed_so_that_its_receiver_can_check_it(
    workspace: Workspace, listener: Listener
) -> None:
    made = await Webhooks(workspace).add(listener.url)
    await tell(workspace)
    assert await deliver(workspace) == 1
    ((headers, body),) = listener.heard
    moment, signature = (part[2:] for part in headers["Waremill-Signature"].split(",", 1))
    signature = signature.removeprefix("=").removeprefix("1=")
    mine = hmac.new(made.secret.encode(), f"{moment}.".encode() + body, "sha256").hexdigest()
    assert signature == mine and headers["Waremill-Signature"] == sign(
        made.secret, body, int(moment)
    )
    message = orjson.loads(body)
    assert (message["event"], message["run"]) == ("run.finished", "1122-abcdef")
    (delivery,) = (await Webhooks(workspace).deliveries(made.webhook.id)).rows
    assert (delivery.state, delivery.attempts, delivery.status) == ("delivered", 1, 200)


async def test_a_failed_message_waits_longer_each_time_and_is_sent_again(
    workspace: Workspace, listener: Listener
) -> None:
    listener.answers = [500, 302]
    made = await Webhooks(workspace).add(listener.url)
    await tell(workspace)
    for attempt, status in ((1, 500), (2, 302), (3, 200)):
        assert await deliver(workspace) == 1
        (delivery,) = (await Webhooks(workspace).deliveries(made.webhook.id)).rows
        assert (delivery.attempts, delivery.status) == (attempt, status)
        assert await deliver(workspace) == 0, "it is not due yet"
        await workspace.database.write(
            store.settle, delivery.id, delivery.state, next_at=0.0, status=None, error=None
        )
    assert delivery.state == "delivered"
    ids = {orjson.loads(body)["id"] for _, body in listener.heard}
    assert len(listener.heard) == 3 and len(ids) == 1


async def test_it_is_given_up_after_the_last_attempt(
    workspace: Workspace, listener: Listener
) -> None:
    listener.answers = [503] * 20
    made = await Webhooks(workspace).add(listener.url)
    await tell(workspace)
    for _ in range(notifying.ATTEMPTS):
        await deliver(workspace)
        (delivery,) = (await Webhooks(workspace).deliveries(made.webhook.id)).rows
        if delivery.state == "waiting":
            await workspace.database.write(
                store.settle, delivery.id, "waiting", next_at=0.0, status=None, error=None
            )
    assert (delivery.state, delivery.error) == ("failed", "it answered 503")
    assert len(listener.heard) == notifying.ATTEMPTS


def test_pauses_double_up_to_some_hours() -> None:
    pauses = [pause_after(attempt) for attempt in range(1, 16)]
    assert 9 <= pauses[0] <= 11 and 18 <= pauses[1] <= 22
    assert max(pauses) <= notifying.LONGEST_PAUSE * 1.1


async def test_only_who_asked_is_told_and_nobody_who_is_switched_off(
    workspace: Workspace, listener: Listener
) -> None:
    webhooks = Webhooks(workspace)
    made = await webhooks.add(listener.url, ["item.accepted"])
    await tell(workspace)
    assert await deliver(workspace) == 0
    await webhooks.change(made.webhook.id, active=False)
    await tell(workspace, "item.accepted")
    assert await deliver(workspace) == 0
    await webhooks.ping(made.webhook.id)
    assert await deliver(workspace) == 1
    assert orjson.loads(listener.heard[0][1])["event"] == "ping"
    await webhooks.remove(made.webhook.id)
    with pytest.raises(NotFound):
        await webhooks.find(made.webhook.id)


async def test_of_two_servers_one_sends_a_message(workspace: Workspace, listener: Listener) -> None:
    await Webhooks(workspace).add(listener.url)
    await tell(workspace)
    assert sorted(await asyncio.gather(deliver(workspace), deliver(workspace))) == [0, 1]
    assert len(listener.heard) == 1


async def test_slow_endpoints_do_not_keep_the_others_waiting(
    workspace: Workspace, listener: Listener
) -> None:
    webhooks = Webhooks(workspace)
    slow = await webhooks.add(listener.url.replace("/hook", "/slow"))
    for _ in range(40):
        await tell(workspace)
    quick = await webhooks.add(listener.url.replace("127.0.0.1", "localhost"))
    await webhooks.change(slow.webhook.id, events=["item.accepted"])
    for _ in range(20):
        await tell(workspace)
    working = asyncio.create_task(deliver(workspace))
    for _ in range(200):
        if len(listener.heard) == 20 and listener.hanging == store.AT_ONCE_A_HOST:
            break
        await asyncio.sleep(0.02)
    assert (len(listener.heard), listener.hanging) == (20, store.AT_ONCE_A_HOST)
    rows = (await webhooks.deliveries(quick.webhook.id)).rows
    assert {one.state for one in rows} <= {"delivered", "waiting"} and len(rows) == 20
    await tell(workspace)
    listener.free.set()
    assert await working == 61, "whatever ends makes room for the next one"
    assert len(listener.heard) == 61 and listener.most_hanging == store.AT_ONCE_A_HOST


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x", "http://localhost:8750/x", "http://[::1]/x", "http://10.0.0.8/",
        "http://192.168.1.1/", "http://169.254.169.254/latest/meta-data", "http://0.0.0.0/",
        "http://[::ffff:127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/",
        "http://[fd00::1]/", "http://[fe80::1]/", "http://224.0.0.1/", "http://2130706433/",
        "http://127.1/", "http://0x7f.1/", "file:///etc/passwd", "ftp://example.com/",
        "gopher://example.com/", "http://user:secret@example.com/", "http://",
        "http://exa mple.com", "http://example.com:99999/", "//example.com/x",
    ],
)  # fmt: skip
async def test_an_address_inside_our_network_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        await check_address(url, private=False)


@pytest.mark.parametrize("text", ["1.1.1.1", "2606:4700::1111", "64:ff9b::101:101"])
def test_an_address_on_the_internet_is_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


async def test_a_name_that_turns_private_later_is_not_connected_to(
    workspace: Workspace, listener: Listener
) -> None:
    made = await Webhooks(workspace).add(listener.url.replace("127.0.0.1", "localhost"))
    await tell(workspace)
    object.__setattr__(workspace.settings.server, "allow_private_webhooks", False)
    await deliver(workspace)
    (delivery,) = (await Webhooks(workspace).deliveries(made.webhook.id)).rows
    assert not listener.heard and delivery.state == "waiting"
    assert "cannot be reached" in (delivery.error or "")


async def test_webhooks_are_for_a_teams_admins(workspace: Workspace, listener: Listener) -> None:
    made = await Webhooks(workspace).add(listener.url)
    operator = Webhooks(workspace.acting(Actor("lin", {1: "operator"})))
    with pytest.raises(Forbidden):
        await operator.add(listener.url)
    stranger = Webhooks(workspace.acting(Actor("zoe", {2: "admin"})))
    with pytest.raises(NotFound):
        await stranger.find(made.webhook.id)
    assert await stranger.list() == []


@pytest_asyncio.fixture
async def worked(tmp_path: Path, listener: Listener) -> AsyncIterator[tuple[Workspace, str]]:
    """A workspace with a finished run of five items, told about to the listener."""
    with vendor_process() as url:
        folder = make_workspace(tmp_path / "worked", url)
        settings = folder / "waremill.toml"
        settings.write_text(settings.read_text() + PERMITTED)
        sheet = write_sheet(folder / "perfumes.csv", perfumes(5))
        async with open_workspace(folder) as opened:
            await opened.import_catalog([sheet], key="sku")
            await Webhooks(opened).add(listener.url)
            yield opened, (await opened.run("copy")).run


async def test_a_runs_end_is_told_by_the_process_that_works_it(
    worked: tuple[Workspace, str], listener: Listener
) -> None:
    workspace, run = worked
    await deliver(workspace)
    heard = [orjson.loads(body) for _, body in listener.heard]
    assert [(one["event"], one["run"], one["state"]) for one in heard] == [
        ("run.finished", run, "done")
    ]


async def test_accepted_items_are_told_however_they_were_accepted(
    worked: tuple[Workspace, str], listener: Listener
) -> None:
    workspace, run = worked
    await deliver(workspace)
    listener.heard.clear()
    desk = ReviewDesk(workspace)
    first = await desk.next(run)
    assert first is not None
    await desk.accept(run, first.item_id, first.version)
    second = await desk.next(run)
    assert second is not None
    await desk.edit(run, second.item_id, second.version, {"title": "Mine"})
    third = await desk.next(run)
    assert third is not None
    await desk.reject(run, third.item_id, third.version, "style")
    assert await workspace.accept(run, "_key = 'P0003'") == 1
    assert await desk.accept_all(run, ItemFilters(), 1) == 1
    while await deliver(workspace):
        pass
    heard = [orjson.loads(body) for _, body in listener.heard]
    assert [one["event"] for one in heard] == ["item.accepted"] * 4
    told = [item["key"] for one in heard for item in one["items"]]
    assert sorted(told) == sorted({f"P{n:04}" for n in range(5)} - {third.key})


async def test_thousands_of_items_go_into_few_messages(workspace: Workspace) -> None:
    made = await Webhooks(workspace).add("http://127.0.0.1:9/")
    run = SimpleNamespace(name="1122-abcdef", team_id=1, id=1)
    many = [{"item": n, "key": f"P{n}", "target": ""} for n in range(1201)]
    await workspace.database.write(notifying.items_accepted, run, many)
    rows = (await Webhooks(workspace).deliveries(made.webhook.id)).rows
    assert [len(orjson.loads(row.body)["items"]) for row in reversed(rows)] == [500, 500, 201]
