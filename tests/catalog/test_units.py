"""Quantities in text: finding, converting, and deciding what a column measures."""

from __future__ import annotations

import pytest

from waremill.catalog.units import (
    CANONICAL,
    column_dimension,
    convert,
    names_unit,
    normalised,
    parse_number,
    parse_quantities,
    sole_quantity,
)


def found(text: str) -> list[tuple[float, str]]:
    return [(round(quantity.value, 3), quantity.unit) for quantity in parse_quantities(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50 ml", [(50, "ml")]),
        ("50ML", [(50, "ml")]),
        ("7.5 cl", [(7.5, "cl")]),
        ("0,5 L", [(0.5, "l")]),
        ("1.7 fl oz", [(1.7, "fl oz")]),
        ("3.4 FL.OZ", [(3.4, "fl oz")]),
        ("1,7 fl. oz.", [(1.7, "fl oz")]),
        ("3.4 US fl oz", [(3.4, "fl oz")]),
        ("1.5oz/43g", [(1.5, "oz"), (43, "g")]),
        ("2 lbs", [(2, "lb")]),
        ("500克 装", [(500, "g")]),
        ("护肤水150毫升", [(150, "ml")]),
        ("2公斤", [(2, "kg")]),
        ("175厘米", [(175, "cm")]),
        ("1.5 升", [(1.5, "l")]),
        ("1/2 in", [(0.5, "in")]),
        ("1 1/2 in", [(1.5, "in")]),
        ("5½ in", [(5.5, "in")]),
        ('27" monitor', [(27, "in")]),
        ("15″", [(15, "in")]),
        ("10 x 20 cm", [(10, "cm"), (20, "cm")]),
        ("220V 50Hz 1200W", [(220, "v"), (50, "hz"), (1200, "w")]),
        ("5 % off", [(5, "percent")]),
        ("5000 mAh", [(5000, "mah")]),
    ],
)
def test_quantities_are_found_as_shops_write_them(
    text: str, expected: list[tuple[float, str]]
) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    ["3-in-1", "5G phone", '"50" is a number', "Model X100 ml", "12 in stock", "10 M", "2 a day"],
)
def test_numbers_that_only_look_like_quantities_are_left_alone(text: str) -> None:
    assert found(text) == []


def test_a_quantity_says_where_it_stands() -> None:
    text = "Eau 50 ml, spray"
    (quantity,) = parse_quantities(text)
    assert text[quantity.start : quantity.end] == "50 ml"
    assert quantity.dimension == "volume"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,5", 1.5),
        ("1.5", 1.5),
        ("1,000.5", 1000.5),
        ("1.000,5", 1000.5),
        ("1,000", 1000),
        ("0,500", 0.5),
        ("1.000.000", 1_000_000),
        ("1 000", 1000),
        ("1'000", 1000),
        ("x", None),
    ],
)
def test_numbers_are_read_in_every_common_format(text: str, number: float | None) -> None:
    assert parse_number(text) == number


def test_conversion_uses_the_exact_definitions() -> None:
    assert convert(1, "in", "cm") == pytest.approx(2.54)
    assert convert(1, "lb", "g") == pytest.approx(453.59237)
    assert convert(50, "ml", "fl oz") == pytest.approx(1.6907, abs=1e-4)
    assert convert(1, "gal", "l") == pytest.approx(3.785411784)


def test_conversion_between_dimensions_is_refused() -> None:
    with pytest.raises(ValueError, match="do not convert"):
        convert(1, "ml", "g")
    with pytest.raises(ValueError, match="not a known unit"):
        convert(1, "ml", "parsec")


def test_the_same_size_in_two_units_is_one_quantity() -> None:
    quantity = sole_quantity("100 ml / 3.4 oz")
    assert quantity is not None
    assert (quantity.value, quantity.unit) == (100, "ml")
    assert sole_quantity("3 x 50 ml") is None
    assert sole_quantity("50 ml spray") is None


def test_a_column_is_what_most_of_its_cells_measure() -> None:
    assert column_dimension(["50 ml", "100 ml", "1.7 oz", "-"]) == "volume"
    assert column_dimension(["200 g", "1 kg", "50 ml"]) == "mass"
    assert column_dimension(["50 ml", "red", "blue"]) is None
    assert column_dimension([]) is None


def test_ounces_among_millilitres_are_fluid() -> None:
    assert normalised("1.7 oz", "volume") == 50.275
    assert normalised("1 kg", "mass") == 1000
    assert normalised("red", "volume") is None


def test_a_name_that_tells_its_unit_is_recognised() -> None:
    assert names_unit("volume_ml", "volume")
    assert names_unit("Weight (kg)", "mass")
    assert not names_unit("size", "volume")
    assert not names_unit("html", "volume")


def test_every_dimension_has_a_canonical_unit_of_factor_one() -> None:
    for unit in CANONICAL.values():
        assert convert(1, unit, unit) == 1


def test_long_digit_runs_are_searched_in_linear_time() -> None:
    import time

    begun = time.process_time()
    parse_quantities("1 000 " * 5_000 + "9" * 20_000 + "1x" * 5_000)
    assert time.process_time() - begun < 3
