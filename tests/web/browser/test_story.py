"""The whole story in a real browser on a served workspace, in both languages of the console."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect
from python_calamine import CalamineWorkbook
from tests.web.browser.story import Story
from tests.web.browser.watching import Watching
from tests.web.browser.workshop import EXAMPLE, make_shop
from tests.web.served import Served, serving

from waremill.web.strings import Language

ROWS, PICKED = 76, 40
INSTEAD = {"en": "Made in France", "zh": "产自 France"}
"""What a person writes in place of a claim."""


@dataclass(frozen=True)
class Decided:
    """The keys of the products a person decided about one by one."""

    accepted: str
    rejected: str
    edited: str


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
    with serving(shop) as served, telling(served):
        page = watching.page(other)
        story = Story(page, served.url, language, pictures)
        story.open("/")
        story.choose_language()
        bring_in(story)
        waiting = order(story, target)
        decided = review(story, waiting)
        hold(export(story, tmp_path), decided)
        look_back(story, target, decided)
        complaints = complaints_of(served)
    assert not complaints, "\n".join(complaints)
    assert not watching.wrong
    assert not watching.outside()
    assert not story.faults, "\n".join(story.faults)


def complaints_of(served: Served) -> list[str]:
    """Give the lines of the server's log that speak of an error, and what follows them."""
    lines = served.log.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("{") and '"level":"info"' not in line]


@contextmanager
def telling(served: Served) -> Iterator[None]:
    """Let a failure tell what the server complained of meanwhile."""
    try:
        yield
    except Exception as error:
        error.add_note("\n".join(complaints_of(served)).replace("\\n", "\n"))
        raise


def bring_in(story: Story) -> None:
    """Bring the sheet in and select the French perfumes by clicking."""
    story.upload(EXAMPLE / "perfumes.xlsx", "sku", ROWS)
    story.click_facet("Perfume", 68)
    story.click_facet("France", PICKED)
    story.save_selection("french")
    story.see("catalogue")


def order(story: Story, target: str) -> int:
    """Order a run step by step and watch it; give how many items wait for a person then."""
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
    story.watch_run(PICKED)
    story.see("run")
    return int(story.figure("run.to_review").inner_text())


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


def review(story: Story, waiting: int) -> Decided:
    """Review with the keyboard: accept, reject, edit, take back; then accept the rest at once."""
    page = story.page
    assert waiting >= 6
    page.keyboard.press("v")
    page.wait_for_url("**/review/*")
    first = story.card()
    expect(page.locator(".rv-made mark").first).to_be_visible()
    for _ in range(12):
        page.keyboard.press("j")
        if page.locator(".rv-field:focus mark").count():
            break
    expect(page.locator(".rv-field:focus mark").first).to_be_visible()
    story.see("review")
    second = story.press("a")
    page.keyboard.press("r")
    expect(page.get_by_text(story.t("review.why"))).to_be_visible()
    story.see("reject")
    third = story.press("2")
    page.keyboard.press("e")
    box = page.get_by_role("textbox", name="selling_points", exact=True)
    box.fill("\n".join([*box.input_value().splitlines()[:2], INSTEAD[story.language]]))
    story.see("edit")
    fourth = story.press("Control+Enter")
    assert len({first, second, third, fourth}) == 4
    story.press("a")
    assert story.press("u") == fourth
    expect(page.get_by_text(story.t("review.undone"))).to_be_visible()
    story.saved(looked=3, left=waiting - 3)
    accept_the_rest(story, waiting - 3)
    return Decided(first, second, third)


def accept_the_rest(story: Story, count: int) -> None:
    """Accept all that still wait, after the page has said how many these are."""
    page = story.page
    page.keyboard.press("B")
    page.wait_for_url("**mode=bulk*")
    story.ready()
    expect(page.get_by_role("gridcell").first).to_be_visible()
    expect(story.button("review.accept_all", count=count)).to_be_enabled()
    story.see("bulk")
    page.keyboard.press("A")
    expect(story.dialog()).to_contain_text(f"{count}")
    story.see("confirm")
    story.button("review.accept_count", count=count).click()
    expect(page.get_by_text(story.t("review.accepted_count", count=count))).to_be_visible()
    expect(story.button("review.accept_all", count=0)).to_be_disabled()


def export(story: Story, folder: Path) -> Path:
    """Export the run as a workbook from its page."""
    page = story.page
    story.open(page.url.replace("/review/", "/runs/").partition("?")[0].removeprefix(story.url))
    story.button("run.export").click()
    with page.expect_download() as waited:
        page.get_by_text(".xlsx", exact=True).click()
    path = folder / "copy.xlsx"
    waited.value.save_as(path)
    return path


def hold(path: Path, decided: Decided) -> None:
    """Hold the exported rows to what was decided."""
    header, *lines = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
    rows = {line[0]: dict(zip(header, line, strict=True)) for line in lines}
    assert len(rows) == PICKED
    states = {key: row["_status"] for key, row in rows.items()}
    assert states[decided.accepted] == "accepted"
    assert states[decided.rejected] == "rejected"
    assert states[decided.edited] == "edited"
    assert sorted(set(states.values())) == ["accepted", "edited", "rejected"]
    assert list(states.values()).count("accepted") == PICKED - 2
    assert any(one in str(rows[decided.edited]["selling_points"]) for one in INSTEAD.values())
    assert all(row["title"] for row in rows.values())


def look_back(story: Story, target: str, decided: Decided) -> None:
    """Find who wrote what, and what was paid."""
    page = story.page
    story.go("h", "nav.history")
    story.box("items.key").fill(decided.edited)
    page.keyboard.press("Enter")
    changed = page.locator(".wm-timeline > li")
    expect(changed.first).to_contain_text("selling_points")
    expect(changed.first.locator("ins").last).to_have_text(INSTEAD[story.language][-6:])
    expect(changed.first).to_contain_text(target)
    story.see("history")
    story.go("s", "nav.spend")
    expect(story.figure("spend.paid")).to_have_text(re.compile(r"[1-9].*CNY"))
    story.see("spend")
    story.go("r", "nav.runs")
    expect(page.get_by_role("row")).to_have_count(3)  # the headings, the trial, the run
    story.see("runs")
