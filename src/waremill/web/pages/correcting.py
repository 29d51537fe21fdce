"""The dialog in which a wrong field gets its right value."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import orjson
from nicegui import ui

from waremill.app.marking import TrialField
from waremill.app.picture_cards import pictures_of
from waremill.errors import ConfigError
from waremill.web.pages import dialogs
from waremill.web.pages.frame import plain
from waremill.web.pages.pictures import TILE, image
from waremill.web.pages.shell import View
from waremill.web.pages.stage import Address

MOST_SHOWN = 12
"""Values of a list that are all shown; of more, one types to find it."""


async def correct(view: View, field: TrialField, address: Address) -> tuple[bool, Any]:
    """Ask for a field's right value; give whether one was given, and the value.

    None as a value says that the field is rightly empty. `address` gives where its pictures are.
    """
    found: list[Any] = []
    before = field.value
    if field.mark is not None and field.mark.verdict == "corrected":
        before = field.mark.value

    def draw() -> dialogs.Save:
        if pictures_of(field.value):
            read = _pictures(view, field, before, address)
        else:
            read = _draw(view, field, before)
        absent = ui.checkbox(view.t("mark.absent"), value=False)

        async def save() -> None:
            found.append(None if absent.value else read())

        return save

    title = view.t("mark.correct_title", field=field.name)
    if await dialogs.ask(view, title, view.t("mark.save"), draw) and found:
        return True, found[-1]
    return False, None


def _pictures(view: View, field: TrialField, before: Any, address: Address) -> Any:
    """Draw a button a variant; without any, there is nothing to take in the picture's place."""
    chosen = [before]
    if not field.choices:
        ui.label(view.t("pictures.no_variants")).classes("wm-muted")
    with ui.element("div").classes("nr-choices"):
        for number, one in enumerate(pictures_of(list(field.choices)), 1):
            button = ui.element("button").classes("px-choice")
            button.props["type"] = "submit"
            button.props["aria-label"] = view.t("pictures.choice", number=number)
            button.props["aria-pressed"] = "true" if str(one) == before else "false"
            button.on("click", partial(chosen.__setitem__, 0, str(one)))
            with button:
                image(address(one, TILE), "", "px-small px-to-choose")

    def read() -> Any:
        if not field.choices:
            raise ConfigError(view.t("pictures.no_variants"))
        return chosen[0]

    return read


def _draw(view: View, field: TrialField, before: Any) -> Any:
    """Draw the input that fits a field's type; give what reads it."""
    if field.choices and field.type != "array":
        return _choice(field, before)
    if field.type == "boolean":
        return _buttons({True: view.t("shell.yes"), False: view.t("shell.no")}, before)
    if field.type == "array":
        return _lines(view, field, before)
    return _text(view, field, before)


def _choice(field: TrialField, before: Any) -> Any:
    if len(field.choices) <= MOST_SHOWN:
        return _buttons({one: one for one in field.choices}, before)
    known = before if before in field.choices else None
    chosen = ui.select(list(field.choices), value=known, label=field.name, with_input=True)
    chosen.props("autofocus")
    return lambda: chosen.value


def _buttons(options: Mapping[Any, str], before: Any) -> Any:
    """Draw a button a value: pressing one takes it and saves."""
    chosen = [before]
    with ui.element("div").classes("nr-choices"):
        for number, (value, words) in enumerate(options.items()):
            button = plain("button", words, "wm-plain")
            button.props["type"] = "submit"
            button.props["aria-pressed"] = "true" if value == before else "false"
            if not number:
                button.props("autofocus")
            button.on("click", partial(chosen.__setitem__, 0, value))
    return lambda: chosen[0]


def _lines(view: View, field: TrialField, before: Any) -> Any:
    plain = isinstance(before, list) and all(isinstance(one, str) for one in before)
    if before is not None and not plain:
        return _text(view, field, before)
    area = ui.textarea(view.t("mark.lines"), value="\n".join(before or ()))
    area.props("autofocus autogrow").style("width: 520px")
    return lambda: [line.strip() for line in (area.value or "").splitlines() if line.strip()]


def _text(view: View, field: TrialField, before: Any) -> Any:
    written = isinstance(before, str) or before is None
    text = (before or "") if written else orjson.dumps(before).decode()
    area = ui.textarea(field.name, value=text).props("autofocus autogrow").style("width: 520px")
    if field.limit:
        area.props(f"counter maxlength={field.limit}")

    def read() -> Any:
        value = (area.value or "").strip()
        if field.type == "string":
            return value
        try:
            read = orjson.loads(value)
        except orjson.JSONDecodeError:
            read = None
        fits: dict[str, Any] = {
            "integer": int,
            "number": (int, float),
            "object": dict,
            "array": list,
        }
        if isinstance(read, bool) or not isinstance(read, fits.get(field.type, object)):
            raise ConfigError(view.t("mark.not_a_value", text=value[:60], type=field.type))
        return read

    return read
