"""Workspaces for the browser's tests: the example with a vendor on the loopback interface."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
from tests.workspaces import ROOT

EXAMPLE = ROOT / "src" / "waremill" / "example" / "perfume"
SETTINGS = """\
currency = "CNY"
per_usd = 7.1
languages = ["en", "zh", "de", "fr"]
[models.default]
use = "openai:small-writer"
base_url = "{url}"
price = {{input = 0.4, output = 1.6}}
[models.writer]
use = "openai:large-writer"
base_url = "{url}"
price = {{input = 2.0, output = 8.0}}
[limits]
concurrency = 3
"""


def make_shop(folder: Path, url: str) -> Path:
    """Copy the example workspace; its models are the vendor at `url`."""
    shutil.copytree(EXAMPLE, folder)
    (folder / "waremill.toml").write_text(SETTINGS.format(url=url), encoding="utf-8")
    return folder


@contextmanager
def writer_process(*texts: Path) -> Iterator[str]:
    """Run the copywriting vendor in a process of its own; give its base URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.web.browser.copywriter", *map(str, texts)],
        cwd=ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield orjson.loads(process.stdout.readline())["url"]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
