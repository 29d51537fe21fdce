"""The review desk in a real browser: one item at a time, by keyboard alone; both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.web.browser.review_site import (
    Site,
    in_sight,
    judge,
    number,
    press,
    review_site,
    saved,
    write,
    wrote,
)
from tests.web.browser.watching import Watching

from waremill.app.reviewing import ReviewDesk

HOSTILE = '<img src=x onerror="window.broken=true">'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with review_site(tmp_path_factory.mktemp("desk")) as opened:
        yield opened


@pytest.fixture
def page(watching: Watching) -> Iterator[Page]:
    yield watching.page("en")
    assert not watching.wrong
    assert not watching.outside()


def test_a_card_shows_findings_in_place_sources_and_the_live_value(page: Page, site: Site) -> None:
    site.open(page, site.run(2))
    assert in_sight(page) == "P000"
    mark = page.locator("mark")
    expect(mark).to_have_text("500")
    legend = page.locator(f"#{mark.get_attribute('aria-describedby')}")
    expect(legend).to_contain_text("grounded-numbers")
    expect(legend).to_contain_text("500 stands nowhere")
    press(page, "j")
    title = page.get_by_role("region", name="title")
    expect(title).to_be_focused()
    expect(title).to_contain_text("Stands on: name")
    lit = page.locator(".rv-stands dt")
    expect(lit.first).to_have_text("name")
    press(page, "d")
    expect(title.locator("del").first).to_be_visible()
    assert "".join(title.locator("del, .rv-same").all_inner_texts()) == "An old title"
    assert "".join(title.locator("ins, .rv-same").all_inner_texts()) == "Eau 500 ml"
    press(page, "d")
    expect(page.locator("del")).to_have_count(0)
    press(page, "i")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("copy v1")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_focus_mode_works_by_keyboard_alone(page: Page, site: Site) -> None:
    run = site.run(6)
    site.open(page, run)
    expect(page.get_by_text("0 looked at, 6 left")).to_be_visible()
    accepted = judge(page, "a")
    rejected = judge(page, "r", "2")
    noted = in_sight(page)
    press(page, "r")
    expect(page.locator(".rv-strip")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type("a5 ml is not 500")  # letters and digits stay in the note
    page.keyboard.press("Enter")
    judge(page, "1")
    edited = in_sight(page)
    press(page, "e")
    box = page.get_by_label("title", exact=True).and_(page.locator("textarea"))
    expect(box).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("Eau de rose 50 ml")
    expect(page.locator("[data-count='0']")).to_have_text("17 / 60")
    judge(page, "Control+Enter")
    expect(page.get_by_text("4 looked at, 2 left")).to_be_visible()
    want = ["review"] * 6
    want[number(accepted)], want[number(edited)] = "accepted", "edited"
    want[number(rejected)] = want[number(noted)] = "rejected"
    saved(site, run, want)
    assert [one.reason for one in site.reviews(run) if one.verdict == "reject"] == [
        "invented", "wrong-fact: a5 ml is not 500",
    ]  # fmt: skip
    wrote(site, '"Eau de rose 50 ml"')
    # Undo brings the edited item back as it was; what was next stays next.
    following = in_sight(page)
    press(page, "u")
    expect(page.locator(".rv-notice")).to_contain_text("Taken back")
    assert in_sight(page) == edited
    want[number(edited)] = "review"
    saved(site, run, want)
    assert judge(page, "s") == edited
    assert in_sight(page) == following
    # What was looked at before, and onward again.
    press(page, "p")
    expect(page.locator(".rv-notice")).to_contain_text("Looked at earlier")
    press(page, "n")
    expect(page.locator(".rv-notice")).to_have_count(0)
    assert in_sight(page) == following
    judge(page, "a")
    judge(page, "a")
    expect(page.get_by_text("Nothing is left to review here.")).to_be_visible()
    page.get_by_role("button", name="Look at the skipped").press("Enter")
    assert judge(page, "a") == edited
    want = [state if state == "rejected" else "accepted" for state in want]
    saved(site, run, want)


def test_leaving_an_edit_changes_nothing(page: Page, site: Site) -> None:
    run = site.run(1)
    site.open(page, run)
    in_sight(page)
    press(page, "e")
    expect(page.locator("textarea").first).to_be_focused()
    page.keyboard.type("something else: a r s")
    page.keyboard.press("Escape")
    expect(page.locator("textarea")).to_have_count(0)
    assert in_sight(page) == "P000"
    press(page, "r", "Escape")
    expect(page.locator(".rv-strip")).to_have_count(0)
    assert site.reviews(run) == []


def test_a_key_that_is_held_down_judges_one_item(page: Page, site: Site) -> None:
    run = site.run(4)
    site.open(page, run)
    in_sight(page)
    page.wait_for_function("window.waremillReview?.ready()")
    for _ in range(12):
        page.keyboard.down("a")
        page.wait_for_timeout(40)
    page.keyboard.up("a")
    saved(site, run, ["accepted", "review", "review", "review"])


def test_a_conflict_is_shown_and_not_overwritten(page: Page, site: Site) -> None:
    run = site.run(2)
    site.open(page, run)
    assert in_sight(page) == "P000"

    async def meanwhile(desk: ReviewDesk) -> None:
        card = await desk.card(run, int(page_item))
        await desk.edit(run, card.item_id, card.version, {"title": "Bob's title"})

    page_item = page.locator("[data-item]").get_attribute("data-item") or ""
    site.bob(meanwhile)
    write(page, "My title")
    page.keyboard.press("Control+Enter")
    notice = page.locator(".rv-notice").first
    expect(notice).to_contain_text("Not saved")
    expect(notice).to_contain_text("Bob")
    assert in_sight(page) == "P000"
    title = page.get_by_role("region", name="title")
    expect(title.locator(".rv-value")).to_have_text("Bob's title")
    expect(title.locator(".rv-yours")).to_contain_text("My title")
    saved(site, run, ["edited", "review"])
    # Who wants it nevertheless finds the own text in the boxes, and saves it on purpose.
    press(page, "e")
    expect(page.locator("textarea").first).to_have_value("My title")
    judge(page, "Control+Enter")
    wrote(site, "My title")


def test_two_windows_never_show_the_same_item(watching: Watching, site: Site) -> None:
    run = site.run(8)
    pages = [watching.page("en"), watching.page("en")]
    seen: list[str] = []
    for page in pages:
        site.open(page, run)
        in_sight(page)
    for page in pages * 3:
        seen.append(judge(page, "a"))
    assert len(set(seen)) == 6
    assert not watching.wrong


def test_a_page_that_is_loaded_anew_keeps_its_item(page: Page, site: Site) -> None:
    site.open(page, site.run(3))
    judge(page, "a")
    shown = in_sight(page)
    page.reload()
    assert in_sight(page) == shown


def test_product_text_is_text(page: Page, site: Site) -> None:
    run = site.run(2, brand="{{ 7*7 }} <b>x</b>")
    site.open(page, run)
    in_sight(page)
    expect(page.locator(".rv-source")).to_contain_text("{{ 7*7 }}")
    write(page, HOSTILE)
    judge(page, "Control+Enter")
    saved(site, run, ["edited", "review"])
    press(page, "p")
    expect(page.locator(".rv-value").first).to_have_text(HOSTILE)
    site.open(page, run, "?mode=bulk&states=edited,review")
    expect(page.locator(".ag-center-cols-container .ag-row")).to_have_count(2)
    expect(page.locator(".ag-cell", has_text="<img")).to_have_count(1)
    assert page.evaluate("window.broken") is None
    assert page.locator("img[src=x]").count() == 0


# In 中文, and what it looks like.


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_way_to_review_is_in_both_languages(
    watching: Watching, site: Site, pictures: Path, language: str
) -> None:
    run = site.run(30, every=2)
    page = watching.page(language)
    words = {"en": ("Accept", "Chosen", "Draw the sample"), "zh": ("通过", "所选", "抽取样本")}
    site.open(page, run)
    in_sight(page)
    press(page, "j")
    page.screenshot(path=pictures / f"review-focus-{language}.png")
    expect(page.get_by_role("button", name=words[language][0])).to_be_visible()
    press(page, "r")
    expect(page.locator(".rv-strip")).to_be_visible()
    page.screenshot(path=pictures / f"review-reject-{language}.png")
    site.open(page, run, "?mode=bulk")
    expect(page.locator(".ag-center-cols-container .ag-row").first).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("30"))).to_have_count(2)
    page.screenshot(path=pictures / f"review-bulk-{language}.png")
    site.open(page, run, "?mode=lots")
    expect(page.get_by_role("button", name=words[language][2])).to_be_enabled()
    page.screenshot(path=pictures / f"review-lots-{language}.png")
    site.open(page, run, "?mode=sheet")
    expect(page.get_by_role("link", name=re.compile("30"))).to_be_visible()
    page.screenshot(path=pictures / f"review-sheet-{language}.png")
    shown = page.locator("#wm-main").inner_text()
    assert bool(re.search(r"[\u4e00-\u9fff]", shown)) == (language == "zh")
    assert not watching.wrong and not watching.outside()
