"""A passage or a document beside the page: where it stands, what it says, what it is said of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from nicegui import ui
from nicegui.element import Element

from waremill.app import knowing
from waremill.app.knowing import DocumentShown, PassageInPlace
from waremill.domain import Passage
from waremill.web.pages import tables
from waremill.web.pages.frame import plain
from waremill.web.pages.mounting import STATIC, STATIC_PATH
from waremill.web.pages.shell import View

LONGEST = 60_000
"""Characters of a document's text that the drawer shows."""
NEAR = 400
"""Characters of the text before and after a passage."""
_HAN = r"[㐀-䶿一-鿿]"
_SHORTEST = 3
"""Letters of a word that is marked: shorter ones stand everywhere."""


def load_knowledge() -> None:
    """Load the style of passages."""
    name = "knowledge.css"
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    ui.add_head_html(f'<link rel="stylesheet" href="{STATIC_PATH}/{name}?{digest}">')


def address(base: str, **asked: str) -> str:
    """Give the address of a base's page."""
    query = f"?{urlencode(asked)}" if asked else ""
    return f"/knowledge/{quote(base, safe='')}{query}"


def where_it_stands(view: View, one: Passage) -> str:
    """Say under which headings and on which page of its document a passage stands."""
    parts = [*one.headings]
    if one.page is not None:
        parts.append(view.t("knowledge.page", page=one.page))
    return " › ".join(parts)


class PassageDrawer:
    """A drawer at the right; Escape closes it, and the focus goes back to where it came from."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._box = ui.element("aside").classes("wm-drawer kn-drawer")
        self._box.set_visibility(False)
        view.key("Escape", "knowledge.key_close", self.close)

    def close(self) -> None:
        """Close the drawer."""
        if self._box.visible:
            self._box.set_visibility(False)
            ui.run_javascript("window.waremillBack?.focus()")

    async def passage(self, base: str, passage: str, query: str = "") -> None:
        """Show a passage where it stands; raises NotFound for one that is gone."""
        found = await knowing.show_passage(await self._view.workspace(), base, passage)
        with self._opened(found.passage.document):
            self._passage(found, query)

    async def document(self, base: str, name: str) -> None:
        """Show a document with its text."""
        found = await knowing.show_document(await self._view.workspace(), base, name)
        with self._opened(found.name):
            self._document(found)

    def _opened(self, name: str) -> Element:
        view = self._view
        if not self._box.visible:
            ui.run_javascript("window.waremillBack = document.activeElement")
        self._box.clear()
        self._box.props["aria-label"] = name
        self._box.set_visibility(True)
        with self._box, ui.element("div").classes("wm-drawer-head"):
            plain("h2", name).style("margin: 0; flex: 1; overflow-wrap: anywhere")
            close = plain("button", "×", "wm-close")
            close.props["type"] = "button"
            close.props["aria-label"] = view.t("shell.close")
            close.on("click", self.close)
        ui.run_javascript(
            f"setTimeout(() => document.querySelector('#c{self._box.id} .wm-close')?.focus(), 60)"
        )
        return self._box

    def _passage(self, found: PassageInPlace, query: str) -> None:
        view, one = self._view, found.passage
        with ui.element("div").classes("kn-place"):
            plain("span", where_it_stands(view, one) or one.title)
            whole = address(found.knowledge, document=one.document)
            tables.link(view.t("knowledge.whole"), whole, "kn-whole")
        if found.before:
            near(
                view.t("knowledge.before"), "…" * (len(found.before) > NEAR) + found.before[-NEAR:]
            )
        with ui.element("div").classes("kn-text kn-here"):
            marked(one.text, query)
        if found.after:
            cut = "…" if len(found.after) > NEAR else ""
            near(view.t("knowledge.after"), found.after[:NEAR] + cut)
        metadata(view, one.metadata)

    def _document(self, found: DocumentShown) -> None:
        view, t = self._view, self._view.t
        source = t("knowledge.upload") if found.source == "upload" else found.source
        # A folder of the server's is not for everybody who may read the document.
        web = source.startswith(("http://", "https://")) or found.source == "upload"
        lines = [
            (t("knowledge.title"), found.title), (t("knowledge.kind"), found.media_type),
            (t("knowledge.size"), bytes_of(view, found.size)),
            (t("knowledge.passages"), view.number(found.passages)),
            (t("knowledge.changed"), view.moment(found.changed_at)),
            (t("knowledge.source"), source if web else ""),
        ]  # fmt: skip
        tables.pairs([(name, value) for name, value in lines if value])
        for note in found.notes:
            plain("div", view.sentence(note), "wm-warn")
        metadata(view, found.metadata)
        plain("h2", t("knowledge.text"))
        text = found.text or ""
        if len(text) > LONGEST:
            plain("div", t("knowledge.cut", count=LONGEST), "wm-muted")
        plain("div", text[:LONGEST], "kn-text")


def near(label: str, text: str) -> None:
    """Draw what stands beside a passage."""
    with ui.element("div").classes("kn-near"):
        plain("div", label, "wm-figure-name")
        plain("div", text, "kn-text")


def metadata(view: View, values: Mapping[str, Any]) -> None:
    """Draw a document's metadata, where it has any."""
    if values:
        plain("h2", view.t("knowledge.metadata_column"))
        tables.pairs({name: written(value) for name, value in sorted(values.items())})


def written(value: Any) -> str:
    """Write a value of metadata in one line."""
    return ", ".join(map(str, value)) if isinstance(value, list) else tables.shown(value, None)


def bytes_of(view: View, size: int) -> str:
    """Write a size in kB or MB."""
    if size < 1_000_000:
        return f"{view.number(max(size / 1000, 0.1), 1 if size < 10_000 else 0)} kB"
    return f"{view.number(size / 1e6, 1)} MB"


def marked(text: str, query: str) -> None:
    """Draw a text with the words of a query marked in it."""
    for part, is_word in _parts(text, query):
        plain("mark" if is_word else "span", part)


def _parts(text: str, query: str) -> Iterator[tuple[str, bool]]:
    wanted = [rf"(?<!\w){re.escape(one)}" for one in re.findall(r"\w+", query) if _counts(one)]
    for run in re.findall(rf"{_HAN}+", query):
        wanted += [re.escape(run[place : place + 2]) for place in range(len(run) - 1)]
    if not wanted:
        yield text, False
        return
    words = "|".join(sorted(set(wanted), key=lambda one: (-len(one), one)))
    place = 0
    for match in re.finditer(rf"(?:{words})+", text, re.IGNORECASE):
        if match.start() > place:
            yield text[place : match.start()], False
        yield match[0], True
        place = match.end()
    if place < len(text):
        yield text[place:], False


def _counts(word: str) -> bool:
    return len(word) >= _SHORTEST and not re.search(_HAN, word)


__all__ = [
    "PassageDrawer",
    "address",
    "bytes_of",
    "load_knowledge",
    "marked",
    "where_it_stands",
    "written",
]
