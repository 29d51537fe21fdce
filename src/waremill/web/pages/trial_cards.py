"""Marking a trial: one card at a time, a verdict on each field by key, the accuracy beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from nicegui import ui

from waremill.app.marking import FieldScore, Mark, Marking, Score, TrialCard, TrialField, Verdict
from waremill.app.picture_cards import Shot, photos, pictures_of
from waremill.domain import is_missing
from waremill.errors import WaremillError
from waremill.web.pages import tables
from waremill.web.pages.correcting import correct
from waremill.web.pages.frame import plain
from waremill.web.pages.pictures import SMALL, image, item_pictures, of_item
from waremill.web.pages.shell import View
from waremill.web.pages.stage import Scene, draw_stage, scene_of

CARDS = 100
VERDICTS = (("right", "1"), ("wrong", "2"), ("corrected", "3"))
UNDO_KEPT = 200


class TrialCards:
    """The preview cards of one trial; `on_score` is told whenever the score changes."""

    def __init__(self, view: View, run: str, on_score: Callable[[Score], None]) -> None:
        self.view = view
        self.run = run
        self.cards: list[TrialCard] = []
        self.more = True
        self.place = 0
        self.field = 0
        self.score: Score | None = None
        self._on_score = on_score
        self._undo: list[tuple[int, str, Mark | None]] = []
        self._saving = asyncio.Lock()

    async def draw(self) -> None:
        """Draw the first card and the score."""
        with ui.element("div").classes("nr-trial") as self._root:
            with ui.element("div"):
                self._card = ui.element("div")
                self._legend()
            with ui.element("div").classes("nr-score") as self._panel:
                self._panel.props["aria-label"] = self.view.t("mark.score")
                self._panel.props["role"] = "region"
                self._figures = ui.element("div")
                ui.button(self.view.t("mark.gold"), on_click=self._gold).classes("wm-quiet")
                ui.label(self.view.t("mark.gold_hint")).classes("wm-muted")
        await self._load()
        marking = await self._marking()
        self._scored(await marking.score(self.run))
        self._to_unmarked()
        self._show()

    async def _marking(self) -> Marking:
        return Marking(await self.view.workspace())

    async def _load(self) -> None:
        after = self.cards[-1].item_id if self.cards else 0
        found = await (await self._marking()).cards(self.run, after=after, size=CARDS)
        self.cards += [card for card in found if card.fields]
        self.more = len(found) == CARDS

    def _to_unmarked(self) -> None:
        """Begin where marking stopped: at the first field nobody marked."""
        for place, card in enumerate(self.cards):
            for number, field in enumerate(card.fields):
                if field.mark is None:
                    self.place, self.field = place, number
                    return

    # Keys.

    @property
    def here(self) -> tuple[TrialCard, TrialField] | None:
        """Give the card and the field that keys act on."""
        if not self.cards:
            return None
        card = self.cards[self.place]
        return card, card.fields[self.field]

    async def step_field(self, by: int) -> None:
        """Go to the next field or the one before, over the card's edge."""
        if self.here is None:
            return
        card = self.cards[self.place]
        if 0 <= self.field + by < len(card.fields):
            self.field += by
            self._show()
        elif by > 0:
            await self.step_card(1)
        elif self.place:
            await self.step_card(-1)
            self.field = len(self.cards[self.place].fields) - 1
            self._show()

    async def step_card(self, by: int) -> None:
        """Go to the next card or the one before."""
        if self.place + by >= len(self.cards) and self.more:
            await self._load()
        if 0 <= self.place + by < len(self.cards):
            self.place += by
            self.field = 0
            self._show()

    async def mark(self, verdict: str) -> None:
        """Mark the field here and go on to the next."""
        if self.here is not None:
            await self._mark(self.here[0], self.here[1], verdict, go_on=True)

    async def undo(self) -> None:
        """Take the last mark of this page back, and show its field."""
        if not self._undo:
            self.view.say(self.view.t("mark.nothing_to_undo"))
            return
        item_id, name, before = self._undo.pop()
        self._settle(item_id, name, before)
        for place, card in enumerate(self.cards):
            for number, field in enumerate(card.fields):
                if (card.item_id, field.name) == (item_id, name):
                    self.place, self.field = place, number
        self._show()
        await self._save(item_id, name, before)
        self.view.say(self.view.t("mark.undone"))

    async def _mark(
        self, card: TrialCard, field: TrialField, verdict: str, *, go_on: bool = False
    ) -> None:
        """Show a mark and what comes next at once; it is saved behind."""
        value = None
        if verdict == "corrected":
            address = partial(of_item, self.run, card.item_id)
            given, value = await correct(self.view, field, address)
            if not given:
                return
        kept: Verdict = "right" if value == field.value else "corrected"
        if verdict != "corrected":
            kept = "wrong" if verdict == "wrong" else "right"
        right = None if kept == "wrong" else value if kept == "corrected" else field.value
        by = self.view.actor.name
        mark = Mark(card.item_id, 0, card.target, field.name, kept, field.value, right, by, 0.0)
        await self._set(card, field, mark, go_on=go_on)

    async def _set(
        self, card: TrialCard, field: TrialField, mark: Mark | None, *, go_on: bool = False
    ) -> None:
        self._undo = [*self._undo[-UNDO_KEPT:], (card.item_id, field.name, field.mark)]
        self._settle(card.item_id, field.name, mark)
        if go_on:
            await self.step_field(1)
        self._show()
        try:
            await self._save(card.item_id, field.name, mark)
        except WaremillError:
            self._settle(card.item_id, field.name, field.mark)
            self._show()
            raise

    async def _save(self, item_id: int, name: str, mark: Mark | None) -> None:
        """Save one mark after the other, in the order they were made."""
        async with self._saving:
            marking = await self._marking()
            if mark is None:
                score = await marking.unmark(self.run, item_id, name)
            else:
                score = await marking.mark(self.run, item_id, name, mark.verdict, mark.value)
        if not self._figures.is_deleted:
            self._scored(score)

    def _settle(self, item_id: int, name: str, mark: Mark | None) -> None:
        for place, card in enumerate(self.cards):
            if card.item_id == item_id:
                fields = tuple(
                    replace(one, mark=mark) if one.name == name else one for one in card.fields
                )
                self.cards[place] = replace(card, fields=fields)

    # Drawing.

    def _show(self) -> None:
        view = self.view
        with view.steady(self._card):
            if self.here is None:
                ui.label(view.t("new.trial_none")).classes("wm-empty")
                return
            card = self.cards[self.place]
            pictured = any(pictures_of(one.value) for one in card.fields)
            with ui.element("div").classes("nr-card nr-pictured" if pictured else "nr-card"):
                self._head(card)
                with ui.element("div").classes("nr-source"):
                    self._photos(card)
                    tables.pairs(card.source)
                    if card.more:
                        with ui.element("details"):
                            words = view.t("mark.more", count=len(card.more))
                            plain("summary", words, "wm-muted")
                            tables.pairs(card.more)
                with ui.element("div").classes("nr-fields").props("role=list"):
                    for number, field in enumerate(card.fields):
                        self._field(card, number, field)
        self._card.client.run_javascript(_INTO_VIEW)

    def _head(self, card: TrialCard) -> None:
        view = self.view
        with ui.element("div").classes("nr-card-head"):
            plain("b", card.key)
            if card.target:
                plain("span", card.target)
            tables.state(view, card.state)
            plain("span", "", "wm-gap")
            count = f"{len(self.cards)}{'+' if self.more else ''}"
            plain("span", view.t("mark.card", place=self.place + 1, count=count), "wm-muted")
            back = tables.button("‹", lambda: self.step_card(-1), "wm-plain")
            back.props["aria-label"] = view.t("mark.key_card_back")
            forward = tables.button("›", lambda: self.step_card(1), "wm-plain")
            forward.props["aria-label"] = view.t("mark.key_card")

    def _legend(self) -> None:
        view = self.view
        keys = (
            ("1 r", "mark.right"), ("2 w", "mark.wrong"), ("3 c", "mark.corrected"),
            ("u", "mark.legend_undo"), ("↑ ↓", "mark.legend_field"), ("n", "mark.legend_card"),
        )  # fmt: skip
        with ui.element("div").classes("nr-legend").props("aria-hidden=true"):
            for names, words in keys:
                with ui.element("span"):
                    for name in names.split():
                        plain("kbd", name)
                    plain("span", view.t(words))

    def _field(self, card: TrialCard, number: int, field: TrialField) -> None:
        view, mark = self.view, field.mark
        with ui.element("div").classes("nr-field").props("role=listitem") as box:
            if number == self.field:
                box.props["aria-current"] = "true"
            box.on("click", partial(self._point, number))
            with ui.element("div").classes("nr-field-head"):
                plain("span", field.name, "nr-field-name")
                if field.limit and isinstance(field.value, str):
                    length = plain("span", f"{len(field.value)}/{field.limit}", "wm-muted")
                    words = view.t("mark.limit", length=len(field.value), limit=field.limit)
                    length.props["title"] = length.props["aria-label"] = words
                with ui.element("span").classes("nr-marks"):
                    for verdict, key in VERDICTS:
                        self._button(card, number, verdict, key)
            if pictures_of(field.value):
                draw_stage(
                    view, self._scene(card, number), partial(of_item, self.run, card.item_id)
                )
            text = "" if pictures_of(field.value) else tables.shown(field.value, None)
            wrong = mark is not None and mark.verdict == "corrected"
            if text:
                plain("div", text, "ed-value nr-was" if wrong else "ed-value")
            elif is_missing(field.value):
                plain("div", view.t("mark.empty"), "nr-empty")
            if mark is not None and mark.verdict == "corrected":
                self._corrected(card, mark)
            for finding in field.findings:
                plain("div", view.sentence(finding), "ed-finding")

    def _photos(self, card: TrialCard) -> None:
        """Draw the pictures a product names, where pictures were made of it."""
        if not any(pictures_of(one.value) for one in card.fields):
            return
        with ui.element("div").classes("px-row px-photos"):
            for origin, _ in photos({**card.source, **card.more}):
                says = self.view.t("pictures.photo", key=card.key, column=origin.column)
                image(of_item(self.run, card.item_id, origin, SMALL), says)

    def _scene(self, card: TrialCard, number: int) -> Scene:
        field = card.fields[number]
        found = [origin for origin, _ in photos({**card.source, **card.more})]
        own = [origin for origin in found if origin.column == field.made_from]
        before = next(iter([*own, *found]), None)
        shot = Shot(
            field.name, number, pictures_of(field.value), pictures_of(list(field.choices)), before,
            field.made_from is not None, heat_map=field.heat_map,
        )  # fmt: skip
        return scene_of(self.view, shot)

    def _corrected(self, card: TrialCard, mark: Mark) -> None:
        """Draw what is right in a field's place."""
        if pictures := pictures_of(mark.value):
            item_pictures(self.view, self.run, card.item_id, card.key, pictures)
            return
        text = tables.shown(mark.value, None) or self.view.t("mark.empty")
        plain("div", text, "ed-value")

    def _button(self, card: TrialCard, number: int, verdict: str, key: str) -> None:
        field = card.fields[number]
        words = self.view.t(f"mark.{verdict}")
        button = plain("button", words, f"nr-{verdict}")
        button.props["type"] = "button"
        pressed = field.mark is not None and field.mark.verdict == verdict
        button.props["aria-pressed"] = "true" if pressed else "false"
        button.props["aria-label"] = f"{field.name}: {words}"
        button.on("click.stop", partial(self._pressed, number, verdict))
        if number == self.field:
            with button:
                plain("kbd", key).props("aria-hidden=true")

    async def _pressed(self, number: int, verdict: str) -> None:
        with self._root:  # the button is drawn anew, and gone, before all is said
            await self._press(number, verdict)

    async def _press(self, number: int, verdict: str) -> None:
        self.field = number
        card = self.cards[self.place]
        field = card.fields[number]
        if field.mark is not None and field.mark.verdict == verdict != "corrected":
            await self._set(card, field, None)
            return
        await self._mark(card, field, verdict)

    def _point(self, number: int) -> None:
        if number != self.field:
            self.field = number
            self._show()

    def _scored(self, score: Score) -> None:
        self.score = score
        view, overall = self.view, score.overall
        self._figures.clear()
        with self._figures:
            plain("div", view.t("mark.score"), "wm-figure-name")
            if overall.share is None:
                plain("div", "—", "nr-score-big")
                ui.label(view.t("mark.none_yet")).classes("wm-muted")
            else:
                plain("div", view.share(overall.share), "nr-score-big").props("aria-live=polite")
                _scale(overall)
                ends = {"low": view.share(overall.low), "high": view.share(overall.high)}
                ui.label(view.t("mark.interval", **ends))
                ui.label(
                    view.t("mark.counted", right=overall.right, marked=overall.marked)
                ).classes("wm-muted")
            more = score.more_for_5_points
            words = view.t("mark.more_marks", count=more) if more else view.t("mark.enough")
            if not overall.marked:
                words = view.t("mark.first_marks", count=more)
            ui.label(words).style("margin: 6px 0; font-weight: 600")
            with ui.element("div").classes("nr-by-field"):
                for one in score.by_field:
                    plain("span", one.field)
                    plain("span", f"{view.share(one.share)} ({one.right}/{one.marked})")
        self._on_score(score)

    async def _gold(self) -> None:
        text = await (await self._marking()).gold(self.run)
        ui.download.content(text.encode(), f"gold-{self.run}.jsonl", "application/jsonl")


def _scale(score: FieldScore) -> None:
    """Draw the interval as a band on a line from nothing to all."""
    with ui.element("div").classes("nr-scale").props("aria-hidden=true"):
        width = (score.high - score.low) * 100
        ui.element("i").style(f"left: {score.low * 100:.1f}%; width: {width:.1f}%")
        ui.element("b").style(f"left: {(score.share or 0) * 100:.1f}%")


_INTO_VIEW = """
setTimeout(() => {
  document.querySelector(".nr-field[aria-current]")?.scrollIntoView({block: "nearest"});
}, 40);
"""
