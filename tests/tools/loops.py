"""A model that says what it is told to, for loops under test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from waremill.domain import Answer, Chat, Emit, Message, Outcome, Response, ToolCall, Usage

Said = str | Sequence[tuple[str, Any]] | tuple[str, Outcome]


def chat(text: str = "How much is it?", **fields: Any) -> Chat:
    return Chat((Message("system", "Be brief."), Message("user", text)), 100, **fields)


class Model:
    """Gives its replies in turn, the last one again and again; `asked` is what it was asked.

    A reply is a text, or calls as names with arguments (an object, or a text as it is).
    """

    def __init__(self, *replies: Said | Callable[[Chat], Said], tokens: int = 10) -> None:
        self.replies = list(replies)
        self.tokens = tokens
        self.asked: list[Chat] = []

    async def __call__(self, request: Chat, emit: Emit | None = None) -> Answer:
        await asyncio.sleep(0)
        self.asked.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        said = reply(request) if callable(reply) else reply
        response = self._response(said, len(self.asked))
        if emit is not None and response.text:
            for word in response.text.split(" "):
                emit(word)
        return Answer(len(self.asked).to_bytes(16), response, "model", 1_000)

    def _response(self, said: Said, turn: int) -> Response:
        usage = Usage(self.tokens, self.tokens)
        if isinstance(said, str):
            return Response(said, "complete", usage)
        if isinstance(said, tuple) and said and isinstance(said[0], str):
            text, outcome = said
            return Response(text, outcome, usage)  # type: ignore[arg-type]
        calls = tuple(
            ToolCall(f"call_{turn}_{at}", name, given if isinstance(given, str) else _json(given))
            for at, (name, given) in enumerate(said)  # type: ignore[misc]
        )
        return Response("", "complete", usage, calls=calls)


def _json(given: Any) -> str:
    return orjson.dumps(given).decode()
