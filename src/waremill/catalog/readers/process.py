"""Reading in a child process: a memory limit, a time limit, and batches over a pipe.

A workbook is untrusted input to a native parser; in a child process, running out of memory, a
crash or an endless loop becomes one sentence. Frames on the pipe are a 4-byte length, one letter
and JSON: H header, B batch (columns), Z end, E error. This module must not know file formats.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from waremill.catalog.readers.shapes import Batch, Limits, Problems, Reader
from waremill.catalog.readers.table import Table
from waremill.errors import SourceError, Where

_PIPE_BYTES = 1 << 20


class _Child:
    """A running child, its frames, and the time left to wait for it."""

    def __init__(self, module: str, request: dict[str, Any], limits: Limits) -> None:
        self._where = Where(file=str(request["path"]))
        self._limits = limits
        self._left = limits.seconds
        self._errors: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115  closed in close()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, orjson.dumps(request).decode()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            # Ctrl-C is the parent's to handle; closing the reader ends the child.
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._pipe = self._process.stdout
        _widen(self._pipe.fileno())

    def frame(self) -> tuple[str, Any]:
        """Give the next frame; raise SourceError where the child failed or took too long."""
        head = self._read(5)
        kind, body = chr(head[4]), self._read(int.from_bytes(head[:4], "big"))
        content = orjson.loads(body)
        if kind == "E":
            where = Where(file=self._where.file, sheet=content.get("sheet"), row=content.get("row"))
            raise SourceError(content["message"], where)
        return kind, content

    def _read(self, size: int) -> bytes:
        parts = bytearray()
        descriptor = self._pipe.fileno()
        while len(parts) < size:
            begun = time.monotonic()
            ready, _, _ = select.select([descriptor], [], [], max(0.0, self._left))
            self._left -= time.monotonic() - begun
            if not ready:
                raise SourceError(
                    f"reading took longer than {self._limits.seconds:g} seconds: split the file or "
                    "save it as CSV",
                    self._where,
                )
            # Unbuffered, so that `select` sees all that is left in the pipe.
            data = _read_some(descriptor, size - len(parts))
            if not data:
                raise self._death()
            parts += data
        return bytes(parts)

    def _death(self) -> SourceError:
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read(100_000).decode("utf-8", "replace")
        if code == -signal.SIGXCPU:
            return SourceError(
                f"reading took longer than {self._limits.seconds:g} seconds: split the file or "
                "save it as CSV",
                self._where,
            )
        if "memory" in said.lower() or code == -signal.SIGKILL:
            return SourceError(
                f"reading needs more than {self._limits.memory >> 20} MB of memory: delete cells "
                "far outside the table, split the file or save it as CSV",
                self._where,
            )
        return SourceError(
            "the file is damaged and cannot be read: open it in a spreadsheet program and save it "
            "anew",
            self._where,
        )

    def close(self) -> None:
        """End the child and free what it held."""
        with contextlib.suppress(OSError):
            self._process.kill()
        self._pipe.close()
        self._process.wait()
        self._errors.close()


def _read_some(descriptor: int, size: int) -> bytes:
    return os.read(descriptor, min(size, _PIPE_BYTES))


def _widen(descriptor: int) -> None:
    """Give the pipe a larger buffer where the system knows how; it is only faster."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def read_in_child(
    module: str,
    path: Path,
    limits: Limits,
    *,
    sheet: str | None = None,
    meanwhile: Callable[[], Callable[[str | None], list[str]]] | None = None,
) -> Reader:
    """Start `python -m module` on a file and give a Reader of what it sends.

    `meanwhile` runs while the child parses; what it returns is asked for notes once the sheet is
    known.
    """
    request = {
        "path": str(path),
        "sheet": sheet,
        "memory": limits.memory,
        "seconds": limits.seconds,
        "columns": limits.columns,
    }
    child = _Child(module, request, limits)
    try:
        notes_for = meanwhile() if meanwhile is not None else None
        _, header = child.frame()
    except BaseException:
        child.close()
        raise
    notes: list[str] = header["notes"]
    if notes_for is not None:
        notes.extend(notes_for(header["sheet"]))
    problems = Problems()
    columns = tuple(header["columns"])
    return Reader(
        columns,
        _batches(child, columns, notes, problems),
        sheet=header["sheet"],
        derived=header["derived"],
        notes=notes,
        problems=problems,
        close=child.close,
    )


def _batches(
    child: _Child, columns: tuple[str, ...], notes: list[str], problems: Problems
) -> Iterator[Batch]:
    while True:
        kind, content = child.frame()
        if kind == "Z":
            notes.extend(content["notes"])
            for row, reason in content["problems"]:
                problems.add(row, reason)
            problems.total = content["total"]
            return
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*content["columns"])]  # noqa: B905
        yield Batch(rows, content["numbers"])


def serve(read: Callable[[dict[str, Any]], tuple[Table, str | None, list[str]]]) -> None:
    """Run the child's side: read what the first argument asks for and send it to stdout.

    `read` gives the table, its sheet and notes, or raises SourceError.
    """
    request = orjson.loads(sys.argv[1])
    # Rows hold no reference cycles; looking for some would cost a tenth of the time.
    gc.disable()
    _limit_self(int(request["memory"]), float(request["seconds"]))
    out = sys.stdout.buffer
    try:
        _send_table(out, *read(request))
    except SourceError as error:
        where = error.where or Where()
        _send(out, "E", {"message": error.message, "sheet": where.sheet, "row": where.row})
    except MemoryError:
        sys.stderr.write("out of memory\n")
        sys.exit(1)
    except BrokenPipeError:
        # The reader was closed before its end: nobody is left to tell.
        sys.stderr.close()
    out.flush()


def _send_table(out: BinaryIO, table: Table, sheet: str | None, notes: list[str]) -> None:
    header = {
        "columns": table.names,
        "derived": table.derived,
        "sheet": sheet,
        "notes": [*notes, *table.notes],
    }
    sent = len(table.notes)
    _send(out, "H", header)
    for batch in table.batches():
        _send(out, "B", {"numbers": batch.numbers, "columns": batch.columns})
    end = {
        "notes": table.notes[sent:],
        "problems": list(table.problems),
        "total": len(table.problems),
    }
    _send(out, "Z", end)


def _send(out: BinaryIO, kind: str, content: object) -> None:
    body = orjson.dumps(content, default=str)
    out.write(len(body).to_bytes(4, "big") + kind.encode() + body)
    out.flush()


def _limit_self(memory: int, seconds: float) -> None:
    """Bound this process; macOS accepts no address-space limit, where time and sizes must do."""
    import resource

    limits = [(resource.RLIMIT_CPU, int(seconds) + 1), (resource.RLIMIT_CORE, 0)]
    if sys.platform == "linux":
        limits.append((resource.RLIMIT_AS, memory))
    for kind, value in limits:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))
