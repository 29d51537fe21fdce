"""Shadows: where they touch, which way they fall, how they soften."""

from __future__ import annotations

import numpy as np
import pytest

from waremill.images.shadows import Direction, Kind, Lamp, Spot, shadow

SIZE = (600, 600)


def block(width: int = 160, height: int = 200) -> tuple[np.ndarray, Spot]:
    return np.full((height, width), 255, np.uint8), Spot((600 - width) // 2, 200)


def cast(kind: Kind, lamp: Lamp | None = None) -> np.ndarray:
    alpha, spot = block()
    return shadow(kind, alpha, spot, SIZE, lamp or Lamp())


@pytest.mark.parametrize("kind", ["contact", "cast", "drop"])
def test_a_shadow_has_the_canvas_size_and_never_takes_more_than_all_light(kind: Kind) -> None:
    plane = cast(kind, Lamp(strength=1, softness=0))
    assert plane.shape == (600, 600)
    assert plane.dtype == np.float32
    assert plane.min() >= 0 and plane.max() <= 1


def test_contact_is_darkest_right_under_the_lowest_row_and_fades_within_a_tenth() -> None:
    below = cast("contact")[400:, 300]
    assert below[:3].max() == pytest.approx(below.max(), rel=0.15)
    assert below[0] > 0.3
    assert below[60] < 0.02


def test_contact_stays_at_the_foot_and_does_not_rise_along_the_sides() -> None:
    plane = cast("contact")
    assert plane[200:360].max() < 0.02


def test_only_what_touches_the_ground_darkens_it() -> None:
    alpha = np.full((200, 300), 255, np.uint8)
    alpha[120:, 80:220] = 0  # a table: two legs, 80 pixels wide
    plane = shadow("contact", alpha, Spot(150, 200), SIZE, Lamp())
    assert plane[402, 190] > 0.3
    assert plane[402, 300] < plane[402, 190] / 4


def test_a_base_in_perspective_is_touched_along_its_slope() -> None:
    rows, columns = np.mgrid[0:200, 0:300]
    alpha = np.where(rows < 150 + columns * 0.15, 255, 0).astype(np.uint8)
    plane = shadow("contact", alpha, Spot(150, 200), SIZE, Lamp())
    for column in (60, 150, 240):
        foot = 200 + int(150 + column * 0.15)
        assert plane[foot + 2, 150 + column] > 0.3


@pytest.mark.parametrize(
    ("source", "rightward", "downward"),
    [
        ("front-left", True, False), ("front-right", False, False), ("left", True, False),
        ("right", False, False), ("back-left", True, True), ("back-right", False, True),
    ],
)  # fmt: skip
def test_a_cast_shadow_falls_away_from_the_lamp(
    source: Direction, rightward: bool, downward: bool
) -> None:
    lamp = Lamp(source, height=35)
    only = cast("cast", lamp) - cast("contact", lamp)
    weight = np.maximum(only, 0)
    weight[200:400, 220:380] = 0  # behind the product it is not seen
    rows, columns = np.mgrid[0:600, 0:600]
    assert ((weight * columns).sum() / weight.sum() > 300) == rightward
    assert ((weight * rows).sum() / weight.sum() > 400) == downward


def test_a_lower_lamp_casts_a_longer_shadow() -> None:
    def reach(height: float) -> int:
        plane = cast("cast", Lamp("left", height))
        return int(np.flatnonzero((plane > 0.05).any(axis=0))[-1])

    assert reach(25) > reach(45) > reach(70)


def test_a_cast_shadow_begins_at_the_foot_and_softens_with_distance() -> None:
    plane = cast("cast", Lamp("front-left", height=35, softness=0.8))
    right = plane[:, 385:]
    assert right.max() > 0.15
    near, far = plane[:, 400], plane[:, 470]

    def steepness(line: np.ndarray) -> float:
        return float(np.abs(np.diff(line)).max() / line.max())

    assert steepness(near) > 1.5 * steepness(far)


def test_strength_darkens_and_none_leaves_all_light() -> None:
    assert cast("cast", Lamp(strength=0.9)).sum() > cast("cast", Lamp(strength=0.3)).sum()
    assert cast("cast", Lamp(strength=0)).max() == 0
    assert cast("none").max() == 0


def test_an_empty_product_casts_no_shadow() -> None:
    plane = shadow("cast", np.zeros((50, 50), np.uint8), Spot(10, 10), SIZE, Lamp())
    assert plane.max() == 0


@pytest.mark.parametrize("spot", [Spot(-80, 500), Spot(560, -100), Spot(0, 599)])
def test_a_product_over_the_canvas_edge_is_no_trouble(spot: Spot) -> None:
    alpha, _ = block()
    for kind in ("contact", "cast", "drop"):
        assert np.isfinite(shadow(kind, alpha, spot, SIZE, Lamp())).all()


def test_a_thin_line_and_a_single_pixel_have_shadows_too() -> None:
    for alpha in (np.full((1, 1), 255, np.uint8), np.full((200, 1), 255, np.uint8)):
        plane = shadow("cast", alpha, Spot(300, 300), SIZE, Lamp())
        assert np.isfinite(plane).all()
