"""What focus mode and a lot's sample share: the keys, why an item is wrong, and how it was made.

What a verdict does is said by each of them.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from nicegui import ui

from waremill.app.knowing.given import given_in
from waremill.app.picture_cards import belongs
from waremill.app.reviewing import REASONS
from waremill.web.pages.frame import plain
from waremill.web.pages.making import show_making
from waremill.web.pages.review_turns import Turn, Turns
from waremill.web.pages.stage import bind_keys
from waremill.web.pages.standing import show_passages


class Judging(Turns):
    """What focus mode and a lot's sample share: the reasons of a rejection, and how it was made."""

    reject_label = "review.reject"

    def bind_common(self) -> None:
        """Bind the keys both have."""
        for number, reason in enumerate(REASONS, 1):
            self.bind(str(number), "review.key_reason", self._reason(reason))
            word = self.view.word("reason", reason)
            label = self.view.t("review.key_reason", reason=word)
            self.view.keys[-1] = (str(number), label)
        self.view.frame.list_keys(self.view.keys)
        self.bind("d", "review.key_diff", self.toggle_diff)
        self.bind("j", "review.key_field", lambda _: None)
        self.bind("k", "review.key_field_before", lambda _: None)
        self.bind("i", "review.key_how", self.how)
        self.bind("o", "standing.key", self.passages)
        self.bind("Escape", "shell.key_close", self.close)
        bind_keys(self.view)

    def _reason(self, reason: str) -> Any:
        def pressed(turn: Turn) -> None:
            if self.rejecting:
                self.rejected(turn, reason, (self.note.value or "").strip() or None)

        return pressed

    @abstractmethod
    def rejected(self, turn: Turn, reason: str, note: str | None) -> None:
        """Save that an item is wrong."""

    def start_rejecting(self, turn: Turn) -> None:
        """Ask why an item is wrong."""
        if self.writing:
            return
        self.rejecting = True
        self.wrong: set[str] = set()
        self.show(anew=False)
        with self.box:
            ui.run_javascript("waremillReview.strip()")

    def close(self, _: Turn | None = None) -> None:
        """Leave the question why, or an edit."""
        if self.writing:
            self.rejecting = self.editing = False
            self.show(anew=False)

    def strip(self, *, fields: bool) -> None:
        """Draw the question why an item is wrong: a note, the reasons by number, which fields."""
        view, turn = self.view, self.shown
        assert turn is not None
        with ui.element("div").classes("rv-strip").props("tabindex=-1 role=group") as strip:
            strip.props["aria-label"] = view.t("review.why")
            plain("span", view.t("review.why"), "rv-why")
            self.note = ui.input(view.t("review.note")).props("maxlength=500")
            self.note.classes("rv-note-box")
            self.action("review.not_rejected", "Esc", self.close)
            with ui.element("div").classes("rv-reasons"):
                for number, reason in enumerate(REASONS, 1):
                    self.action(f"reason.{reason}", str(number), self._reason(reason))
            names = [one.name for one in turn.card.fields if one.name not in belongs(turn.card)]
            if fields and len(names) > 1:
                with ui.element("div").classes("rv-only"):
                    plain("span", view.t("review.only_fields"), "wm-muted")
                    for name in names:
                        self._only(name)

    def _only(self, name: str) -> None:
        button = plain("button", name, "rv-toggle")
        button.props["type"] = "button"
        button.props["aria-pressed"] = "false"

        def click() -> None:
            self.wrong ^= {name}
            button.props["aria-pressed"] = "true" if name in self.wrong else "false"

        button.on("click", click)

    async def how(self, turn: Turn) -> None:
        """Show how the item's values came about: those of the newest result of each step."""
        made = [one for one in turn.card.fields if one.result_id is not None]
        if not made:
            self.view.say(self.view.t("review.made_by_nobody"))
            return
        number = await ui.run_javascript("return waremillReview.field()")
        fields = turn.card.fields
        wanted = fields[number] if isinstance(number, int) and 0 <= number < len(fields) else None
        if wanted not in made:
            wanted = next((one for one in made if one.findings), made[-1])
        assert wanted is not None and wanted.result_id is not None
        with self.box:
            await show_making(self.view, wanted.result_id)

    async def passages(self, turn: Turn) -> None:
        """Show the passages that the focused field was given, at the one it stands on."""
        card = turn.card
        number = await ui.run_javascript("return waremillReview.field()")
        chosen = isinstance(number, int) and 0 <= number < len(card.fields)
        steps = [card.fields[number].step] if chosen else []
        for step in dict.fromkeys((*steps, *card.provenance)):
            given = given_in(card.provenance.get(step, {}))
            if not given.passages:
                continue
            sentences = given.sentences
            if chosen and step == card.fields[number].step:
                name = card.fields[number].name.removeprefix(f"{step}.")
                sentences = given.of_field(name) or sentences
            on = next((one.passage for one in sentences if one.passage is not None), None)
            with self.box:
                await show_passages(self.view, card.run, card.item_id, given, on)
            return
        self.view.say(self.view.t("standing.nothing"))
