"""Anthropic's Message Batches.

A batch is one body of requests; its results are one file of lines, readable once it has ended. The
vendor keeps no name of ours with it: a lost one is looked for by time and size, and its results,
whose names begin with our key, say whether it is the one.

Sources, read 2026-11: Anthropic API reference (Message Batches: create, retrieve, list, cancel,
results) and “Batch processing”.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from waremill.domain import Chat, Model, Response, Usage
from waremill.errors import Refused
from waremill.providers import anthropic_messages
from waremill.providers.batches import (
    SKEW_SECONDS,
    BatchLook,
    Intent,
    Line,
    Terms,
    read_lines,
    rows_of,
    understanding,
)
from waremill.providers.failures import detail_of, error_for
from waremill.providers.http import Connection, base_urls
from waremill.providers.pictures import needs_files, with_files

BATCHED: Mapping[str, Terms] = {
    "anthropic": Terms(
        100_000, 256_000_000, 32_000_000, 50, True,
        "Anthropic, Batch processing, read 2026-11: stacks with the cache's discount",
    ),
}  # fmt: skip
SEND_SECONDS = 1800.0
"""How long sending a batch, or fetching its results, may take."""
PAGES = 5
"""Pages of a hundred batches that are searched for a lost one, the newest first."""

_STATUS: Mapping[str, int] = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402,
    "permission_error": 403, "not_found_error": 404, "request_too_large": 413,
    "rate_limit_error": 429, "api_error": 500, "timeout_error": 504, "overloaded_error": 529,
}  # fmt: skip
"""The status that goes with an error's type (“Errors”, read 2026-11)."""


def open_batches(model: Model) -> AnthropicBatches:
    """Open a model's batches; ConfigError says what its settings lack."""
    return AnthropicBatches(model)


class AnthropicBatches:
    """One model behind /v1/messages/batches; see `waremill.providers.batches.Batches`.

    Of several addresses and keys the first are used: a batch belongs to one account.
    """

    def __init__(self, model: Model) -> None:
        self.terms = BATCHED[model.vendor]
        self._model = model
        self._chat = anthropic_messages.open_provider(model)
        url = base_urls(model, anthropic_messages.DEFAULT_URL)[0]
        patient = replace(model, keys=model.keys[:1], timeout=max(model.timeout, SEND_SECONDS))
        self._connection = Connection(
            patient,
            (anthropic_messages.address(url, "/messages/batches"),),
            {"x-api-key": "{key}", "anthropic-version": anthropic_messages.VERSION},
        )

    async def line(self, name: str, request: Chat) -> bytes:
        """Write one request as an element of the body's list."""
        if needs_files(request):
            request = await with_files(request)
        params = orjson.Fragment(self._chat.written(request))
        element = {"custom_id": name, "params": params}
        return orjson.dumps(element, option=orjson.OPT_APPEND_NEWLINE)

    async def upload(self, key: str, lines: bytes) -> str | None:
        """Upload nothing: the requests go with the batch itself."""
        return None

    async def begin(self, key: str, file: str | None, lines: bytes) -> BatchLook:
        """Begin a batch."""
        # JSON has no line break outside of a text's escapes, so each ends an element.
        body = b'{"requests":[' + lines.rstrip(b"\n").replace(b"\n", b",") + b"]}"
        return self._look(await self._json("POST", "", body))

    async def find(self, intent: Intent) -> BatchLook | None:
        """Look for a batch of our size since it was meant, that is known to be no other."""
        after = ""
        for _ in range(PAGES):
            page = await self._json("GET", f"?limit=100{after}")
            rows = rows_of(self._connection, page)
            for row in rows:
                created = _seconds(row.get("created_at")) or 0.0
                if created < intent.since - SKEW_SECONDS:
                    return None
                look = replace(self._look(row), certain=False)
                if look.total == intent.count and look.id not in intent.others:
                    return look
            if not page.get("has_more") or not rows:
                return None
            after = f"&after_id={page.get('last_id') or rows[-1]['id']}"
        return None

    async def look(self, id: str) -> BatchLook:
        """Say how a batch is."""
        return self._look(await self._json("GET", f"/{id}"))

    def results(self, look: BatchLook) -> AsyncIterator[Line]:
        """Give the lines of the results."""
        return read_lines(self._connection, [f"/{look.id}/results"], self._line)

    def _line(self, raw: bytes) -> Line:
        try:
            data = orjson.loads(raw)
            name, result = str(data["custom_id"]), data["result"]
            kind = result["type"]
            if kind == "succeeded":
                return Line(name, 200, result["message"])
            if kind == "errored":
                body = result["error"]
                inner = body.get("error") or body
                return Line(name, _STATUS.get(str(inner.get("type")), 500), body)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._connection.broken("sent a broken file of results") from None
        return Line(name, None, words=f"the batch was {kind} before this request was done")

    def read(self, line: Line, request: Chat) -> Response:
        """Make the reply of a line."""
        try:
            if line.status != 200:
                detail = detail_of(line.body)
                raise error_for(
                    self._connection.source, line.status or 500, {}, detail, line.request_id
                )
            if not isinstance(line.body, dict):
                raise self._connection.broken("sent a line without a reply", line.request_id)
            return self._chat.read(line.body, request, line.request_id)
        except Refused as error:
            return Response(error.message, "refused", Usage(), self._model.name, error.request_id)

    async def cancel(self, id: str) -> None:
        """Ask the vendor to stop a batch."""
        await self._json("POST", f"/{id}/cancel")

    async def forget(self, look: BatchLook, file: str | None) -> None:
        """Delete nothing: results are archived after 29 days."""

    def _look(self, data: Mapping[str, Any]) -> BatchLook:
        with understanding(self._connection):
            return _look(data)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._chat.aclose()
        await self._connection.aclose()

    async def _json(self, method: str, path: str, body: bytes = b"") -> dict[str, Any]:
        reply = await self._connection.send(method, path, body)
        try:
            data = orjson.loads(reply.body)
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise self._connection.broken("sent a reply that is not JSON", reply.request_id)
        if "id" not in data and "data" not in data:
            raise self._connection.error_in(data, reply.request_id)
        return data


def _look(data: Mapping[str, Any]) -> BatchLook:
    counts = {name: int(n or 0) for name, n in (data.get("request_counts") or {}).items()}
    ended = data.get("processing_status") == "ended"
    outcome = str(data.get("processing_status") or "")
    if ended:
        outcome = "completed"
        if data.get("cancel_initiated_at"):
            outcome = "cancelled"
        elif counts.get("expired"):
            outcome = "expired"
    return BatchLook(
        id=str(data["id"]),
        state="ended" if ended else "running",
        outcome=outcome,
        total=sum(counts.values()),
        done=counts.get("succeeded", 0),
        failed=counts.get("errored", 0),
        expires_at=_seconds(data.get("expires_at")),
    )


def _seconds(text: Any) -> float | None:
    """Read an RFC 3339 time as Unix seconds."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None
