"""Numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waremill.report import Interval
from waremill.report.figures import (
    Money,
    count,
    difference,
    difference_span,
    percent,
    seconds,
    short_count,
    significant,
    span,
)

CNY = Money("CNY", 7.1)
USD = Money("USD", 1.0)


def plain(text: str) -> str:
    return text.replace("\u202f", " ")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"), (0, "0 ms"), (0.0844, "84 ms"), (1.44, "1.4 s"), (42.4, "42 s"),
        (59.7, "1 min 00 s"), (2292, "38 min 12 s"), (18_180, "5 h 03 min"), (190_000, "2 d 5 h"),
    ],
)  # fmt: skip
def test_durations_are_shown_in_the_two_units_that_matter(value: float, shown: str) -> None:
    assert plain(seconds(value)) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0, "0 %"), (1, "100 %"), (0.9, "90 %"), (0.043, "4.3 %"), (0.9966, "99.7 %")],
)
def test_rates_are_shown_in_percent_finer_at_the_ends(value: float, shown: str) -> None:
    assert plain(percent(value)) == shown


@pytest.mark.parametrize(
    ("nano", "shown"),
    [
        (0, "0.00 USD"), (1, "0.000000001 USD"), (15_700, "0.0000157 USD"),
        (112_000_000, "0.112 USD"), (1_240_500_000_000, "1,240.50 USD"),
    ],
)  # fmt: skip
def test_money_is_shown_in_three_figures_or_in_cents(nano: int, shown: str) -> None:
    assert USD.show(nano) == shown


def test_money_is_converted_and_an_unknown_price_is_said() -> None:
    assert CNY.show(1_000_000_000) == "7.10 CNY"
    assert CNY.show(None, "unknown") == "unknown"


def test_amounts_of_a_column_have_equal_decimals() -> None:
    column = USD.column([2_763_000_000, 94_000_000, None])
    assert [column.show(nano) for nano in (2_763_000_000, 94_000_000)] == ["2.763", "0.094"]
    assert USD.column([]).show(None) == "–"


def test_counts_are_marked_by_thousands_and_shortened() -> None:
    assert count(12480) == "12,480"
    assert [plain(short_count(n)) for n in (9216, 12_480, 3_412_880, 5e9)] == [
        "9,216", "12.5 k", "3.41 M", "5.00 G",
    ]  # fmt: skip


def test_spans_name_their_unit_once() -> None:
    assert plain(span(Interval(0.9, 0.699, 0.972), "rate", CNY)) == "70–97 %"
    assert span(Interval(1, 13e6, 18e6), "money", CNY) == "0.0923–0.128 CNY"
    assert plain(span(Interval(2292, 1980, 2650), "seconds", CNY)) == "33–44 min"
    assert plain(span(Interval(1, 0.4, 1.9), "seconds", CNY)) == "0.40–1.9 s"
    assert plain(span(Interval(20000, 18000, 23000), "seconds", CNY)) == "5.0–6.4 h"
    assert span(Interval(1), "rate", CNY) == ""


def test_differences_carry_a_sign_and_rates_differ_in_points() -> None:
    assert plain(difference(0.083, "rate", CNY)) == "+8.3 pp"
    assert plain(difference(-0.19, "seconds", CNY)) == "−190 ms"
    assert plain(difference(0, "rate", CNY)) == "±0 pp"
    gap = Interval(19_000, 14_000, 24_000)
    assert difference_span(gap, "money", USD) == "+0.0000140 … +0.0000240"


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15))
def test_no_number_is_shown_in_scientific_notation(value: float) -> None:
    assert "e" not in significant(value)
    if abs(value) >= 1e-6:
        assert float(significant(value).replace(",", "")) == pytest.approx(value, rel=0.006)
