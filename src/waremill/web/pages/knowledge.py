"""The page *Knowledge*: the knowledge bases there are, what each holds, and how it is."""

from __future__ import annotations

from collections.abc import Mapping

from nicegui import ui

from waremill.app import knowing
from waremill.app.accounts import Accounts
from waremill.app.knowing import BaseShown
from waremill.web.pages import tables
from waremill.web.pages.frame import plain
from waremill.web.pages.knowledge_adding import AddDialog
from waremill.web.pages.knowledge_state import EVERY_SECONDS, state
from waremill.web.pages.passages import address, load_knowledge
from waremill.web.pages.shell import View, console


@console("/knowledge", "nav.knowledge")
async def knowledge_page(view: View) -> None:
    """Draw the list of knowledge bases."""
    load_knowledge()
    page = _ListPage(view)
    await page.draw()


class _ListPage:
    def __init__(self, view: View) -> None:
        self.view = view
        self.rows: list[BaseShown] = []

    async def draw(self) -> None:
        """Draw the button above, and the list."""
        view, t = self.view, self.view.t
        self.teams = {one.id: one.name for one in await Accounts(await view.workspace()).teams()}
        if view.actor.first_team("operator") is not None:
            adding = AddDialog(view, None, self.show)
            with view.frame.beside:
                plain("span", "", "wm-gap")
                ui.button(t("knowledge.add_base"), on_click=adding.open)
            view.key("a", "knowledge.add_base", adding.open)
        plain("div", t("knowledge.about"), "wm-muted")
        self.box = ui.element("div")
        await self.show()
        ui.timer(EVERY_SECONDS, self._look, immediate=False)

    async def show(self) -> None:
        """List the bases anew."""
        self.rows = await knowing.list_bases(await self.view.workspace())
        with self.view.steady(self.box):
            self._table()

    async def _look(self) -> None:
        if any(one.state == "changing" for one in self.rows):
            await self.show()

    def _table(self) -> None:
        t = self.view.t
        several = len({one.team for one in self.rows}) > 1
        headings = [
            t("knowledge.name"), "#" + t("knowledge.documents"), "#" + t("knowledge.passages"),
            t("knowledge.embedder"), t("knowledge.state"), "!" + t("knowledge.changed"),
        ]  # fmt: skip
        rows: list[list[tables.Cell]] = [self._row(one) for one in self.rows]
        if several:
            headings.append("!" + t("knowledge.team"))
            for row, one in zip(rows, self.rows, strict=True):
                row.append(team_name(self.teams, one.team))
        tables.table(
            headings, rows, label=t("knowledge.bases"), empty=t("knowledge.none")
        )  # fmt: skip

    def _row(self, one: BaseShown) -> list[tables.Cell]:
        view = self.view
        return [
            lambda: tables.link(one.name, address(one.name), "kn-name"),
            view.number(one.documents), view.number(one.passages), one.embedder or "—",
            lambda: state(view, one), view.moment(one.changed_at),
        ]  # fmt: skip


def team_name(teams: Mapping[int, str], team: int) -> str:
    """Give a team's name; its number where it is not known."""
    return teams.get(team, str(team))


__all__ = ["knowledge_page"]
