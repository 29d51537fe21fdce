"""OpenAI's Batch API, and DashScope's, which speaks the same.

A file of requests is uploaded, a batch is made of it, and its results are two files: answers and
errors. The batch carries our key in its metadata, so that it can be found again.

Sources, read 2026-11: OpenAI, “Batch API” guide and reference of /v1/batches and /v1/files, “Batch
API FAQ”; Alibaba Cloud Model Studio, “OpenAI compatible - Batch”.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import orjson

from waremill.domain import Chat, Model, Response, Usage
from waremill.errors import Refused
from waremill.providers import openai_chat
from waremill.providers.batches import (
    SKEW_SECONDS,
    BatchLook,
    BatchState,
    Intent,
    Line,
    Problem,
    Terms,
    read_lines,
    rows_of,
    understanding,
)
from waremill.providers.failures import detail_of, error_for
from waremill.providers.http import Connection, base_urls
from waremill.providers.pictures import needs_files, with_files

BATCHED: Mapping[str, Terms] = {
    "openai": Terms(
        50_000, 200_000_000, 200_000_000, 50, True, "OpenAI, Batch API FAQ, read 2026-11"
    ),
    "dashscope": Terms(
        50_000, 500_000_000, 6_000_000, 50, False,
        "Model Studio, OpenAI compatible - Batch, read 2026-11: no discount for cached input",
    ),
}  # fmt: skip
ENDPOINT = "/v1/chat/completions"
WINDOW = "24h"
"""In how long a batch is to be done; DashScope also takes longer ones."""
UPLOAD_SECONDS = 1800.0
"""How long bringing a file there, or fetching one, may take."""
PAGES = 20
"""Pages of a hundred batches that are searched for a lost one, the newest first."""

_STATES: Mapping[str, BatchState] = {
    "completed": "ended", "expired": "ended", "cancelled": "ended", "failed": "failed",
}  # fmt: skip


def open_batches(model: Model) -> OpenAIBatches:
    """Open a model's batches; ConfigError says what its settings lack."""
    return OpenAIBatches(model)


class OpenAIBatches:
    """One model behind /v1/batches; see `waremill.providers.batches.Batches`.

    Of several addresses and keys the first are used: a batch belongs to one account.
    """

    def __init__(self, model: Model) -> None:
        self.terms = BATCHED[model.vendor]
        self._model = model
        self._chat = openai_chat.open_provider(model)
        vendor = openai_chat.VENDORS[model.vendor]
        urls = base_urls(model, vendor.url)[:1]
        patient = replace(model, keys=model.keys[:1], timeout=max(model.timeout, UPLOAD_SECONDS))
        name, value = vendor.auth
        self._connection = Connection(patient, urls, {name: value})

    async def line(self, name: str, request: Chat) -> bytes:
        """Write one request as a line of JSON."""
        if needs_files(request):
            request = await with_files(request)
        body = orjson.Fragment(self._chat.written(request))
        line = {"custom_id": name, "method": "POST", "url": ENDPOINT, "body": body}
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)

    async def upload(self, key: str, lines: bytes) -> str | None:
        """Upload a file of requests; give its id."""
        boundary = f"waremill{secrets.token_hex(16)}"
        part = '--{}\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n'
        named = f'; filename="{key}.jsonl"\r\nContent-Type: application/jsonl'
        body = b"".join(
            (
                part.format(boundary, "purpose", "").encode(), b"batch\r\n",
                part.format(boundary, "file", named).encode(), lines,
                f"\r\n--{boundary}--\r\n".encode(),
            )
        )  # fmt: skip
        kind = f"multipart/form-data; boundary={boundary}"
        data = await self._json("POST", "/files", body, kind)
        return str(data["id"])

    async def begin(self, key: str, file: str | None, lines: bytes) -> BatchLook:
        """Begin the batch of an uploaded file."""
        metadata = {"waremill": key}
        if self._model.vendor == "dashscope":
            metadata = {"ds_name": key, "ds_description": "waremill", **metadata}
        body = {
            "input_file_id": file, "endpoint": ENDPOINT, "completion_window": WINDOW,
            "metadata": metadata,
        }  # fmt: skip
        return self._look(await self._json("POST", "/batches", orjson.dumps(body)))

    async def find(self, intent: Intent) -> BatchLook | None:
        """Look for a batch with our key, or of our file, among those since it was meant."""
        after = ""
        for _ in range(PAGES):
            page = await self._json("GET", f"/batches?limit=100{after}")
            rows = rows_of(self._connection, page)
            for row in rows:
                metadata = row.get("metadata") or {}
                ours = intent.key in (metadata.get("waremill"), metadata.get("ds_name"))
                if ours or (intent.file is not None and row.get("input_file_id") == intent.file):
                    return self._look(row)
            old = rows and (rows[-1].get("created_at") or 0) < intent.since - SKEW_SECONDS
            if not page.get("has_more") or not rows or old:
                return None
            after = f"&after={rows[-1]['id']}"
        return None

    async def look(self, id: str) -> BatchLook:
        """Say how a batch is."""
        return self._look(await self._json("GET", f"/batches/{id}"))

    def results(self, look: BatchLook) -> AsyncIterator[Line]:
        """Give the lines of the answers' file, then those of the errors'."""
        files = [f"/files/{file}/content" for file in look.files]
        return read_lines(self._connection, files, self._line)

    def _line(self, raw: bytes) -> Line:
        try:
            data = orjson.loads(raw)
            name, response, error = data["custom_id"], data.get("response"), data.get("error")
            if response and response.get("status_code"):
                status, request_id = int(response["status_code"]), response.get("request_id")
                body = response.get("body")
                if status != 200 and not body:
                    body = {"error": error or {}}
                return Line(str(name), status, body, request_id)
            words = (error or {}).get("message") or (error or {}).get("code") or "no reason given"
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._connection.broken("sent a broken file of results") from None
        return Line(str(name), None, words=self._connection.source.clean(str(words)))

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
        await self._json("POST", f"/batches/{id}/cancel")

    async def forget(self, look: BatchLook, file: str | None) -> None:
        """Delete the files: DashScope keeps them for good, and an account may have 10,000."""
        for one in (file, *look.files):
            if one is not None:
                await self._connection.send("DELETE", f"/files/{one}")

    def _look(self, data: Mapping[str, Any]) -> BatchLook:
        with understanding(self._connection):
            return _look(data)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._chat.aclose()
        await self._connection.aclose()

    async def _json(
        self, method: str, path: str, body: bytes = b"", kind: str = "application/json"
    ) -> dict[str, Any]:
        reply = await self._connection.send(method, path, body, kind=kind)
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
    status = str(data.get("status") or "")
    counts = data.get("request_counts") or {}
    files = (data.get("output_file_id"), data.get("error_file_id"))
    errors = (data.get("errors") or {}).get("data") or ()
    expires = data.get("expires_at")
    return BatchLook(
        id=str(data["id"]),
        state=_STATES.get(status, "running"),
        outcome=status,
        total=int(counts.get("total") or 0),
        done=int(counts.get("completed") or 0),
        failed=int(counts.get("failed") or 0),
        expires_at=float(expires) if isinstance(expires, int | float) else None,
        files=tuple(str(one) for one in files if one),
        problems=tuple(
            Problem(str(one.get("code") or ""), str(one.get("message") or ""), one.get("line"))
            for one in errors
        ),
    )
