"""A model vendor on the loopback interface: real HTTP, deterministic replies and faults.

Speaks OpenAI chat completions (plain and streamed, JSON schema) and Anthropic messages, and both
vendors' batches (`tests.vendor_batches`). Used by the
tests, the end-to-end checks and the benchmark, so it is written close to the socket: one core
answers well over 15,000 requests a second under uvloop.

In a test:      `async with Vendor(rate_limited=0.05, seed=1) as vendor: ... vendor.url`
As a process:   `python -m tests.vendor --port 0 --seed 1 --rate-limited 0.05 --latency 0.05`
                prints `{"url": ..., "port": ...}` as one line; `GET /stats` gives the counters.

Which call fails is a function of (seed, request body, how often that body was sent), so a run that
is repeated meets the same faults. Replies are valid objects of the requested schema, worded from
the product data in the prompt; `reply=` overrides them.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import time
from collections import Counter
from dataclasses import dataclass
from email.utils import formatdate
from hashlib import blake2b
from typing import Any, cast

import orjson
from tests.vendor_batches import BatchDesk, BatchFaults
from tests.vendor_replies import compose
from tests.vendor_wire import Hook, Reply, anthropic_error, http, openai_error
from tests.vendor_wire import payload as wire_payload

__all__ = ["Hook", "Recorded", "Reply", "Vendor", "anthropic_error", "openai_error"]

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
_KEY = re.compile(rb"\r\n(?:authorization:[ \t]*bearer|x-api-key:|api-key:)[ \t]*([^\r]+)", re.I)
_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Recorded:
    """One request as it arrived."""

    method: str
    path: str
    head: bytes
    raw: bytes

    @property
    def body(self) -> Any:
        return orjson.loads(self.raw) if self.raw else None

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines) if k}


class Vendor:
    """The server. Rates are shares of calls (0…1); `latency` and `slow_seconds` are in seconds.

    `retry_after` is sent with a 429: a number of seconds, or "date" for an HTTP date two seconds
    ahead. `keys` and `models`, where given, are the only ones accepted. After `denied_after` calls
    every further call gets an exhausted-quota 429. `close_after` closes each connection without
    notice after so many replies.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        rate_limited: float = 0.0,
        unavailable: float = 0.0,
        malformed: float = 0.0,
        truncated: float = 0.0,
        refused: float = 0.0,
        cut: float = 0.0,
        silent: float = 0.0,
        slow: float = 0.0,
        slow_seconds: float = 1.0,
        latency: float = 0.0,
        retry_after: float | str | None = None,
        denied_after: int | None = None,
        close_after: int | None = None,
        keys: tuple[str, ...] | None = None,
        models: tuple[str, ...] | None = None,
        reply: Hook | None = None,
        record: bool = True,
        port: int = 0,
        batches: BatchFaults | None = None,
    ) -> None:
        self.seed, self.latency, self.slow_seconds = seed, latency, slow_seconds
        self.retry_after, self.denied_after, self.close_after = (
            retry_after,
            denied_after,
            close_after,
        )
        self.keys, self.models, self.reply, self.record, self.port = (
            keys,
            models,
            reply,
            record,
            port,
        )
        self._edges: list[tuple[float, str]] = []
        edge = 0.0
        for share, name in (
            (rate_limited, "rate_limited"),
            (unavailable, "unavailable"),
            (malformed, "malformed"),
            (truncated, "truncated"),
            (refused, "refused"),
            (cut, "cut"),
            (silent, "silent"),
            (slow, "slow"),
        ):
            edge += share
            if share:
                self._edges.append((edge * 2.0**64, name))
        self.calls = 0
        self.outcomes: Counter[str] = Counter()
        self.attempts: dict[int, int] = {}
        self.answered: dict[int, int] = {}
        self.requests: list[Recorded] = []
        self.in_flight = 0
        self.peak_in_flight = 0
        self.connections: set[_Connection] = set()
        self.accepted = 0
        self.desk = BatchDesk(batches or BatchFaults(), self._answer_line)
        self._server: asyncio.AbstractServer | None = None

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The base URL a client is configured with."""
        return f"{self.origin}/v1"

    async def __aenter__(self) -> Vendor:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self, loop), "127.0.0.1", self.port, backlog=4096
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in tuple(self.connections):
            connection.transport.abort()
        await asyncio.sleep(0)

    def stats(self, full: bool = False) -> dict[str, Any]:
        """Counters: calls by outcome, and how many distinct bodies were answered how often.

        "Answered" means a whole, well-formed 200; `repeated` is how many of those were not the
        first for their body.
        """
        times = Counter(self.answered.values())
        result: dict[str, Any] = {
            "calls": self.calls,
            "outcomes": dict(self.outcomes),
            "bodies": len(self.attempts),
            "answered": {str(n): count for n, count in sorted(times.items())},
            "repeated": sum((n - 1) * count for n, count in times.items()),
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak_in_flight,
            "connections": self.accepted,
            "batches": len(self.desk.batches),
        }
        if full:
            result["bodies_answered"] = {f"{key:016x}": n for key, n in self.answered.items()}
        return result

    def _answer_line(self, path: str, raw: bytes) -> tuple[int, Any]:
        """Answer one line of a batch, as a call of its own would be."""
        reply, request, digest = self.decide(path, b"", raw)
        self.outcomes[reply.outcome] += 1
        if reply.silent or reply.cut is not None:  # a batch has no broken replies
            reply = openai_error(500, "The server had an error while processing your request")
        body = wire_payload(path, request, raw, digest, reply).partition(b"\r\n\r\n")[2]
        if reply.status == 200:
            self.answered[digest] = self.answered.get(digest, 0) + 1
        return reply.status, orjson.loads(body)

    def draw(self, digest: int) -> str:
        """Pick the fate of the next attempt at a body."""
        attempt = self.attempts.get(digest, 0)
        self.attempts[digest] = attempt + 1
        if not self._edges:
            return "ok"
        # Finaliser of splitmix64: spreads (seed, body, attempt) evenly over 64 bits.
        x = (digest + attempt * 0x9E3779B97F4A7C15 + self.seed * 0xD1B54A32D192ED03) & _MASK
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
        x ^= x >> 31
        for edge, name in self._edges:
            if x < edge:
                return name
        return "ok"

    def decide(self, path: str, head: bytes, raw: bytes) -> tuple[Reply, dict[str, Any], int]:
        """Choose the reply to one call: refusal of the caller, the hook, a fault, or an answer."""
        self.calls += 1
        digest = int.from_bytes(blake2b(raw, digest_size=8).digest(), "little")
        try:
            request = orjson.loads(raw)
        except ValueError:
            return openai_error(400, "We could not parse the JSON body"), {}, digest
        anthropic = path.endswith("/messages")
        problem = self._refuse_caller(head, request, anthropic)
        if problem is not None:
            return problem, request, digest
        fate = self.draw(digest)
        if self.reply is not None:
            chosen = self.reply(request, path)
            if isinstance(chosen, Reply):
                return chosen, request, digest
            if chosen is not None:
                text = chosen if isinstance(chosen, str) else orjson.dumps(chosen).decode()
                return self._apply(fate, text, request, anthropic), request, digest
        if fate in ("rate_limited", "unavailable", "silent"):
            return self._apply(fate, "", request, anthropic), request, digest
        return self._apply(fate, compose(request), request, anthropic), request, digest

    def _refuse_caller(self, head: bytes, request: dict[str, Any], anthropic: bool) -> Reply | None:
        if self.keys is not None:
            match = _KEY.search(head)
            if match is None or match.group(1).decode().strip() not in self.keys:
                if anthropic:
                    return anthropic_error(401, "authentication_error", "invalid x-api-key")
                return openai_error(401, "Incorrect API key provided", code="invalid_api_key")
        if self.models is not None and request.get("model") not in self.models:
            name = request.get("model")
            if anthropic:
                return anthropic_error(404, "not_found_error", f"model: {name}")
            return openai_error(404, f"The model `{name}` does not exist", code="model_not_found")
        if self.denied_after is not None and self.calls > self.denied_after:
            message = "You exceeded your current quota, please check your plan and billing details."
            if anthropic:
                return anthropic_error(
                    400, "invalid_request_error", "Your credit balance is too low"
                )
            return openai_error(429, message, code="insufficient_quota")
        return None

    def _apply(self, fate: str, text: str, request: dict[str, Any], anthropic: bool) -> Reply:
        if fate == "ok":
            return Reply(text=text, outcome="ok")
        if fate == "rate_limited":
            headers = {}
            if self.retry_after == "date":
                headers["Retry-After"] = formatdate(time.time() + 2, usegmt=True)
            elif self.retry_after is not None:
                headers["Retry-After"] = str(self.retry_after)
            made = (
                anthropic_error(429, "rate_limit_error", "This request would exceed your limit")
                if anthropic
                else openai_error(
                    429, "Rate limit reached for requests", code="rate_limit_exceeded"
                )
            )
            return Reply(status=429, body=made.body, headers=headers, outcome=fate)
        if fate == "unavailable":
            made = (
                anthropic_error(529, "overloaded_error", "Overloaded")
                if anthropic
                else openai_error(500, "The server had an error while processing your request")
            )
            return Reply(status=made.status, body=made.body, outcome=fate)
        if fate == "truncated":
            return Reply(
                text=text[: max(1, len(text) // 2)],
                finish="max_tokens" if anthropic else "length",
                outcome=fate,
            )
        if fate == "refused":
            return Reply(text="", refusal="I’m sorry, I can’t help with that.", outcome=fate)
        if fate == "malformed":
            return Reply(text=text, cut=-1, outcome=fate)
        if fate == "cut":
            return Reply(text=text, cut=120, outcome=fate)
        if fate == "silent":
            return Reply(silent=True, outcome=fate)
        return Reply(text=text, delay=self.slow_seconds, outcome=fate)


class _Connection(asyncio.Protocol):
    """One keep-alive connection: requests are answered in order, one at a time."""

    def __init__(self, vendor: Vendor, loop: asyncio.AbstractEventLoop) -> None:
        self.vendor, self.loop = vendor, loop
        self.buffer = b""
        self.busy = False
        self.served = 0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio.Transport, so this is not checked.
        self.transport = cast(asyncio.Transport, transport)
        self.vendor.connections.add(self)
        self.vendor.accepted += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.vendor.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        if not self.busy:
            self._next()

    def _next(self) -> None:
        buffer = self.buffer
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = buffer[:end]
        length = _LENGTH.search(head)
        if length is not None:
            stop = end + 4 + int(length.group(1))
            if len(buffer) < stop:
                return
            raw = buffer[end + 4 : stop]
        elif _CHUNKED.search(head) is not None:
            unpacked = _unchunk(buffer, end + 4)
            if unpacked is None:
                return
            raw, stop = unpacked
        else:
            raw, stop = b"", end + 4
        self.buffer = buffer[stop:]
        self.busy = True
        self._handle(head, raw)

    def _handle(self, head: bytes, raw: bytes) -> None:
        vendor = self.vendor
        method, target, _ = head[: head.find(b"\r\n")].decode("latin-1").split(" ", 2)
        path, _, query = target.partition("?")
        if vendor.record:
            vendor.requests.append(Recorded(method, target, head, raw))
        if "batches" in path or "/files" in path:
            self._batch(vendor.desk.serve(method, target, head, raw))
            return
        if method == "GET":
            self._get(path, query, head)
            return
        if not path.endswith(("/chat/completions", "/messages", "/embeddings")):
            self._write(http(404, b'{"error":{"message":"no such path"}}', {}))
            return
        reply, request, digest = vendor.decide(path, head, raw)
        vendor.in_flight += 1
        vendor.peak_in_flight = max(vendor.peak_in_flight, vendor.in_flight)
        delay = reply.delay or vendor.latency
        if reply.silent:
            vendor.outcomes[reply.outcome] += 1
            return
        payload = wire_payload(path, request, raw, digest, reply)
        if delay > 0:
            self.loop.call_later(delay, self._answer, reply, payload, digest)
        else:
            self._answer(reply, payload, digest)

    def _batch(self, made: Reply | bytes | None) -> None:
        if isinstance(made, Reply):
            if made.close:  # a reply that is lost, or breaks off
                self.transport.write(made.body or b"")
                self.transport.close()
                return
            made = http(made.status, orjson.dumps(made.body), {})
        self._write(made or http(404, b'{"error":{"message":"no such path"}}', {}))

    def _get(self, path: str, query: str, head: bytes) -> None:
        vendor = self.vendor
        if path == "/stats":
            self._write(http(200, orjson.dumps(vendor.stats(full="full" in query)), {}))
            return
        if path.endswith("/models"):
            problem = vendor._refuse_caller(head, {"model": (vendor.models or ("any",))[0]}, False)
            if problem is not None:
                self._write(http(problem.status, orjson.dumps(problem.body), {}))
                return
            names = vendor.models or ("test-model",)
            data = [{"id": name, "object": "model", "type": "model"} for name in names]
            self._write(http(200, orjson.dumps({"object": "list", "data": data}), {}))
            return
        self._write(http(404, b'{"error":{"message":"no such path"}}', {}))

    def _answer(self, reply: Reply, payload: bytes, digest: int) -> None:
        vendor = self.vendor
        vendor.in_flight -= 1
        if self.transport.is_closing():
            vendor.outcomes["abandoned"] += 1
            return
        vendor.outcomes[reply.outcome] += 1
        if reply.cut is not None and reply.cut >= 0:
            head, _, body = payload.partition(b"\r\n\r\n")
            self.transport.write(head + b"\r\n\r\n" + body[: reply.cut])
            self.transport.close()
            return
        if reply.status == 200 and reply.cut is None:
            vendor.answered[digest] = vendor.answered.get(digest, 0) + 1
        self._write(payload)
        if reply.close:
            self.transport.close()

    def _write(self, payload: bytes) -> None:
        self.transport.write(payload)
        self.served += 1
        self.busy = False
        if self.vendor.close_after is not None and self.served >= self.vendor.close_after:
            self.transport.close()
        elif self.buffer:
            self._next()


def _unchunk(buffer: bytes, start: int) -> tuple[bytes, int] | None:
    parts: list[bytes] = []
    while True:
        line = buffer.find(b"\r\n", start)
        if line < 0:
            return None
        size = int(buffer[start:line].split(b";")[0], 16)
        if len(buffer) < line + 2 + size + 2:
            return None
        if size == 0:
            return b"".join(parts), line + 4
        parts.append(buffer[line + 2 : line + 2 + size])
        start = line + 2 + size + 2


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.vendor", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    for name in (
        "rate-limited",
        "unavailable",
        "malformed",
        "truncated",
        "refused",
        "cut",
        "silent",
        "slow",
    ):
        parser.add_argument(f"--{name}", type=float, default=0.0, metavar="SHARE")
    parser.add_argument("--slow-seconds", type=float, default=1.0)
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--retry-after", default=None, help='seconds, or "date"')
    parser.add_argument("--denied-after", type=int, default=None, metavar="CALLS")
    parser.add_argument("--close-after", type=int, default=None, metavar="REPLIES")
    parser.add_argument("--key", action="append", dest="keys")
    parser.add_argument("--model", action="append", dest="models")
    parser.add_argument("--batches", default="{}", metavar="JSON", help="see BatchFaults")
    return parser.parse_args()


async def _serve(options: dict[str, Any]) -> None:
    for name in ("keys", "models"):
        options[name] = tuple(options[name]) if options[name] else None
    options["batches"] = BatchFaults(**orjson.loads(options["batches"]))
    async with Vendor(record=False, **options) as vendor:
        print(orjson.dumps({"url": vendor.url, "port": vendor.port}).decode(), flush=True)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await stop.wait()


def main() -> None:
    """Serve until the process is told to stop."""
    options = vars(_arguments())
    try:
        import uvloop
    except ImportError:
        asyncio.run(_serve(options))
    else:
        uvloop.run(_serve(options))


if __name__ == "__main__":
    main()
