"""Search a knowledge base: a box, filters by the documents' metadata, the passages found."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from nicegui import ui

from waremill.app import knowing
from waremill.domain import Passage, Search
from waremill.errors import WaremillError
from waremill.web.pages import tables
from waremill.web.pages.frame import plain
from waremill.web.pages.passages import marked, where_it_stands
from waremill.web.pages.shell import View

TOPS = (5, 10, 20, 50)
FILTERS = 5
"""Names of metadata that filters are offered for: those with more than one value first."""


class KnowledgeSearch:
    """The box and its results; `on_open` is handed the id of a passage that is to be opened."""

    def __init__(self, view: View, base: str, on_open: Callable[[str], Awaitable[None]]) -> None:
        self._view = view
        self._base = base
        self._open = on_open
        self._filters: dict[str, tuple[ui.select, list[Any]]] = {}
        self._searched: Callable[[], None] = lambda: None
        self.query = ""

    async def draw_bar(self, query: str) -> None:
        """Draw the box, the filters and the button."""
        t = self._view.t
        with ui.element("div").classes("wm-bar"):
            self._box = ui.input(t("knowledge.search"), value=query).classes("wm-grow")
            self._box.props("clearable data-filter autocomplete=off maxlength=8000")
            self._box.props["placeholder"] = t("knowledge.search_example")
            self._box.on("keydown.enter", self.run)
            self._choices = ui.element("div").classes("wm-bar")
            self._top = ui.select(list(TOPS), value=TOPS[0], label=t("knowledge.top"))
            self._top.style("width: 74px")
            ui.button(t("knowledge.find"), on_click=self.run)
        await self.offer()

    async def offer(self) -> None:
        """Offer filters for what the documents state now, keeping what is chosen."""
        view, t = self._view, self._view.t
        chosen = {name: self._chosen(name) for name in self._filters}
        stated = await knowing.stated(await view.workspace(), self._base)
        stated.sort(key=lambda one: (len(one.values) < 2, one.name))
        self._filters = {}
        self._choices.clear()
        with self._choices:
            for one in stated[:FILTERS]:
                values = [value for value, _ in one.values]
                options = {
                    place: t("knowledge.value_count", value=str(value), count=count)
                    for place, (value, count) in enumerate(one.values)
                }
                known = [n for n, value in enumerate(values) if value in chosen.get(one.name, ())]
                box = ui.select(
                    options, value=known, multiple=True,
                    label=t("knowledge.filter", name=one.name),
                ).props("clearable").style("min-width: 120px; max-width: 200px")  # fmt: skip
                self._filters[one.name] = (box, values)

    def draw_results(self) -> None:
        """Draw the place of the passages."""
        view = self._view
        self._count = plain("div", view.t("knowledge.ask"), "wm-muted")
        self._count.props["aria-live"] = "polite"
        self._problem = ui.element("div")
        self._hits = ui.element("ol").classes("kn-hits")
        view.key("j", "knowledge.key_next", lambda: self._step(1))
        view.key("k", "knowledge.key_previous", lambda: self._step(-1))

    def on_search(self, work: Callable[[], None]) -> None:
        """Do something before each search."""
        self._searched = work

    def _chosen(self, name: str) -> list[Any]:
        box, values = self._filters[name]
        return [values[place] for place in box.value or ()]

    async def run(self) -> None:
        """Search for what stands in the box."""
        view, t = self._view, self._view.t
        self.query = (self._box.value or "").strip()
        self._searched()
        self._problem.clear()
        if not self.query:
            self._hits.clear()
            self._count.set_text(t("knowledge.ask"))
            return
        where = {name: chosen for name in self._filters if (chosen := self._chosen(name))}
        try:
            workspace = await view.workspace()
            found = await workspace.search(
                Search(self._base, self.query, self._top.value or TOPS[0], where)
            )
        except WaremillError as error:
            self._hits.clear()
            view.problem(error, self._problem)
            return
        said = t("knowledge.found", count=len(found))
        self._count.set_text(said if found else t("knowledge.nothing"))
        self._hits.clear()
        with self._hits:
            self._draw(found)

    def _draw(self, found: Sequence[Passage]) -> None:
        view, t = self._view, self._view.t
        for rank, one in enumerate(found, 1):
            with ui.element("li").classes("kn-hit"):
                with ui.element("div").classes("kn-hit-head"):
                    plain("span", str(rank), "kn-rank")
                    tables.button(one.document, partial(self._open, one.id), "kn-open")
                    plain("span", where_it_stands(view, one), "kn-under")
                    plain("span", t("knowledge.score", score=f"{one.score:.4f}"), "kn-score")
                with ui.element("div").classes("kn-text"):
                    marked(one.text, self.query)

    def _step(self, by: int) -> None:
        """Move the focus to the next passage, or the one before."""
        ui.run_javascript(
            "(() => { const all = [...document.querySelectorAll('.kn-hits .kn-open')];"
            "const at = all.indexOf(document.activeElement);"
            f"const to = all[Math.max(0, Math.min(all.length - 1, at < 0 ? 0 : at + {by}))];"
            "to?.focus(); to?.scrollIntoView({block: 'nearest'}); })()"
        )


__all__ = ["KnowledgeSearch"]
