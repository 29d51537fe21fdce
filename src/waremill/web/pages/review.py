"""The review desk: one item at a time, many at once, by sample, or in Excel."""

from __future__ import annotations

import hashlib
from functools import partial

from nicegui import ui
from nicegui.element import Element

from waremill.errors import WaremillError
from waremill.web.pages import tables
from waremill.web.pages.frame import plain
from waremill.web.pages.mounting import STATIC, STATIC_PATH
from waremill.web.pages.passages import load_knowledge
from waremill.web.pages.pictures import load_pictures
from waremill.web.pages.review_bulk import Bulk
from waremill.web.pages.review_filters import FilterBar, address, in_words, read_filters
from waremill.web.pages.review_focus import Focus
from waremill.web.pages.review_lots import Lots, Sample
from waremill.web.pages.review_sheet import Sheet
from waremill.web.pages.review_sitting import Sitting
from waremill.web.pages.shell import View, console

MODES = (("F", "focus"), ("B", "bulk"), ("S", "lots"), ("X", "sheet"))
PARTS = ("states", "rule", "field", "target", "text", "where")


@console("/review/{run}", "review.title")
async def review_page(
    view: View, run: str, mode: str = "focus", item: str = "", lot: str = ""
) -> None:
    """Draw the review of a run; filters stand in the address, so that a page can be passed on."""
    load_assets()
    load_pictures()
    load_knowledge()
    workspace = await view.workspace()
    found = await workspace.find_run(run)
    view.title(view.t("review.of", name=found.name))
    sitting = Sitting(view, found.name, found.plan.get("catalog"))
    query = view.request.query_params
    filters = read_filters({name: query.get(name, "") for name in PARTS})
    page = _ReviewPage(sitting, mode if mode in dict(MODES).values() else "focus")
    page.modes()
    targets = [one for one in found.plan["targets"] if one]
    page.bar = sitting.bar = FilterBar(view, found.name, targets, filters, page.filtered)
    await page.draw(_number(item), _number(lot))


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


class _ReviewPage:
    def __init__(self, sitting: Sitting, mode: str) -> None:
        self.sitting = sitting
        self.view = sitting.view
        self.mode = mode
        self.links: dict[str, Element] = {}
        self.bar: FilterBar
        self.way: Focus | Sample | Bulk | Lots | Sheet

    def modes(self) -> None:
        """Draw the links to the ways to review."""
        t = self.view.t
        with self.view.frame.beside, ui.element("nav").classes("rv-modes") as nav:
            nav.props["aria-label"] = t("review.modes")
            for key, mode in MODES:
                link = tables.link(t(f"review.mode_{mode}"), "#", "rv-mode")
                link.props["title"] = key
                if mode == self.mode:
                    link.props["aria-current"] = "page"
                self.links[mode] = link

    def _go(self, mode: str) -> None:
        ui.navigate.to(address(self.sitting.run, mode, self.bar.filters))

    def _link(self) -> None:
        for mode, link in self.links.items():
            link.props["href"] = address(self.sitting.run, mode, self.bar.filters)
            link.update()

    async def filtered(self) -> None:
        """Show what other filters pick."""
        self._link()
        self._say_filter()
        here = address(self.sitting.run, self.mode, self.bar.filters)
        ui.run_javascript(f"history.replaceState(null, '', {ui_text(here)})")
        await self.way.filtered()

    async def draw(self, item: int | None, lot: int | None) -> None:
        """Draw the chosen way; its data come once the page stands."""
        self._link()
        if self.mode == "focus":
            self.bar.show(bool(self.bar.filters.query))
            self.view.key("f", "review.key_filter", self._toggle)
            with self.view.frame.beside:
                self.filter = tables.button("", self._toggle, "rv-filter-button")
            self.way = Focus(self.sitting)
        elif self.mode == "lots":
            self.bar.show(lot is None)
            self.way = Lots(self.sitting) if lot is None else Sample(self.sitting, lot)
        else:
            self.way = Bulk(self.sitting) if self.mode == "bulk" else Sheet(self.sitting)
        self._say_filter()
        self.way.draw()
        for key, mode in MODES:
            self.view.key(key, f"review.key_{mode}", partial(self._go, mode))
        if isinstance(self.way, (Focus, Sample)):
            ui.context.client.on_delete(self._leave)
        self.view.later(lambda: self._begin(item))

    def _say_filter(self) -> None:
        """Name the filter on its button, where the inputs may be hidden."""
        if self.mode != "focus":
            return
        filtered = bool(self.bar.filters.query)
        what = in_words(self.view, self.bar.filters)
        words = self.view.t("review.filter")
        if filtered:
            words = self.view.t("review.filter_is", what=what)
        self.filter.clear()
        with self.filter:
            ui.label(words).classes("rv-clip")
            plain("kbd", "f").props("aria-hidden=true")

    def _toggle(self) -> None:
        self.bar.show(not self.bar.box.visible)

    async def _begin(self, item: int | None) -> None:
        way = self.way
        if isinstance(way, (Focus, Sample)):
            before = await self.sitting.sit_down()
            await way.begin(item, before)
            await way.count()
        else:
            await way.begin()
        await self.bar.offer()

    async def _leave(self) -> None:
        if not isinstance(self.way, (Focus, Sample)) or not self.sitting.stand_up():
            return
        try:
            await self.way.leave()
        except WaremillError:  # signed out meanwhile: the leases end by themselves
            return


def ui_text(text: str) -> str:
    """Write a text as a literal of JavaScript."""
    import orjson

    return orjson.dumps(text).decode().replace("<", "\\u003c")


def load_assets() -> None:
    """Load the style and the script of the review desk."""
    for name, line in (
        ("review.css", '<link rel="stylesheet" href="{path}">'),
        ("review.js", '<script defer src="{path}"></script>'),
    ):
        digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
        ui.add_head_html(line.format(path=f"{STATIC_PATH}/{name}?{digest}"))
