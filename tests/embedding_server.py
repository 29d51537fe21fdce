"""A loopback server that speaks the embeddings API: texts with common words have near vectors."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import pytest_asyncio
from aiohttp import web

DIMENSIONS = 128
PASSAGE = "passage: "


@dataclass
class EmbeddingServer:
    """What it was asked: how many texts, how many of them passages; `pause` is seconds a text."""

    url: str = ""
    texts: int = 0
    passages: int = 0
    pause: float = 0.0
    asked: list[str] = field(default_factory=list)
    grown: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def had(self, count: int) -> None:
        """Wait until it was asked about so many texts."""
        async with asyncio.timeout(60), self.grown:
            await self.grown.wait_for(lambda: self.texts >= count)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request as OpenAI does."""
        body: dict[str, Any] = await request.json()
        texts = body["input"]
        for text in texts:
            self.texts += 1
            self.passages += text.startswith(PASSAGE)
            self.asked.append(text)
            async with self.grown:
                self.grown.notify_all()
            if self.pause:
                await asyncio.sleep(self.pause)
        data = [
            {"object": "embedding", "index": place, "embedding": vector_of(text)}
            for place, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": sum(map(len, texts)) // 4 + 1, "total_tokens": 0}
        return web.json_response({"object": "list", "data": data, "model": "e", "usage": usage})


def vector_of(text: str) -> list[float]:
    """Count words into so many places, by a hash of each."""
    found = [0.01] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()):
        found[crc32(word.encode()) % DIMENSIONS] += 1.0
    return found


@pytest_asyncio.fixture
async def embedding_server() -> AsyncIterator[EmbeddingServer]:
    """A server that runs as long as the test."""
    server = EmbeddingServer()
    app = web.Application()
    app.router.add_post("/v1/embeddings", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}/v1"
    yield server
    await runner.cleanup()
