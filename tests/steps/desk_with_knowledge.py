"""A context for steps that search: passages by base, a model that says what it is told to."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
import orjson
from tests.steps.filed import Filed

from waremill.domain import Answer, Chat, Finding, Item, Passage, Response, Search, Usage
from waremill.pipeline import Context

Reply = Mapping[str, Any] | str


class Library:
    """A context with knowledge. `bases` are its passages by name; `replies` come one after the
    other, the last one for ever; `meaning` gives texts vectors."""

    def __init__(
        self,
        *replies: Reply | Callable[[Chat], Reply],
        bases: Mapping[str, Sequence[Passage]] | None = None,
        meaning: Callable[[str], Sequence[float]] | None = None,
    ) -> None:
        self.replies = list(replies)
        self.bases = dict(bases or {})
        self.meaning = meaning
        self.asked: list[Chat] = []
        self.searched: list[Search] = []
        self.findings: list[Finding] = []
        self.notes: dict[str, Any] = {}
        self.recorded: dict[str, Any] = {}
        files = Filed(Path(tempfile.gettempdir()) / "never-written")
        self.context = Context(
            self.call, self.report, self.record, self.similar, files, {},
            self.retrieve, self.note, self.embed if meaning else None,
        )  # fmt: skip

    async def call(self, item: Item, request: Chat, model: str | None = None) -> Answer:
        await asyncio.sleep(0)
        self.asked.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if callable(reply):
            reply = reply(request)
        body = reply if isinstance(reply, str) else orjson.dumps(reply).decode()
        return Answer(b"0" * 16, Response(body, "complete", Usage(1, 1)), model or "default", 1)

    def report(self, item: Item, findings: Sequence[Finding]) -> None:
        self.findings.extend(findings)

    async def record(self, item: Item, name: str, make: Callable[[], Awaitable[Any]]) -> Any:
        if name not in self.recorded:
            self.recorded[name] = orjson.loads(orjson.dumps(await make()))
        return self.recorded[name]

    async def similar(self, item: Item, name: str, text: Any) -> Sequence[tuple[str, float]]:
        return ()

    async def retrieve(self, item: Item, search: Search) -> tuple[Passage, ...]:
        self.searched.append(search)
        return tuple(self.bases.get(search.knowledge, ()))[: search.top]

    def note(self, item: Item, name: str, value: Any) -> None:
        self.notes[name] = orjson.loads(orjson.dumps(value))

    async def embed(self, texts: Sequence[str]) -> Any:
        assert self.meaning is not None
        vectors = numpy.array([self.meaning(text) for text in texts], dtype=numpy.float32)
        return vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)

    def said(self, number: int = -1) -> str:
        """All that was said to the model in one of its calls."""
        return "\n".join(str(message.content) for message in self.asked[number].messages)
