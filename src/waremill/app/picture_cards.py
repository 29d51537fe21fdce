"""What of a card is a picture: which fields hold some, what each was made from, what there is to
choose from, and which picture shows where a check objects.

Pure: works on cards and values, reads nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from waremill.app.cards import Card, CardField
from waremill.domain import Asset, is_missing, named_pictures

VARIANTS, HEAT_MAP = "_variants", "_heat_map"
"""What the names of fields end in that belong to the field of the name before it."""
_SUFFIXES = r"\.(?:jpe?g|png|webp|avif|gif|tiff?|bmp)$"
_PATH = re.compile(_SUFFIXES, re.IGNORECASE)
_ADDRESS = re.compile(r"https?://[^/\s]+/\S*$", re.IGNORECASE)
_NAMED = re.compile(
    r"image|photo|picture|thumbnail|cutout|(?:^|_)img(?:$|_)|图|照片|主图", re.IGNORECASE
)
_LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class Origin:
    """A picture that a product names: in which attribute, at which place of several (from 0)."""

    column: str
    place: int = 0


Before: TypeAlias = Asset | Origin


@dataclass(frozen=True, slots=True)
class Shot:
    """A field of a card that holds pictures.

    `number` is the field's place on the card. `variants` are what a reviewer may choose from, with
    the field's own picture among them. `before` is the first picture it was made from; `same_frame`
    is False where a model painted it anew, so that the two cannot be laid over each other.
    `live` is the picture that is live now. `heat_map` is a picture that shows where a check found
    this one changed.
    """

    name: str
    number: int
    pictures: tuple[Asset, ...]
    variants: tuple[Asset, ...] = ()
    before: Before | None = None
    same_frame: bool = True
    live: Asset | None = None
    heat_map: Asset | None = None


def pictures_of(value: Any) -> tuple[Asset, ...]:
    """Give the pictures a field's value refers to: one, a list of them, or none."""
    entries = value if isinstance(value, list) else [value]
    found = tuple(asset for one in entries if (asset := Asset.parse(one)) is not None)
    return found if len(found) == len(entries) else ()


def picture_fields(values: Mapping[str, Any]) -> dict[str, tuple[Asset, ...]]:
    """Give an item's pictures by field, in the order they were made, without what belongs to one.

    A field that only holds the choices or the heat-map of another is not listed by itself.
    """
    found = {name: pictures for name, value in values.items() if (pictures := pictures_of(value))}
    return {name: pictures for name, pictures in found.items() if owner_of(name, found) is None}


def owner_of(name: str, known: Mapping[str, Any]) -> str | None:
    """Give the field a field of choices or a heat-map belongs to; None for any other."""
    for ending in (VARIANTS, HEAT_MAP):
        owner = name.removesuffix(ending)
        if owner != name and owner in known:
            return owner
    return None


def shots_of(card: Card) -> tuple[Shot, ...]:
    """Give a card's fields that hold pictures, in their order."""
    known = {one.name: one for one in card.fields}
    found = []
    for number, one in enumerate(card.fields):
        pictures = pictures_of(one.value)
        if not pictures or owner_of(one.name, known) is not None:
            continue
        variants = known.get(one.name + VARIANTS)
        before, same_frame = _before(card, one)
        live = pictures_of(one.previous)
        found.append(
            Shot(
                one.name, number, pictures,
                pictures_of(variants.value) if variants is not None else (),
                before, same_frame, live[0] if live and live != pictures else None,
                _heat_map(one, known.get(one.name + HEAT_MAP)),
            )
        )  # fmt: skip
    return tuple(found)


def belongs(card: Card) -> frozenset[str]:
    """Give the card's fields that are shown with another one: choices and heat-maps."""
    known = {one.name: one for one in card.fields}
    return frozenset(
        name for name, one in known.items()
        if owner_of(name, known) is not None and pictures_of(one.value)
    )  # fmt: skip


def photos(attributes: Mapping[str, Any]) -> Iterator[tuple[Origin, str]]:
    """Give the pictures that a product names, each with the path or address it names it by."""
    for column, value in attributes.items():
        if not isinstance(value, str | list | tuple):
            continue
        for place, one in enumerate(named_pictures(value)):
            if names_picture(column, one):
                yield Origin(column, place), one


def names_picture(column: str, value: Any) -> bool:
    """Say whether a value names a picture: a path or address that ends like one, or an address in a
    column that is called like one.
    """
    if not isinstance(value, str) or is_missing(value) or len(value) > _LONGEST:
        return False
    text = value.strip()
    if "\n" in text:
        return False
    if _ADDRESS.match(text):
        return bool(_NAMED.search(column) or _PATH.search(re.split(r"[?#]", text)[0]))
    return bool(_PATH.search(text))


def _before(card: Card, field: CardField) -> tuple[Before | None, bool]:
    """Follow what a picture was made from to where it began: a product's photo, mostly."""
    by_name = {one.name.rpartition(".")[2]: one for one in card.fields}
    seen: set[str] = set()
    found: Before | None = None
    at: CardField | None = field
    while at is not None and at.step not in seen:
        seen.add(at.step)
        name = next(iter(card.made_from.get(at.step, ())), None)
        if name is None:
            break
        at = None
        if name in by_name and (pictures := pictures_of(by_name[name].value)):
            at, found = by_name[name], pictures[0]
        elif (origin := _origin(card, name)) is not None:
            found = origin
    if found is not None:
        return found, True
    return next((origin for origin, _ in photos(card.source)), None), False


def _origin(card: Card, column: str) -> Origin | None:
    return Origin(column) if named_pictures(card.source.get(column)) else None


def _heat_map(field: CardField, made: CardField | None) -> Asset | None:
    """Give the picture that shows where a check found another one changed."""
    # A value that a person replaced since is another picture than the one that was looked at.
    own = made.value if made is not None and field.origin != "human" else None
    return next(iter(pictures_of(own)), None)


__all__ = [
    "HEAT_MAP",
    "VARIANTS",
    "Before",
    "Origin",
    "Shot",
    "belongs",
    "names_picture",
    "owner_of",
    "photos",
    "picture_fields",
    "pictures_of",
    "shots_of",
]
