"""`waremill serve` as a process, on a free port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from tests.workspaces import ROOT


@dataclass
class Served:
    """A running server: what it printed, its address, and the file its log goes to."""

    document: Any
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def end(self, number: int = signal.SIGTERM) -> float:
        """Send a signal and wait for the end; give the seconds it took."""
        started = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(timeout=20)
        return time.monotonic() - started


@contextmanager
def serving(
    folder: Path, *options: str, program: str = "waremill", **environment: str
) -> Iterator[Served]:
    """Serve a workspace until the block ends; `program` is the module that is run."""
    with tempfile.TemporaryDirectory() as place:
        log = Path(place) / "server.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", program, "serve", "-C", str(folder), "--port", "0",
                 "--json", *options],
                cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, env={**os.environ, **environment},
            )  # fmt: skip
        assert process.stdout is not None
        killer = threading.Timer(60, process.kill)
        killer.start()
        try:
            text = b""
            while not text.endswith(b"\n}\n"):
                line = process.stdout.readline()
                assert line, log.read_text()
                text += line
            document = orjson.loads(text)
            assert "url" in document, (document, log.read_text())
            killer.cancel()
            yield Served(document, document["url"].rstrip("/"), process, log)
        finally:
            killer.cancel()
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdout.close()
