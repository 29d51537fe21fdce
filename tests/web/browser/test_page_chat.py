"""The page *Chat*: keyboard, streaming, sources, permission, branches; nothing leaves unseen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.app.talking import CARE
from tests.talker import talker_process
from tests.web.browser.looking import faint, landmarks, nameless, pale
from tests.web.browser.watching import PATIENCE, Watching
from tests.web.browser.workshop import make_shop
from tests.web.served import Served, serving
from tests.workspaces import waremill

from waremill.web.strings import Language, translate

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A served shop with a catalogue, a guide, and a model that talks."""
    with talker_process() as url:
        folder = make_shop(tmp_path_factory.mktemp("chat") / "shop", url)
        (folder / "care.md").write_text(CARE, encoding="utf-8")

        for given in (
            ("import", "perfumes.xlsx", "--key", "sku", "--group", "group"),
            ("knowledge", "add", "guide", "care.md"),
        ):
            ended = waremill(folder, *given)
            assert ended.code == 0, ended.err
        with serving(folder) as server:
            yield server


def opened(watching: Watching, served: Served, language: Language) -> Page:
    page = watching.page(language)
    page.goto(f"{served.url}/chat")
    expect(page.locator(".ch-box")).to_be_focused()
    return page


def ask(page: Page, text: str) -> None:
    page.locator(".ch-box").fill(text)
    page.locator(".ch-box").press("Enter")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_question_is_answered_by_keyboard_and_its_source_opens(
    watching: Watching, served: Served, language: Language, pictures: Path
) -> None:
    page = opened(watching, served, language)
    assert not nameless(page) + pale(page) + faint(page) + landmarks(page)
    ask(page, "已开封的香水可以退货吗？" if language == "zh" else "And returns?")
    turn = page.locator(".ch-turn").last
    expect(turn.locator(".ch-figures")).to_be_visible()
    chip = turn.locator(".ch-text .ch-chip").first
    chip.focus()
    page.keyboard.press("Enter")
    panel = page.locator(".ch-panel")
    expect(panel).to_contain_text("care › ")
    page.screenshot(path=pictures / f"chat-{language}.png")
    assert not nameless(page) + pale(page) + faint(page) + landmarks(page)
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(chip).to_be_focused()
    if language == "en":
        turn.get_by_role("button", name="the carrier").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("https://parcels.example/track?order=7")
        assert not pale(page)
        page.keyboard.press("Escape")
        expect(turn.locator("table")).to_be_visible()
    assert not watching.wrong and not watching.outside()


def test_a_reply_is_stopped_edited_and_both_are_kept(watching: Watching, served: Served) -> None:
    page = opened(watching, served, "en")
    ask(page, "tell me a long story")
    expect(page.locator(".ch-text")).to_contain_text("the scent opened again")
    page.locator(".ch-box").press("Escape")
    stopped = translate("en", "chat.stopped")
    expect(page.locator(".ch-turn")).to_contain_text(stopped)
    page.locator(".ch-box").press("ArrowUp")
    expect(page.locator(".ch-box")).to_have_value("tell me a long story")
    ask(page, "And returns?")
    expect(page.locator(".ch-figures")).to_be_visible()
    expect(page.locator(".ch-turn")).to_have_count(1)
    expect(page.locator(".ch-of")).to_have_text("2/2")
    page.get_by_role("button", name=translate("en", "chat.earlier")).click()
    expect(page.locator(".ch-turn")).to_contain_text(stopped)
    page.reload()
    expect(page.locator(".ch-turn")).to_contain_text(stopped)
    assert not watching.wrong and not watching.outside()


def test_a_change_is_asked_about_and_a_draft_opens(watching: Watching, served: Served) -> None:
    page = opened(watching, served, "en")
    ask(page, "please save it")
    card = page.locator(".ch-permission")
    expect(card).to_contain_text('"name": "no-notes"')
    expect(card.get_by_role("button", name=translate("en", "chat.deny"))).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".ch-turn")).to_contain_text("Then I leave it as it is.")
    ask(page, "draft the perfumes without notes, in French")
    expect(page.locator(".ch-card").last).to_contain_text("missing(top_notes)")
    page.get_by_role("link", name=translate("en", "chat.open_catalogue")).click()
    expect(page.locator("input[data-filter], [data-filter] input").first).to_have_value(
        "missing(top_notes)"
    )
    page.go_back()
    expect(page.locator(".ch-turn")).to_have_count(2)
    ask(page, "write a template")
    page.get_by_role("link", name=translate("en", "chat.open_editor")).click()
    expect(page.locator(".cm-content")).to_contain_text("You write product copy in")
    expect(page.locator(".wm-main")).to_contain_text("not saved")
    assert not watching.wrong and not watching.outside()


def test_what_a_model_writes_is_never_html(watching: Watching, served: Served) -> None:
    page = opened(watching, served, "en")
    evil = (
        "<img src=x onerror=alert(1)> ![p](https://evil.example/p.png?d=1) [a](javascript:alert(1))"
        " <script>alert(2)</script> [1](https://evil.example/?q=1) **[b](https://evil.example/b)**"
    )
    page.evaluate(
        """(text) => waremillChat.show({id: 0, title: "x", cost: "", exports: {}, turns: [{
          id: 1, question: text, reply: text, state: "complete", beside: [1], sources: [],
          cited: [], steps: [], drafts: [], notes: [text], error: "", model: text,
          first: 0, seconds: 0, input: "", output: "", cost: ""}]})""",
        evil,
    )
    turn = page.locator(".ch-turn")
    expect(turn).to_contain_text("onerror=alert(1)")
    for tag in ("img", "script", "a", "iframe"):
        expect(turn.locator(tag)).to_have_count(0)
    expect(turn.locator(".ch-open")).to_have_count(3)
    expect(turn).to_contain_text("(evil.example)")
    expect(turn).to_contain_text("a (javascript:alert(1))")
    assert not watching.wrong and not watching.outside()


SLOW = {
    "quotations": ">" * 20_000,
    "links": "[a](" * 5_000,
    "code": " ".join("`" * n for n in range(1, 150)),
    "rows": "a|b\n" + " " * 20_000 + "x",
    "marks": "**a __b ~~c " * 1_600,
    "heading": "# " + "#" * 20_000 + " x",
}


def test_a_reply_written_to_freeze_the_page_does_not(watching: Watching, served: Served) -> None:
    page = opened(watching, served, "en")
    for name, text in SLOW.items():
        took = page.evaluate(
            """(text) => {
                const make = (tag, _classes, text) => {
                    const node = document.createElement(tag);
                    if (text) node.textContent = text;
                    return node;
                };
                const button = (text) => make("button", "", text);
                const kit = { make, button, word: (key) => key, chip: () => null };
                const begun = performance.now();
                window.waremillMarkdown(kit)(text, make("div"), { sources: new Map() });
                return performance.now() - begun;
            }""",
            text,
        )
        assert took < 2_500, name
