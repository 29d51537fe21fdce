"""Reading in a child process: a memory limit, a time limit, and batches over a pipe.

A workbook is untrusted input to a native parser; in a child process, running out of memory, a
crash or an endless loop becomes one sentence. Frames on the pipe are a 4-byte length, one letter
and JSON: H header, B batch, Z end, E error, or A answer from a child that is asked again and
again. A batch is lines of JSON: the rows' numbers and
versions, then every column, then the rows as they are stored, so that whoever stores them need not
make objects of them. This module must not know file formats.
"""

from __future__ import annotations

import contextlib
import gc
import math
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from waremill.catalog.contents import split_documents, write_contents
from waremill.catalog.readers.shapes import Batch, LeftOut, Limits, Problems, Reader
from waremill.catalog.readers.table import ColumnBatch, Table
from waremill.errors import SourceError, Where

_PIPE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Words:
    """What is said of a child that took too long, needed too much memory, or died otherwise."""

    slow: str = "reading took longer than {seconds:g} seconds: split the file or save it as CSV"
    large: str = (
        "reading needs more than {memory} MB of memory: delete cells far outside the table, split "
        "the file or save it as CSV"
    )
    damaged: str = (
        "the file is damaged and cannot be read: open it in a spreadsheet program and save it anew"
    )


class Child:
    """A running child, its frames, and the time left to wait for it.

    One that is `asked` gets its requests one after the other over a pipe, and answers each with one
    frame; the others are started for one file.
    """

    def __init__(
        self,
        module: str,
        request: dict[str, Any],
        limits: Limits,
        *,
        words: Words | None = None,
        asked: bool = False,
    ) -> None:
        self._where = Where(file=str(request["path"]))
        self._limits = limits
        self._words = words or Words()
        self._left = limits.seconds or math.inf
        self._errors: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115  closed in close()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, orjson.dumps(request).decode()],
            stdin=subprocess.PIPE if asked else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            # Ctrl-C is the parent's to handle; closing the reader ends the child.
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._pipe = self._process.stdout
        _widen(self._pipe.fileno())

    def ask(self, request: dict[str, Any], name: str) -> Any:
        """Send a request about the file people know by a name, and give its answer.

        Raises SourceError where the child failed or took too long; it is to be closed then, unless
        it said itself what was wrong.
        """
        self._where, self._left = Where(file=name), self._limits.seconds or math.inf
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(orjson.dumps(request) + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._death() from None
        return self.frame()[1]

    def frame(self) -> tuple[str, Any]:
        """Give the next frame, a batch undecoded; raise SourceError where the child failed or took
        too long.
        """
        head = self._read(5)
        kind, body = chr(head[4]), self._read(int.from_bytes(head[:4], "big"))
        if kind == "B":
            return kind, body
        content = orjson.loads(body)
        if kind == "E":
            where = Where(
                file=self._where.file, sheet=content.get("sheet"), row=content.get("row"),
                line=content.get("line"),
            )  # fmt: skip
            raise SourceError(content["message"], where)
        return kind, content

    def _read(self, size: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        descriptor = self._pipe.fileno()
        while view:
            begun = time.monotonic()
            most = None if self._left == math.inf else max(0.0, self._left)
            ready, _, _ = select.select([descriptor], [], [], most)
            self._left -= time.monotonic() - begun
            if not ready:
                raise self._said(self._words.slow)
            # Unbuffered, so that `select` sees all that is left in the pipe.
            count = os.readv(descriptor, [view])
            if not count:
                raise self._death()
            view = view[count:]
        return data

    def _death(self) -> SourceError:
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read(100_000).decode("utf-8", "replace")
        if code == -signal.SIGXCPU:
            return self._said(self._words.slow)
        if "memory" in said.lower() or code == -signal.SIGKILL:
            return self._said(self._words.large)
        return self._said(self._words.damaged)

    def _said(self, sentence: str) -> SourceError:
        limits = self._limits
        said = sentence.format(seconds=limits.seconds, memory=limits.memory >> 20)
        return SourceError(said, self._where)

    def close(self) -> None:
        """End the child and free what it held."""
        with contextlib.suppress(OSError):
            self._process.kill()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._pipe.close()
        self._process.wait()
        self._errors.close()


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
    words: Words | None = None,
    about_gaps: Callable[[str | None], list[str]] | None = None,
) -> Reader:
    """Start `python -m module` on a file and give a Reader of what it sends.

    `about_gaps` is asked for more notes on a sheet, at its end, where any of its cells was blank.
    """
    request = {
        "path": str(path),
        "sheet": sheet,
        "memory": limits.memory,
        "seconds": limits.seconds,
        "columns": limits.columns,
        "cell": limits.cell,
    }
    child = Child(module, request, limits, words=words)
    try:
        _, header = child.frame()
    except BaseException:
        child.close()
        raise
    notes: list[str] = header["notes"]
    problems, left_out = Problems(), list(map(tuple, header["left_out"]))
    at_gaps = None if about_gaps is None else partial(about_gaps, header["sheet"])
    columns = tuple(header["columns"])
    reader = Reader(
        columns,
        _batches(child, columns, (notes, problems, left_out), at_gaps),
        sheet=header["sheet"],
        derived=header["derived"],
        notes=notes,
        problems=problems,
        close=child.close,
    )
    reader.left_out = left_out
    return reader


def _batches(
    child: Child,
    columns: tuple[str, ...],
    told: tuple[list[str], Problems, LeftOut],
    at_gaps: Callable[[], list[str]] | None,
) -> Iterator[Batch]:
    notes, problems, left_out = told
    while True:
        kind, content = child.frame()
        if kind == "Z":
            left_out.extend(map(tuple, content["left_out"]))
            notes.extend(content["notes"])
            for row, reason in content["problems"]:
                problems.add(row, reason)
            problems.total = content["total"]
            if at_gaps is not None and content["gaps"]:
                notes.extend(at_gaps())
            return
        yield _SentBatch(columns, content)


class _SentBatch(Batch):
    """A batch as it came over the pipe; rows are made of it where somebody asks for them."""

    def __init__(self, names: tuple[str, ...], body: bytearray) -> None:
        first, *lines = body.decode().split("\n")
        head = orjson.loads(first)
        super().__init__([], head["numbers"])
        self._versions: list[int] = head["versions"]
        self._columns = dict(zip(names, lines, strict=False))
        self._documents = lines[len(names) :]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows' attributes, made anew at each call."""
        columns = map(self.column, self._columns)
        return [dict(zip(self._columns, row, strict=True)) for row in zip(*columns, strict=True)]

    def column(self, name: str) -> list[Any]:
        """Give one column's cells."""
        line = self._columns.get(name)
        cells: list[Any] = [None] * len(self.numbers) if line is None else orjson.loads(line)
        return cells

    def contents(self) -> tuple[list[str], list[int]]:
        """Give each row as JSON text without missing cells, and its version."""
        documents = list(chain.from_iterable(map(split_documents, self._documents)))
        return documents, self._versions


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
        _send_error(out, error)
    except MemoryError:
        sys.stderr.write("out of memory\n")
        sys.exit(1)
    except BrokenPipeError:
        # The reader was closed before its end: nobody is left to tell.
        sys.stderr.close()
    with contextlib.suppress(BrokenPipeError):
        out.flush()
    # What the parser holds goes with the process; freeing it cell by cell would take a while.
    os._exit(0)


def answer(read: Callable[[dict[str, Any]], Any]) -> None:
    """Run the side of a child that is asked: answer each line of stdin until there are no more.

    `read` gives an answer as JSON, or raises SourceError. The memory limit is the first argument's,
    the seconds are each request's own.
    """
    import resource

    _limit_self(int(orjson.loads(sys.argv[1])["memory"]), 0)
    out = sys.stdout.buffer
    for line in sys.stdin.buffer:
        request = orjson.loads(line)
        used = resource.getrusage(resource.RUSAGE_SELF)
        spent = used.ru_utime + used.ru_stime + float(request["seconds"])
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_CPU, (int(spent) + 1, resource.RLIM_INFINITY))
        try:
            _send(out, "A", read(request))
        except SourceError as error:
            _send_error(out, error)
        except MemoryError:
            sys.stderr.write("out of memory\n")
            sys.exit(1)


def _send_table(out: BinaryIO, table: Table, sheet: str | None, notes: list[str]) -> None:
    header = {
        "columns": table.names,
        "derived": table.derived,
        "sheet": sheet,
        "notes": [*notes, *table.notes],
        "left_out": table.left_out,
    }
    sent, above = len(table.notes), len(table.left_out)
    _send(out, "H", header)
    for batch in table.batches():
        _send_lines(out, "B", _batch_lines(table.names, batch))
    end = {
        "notes": table.notes[sent:],
        "problems": list(table.problems),
        "total": len(table.problems),
        "gaps": table.gaps,
        "left_out": table.left_out[above:],
    }
    _send(out, "Z", end)


def _batch_lines(names: tuple[str, ...], batch: ColumnBatch) -> list[bytes]:
    lines: list[bytes] = []
    versions: list[int] = []
    pairs = map(zip, repeat(names), zip(*batch.columns, strict=True))
    for together, numbers in write_contents(list(map(dict, pairs))):
        lines.append(together)
        versions += numbers
    head = orjson.dumps({"numbers": batch.numbers, "versions": versions})
    return [head, *(orjson.dumps(column, default=str) for column in batch.columns), *lines]


def _send_error(out: BinaryIO, error: SourceError) -> None:
    where = error.where or Where()
    place = {"sheet": where.sheet, "row": where.row, "line": where.line}
    _send(out, "E", {"message": error.message, **place})


def _send(out: BinaryIO, kind: str, content: object) -> None:
    _send_lines(out, kind, [orjson.dumps(content, default=str)])


def _send_lines(out: BinaryIO, kind: str, lines: list[bytes]) -> None:
    size = sum(map(len, lines)) + len(lines) - 1
    out.write(size.to_bytes(4, "big") + kind.encode() + lines[0])
    for line in lines[1:]:
        out.write(b"\n")
        out.write(line)
    out.flush()


def _limit_self(memory: int, seconds: float) -> None:
    """Bound this process, its time too unless `seconds` is 0.

    macOS accepts no address-space limit, where time and sizes must do.
    """
    import resource

    limits = [(resource.RLIMIT_CORE, 0)]
    if seconds:
        limits.append((resource.RLIMIT_CPU, int(seconds) + 1))
    if sys.platform == "linux":
        limits.append((resource.RLIMIT_AS, memory))
    for kind, value in limits:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))
