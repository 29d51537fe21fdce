"""The page *Knowledge*: documents are added, searched, opened and removed, by mouse and by key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.web.browser.looking import faint, landmarks, nameless, pale
from tests.web.browser.watching import PATIENCE, Watching
from tests.web.browser.workshop import make_shop
from tests.web.served import Served, serving
from tests.workspaces import waremill

from waremill.web.strings import Language, translate

expect.set_options(timeout=PATIENCE)

CARE = """\
---
brand: Acme
market: [DE, AT]
---
# Perfume care

## Storage

Keep bottles upright, in a cool and dark place. Sunlight changes the scent within weeks.

## Returns

Opened perfume cannot be returned. Unopened bottles may be sent back within thirty days.

## Allergens

Linalool and limonene are listed on every box. <img src=x onerror=window.pwned=1>
"""
SHIPPING = """\
---
brand: Other
market: [FR]
---
# Shipping

Parcels take three working days. Perfume is a dangerous good and never travels by air.
"""
CHINESE = """\
# 退货政策

已开封的香水不能退货，未开封的可在三十天内退回。

## 发货

包裹三天内送达。
"""


@pytest.fixture(scope="module")
def served(writer: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A served shop with one knowledge base of three documents."""
    folder = make_shop(tmp_path_factory.mktemp("knowledge") / "perfumes", writer)
    guides = folder / "guides"
    guides.mkdir()
    for name, text in (("care.md", CARE), ("shipping.md", SHIPPING), ("退货.md", CHINESE)):
        (guides / name).write_text(text, encoding="utf-8")
    ended = waremill(folder, "knowledge", "add", "guides", "guides")
    assert ended.code == 0, ended.err
    with serving(folder) as server:
        yield server


def opened(watching: Watching, served: Served, path: str, language: Language = "en") -> Page:
    page = watching.page(language)
    page.goto(served.url + path)
    page.wait_for_function("window.socket?.connected")
    return page


def faults(page: Page) -> list[str]:
    return nameless(page) + pale(page) + faint(page) + landmarks(page)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_passage_is_found_by_its_filter_and_opened_by_keyboard(
    watching: Watching, served: Served, language: Language, pictures: Path
) -> None:
    page = opened(watching, served, "/knowledge", language)
    expect(page.get_by_role("row").filter(has_text="guides")).to_contain_text(
        translate(language, "knowledge.state_ready")
    )
    page.screenshot(path=pictures / f"knowledge-list-{language}.png")
    assert not faults(page)
    page.get_by_role("link", name="guides").click()
    page.wait_for_url("**/knowledge/guides")
    page.wait_for_function("window.socket?.connected")
    expect(page.get_by_role("button", name="care.md", exact=True)).to_be_visible()
    page.screenshot(path=pictures / f"knowledge-base-{language}.png")
    assert not faults(page)
    page.keyboard.press("/")
    page.keyboard.type("退货" if language == "zh" else "may opened perfume be returned")
    page.keyboard.press("Enter")
    hits = page.locator(".kn-hit")
    expect(hits.first).to_contain_text("退货.md" if language == "zh" else "care.md")
    expect(hits.first.locator("mark").first).to_be_visible()
    page.screenshot(path=pictures / f"knowledge-found-{language}.png")
    assert not faults(page)
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(hits.first.get_by_role("button")).to_be_focused()
    page.keyboard.press("Enter")
    drawer = page.get_by_role("complementary")
    expect(drawer).to_contain_text("三十天" if language == "zh" else "Opened perfume")
    page.screenshot(path=pictures / f"knowledge-passage-{language}.png")
    assert not faults(page)
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(hits.first.get_by_role("button")).to_be_focused()
    page.get_by_label(translate(language, "knowledge.filter", name="brand")).click()
    page.get_by_role("option", name="Other").click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name=translate(language, "knowledge.find"), exact=True).click()
    expect(hits.filter(has_text="care.md")).to_have_count(0)
    expect(hits.filter(has_text="shipping.md")).to_have_count(1)
    assert page.evaluate("window.pwned") is None
    assert not watching.wrong and not watching.outside()


def test_documents_are_added_with_what_was_wrong_then_one_and_all_are_removed(
    watching: Watching, served: Served, tmp_path: Path, pictures: Path
) -> None:
    good, bad = tmp_path / "warranty.txt", tmp_path / "broken.pdf"
    good.write_text("The warranty covers two years from the day of purchase.", encoding="utf-8")
    bad.write_bytes(b"%PDF-1.4 cut")
    page = opened(watching, served, "/knowledge")
    page.keyboard.press("a")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name: small letters").fill("Legal Texts")
    page.set_input_files(".q-dialog input[type=file]", [good, bad])
    expect(dialog).to_contain_text("2 files to add")
    dialog.get_by_label("Web addresses").fill("https://127.0.0.1:1/private")
    dialog.get_by_label("Metadata").fill("brand=Acme\nmarket")
    page.screenshot(path=pictures / "knowledge-add.png")
    assert not nameless(page) + pale(page) + faint(page)
    add = dialog.get_by_role("button", name="Add", exact=True)
    add.click()
    expect(dialog.get_by_role("alert")).to_contain_text("write NAME=VALUE, not “market”")
    dialog.get_by_label("Metadata").fill("brand=Acme\nmarket=DE")
    add.click()
    expect(dialog.get_by_role("alert")).to_contain_text("1 to 64 small letters")
    dialog.get_by_label("Name: small letters").fill("legal")
    add.click()
    expect(dialog.get_by_role("table")).to_contain_text("broken.pdf")
    expect(dialog).to_contain_text("is not on the public internet")
    page.screenshot(path=pictures / "knowledge-added.png")
    assert not nameless(page) + pale(page) + faint(page)
    dialog.get_by_role("link", name="Open legal").click()
    page.wait_for_url("**/knowledge/legal")
    page.wait_for_function("window.socket?.connected")
    row = page.get_by_role("row").filter(has_text="warranty.txt")
    expect(row).to_contain_text("market: DE")
    page.get_by_role("button", name="Rebuild").click()
    page.get_by_role("dialog").get_by_role("button", name="Rebuild").click()
    expect(page.get_by_text("1 passage indexed")).to_be_visible()
    row.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Back").click()
    expect(row).to_have_count(1)
    row.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)
    expect(page.get_by_text("No document.")).to_be_visible()
    page.get_by_role("button", name="Remove", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    page.wait_for_url("**/knowledge")
    expect(page.get_by_role("link", name="guides")).to_be_visible()
    expect(page.get_by_role("link", name="legal")).to_have_count(0)
    assert not watching.wrong and not watching.outside()


def test_how_far_adding_is_shows_in_the_dialog_and_on_every_page(
    watching: Watching, served: Served, tmp_path: Path, pictures: Path
) -> None:
    """Whoever closes the dialog, or looks from elsewhere, sees it go on to its end."""
    files = []
    for number in range(60):
        path = tmp_path / f"part-{number:02}.txt"
        said = (f"Note {number}.{n}: bottle {n * number} stands on shelf {n}." for n in range(150))
        path.write_text("\n\n".join(said), encoding="utf-8")
        files.append(path)
    page = opened(watching, served, "/knowledge")
    page.get_by_role("button", name="New knowledge base").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name: small letters").fill("shelves")
    page.set_input_files(".q-dialog input[type=file]", files)
    expect(dialog).to_contain_text("60 files to add")
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog.get_by_role("status")).to_contain_text("Embedding documents: ")
    page.screenshot(path=pictures / "knowledge-adding.png")
    assert not nameless(page) + pale(page)
    dialog.get_by_role("button", name="Close").click()
    row = page.get_by_role("row").filter(has_text="shelves")
    expect(row).to_contain_text("being changed")
    expect(row).to_contain_text("of 60")
    page.screenshot(path=pictures / "knowledge-changing.png")
    other = opened(watching, served, "/knowledge/shelves", "zh")
    expect(other.get_by_role("status")).to_contain_text("/ 60")
    expect(other.locator(".wm-figure").first).to_contain_text("60")
    expect(other.get_by_role("status")).to_have_count(0, timeout=60_000)
    expect(row).to_contain_text("ready", timeout=60_000)
    expect(other.get_by_role("row").filter(has_text="part-00.txt")).to_be_visible()
    assert not watching.wrong and not watching.outside()
