"""What the parts of the page *Templates* share: the text in the editor, and what it is tried on."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field

import orjson
from nicegui import ui
from nicegui.element import Element

from waremill.app.browsing import Browse
from waremill.app.editing import Editor, TemplateText, Using
from waremill.app.linting import Kind
from waremill.errors import UserError
from waremill.web.pages.frame import plain
from waremill.web.pages.mounting import STATIC, STATIC_PATH
from waremill.web.pages.shell import View

SHEET = "editing.css"
KEYS_OFFERED = 50


@dataclass
class Desk:
    """One person's editor of one file: the text as it is now, and the product it is tried on."""

    view: View
    opened: TemplateText
    text: str
    catalog: str | None = None
    key: str = ""
    target: str | None = None
    model: str | None = None
    keys: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        """The file's path in the workspace."""
        return self.opened.path

    @property
    def kind(self) -> Kind:
        """What the file is."""
        return self.opened.kind

    @property
    def changed(self) -> bool:
        """Whether the text differs from what was opened or saved last."""
        return self.text.rstrip("\n") != self.opened.text.rstrip("\n")

    @property
    def tried(self) -> bool:
        """Whether there is a prompt to show: a template or pipeline, and a product."""
        return self.kind in ("template", "pipeline") and bool(self.key)

    @property
    def using(self) -> Using:
        """With what the text is tried."""
        return Using(self.catalog, self.model)

    def models(self, known: Collection[str]) -> dict[str | None, str]:
        """Give the models to choose from, the file's own choice first."""
        return {None: self.view.t("tpl.as_set")} | dict(zip(known, known, strict=True))

    async def editor(self) -> Editor:
        """Give the use cases, as the viewer may use them now."""
        return Editor(await self.view.workspace())

    async def find_products(self) -> None:
        """Take the first products of the chosen catalogue to choose from; none is no error."""
        workspace = await self.view.workspace()
        self.keys = []
        try:
            page = await Browse(workspace).products(self.catalog, size=KEYS_OFFERED)
        except UserError:
            page = None
        if page is not None:
            self.keys = [product.key for product in page.rows]
        self.key = self.keys[0] if self.keys else ""


def load_style() -> None:
    """Load the style of the pages where things are edited and marked."""
    digest = hashlib.sha256((STATIC / SHEET).read_bytes()).hexdigest()[:12]
    ui.add_head_html(f'<link rel="stylesheet" href="{STATIC_PATH}/{SHEET}?{digest}">')


def text_block(text: str) -> Element:
    """Draw a text as it is, in a fixed-width font; always as text."""
    return plain("pre", text, "ed-prompt")


def heading(text: str) -> Element:
    """Draw a heading inside a panel."""
    return plain("h3", text)


def quoted(text: str) -> str:
    """Write a text as a JavaScript string."""
    return orjson.dumps(text).decode()


def name_inner(element: Element, selector: str, label: str) -> None:
    """Name a part that the browser draws inside an element, for who does not see it."""
    place = quoted(f"#c{element.id} {selector}")
    ui.run_javascript(_NAME % (place, quoted(label)))


_NAME = """
(function name(tries) {
  const found = document.querySelector(%s);
  if (found) found.setAttribute("aria-label", %s);
  else if (tries) setTimeout(() => name(tries - 1), 100);
})(50)
"""
