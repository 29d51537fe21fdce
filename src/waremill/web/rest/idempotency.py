"""`Idempotency-Key`: a POST that is sent twice is carried out once.

Same key and same body: the answer that was kept. Same key, another body: 422. Still being worked:
409. What failed is not kept, for nothing came of it. An answer that shows a secret is not kept
either; sending it again says so, and does nothing.
"""

from __future__ import annotations

import re
from hashlib import sha256
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from waremill.app import Workspace
from waremill.app.acting import Actor
from waremill.app.repeating import Repeats
from waremill.web.rest import problems

HEADER = "Idempotency-Key"
PREFIX = "/v1/"
LARGEST_KEPT = 1024 * 1024
"""Most bytes of an answer that is kept."""
IN_MEMORY = 1024 * 1024
_PLAIN = re.compile(r"[\x21-\x7e]{1,255}")
_KEPT_HEADERS = ("location", "etag", "content-disposition")
_CHUNK = 64 * 1024
_NO_STORE = b"no-store"
_SECRETS = frozenset({"/v1/tokens", "/v1/session"})
"""Where answers hold secrets, besides those that say `no-store` themselves."""
REPLAYED = (b"idempotency-replayed", b"true")


def install(app: FastAPI) -> None:
    """Keep the answers to POSTs that carry a key; it must stand inside of what finds the actor."""
    app.add_middleware(Idempotency)


class Idempotency:
    """The ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what carries no key; carry out the rest once."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        keys = request.headers.getlist(HEADER)
        workspace: Workspace | None = getattr(request.state, "workspace", None)
        if not keys or workspace is None or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        if len(keys) > 1 or not _PLAIN.fullmatch(keys[0]):
            said = "an Idempotency-Key has 1 to 255 visible ASCII characters"
            await _refuse(request, 422, "ValidationError", said)(scope, receive, send)
            return
        with SpooledTemporaryFile(max_size=IN_MEMORY) as body:
            if not await _read(receive, body):
                return  # the client has left, or sent too much: nothing is begun
            digest = digest_of(request, workspace.actor, body)
            await self._once(request, (keys[0], digest), body, receive, send)

    async def _once(
        self,
        request: Request,
        named: tuple[str, bytes],
        body: IO[bytes],
        receive: Receive,
        send: Send,
    ) -> None:
        key, digest = named
        repeats = Repeats(request.state.workspace)
        kept = await repeats.begin(key, digest)
        if kept is not None:
            if kept.digest != digest:
                said = "this Idempotency-Key was used with another request"
                reply: Response = _refuse(request, 422, "KeyReused", said)
            elif kept.status is None:
                said = "a request with this Idempotency-Key is being worked"
                reply = _refuse(request, 409, "InProgress", said)
            else:
                reply = _again(request, kept.status, kept.body or b"", kept.media_type)
            await reply(request.scope, receive, send)
            return
        answer = _Answer(send, secret=request.url.path in _SECRETS)
        try:
            await self._app(request.scope, _replay(body, receive), answer)
        finally:
            if answer.done and 200 <= answer.status < 300 and not answer.too_long:
                await repeats.finish(key, (answer.status, answer.framed(), answer.media_type))
            else:
                await repeats.forget(key)


class _Answer:
    """Sends an answer on and keeps a copy of it, while it is not too long."""

    def __init__(self, send: Send, *, secret: bool) -> None:
        self._send = send
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._secret = secret
        self.status = 0
        self.done = False
        self.too_long = False

    @property
    def media_type(self) -> str | None:
        """The answer's content type."""
        return self._headers.get("content-type")

    def framed(self) -> bytes:
        """Give what is kept: a line of JSON with some headers, then the body.

        Of an answer with a secret nothing is kept but that there was one.
        """
        head: dict[str, Any] = {n: self._headers[n] for n in _KEPT_HEADERS if n in self._headers}
        if self._secret:
            return orjson.dumps({**head, "secret": True}) + b"\n"
        return orjson.dumps(head) + b"\n" + bytes(self._body)

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            pairs = [(k.decode("latin-1").lower(), v) for k, v in message.get("headers", ())]
            self._headers = {name: value.decode("latin-1") for name, value in pairs}
            self._secret |= any(n == "cache-control" and _NO_STORE in v for n, v in pairs)
        elif message["type"] == "http.response.body":
            if len(self._body) + len(message.get("body", b"")) > LARGEST_KEPT:
                self.too_long = True
            elif not self._secret:
                self._body += message.get("body", b"")
            self.done = not message.get("more_body", False)
        await self._send(message)


def digest_of(request: Request, actor: Actor, body: IO[bytes]) -> bytes:
    """Hash what makes two requests the same: who asks with which rights, the address, the body.

    A form's boundary, which a client may choose anew each time, does not count.
    """
    rights = [sorted(actor.teams.items()), actor.everywhere, actor.manages]
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    boundary = re.search(r'boundary="?([^";]+)"?', parameters)
    parts = [request.url.path, request.url.query, media_type.strip().lower(), rights]
    parts.append(request.headers.get("accept", ""))
    digest = sha256(orjson.dumps(parts) + b"\0")
    mark = None if boundary is None else b"--" + boundary[1].encode("latin-1", "replace")
    body.seek(0)
    while line := body.readline(_CHUNK):
        bare = line.rstrip(b"\r\n")
        if mark is not None and bare in (mark, mark + b"--"):
            line = line.replace(mark, b"--")
        digest.update(line)
    return digest.digest()


async def _read(receive: Receive, body: IO[bytes]) -> bool:
    """Read a request's body; False when it was cut off."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return False
        body.write(message.get("body", b""))
        if not message.get("more_body", False):
            return True


def _replay(body: IO[bytes], receive: Receive) -> Receive:
    """Give a body that was read again, in chunks, then whatever else the client sends."""
    body.seek(0)
    ended = False

    async def again() -> Message:
        nonlocal ended
        if ended:
            return await receive()
        chunk = body.read(_CHUNK)
        ended = len(chunk) < _CHUNK
        return {"type": "http.request", "body": chunk, "more_body": not ended}

    return again


def _again(request: Request, status: int, framed: bytes, media_type: str | None) -> Response:
    """Answer as before; an answer that showed a secret only says that it was given."""
    head, _, body = framed.partition(b"\n")
    headers = orjson.loads(head)
    if headers.pop("secret", False):
        said = (
            "this was done before, and the answer held a secret that is shown only once; "
            "if it is lost, remove what was made and make it anew with another key"
        )
        return _refuse(request, 409, "SecretShown", said)
    reply = Response(body, status, headers)
    reply.raw_headers.append(REPLAYED)
    if media_type is not None:
        reply.raw_headers.append((b"content-type", media_type.encode("latin-1")))
    return reply


def _refuse(request: Request, status: int, kind: str, detail: str) -> Response:
    found = problems.problem(status, kind, detail, problems.request_id_of(request))
    return problems.respond(found)


__all__ = ["HEADER", "Idempotency", "digest_of", "install"]
