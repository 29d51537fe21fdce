"""What of a card is a picture: what it was made from, what belongs to it, what a product names."""

from __future__ import annotations

from typing import Any

import pytest

from waremill.app.cards import Card, CardField
from waremill.app.picture_cards import (
    Origin,
    belongs,
    names_picture,
    photos,
    picture_fields,
    pictures_of,
    shots_of,
)
from waremill.domain import Asset


def asset(letter: str) -> Asset:
    return Asset(letter * 64, "png")


def field(name: str, value: Any, step: str, **more: Any) -> CardField:
    given = {"previous": None, "findings": (), "spans": (), "sources": (), "result_id": 1}
    return CardField(name, "string", value, **{**given, **more}, step=step)


def card(*fields: CardField, source: dict[str, Any], made_from: dict[str, Any]) -> Card:
    return Card(
        1, "run", "K1", "", "ready", 1, source, (), fields, (), {}, (), False, made_from=made_from
    )


def test_a_picture_is_followed_to_the_photo_it_began_with() -> None:
    one = card(
        field("cutout", str(asset("a")), "cut"),
        field("main", str(asset("b")), "compose"),
        field("title", "Eau", "copy"),
        source={"photo": ["", "photos/1.jpg"], "name": "Eau"},
        made_from={"cut": ("photo",), "compose": ("cutout", "wall")},
    )
    first, second = shots_of(one)
    # The second entry is the first that names a picture.
    assert (first.name, first.number, first.before) == ("cutout", 0, Origin("photo"))
    assert (second.name, second.before, second.same_frame) == ("main", Origin("photo"), True)


def test_what_a_model_painted_is_shown_beside_a_photo_of_the_product() -> None:
    one = card(
        field("scene", str(asset("a")), "scene"),
        source={"name": "Eau", "photo": "photos/1.jpg"},
        made_from={},
    )
    (shot,) = shots_of(one)
    assert (shot.before, shot.same_frame) == (Origin("photo"), False)


def test_variants_and_heat_maps_belong_to_their_field() -> None:
    variants = [str(asset("a")), str(asset("b"))]
    fields = (
        field("scene", variants[0], "scene", previous=str(asset("c"))),
        field("scene_variants", variants, "scene"),
        field("scene_heat_map", str(asset("d")), "check"),
        field("notes_variants", "two of them", "copy"),
    )
    one = card(*fields, source={}, made_from={})
    (shot,) = shots_of(one)
    assert shot.variants == (asset("a"), asset("b"))
    assert (shot.heat_map, shot.live) == (asset("d"), asset("c"))
    assert belongs(one) == {"scene_variants", "scene_heat_map"}
    values = {field.name: field.value for field in fields}
    assert picture_fields(values) == {"scene": (asset("a"),)}
    # What a person took instead is another picture than the one that was looked at.
    taken = field("scene", variants[1], "scene", origin="human")
    (shot,) = shots_of(card(taken, *fields[1:], source={}, made_from={}))
    assert shot.heat_map is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (str(asset("a")), 1), ([str(asset("a")), str(asset("b"))], 2), ([str(asset("a")), "x"], 0),
        ("asset:12.png", 0), ([], 0), (None, 0), (3, 0),
    ],
)  # fmt: skip
def test_a_value_holds_pictures_where_all_of_it_does(value: Any, expected: int) -> None:
    assert len(pictures_of(value)) == expected


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("anything", "photos/a b.JPG", True), ("anything", "https://x.example/a.webp?v=2", True),
        ("image_url", "https://cdn.example/12345", True), ("主图", "https://a.example/1", True),
        ("url", "https://shop.example/p/1", False), ("image", "a bottle of glass", False),
        ("notes", "see\nphoto.jpg", False), ("photo", "", False), ("photo", 7, False),
    ],
)  # fmt: skip
def test_which_values_name_a_picture(column: str, value: Any, expected: bool) -> None:
    assert names_picture(column, value) == expected


def test_a_products_photos_are_those_it_names() -> None:
    named = dict(photos({"name": "Eau", "photo": "a.png", "more": ["b.png", "text", "c.png"]}))
    assert named == {Origin("photo"): "a.png", Origin("more"): "b.png", Origin("more", 2): "c.png"}
