"""Child processes of the benchmark: the vendor's server, and one client after the other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / ".bench"
RIVALS = PLACE / "venv"
LONGEST = 1800.0
"""Seconds a client may take before it is given up."""


@dataclass(frozen=True)
class Server:
    """The vendor's server in a process of its own."""

    pid: int
    url: str

    def calls(self) -> int:
        """Give how many requests it was sent so far."""
        with urllib.request.urlopen(f"{self.url.removesuffix('/v1')}/stats") as reply:
            return int(orjson.loads(reply.read())["calls"])

    def processor_seconds(self) -> float | None:
        """Give the processor time it used so far; None where the system does not tell."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def vendor(latency: float) -> Iterator[Server]:
    """Serve on a free port until the block ends."""
    command = [sys.executable, "-m", "tests.vendor", "--port", "0", "--latency", str(latency)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield Server(process.pid, orjson.loads(process.stdout.readline())["url"])
    finally:
        process.terminate()
        process.wait()


def client(module: str, *arguments: object, python: str = sys.executable) -> Mapping[str, Any]:
    """Run a client and give what it reports in its last line; raise with its words if it fails."""
    command = [python, "-m", module, *map(str, arguments)]
    folder = PLACE / "scratch"  # new for each: a library that keeps replies must not find any
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environment = {**os.environ, "BENCH_FOLDER": str(folder)}
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, timeout=LONGEST, check=False, env=environment
    )
    lines = ended.stdout.splitlines()
    if ended.returncode or not lines:
        words = ended.stderr.decode(errors="replace").strip().splitlines()[-3:]
        raise RuntimeError(f"{' '.join(command[2:4])} failed: {' '.join(words)}")
    report: Mapping[str, Any] = orjson.loads(lines[-1])
    return report


def rivals_python(pinned: str = "requirements.txt", place: Path = RIVALS) -> str:
    """Make an environment of other tools where it is missing; give its interpreter.

    `pinned` is a file of this folder that names every package with its hashes.
    """
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = (ROOT / "bench" / pinned).read_bytes()
    mark = place / "installed.txt"
    if not mark.exists() or mark.read_bytes() != wanted:
        shown = place.relative_to(ROOT)
        print(f"installing the other libraries into {shown} …", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        # The file names every package there is to install, so nothing is left to resolve.
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             "--no-deps", "--require-hashes", "-r", f"bench/{pinned}"],
            check=True, cwd=ROOT,
        )  # fmt: skip
        mark.write_bytes(wanted)
    return str(python)


def prepare(folder: Path, count: int, requests: Path | None = None) -> None:
    """Make a workspace of `count` products, and a file of its requests if one is named."""
    more = [] if requests is None else [str(requests)]
    command = [sys.executable, "-m", "bench.workload", str(folder), str(count), *more]
    subprocess.run(command, cwd=ROOT, check=True)
