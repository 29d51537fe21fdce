"""Server-sent events: bytes in, the data of each event out.

Source of the format: WHATWG HTML Living Standard, section 9.2 “Server-sent events”. Lines end with
LF or CRLF; several `data:` lines of one event are joined by LF; comments and other fields are
ignored. Must not know what the data means.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator


async def events(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Give the data of each event in order; an event the stream ends within is dropped."""
    rest = b""
    data: list[bytes] = []
    first = True
    async for piece in pieces:
        rest += piece
        if first and len(rest) >= 3:
            rest = rest.removeprefix(b"\xef\xbb\xbf")
            first = False
        lines = rest.split(b"\n")
        rest = lines.pop()
        for line in lines:
            line = line.removesuffix(b"\r")
            if not line:
                if data:
                    yield b"\n".join(data)
                    data = []
            elif line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
