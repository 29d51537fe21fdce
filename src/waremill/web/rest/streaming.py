"""Answers that come in pieces: server-sent events, ended by one `result` or one `error`.

What is begun goes on when the client leaves: it is paid for, and will be kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import orjson
from fastapi import Request
from starlette.responses import StreamingResponse

from waremill.errors import WaremillError
from waremill.web.rest import problems

EVENT_STREAM = "text/event-stream"
EVENT_SCHEMA = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"type": "string"},
        "data": {"type": "string", "description": "A JSON document."},
    },
}
"""What the document says of each event, as OpenAPI 3.2 describes a stream's items."""
STREAM_HEADERS = {"X-Accel-Buffering": "no", "Cache-Control": "no-cache"}
QUIET_SECONDS = 15.0
"""After so long without a word a stream says that it lives."""
LOOK_SECONDS = 1.0
"""How often what is followed is looked at."""
Say: TypeAlias = Callable[[str, Any], None]
"""Sends an event: its name, and a document."""

_working: set[asyncio.Task[Any]] = set()


def may_stream(description: str) -> dict[int | str, dict[str, Any]]:
    """Describe in a route's responses that its answer comes as events on request."""
    content = {EVENT_STREAM: {"schema": EVENT_SCHEMA}}
    return {200: {"content": content, "description": description}}


def wants_stream(request: Request) -> bool:
    """Say whether a client asks for events."""
    accepted = request.headers.get("accept", "")
    return any(part.partition(";")[0].strip() == EVENT_STREAM for part in accepted.split(","))


def event(name: str, data: Any) -> bytes:
    """Write a server-sent event."""
    return f"event: {name}\n".encode() + b"data: " + orjson.dumps(data) + b"\n\n"


def stream(request: Request, work: Callable[[Say], Awaitable[Any]]) -> StreamingResponse:
    """Answer with what some work says, then with its result, or with a problem."""
    return StreamingResponse(
        _events(request, work), media_type=EVENT_STREAM, headers=STREAM_HEADERS
    )


async def _events(request: Request, work: Callable[[Say], Awaitable[Any]]) -> AsyncIterator[bytes]:
    said: asyncio.Queue[tuple[str, Any] | None] = asyncio.Queue()

    async def do() -> None:
        try:
            made = await work(lambda name, data: said.put_nowait((name, data)))
            said.put_nowait(("result", made))
        except WaremillError as error:
            found = problems.describe(error, problems.request_id_of(request))
            said.put_nowait(("error", found))
        except Exception:
            said.put_nowait(("error", problems.bug(problems.request_id_of(request))))
            raise
        finally:
            said.put_nowait(None)

    task = asyncio.create_task(do())
    _working.add(task)
    task.add_done_callback(_working.discard)
    closing: asyncio.Event = request.app.state.closing
    while not closing.is_set():
        try:
            one = await asyncio.wait_for(said.get(), QUIET_SECONDS)
        except TimeoutError:
            yield b": still working\n\n"
            continue
        if one is None:
            if not task.cancelled() and (bug := task.exception()) is not None:
                raise bug  # the log has it under the request's id
            return
        yield event(*one)


def followed(
    request: Request, name: str, look: Callable[[], Awaitable[tuple[Any, bool]]]
) -> StreamingResponse:
    """Answer with an event of a name whenever what is looked at has changed, until it has ended.

    `look` gives a document, and whether it is the last one.
    """
    return StreamingResponse(
        _changes(request, name, look), media_type=EVENT_STREAM, headers=STREAM_HEADERS
    )


async def _changes(
    request: Request, name: str, look: Callable[[], Awaitable[tuple[Any, bool]]]
) -> AsyncIterator[bytes]:
    closing: asyncio.Event = request.app.state.closing
    last, told = None, time.monotonic()
    while not closing.is_set():
        try:
            document, ended = await look()
        except WaremillError as error:
            yield event("error", problems.describe(error, problems.request_id_of(request)))
            return
        if document != last:
            yield event(name, document)
            last, told = document, time.monotonic()
        elif time.monotonic() - told > QUIET_SECONDS:
            yield b": nothing new\n\n"
            told = time.monotonic()
        if ended:
            return
        await asyncio.sleep(LOOK_SECONDS)


__all__ = [
    "EVENT_SCHEMA",
    "EVENT_STREAM",
    "STREAM_HEADERS",
    "Say",
    "event",
    "followed",
    "may_stream",
    "stream",
    "wants_stream",
]
