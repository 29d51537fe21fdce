"""One item after the other: the next shows at once, what was decided is saved behind.

Cards ahead are fetched while a person looks at one. Whatever cannot be saved brings its item back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nicegui import background_tasks, ui
from nicegui.element import Element

from waremill.app.reviewing import Card, ReviewDesk
from waremill.domain import Asset
from waremill.errors import UserError, WaremillError
from waremill.web.pages.review_card import draw_card
from waremill.web.pages.review_pictures import preload
from waremill.web.pages.review_sitting import Sitting

AHEAD = 2
"""Cards fetched before they are asked for."""
RENEW_SECONDS = 40.0
"""A lease lasts 120 s; those of what is shown and what comes next are renewed meanwhile."""
AWAY_SECONDS = 300.0
"""After so long without a key or a click nothing is renewed, so that others get the items."""
MOST_SKIPPED = 4_000
DECIDED = ("accepted", "edited", "rejected")
log = logging.getLogger(__name__)

Save = Callable[[ReviewDesk], Awaitable[object]]


@dataclass(eq=False, slots=True)
class Turn:
    """An item as it is shown: its card, one sentence about it, and what is not saved: values that
    were written, and variants of pictures that were chosen, by field.
    """

    card: Card
    notice: str = ""
    draft: Mapping[str, Any] = field(default_factory=dict)
    chosen: dict[str, Asset] = field(default_factory=dict)

    @property
    def item_id(self) -> int:
        """The item's id."""
        return self.card.item_id


class Turns(ABC):
    """What is shown, what comes next, and what is being saved; subclasses say what may be done."""

    chooses = False
    """Whether a variant of a picture may be taken in its place."""
    verdict_keys = ""
    """Keys the browser holds back until an item has been in sight for a moment."""

    def __init__(self, sitting: Sitting) -> None:
        self.sitting = sitting
        self.view = sitting.view
        self.current: Turn | None = None
        self.ahead: list[Turn] = []
        self.skipped: list[int] = []
        self.saving: dict[int, asyncio.Task[None]] = {}
        self.looked = 0
        self.over = False
        self.diff = False
        self.editing = False
        self.rejecting = False
        self.number = 0
        self._seen: int | None = None
        self._filling: asyncio.Task[None] | None = None
        self._active = time.monotonic()
        self._away = False

    # What a way to review must say.

    @abstractmethod
    async def take(self, skip: list[int], near: int | None) -> Card | None:
        """Fetch and lease another card."""

    @abstractmethod
    def buttons(self) -> None:
        """Draw what may be done with the item that is shown."""

    @abstractmethod
    def nothing(self) -> None:
        """Draw what is said when no item is left."""

    @abstractmethod
    def progressed(self) -> None:
        """Show how far it is."""

    # Drawing.

    def draw(self) -> None:
        """Make the places everything is drawn into."""
        self.status = ui.label().classes("rv-unseen").props("role=status")
        self.box = ui.element("div").classes("rv-page wm-fill")
        ui.on("review_seen", self._saw, args=None)
        ui.timer(RENEW_SECONDS, self._renew, immediate=False)

    def bind(self, key: str, label: str, work: Callable[[Turn], object]) -> None:
        """Bind a key to what is done with the item in sight."""

        def pressed() -> object:
            turn = self.shown
            if turn is None or self._seen not in (None, self.number) or self.was_away():
                return None
            return work(turn)

        self.view.key(key, label, pressed)

    def _saw(self, event: Any) -> None:
        """Take note of which drawing a key was pressed at: another may have come since."""
        self._seen = event.args if isinstance(event.args, int) else None

    @property
    def writing(self) -> bool:
        """Whether an edit or a reason is being written, which must not be drawn over."""
        return self.editing or self.rejecting

    @property
    def shown(self) -> Turn | None:
        """The item in sight."""
        return self.current

    def show(self, *, anew: bool = True) -> None:
        """Draw the item in sight; `anew` where it is another one, or came back."""
        if self.box.is_deleted:
            return
        if anew:
            self.number += 1
            self._seen = None
            self.editing = self.rejecting = False
        turn = self.shown
        self.sitting.shown = self.current.item_id if self.current is not None else None
        self.box.clear()
        with self.box:
            if turn is None:
                self._draw_nothing()
            else:
                self._draw_turn(turn)
        self.progressed()

    def _draw_nothing(self) -> None:
        self.status.set_text("")
        if not self.over:
            ui.label(self.view.t("shell.loading")).classes("wm-muted")
            return
        self.nothing()

    def _draw_turn(self, turn: Turn) -> None:
        card, t = turn.card, self.view.t
        count = sum(len(one.findings) for one in card.fields) + len(card.findings)
        said = t(
            "review.announce", key=card.key, target=card.target or "—",
            state=self.view.word("state", card.state), count=count,
        )  # fmt: skip
        self.status.set_text(said)
        with ui.element("div").classes("rv-turn") as place:
            place.props["data-item"] = str(card.item_id)
            place.props["data-turn"] = str(self.number)
            place.props["data-keys"] = self.verdict_keys
            place.props["data-editing"] = "1" if self.editing else ""
            self._title(turn)
            draw_card(
                self.view, card, diff=self.diff, draft=turn.draft, editing=self.editing,
                choosing=self.chooses,
            )  # fmt: skip
            with ui.element("div").classes("rv-actions"):
                self.buttons()

    def _title(self, turn: Turn) -> None:
        card, t = turn.card, self.view.t
        with ui.element("div").classes("rv-title"):
            ui.label(card.key).classes("rv-key").props("role=heading aria-level=2")
            if card.target:
                ui.label(card.target).classes("rv-target")
            state = ui.label(self.view.word("state", card.state))
            state.classes(f"wm-state wm-state-{card.state}")
            for note in self.notes(turn):
                ui.label(note).classes("rv-note")
            ui.element("span").classes("wm-gap")
            self.links(turn)
        if turn.notice:
            ui.label(turn.notice).classes("rv-notice").props("role=alert")
        if card.holder:
            by, mine = self.sitting.who(card.holder)
            held = t("review.held_self") if mine else t("review.held", by=by)
            ui.label(held).classes("rv-notice")

    def notes(self, turn: Turn) -> list[str]:
        """Say in short what else is to be known of the item in sight."""
        return [self.view.t("review.diff_on")] if self.diff else []

    def links(self, turn: Turn) -> None:
        """Draw links to more about the item in sight; none here."""
        return

    def action(
        self, label: str, key: str, work: Callable[[Turn], object], *, first: bool = False
    ) -> Element:
        """Draw a button that does what a key does, with the item it was drawn for."""
        turn = self.shown
        assert turn is not None

        def click() -> object:
            if turn is not self.shown or self.was_away():
                return None
            return work(turn)

        button = ui.button(on_click=click).classes("rv-action" + ("" if first else " wm-quiet"))
        with button:
            ui.label(self.view.t(label))
            kbd = ui.element("kbd").props("aria-hidden=true")
            with kbd:
                ui.label(key)
        return button

    # One after the other.

    async def begin(self, asked: int | None, before: int | None) -> None:
        """Show the first item: the one asked for, what was in sight before, or whatever comes."""
        first = asked if asked is not None else before
        if first is not None:
            try:
                desk = await self.sitting.desk()
                card = await desk.card(self.sitting.run, first, holder=self.sitting.holder)
                if asked is not None or (card.state not in DECIDED and card.holder is None):
                    self.current = Turn(card)
                    self.show()
            except UserError as error:
                self.view.problem(error)
        self.fill()

    def fill(self) -> None:
        """Fetch cards ahead, behind what is shown."""
        if self._filling is None or self._filling.done():
            self._filling = background_tasks.create(self._fill(), name="review: cards ahead")

    async def _fill(self) -> None:
        while not self.over and len(self.ahead) < AHEAD and not self.box.is_deleted:
            held = [one.item_id for one in (self.current, *self.ahead) if one is not None]
            near = held[-1] if held else next(reversed(self.saving), None)
            skip = [*held, *self.saving, *self.skipped[-MOST_SKIPPED:]]
            try:
                card = await self.take(skip, near)
            except WaremillError as error:
                self.over = True
                self.view.problem(error)
                card = None
            if card is None:
                self.over = True
                break
            if any(one.item_id == card.item_id for one in (self.current, *self.ahead) if one):
                continue
            self.ahead.append(Turn(card))
            with self.box:
                preload(card)
            if self.current is None:
                self.current = self.ahead.pop(0)
                if self.shown is self.current:
                    self.show()
        if self.shown is None and not self.box.is_deleted:
            self.show()

    def forward(self) -> None:
        """Show the next item at once, and fetch another behind."""
        self.current = self.ahead.pop(0) if self.ahead else None
        self.show()
        self.fill()

    def again(self) -> None:
        """Look for items again, as after the last one."""
        self.was_away()
        self.over = False
        self.show()
        self.fill()

    def look_skipped(self) -> None:
        """Take up what was skipped."""
        self.skipped.clear()
        self.again()

    def skip(self, turn: Turn) -> None:
        """Leave an item to later, and to others."""
        self.skipped.append(turn.item_id)
        self.release(turn.item_id)
        self.forward()

    def toggle_diff(self, _: Turn | None = None) -> None:
        """Compare with what is live, or stop it."""
        if self.writing:
            return
        self.diff = not self.diff
        self.show(anew=False)

    # Saving behind.

    def settle(self, turn: Turn, work: Save, draft: Mapping[str, Any] | None = None) -> None:
        """Show the next item, and save behind what was decided of this one."""
        self.looked += 1
        save = background_tasks.await_on_shutdown(self._save)
        task = background_tasks.create(save(turn, work, draft or {}), name="review: saving")
        self.saving[turn.item_id] = task
        self.advance(turn)

    def advance(self, turn: Turn) -> None:
        """Go on after a verdict."""
        self.forward()

    async def _save(self, turn: Turn, work: Save, draft: Mapping[str, Any]) -> None:
        try:
            await work(await self.sitting.desk())
        except Exception as error:  # whatever it is, the item must come back
            await self._bring_back(turn, error, draft)
        finally:
            self.saving.pop(turn.item_id, None)
            self.progressed()

    async def _bring_back(self, turn: Turn, error: Exception, draft: Mapping[str, Any]) -> None:
        """Show an item again that could not be saved, as it is now, and say why."""
        why = self.view.sentence(error)
        self.looked -= 1
        self.forget(turn)
        card = turn.card
        try:
            desk = await self.sitting.desk()
            card = await desk.card(self.sitting.run, turn.item_id, holder=self.sitting.holder)
        except WaremillError:  # it is shown as it was; the sentence says what went wrong
            log.info("item %s could not be read again", turn.item_id)
        back = Turn(card, self.view.t("review.not_saved", why=why), draft)
        if self.writing:
            self.ahead.insert(0, back)
            self.view.problem(self.view.t("review.not_saved_next", key=card.key, why=why))
            return
        if self.current is not None:
            self.ahead.insert(0, self.current)
        self.put(back)

    def put(self, turn: Turn) -> None:
        """Show an item in place of the one in sight, which was put ahead."""
        self.current = turn
        self.show()

    def forget(self, turn: Turn) -> None:
        """Take note that a verdict did not come about; nothing is counted here."""
        return

    # Leases.

    def was_away(self) -> bool:
        """Take note that somebody is at the desk; after a long absence, ask for the item again."""
        self._active = time.monotonic()
        if self._away:
            self._away = False
            background_tasks.create(self._return(), name="review: back at the desk")
            return True
        return False

    async def _return(self) -> None:
        """Lease what is in sight again, or go on to something else where another has it now."""
        turn = self.current
        self.ahead.clear()
        self.over = False
        if turn is not None:
            desk = await self.sitting.desk()
            card = await desk.card(self.sitting.run, turn.item_id, holder=self.sitting.holder)
            if card.holder is not None or card.state in DECIDED:
                by, _ = self.sitting.who(card.holder or (card.history[0].by or ""))
                self.view.problem(self.view.t("review.taken", key=card.key, by=by))
                self.forward()
                return
            self.put(Turn(card))
        self.fill()

    def release(self, item_id: int) -> None:
        """Give an item back, behind what is shown."""

        async def give() -> None:
            desk = await self.sitting.desk()
            await desk.release(self.sitting.run, item_id, holder=self.sitting.holder)

        background_tasks.create(give(), name="review: giving back")

    async def _renew(self) -> None:
        """Keep the leases of what is shown and comes next, as long as somebody is there."""
        held = [one for one in (self.current, *self.ahead) if one is not None]
        if not held:
            return
        patience = AWAY_SECONDS * (6 if self.editing else 1)
        if time.monotonic() - self._active > patience:
            if not self._away:
                self._away = True
                self._notice(self.view.t("review.away"))
            return
        if self._away:
            return
        desk = await self.sitting.desk()
        for turn in held:
            card = await desk.card(self.sitting.run, turn.item_id, holder=self.sitting.holder)
            self._renewed(turn, card)

    def _renewed(self, turn: Turn, card: Card) -> None:
        if card.version == turn.card.version and card.holder == turn.card.holder:
            return
        if turn in self.ahead:
            # Somebody decided it, or has it in hand now; the next fetch sees what waits.
            self.ahead.remove(turn)
            self.fill()
        elif turn is self.current:
            changed = card.version != turn.card.version
            if not self.writing:  # what is written is of the card it was written on
                turn.card = card
                self._notice(self.view.t("review.changed_meanwhile") if changed else turn.notice)

    def _notice(self, text: str) -> None:
        """Say something of the item in sight, unless that would draw over what is written."""
        if self.current is not None and not self.writing:
            self.current.notice = text
            self.show(anew=self.current is self.shown)

    async def leave(self) -> None:
        """Give back what is in hand, when the page is closed."""
        held = [one.item_id for one in (self.current, *self.ahead) if one is not None]
        desk = await self.sitting.desk()
        for item_id in held:
            if item_id not in self.saving:
                await desk.release(self.sitting.run, item_id, holder=self.sitting.holder)
