"""The review desk in a real browser: by keyboard alone, many at once, by sample, in Excel."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import xlsxwriter
from playwright.sync_api import Page, expect
from python_calamine import CalamineWorkbook
from sqlalchemy import select
from tests.app.desks import TEMPLATE, desk, finished_run, item_rows, rows
from tests.web.browser.watching import Watching
from tests.web.served import serving
from tests.workspaces import make_workspace, write_sheet

import waremill as library
from waremill.app import Workspace
from waremill.app.acting import Actor
from waremill.app.reviewing import ReviewDesk
from waremill.store.tables import items, results, reviews

T = TypeVar("T")
BOB = Actor("Bob", {1: "reviewer"})
HOSTILE = '<img src=x onerror="window.broken=true">'


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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = make_workspace(
        tmp_path_factory.mktemp("desk") / "shop", "http://127.0.0.1:9/v1",
        files={"templates/copy.yaml": TEMPLATE},
    )  # fmt: skip
    with serving(folder) as served:
        opened = Site(folder, served.url)
        yield opened
        opened.close()


@pytest.fixture
def page(watching: Watching) -> Iterator[Page]:
    yield watching.page("en")
    assert not watching.wrong
    assert not watching.outside()


def saved(site: Site, run: str, expected: list[str]) -> None:
    """Wait until a run's items have these states."""
    limit = time.monotonic() + 10
    while (states := site.states(run)) != expected:
        assert time.monotonic() < limit, states
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


# One by one.


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
    assert '"Eau de rose 50 ml"' in site.written()[-1]
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
    saved(site, run, ["edited", "review"])
    assert "My title" in site.written()[-1]


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
    page.get_by_label("Sure, per cent").fill("80")
    page.get_by_label("At most bad, per cent").fill("20")
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
    page.get_by_label("Sure, per cent").fill("80")
    page.get_by_label("At most bad, per cent").fill("20")
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
        files=[{"name": "no.xlsx", "mimeType": "application/zip", "buffer": b"no sheet"}]
    )
    expect(page.locator(".wm-problem")).to_contain_text("no.xlsx")


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
