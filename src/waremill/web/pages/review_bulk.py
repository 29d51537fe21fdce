"""Bulk mode: a grid of items, chosen rows judged, or all that match on every page."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from nicegui import background_tasks, ui

from waremill.app.browsing import Browse, ItemRow
from waremill.app.reviewing import REASONS, WAITING, ReviewDesk, SimilarItem
from waremill.errors import Conflict, UserError
from waremill.web.pages import dialogs
from waremill.web.pages.frame import plain
from waremill.web.pages.paging import Pager
from waremill.web.pages.review_board import ItemBoard
from waremill.web.pages.review_filters import Wanted, address, in_words
from waremill.web.pages.review_grid import GridRow
from waremill.web.pages.review_sitting import Sitting
from waremill.web.pages.shell import View

MOST_ALIKE = 200


class Bulk:
    """Bulk mode of a run."""

    def __init__(self, sitting: Sitting) -> None:
        self.sitting = sitting
        self.view = sitting.view
        self.count: int | None = None
        self._counting: asyncio.Task[None] | None = None
        self._alike: GridRow | None = None
        self._begun = False

    def draw(self) -> None:
        """Draw the bars and the grid, and bind the keys."""
        t = self.view.t
        self.problem = ui.element("div")
        with ui.element("div").classes("wm-bar wm-bar-middle"):
            self._accept = ui.button(t("review.accept_chosen"), on_click=self.accept_chosen)
            self._reject = ui.button(t("review.reject_chosen"), on_click=self.reject_chosen)
            self._like = ui.button(t("review.alike"), on_click=self.alike)
            for button in (self._reject, self._like):
                button.classes("wm-quiet")
            self.banner = ui.label().classes("rv-chosen")
            self._end = ui.button(t("review.alike_end"), on_click=self.all_again)
            self._end.classes("wm-quiet")
            self._end.set_visibility(False)
            plain("span", "", "wm-gap")
            self._accept_all = ui.button(t("review.counting"), on_click=self.accept_all)
            self._reject_all = ui.button(t("review.counting"), on_click=self.reject_all)
            for button in (self._accept_all, self._reject_all):
                button.classes("wm-quiet").disable()
        with ui.element("div").classes("wm-fill"):
            self.grid = ItemBoard(
                self.view, self.sitting.run, on_open=self._open, on_chosen=self._chosen,
                on_layout=self._other_layout,
            )  # fmt: skip
        with ui.element("div").classes("wm-bar wm-bar-middle"):
            self.pager = Pager(self.view)
            self.pager.on_turn(self.load)
            self.words = ui.label().classes("wm-muted").props("role=status")
            plain("span", "", "wm-gap")
            self.grid.draw_switch()
        view = self.view
        view.key("a", "review.key_accept_chosen", self.accept_chosen)
        view.key("r", "review.key_reject_chosen", self.reject_chosen)
        view.key("A", "review.key_accept_all", self.accept_all)
        view.key("R", "review.key_reject_all", self.reject_all)
        view.key("m", "review.key_alike", self.alike)
        view.key("Enter", "review.key_open", self.grid.open_focused)
        view.key(" ", "review.key_choose", lambda: None)

    async def begin(self) -> None:
        """Load the first page and count."""
        desk = await self.sitting.desk()
        run = await desk.find(self.sitting.run, "viewer")
        if not self._begun and (await desk.frozen(run)).makes_pictures:
            self.grid.offer_tiles()
        self._begun = True
        self._recount()
        await self.load()

    async def filtered(self) -> None:
        """Load what other filters pick."""
        self._alike_shown(None)
        self.pager.first()
        await self.begin()

    @property
    def filters(self) -> Wanted:
        """What is filtered by now."""
        return self.sitting.bar.filters

    async def load(self) -> None:
        """Load the page of the listing that is asked for."""
        self.problem.clear()
        browse = Browse(await self.view.workspace())
        try:
            page = await browse.items(
                self.sitting.run,
                cursor=self.pager.cursor,
                size=self.grid.size,
                **self.filters.listed,
            )
        except UserError as error:
            self.view.problem(error, self.problem)
            return
        self.pager.show(page.next)
        self.grid.show([self._row(one) for one in page.rows], self.view.t("review.findings"))
        await self._chosen()

    def _row(self, one: ItemRow) -> GridRow:
        rules = dict.fromkeys(str(found.get("rule")) for found in one.found)
        names = " · ".join(self.view.rule(rule) for rule in rules)
        return GridRow(one.id, one.key, one.target, one.state, names, one.values)

    async def _other_layout(self) -> None:
        """Show the same page as list or tiles, from the beginning: pages have another size."""
        if self._alike is not None:
            self._alike_shown(None)
        self.pager.first()
        await self.load()

    def _recount(self) -> None:
        if self._counting is not None:
            self._counting.cancel()
        self._counting = background_tasks.create(self._count(), name="review: counting")

    async def _count(self) -> None:
        """Count what a verdict on all would be about, and write it on the buttons."""
        self._show_count(None)
        desk = await self.sitting.desk()
        try:
            count = await desk.count(self.sitting.run, self.filters.asked)
        except UserError:  # the listing has said it
            return
        self._show_count(count)

    def _show_count(self, count: int | None) -> None:
        self.count = count
        t = self.view.t
        for button, key in (
            (self._accept_all, "review.accept_all"), (self._reject_all, "review.reject_all"),
        ):  # fmt: skip
            button.set_text(t("review.counting") if count is None else t(key, count=count))
            button.set_enabled(bool(count))

    async def _chosen(self) -> None:
        count = len(await self.grid.chosen())
        for button, key in ((self._accept, "accept"), (self._reject, "reject")):
            name = self.view.t(f"review.{key}_chosen")
            button.set_text(f"{name} ({count})" if count else name)
            button.set_enabled(bool(count))

    async def _open(self, row: GridRow) -> None:
        ui.navigate.to(address(self.sitting.run, "focus", self.filters, item=str(row.item_id)))

    # Similar ones.

    async def alike(self) -> None:
        """Show the items that are like the row the keyboard is on, together with it."""
        row = await self.grid.focused()
        if row is None:
            self.view.say(self.view.t("review.none_chosen"))
            return
        desk = await self.sitting.desk()
        found = await desk.similar(self.sitting.run, row.item_id, MOST_ALIKE)
        self._alike_shown(row)
        rows = [replace(row, about=""), *(self._similar(one) for one in found)]
        self.grid.show(rows, self.view.t("review.likeness"))
        self.pager.show(None)

    def _similar(self, one: SimilarItem) -> GridRow:
        likeness = self.view.t("review.group_mate")
        if one.likeness is not None:
            likeness = self.view.share(one.likeness)
        return GridRow(
            one.item_id, one.key, one.target, one.state, likeness, one.values, one.version
        )

    def _alike_shown(self, row: GridRow | None) -> None:
        self._alike = row
        said = "" if row is None else self.view.t(
            "review.alike_to", key=row.key, target=row.target or "—"
        )  # fmt: skip
        self.banner.set_text(said)
        self._end.set_visibility(row is not None)
        # These are about the filter, not about what is shown then.
        self._accept_all.set_visibility(row is None)
        self._reject_all.set_visibility(row is None)

    async def all_again(self) -> None:
        """Show the listing again."""
        self._alike_shown(None)
        await self.load()

    # Chosen rows.

    async def accept_chosen(self) -> None:
        """Accept the rows that are chosen."""
        rows = await self._wanted()
        if rows:
            await self._judge(rows, None, None)

    async def reject_chosen(self) -> None:
        """Reject the rows that are chosen, for one reason."""
        rows = await self._wanted()
        if not rows:
            return
        count = self.view.t("review.reject_count", count=len(rows))
        if (said := await ask_reason(self.view, "", count)) is not None:
            await self._judge(rows, *said)

    async def _wanted(self) -> list[GridRow]:
        rows = await self.grid.chosen()
        if not rows:
            self.view.say(self.view.t("review.none_chosen"))
        return rows

    async def _judge(self, rows: list[GridRow], reason: str | None, note: str | None) -> None:
        """Judge rows one by one as they are listed; what changed or is in other hands stays."""
        left: list[str] = []
        desk = await self.sitting.desk()
        self._busy(True)
        try:
            for row in rows:
                try:
                    await self._judge_one(desk, row, reason, note)
                except Conflict as error:
                    left.append(self.view.sentence(error))
        finally:
            self._busy(False)
        key = "review.accepted_count" if reason is None else "review.rejected_count"
        self.view.say(self.view.t(key, count=len(rows) - len(left)))
        await self._after()
        if left:
            said = self.view.t("review.left_alone", count=len(left), why="; ".join(left[:5]))
            self.view.problem(said, self.problem)

    async def _judge_one(
        self, desk: ReviewDesk, row: GridRow, reason: str | None, note: str | None
    ) -> None:
        if reason is None and row.state in ("accepted", "edited"):
            return
        run, version = self.sitting.run, row.version
        if version is None:
            # A listing does not tell versions: what is there now must be what was listed.
            card = await desk.card(run, row.item_id)
            if card.holder is not None:
                by, _ = self.sitting.who(card.holder)
                raise Conflict(self.view.t("review.row_held", by=by, key=row.key))
            now = {one.name: one.value for one in card.fields}
            same = all(
                row.values.get(name) == value for name, value in now.items() if name in row.values
            )
            if not same or card.state != row.state:
                await desk.release(run, row.item_id)
                raise Conflict(self.view.t("review.row_changed", key=row.key))
            version = card.version
        if reason is None:
            await desk.accept(run, row.item_id, version)
        else:
            await desk.reject(run, row.item_id, version, reason, note)

    def _busy(self, on: bool) -> None:
        for button in (self._accept, self._reject, self._accept_all, self._reject_all):
            button.set_enabled(not on)
        self.words.set_text(self.view.t("review.working") if on else "")

    async def _after(self) -> None:
        self._alike_shown(None)
        self.pager.first()
        self._recount()
        await self.load()

    # All that match.

    async def accept_all(self) -> None:
        """Accept all that match and wait, after the number and the filter were confirmed."""
        count, filters = self.count, self.filters
        if not count or self._alike is not None:
            return
        t = self.view.t
        question = self._question("accept", count, filters) + "\n\n" + t("review.and_publish")
        if not await self.view.confirm(question, t("review.accept_count", count=count)):
            return
        await self._all(filters, count, None, None)

    async def reject_all(self) -> None:
        """Reject all that match and wait, for one reason."""
        count, filters = self.count, self.filters
        if not count or self._alike is not None:
            return
        question = self._question("reject", count, filters)
        button = self.view.t("review.reject_count", count=count)
        if (said := await ask_reason(self.view, question, button)) is not None:
            await self._all(filters, count, *said)

    def _question(self, verb: str, count: int, filters: Wanted) -> str:
        waiting = tuple(one for one in filters.states if one in WAITING)
        asked = replace(filters, states=waiting)
        return self.view.t(
            "review.all_question", verdict=self.view.t(f"review.{verb}"), count=count,
            run=self.sitting.run, what=in_words(self.view, asked),
        )  # fmt: skip

    async def _all(self, filters: Wanted, count: int, reason: str | None, note: str | None) -> None:
        desk, run = await self.sitting.desk(), self.sitting.run
        refused: Conflict | None = None
        done = 0
        self._busy(True)
        try:
            if reason is None:
                done = await desk.accept_all(run, filters.asked, count)
            else:
                done = await desk.reject_all(run, filters.asked, count, reason, note)
        except Conflict as error:
            refused = error
        finally:
            self._busy(False)
        await self._after()
        if refused is not None:
            self.view.problem(refused, self.problem)
            return
        key = "review.accepted_count" if reason is None else "review.rejected_count"
        self.view.say(self.view.t(key, count=done))


async def ask_reason(view: View, question: str, action: str) -> tuple[str, str | None] | None:
    """Ask for a reason and a note; None where it was called off."""
    said: tuple[str, str | None] | None = None

    def draw() -> dialogs.Save:
        if question:
            ui.label(question).classes("wm-question")
        words = {one: view.word("reason", one) for one in REASONS}
        reason = ui.radio(words, value=REASONS[0]).props("autofocus")
        reason.props["aria-label"] = view.t("review.reason")
        note = ui.input(view.t("review.note_plain")).props("maxlength=500")

        async def save() -> None:
            nonlocal said
            said = (str(reason.value), (note.value or "").strip() or None)

        return save

    await dialogs.ask(view, view.t("review.reason"), action, draw)
    return said
