"""Acceptance sampling: open a lot, judge its sample, decide about the lot."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from waremill.app.reviewing import Card, Lot
from waremill.errors import UserError, WaremillError
from waremill.review.sampling import percent, plan
from waremill.web.pages import tables
from waremill.web.pages.frame import plain
from waremill.web.pages.review_filters import address
from waremill.web.pages.review_judging import Judging
from waremill.web.pages.review_sitting import Sitting
from waremill.web.pages.review_turns import Turn
from waremill.web.pages.shell import View


def shows(view: View, lot: Lot) -> str:
    """Say what a lot's sample shows so far, or showed."""
    sure, most = percent(lot.confidence), percent(lot.most_bad)
    if lot.bad > lot.allowed:
        return view.t("review.lot_fails", bad=lot.bad, looked=lot.looked, allowed=lot.allowed)
    if lot.looked < lot.sample:
        left = lot.sample - lot.looked
        return view.t(
            "review.lot_goes", bad=lot.bad, looked=lot.looked, left=left, sample=lot.sample
        )
    return view.t("review.lot_proves", bad=lot.bad, looked=lot.looked, sure=sure, most=most)


class Lots:
    """The lots of a run, and the form of a new one."""

    def __init__(self, sitting: Sitting) -> None:
        self.sitting = sitting
        self.view = sitting.view
        self.count: int | None = None

    def draw(self) -> None:
        """Draw the form and the place of the list."""
        t = self.view.t
        with ui.element("section").classes("wm-panel") as panel:
            panel.props["aria-label"] = t("review.lot_new")
            plain("h2", t("review.lot_new"))
            plain("div", t("review.lot_about"), "wm-muted")
            with ui.element("div").classes("wm-bar").style("margin: 4px 0 8px"):
                self._sure = self._box("review.confidence", 95, 50, 99.99)
                self._bad = self._box("review.most_bad", 1, 0.01, 99)
                self._allowed = self._box("review.allowed", 0, 0, 1000)
                self._open = ui.button(t("review.lot_open"), on_click=self.open)
                self._open.disable()
            self.sentence = ui.label().classes("rv-sentence").props("role=status")
            self.problem = ui.element("div")
        plain("h2", t("review.lots"))
        self.list = ui.element("div")

    def _box(self, label: str, value: float, low: float, high: float) -> ui.number:
        box = ui.number(self.view.t(label), value=value, min=low, max=high, step="any")  # type: ignore[arg-type]
        box.classes("rv-small").on_value_change(self._plan)
        return box

    async def begin(self) -> None:
        """Count what a lot would hold, and list the lots there are."""
        await self.filtered()
        desk = await self.sitting.desk()
        with self.view.steady(self.list):
            self._list(await desk.lots(self.sitting.run))

    async def filtered(self) -> None:
        """Plan for what other filters pick."""
        desk = await self.sitting.desk()
        self.count = None
        self.sentence.set_text(self.view.t("review.counting"))
        self._open.disable()
        self.problem.clear()
        try:
            self.count = await desk.count(self.sitting.run, self.sitting.bar.filters.asked)
        except UserError as error:
            self.sentence.set_text("")
            self.view.problem(error, self.problem)
            return
        self._plan()

    @property
    def _promise(self) -> tuple[float, float, int]:
        sure = round(float(self._sure.value or 0) / 100, 6)
        bad = round(float(self._bad.value or 0) / 100, 6)
        return sure, bad, int(self._allowed.value or 0)

    def _plan(self) -> None:
        """Say in one sentence how many are drawn, and what that proves."""
        if self.count is None:
            return
        view, (sure, bad, allowed) = self.view, self._promise
        self.problem.clear()
        self._open.disable()
        if not self.count:
            self.sentence.set_text(view.t("review.lot_empty"))
            return
        try:
            sample = plan(self.count, sure, bad, allowed)
        except UserError as error:
            self.sentence.set_text("")
            view.problem(error, self.problem)
            return
        key = "review.lot_plan" if allowed else "review.lot_plan_none"
        said = view.t(
            key, size=self.count, sample=sample, allowed=allowed, sure=percent(sure),
            bad=percent(bad), share=2,
        )  # fmt: skip
        if sample >= self.count:
            said += ("" if view.language == "zh" else " ") + view.t("review.lot_whole")
        self.sentence.set_text(said)
        self._open.enable()

    async def open(self) -> None:
        """Open the lot and go to its sample."""
        sure, bad, allowed = self._promise
        desk = await self.sitting.desk()
        self._open.disable()
        try:
            lot = await desk.open_lot(
                self.sitting.run, self.sitting.bar.filters.asked, confidence=sure, most_bad=bad,
                allowed=allowed,
            )  # fmt: skip
        except UserError as error:
            self._open.enable()
            self.view.problem(error, self.problem)
            return
        ui.navigate.to(self._address(lot))

    def _address(self, lot: Lot) -> str:
        return address(self.sitting.run, "lots", self.sitting.bar.filters, lot=str(lot.id))

    def _list(self, lots: tuple[Lot, ...]) -> None:
        t = self.view.t
        headings = (
            "!" + t("review.lot", number="").strip(), "!" + t("review.states"),
            "!" + t("review.lot_promise"), "#" + t("review.lot_size"), "#" + t("review.lot_sample"),
            "#" + t("review.lot_looked"), "#" + t("review.lot_bad"), t("review.lot_shows"),
            "!" + t("review.lot_by"), "!" + t("review.lot_decided"), "!",
        )  # fmt: skip
        tables.table(
            headings, [self._row(lot) for lot in lots], label=t("review.lots"),
            empty=t("review.lots_none"),
        )  # fmt: skip

    def _row(self, lot: Lot) -> list[tables.Cell]:
        view = self.view
        link = view.t("review.lot_judge" if lot.state == "open" else "review.lot_see")
        promised = view.t(
            "review.lot_promised", sure=percent(lot.confidence), bad=percent(lot.most_bad)
        )
        return [
            str(lot.id), lambda: tables.state(view, lot.state), promised, view.number(lot.size),
            view.number(lot.sample), view.number(lot.looked), view.number(lot.bad),
            shows(view, lot), lot.by, lot.decided_by or "—",
            lambda: tables.link(link, self._address(lot)),
        ]  # fmt: skip


class Sample(Judging):
    """The sample of a lot, an item after the other; then what becomes of the lot."""

    verdict_keys = "gbs1234567"

    def __init__(self, sitting: Sitting, lot: int) -> None:
        super().__init__(sitting)
        self.lot_id = lot
        self.lot: Lot | None = None

    def draw(self) -> None:
        """Draw the lot's state and the places of the item in sight."""
        self.head = ui.element("div").classes("rv-lot-state")
        super().draw()
        self.bind("g", "review.key_good", self.good)
        self.bind("b", "review.key_bad", self.bad)
        self.bind("s", "review.key_skip", self.skip)
        self.bind_common()
        self.view.key("A", "review.key_lot_accept", self.accept_lot)
        self.view.key("R", "review.key_lot_reject", self.reject_lot)

    async def begin(self, asked: int | None, before: int | None) -> None:
        """Read the lot, and show the first item of its sample where it is open."""
        desk = await self.sitting.desk()
        self.lot = await desk.lot(self.lot_id)
        self.over = self.lot.state != "open"
        self._head()
        self.show()
        await super().begin(None, None)

    async def count(self) -> None:
        """Take the sample's own count; there is nothing more to count."""
        self.progressed()

    async def filtered(self) -> None:
        """A lot is what it was opened with; filters change nothing."""

    async def take(self, skip: list[int], near: int | None) -> Card | None:
        """Lease the next item of the sample."""
        desk = await self.sitting.desk()
        return await desk.lot_next(self.lot_id, skip=skip, holder=self.sitting.holder)

    def good(self, turn: Turn) -> None:
        """Say that an item is good, which accepts it."""
        if not self.rejecting:
            self._judge(turn, good=True)

    def bad(self, turn: Turn) -> None:
        """Ask why an item is bad."""
        if not self.rejecting:
            self.start_rejecting(turn)

    def rejected(self, turn: Turn, reason: str, note: str | None) -> None:
        """Say that an item is bad, which rejects it."""
        self.rejecting = False
        self._judge(turn, good=False, reason=reason, note=note)

    def _judge(self, turn: Turn, *, good: bool, **why: Any) -> None:
        version = turn.card.version

        async def save(desk: Any) -> None:
            self.lot = await desk.judge(self.lot_id, turn.item_id, good, version=version, **why)
            self._head()
            if self.shown is None and not self.saving.keys() - {turn.item_id}:
                self.show()

        self.settle(turn, save)

    def progressed(self) -> None:
        """Show how far the sample is."""

    def _head(self) -> None:
        """Draw the lot in one line: what it is to prove, what it shows, and the two decisions."""
        lot, view = self.lot, self.view
        if lot is None or self.head.is_deleted:
            return
        self.head.clear()
        with self.head:
            plain("span", view.t("review.lot", number=lot.id), "rv-key")
            tables.state(view, lot.state)
            promised = view.t(
                "review.lot_promised", sure=percent(lot.confidence), bad=percent(lot.most_bad)
            )
            plain("span", promised, "wm-muted")
            if lot.state == "open":
                words = ui.label(shows(view, lot)).classes("rv-lot-words").props("role=status")
                if lot.bad > lot.allowed:
                    words.classes("wm-bad")
            else:
                key = f"review.lot_was_{lot.state}"
                ui.label(view.t(key, by=lot.decided_by or "—", shows=shows(view, lot)))
            plain("span", "", "wm-gap")
            if lot.state == "open":
                self._decisions(lot)
            back = address(self.sitting.run, "lots", self.sitting.bar.filters)
            tables.link(view.t("review.lots"), back, "wm-plain")

    def _decisions(self, lot: Lot) -> None:
        accept = ui.button(self.view.t("review.lot_accept"), on_click=self.accept_lot)
        accept.set_enabled(lot.can_accept)
        if not lot.can_accept:
            accept.classes("wm-quiet")
        reject = ui.button(self.view.t("review.lot_reject"), on_click=self.reject_lot)
        reject.classes("wm-quiet")

    def buttons(self) -> None:
        """Draw the two words of a sample's verdict, or the question why."""
        if self.rejecting:
            self.strip(fields=False)
            return
        self.action("review.good", "g", self.good, first=True)
        self.action("review.bad", "b", self.bad)
        self.action("review.skip", "s", self.skip)
        self.action("review.diff", "d", self.toggle_diff)
        self.action("review.how", "i", self.how)

    def nothing(self) -> None:
        """Say that the sample is through, or in other hands."""
        lot, t = self.lot, self.view.t
        with ui.element("div").classes("rv-end"):
            if lot is None or lot.state != "open":
                return
            if lot.looked >= lot.sample:
                ui.label(t("review.lot_done")).classes("wm-h2")
                ui.label(shows(self.view, lot)).classes("rv-sentence")
                return
            ui.label(t("review.none_left")).classes("wm-h2")
            ui.label(t("review.none_left_more")).classes("wm-muted")
            if self.skipped:
                ui.label(t("review.skipped_left", count=len(self.skipped)))
                ui.button(t("review.look_skipped"), on_click=self.look_skipped)
            ui.button(t("review.again"), on_click=self.again).classes("wm-quiet")

    # What becomes of the lot.

    async def accept_lot(self) -> None:
        """Accept the rest of the lot, after it was confirmed on what grounds."""
        lot = self.lot
        if lot is None or not lot.can_accept:
            return
        question = self.view.t(
            "review.lot_sure_accept", number=lot.id, rest=lot.size - lot.sample,
            shows=shows(self.view, lot),
        )  # fmt: skip
        await self._decide(question, "review.lot_accept", accept=True)

    async def reject_lot(self) -> None:
        """Reject the lot, which leaves the rest in review."""
        lot = self.lot
        if lot is None or lot.state != "open":
            return
        question = self.view.t(
            "review.lot_sure_reject", number=lot.id, rest=lot.size - lot.sample
        )  # fmt: skip
        await self._decide(question, "review.lot_reject", accept=False)

    async def _decide(self, question: str, action: str, *, accept: bool) -> None:
        if not await self.view.confirm(question, self.view.t(action), danger=not accept):
            return
        for task in list(self.saving.values()):
            await task
        desk = await self.sitting.desk()
        try:
            self.lot = await desk.decide_lot(self.lot_id, accept)
        except WaremillError as error:
            self.view.problem(error)
            self.lot = await desk.lot(self.lot_id)
            self._head()
            return
        for turn in (self.current, *self.ahead):
            if turn is not None:
                self.release(turn.item_id)
        self.current, self.over = None, True
        self.ahead.clear()
        self._head()
        self.show()
