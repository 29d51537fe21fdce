"""The routes about people, as everybody there is: who may call what."""

from __future__ import annotations

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from tests.web.matrix import ORIGIN, PASSWORD, People, Route, check, undeclared

from waremill.app import Workspace
from waremill.app.accounts import Accounts
from waremill.web import security
from waremill.web.rest import problems
from waremill.web.rest.acting import Acting, needs
from waremill.web.rest.people import router


def application(workspace: Workspace) -> FastAPI:
    """The routes about people behind the wall."""
    app = FastAPI()
    problems.install(app)
    app.include_router(router)
    security.install(app, workspace, hosts=security.allowed_hosts("127.0.0.1", 8750), secure=False)

    sockets = APIRouter(prefix="/v1")

    @sockets.websocket("/listen")
    async def listen(socket: WebSocket, acting: Acting) -> None:
        await socket.accept()
        await socket.close()

    app.include_router(sockets)

    @app.post("/v1/reviewing", dependencies=[Depends(needs("reviewer"))])
    async def reviewing() -> None: ...

    return app


@pytest.fixture
def app(workspace: Workspace) -> FastAPI:
    return application(workspace)


@pytest.fixture
def routes(workspace: Workspace, people: People) -> list[Route]:
    """Every route about people with the role it needs."""
    accounts = Accounts(workspace)
    made = iter(range(1000))
    name, team = {"name": "viewer"}, {"team": "main"}

    async def fresh_user() -> dict[str, str]:
        user = await accounts.add_user(f"fresh-{next(made)}", PASSWORD)
        return {"name": user.name}

    async def fresh_token() -> dict[str, int]:
        return {"token": (await accounts.add_token("spare", user="manager", role="admin"))[1].id}

    new, share = {"password": "another horse battery"}, {"share": 0.5}
    sign_in = {"name": "viewer", "password": PASSWORD}
    return [
        Route("GET", "/v1/session", "signed-in"),
        Route("PUT", "/v1/session/language", "signed-in", send={"json": {"language": "zh"}}),
        Route("GET", "/v1/users", "admin", of_team=False, manager_too=True),
        Route("POST", "/v1/users", "manager", send={"json": {"name": "kim"}}),
        Route("PATCH", "/v1/users/{name}", "manager", name, {"json": {"manages": False}}),
        Route("PUT", "/v1/users/{name}/password", "manager", fresh_user, {"json": new}),
        Route("GET", "/v1/teams", "signed-in"),
        Route("POST", "/v1/teams", "manager", send={"json": {"name": "third"}}),
        Route("GET", "/v1/teams/{team}", "viewer", team, manager_too=True),
        Route("PATCH", "/v1/teams/{team}", "admin", team, {"json": share}, manager_too=True),
        Route("GET", "/v1/teams/{team}/members", "viewer", team, manager_too=True),
        Route("PUT", "/v1/teams/{team}/members/{name}", "admin", {**team, **name},
              {"json": {"role": "viewer"}}, manager_too=True),
        Route("DELETE", "/v1/teams/{team}/members/{name}", "admin",
              {**team, "name": "manager"}, manager_too=True),
        Route("GET", "/v1/tokens", "signed-in"),
        Route("GET", "/v1/audit", "admin", of_team=False, manager_too=True),
        Route("WS", "/v1/listen", "signed-in"),
        Route("POST", "/v1/reviewing", "reviewer", of_team=False),
        Route("POST", "/v1/session", "anyone", send={"json": sign_in}),  # ends the one before
    ]  # fmt: skip


async def test_everybody_may_call_what_the_role_allows_and_nothing_else(
    app: FastAPI, people: People, routes: list[Route]
) -> None:
    assert await check(app, people, routes) == []


async def test_a_wrong_declaration_is_found(app: FastAPI, people: People) -> None:
    route = Route("GET", "/v1/teams/{team}", "operator", {"team": "main"}, manager_too=True)
    assert await check(app, people, [route]) == [
        f"GET /v1/teams/{{team}} as {who} by {way}: 200, not 403"
        for who in ("viewer", "reviewer")
        for way in ("session", "token")
    ]


def test_no_route_about_people_is_undeclared(app: FastAPI, routes: list[Route]) -> None:
    # Ending a session or making tokens is not the same for a session and a token: below.
    assert undeclared(app, routes) == [
        "DELETE /v1/session", "DELETE /v1/tokens/{token}", "POST /v1/tokens",
    ]  # fmt: skip


def test_an_undeclared_socket_is_found_too(app: FastAPI, routes: list[Route]) -> None:
    assert "WS /v1/listen" in undeclared(app, [])


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN)


async def test_a_session_makes_a_token_once_shown_and_a_token_makes_none(
    app: FastAPI, people: People
) -> None:
    async with client_of(app) as client:
        given = {"name": "ci", "role": "operator", "team": "main"}
        made = await client.post(
            "/v1/tokens", json=given, headers=people.headers("operator", "session")
        )
        assert made.status_code == 201
        token = {"Authorization": f"Bearer {made.json()['text']}"}
        assert (await client.get("/v1/session", headers=token)).json()["name"] == "operator"
        listed = (await client.get("/v1/tokens", headers=token)).json()
        assert listed[0]["name"] == "ci"
        assert "text" not in listed[0]
        again = await client.post("/v1/tokens", json={**given, "role": "admin"}, headers=token)
        assert again.status_code == 403
        other = await client.delete(f"/v1/tokens/{made.json()['id']}", headers=token)
        assert other.status_code == 403
        stranger = people.headers("stranger", "session")
        foreign = await client.delete(f"/v1/tokens/{made.json()['id']}", headers=stranger)
        assert foreign.status_code == 404
        own = people.headers("operator", "session")
        assert (await client.delete(f"/v1/tokens/{listed[0]['id']}", headers=own)).is_success
        assert (await client.get("/v1/session", headers=token)).status_code == 401


async def test_a_token_is_for_a_team_its_maker_belongs_to(app: FastAPI, people: People) -> None:
    async with client_of(app) as client:
        reply = await client.post(
            "/v1/tokens",
            json={"name": "ci", "team": "other"},
            headers=people.headers("operator", "session"),
        )
    assert reply.status_code == 404


async def test_signing_in_sets_a_cookie_scripts_cannot_read_and_signing_out_ends_it(
    app: FastAPI, people: People
) -> None:
    async with client_of(app) as client:
        reply = await client.post("/v1/session", json={"name": "Admin ", "password": PASSWORD})
        cookie = reply.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Path=/" in cookie
        assert "Secure" not in cookie
        me = reply.json()
        assert me["teams"] == [{"team": "main", "role": "admin"}]
        assert (await client.get("/v1/session")).json() == me
        unsigned = await client.delete("/v1/session")
        assert unsigned.status_code == 403
        assert "X-CSRF-Token" in unsigned.json()["detail"]
        secret = client.cookies["waremill"]
        out = await client.delete("/v1/session", headers={"X-CSRF-Token": me["csrf"]})
        assert out.status_code == 204
        assert "waremill" not in client.cookies
        late = await client.get("/v1/session", headers={"Cookie": f"waremill={secret}"})
        assert late.status_code == 401


async def test_signing_in_again_ends_the_session_before(app: FastAPI, people: People) -> None:
    async with client_of(app) as client:
        given = {"name": "admin", "password": PASSWORD}
        await client.post("/v1/session", json=given)
        before = client.cookies["waremill"]
        assert (await client.post("/v1/session", json=given)).status_code == 200
        late = await client.get("/v1/session", headers={"Cookie": f"waremill={before}"})
    assert late.status_code == 401


async def test_behind_tls_the_cookie_is_secure_and_of_this_host_alone(
    workspace: Workspace, people: People
) -> None:
    app = FastAPI()
    app.include_router(router)
    security.install(app, workspace, hosts=["shop.example"], secure=True)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://shop.example") as client:
        reply = await client.post(
            "/v1/session",
            json={"name": "admin", "password": PASSWORD},
            headers={"Origin": "https://shop.example"},
        )
        cookie = reply.headers["set-cookie"]
        assert cookie.startswith("__Host-waremill=")
        assert "Secure" in cookie
        assert "Domain" not in cookie
        assert (await client.get("/v1/session")).json()["name"] == "admin"


async def test_a_sixth_wrong_password_in_a_minute_is_told_to_wait(
    app: FastAPI, people: People
) -> None:
    async with client_of(app) as client:
        wrong = {"name": "viewer", "password": "not this one"}
        statuses = [(await client.post("/v1/session", json=wrong)).status_code for _ in range(5)]
        late = await client.post("/v1/session", json={"name": "viewer", "password": PASSWORD})
    assert statuses == [401] * 5
    assert late.status_code == 429
    assert 0 < int(late.headers["retry-after"]) <= 60
    assert late.headers["content-type"] == "application/problem+json"


async def test_without_accounts_the_one_at_the_machine_may_do_everything(app: FastAPI) -> None:
    async with client_of(app) as client:
        me = (await client.get("/v1/session")).json()
        assert (me["name"], me["local"], me["manages"]) == ("local", True, True)
        made = await client.post("/v1/users", json={"name": "lin", "password": PASSWORD})
        assert made.json()["teams"] == [{"team": "main", "role": "admin"}]
        assert (await client.get("/v1/session")).status_code == 401


async def test_an_invalid_request_does_not_repeat_the_password(app: FastAPI) -> None:
    async with client_of(app) as client:
        given = {"name": "lin", "password": "hunter2-hunter2" * 100, "more": "hunter2"}
        reply = await client.post("/v1/users", json=given)
    assert reply.status_code == 422
    assert "hunter2" not in reply.text


async def test_the_audit_log_is_paged_and_names_teams(app: FastAPI, people: People) -> None:
    async with client_of(app) as client:
        headers = people.headers("manager", "session")
        pages, cursor = [], None
        while True:
            params = {"size": 7, **({"cursor": cursor} if cursor else {})}
            page = (await client.get("/v1/audit", params=params, headers=headers)).json()
            pages.append(page["rows"])
            if not (cursor := page["next"]):
                break
        rows = [row for page in pages for row in page]
        assert [row["id"] for row in rows] == sorted((r["id"] for r in rows), reverse=True)
        assert {"user.add", "member.set", "token.add", "session.begin"} <= {
            row["action"] for row in rows
        }
        only = {"team": "other", "action": "member.set"}
        theirs = await client.get(
            "/v1/audit", params=only, headers=people.headers("stranger", "token")
        )
        assert [row["subject"] for row in theirs.json()["rows"]] == ["user stranger"]
        foreign = await client.get(
            "/v1/audit", params={"team": "main"}, headers=people.headers("stranger", "token")
        )
        assert foreign.status_code == 404
        broken = await client.get("/v1/audit", params={"cursor": "e30"}, headers=headers)
        assert broken.status_code == 422
