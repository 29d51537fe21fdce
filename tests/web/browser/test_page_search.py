"""The search boxes: products by meaning in the catalogue, and a chat kept to one knowledge base."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from tests.talker import talker_process
from tests.web.browser.test_page_knowledge import CARE, SHIPPING
from tests.web.browser.watching import PATIENCE, Watching
from tests.web.browser.workshop import make_shop
from tests.web.served import Served, serving
from tests.workspaces import waremill, write_sheet

from waremill.web.strings import Language, translate

expect.set_options(timeout=PATIENCE)
ROWS = [
    {"sku": "rose", "name": "Rose perfume with jasmine", "category": "Perfume"},
    {"sku": "shoe", "name": "Running shoe for trails", "category": "Shoes"},
    {"sku": "boot", "name": "Hiking boot made of leather", "category": "Shoes"},
    {"sku": "table", "name": "Dining table made of oak", "category": "Furniture"},
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A served shop with four products and two knowledge bases."""
    with talker_process() as url:
        folder = make_shop(tmp_path_factory.mktemp("search") / "shop", url)
        write_sheet(folder / "goods.csv", ROWS)
        (folder / "care.md").write_text(CARE, encoding="utf-8")
        (folder / "shipping.md").write_text(SHIPPING, encoding="utf-8")
        for given in (
            ("import", "goods.csv", "--key", "sku"),
            ("knowledge", "add", "guide", "care.md"),
            ("knowledge", "add", "parcels", "shipping.md"),
        ):
            ended = waremill(folder, *given)
            assert ended.code == 0, ended.err
        with serving(folder) as server:
            yield server


def opened(watching: Watching, served: Served, path: str, language: Language) -> Page:
    page = watching.page(language)
    page.goto(served.url + path)
    page.wait_for_function("window.socket?.connected")
    return page


def rows(page: Page) -> list[str]:
    cells = page.locator(".ag-pinned-left-cols-container .ag-cell")
    return [one.strip() for one in cells.all_inner_texts()]


@pytest.mark.parametrize(
    ("language", "text"), [("en", "something to jog in"), ("zh", "跑步穿的鞋子")]
)
def test_products_are_found_by_meaning_bounded_by_the_where_and_cleared(
    watching: Watching, served: Served, language: Language, text: str
) -> None:
    page = opened(watching, served, "/catalogue", language)
    first = page.locator(".ag-pinned-left-cols-container [row-index='0'] .ag-cell")
    box = page.get_by_label(translate(language, "catalogue.search"), exact=True)
    box.fill(text)
    box.press("Enter")
    # The first search loads the model and makes the index.
    expect(page.get_by_text(translate(language, "catalogue.best"))).to_be_visible(timeout=60_000)
    expect(first).to_have_text("shoe")
    link = page.get_by_role("link", name=translate(language, "catalogue.new_run"))
    assert "search=" in str(link.get_attribute("href"))
    where = page.get_by_label(translate(language, "catalogue.where"), exact=True)
    where.fill("category = 'Furniture'")
    where.press("Enter")
    expect(first).to_have_text("table")
    assert rows(page) == ["table"]
    page.reload()
    page.wait_for_function("window.socket?.connected")
    expect(box).to_have_value(text)
    expect(first).to_have_text("table")
    box.fill("")
    box.press("Enter")
    where.fill("")
    where.press("Enter")
    expect(page.get_by_text(translate(language, "catalogue.count", count=4))).to_be_visible()
    assert not watching.wrong and not watching.outside()


def test_a_chat_looks_into_the_chosen_documents_alone(watching: Watching, served: Served) -> None:
    page = opened(watching, served, "/chat", "en")
    page.get_by_label(translate("en", "chat.knowledge")).click()
    page.get_by_role("option", name="parcels").click()
    page.keyboard.press("Escape")
    box = page.locator(".ch-box")
    box.fill("And returns?")
    box.press("Enter")
    turn = page.locator(".ch-turn").last
    expect(turn.locator(".ch-figures")).to_be_visible()
    number = page.url.partition("?c=")[2]
    kept = page.request.get(f"{served.url}/v1/chat/{number}").text()
    assert '"parcels"' in kept
    assert "cannot be returned" not in kept
    assert not watching.wrong and not watching.outside()
