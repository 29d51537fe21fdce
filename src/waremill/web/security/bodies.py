"""How much a request may send: counted as it comes, whatever it announces."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import Message, Receive

LARGEST_BODY = 5 * 1024 * 1024
LARGEST_UPLOAD = 512 * 1024 * 1024


class BodyLimit:
    """Counts a request's body. `passed` says that it was too long; it then reads as cut off."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self.most = self._left = most
        self.passed = False

    async def __call__(self) -> Message:
        """Give the next message; a body that is too long ends as if the client had left."""
        if self.passed:
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                self.passed = True
                return {"type": "http.disconnect"}
        return message


def most_bytes(path: str, uploads: Sequence[re.Pattern[str]]) -> int:
    """Give how long a body may be on a path: longer where files are uploaded."""
    long = any(pattern.fullmatch(path) for pattern in uploads)
    return LARGEST_UPLOAD if long else LARGEST_BODY


def announced(headers: Headers) -> int:
    """Give the length a request announces, 0 where it announces none."""
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
