"""Behind a proxy: who calls is what a trusted proxy says, and nobody else."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest
from fastapi import FastAPI, WebSocket
from hypothesis import given
from hypothesis import strategies as st
from tests.web.matrix import PASSWORD, People, knock
from tests.web.test_security import ask

from waremill.app import Workspace
from waremill.app.accounts import Accounts
from waremill.errors import ConfigError
from waremill.settings.load import Server
from waremill.web import security
from waremill.web.security.proxies import Came, Proxies, ProxyHeader
from waremill.web.server import create_app

PROXY, OTHER, CLIENT = "10.0.0.5", "10.1.2.3", "203.0.113.9"
TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
SHOP = "https://shop.example"


def came(
    peer: str | None, *pairs: tuple[str, str], header: ProxyHeader = "x-forwarded-for"
) -> Came:
    """How a request from an address with certain headers came."""
    raw = [(name.encode(), value.encode("latin-1")) for name, value in pairs]
    client = None if peer is None else (peer, 4711)
    return Proxies(TRUSTED, header).came({"type": "http", "client": client, "headers": raw})


@pytest.mark.parametrize("peer", [CLIENT, "127.0.0.1", "::1", "fe80::1", "not an address"])
def test_what_an_untrusted_peer_writes_counts_for_nothing(peer: str) -> None:
    forged = (("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https"))
    assert came(peer, *forged) == Came(False, (peer, 4711))
    forged = (("forwarded", "for=1.2.3.4;proto=https"),)
    assert came(peer, *forged, header="forwarded") == Came(False, (peer, 4711))
    assert came(None, *forged) == Came(False, None)


def test_by_default_nobody_is_trusted() -> None:
    headers = [(b"x-forwarded-for", b"1.2.3.4")]
    scope = {"type": "http", "client": ("127.0.0.1", 1), "headers": headers}
    assert Proxies().came(scope) == Came(False, ("127.0.0.1", 1))
    assert Server().trusted_proxies == ()


@pytest.mark.parametrize(
    ("values", "client"),
    [
        ((CLIENT,), CLIENT),
        ((f"{CLIENT}:51234",), CLIENT),
        (("[2001:db8::7]:443",), "2001:db8::7"),
        (("::ffff:203.0.113.9",), CLIENT),
        # What stands further left, the client wrote.
        ((f"1.2.3.4, {CLIENT}",), CLIENT),
        (("1.2.3.4", CLIENT), CLIENT),
        ((f"{CLIENT}, {OTHER}",), CLIENT),
        ((f"1.2.3.4,{CLIENT} , {OTHER}, fd00::2",), CLIENT),
        # A client that is in a trusted network itself.
        ((OTHER,), OTHER),
        # Where a proxy does not say whose request it is, it is the proxy's.
        ((), PROXY),
        (("",), PROXY),
        (("unknown",), PROXY),
        ((f"{CLIENT}, unknown",), PROXY),
        ((f"{CLIENT}, unknown, {OTHER}",), OTHER),
        (("999.1.1.1",), PROXY),
    ],
)
def test_the_client_is_the_last_address_that_is_no_proxys(
    values: tuple[str, ...], client: str
) -> None:
    found = came(PROXY, *(("x-forwarded-for", value) for value in values))
    assert found.proxied and found.client is not None
    assert found.client[0] == client


@pytest.mark.parametrize(
    ("value", "client", "https"),
    [
        (f"for={CLIENT};proto=https", CLIENT, True),
        (f'For="{CLIENT}:47"; Proto=HTTPS;by=10.0.0.5', CLIENT, True),
        ('for="[2001:db8::7]:47";proto=http', "2001:db8::7", False),
        (f"for=1.2.3.4;proto=https, for={CLIENT}", CLIENT, False),
        # The inner hop is plain http, the client's was not.
        (f"for={CLIENT};proto=https, for={OTHER};proto=http", CLIENT, True),
        (f"for={CLIENT}, for=_hidden", PROXY, False),
        (f"for={CLIENT}, for={OTHER};for={OTHER}", PROXY, False),
        # A quote the client left open swallows nothing of what the proxy wrote.
        (f'for="1.2.3.4, for={CLIENT};proto=https', CLIENT, True),
        (f'for="1.2.3.4;x=\\", for={CLIENT}', CLIENT, False),
        ("", PROXY, False),
    ],
)  # fmt: skip
def test_the_forwarded_header_is_read_where_it_is_the_proxies(
    value: str, client: str, https: bool
) -> None:
    found = came(PROXY, ("forwarded", value), header="forwarded")
    assert found.client is not None
    assert (found.client[0], found.https) == (client, https)


def test_the_header_that_the_proxies_do_not_write_is_the_clients_and_is_not_read() -> None:
    both = (("forwarded", "for=1.2.3.4;proto=https"), ("x-forwarded-for", CLIENT))
    assert came(PROXY, *both) == Came(True, (CLIENT, 0))
    other = came(PROXY, both[0], ("x-forwarded-for", "5.6.7.8"), header="forwarded")
    assert other == Came(True, ("1.2.3.4", 0), True)


@pytest.mark.parametrize(
    ("said", "https"),
    [(("https",), True), (("HTTPS",), True), (("http",), False), ((), False),
     (("https,http",), False), (("https", "http"), False), (("https, https",), True),
     (("wss",), False)],
)  # fmt: skip
def test_only_what_was_https_all_the_way_is_https(said: tuple[str, ...], https: bool) -> None:
    pairs = [("x-forwarded-proto", value) for value in said]
    assert came(PROXY, ("x-forwarded-for", CLIENT), *pairs).https == https


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_whatever_a_client_writes_before_the_proxy_does_not_move_its_address(junk: str) -> None:
    for header, written in (("x-forwarded-for", CLIENT), ("forwarded", f"for={CLIENT}")):
        for pairs in ([(header, f"{junk}, {written}")], [(header, junk), (header, written)]):
            found = came(PROXY, *pairs, header=header)  # type: ignore[arg-type]
            assert found.client is not None
            assert found.client[0] == CLIENT


# The server.


def behind(workspace: Workspace, **server: object) -> FastAPI:
    """The server behind a trusted proxy that is reached as shop.example."""
    settings = workspace.settings
    own = Server(hosts=("shop.example",), trusted_proxies=(ip_network(f"{PROXY}/32"),))
    object.__setattr__(settings, "server", replace(own, **server))  # type: ignore[arg-type]
    return create_app(workspace, host="127.0.0.1", port=8750)


def passed(client: str, proto: str = "https", **more: str) -> dict[str, str]:
    """What a proxy adds to a request."""
    return {
        "Host": "shop.example", "X-Forwarded-For": client, "X-Forwarded-Proto": proto, **more
    }  # fmt: skip


async def test_each_client_behind_a_trusted_proxy_has_tries_of_its_own(
    workspace: Workspace, people: People
) -> None:
    app = behind(workspace)

    async def try_it(client: str, password: str, peer: str = PROXY) -> int:
        body = {"name": "viewer", "password": password}
        headers = passed(client, Origin=SHOP)
        reply = await ask(app, "POST", "/v1/session", headers, address=peer, json=body)
        return reply.status_code

    guesses = [await try_it(CLIENT, "wrong") for _ in range(6)]
    assert guesses == [401] * 5 + [429]
    assert await try_it("203.0.113.10", PASSWORD) == 200
    # A client that writes the header itself is still the one the proxy saw.
    assert await try_it(f"198.51.100.1, {CLIENT}", "wrong") == 429


async def test_the_audit_log_has_the_client_and_not_the_proxy(
    workspace: Workspace, people: People
) -> None:
    app = behind(workspace)
    token = people.headers("manager", "token")
    for peer, named, at in ((PROXY, "one", CLIENT), ("198.51.100.4", "two", "198.51.100.4")):
        headers = {**token, **passed(CLIENT)}
        reply = await ask(app, "POST", "/v1/teams", headers, address=peer, json={"name": named})
        assert reply.status_code == 201, reply.text
        found = await ask(app, "GET", "/v1/audit", headers, address=PROXY)
        assert found.json()["rows"][0]["address"] == at


async def test_the_session_cookie_is_secure_where_the_client_spoke_https(
    workspace: Workspace, people: People
) -> None:
    app = behind(workspace)
    body = {"name": "viewer", "password": PASSWORD}

    async def sign_in(headers: dict[str, str], peer: str = PROXY) -> tuple[int, str]:
        reply = await ask(app, "POST", "/v1/session", headers, address=peer, json=body)
        return reply.status_code, reply.headers.get("set-cookie", "")

    status, cookie = await sign_in(passed(CLIENT, Origin=SHOP))
    assert status == 200
    assert cookie.startswith("__Host-waremill=") and "Secure" in cookie
    status, cookie = await sign_in(passed(CLIENT, "http", Origin="http://shop.example"))
    assert status == 200
    assert cookie.startswith("waremill=") and "Secure" not in cookie
    # The origin must be the very one: scheme and host.
    for origin in ("http://shop.example", "https://shop.example:444", "https://evil.example"):
        assert (await sign_in(passed(CLIENT, Origin=origin)))[0] == 403
    # From anybody else the header is worth nothing: the page would have to be a plain one.
    assert (await sign_in(passed(CLIENT, Origin=SHOP), "198.51.100.4"))[0] == 403


async def test_no_proxy_takes_back_what_the_setting_promises(
    workspace: Workspace, people: People
) -> None:
    app = behind(workspace, https=True)
    body = {"name": "viewer", "password": PASSWORD}
    headers = passed(CLIENT, "http", Origin=SHOP)
    reply = await ask(app, "POST", "/v1/session", headers, address=PROXY, json=body)
    assert reply.status_code == 200
    assert reply.headers["set-cookie"].startswith("__Host-waremill=")


async def test_a_trusted_proxy_names_no_host(workspace: Workspace, people: People) -> None:
    app = behind(workspace)
    headers = {**people.headers("viewer", "token"), **passed(CLIENT)}
    assert (await ask(app, "GET", "/v1/session", headers, address=PROXY)).status_code == 200
    for host in ("evil.example", "shop.example.evil.example", "shop.example, evil.example"):
        named = {**headers, "Host": host, "X-Forwarded-Host": "shop.example"}
        assert (await ask(app, "GET", "/v1/session", named, address=PROXY)).status_code == 400
    meant = {**headers, "X-Forwarded-Host": "evil.example"}
    assert (await ask(app, "GET", "/v1/session", meant, address=PROXY)).status_code == 200


async def test_a_socket_through_a_trusted_proxy_is_held_to_the_same(
    workspace: Workspace, people: People
) -> None:
    app = FastAPI()
    seen = []

    @app.websocket("/listen")
    async def listen(socket: WebSocket) -> None:
        assert socket.client is not None
        seen.append((socket.client.host, socket.url.scheme))
        await socket.accept()

    proxies = security.Proxies((ip_network("127.0.0.1/32"),))
    security.install(app, workspace, hosts=["shop.example"], secure=False, proxies=proxies)
    secret, _ = people.sessions["viewer"]
    headers = {**passed(CLIENT, Origin=SHOP), "Cookie": f"__Host-waremill={secret}"}
    headers = {name.lower(): value for name, value in headers.items()}
    assert await knock(app, "/listen", headers) == 200
    assert seen == [(CLIENT, "wss")]
    assert await knock(app, "/listen", {**headers, "origin": "http://shop.example"}) != 200


async def test_nobody_is_at_the_machine_who_comes_from_a_trusted_proxy(
    workspace: Workspace,
) -> None:
    app = behind(workspace, trusted_proxies=(ip_network("127.0.0.1"),))
    assert (await ask(app, "GET", "/v1/session")).status_code == 401
    elsewhere = behind(workspace)
    assert (await ask(elsewhere, "GET", "/v1/session")).status_code == 200


async def test_a_server_behind_a_proxy_does_not_start_without_accounts(
    workspace: Workspace,
) -> None:
    behind(workspace)
    with pytest.raises(ConfigError, match="trusted_proxies"):
        await security.check_host(workspace, "127.0.0.1")
    await Accounts(workspace).add_user("lin", PASSWORD)
    await security.check_host(workspace, "127.0.0.1")
