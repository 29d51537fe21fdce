"""The review desk in a real browser: many items at once, by sample, in Excel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import xlsxwriter
from playwright.sync_api import Page, expect
from python_calamine import CalamineWorkbook
from tests.web.browser.review_site import Site, judge, number, review_site, saved
from tests.web.browser.watching import Watching

from waremill.app.reviewing import ReviewDesk


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with review_site(tmp_path_factory.mktemp("desk")) as opened:
        yield opened


@pytest.fixture
def page(watching: Watching) -> Iterator[Page]:
    yield watching.page("en")
    assert not watching.wrong
    assert not watching.outside()


# Many at once.


def test_all_that_match_are_accepted_after_the_number_was_confirmed(page: Page, site: Site) -> None:
    run = site.run(124, every=2)
    site.open(page, run, "?mode=bulk")
    expect(page.get_by_role("button", name="Accept all 124 that match")).to_be_enabled()
    site.open(page, run, "?mode=bulk&rule=grounded-numbers")
    button = page.get_by_role("button", name="Accept all 62 that match")
    expect(button).to_be_enabled()
    expect(page.locator(".ag-center-cols-container .ag-row").first).to_contain_text("Eau 500 ml")

    async def one(desk: ReviewDesk) -> None:
        card = await desk.next(run)
        assert card is not None
        await desk.accept(run, card.item_id, card.version)

    site.bob(one)
    page.keyboard.press("A")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Accept 62 items of run {run}?")
    expect(dialog).to_contain_text("finding: grounded-numbers")
    page.keyboard.press("Enter")
    expect(page.locator(".wm-problem")).to_contain_text("61 items match now, not 62")
    expect(page.get_by_role("button", name="Accept all 61 that match")).to_be_enabled()
    assert site.states(run).count("accepted") == 1
    page.keyboard.press("A")
    expect(dialog).to_contain_text("Accept 61 items")
    expect(dialog.get_by_role("button", name="Accept 61")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("61 items accepted.")).to_be_visible()
    saved(site, run, ["accepted", "ready"] * 62)
    rule = {one.rule for one in site.reviews(run) if one.rule}
    assert rule == {"accept all: rule grounded-numbers"}
    site.open(page, run, "?mode=bulk")
    expect(page.get_by_role("button", name="Reject all 62 that match")).to_be_enabled()
    page.keyboard.press("R")
    page.get_by_role("radio", name="style").press("Space")
    page.get_by_role("button", name="Reject 62").press("Enter")
    expect(page.get_by_text("62 items rejected.")).to_be_visible()
    saved(site, run, ["accepted", "rejected"] * 62)


def test_chosen_rows_are_accepted_unless_they_changed(page: Page, site: Site) -> None:
    run = site.run(5)
    site.open(page, run, "?mode=bulk")
    listed = page.locator(".ag-center-cols-container .ag-row")
    expect(listed).to_have_count(5)

    async def meanwhile(desk: ReviewDesk) -> None:
        card = await desk.next(run)
        assert card is not None and card.key == "P000"
        await desk.edit(run, card.item_id, card.version, {"title": "Bob's title"})

    page.locator('.ag-row[row-index="0"] .ag-cell[col-id="key"]').click()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Accept chosen (2)")).to_be_enabled()
    site.bob(meanwhile)
    page.keyboard.press("a")
    expect(page.locator(".wm-problem")).to_contain_text("P000 changed since it was listed")
    saved(site, run, ["edited", "accepted", "review", "review", "review"])


# By sample.


def test_a_lot_is_accepted_by_its_sample_and_the_record_says_so(page: Page, site: Site) -> None:
    run = site.run(20, every=3)
    site.open(page, run, "?mode=lots")
    page.get_by_label("Confidence, %").fill("80")
    page.get_by_label("Bad at most, %").fill("20")
    sentence = page.locator(".rv-sentence")
    expect(sentence).to_contain_text("Of the 20 items that match and wait, 5 are drawn at random")
    expect(sentence).to_contain_text("80 % sure that at most 20 % of the lot is bad")
    page.get_by_role("button", name="Draw the sample").press("Enter")
    accept = page.get_by_role("button", name="Accept the lot")
    expect(accept).to_be_disabled()
    keys = [judge(page, "g") for _ in range(5)]
    assert len(set(keys)) == 5
    expect(page.get_by_text("The whole sample was looked at.")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="0 bad of 5: 80 % sure")).to_be_visible()
    page.keyboard.press("A")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("15 items beyond the sample")
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile("^Accepted by local"))).to_be_visible()
    saved(site, run, ["accepted"] * 20)
    said = [one.rule for one in site.reviews(run)]
    assert (
        sum(bool(re.match(r"lot \d+: 0 of 5 bad, 80 % sure of ≤ 20 % bad", s)) for s in said) == 15
    )


def test_a_bad_sample_rejects_the_lot_and_leaves_the_rest_in_review(page: Page, site: Site) -> None:
    run = site.run(20)
    site.open(page, run, "?mode=lots")
    page.get_by_label("Confidence, %").fill("80")
    page.get_by_label("Bad at most, %").fill("20")
    expect(page.locator(".rv-sentence")).to_contain_text("5 are drawn")
    page.get_by_role("button", name="Draw the sample").press("Enter")
    judge(page, "g")
    bad = judge(page, "b", "3")
    expect(page.get_by_text("1 bad of 2, more than the 0 allowed")).to_be_visible()
    page.keyboard.press("R")
    expect(page.get_by_role("dialog")).to_contain_text("stay in review")
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile("^Rejected by local"))).to_be_visible()
    states = site.states(run)
    assert states[number(bad)] == "rejected"
    assert sorted(states) == ["accepted", "rejected", *["review"] * 18]


# In Excel.


def test_a_sheet_goes_out_and_comes_back_with_its_conflicts(
    page: Page, site: Site, tmp_path: Path
) -> None:
    run = site.run(4)
    site.open(page, run, "?mode=sheet")
    link = page.get_by_role("link", name="Download 4 rows")
    expect(link).to_be_visible()
    with page.expect_download() as out:
        page.keyboard.press("x")
    path = tmp_path / "review.xlsx"
    out.value.save_as(path)
    table = CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()
    head = table[0]
    verdict, title, mark = head.index("Verdict"), head.index("copy.title"), head.index("_item")
    assert mark == 0
    for line, word in zip(table[1:], ("accept", "reject", "edit", ""), strict=True):
        line[verdict] = word
    table[3][title] = "From the sheet"

    async def meanwhile(desk: ReviewDesk) -> None:
        card = await desk.next(run, filters={"text": "P002"})
        assert card is not None
        await desk.edit(run, card.item_id, card.version, {"title": "Bob's title"})

    site.bob(meanwhile)
    with xlsxwriter.Workbook(str(tmp_path / "back.xlsx")) as book:
        sheet = book.add_worksheet()
        for place, line in enumerate(table):
            sheet.write_row(place, 0, line)
    page.locator("input[type=file]").set_input_files(tmp_path / "back.xlsx")
    expect(page.get_by_text("back.xlsx was taken in.")).to_be_visible()
    conflicts = page.get_by_role("table", name="Conflicts")
    expect(conflicts).to_contain_text("From the sheet")
    expect(conflicts).to_contain_text("Bob's title")
    saved(site, run, ["accepted", "rejected", "edited", "review"])
    page.locator("input[type=file]").set_input_files(
        files={"name": "no.xlsx", "mimeType": "application/zip", "buffer": b"no sheet"}
    )
    expect(page.locator(".wm-problem")).to_contain_text("no.xlsx")
