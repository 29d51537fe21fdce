"""The whole story in a real browser on a served workspace, in both languages of the console."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.web.browser.story import Story
from tests.web.browser.watching import Watching
from tests.web.browser.workshop import EXAMPLE, make_shop
from tests.web.served import Served, serving

from waremill.web.strings import Language

ROWS, PICKED = 76, 40


@pytest.mark.parametrize(
    ("language", "other", "target"),
    [("en", "zh", "en-US@shopify"), ("zh", "en", "zh-CN@tmall")],
    ids=["en", "zh"],
)
def test_a_sheet_becomes_reviewed_copy(
    language: Language,
    other: Language,
    target: str,
    watching: Watching,
    writer: str,
    tmp_path: Path,
    pictures: Path,
) -> None:
    shop = make_shop(tmp_path / "perfumes", writer)
    with serving(shop) as served:
        page = watching.page(other)
        story = Story(page, served.url, language, pictures)
        story.open("/")
        story.choose_language()
        bring_in(story)
        name = order(story, target)
        complaints = complaints_of(served)
    assert name
    assert not complaints, "\n".join(complaints)
    assert not watching.wrong
    assert not watching.outside()
    assert not story.faults, "\n".join(story.faults)


def complaints_of(served: Served) -> list[str]:
    """Give the lines of the server's log that speak of an error, and what follows them."""
    lines = served.log.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("{") and '"level":"info"' not in line]


def bring_in(story: Story) -> None:
    story.upload(EXAMPLE / "perfumes.xlsx", "sku", ROWS)
    story.click_facet("Perfume", 68)
    story.click_facet("France", PICKED)
    story.save_selection("french")
    story.see("catalogue")


def order(story: Story, target: str) -> str:
    page = story.page
    story.link("catalogue.new_run").click()
    story.ready()
    expect(page.get_by_text(story.t("new.count", count=PICKED), exact=True)).to_be_visible()
    story.see("products")
    story.next_step("how")
    story.choose_content("launch", target, "writer · openai:large-writer", "20")
    story.see("content")
    story.next_step("estimate")
    expect(story.figure("new.products")).to_have_text(f"{PICKED}")
    expect(story.button("new.again")).to_be_visible()
    story.see("estimate")
    story.next_step("trial")
    story.start_trial(6)
    mark(story)
    story.next_step("run")
    expect(page.get_by_text(f"launch · {target} · writer")).to_be_visible()
    expect(page.get_by_text(story.t("new.sum_forecast"), exact=True)).to_be_visible()
    story.see("order")
    story.button("new.start", count=PICKED).click()
    page.wait_for_url("**/runs/*")
    story.ready()
    story.see("running")
    story.wait_for_run()
    expect(story.figure("run.done")).to_contain_text(f"{PICKED}")
    story.see("run")
    return page.url.rpartition("/")[2]


def mark(story: Story) -> None:
    """Mark four fields by key: right, wrong, corrected, and one more that is taken back."""
    page, panel = story.page, story.accuracy()
    expect(panel).to_contain_text(story.t("mark.none_yet"))
    page.keyboard.press("1")
    expect(panel).to_contain_text(story.t("mark.counted", right=1, marked=1))
    page.keyboard.press("3")
    box = story.dialog().get_by_role("textbox").first
    expect(box).to_be_focused()
    before = box.input_value()
    box.fill(f"{before} +")
    story.dialog().get_by_role("button", name=story.t("mark.save"), exact=True).click()
    expect(panel).to_contain_text(story.t("mark.counted", right=1, marked=2))
    page.keyboard.press("2")
    expect(panel).to_contain_text(story.t("mark.counted", right=1, marked=3))
    page.keyboard.press("u")
    expect(panel).to_contain_text(story.t("mark.counted", right=1, marked=2))
    for marked in (3, 4, 5, 6):
        page.keyboard.press("r")
        expect(panel).to_contain_text(story.t("mark.counted", right=marked - 1, marked=marked))
    expect(panel).to_contain_text("83")
    story.see("trial")
