"""What a text stands on, in the review and in a product's history: passages, sentences, votes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.web.browser.looking import faint, landmarks, nameless, pale
from tests.web.browser.test_page_knowledge import CARE, SHIPPING
from tests.web.browser.watching import PATIENCE, Watching
from tests.web.browser.workshop import make_shop
from tests.web.served import Served, serving
from tests.workspaces import waremill

from waremill.web.strings import Language, translate

expect.set_options(timeout=PATIENCE)
TEMPLATE = """\
name: care
instruction: You write a care note in English.
context: {knowledge: guides, query: "returns and storage of {{ name }}", top: 3}
input: [name, brand]
output:
  care_note: {type: string, max_chars: 400}
  seal: {type: string, values: [wax, cork]}
checks: [grounded]
"""
PIPELINE = """\
name: care-notes
steps:
  - generate: {template: care, samples: 3, vote: majority}
"""


@pytest.fixture(scope="module")
def reviewed(writer: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    """A served shop with items made from guides, two for each who looks."""
    folder = make_shop(tmp_path_factory.mktemp("standing") / "perfumes", writer)
    (folder / "templates" / "care.yaml").write_text(TEMPLATE, encoding="utf-8")
    (folder / "pipelines" / "care-notes.yaml").write_text(PIPELINE, encoding="utf-8")
    settings = folder / "waremill.toml"
    text = settings.read_text(encoding="utf-8").replace("concurrency = 3", "concurrency = 1")
    settings.write_text(f"{text}asks_again = 0\n", encoding="utf-8")
    guides = folder / "guides"
    guides.mkdir()
    for name, text in (("care.md", CARE), ("shipping.md", SHIPPING)):
        (guides / name).write_text(text, encoding="utf-8")
    for given in (
        ("import", "perfumes.xlsx", "--key", "sku", "--group", "group"),
        ("knowledge", "add", "guides", "guides"),
    ):
        ended = waremill(folder, *given)
        assert ended.code == 0, ended.err
    ended = waremill(folder, "run", "care-notes", "--limit", "4", "--json")
    assert ended.code == 0, ended.err
    with serving(folder) as server:
        yield server, ended.json["run"]


def opened(watching: Watching, url: str, language: Language) -> Page:
    page = watching.page(language)
    page.goto(url)
    page.wait_for_function("window.socket?.connected")
    return page


def faults(page: Page) -> list[str]:
    return nameless(page) + pale(page) + faint(page) + landmarks(page)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_reviewer_sees_what_stands_on_what_and_opens_it_by_key(
    watching: Watching, reviewed: tuple[Served, str], language: Language, pictures: Path
) -> None:
    server, run = reviewed
    page = opened(watching, f"{server.url}/review/{run}", language)

    def t(key: str, **values: object) -> str:
        return translate(language, key, **values)

    field = page.locator(".rv-field").filter(has_text="Grand Prix").first
    lines = field.locator(".kn-stands > li")
    expect(lines).to_have_count(3)
    returned = lines.filter(has_text="cannot be returned")
    expect(returned.get_by_role("button")).to_contain_text(t("standing.on", number="").strip())
    expect(lines.filter(has_text="Grand Prix")).to_contain_text(t("standing.none"))
    expect(lines.filter(has_text="Grand Prix")).to_contain_text("1987")
    seal = page.locator(".rv-field").filter(has_text="wax").first
    expect(seal.locator(".kn-agreement")).to_contain_text("66.7")
    expect(page.locator(".kn-given > li")).to_have_count(3)
    page.screenshot(path=pictures / f"standing-review-{language}.png")
    assert not faults(page)
    page.keyboard.press("j")
    page.keyboard.press("o")
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".kn-chosen")).to_contain_text("Perfume care")
    expect(dialog).to_contain_text("Opened perfume cannot be returned. Unopened bottles")
    page.wait_for_timeout(400)
    page.screenshot(path=pictures / f"standing-passages-{language}.png")
    assert not faults(page)
    link = dialog.locator(".kn-chosen").get_by_role("link", name=t("standing.in_base"))
    address = link.get_attribute("href")
    assert address is not None
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.goto(server.url + address)
    expect(page.get_by_role("complementary")).to_contain_text("Perfume care")
    assert page.evaluate("window.pwned") is None
    assert not watching.wrong and not watching.outside()


def test_a_products_history_says_it_too_and_keeps_what_was_seen(
    watching: Watching, reviewed: tuple[Served, str], pictures: Path
) -> None:
    """A passage that is gone from its base is still shown as the model saw it."""
    server, run = reviewed
    page = opened(watching, f"{server.url}/runs", "en")
    item = page.request.get(f"{server.url}/v1/runs/{run}/items").json()["rows"][-1]
    page.goto(f"{server.url}/history?key={item['key']}")
    page.get_by_role("button", name=translate("en", "history.how")).first.click()
    dialog = page.get_by_role("dialog").filter(visible=True).last
    expect(dialog).to_contain_text("66.7 % of 3 replies agree")
    expect(dialog.locator(".kn-stands > li")).to_have_count(3)
    page.wait_for_timeout(400)
    page.screenshot(path=pictures / "standing-history.png")
    assert not nameless(page) + pale(page)
    gone = page.request.delete(f"{server.url}/v1/knowledge/guides/documents/care.md")
    assert gone.status == 204
    dialog.locator(".kn-given").get_by_role("button").first.click()
    seen = page.get_by_role("dialog").filter(visible=True).last
    expect(seen).to_contain_text("Opened perfume cannot be returned. Unopened bottles")
    expect(seen).to_contain_text("has changed or was removed since")
    page.screenshot(path=pictures / "standing-gone.png")
    assert not watching.wrong and not watching.outside()
