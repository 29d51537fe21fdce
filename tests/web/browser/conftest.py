"""A real headless Chromium, a served workspace, and where the pictures go.

The browser is the machine's own; where there is none the tests here are skipped with one sentence
that says what to install. On CI (`CI=true`) that is a failure.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from tests.web.browser.watching import Watching
from tests.web.browser.workshop import writer_process

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = (
    "There is no Chromium here, so the console was not tried in a browser; "
    "install it: apt-get install chromium fonts-noto-cjk"
)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the machine's Chromium."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is not None:
        return found
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(MISSING, pytrace=False)
    pytest.skip(MISSING)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """A browser for one module: playwright's event loop must not outlive it."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium, headless=True, args=["--no-sandbox", "--disable-gpu"]
        )
        yield launched
        launched.close()


@pytest.fixture
def watching(browser: Browser) -> Iterator[Watching]:
    """What opens pages and keeps an eye on all they do."""
    watched = Watching(browser)
    yield watched
    watched.close()


@pytest.fixture(scope="module")
def writer() -> Iterator[str]:
    """The base URL of a vendor that writes perfume copy."""
    with writer_process() as url:
        yield url


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """The folder for screenshots: `WAREMILL_SCREENSHOTS`, or the test's own."""
    folder = Path(os.environ.get("WAREMILL_SCREENSHOTS") or tmp_path / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()
