"""Pictures on a review card: their stages in the middle, and a line for each among the fields."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

import orjson
from nicegui import ui

from waremill.app.picture_cards import Before, Origin, Shot, names_picture, shots_of
from waremill.app.reviewing import Card, CardField
from waremill.domain import Asset
from waremill.web.pages.frame import plain
from waremill.web.pages.pictures import LARGE, SMALL, TILE, image, of_item
from waremill.web.pages.shell import View
from waremill.web.pages.stage import draw_stage, scene_of


def address_of(card: Card, picture: Before, width: int | None) -> str:
    """Give where the browser gets a picture of a card."""
    return of_item(card.run, card.item_id, picture, width)


def draw_stages(
    view: View, card: Card, shots: Collection[Shot], *, live: bool, choosing: bool
) -> None:
    """Draw a stage for each picture of a card; the first with findings, else the last, is shown."""
    objected = (one.number for one in shots if card.fields[one.number].findings)
    first = next(objected, max(one.number for one in shots))
    with ui.element("section").classes("px-desk") as desk:
        desk.props["aria-label"] = view.t("pictures.stage")
        for shot in shots:
            scene = scene_of(view, shot, live=live, choosing=choosing)
            draw_stage(view, scene, partial(address_of, card), hidden=shot.number != first)


def draw_line(view: View, card: Card, shot: Shot) -> None:
    """Draw a picture small, with what it was made from and what there is to choose from."""
    field = card.fields[shot.number]
    with ui.element("div").classes("px-line-of"):
        for one in shot.pictures[:3]:
            image(address_of(card, one, SMALL), view.t("pictures.made_of", name=field.name))
        with ui.element("div").classes("px-line-words"):
            plain("span", _from(view, shot), "rv-from")
            if len(shot.variants) > 1:
                plain("span", view.t("pictures.variants", count=len(shot.variants)))
    if field.findings and len(shot.variants) > 1:
        said = plain("div", view.t("pictures.of_own", number=number_of(card, shot.pictures[0])))
        said.classes("rv-live px-of-own").props["hidden"] = True


def _from(view: View, shot: Shot) -> str:
    if shot.before is None or not shot.same_frame:
        return view.t("pictures.by_model")
    if isinstance(shot.before, Origin):
        return view.t("pictures.from", name=shot.before.column)
    return view.t("pictures.from_picture")


def made_from(shot: Shot) -> tuple[str, ...]:
    """Name the attributes a picture was made from."""
    origin = shot.before if isinstance(shot.before, Origin) and shot.same_frame else None
    return () if origin is None else (origin.column,)


def draw_source(view: View, card: Card, name: str) -> None:
    """Draw the picture an attribute names, above its path; nothing where it names none."""
    value = card.source[name]
    if names_picture(name, value[0] if isinstance(value, list) and value else value):
        says = view.t("pictures.photo", key=card.key, column=name)
        image(address_of(card, Origin(name), TILE), says, "px-small px-of-source")


def chosen_values(card: Card, chosen: Mapping[str, Asset]) -> dict[str, str]:
    """Give the values of fields in whose place another variant was chosen."""
    values = {one.name: one.value for one in card.fields}
    return {name: str(one) for name, one in chosen.items() if values.get(name) != str(one)}


def variant(card: Card, number: object, choice: object) -> tuple[CardField, Asset] | None:
    """Give the field at a place of a card and its variant of a number, from 1; None for none.

    Both come from the browser.
    """
    for shot in shots_of(card):
        if shot.number == number and choice in range(1, len(shot.variants) + 1):
            assert isinstance(choice, int)
            return card.fields[shot.number], shot.variants[choice - 1]
    return None


def number_of(card: Card, picture: Asset) -> int:
    """Give the number a variant is chosen by."""
    found = (one.variants.index(picture) + 1 for one in shots_of(card) if picture in one.variants)
    return next(found, 1)


def preload(card: Card) -> None:
    """Let the browser get the large pictures of a card that comes next."""
    found: dict[str, None] = {}
    for shot in shots_of(card):
        for one in (shot.pictures[0], shot.before):
            if one is not None:
                found[address_of(card, one, LARGE)] = None
    if found:
        addresses = orjson.dumps(list(found)).decode()
        ui.run_javascript(f"waremillPictures.preload({addresses})")
