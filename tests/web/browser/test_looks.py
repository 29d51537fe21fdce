"""Every page can be read, named and walked through by keyboard, in both languages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.web.browser.looking import nameless, pale, unmarked
from tests.web.browser.story import Story
from tests.web.browser.watching import Watching
from tests.web.browser.workshop import make_shop
from tests.web.served import serving
from tests.workspaces import waremill

from waremill.web.strings import Language

STOPS = 22
"""How often Tab is pressed on a page: past the navigation's end, into the page itself."""
PAGES = {
    "catalogue": "/catalogue", "product": "/catalogue?key=CH-N5-EDP-50",
    "completeness": "/catalogue?tab=completeness", "templates": "/templates", "new": "/new",
    "runs": "/runs", "run": "/runs/{run}", "items": "/runs/{run}?tab=items",
    "plan": "/runs/{run}?tab=plan", "focus": "/review/{run}", "bulk": "/review/{run}?mode=bulk",
    "lots": "/review/{run}?mode=lots", "sheet": "/review/{run}?mode=sheet",
    "history": "/history?key=CH-N5-EDP-50", "spend": "/spend", "people": "/people",
    "audit": "/audit", "nowhere": "/runs/nothing",
}  # fmt: skip

WALKED = ("catalogue", "new", "focus", "people")


@pytest.fixture(scope="module")
def stocked(writer: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A served workspace with a finished run: its address and the run's name."""
    with ExitStack() as stack:
        root = make_shop(tmp_path_factory.mktemp("looks") / "perfumes", writer)
        done = waremill(root, "import", "perfumes.xlsx", "--key", "sku", "--group", "group")
        assert done.code == 0, done
        done = waremill(root, "run", "launch", "--limit", "12", "--json")
        assert done.code == 0, done
        yield stack.enter_context(serving(root)).url, done.json["run"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_everything_has_a_name_and_enough_contrast(
    language: Language, stocked: tuple[str, str], watching: Watching, pictures: Path
) -> None:
    url, run = stocked
    story = Story(watching.page(language), url, language, pictures, prefix="page-")
    for name, path in PAGES.items():
        open_whole(story, path.format(run=run))
        story.see(name)
    missing = [one for one in story.faults if one.startswith("nowhere: ")]
    assert len(missing) == 1, missing
    faults = [one for one in story.faults if one not in missing]
    assert not faults, "\n".join(faults)
    assert not [one for one in watching.wrong if "status of 404" not in one]
    assert not watching.outside()


def test_the_focus_can_be_seen_wherever_tab_leads(
    stocked: tuple[str, str], watching: Watching, tmp_path: Path
) -> None:
    url, run = stocked
    story = Story(watching.page("en"), url, "en", tmp_path)
    found = []
    for name in WALKED:
        open_whole(story, PAGES[name].format(run=run))
        found += [f"{name}: {one}" for one in unmarked(story.page, STOPS)]
    assert not found, "\n".join(found)


def open_whole(story: Story, path: str) -> None:
    """Open a page and wait until nothing of it is loading any more."""
    story.open(path)
    story.page.wait_for_load_state("networkidle")
    expect(story.page.get_by_text(story.t("shell.loading"))).to_have_count(0)


def test_the_keys_of_a_page_are_listed_and_lead_around(
    stocked: tuple[str, str], watching: Watching, tmp_path: Path
) -> None:
    url, run = stocked
    story = Story(watching.page("en"), url, "en", tmp_path)
    page = story.page
    story.open(f"/review/{run}")
    story.card()
    page.keyboard.press("?")
    listed = page.locator("dialog[open]")
    expect(listed).to_contain_text(story.t("review.key_accept"))
    assert not nameless(page) + pale(page)
    page.keyboard.press("Escape")
    expect(listed).to_have_count(0)
    for letter, title in (("c", "catalogue"), ("t", "templates"), ("n", "new"), ("r", "runs"),
                          ("h", "history"), ("s", "spend"), ("a", "audit")):  # fmt: skip
        story.go(letter, f"nav.{title}")
    page.keyboard.press("/")
    expect(page.locator("input:focus")).to_have_count(1)
    assert not watching.wrong
