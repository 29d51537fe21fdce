"""The pages *Schedules*, in a browser: added in full, fired, removed, and still to be looked up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from tests.web.browser.looking import nameless
from tests.web.browser.watching import Watching
from tests.web.served import Served, serving
from tests.workspaces import make_workspace, perfumes, vendor_process, waremill, write_sheet


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A served shop of three perfumes."""
    with vendor_process() as vendor:
        folder = make_workspace(tmp_path_factory.mktemp("console") / "shop", vendor)
        sheet = write_sheet(folder / "perfumes.csv", perfumes(3))
        assert waremill(folder, "import", str(sheet), "--key", "sku").code == 0
        with serving(folder) as server:
            yield server


def opened(watching: Watching, shop: Served, language: str) -> Page:
    page = watching.page(language)
    page.goto(f"{shop.url}/schedules")
    page.wait_for_function("window.socket?.connected")
    return page


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("dialog").get_by_label(label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()
    expect(page.get_by_role("option")).to_have_count(0)


def test_a_schedule_is_added_fired_and_removed(watching: Watching, shop: Served) -> None:
    page = opened(watching, shop, "en")
    page.get_by_role("button", name="Add a schedule").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Name").fill("nightly")
    form.get_by_label("When (cron)").fill("0 25 * * *")
    form.get_by_label("Budget").fill("5")
    form.get_by_label("Time zone").fill("shanghai")
    page.get_by_role("option", name="Asia/Shanghai", exact=True).click()
    for part in form.locator("summary").all():
        part.click()
    form.get_by_label("WHERE").fill("brand != 'nobody'")
    form.get_by_label("At most").fill("2")
    form.get_by_label("Parameters, one a line").fill("tone=warm\n")
    choose(page, "Calls", "in batches, for half the price")
    choose(page, "Priority", "low")
    choose(page, "When the earlier one is not over", "wait")
    assert nameless(page) == []
    form.get_by_role("button", name="Add a schedule").click()
    expect(form.get_by_role("alert")).to_contain_text("“25” is no hour")
    form.get_by_label("When (cron)").fill("0 3 * * *")
    choose(page, "Calls", "live")
    form.get_by_role("button", name="Add a schedule").click()
    page.get_by_role("link", name="nightly").click()
    said = page.get_by_role("main")
    for words in ("Asia/Shanghai", "brand != 'nobody'", "tone=warm", "low", "wait"):
        expect(said).to_contain_text(words)
    page.get_by_role("button", name="Run now").click()
    row = page.get_by_role("table", name="History").get_by_role("row").nth(1)
    expect(row).to_contain_text("started")
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    page.get_by_text("Removed: 1").click()
    page.get_by_role("link", name="nightly").click()
    expect(page.get_by_role("table", name="History").get_by_role("row").nth(1)).to_contain_text(
        "started"
    )
    expect(page.get_by_role("button", name="Run now")).to_have_count(0)
    assert watching.wrong == []


def test_what_is_wrong_is_said_in_the_language_of_the_page(
    watching: Watching, shop: Served
) -> None:
    page = opened(watching, shop, "zh")
    page.get_by_role("button", name="新建计划").click()
    form = page.get_by_role("dialog")
    form.get_by_label("名称").fill("每晚上新")
    form.get_by_role("button", name="新建计划").click()
    expect(form.get_by_role("alert")).to_contain_text("必须设预算")
    form.get_by_label("预算").fill("5")
    form.get_by_role("button", name="新建计划").click()
    expect(page.get_by_role("link", name="每晚上新")).to_be_visible()
    assert watching.wrong == []
