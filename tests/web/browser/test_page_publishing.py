"""A run's tab *Publish*, in a browser: dry, published, with a refusal, and back again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Page, expect
from tests.web.browser.watching import Watching
from tests.web.served import Served, serving

from app.publishing_shop import accepted_run, bring, make_shop, perfume_rows
from waremill.app import open_workspace


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    """A served shop with a run of which one row is too long for the channel."""
    folder = make_shop(tmp_path_factory.mktemp("console") / "shop", None)

    async def fill() -> str:
        async with open_workspace(folder) as workspace:
            await bring(workspace, perfume_rows(6))
            return await accepted_run(workspace, values={"P001": {"title": "长" * 151}})

    with ThreadPoolExecutor(1) as thread:  # playwright's own loop runs in this one
        run = thread.submit(lambda: asyncio.run(fill())).result()
    with serving(folder) as server:
        yield server, run


def opened(watching: Watching, shop: tuple[Served, str], language: str = "en") -> Page:
    server, run = shop
    page = watching.page(language)
    page.goto(f"{server.url}/runs/{run}?tab=publish")
    page.wait_for_function("window.socket?.connected")
    return page


def test_a_run_is_tried_published_and_rolled_back(
    watching: Watching, shop: tuple[Served, str]
) -> None:
    page = opened(watching, shop)
    expect(page.get_by_text("Nothing of this run was published yet.")).to_be_visible()
    page.get_by_label("Channel").click()
    page.get_by_role("option", name="google").click()
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_text("It would publish 5 new and 0 changed rows")).to_be_visible()
    expect(page.get_by_text("it has 151 characters, 150 are allowed")).to_be_visible()
    page.get_by_role("button", name="Publish", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Published 5 new and 0 changed rows")).to_be_visible()
    row = page.get_by_role("table", name="Publish").get_by_role("row").nth(1)
    expect(row).to_contain_text("google")
    row.get_by_role("button", name="Roll back").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.get_by_text("takes back p")).to_be_visible()


def test_a_stage_that_is_not_open_is_said_in_the_language_of_the_page(
    watching: Watching, shop: tuple[Served, str]
) -> None:
    page = opened(watching, shop, "zh")
    page.get_by_label("阶段").click()
    page.get_by_role("option", name="10%").click()
    page.get_by_role("button", name="预演").click()
    expect(page.get_by_text("将发布新增")).to_be_visible()
    page.get_by_role("button", name="发布", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="发布").click()
    expect(page.get_by_role("alert")).to_contain_text("阶段须在 1% 之后开放")
