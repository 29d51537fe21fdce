"""The loopback vendor's batches: OpenAI's files and /v1/batches, Anthropic's message batches.

A batch is done when its time is over; its lines are answered by the vendor itself, so they meet its
faults and are counted with its calls. What goes wrong with whole batches is in `BatchFaults`.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import orjson
from tests.vendor_wire import Reply, anthropic_error, http, openai_error

_BOUNDARY = re.compile(rb"boundary=([^\r\n;]+)", re.I)
Answer = Callable[[str, bytes], tuple[int, Any]]
"""Answers one line: from the protocol's path and the body to a status and the body of a reply."""


@dataclass
class BatchFaults:
    """What goes wrong; counts are of the next such events, and fall to 0.

    A batch takes `seconds`. `submits` are the fates of the next submits: `429`, `500`, `lost` (the
    reply is lost, the batch is there), `ok`. `expired` and `unfinished` batches end with half of
    their lines, as expired and cancelled; `cut` results break off in the middle; `short` results
    lack their last line; `mangled` ones have a first line that is no JSON; `odd` batches are shown
    with counts that are none. `hidden` lists of batches come out empty. `tokens` is how many may be
    enqueued; a body with the word INVALID keeps an OpenAI batch from beginning.
    """

    seconds: float = 0.0
    submits: list[str] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    expired: int = 0
    unfinished: int = 0
    cut: int = 0
    short: int = 0
    mangled: int = 0
    odd: int = 0
    hidden: int = 0
    tokens: int | None = None


@dataclass
class Batch:
    """One batch: its lines as (name, body), and what came of them."""

    id: str
    anthropic: bool
    lines: list[tuple[str, bytes]]
    created: float
    metadata: dict[str, str] = field(default_factory=dict)
    file: str = ""
    status: str = "in_progress"
    problems: list[dict[str, Any]] = field(default_factory=list)
    results: list[tuple[str, int | None, Any]] = field(default_factory=list)


class BatchDesk:
    """Takes, runs and lists batches; `handle` gives the bytes of a reply, or None for others."""

    def __init__(self, faults: BatchFaults, answer: Answer) -> None:
        self.faults = faults
        self.answer = answer
        self.batches: dict[str, Batch] = {}
        self.files: dict[str, bytes] = {}
        self.deleted: list[str] = []
        self.largest = 0
        self.most_tokens = 0
        self.requests = 0
        self.watch: Callable[[str, int], None] | None = None

    def serve(self, method: str, target: str, head: bytes, raw: bytes) -> Reply | bytes | None:
        """Answer a request as `handle` does; `watch` is told before and after, with its number."""
        self.requests += 1
        number = self.requests
        if self.watch is not None:
            self.watch("before", number)
        made = self.handle(method, target, head, raw)
        if self.watch is not None:
            self.watch("after", number)
        return made

    def handle(self, method: str, target: str, head: bytes, raw: bytes) -> Reply | bytes | None:
        """Answer a request about files or batches; a Reply is an error or a cut connection."""
        path, _, query = target.partition("?")
        parts = path.strip("/").split("/")
        anthropic = "messages" in parts
        if "batches" in parts:
            rest = parts[parts.index("batches") + 1 :]
            if not rest:
                return self._create(raw, anthropic) if method == "POST" else self._list(
                    anthropic, parse_qs(query)
                )  # fmt: skip
            return self._one(method, rest, anthropic)
        if "files" in parts:
            return self._file(method, parts[parts.index("files") + 1 :], head, raw)
        return None

    def _create(self, raw: bytes, anthropic: bool) -> Reply | bytes:
        fate = self.faults.submits.pop(0) if self.faults.submits else "ok"
        if fate == "429":
            return openai_error(429, "Too many batches", code="rate_limit_exceeded")
        if fate == "500":
            return openai_error(500, "The server had an error")
        if fate == "401":
            return openai_error(401, "Incorrect API key provided", code="invalid_api_key")
        data = orjson.loads(raw)
        number = secrets.token_hex(8)  # no two vendors give the same, as no vendor gives one twice
        if anthropic:
            lines = [(one["custom_id"], orjson.dumps(one["params"])) for one in data["requests"]]
            batch = Batch(f"msgbatch_{number}", True, lines, time.time())
        else:
            file = data["input_file_id"]
            if file not in self.files:
                return openai_error(400, f"No such file: {file}")
            rows = [orjson.loads(line) for line in self.files[file].splitlines() if line]
            lines = [(one["custom_id"], orjson.dumps(one["body"])) for one in rows]
            batch = Batch(f"batch_{number}", False, lines, time.time(), data["metadata"], file)
            self._validate(batch)
        names = [name for name, _ in lines]
        assert len(set(names)) == len(names), "a name twice in one batch"
        assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in names)
        self.batches[batch.id] = batch
        self.largest = max(self.largest, len(lines))
        if fate == "lost":
            return Reply(silent=True, close=True, outcome="lost")
        return self._shown(batch)

    def _validate(self, batch: Batch) -> None:
        for number, (_, body) in enumerate(batch.lines, 1):
            if b"INVALID" in body:
                batch.problems.append(
                    {"code": "invalid_request", "message": "a line is invalid", "line": number}
                )
        running = [
            one for one in self.batches.values() if self._refresh(one).status == "in_progress"
        ]
        tokens = sum(len(body) // 4 for one in (*running, batch) for _, body in one.lines)
        if self.faults.tokens is not None and tokens > self.faults.tokens:
            batch.problems = [
                {"code": "token_limit_exceeded", "line": None,
                 "message": f"Enqueued token limit reached. Limit: {self.faults.tokens}"}
            ]  # fmt: skip
        if batch.problems:
            batch.status = "failed"
        else:
            self.most_tokens = max(self.most_tokens, tokens)

    def _refresh(self, batch: Batch) -> Batch:
        if batch.status == "in_progress" and time.time() >= batch.created + self.faults.seconds:
            if self.faults.expired > 0:
                self.faults.expired -= 1
                self._run(batch, len(batch.lines) // 2, "expired")
            elif self.faults.unfinished > 0:
                self.faults.unfinished -= 1
                self._run(batch, len(batch.lines) // 2, "cancelled")
            else:
                self._run(batch, len(batch.lines), "completed")
        return batch

    def _run(self, batch: Batch, count: int, status: str) -> None:
        """Answer the first `count` lines; the results are out of order."""
        path = "/v1/messages" if batch.anthropic else "/v1/chat/completions"
        for name, body in batch.lines[:count]:
            batch.results.append((name, *self.answer(path, body)))
        batch.results += [(name, None, None) for name, _ in batch.lines[count:]]
        batch.results.reverse()
        batch.status = status

    def _shown(self, batch: Batch) -> bytes:
        look = self._look(batch)
        if self.faults.odd > 0:
            self.faults.odd -= 1
            look["request_counts"] = [1, 2, 3]
        return http(200, orjson.dumps(look), {})

    def _look(self, batch: Batch) -> dict[str, Any]:
        self._refresh(batch)
        good = sum(status == 200 for _, status, _ in batch.results)
        bad = sum(status not in (None, 200) for _, status, _ in batch.results)
        left = len(batch.lines) - good - bad
        if batch.anthropic:
            ended = batch.status != "in_progress"
            late = {"expired": "expired", "cancelled": "canceled"}.get(batch.status, "processing")
            counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
            counts |= {"succeeded": good, "errored": bad}
            counts[late] += left
            stamp = datetime.fromtimestamp(batch.created, UTC).isoformat()
            return {
                "id": batch.id, "type": "message_batch", "created_at": stamp, "expires_at": stamp,
                "processing_status": "ended" if ended else "in_progress", "request_counts": counts,
                "cancel_initiated_at": stamp if batch.status == "cancelled" else None,
                "results_url": f"/v1/messages/batches/{batch.id}/results" if ended else None,
            }  # fmt: skip
        done = batch.status in ("completed", "expired", "cancelled")
        return {
            "id": batch.id, "object": "batch", "endpoint": "/v1/chat/completions",
            "input_file_id": batch.file, "completion_window": "24h", "status": batch.status,
            "output_file_id": f"out_{batch.id}" if done and good else None,
            "error_file_id": f"err_{batch.id}" if done and good < len(batch.lines) else None,
            "created_at": int(batch.created), "expires_at": int(batch.created) + 86_400,
            "errors": {"object": "list", "data": batch.problems} if batch.problems else None,
            "request_counts": {"total": len(batch.lines), "completed": good, "failed": bad},
            "metadata": batch.metadata,
        }  # fmt: skip

    def _list(self, anthropic: bool, query: dict[str, list[str]]) -> bytes:
        rows = [one for one in self.batches.values() if one.anthropic == anthropic][::-1]
        if self.faults.hidden > 0:
            self.faults.hidden -= 1
            rows = []
        size = int(query.get("limit", ["20"])[0])
        after = query.get("after_id" if anthropic else "after", [""])[0]
        start = next((n + 1 for n, one in enumerate(rows) if one.id == after), 0)
        page = rows[start : start + size]
        data = {
            "data": [self._look(one) for one in page], "has_more": start + size < len(rows),
            "first_id": page[0].id if page else None, "last_id": page[-1].id if page else None,
        }  # fmt: skip
        return http(200, orjson.dumps(data), {})

    def _one(self, method: str, rest: list[str], anthropic: bool) -> Reply | bytes:
        batch = self.batches.get(rest[0])
        if batch is None or batch.anthropic != anthropic:
            return anthropic_error(404, "not_found_error", "no such batch")
        if rest[1:] == ["cancel"]:
            if self._refresh(batch).status != "in_progress":
                return openai_error(400, f"Cannot cancel a batch with status '{batch.status}'.")
            self._run(batch, len(batch.lines) // 2, "cancelled")
        elif rest[1:] == ["results"]:
            return self._results(batch, errors=None)
        return self._shown(batch)

    def _file(self, method: str, rest: list[str], head: bytes, raw: bytes) -> Reply | bytes:
        if method == "POST":
            fate = self.faults.uploads.pop(0) if self.faults.uploads else "ok"
            if fate == "500":
                return openai_error(500, "The server had an error")
            match = _BOUNDARY.search(head)
            assert match is not None
            found = next(p for p in raw.split(b"--" + match.group(1)) if b'name="file"' in p)
            name = f"file_{secrets.token_hex(8)}"
            self.files[name] = found.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
            return http(200, orjson.dumps({"id": name, "object": "file"}), {})
        name = rest[0]
        if method == "DELETE":
            self.deleted.append(name)
            self.files.pop(name, None)
            return http(200, orjson.dumps({"id": name, "deleted": True}), {})
        kind, _, number = name.partition("_")
        batch = self.batches.get(number)
        if batch is None or name in self.deleted:
            return openai_error(404, "no such file")
        return self._results(batch, errors=kind == "err")

    def _results(self, batch: Batch, errors: bool | None) -> Reply | bytes:
        rows = batch.results
        if errors is not None:
            rows = [one for one in rows if (one[1] != 200) is errors]
        if self.faults.short > 0:
            self.faults.short -= 1
            rows = rows[:-1]
        late = "batch_expired" if batch.status == "expired" else "batch_cancelled"
        make = _anthropic_line if batch.anthropic else _openai_line
        lines = [orjson.dumps(make(name, status, body, late)) for name, status, body in rows]
        if self.faults.mangled > 0 and lines:
            self.faults.mangled -= 1
            lines[0] = b'{"custom_id":' + lines[0]
        content = b"\n".join(lines) + b"\n" if lines else b""
        reply = http(200, content, {}, "application/jsonl")
        if self.faults.cut > 0 and content:
            self.faults.cut -= 1
            return Reply(body=reply[: len(reply) - len(content) // 2], close=True, outcome="cut")
        return reply


def _openai_line(name: str, status: int | None, body: Any, late: str) -> dict[str, Any]:
    if status is None:
        error = {"code": late, "message": "This request could not be executed in time."}
        return {"id": f"req_{name}", "custom_id": name, "response": None, "error": error}
    response = {"status_code": status, "request_id": f"req_{name}", "body": body}
    return {"id": f"req_{name}", "custom_id": name, "response": response, "error": None}


def _anthropic_line(name: str, status: int | None, body: Any, late: str) -> dict[str, Any]:
    if status is None:
        kind = "expired" if late == "batch_expired" else "canceled"
        return {"custom_id": name, "result": {"type": kind}}
    if status == 200:
        return {"custom_id": name, "result": {"type": "succeeded", "message": body}}
    return {"custom_id": name, "result": {"type": "errored", "error": body}}
