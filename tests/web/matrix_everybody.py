"""Everybody there is, more than `matrix` has: all roles of another team, and nobody's member.

`observe` calls routes as all of them; what must come out is `expected` of each.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute, Mount, WebSocketRoute
from tests.web.matrix import EVERYBODY, ORIGIN, OTHER_TEAM, TEAM, People, Route, call, is_right

from waremill.app import Workspace
from waremill.app.accounts import Accounts
from waremill.app.acting import ROLES, Role

FAR: tuple[tuple[str, Role], ...] = (
    ("far-viewer", "viewer"), ("far-reviewer", "reviewer"), ("far-operator", "operator"),
)  # fmt: skip
"""Members of the other team below its admin, who is the stranger."""
TOKENS_ONLY = (*(name for name, _ in FAR), "newcomer", "both", "capped")


@dataclass(frozen=True)
class Declared(Route):
    """A route with what `Route` cannot say.

    `first` is a role that is asked for, in any team, before the thing itself is looked for.
    `before` is awaited before each call, as `at` is, for what `send` needs. A `page` takes long to
    draw and is a browser's: few open it by token.
    """

    first: Role | None = None
    before: Callable[[], Awaitable[None]] | None = None
    page: bool = False

    def is_for(self, who: str, way: str) -> bool:
        """Say whether somebody calls it."""
        return not self.page or way == "session" or who in ("far-viewer", "newcomer")


@dataclass(frozen=True)
class Call:
    """Somebody's call of a route, and the answer."""

    route: Route
    who: str
    way: str
    reply: httpx.Response

    def __str__(self) -> str:
        said = f"{self.route.method} {self.route.path} as {self.who} by {self.way}"
        return f"{said}: {self.reply.status_code}, not {expected(self.route, self.who)}"


async def invite_more(workspace: Workspace) -> dict[str, str]:
    """Make the further people; give their tokens.

    `both` is an admin of both teams whose token works in the other team only; `capped` is an admin
    of the team whose token may do no more than a viewer.
    """
    accounts = Accounts(workspace)
    tokens = {}
    for name in TOKENS_ONLY:
        await accounts.add_user(name, None)
        if name in ("both", "capped"):
            await accounts.set_role(name, TEAM, "admin")
        if name == "both":
            await accounts.set_role(name, OTHER_TEAM, "admin")
        team = OTHER_TEAM if name == "both" else None
        role = "viewer" if name == "capped" else "admin"
        tokens[name], _ = await accounts.add_token("matrix", user=name, team=team, role=role)
    for name, own in FAR:
        await accounts.set_role(name, OTHER_TEAM, own)
    return tokens


def expected(route: Route, who: str) -> int:
    """Give the status somebody must get; 200 stands for being let in."""
    if who == "both":
        return expected(route, "stranger")
    if who == "capped":
        return expected(route, "viewer")
    asked = route.needs in ROLES
    first = getattr(route, "first", None)
    if who in EVERYBODY:
        if asked and first is not None and who == "manager" and not route.manager_too:
            return 403
        return route.expected(who)
    own = dict(FAR).get(who)
    if not asked:  # somebody who signed in and manages nobody
        return route.expected("viewer")
    if first is not None and (own is None or ROLES.index(own) < ROLES.index(first)):
        return 403
    if route.of_team:
        return 404
    return 403 if own is None else route.expected(own)


def callers(people: People, tokens: Mapping[str, str]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Give everybody, by what they are known, and what their requests carry."""
    for who in EVERYBODY:
        for way in ("session", "token")[: 1 if who == "signed-out" else 2]:
            yield who, way, people.headers(who, way)
    for name, text in tokens.items():
        yield name, "token", {"Authorization": f"Bearer {text}"}


async def observe(
    app: FastAPI,
    routes: Iterable[Declared],
    who_calls: Iterable[tuple[str, str, Mapping[str, str]]],
) -> list[Call]:
    """Call every route as everybody."""
    found, everybody = [], list(who_calls)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, timeout=30) as client:
        for route in routes:
            for who, way, headers in everybody:
                if not route.is_for(who, way):
                    continue
                if route.before is not None:
                    await route.before()
                reply = await call(app, client, route, headers)
                found.append(Call(route, who, way, reply))
    return found


def wrong(calls: Iterable[Call]) -> list[str]:
    """Give a line for each answer that is not what it must be."""
    return [
        str(one)
        for one in calls
        if not is_right(one.route, expected(one.route, one.who), one.reply.status_code)
    ]


def never_done(calls: Iterable[Call]) -> set[str]:
    """Name the routes whose request succeeded for nobody at all: these show little.

    Those are left out of which a refusal is all there is to see, as their `fine` says.
    """
    calls = [one for one in calls if one.route.fine == (409,)]
    every = {f"{one.route.method} {one.route.path}" for one in calls}
    return every - {
        f"{one.route.method} {one.route.path}" for one in calls if one.reply.status_code < 400
    }


_VERSION = re.compile(r"^/_nicegui/\d[^/]*/")
_CLIENT = re.compile(r"^/_nicegui/client/[^/]+/upload/\d+$")


def every_route(app: FastAPI) -> set[str]:
    """Name all that an application answers, hidden routes and those of mounted parts included.

    As `METHOD path`; a mounted part without routes of its own is `MOUNT path`.
    """
    return {_plain(one) for one in _routes(app.routes, "")}


def _plain(named: str) -> str:
    method, _, path = named.partition(" ")
    path = _VERSION.sub("/_nicegui/VERSION/", path)
    return f"{method} " + _CLIENT.sub("/_nicegui/client/{client}/upload/{element}", path)


def _routes(routes: Iterable[BaseRoute], prefix: str) -> Iterator[str]:
    for route in routes:
        included: APIRouter | None = getattr(route, "original_router", None)
        inner: Any = getattr(route, "routes", None)
        if included is not None:
            yield from _routes(included.routes, prefix)
        elif isinstance(route, Mount) and inner:
            yield from _routes(inner, prefix + route.path)
        elif isinstance(route, Mount):
            yield f"MOUNT {prefix}{route.path}"
        elif isinstance(route, WebSocketRoute):
            yield f"WS {prefix}{route.path}"
        else:
            path = prefix + str(getattr(route, "path_format", None) or getattr(route, "path", ""))
            methods = getattr(route, "methods", None) or {"ANY"}
            for method in sorted(methods - {"HEAD"} or methods):
                yield f"{method} {path}"
