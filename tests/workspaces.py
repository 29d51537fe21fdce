"""Workspaces for tests: a folder with settings for the loopback vendor, templates, a sheet."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[1]

COPY = """\
name: copy
instruction: |
  You write product copy in English.
input:
  - name: {required: true}
  - brand
  - notes: {max_chars: 400}
output:
  title: {type: string, max_chars: 60}
  points: {type: array, items: {type: string, max_chars: 80}, min: 1, max: 3}
"""
"""A template of one step that needs no target; the vendor's replies keep its contract."""

SETTINGS = """\
currency = "USD"
{database}
[limits]
concurrency = {concurrency}
[models.default]
use = "openai:test-model"
base_url = "{url}"
{more}
"""
PRICE = "price = {input = 1.0, output = 1.0}"


def make_workspace(
    folder: Path,
    url: str,
    *,
    database: str | None = None,
    concurrency: int = 8,
    model: str = PRICE,
    files: Mapping[str, str] | None = None,
) -> Path:
    """Write a workspace; `model` are further lines of its only model."""
    folder.mkdir(parents=True, exist_ok=True)
    line = f'[database]\nurl = "{database}"' if database else ""
    text = SETTINGS.format(database=line, concurrency=concurrency, url=url, more=model)
    (folder / "waremill.toml").write_text(text, encoding="utf-8")
    for path, body in {"templates/copy.yaml": COPY, **(files or {})}.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(body, encoding="utf-8")
    return folder


def write_sheet(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def perfumes(count: int, word: str = "") -> list[dict[str, str]]:
    """Rows whose copy differs from product to product; `word` makes them differ from others."""
    return [
        {"sku": f"P{n:04}", "name": f"Eau {word} number {n}", "brand": f"House {n % 7}",
         "notes": f"bergamot {n}, vetiver {n + 1}"}
        for n in range(count)
    ]  # fmt: skip


@contextmanager
def vendor_process(*options: str) -> Iterator[str]:
    """Run the loopback vendor in a process of its own; give its base URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.vendor", *options], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield orjson.loads(process.stdout.readline())["url"]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def vendor_stats(url: str) -> dict[str, Any]:
    """Give the vendor's own counters, with how often each body was answered."""
    with urllib.request.urlopen(f"{url.removesuffix('/v1')}/stats?full=1", timeout=5) as reply:
        found: dict[str, Any] = orjson.loads(reply.read())
        return found


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code, what it printed, what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document `--json` printed."""
        return orjson.loads(self.out)


COMMAND = [sys.executable, "-c", "from waremill.cli import main; main()"]


def waremill(folder: Path, *arguments: str, **environment: str) -> Ended:
    """Run the command line in a folder and wait for its end."""
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=folder, capture_output=True, text=True, timeout=90,
        env={**os.environ, **environment},
    )  # fmt: skip
    return Ended(done.returncode, done.stdout, done.stderr)


def start_waremill(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the command line in a folder, to be stopped or killed."""
    return subprocess.Popen(
        [*COMMAND, *arguments], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> Ended:
    """Wait for a started command's end."""
    out, err = process.communicate(timeout=90)
    return Ended(process.returncode, out, err)


def wait_for_calls(url: str, count: int, process: subprocess.Popen[str]) -> None:
    """Wait until the vendor has had so many calls from a command that runs."""
    limit = time.monotonic() + 60
    while vendor_stats(url)["calls"] < count:
        assert process.poll() is None, finish(process)
        assert time.monotonic() < limit, "the calls do not come"
        time.sleep(0.01)


def waremill_here(folder: Path, *arguments: str, **environment: str) -> Ended:
    """Run a command on a workspace in this process, which is faster than one of its own."""
    from click.testing import CliRunner

    from waremill.cli import cli

    given = [arguments[0], "-C", str(folder), *arguments[1:]]
    done = CliRunner().invoke(cli, given, env=environment)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Ended(done.exit_code, done.stdout, done.stderr)


def rows_of(path: Path) -> list[dict[str, str]]:
    """Read a CSV file's rows."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))
