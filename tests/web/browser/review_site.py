"""A served workspace with runs to review, and what a reviewer presses."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Page, expect
from sqlalchemy import select
from tests.app.desks import TEMPLATE, desk, finished_run, item_rows, rows
from tests.web.served import serving
from tests.workspaces import make_workspace, write_sheet

import waremill as library
from waremill.app import Workspace
from waremill.app.acting import Actor
from waremill.app.reviewing import ReviewDesk
from waremill.store.tables import items, results, reviews

T = TypeVar("T")
BOB = Actor("Bob", {1: "reviewer"})


class Site:
    """A served workspace; each test reviews a run of a catalogue of its own.

    It works in the workspace beside the server, as another process would, on a thread: Playwright's
    own event loop runs in the test's.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.stocks = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._opened = library.open(folder)
        self._workspace = self._await(self._opened.__aenter__())

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def close(self) -> None:
        """Close the workspace."""
        self._await(self._opened.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def work(self, do: Callable[[Workspace], Coroutine[Any, Any, T]]) -> T:
        """Do something in the workspace."""
        return self._await(do(self._workspace))

    def run(self, count: int = 6, every: int = 1, **more: str) -> str:
        """Finish a run of new products; each `every`-th one's title has an invented number."""
        self.stocks += 1
        name = f"stock{self.stocks}"
        sheet = write_sheet(self.folder / f"{name}.csv", [{**row, **more} for row in rows(count)])

        async def make(workspace: Workspace) -> str:
            await workspace.import_catalog([sheet], key="sku", catalog=name)
            return (await finished_run(workspace, every=every, catalog=name)).name

        return self.work(make)

    def states(self, run: str) -> list[str]:
        """The states of a run's items in order."""

        async def read(workspace: Workspace) -> list[str]:
            found = await workspace.find_run(run)
            return [row.state for row in await item_rows(workspace, found)]

        return self.work(read)

    def reviews(self, run: str) -> list[Any]:
        """The reviews of a run's items, the oldest first."""

        async def read(workspace: Workspace) -> list[Any]:
            found = await workspace.find_run(run)
            query = select(reviews).join(items, items.c.id == reviews.c.item_id)
            query = query.where(items.c.run_id == found.id).order_by(reviews.c.id)
            return list(await workspace.database.read(lambda conn: conn.execute(query).all()))

        return self.work(read)

    def written(self) -> list[str]:
        """What people wrote, as JSON, the oldest first."""
        query = select(results.c["values"]).where(results.c.origin == "human")
        query = query.order_by(results.c.id)

        async def read(workspace: Workspace) -> list[str]:
            return list(
                await workspace.database.read(lambda conn: conn.execute(query).scalars().all())
            )

        return self.work(read)

    def bob(self, do: Callable[[ReviewDesk], Coroutine[Any, Any, T]]) -> T:
        """Do something as Bob."""
        return self.work(lambda workspace: do(desk(workspace, BOB)))

    def open(self, page: Page, run: str, query: str = "") -> Page:
        """Open a run's review."""
        page.goto(f"{self.url}/review/{run}{query}")
        return page


@contextmanager
def review_site(folder: Path) -> Iterator[Site]:
    """Serve a workspace without runs until the block ends."""
    made = make_workspace(
        folder / "shop", "http://127.0.0.1:9/v1", files={"templates/copy.yaml": TEMPLATE}
    )
    with serving(made) as served:
        opened = Site(made, served.url)
        yield opened
        opened.close()


def saved(site: Site, run: str, expected: list[str]) -> None:
    """Wait until a run's items have these states."""
    limit = time.monotonic() + 10
    while (states := site.states(run)) != expected:
        assert time.monotonic() < limit, states
        time.sleep(0.1)


def wrote(site: Site, text: str) -> None:
    """Wait until the newest result holds a text; saving goes on behind the page."""
    limit = time.monotonic() + 10
    while text not in (newest := site.written()[-1]):
        assert time.monotonic() < limit, newest
        time.sleep(0.1)


def in_sight(page: Page) -> str:
    """The key of the product in sight."""
    expect(page.locator("[data-turn]")).to_be_visible()
    return page.locator(".rv-turn .rv-key").inner_text()


def press(page: Page, *keys: str) -> None:
    """Press keys, each once the item has been in sight long enough to be judged."""
    for key in keys:
        page.wait_for_function("window.waremillReview?.ready()")
        page.keyboard.press(key)


def write(page: Page, text: str) -> None:
    """Write a text in place of the first field's."""
    press(page, "e")
    expect(page.locator("textarea").first).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


def judge(page: Page, *keys: str) -> str:
    """Press a verdict's keys; give the product it was of, when something else is in sight."""
    key = in_sight(page)
    turn = page.locator("[data-turn]").get_attribute("data-turn")
    press(page, *keys)
    expect(page.locator(f'[data-turn="{turn}"]')).to_have_count(0)
    return key


def number(key: str) -> int:
    """The place of a product in its sheet."""
    return int(key.removeprefix("P"))
