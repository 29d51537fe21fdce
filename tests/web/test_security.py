"""The wall: names, origins, sessions, tokens, bodies and headers, for requests and sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, UploadFile, WebSocket
from fastapi.responses import HTMLResponse, PlainTextResponse, StreamingResponse
from tests.web.matrix import ORIGIN, PASSWORD, People, knock

from waremill.app import Workspace
from waremill.app.accounts import Accounts
from waremill.errors import ConfigError
from waremill.web import security
from waremill.web.rest import problems
from waremill.web.rest.acting import Acting
from waremill.web.security import bodies
from waremill.web.security.headers import FILE_POLICY

HOSTS = security.allowed_hosts("127.0.0.1", 8750)


def application(workspace: Workspace, hosts: frozenset[str], *, secure: bool) -> FastAPI:
    """A small application of every kind of thing that is served."""
    app = FastAPI()
    problems.install(app)

    @app.get("/v1/whoami")
    async def whoami(acting: Acting, request: Request) -> dict[str, Any]:
        actor = acting.actor
        return {"name": actor.name, "address": actor.address, "csrf": request.state.csrf}

    @app.post("/v1/change")
    async def change(request: Request) -> int:
        return len(await request.body())

    @app.post("/v1/uploads")
    async def upload(file: UploadFile) -> int:
        return file.size or 0

    @app.post("/_nicegui/client/7/upload/3")
    @app.get("/_nicegui_ws/socket.io/")
    async def console() -> None: ...

    @app.get("/_nicegui/3.18.0/static/quasar.js")
    async def asset() -> PlainTextResponse:
        headers = {"cache-control": "public", "access-control-allow-origin": "*"}
        return PlainTextResponse("", headers=headers, media_type="text/javascript")

    @app.get("/runs")
    @app.get("/login")
    @app.get("/download/runs/1/report")
    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse(request.headers.get("x-forwarded-prefix", "no prefix"))

    @app.get("/v1/broken")
    async def broken() -> None:
        raise RuntimeError("a bug")

    @app.get("/v1/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            yield b"two"

        return StreamingResponse(parts(), media_type="text/event-stream")

    @app.websocket("/_nicegui_ws/socket.io/")
    @app.websocket("/v1/listen")
    async def listen(socket: WebSocket) -> None:
        assert socket.state.actor is not None
        await socket.accept()

    security.install(app, workspace, hosts=hosts, secure=secure)
    return app


@pytest.fixture
def app(workspace: Workspace) -> FastAPI:
    return application(workspace, HOSTS, secure=False)


async def ask(
    app: FastAPI,
    method: str,
    path: str,
    headers: Mapping[str, Any] | None = None,
    *,
    base: str = ORIGIN,
    address: str = "127.0.0.1",
    **more: Any,
) -> httpx.Response:
    """Send one request from an address."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 5))
    async with httpx.AsyncClient(transport=transport, base_url=base) as client:
        return await client.request(method, path, headers=dict(headers or {}), **more)


# Names.


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8750", "localhost:8750", "LOCALHOST:8750", "[::1]:8750"]
)
async def test_the_bound_host_and_loopback_names_are_answered(app: FastAPI, host: str) -> None:
    assert (await ask(app, "GET", "/v1/whoami", {"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8750", "localhost", "localhost:8751", "127.0.0.1",
     "127.0.0.1:8750.evil.example", "", "localhost:8750, evil.example"],
)  # fmt: skip
async def test_another_name_is_not_answered_whatever_it_resolves_to(
    app: FastAPI, host: str
) -> None:
    reply = await ask(app, "GET", "/v1/whoami", {"host": host})
    assert reply.status_code == 400
    assert reply.headers["content-type"] == "application/problem+json"


async def test_two_host_headers_are_refused(app: FastAPI) -> None:
    assert await knock(app, "/v1/listen", {"Origin": ORIGIN}) == 200
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        both = [("host", "127.0.0.1:8750"), ("host", "evil.example")]
        assert (await client.get("/v1/whoami", headers=both)).status_code == 400


def test_further_names_are_answered_as_given_and_on_the_bound_port() -> None:
    hosts = security.allowed_hosts("0.0.0.0", 8750, ["Shop.example", "copy.example:443"])
    assert {"shop.example", "shop.example:8750", "copy.example:443"} <= hosts
    assert "0.0.0.0:8750" not in hosts
    assert "copy.example" not in hosts
    assert "localhost" in security.allowed_hosts("localhost", 80)
    assert "[fe80::1]:8750" in security.allowed_hosts("fe80::1", 8750)


# Who calls.


async def test_without_accounts_the_one_at_the_machine_needs_no_password(app: FastAPI) -> None:
    reply = await ask(app, "GET", "/v1/whoami")
    assert reply.json() == {"name": "local", "address": "127.0.0.1", "csrf": ""}


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("192.168.1.7", {}),
        ("127.0.0.1", {"x-forwarded-for": "203.0.113.9"}),
        ("127.0.0.1", {"forwarded": "for=203.0.113.9"}),
        ("127.0.0.1", {"via": "1.1 proxy"}),
    ],
)
async def test_without_accounts_nobody_else_is_let_in(
    app: FastAPI, address: str, headers: dict[str, str]
) -> None:
    reply = await ask(app, "GET", "/v1/whoami", headers, address=address)
    assert reply.status_code == 401


async def test_one_account_is_enough_for_everybody_to_sign_in(
    app: FastAPI, workspace: Workspace
) -> None:
    accounts = Accounts(workspace)
    await accounts.add_user("lin", PASSWORD)
    reply = await ask(app, "GET", "/v1/whoami")
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"] == "Bearer"
    assert reply.json()["status"] == 401


async def test_a_wrong_token_is_nobody_even_with_a_good_cookie(
    app: FastAPI, people: People
) -> None:
    headers = people.headers("admin", "session")
    assert (await ask(app, "GET", "/v1/whoami", headers)).json()["name"] == "admin"
    for token in ("wm_guessed", "", people.sessions["admin"][0]):
        wrong = {**headers, "Authorization": f"Bearer {token}"}
        assert (await ask(app, "GET", "/v1/whoami", wrong)).status_code == 401


async def test_another_kind_of_authorization_is_not_ours_and_does_not_count(
    app: FastAPI, people: People
) -> None:
    headers = {**people.headers("admin", "session"), "Authorization": "Basic bGluOng="}
    assert (await ask(app, "GET", "/v1/whoami", headers)).status_code == 200


async def test_who_is_disabled_is_out_with_the_next_request(
    app: FastAPI, workspace: Workspace, people: People
) -> None:
    await Accounts(workspace).disable("viewer")
    for way in ("session", "token"):
        reply = await ask(app, "GET", "/v1/whoami", people.headers("viewer", way))
        assert reply.status_code == 401


async def test_a_page_learns_that_its_session_has_ended(
    workspace: Workspace, people: People
) -> None:
    app = application(workspace, HOSTS, secure=False)
    seen: list[Request] = []

    @app.get("/kept")
    async def kept(request: Request) -> None:
        seen.append(request)

    await ask(app, "GET", "/kept", people.headers("viewer", "session"))
    now = await security.actor_now(workspace, seen[0])
    assert now is not None
    assert now.name == "viewer"
    await Accounts(workspace).sign_out(people.sessions["viewer"][0])
    assert await security.actor_now(workspace, seen[0]) is None


# Browsers.


async def test_a_browser_is_sent_to_the_sign_in_and_back(app: FastAPI, people: People) -> None:
    html = {"accept": "text/html,*/*;q=0.8"}
    reply = await ask(app, "GET", "/runs?state=running&q=%2F%2Fevil", html)
    assert reply.status_code == 303
    assert reply.headers["location"] == "/login?next=/runs%3Fstate%3Drunning%26q%3D%252F%252Fevil"
    assert (await ask(app, "GET", "/login", html)).status_code == 200
    assert (await ask(app, "GET", "/v1/whoami", html)).status_code == 401
    assert (await ask(app, "POST", "/runs", {**html, "origin": ORIGIN})).status_code == 401
    assert (await ask(app, "GET", "/runs")).status_code == 401


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "",
     "/\t/evil.example", "/\n/evil.example", "evil.example", "/login", "/login?next=/", None,
     "\\\\evil.example", "///evil.example", "/" + "a" * 3000],
)  # fmt: skip
def test_no_other_server_is_gone_to_after_the_sign_in(path: str | None) -> None:
    assert security.safe_next(path) == "/"


@pytest.mark.parametrize("path", ["/runs", "/review/1122-ab?filter=a%2Fb", "/catalogue#top"])
def test_a_page_of_ours_is_gone_back_to(path: str) -> None:
    assert security.safe_next(path) == path


async def test_what_the_console_ships_is_for_everybody_and_nothing_beside_it(
    app: FastAPI, people: People
) -> None:
    assert (await ask(app, "GET", "/_nicegui/3.18.0/static/quasar.js")).status_code == 200
    assert (await ask(app, "GET", "/_nicegui/auto/static/x/y.csv")).status_code == 401
    assert (await ask(app, "GET", "/_nicegui_ws/socket.io/?transport=polling")).status_code == 401


async def test_a_caller_cannot_prefix_the_addresses_of_pages(app: FastAPI) -> None:
    reply = await ask(app, "GET", "/runs", {"x-forwarded-prefix": "//evil.example"})
    assert reply.text == "no prefix"


# Origins.


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:8751"},
        {"origin": "http://127.0.0.1:8750.evil.example"},
        {"origin": "http://localhost:8750"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_foreign_page_changes_nothing(app: FastAPI, headers: dict[str, str]) -> None:
    assert (await ask(app, "POST", "/v1/change", headers)).status_code == 403


@pytest.mark.parametrize("headers", [{}, {"origin": ORIGIN}, {"sec-fetch-site": "same-origin"}])
async def test_an_own_page_and_a_program_change_things(
    app: FastAPI, headers: dict[str, str]
) -> None:
    assert (await ask(app, "POST", "/v1/change", headers)).status_code == 200


async def test_behind_tls_the_origin_is_https_and_of_the_very_name(
    workspace: Workspace, people: People
) -> None:
    app = application(workspace, frozenset({"shop.example", "127.0.0.1:8750"}), secure=True)
    token = people.headers("admin", "token")
    found = {}
    for origin in ("https://shop.example", "http://shop.example", "https://127.0.0.1:8750"):
        headers = {**token, "origin": origin}
        reply = await ask(app, "POST", "/v1/change", headers, base="http://shop.example")
        found[origin] = reply.status_code
    assert list(found.values()) == [200, 403, 403]
    named = {**token, "host": "shop.example:443", "origin": "https://shop.example"}
    app = application(workspace, frozenset({"shop.example:443"}), secure=True)
    assert (await ask(app, "POST", "/v1/change", named)).status_code == 200


async def test_a_change_by_cookie_carries_the_sessions_csrf_token(
    app: FastAPI, people: People
) -> None:
    headers = people.headers("admin", "session")
    assert (await ask(app, "POST", "/v1/change", headers)).status_code == 200
    other = people.sessions["viewer"][1]
    for sent in (b"", b"wrong", other.encode(), "☃".encode()):
        wrong = {**headers, "X-CSRF-Token": sent}
        assert (await ask(app, "POST", "/v1/change", wrong)).status_code == 403
    del headers["X-CSRF-Token"]
    assert (await ask(app, "POST", "/v1/change", headers)).status_code == 403
    assert (await ask(app, "POST", "/login", headers)).status_code == 405
    token = people.headers("admin", "token")
    assert (await ask(app, "POST", "/v1/change", token)).status_code == 200


async def test_what_the_console_posts_itself_must_come_from_its_page(
    app: FastAPI, people: People
) -> None:
    session = people.headers("admin", "session")
    cookie = {"Cookie": session["Cookie"]}
    path = "/_nicegui/client/7/upload/3"
    assert (await ask(app, "POST", path, cookie)).status_code == 403
    assert (await ask(app, "POST", path, {**cookie, "origin": ORIGIN})).status_code == 200
    polling = "/_nicegui_ws/socket.io/?transport=polling"
    foreign = {**cookie, "origin": "http://evil.example"}
    assert (await ask(app, "GET", polling, foreign)).status_code == 403
    assert (await ask(app, "GET", polling, cookie)).status_code == 200


# Sockets.


@pytest.mark.parametrize("path", ["/v1/listen", "/_nicegui_ws/socket.io/"])
async def test_a_socket_needs_an_own_page_and_somebody_known(
    app: FastAPI, people: People, path: str
) -> None:
    session = people.headers("viewer", "session")
    cookie = {"Cookie": session["Cookie"]}
    token = people.headers("viewer", "token")
    assert await knock(app, path, {**cookie, "Origin": ORIGIN}) == 200
    assert await knock(app, path, token) == 200
    assert await knock(app, path, {"Origin": ORIGIN}) == 401
    assert await knock(app, path, cookie) == 403
    assert await knock(app, path, {**cookie, "Origin": "http://evil.example"}) == 403
    assert await knock(app, path, {**token, "Origin": "http://evil.example"}) == 403
    assert await knock(app, path, {**token, "host": "evil.example"}) == 403


# Bodies.


async def test_a_body_is_bounded_by_what_comes_not_by_what_is_said(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "LARGEST_BODY", 1000)
    monkeypatch.setattr(bodies, "LARGEST_UPLOAD", 3000)

    async def parts(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"x" * 100

    assert (await ask(app, "POST", "/v1/change", content=b"x" * 1000)).json() == 1000
    for content in (b"x" * 1001, parts(11)):
        reply = await ask(app, "POST", "/v1/change", content=content)
        assert reply.status_code == 413
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json()["status"] == 413
        assert "content-security-policy" in reply.headers
    assert (await ask(app, "POST", "/v1/change", content=parts(10))).json() == 1000
    fits, long = ({"file": ("a.csv", b"x" * size)} for size in (2000, 4000))
    assert (await ask(app, "POST", "/v1/uploads", files=fits)).json() == 2000
    assert (await ask(app, "POST", "/v1/uploads", files=long)).status_code == 413


async def test_nothing_is_read_of_a_body_by_nobody(app: FastAPI, people: People) -> None:
    async def parts() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    assert (await ask(app, "POST", "/v1/uploads", content=parts())).status_code == 401


async def test_a_stream_goes_through_as_it_comes(app: FastAPI) -> None:
    reply = await ask(app, "GET", "/v1/stream")
    assert reply.text == "onetwo"
    assert reply.headers["cache-control"] == "no-store"


# Headers.


async def test_every_answer_says_what_a_browser_may_do_with_it(
    app: FastAPI, workspace: Workspace
) -> None:
    foreign = {"host": "evil.example"}
    for method, path, headers in (
        ("GET", "/v1/whoami", {}), ("GET", "/runs", {}), ("GET", "/nowhere", {}),
        ("GET", "/v1/broken", {}), ("GET", "/v1/whoami", foreign),
        ("PUT", "/v1/whoami", {"origin": "null"}), ("GET", "/download/runs/1/report", {}),
    ):  # fmt: skip
        reply = await ask(app, method, path, headers)
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "same-origin"
        assert reply.headers["x-frame-options"] == "DENY"
        assert reply.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
        expected = {"/runs": security.PAGE_POLICY, "/download/runs/1/report": FILE_POLICY}
        assert reply.headers["content-security-policy"] == expected.get(
            path, security.STRICT_POLICY
        )


async def test_a_page_may_use_nothing_but_its_own_origin() -> None:
    for part in security.PAGE_POLICY.split("; "):
        sources = set(part.split()[1:])
        assert sources <= {"'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"}


async def test_nothing_is_shared_with_other_origins_and_assets_may_be_kept(app: FastAPI) -> None:
    reply = await ask(app, "GET", "/_nicegui/3.18.0/static/quasar.js")
    assert "access-control-allow-origin" not in reply.headers
    assert reply.headers["cache-control"] == "public"


async def test_a_bug_of_ours_is_a_problem_with_all_headers_and_no_detail(app: FastAPI) -> None:
    reply = await ask(app, "GET", "/v1/broken")
    assert reply.status_code == 500
    assert reply.headers["content-type"] == "application/problem+json"
    assert "a bug" not in reply.text


# Where it may listen.


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.8.8.8"])
async def test_loopback_needs_no_account(workspace: Workspace, host: str) -> None:
    await security.check_host(workspace, host)


async def test_any_other_host_needs_accounts_and_every_host_a_name(workspace: Workspace) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.7", "shop.example", ""):
        with pytest.raises(ConfigError, match="needs accounts"):
            await security.check_host(workspace, host)
    await Accounts(workspace).add_user("lin", PASSWORD)
    await security.check_host(workspace, "192.168.1.7")
    await security.check_host(workspace, "0.0.0.0", ["shop.example"])
    with pytest.raises(ConfigError, match="hosts"):
        await security.check_host(workspace, "0.0.0.0")
