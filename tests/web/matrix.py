"""Route × role × team: who may call what, checked for every route an application has.

Declare each route once, as a `Route`; `check` calls it as everybody there is, by session and by
token, and `undeclared` says which routes of an application nobody has declared.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute, WebSocketRoute

from waremill.app import Workspace
from waremill.app.accounts import Accounts
from waremill.app.acting import ROLES, Role

ORIGIN = "http://127.0.0.1:8750"
PASSWORD = "correct horse battery"
TEAM, OTHER_TEAM = "main", "other"
COOKIE = "waremill"

Needs = Role | Literal["anyone", "signed-in", "manager"]
Who = Literal["signed-out", "stranger", "viewer", "reviewer", "operator", "admin", "manager"]
EVERYBODY: tuple[Who, ...] = (
    "signed-out", "stranger", "viewer", "reviewer", "operator", "admin", "manager",
)  # fmt: skip
"""Least first. The stranger is an admin of another team; the manager is in no team."""
At = Mapping[str, str | int]


@dataclass(frozen=True)
class Route:
    """A route and the role it needs.

    `path` is as in the OpenAPI document; `at` fills its parameters, a function makes new ones for
    every call of somebody who may. `send` are httpx's arguments (`json`, `params`, `files`, …);
    its `headers` come beside those that say who calls.
    `of_team` says that the thing belongs to the team `main`, so that others must not know of it;
    else a role in any team is enough. `manager_too` lets in who manages users without a role.
    `fine` are further statuses that show that one was let in. `method` may be `WS`.
    """

    method: str
    path: str
    needs: Needs
    at: At | Callable[[], Awaitable[At]] = field(default_factory=dict)
    send: Mapping[str, Any] = field(default_factory=dict)
    of_team: bool = True
    manager_too: bool = False
    fine: Collection[int] = (409,)

    def expected(self, who: Who) -> int:
        """Give the status somebody must get; 200 stands for being let in."""
        if self.needs == "anyone":
            return 200
        if who == "signed-out":
            return 401
        if self.needs == "signed-in" or (who == "manager" and self.needs == "manager"):
            return 200
        if self.needs == "manager":
            return 403
        if who == "manager":
            return 200 if self.manager_too else 404 if self.of_team else 403
        if who == "stranger":
            return 404 if self.of_team else 200
        return 200 if ROLES.index(who) >= ROLES.index(self.needs) else 403


@dataclass
class People:
    """The sessions and tokens of everybody there is.

    A route that ends the caller's session, as signing in again does, is declared last.
    """

    sessions: dict[Who, tuple[str, str]]
    tokens: dict[Who, str]

    def headers(self, who: Who, way: str) -> dict[str, str]:
        """Give what a request of somebody carries, by `session` or `token`."""
        if who == "signed-out":
            return {}
        if way == "token":
            return {"Authorization": f"Bearer {self.tokens[who]}"}
        secret, csrf = self.sessions[who]
        return {"Cookie": f"{COOKIE}={secret}", "X-CSRF-Token": csrf, "Origin": ORIGIN}


async def invite(workspace: Workspace) -> People:
    """Make an account, a session and a token for everybody; the first manages users."""
    accounts = Accounts(workspace)
    await accounts.add_user("manager", PASSWORD)
    await accounts.set_role("manager", TEAM, None)
    await accounts.add_team(OTHER_TEAM)
    people = People({}, {})
    for who in EVERYBODY[1:]:
        if who != "manager":
            await accounts.add_user(who, PASSWORD)
            team, role = (OTHER_TEAM, "admin") if who == "stranger" else (TEAM, who)
            await accounts.set_role(who, team, role)
        secret, csrf = await accounts.sign_in(who, PASSWORD)
        people.sessions[who] = (secret, csrf)
        people.tokens[who], _ = await accounts.add_token("matrix", user=who, role="admin")
    return people


async def check(app: FastAPI, people: People, routes: Iterable[Route]) -> list[str]:
    """Call every route as everybody; give a line for each answer that is not what it must be."""
    wrong = []
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        for route in routes:
            for who in EVERYBODY:
                for way in ("session", "token")[: 1 if who == "signed-out" else 2]:
                    reply = await call(app, client, route, people.headers(who, way))
                    status = reply.status_code
                    if not is_right(route, route.expected(who), status):
                        wrong.append(
                            f"{route.method} {route.path} as {who} by {way}: {status}, "
                            f"not {route.expected(who)}"
                        )
    return wrong


def is_right(route: Route, expected: int, status: int) -> bool:
    """Say whether a status is what was expected."""
    if expected == 200:
        return status < 400 or status in route.fine
    return status == expected


async def call(
    app: FastAPI, client: httpx.AsyncClient, route: Route, headers: Mapping[str, str]
) -> httpx.Response:
    """Call a route; a socket's answer has a status alone."""
    at = await route.at() if callable(route.at) else route.at
    path = route.path.format(**at)
    send = dict(route.send)
    every = {**headers, **send.pop("headers", {})}
    if route.method == "WS":
        return httpx.Response(await knock(app, path, {"Origin": ORIGIN, **every}))
    client.cookies.clear()
    return await client.request(route.method, path, headers=every, **send)


async def knock(app: FastAPI, path: str, headers: Mapping[str, str]) -> int:
    """Open a websocket and give 200 where it is accepted, else the status of the refusal.

    A refusal before it is accepted tells a signed-out caller from others by nothing, so 401 stands
    for any where no token or cookie was sent.
    """
    path, _, query = path.partition("?")
    sent: list[dict[str, Any]] = []
    incoming: list[dict[str, Any]] = [{"type": "websocket.connect"}]
    raw = {"host": ORIGIN.partition("//")[2], **headers}

    async def receive() -> dict[str, Any]:
        return incoming.pop() if incoming else {"type": "websocket.disconnect", "code": 1000}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket", "path": path, "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(k.lower().encode(), v.encode()) for k, v in raw.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8750), "scheme": "ws",
        "root_path": "", "subprotocols": [], "asgi": {"version": "3.0"}, "http_version": "1.1",
        "extensions": {}, "state": {},
    }  # fmt: skip
    await app(scope, receive, send)
    if any(message["type"] == "websocket.accept" for message in sent):
        return 200
    return 403 if "Cookie" in headers or "Authorization" in headers else 401


def undeclared(app: FastAPI, routes: Iterable[Route]) -> list[str]:
    """Give the routes of an application that nobody has declared, as `METHOD path`."""
    declared = {f"{route.method} {route.path}" for route in routes}
    methods = {"get", "post", "put", "patch", "delete", "head", "options", "trace"}
    known = {
        f"{method.upper()} {path}"
        for path, item in app.openapi()["paths"].items()
        for method in item
        if method in methods
    }
    known |= {f"WS {path}" for path in _socket_paths(app.routes)}
    return sorted(known - declared)


def _socket_paths(routes: Iterable[BaseRoute]) -> Iterable[str]:
    for route in routes:
        included: APIRouter | None = getattr(route, "original_router", None)
        if included is not None:
            yield from _socket_paths(included.routes)
        elif isinstance(route, WebSocketRoute):
            yield route.path
