"""Pictures on a page: where the browser gets them from, small ones in lists, and their style.

An address names the item or product that has a picture; whether the viewer may see it is asked
when the browser asks for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from nicegui import ui
from nicegui.element import Element

from waremill.app.picture_cards import Before, Origin, photos, picture_fields
from waremill.domain import Asset
from waremill.web.pages.frame import plain
from waremill.web.pages.mounting import STATIC, STATIC_PATH
from waremill.web.pages.shell import View

SMALL, TILE, LARGE = 160, 320, 1280
"""Pixels that pictures in a list, in a grid, and alone are asked for in."""
MOST_SMALL = 4
"""Pictures of one value that a list shows."""


def load_pictures() -> None:
    """Load the style and the scripts of pictures."""
    for name, line in (
        ("pictures.css", '<link rel="stylesheet" href="{path}">'),
        ("pictures.js", '<script defer src="{path}"></script>'),
        ("tiles.js", '<script defer src="{path}"></script>'),
    ):
        digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
        ui.add_head_html(line.format(path=f"{STATIC_PATH}/{name}?{digest}"))


def of_item(run: str, item_id: int, picture: Before, width: int | None = None) -> str:
    """Give the address of an item's picture, or of one its product names; whole without `width`."""
    under = f"/v1/runs/{quote(run)}/items/{item_id}"
    size = {} if width is None else {"width": width}
    if isinstance(picture, Origin):
        asked = {"column": picture.column, "place": picture.place, **size}
        return f"{under}/source-picture?{urlencode(asked)}"
    query = f"?{urlencode(size)}" if size else ""
    return f"{under}/pictures/{picture.sha256}.{picture.ending}{query}"


def of_product(catalog: str, key: str, origin: Origin, width: int | None = None) -> str:
    """Give the address of a picture a product names."""
    asked: dict[str, Any] = {"column": origin.column, "place": origin.place}
    if width is not None:
        asked["width"] = width
    return f"/v1/catalogs/{quote(catalog, safe='')}/pictures/{quote(key)}?{urlencode(asked)}"


def image(address: str, says: str, classes: str = "px-small") -> Element:
    """Draw a picture that is loaded once it is near what is in sight; `says` is for who sees none.

    One that cannot be shown is replaced by its words.
    """
    with ui.element("span").classes(classes) as box:
        drawn = ui.element("img")
        drawn.props["src"] = address
        drawn.props["alt"] = says
        drawn.props["loading"] = "lazy"
        drawn.props["decoding"] = "async"
    return box


def item_pictures(view: View, run: str, item_id: int, key: str, pictures: Sequence[Asset]) -> None:
    """Draw small pictures of an item in a row, each a link to the whole one."""
    with ui.element("span").classes("px-row"):
        for number, one in enumerate(pictures[:MOST_SMALL], 1):
            says = view.t("pictures.of", key=key, number=number)
            _linked(of_item(run, item_id, one), of_item(run, item_id, one, SMALL), says)
        if len(pictures) > MOST_SMALL:
            plain("span", f"+{len(pictures) - MOST_SMALL}", "wm-muted")


def product_pictures(view: View, catalog: str, key: str, attributes: Mapping[str, Any]) -> None:
    """Draw the pictures a product names; nothing where it names none."""
    found = list(photos(attributes))
    if not found:
        return
    with ui.element("div").classes("px-row px-photos"):
        for origin, text in found:
            says = view.t("pictures.photo", key=key, column=origin.column)
            whole = of_product(catalog, key, origin)
            with _linked(whole, of_product(catalog, key, origin, TILE), says, "px-photo"):
                plain("span", origin.column, "px-caption").props["title"] = text


def _linked(whole: str, small: str, says: str, classes: str = "") -> Element:
    """Draw a small picture that leads to the whole one in a tab of its own."""
    with ui.element("a").classes(f"px-link {classes}".strip()) as link:
        link.props["href"] = whole
        link.props["target"] = "_blank"
        link.props["rel"] = "noopener"
        link.props["aria-label"] = says
        image(small, "")
    return link


def without_pictures(values: Mapping[str, Any]) -> dict[str, Any]:
    """Give an item's other values: what is text to a reader."""
    shown = picture_fields(values)
    return {
        name: value for name, value in values.items()
        if name not in shown and not _is_reference(value)
    }  # fmt: skip


def _is_reference(value: Any) -> bool:
    entries = value if isinstance(value, list) else [value]
    return bool(entries) and all(Asset.parse(one) is not None for one in entries)


__all__ = [
    "LARGE",
    "SMALL",
    "TILE",
    "image",
    "item_pictures",
    "load_pictures",
    "of_item",
    "of_product",
    "product_pictures",
    "without_pictures",
]
