"""Files that are made for one answer and sent as attachments, gone from the server afterwards."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

NOTES, LONGEST_NOTES = "Waremill-Notes", 2_000
"""The header with an export's notes, and its most bytes: proxies refuse answers with long ones."""
Format: TypeAlias = Literal["xlsx", "csv", "tsv", "jsonl", "parquet"]
SENT: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/octet-stream": {"schema": {"type": "string"}}},
        "description": "The file, as an attachment.",
        "headers": {
            NOTES: {
                "description": "What could not be kept as it is: a JSON list of sentences.",
                "schema": {"type": "string"},
            }
        },
    }
}
"""What the document of the API says of a route that answers with an attachment."""


async def attachment(name: str, write: Callable[[Path], Awaitable[Sequence[str]]]) -> Response:
    """Have a file of a name written and answer with it; `write` gives what it could not keep."""
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="waremill-export-"))
    try:
        notes = await write(folder / name)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        folder / name, filename=name, media_type="application/octet-stream", headers=_noted(notes),
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )  # fmt: skip


def _noted(notes: Sequence[str]) -> dict[str, str]:
    """Give the header with an export's notes, as many as fit."""
    while notes and len(json.dumps(notes)) > LONGEST_NOTES:
        notes = notes[:-1]
    return {NOTES: json.dumps(notes)} if notes else {}
