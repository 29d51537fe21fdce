"""A vendor on the loopback interface that talks: replies stream in piece by piece, at a pace.

It speaks OpenAI's streamed chat completions. A hook turns a request into a `Said`: text, calls of
tools, or both. Unlike `tests.vendor` it writes each piece when it is due, so that a reply can be
stopped while it comes, and it notices when who asked has gone.

In a test:      `async with Talker(hook) as talker: ... talker.url`
As a process:   `python -m tests.talker` answers with `at_the_shop` and prints `{"url": …}`
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web
from tests.workspaces import ROOT


@dataclass(frozen=True)
class Said:
    """One reply: text, calls as names with arguments, and seconds between two pieces."""

    text: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    pause: float = 0.0
    finish: str = "stop"
    status: int = 200


Hook = Callable[[dict[str, Any]], Said]


class Talker:
    """The server. `requests` are the bodies as they came; `left` counts who went before the end."""

    def __init__(self, hook: Hook) -> None:
        self.hook = hook
        self.requests: list[dict[str, Any]] = []
        self.left = 0
        self.begun = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Talker:
        app = web.Application(client_max_size=1 << 24)
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        self.requests.append(body)
        said = self.hook(body)
        if said.status != 200:
            error = {"error": {"message": said.text, "type": "invalid_request_error"}}
            return web.json_response(error, status=said.status)
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)
        try:
            await self._write(reply, said, len(self.requests))
        except (ConnectionError, asyncio.CancelledError):
            self.left += 1
            raise
        return reply

    async def _write(self, reply: web.StreamResponse, said: Said, number: int) -> None:
        async def push(delta: dict[str, Any], finish: str | None = None, **more: Any) -> None:
            choices = (
                [{"index": 0, "delta": delta, "finish_reason": finish}] if delta or finish else []
            )
            chunk = {"id": f"talk-{number}", "object": "chat.completion.chunk", "created": 1,
                     "model": "talker", "choices": choices, **more}  # fmt: skip
            await reply.write(b"data: " + orjson.dumps(chunk) + b"\n\n")

        for piece in re.findall(r"\s*\S+|\s+$", said.text):
            await push({"content": piece})
            self.begun.set()
            if said.pause:
                await asyncio.sleep(said.pause)
        for place, (name, given) in enumerate(said.calls):
            arguments = given if isinstance(given, str) else orjson.dumps(given).decode()
            call = {"index": place, "id": f"call_{number}_{place}", "type": "function",
                    "function": {"name": name, "arguments": arguments}}  # fmt: skip
            await push({"tool_calls": [call]})
        await push({}, "tool_calls" if said.calls else said.finish)
        out = max(1, len(said.text) // 4)
        usage = {"prompt_tokens": 1000, "completion_tokens": out, "total_tokens": 1000 + out,
                 "prompt_tokens_details": {"cached_tokens": 640 if number > 1 else 0}}  # fmt: skip
        await push({}, usage=usage)
        await reply.write(b"data: [DONE]\n\n")


def question_of(body: dict[str, Any]) -> str:
    """Give the last thing the user said."""
    said = [one["content"] for one in body["messages"] if one["role"] == "user"]
    return str(said[-1])


def results_of(body: dict[str, Any]) -> list[str]:
    """Give what tools gave since the user's last words."""
    last = max(at for at, one in enumerate(body["messages"]) if one["role"] == "user")
    return [str(one["content"]) for one in body["messages"][last:] if one["role"] == "tool"]


_TEMPLATE = """\
name: french-points
description: Title and three selling points
instruction: |
  You write product copy in {{ language }}.
input:
  - name: {required: true}
  - brand
output:
  title: {type: string, max_chars: 60}
  points: {type: array, items: {type: string, max_chars: 80}, min: 3, max: 3}
checks: [language, grounded-numbers]
"""
_TABLE = """\
The guide names **three** things [1]:

| What | How long | Source |
|---|---|---|
| Opened bottles | 14 days, if less than `5 ml` is missing | returns |
| Sealed bottles | 60 days | returns |
| Samples | not taken back | returns |

1. Keep the receipt.
2. Write to the shop first [1].

```sql
SELECT brand, count(*) FROM products GROUP BY brand
```

More at [the carrier](https://parcels.example/track?order=7) – and nothing on gift sets."""


def at_the_shop(body: dict[str, Any]) -> Said:
    """Answer as a useful model would in a shop of perfumes; by what the question says."""
    question, results = question_of(body), results_of(body)
    slow = 0.02
    if not body.get("tools"):
        return Said("Opened bottles can be returned within 14 days.", pause=slow)
    if results:
        return _after(question, results, slow)
    lower = question.lower()
    if "save" in lower or "保存" in lower:
        return Said(
            calls=(("save_selection", {"name": "no-notes", "where": "missing(top_notes)"}),)
        )  # fmt: skip
    if "template" in lower or "模板" in lower:
        return Said(calls=(("draft_template", {"name": "french-points", "text": _TEMPLATE}),))
    if "without notes" in lower or "no notes" in lower or "没有香调" in lower:
        given = {"where": "missing(top_notes)", "targets": ["fr-FR"]}
        return Said("I will draft the selection.", calls=(("draft_selection", given),), pause=slow)
    if "long story" in lower or "长篇" in lower:
        return Said("And then the scent opened again. " * 400, pause=0.03)
    return Said(calls=(("search_knowledge", {"query": question}),))


def _after(question: str, results: list[str], slow: float) -> Said:
    if "not permit" in results[-1]:
        return Said("Then I leave it as it is.", pause=slow)
    if "is saved" in results[-1]:
        return Said("The selection is saved.", pause=slow)
    if "the user sees this draft" in results[-1]:
        return Said("Here is the draft; it is yours to open and run.", pause=slow)
    if any("一" <= sign <= "鿿" for sign in question):
        return Said("已开封的香水可以在 **14 天** 内退货，但缺失不得超过 5 毫升 [1]。", pause=slow)
    return Said(_TABLE, pause=slow)


@contextmanager
def talker_process() -> Iterator[str]:
    """Run the talker in a process of its own; give its base URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.talker"], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield orjson.loads(process.stdout.readline())["url"]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def _serve() -> None:
    async with Talker(at_the_shop) as talker:
        print(orjson.dumps({"url": talker.url}).decode(), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
