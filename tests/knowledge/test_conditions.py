"""Metadata become labels and conditions that nothing in them can leave."""

from __future__ import annotations

from waremill.knowledge.conditions import labels, sql, validity
from waremill.knowledge.index import Bounds


def test_a_name_and_each_of_its_values_is_a_label() -> None:
    assert labels({"brand": ["Dior", "dior", "Acme"], "year": 2020}) == [
        "n:brand", "v5:brand:dior", "v5:brand:acme", "n:year", "v4:year:2020",
    ]  # fmt: skip


def test_what_is_missing_has_no_label() -> None:
    assert labels({"brand": None, "category": "  ", "market": []}) == []


def test_no_name_is_taken_for_a_name_with_a_value() -> None:
    odd = labels({"a": "b:c", "a:b": "c"})
    assert len(set(odd)) == 4


def test_numbers_compare_as_they_are_written() -> None:
    assert labels({"size": 50.0}) == labels({"size": "50"}) == labels({"size": 50})


def test_days_of_validity_are_no_labels() -> None:
    told = {"valid_from": "2026-01-02T03:04", "valid_to": "2026-12-31"}
    assert labels(told) == []
    assert validity(told) == ("2026-01-02", "2026-12-31")
    assert validity({}) == (None, None)


def test_quotation_marks_stay_inside_the_text() -> None:
    written = sql(Bounds({"brand": "O'Neill'; --"}, documents=["d'1"]))
    assert "v5:brand:o''neill''; --" in written
    assert "document IN ('d''1')" in written


def test_no_bounds_are_no_condition() -> None:
    assert sql(Bounds({})) == ""
    assert sql(Bounds({"brand": None, "market": []})) == ""
