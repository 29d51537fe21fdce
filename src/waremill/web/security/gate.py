"""The middleware: every request and socket passes here before anything else sees it.

Plain ASGI, so that streams stay streams. The order matters: what is refused for its host or origin
costs no look-up, and nothing of a body is read before it is known who sends it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from waremill.app import Workspace
from waremill.errors import WaremillError
from waremill.web.security.bodies import BodyLimit, announced, most_bytes
from waremill.web.security.callers import Caller, bearer, cookie_name, identify
from waremill.web.security.headers import write_headers
from waremill.web.security.hosts import SAFE_METHODS, host_of, origin_problem
from waremill.web.security.proxies import Proxies
from waremill.web.security.redirects import LOGIN, login_address

UPLOADS = (
    r"/_nicegui/client/[^/]+/upload/[^/]+",
    r"/v1/(?:[^/]+/)*uploads?",
    r"/v1/pictures/[^/]+",
)
"""Regular expressions of the paths that take files."""
SESSION_PATH = "/v1/session"
_OPEN = frozenset({LOGIN, "/favicon.ico", "/healthz", "/readyz"})
_ASSETS = re.compile(r"/_nicegui/\d[^/]*/.+")
"""What NiceGUI ships: the same for everybody, and the sign-in page needs it."""
_SOCKET, _NICEGUI = "/_nicegui_ws/", "/_nicegui/"
_NOT_PAGES = ("/v1/", "/_nicegui", "/openapi.json", "/metrics")
NO_PROXIES = Proxies()
_KINDS = {
    400: "BadRequest", 401: "NotSignedIn", 403: "Forbidden", 413: "TooLarge", 503: "LimitReached",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rules:
    """What a server was started with."""

    hosts: frozenset[str]
    secure: bool
    open: frozenset[str]
    uploads: tuple[re.Pattern[str], ...]
    proxies: Proxies

    def is_open(self, method: str, path: str) -> bool:
        """Say whether a path is for those who have not signed in, too."""
        if path in self.open or _ASSETS.fullmatch(path):
            return True
        return method == "POST" and path == SESSION_PATH


def install(
    app: FastAPI,
    workspace: Workspace,
    *,
    hosts: Collection[str],
    secure: bool,
    open_paths: Collection[str] = (),
    uploads: Sequence[str] = UPLOADS,
    proxies: Proxies = NO_PROXIES,
) -> None:
    """Put the wall around an application; what is added to it later stands outside.

    `hosts` is every `Host` it answers to (see `allowed_hosts`); `secure` says that browsers reach
    it over https; `open_paths` are further paths that need no sign-in; `uploads` are regular
    expressions of the paths whose bodies may have 512 MB; `proxies` may say whom a request comes
    from, and that it came over https. It sets, for requests and sockets alike,
    `request.state.actor` (None for nobody), `.csrf` (text, empty without a session), `.workspace`
    (acting as the caller; None for nobody), `.cookie` (the session cookie's name) and `.proxied`
    (whether it came through a trusted proxy); `request.client` is who really called.
    """
    rules = Rules(
        frozenset(host.casefold() for host in hosts),
        secure,
        _OPEN | frozenset(open_paths),
        tuple(re.compile(pattern) for pattern in uploads),
        proxies,
    )
    app.state.workspace = workspace
    app.add_middleware(Gate, workspace=workspace, rules=rules)


class Gate:
    """The ASGI middleware `install` adds."""

    def __init__(self, app: ASGIApp, workspace: Workspace, rules: Rules) -> None:
        self._app = app
        self._workspace = workspace
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request or a socket through, or answer it here."""
        if scope["type"] == "http":
            self._look_through(scope)
            await self._request(scope, receive, send)
        elif scope["type"] == "websocket":
            self._look_through(scope)
            await self._socket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _look_through(self, scope: Scope) -> None:
        """Put in the place of a trusted proxy who called it, and how."""
        came = self._rules.proxies.came(scope)
        # What the setting promises, no header takes back.
        secure = self._rules.secure or came.https
        scope["client"] = came.client
        if came.https:
            scope["scheme"] = "wss" if scope["type"] == "websocket" else "https"
        scope.setdefault("state", {}).update(
            proxied=came.proxied, secure=secure, cookie=cookie_name(secure)
        )

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        limit = BodyLimit(receive, most_bytes(path, self._rules.uploads))
        answer = _Answer(send, path, limit, scope)
        refusal = self._foreign(scope)
        if refusal is None and announced(Headers(scope=scope)) > limit.most:
            refusal = _too_long(scope, limit.most)
        if refusal is None:
            try:
                refusal = await self._unknown(scope)
            except WaremillError as error:  # a full disk, a lock that stays
                refusal = _refuse(scope, 503, error.message, {"Retry-After": "5"})
        if refusal is not None:
            await refusal(scope, limit, answer)
            return
        try:
            await self._app(scope, limit, answer)
        except Exception as error:
            # A body that is too long looks to the application like a client that has left.
            if limit.passed and not answer.started:
                await _too_long(scope, limit.most)(scope, limit, answer)
                return
            if not answer.started:
                await _our_bug(scope, error, answer)
            raise

    def _foreign(self, scope: Scope) -> Response | None:
        """Refuse a request for another name or from another origin's page."""
        headers = Headers(scope=scope)
        host = host_of(headers)
        if host not in self._rules.hosts or host is None:
            return _refuse(scope, 400, "this server does not answer to that host name")
        path, unsafe = scope["path"], scope["method"] not in SAFE_METHODS
        if unsafe or path.startswith(_SOCKET):
            # What carries no CSRF token of its own must show where it comes from.
            required = unsafe and path.startswith((_SOCKET, _NICEGUI))
            said = origin_problem(headers, host, secure=_is_secure(scope), required=required)
            if said is not None:
                return _refuse(scope, 403, said)
        return None

    async def _unknown(self, scope: Scope) -> Response | None:
        """Find out who calls, and refuse who must sign in or whose change is not signed."""
        connection = HTTPConnection(scope)
        caller = await self._introduce(scope, connection)
        method, path = scope["method"], scope["path"]
        if caller is None:
            return None if self._rules.is_open(method, path) else _sign_in(connection)
        unsigned = caller.by == "session" and method not in SAFE_METHODS
        exempt = path.startswith((_SOCKET, _NICEGUI)) or (
            method == "POST" and path in (SESSION_PATH, LOGIN)
        )
        if unsigned and not exempt and not caller.carries(connection.headers.get("x-csrf-token")):
            detail = "the header X-CSRF-Token is not the one of this session"
            return _refuse(scope, 403, detail)
        return None

    async def _introduce(self, scope: Scope, connection: HTTPConnection) -> Caller | None:
        caller = await identify(self._workspace, connection)
        _drop_prefix(scope)
        scope["state"].update(
            actor=None if caller is None else caller.actor,
            csrf="" if caller is None else caller.csrf,
            workspace=None if caller is None else self._workspace.acting(caller.actor),
        )
        return caller

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a socket through whose page is ours and whose user is known."""
        connection = HTTPConnection(scope)
        host, secure = host_of(connection.headers), _is_secure(scope)
        required = bearer(connection) is None
        refused = host is None or host not in self._rules.hosts
        if not refused and host is not None:
            refused = bool(
                origin_problem(connection.headers, host, secure=secure, required=required)
            )
        if not refused:
            refused = await self._introduce(scope, connection) is None
        if refused:
            await send({"type": "websocket.close", "code": 1008})
            return
        await self._app(scope, receive, send)


class _Answer:
    """Sends an answer with our headers, or instead of it that the body was too long."""

    def __init__(self, send: Send, path: str, limit: BodyLimit, scope: Scope) -> None:
        self._send = send
        self._path = path
        self._limit = limit
        self._scope = scope
        self._replaced = False
        self.started = False

    async def __call__(self, message: Message) -> None:
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            if self._limit.passed and message["status"] != 413:
                self.started = True
                reply = _too_long(self._scope, self._limit.most)
                await reply(self._scope, self._limit, self._plain)
                self._replaced = True
                return
            await self._plain(message)
            return
        await self._send(message)

    async def _plain(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message["headers"] = list(message.get("headers", ()))
            write_headers(MutableHeaders(raw=message["headers"]), self._path)
        await self._send(message)


def _is_secure(scope: Scope) -> bool:
    secure: bool = scope["state"]["secure"]
    return secure


def _problems() -> ModuleType:
    """Give the API's problems; late, since the API's routes depend on this room."""
    from waremill.web.rest import problems

    return problems


def _refuse(
    scope: Scope, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    problems = _problems()
    found = problems.problem(status, _KINDS[status], detail, problems.request_id_of(Request(scope)))
    reply: Response = problems.respond(found, headers)
    return reply


def _too_long(scope: Scope, most: int) -> Response:
    return _refuse(
        scope, 413, f"the request's body is too long; the most here is {most // 1024**2} MB"
    )


def _sign_in(connection: HTTPConnection) -> Response:
    """Send a browser to the sign-in, and tell everything else that it must sign in."""
    path, scope = connection.url.path, connection.scope
    browser = scope["method"] in ("GET", "HEAD") and "text/html" in connection.headers.get(
        "accept", ""
    )
    if browser and not path.startswith(_NOT_PAGES):
        return RedirectResponse(login_address(path, connection.url.query), 303)
    detail = "sign in, or send an API token: Authorization: Bearer wm_…"
    return _refuse(scope, 401, detail, {"WWW-Authenticate": "Bearer"})


def _drop_prefix(scope: Scope) -> None:
    """Take away a header with which a caller could prefix the console's own addresses."""
    scope["headers"] = [one for one in scope["headers"] if one[0] != b"x-forwarded-prefix"]


async def _our_bug(scope: Scope, error: Exception, send: Send) -> None:
    """Answer an error nobody expected as the application would, but with our headers."""
    handlers: dict[Any, Any] = scope["app"].exception_handlers
    handler = handlers.get(Exception) or handlers.get(500)
    problems = _problems()
    answer: Any = problems.respond(problems.bug(problems.request_id_of(Request(scope))))
    if handler is not None:
        answer = await run_in_threadpool(handler, Request(scope), error)
        if isinstance(answer, Awaitable):
            answer = await answer
    await answer(scope, _nothing, send)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


__all__ = ["SESSION_PATH", "UPLOADS", "Gate", "install"]
