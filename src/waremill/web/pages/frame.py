"""The frame around every page: navigation, header, the place for problems, the list of keys."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from nicegui import ui
from nicegui.element import Element

from waremill.web.pages import serving

if TYPE_CHECKING:
    from waremill.web.pages.shell import View

NAVIGATION = (
    ("c", "/catalogue", "nav.catalogue"),
    ("t", "/templates", "nav.templates"),
    ("d", "/knowledge", "nav.knowledge"),
    ("n", "/new", "nav.new"),
    ("k", "/chat", "nav.chat"),
    ("r", "/runs", "nav.runs"),
    ("e", "/schedules", "nav.schedules"),
    ("h", "/history", "nav.history"),
    ("s", "/spend", "nav.spend"),
    ("p", "/people", "nav.people"),
    ("a", "/audit", "nav.audit"),
)
"""The letter after `g`, the page and its name."""
_ALSO = {"/runs": ("/runs", "/review")}
"""Further paths that belong to an entry of the navigation."""


@dataclass(slots=True)
class Frame:
    """What a page may change of its frame."""

    heading: ui.label
    beside: Element
    problems: Element
    main: Element
    keys: Element
    names: Element
    close: str
    shown: list[str] = field(default_factory=list)

    def show_problem(self, text: str) -> None:
        """Show a sentence above the page until it is closed; the same one only once."""
        if text in self.shown or self.problems.is_deleted:
            return
        self.shown.append(text)
        with self.problems, sentence(text) as line:

            def close() -> None:
                self.shown.remove(text)
                line.delete()

            button = ui.element("button").classes("wm-close").on("click", close)
            button.props["type"] = "button"
            button.props["aria-label"] = self.close
            with button:
                plain("span", "×")

    def list_keys(self, keys: Sequence[tuple[str, str]]) -> None:
        """List a page's keys under `?`, and tell the browser which it is to send."""
        self.names.props["data-keys"] = "\n".join(key for key, _ in keys)
        self.keys.clear()
        self.keys.classes(replace="wm-many" if len(keys) > _ONE_COLUMN else "")
        with self.keys:
            for key, label in keys:
                _key_line(key, label)


class Plain(Element):
    """An element of any tag with text in it, always shown as text."""

    def __init__(self, tag: str, text: str) -> None:
        super().__init__(tag)
        self._text = text

    def set_text(self, text: str) -> None:
        """Show another text."""
        self._text = text
        self.update()


def plain(tag: str, text: str = "", classes: str = "") -> Plain:
    """Make an element of any tag with text in it, always shown as text."""
    return Plain(tag, text).classes(classes)


def sentence(text: str) -> Element:
    """Draw a problem's sentence, read aloud by a screen reader at once."""
    line = ui.element("div").classes("wm-problem").props("role=alert")
    with line:
        plain("span", text)
    return line


def put_away(dialog: Element) -> None:
    """Delete a dialog that was answered; there is none any more where the page was left."""
    if not (dialog.is_deleted or dialog.client.is_deleted):
        dialog.delete()


def draw(view: View) -> Frame:
    """Draw the frame and give the places of it that a page fills."""
    # A route's page object serves everybody: this viewer gets a copy that speaks the language.
    client = ui.context.client
    client.page = copy(client.page)
    client.page.language = "zh-CN" if view.language == "zh" else "en-US"
    # Quasar's page is a <main> around everything; the frame has its own around the content.
    around = client.content.parent_slot.parent if client.content.parent_slot else None
    if around is not None:
        around.tag = "div"
    if view.csrf:
        ui.add_head_html(f'<meta name="waremill-csrf" content="{escape(view.csrf)}">')
    with ui.element("div").classes("wm-frame"):
        skip = plain("a", view.t("shell.skip"), "wm-skip")
        skip.props["href"] = "#wm-main"
        _header(view)
        _navigation(view)
        with ui.element("main").classes("wm-main").props("id=wm-main tabindex=-1"):
            with ui.element("div").classes("wm-heading"):
                heading = ui.label().classes("wm-h1").props("role=heading aria-level=1")
                beside = ui.element("div").classes("wm-beside")
            problems = ui.element("div").classes("wm-problems")
            main = ui.element("div").classes("wm-body")
    keys, names = _keys(view)
    return Frame(heading, beside, problems, main, keys, names, view.t("shell.close"))


def _header(view: View) -> None:
    with ui.element("header").classes("wm-header"):
        home = ui.element("a").classes("wm-brand")
        home.props["href"] = "/"
        with home:
            plain("span", "Waremill")
        plain("span", serving.served().settings.root.name, "wm-place")
        plain("span", "", "wm-gap")
        with ui.element("div").classes("wm-languages").props("role=group") as group:
            group.props["aria-label"] = view.t("shell.language")
            for code, name in (("en", "English"), ("zh", "中文")):
                button = plain("button", name, "wm-language")
                button.props["type"] = "button"
                button.props["lang"] = code
                button.props["data-language"] = code
                button.props["aria-pressed"] = "true" if view.language == code else "false"
        plain("span", view.actor.name, "wm-user")
        if view.csrf:
            away = plain("button", view.t("shell.sign_out"), "wm-language wm-away")
            away.props["type"] = "button"
            away.props["data-sign-out"] = "1"
        help_button = plain("button", "?", "wm-help")
        help_button.props["type"] = "button"
        help_button.props["data-help"] = "1"
        help_button.props["aria-label"] = view.t("shell.keys")


def _navigation(view: View) -> None:
    with ui.element("nav").classes("wm-nav") as nav:
        nav.props["aria-label"] = view.t("shell.navigation")
        for letter, path, key in NAVIGATION:
            link = ui.element("a").classes("wm-link")
            link.props["href"] = path
            link.props["data-go"] = letter
            if any(view.path.startswith(start) for start in _ALSO.get(path, (path,))):
                link.props["aria-current"] = "page"
            with link:
                plain("span", view.t(key))
                plain("kbd", letter).props("aria-hidden=true")


def _keys(view: View) -> tuple[Element, Element]:
    dialog = ui.element("dialog").classes("wm-keys").props("id=wm-keys")
    with dialog:
        with ui.element("div").classes("wm-keys-lists"):
            with ui.element("div").classes("wm-own"):
                plain("h2", view.t("shell.keys_here"))
                here = ui.element("dl")
            with ui.element("div"):
                plain("h2", view.t("shell.keys_everywhere"))
                with ui.element("dl"):
                    _key_line("g", view.t("shell.key_go"))
                    _key_line("/", view.t("shell.key_filter"))
                    _key_line("?", view.t("shell.key_help"))
                    _key_line("Escape", view.t("shell.key_close"))
        with ui.element("form").props("method=dialog"):
            plain("button", view.t("shell.close"), "wm-plain")
    names = ui.element("div").props("id=wm-key-names hidden")
    return here, names


def _key_line(key: str, label: str) -> None:
    with ui.element("div"):
        with ui.element("dt"):
            for part in key.split("+") if len(key) > 1 else (key,):
                plain("kbd", _SHORT.get(part, part))
        with ui.element("dd"):
            plain("span", label)


_ONE_COLUMN = 16  # as many keys as still leave the list short enough to take in at once


_SHORT = {
    "ArrowDown": "↓", "ArrowUp": "↑", "ArrowLeft": "←", "ArrowRight": "→", "Escape": "Esc",
    " ": "Space",
}  # fmt: skip
