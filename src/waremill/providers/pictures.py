"""Pictures inside messages, in the shape each wire protocol takes.

`https:` and `data:` URLs go out as they are; a path is read and sent as a `data:` URL. Must not
change a picture.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import mimetypes
from pathlib import Path
from typing import Any

from waremill.domain import AnyMessage, Chat, Image, Message
from waremill.errors import SourceError, Where

_REMOTE = ("https:", "http:", "data:")


def needs_files(request: Chat) -> bool:
    """Say whether a picture has to be read from disk."""
    for message in request.messages:
        if not isinstance(message.content, str):
            for part in message.content:
                if isinstance(part, Image) and not part.url.startswith(_REMOTE):
                    return True
    return False


async def with_files(request: Chat) -> Chat:
    """Put `data:` URLs in place of paths; SourceError where a file cannot be read."""
    messages: list[AnyMessage] = []
    for message in request.messages:
        if not isinstance(message, Message) or isinstance(message.content, str):
            messages.append(message)
            continue
        parts = [
            Image(await asyncio.to_thread(_data_url, part.url))
            if isinstance(part, Image) and not part.url.startswith(_REMOTE)
            else part
            for part in message.content
        ]
        messages.append(Message(message.role, tuple(parts)))
    return dataclasses.replace(request, messages=tuple(messages))


def _data_url(path: str) -> str:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise SourceError(f"the picture cannot be sent: {reason}", Where(file=path)) from None
    kind = mimetypes.guess_type(path)[0] or "image/jpeg"
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def content_parts(parts: tuple[str | Image, ...]) -> list[dict[str, Any]]:
    """Give a message's parts as chat completions take them."""
    return [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "image_url", "image_url": {"url": part.url}}
        for part in parts
    ]


def anthropic_blocks(parts: tuple[str | Image, ...]) -> list[dict[str, Any]]:
    """Give a message's parts as Anthropic's messages take them."""
    blocks: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, str):
            blocks.append({"type": "text", "text": part})
        elif part.url.startswith("data:"):
            head, _, data = part.url[5:].partition(",")
            kind = head.partition(";")[0] or "image/jpeg"
            source = {"type": "base64", "media_type": kind, "data": data}
            blocks.append({"type": "image", "source": source})
        else:
            blocks.append({"type": "image", "source": {"type": "url", "url": part.url}})
    return blocks
