"""Focus mode: one item in sight, its verdict by a key, the next at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import orjson
from nicegui import background_tasks, ui

from waremill.app.reviewing import Card, CardField
from waremill.errors import ConfigError, UserError
from waremill.web.pages import tables
from waremill.web.pages.frame import plain
from waremill.web.pages.review_card import field_text
from waremill.web.pages.review_judging import Judging
from waremill.web.pages.review_pictures import chosen_values, number_of, variant
from waremill.web.pages.review_sitting import Sitting
from waremill.web.pages.review_turns import DECIDED, Turn

COUNTED_EVERY = 20
"""Verdicts after which what is left is counted again; others work at it too."""


class Focus(Judging):
    """Focus mode of a run."""

    verdict_keys = "aresuin1234567"
    chooses = True

    def __init__(self, sitting: Sitting) -> None:
        super().__init__(sitting)
        self.left: int | None = None
        self.done: list[int] = []
        self.trail: list[int] = []
        self.place: int | None = None
        self.past: Turn | None = None
        self._counted_at = 0
        self._accept: ui.label | None = None
        with self.view.frame.beside:
            plain("span", "", "wm-gap")
            self.words = ui.label().classes("rv-progress")

    def draw(self) -> None:
        """Draw the places and bind the keys."""
        super().draw()
        self.bind("a", "review.key_accept", self.accept)
        self.bind("r", "review.key_reject", self.start_rejecting)
        self.bind("e", "review.key_edit", self.edit)
        self.bind("s", "review.key_skip", self.skip)
        self.view.key("u", "review.key_undo", self.undo)
        self.view.key("p", "review.key_back", self.back)
        self.view.key("n", "review.key_on", self.onward)
        self.bind_common()
        ui.on("review_save", self._save_edit, args=None)
        ui.on("picture_chosen", self._choose, args=None)
        ui.on("review_leave", lambda: self.close(), args=None)

    @property
    def shown(self) -> Turn | None:
        """The item in sight: one of before, or the one whose turn it is."""
        return self.past or self.current

    async def take(self, skip: list[int], near: int | None) -> Card | None:
        """Lease the next item that matches and waits."""
        desk = await self.sitting.desk()
        filters = self.sitting.bar.filters
        if any(one in DECIDED for one in filters.states):
            # What is decided already would come again and again.
            skip = [*skip, *self.trail[-1000:]]
        return await desk.next(
            self.sitting.run,
            filters=filters.asked,
            skip=skip,
            holder=self.sitting.holder,
            near=near,
        )

    async def count(self) -> None:
        """Count what is left; with what others did meanwhile."""
        desk = await self.sitting.desk()
        try:
            self.left = await desk.count(self.sitting.run, self.sitting.bar.filters.asked)
        except UserError as error:
            self.view.problem(error)
            return
        self._counted_at = self.looked
        self.progressed()

    async def filtered(self) -> None:
        """Begin anew with other filters."""
        for turn in (self.current, *self.ahead):
            if turn is not None:
                self.release(turn.item_id)
        self.current, self.past, self.place = None, None, None
        self.ahead.clear()
        self.skipped.clear()
        self.left = None
        self.again()
        await self.count()

    def links(self, turn: Turn) -> None:
        """Link to everything that ever became of the product."""
        query = {"key": turn.card.key, "run": self.sitting.run}
        if self.sitting.catalog:
            query["catalog"] = self.sitting.catalog
        tables.link(self.view.t("review.history"), f"/history?{urlencode(query)}")

    def progressed(self) -> None:
        """Show how many were looked at and how many are left."""
        if self.words.is_deleted:
            return
        t = self.view.t
        if self.left is None:
            text = t("review.progress_only", looked=self.looked)
        else:
            left = max(self.left - (self.looked - self._counted_at), 0)
            text = t("review.progress", looked=self.looked, left=left)
        if self.saving:
            text += " · " + t("review.saving", count=len(self.saving))
        self.words.set_text(text)
        if self.looked - self._counted_at >= COUNTED_EVERY and self.left is not None:
            self._counted_at, self.left = self.looked, max(self.left - COUNTED_EVERY, 0)
            background_tasks.create(self.count(), name="review: counting")

    # Verdicts.

    def accept(self, turn: Turn) -> None:
        """Accept the item in sight, with the variants of its pictures that were chosen."""
        if self.writing:
            return
        version = turn.card.version
        self._judged(turn)
        if values := chosen_values(turn.card, turn.chosen):
            self.settle(
                turn, lambda desk: desk.edit(self.sitting.run, turn.item_id, version, values)
            )  # fmt: skip
            return
        self.settle(
            turn, lambda desk: desk.accept(self.sitting.run, turn.item_id, version)
        )  # fmt: skip

    def _choose(self, event: Any) -> None:
        """Take note of a variant that was chosen in the browser, and say what accepting does."""
        turn = self.shown
        given = event.args if isinstance(event.args, dict) else {}
        if turn is None or given.get("turn") != self.number:
            return
        self._active_now()
        found = variant(turn.card, given.get("field"), given.get("choice"))
        if found is not None:
            field, asset = found
            turn.chosen[field.name] = asset
            if self._accept is not None and not self._accept.is_deleted:
                self._accept.set_text(self._accept_words(turn))

    def _accept_words(self, turn: Turn) -> str:
        values = chosen_values(turn.card, turn.chosen)
        if not values:
            return self.view.t("review.accept")
        numbers = [number_of(turn.card, turn.chosen[name]) for name in values]
        if len(numbers) > 1:
            return self.view.t("pictures.take_chosen")
        return self.view.t("pictures.take", number=numbers[0])

    def rejected(self, turn: Turn, reason: str, note: str | None) -> None:
        """Reject the item in sight, or some fields of it."""
        version, wrong = turn.card.version, sorted(self.wrong) or None
        self.rejecting = False
        self._judged(turn)
        self.settle(
            turn,
            lambda desk: desk.reject(
                self.sitting.run, turn.item_id, version, reason, note, fields=wrong
            ),
        )

    def edit(self, turn: Turn) -> None:
        """Write into the item in sight."""
        if self.writing or not turn.card.fields:
            return
        self.editing = True
        self.show(anew=False)
        with self.box:
            ui.run_javascript("waremillReview.edit()")

    def _save_edit(self, event: Any) -> None:
        turn = self.shown
        given = event.args if isinstance(event.args, dict) else {}
        if turn is None or not self.editing or given.get("turn") != self.number:
            return
        self._active_now()
        try:
            values = _changed(self, turn, given.get("values") or {})
        except ConfigError as error:
            self.view.problem(error)
            return
        self.editing = False
        if not values:
            turn.draft = {}
            self.show(anew=False)
            self.view.say(self.view.t("review.unchanged"))
            return
        version = turn.card.version
        self._judged(turn)
        self.settle(
            turn, lambda desk: desk.edit(self.sitting.run, turn.item_id, version, values), values
        )

    def _judged(self, turn: Turn) -> None:
        item_id = turn.item_id
        self.done.append(item_id)
        if item_id in self.trail and self.past is None:
            self.trail.remove(item_id)
        if item_id not in self.trail:
            self.trail.append(item_id)

    def forget(self, turn: Turn) -> None:
        """Take note that a verdict did not come about."""
        if turn.item_id in self.done:
            self.done.remove(turn.item_id)
        if turn.item_id in self.trail:
            self.trail.remove(turn.item_id)
        self.past, self.place = None, None

    def skip(self, turn: Turn) -> None:
        """Leave an item to later, and to others."""
        if self.writing:
            return
        if self.past is not None:
            background_tasks.create(self.onward(), name="review: onward")
            return
        self.trail.append(turn.item_id)
        super().skip(turn)

    def advance(self, turn: Turn) -> None:
        """Go on after a verdict: from an item of before, to what was in sight."""
        if self.past is not None:
            self.past, self.place = None, None
            self.show()
            return
        self.forward()

    async def undo(self) -> None:
        """Take back the last verdict of this sitting, or one's own on the item in sight."""
        if self.writing or self.was_away():
            return
        turn = self.shown
        own = turn is not None and turn.card.history and turn.card.state in DECIDED
        if self.past is not None and own and turn is not None:
            item_id = turn.item_id
        elif self.done:
            item_id = self.done[-1]
        elif own and turn is not None:
            item_id = turn.item_id
        else:
            self.view.say(self.view.t("review.nothing_to_undo"))
            return
        if task := self.saving.get(item_id):
            await task
        desk, run = await self.sitting.desk(), self.sitting.run
        await desk.undo(run, item_id)
        card = await desk.card(run, item_id, holder=self.sitting.holder)
        if item_id in self.done:
            self.done.reverse()
            self.done.remove(item_id)
            self.done.reverse()
            self.looked -= 1
        self.past, self.place = None, None
        if self.current is not None and self.current.item_id != item_id:
            self.ahead.insert(0, self.current)
        self.ahead = [one for one in self.ahead if one.item_id != item_id]
        self.put(Turn(card, self.view.t("review.undone")))

    # What was looked at before.

    async def back(self) -> None:
        """Show the item that was looked at before the one in sight."""
        if self.writing:
            return
        place = len(self.trail) if self.place is None else self.place
        if not place:
            self.view.say(self.view.t("review.no_earlier"))
            return
        await self._show_past(place - 1)

    async def onward(self) -> None:
        """Show what was looked at after the item in sight, and at last the one whose turn it is."""
        if self.place is None or self.writing:
            return
        if self.place + 1 >= len(self.trail):
            self.past, self.place = None, None
            self.show()
            return
        await self._show_past(self.place + 1)

    async def _show_past(self, place: int) -> None:
        item_id = self.trail[place]
        if task := self.saving.get(item_id):
            await task
        desk = await self.sitting.desk()
        card = await desk.card(self.sitting.run, item_id, holder=self.sitting.holder)
        self.release(item_id)
        self.place = place
        self.past = Turn(card, self.view.t("review.earlier"))
        self.show()

    # Drawing.

    def buttons(self) -> None:
        """Draw the verdicts, or the question why, or what ends an edit."""
        if self.rejecting:
            self.strip(fields=True)
            return
        if self.editing:
            save = ui.button().classes("rv-action")
            save.on("click", js_handler="() => waremillReview.save()")
            with save:
                ui.label(self.view.t("review.save"))
                with ui.element("kbd").props("aria-hidden=true"):
                    ui.label("Ctrl+Enter")
            self.action("review.leave", "Esc", self.close)
            return
        button = self.action("review.accept", "a", self.accept, first=True)
        (self._accept,) = [one for one in button.default_slot.children if isinstance(one, ui.label)]
        if self.shown is not None:
            self._accept.set_text(self._accept_words(self.shown))
        self.action("review.reject", "r", self.start_rejecting)
        self.action("review.edit", "e", self.edit)
        self.action("review.skip", "s", self.skip)
        self.action("review.undo", "u", lambda _: self.undo())
        self.action("review.diff", "d", self.toggle_diff)
        self.action("review.back", "p", lambda _: self.back())
        self.action("review.on", "n", lambda _: self.onward())
        self.action("review.how", "i", self.how)

    def nothing(self) -> None:
        """Say that no item is left, and what can be done then."""
        t = self.view.t
        with ui.element("div").classes("rv-end"):
            ui.label(t("review.none_left")).classes("wm-h2")
            ui.label(t("review.none_left_more")).classes("wm-muted")
            if self.skipped:
                ui.label(t("review.skipped_left", count=len(self.skipped)))
                ui.button(t("review.look_skipped"), on_click=self.look_skipped)
            ui.button(t("review.again"), on_click=self.again).classes("wm-quiet")
            if self.done:
                ui.button(t("review.undo"), on_click=self.undo).classes("wm-quiet")

    def _active_now(self) -> None:
        self.was_away()


def _changed(focus: Focus, turn: Turn, given: Mapping[str, Any]) -> dict[str, Any]:
    """Read what was typed, by the fields' numbers; what is the same as before drops out."""
    values: dict[str, Any] = {}
    for number, one in enumerate(turn.card.fields):
        text = given.get(str(number))
        if isinstance(text, str) and text != field_text(one.value):
            values[one.name] = _typed(focus, one, text)
    return values


def _typed(focus: Focus, field: CardField, text: str) -> Any:
    """Read a text as a value of a field's kind; what it cannot be the desk says."""
    if not text.strip():
        return None
    entries = isinstance(field.value, list) and not all(isinstance(x, str) for x in field.value)
    if field.type == "object" or entries:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            said = focus.view.t("review.not_json", name=field.name, example='{"a": 1}')
            raise ConfigError(said) from None
    if field.type == "array":
        return [line.strip() for line in text.split("\n") if line.strip()]
    if field.type == "boolean":
        return text == "true"
    if field.type in ("integer", "number"):
        try:
            return int(text) if field.type == "integer" else float(text)
        except ValueError:
            return text
    return text
