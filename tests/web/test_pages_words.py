"""What pages do without a browser: figures, and selections that are clicked and typed together."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest
from tests.workspaces import write_sheet

from waremill.app import Workspace
from waremill.app.browsing import Browse
from waremill.web.pages import figures
from waremill.web.pages.charts import over_time
from waremill.web.pages.selecting import Clicked, clause, condition, name_of

ROWS = [
    {"sku": "A", "brand": "Dior", "品牌": "迪奥", "price": "90", "order": "1", "a b": "x"},
    {"sku": "B", "brand": "L'Occitane", "品牌": "", "price": "20", "order": "2", "a b": "100%"},
    {"sku": "C", "brand": "", "品牌": "迪奥", "price": "", "order": "3", "a b": "1000"},
]


async def keys(workspace: Workspace, where: str) -> list[str]:
    """The keys a `WHERE` picks."""
    return [one.key for one in (await Browse(workspace).products("shop", where)).rows]


@pytest.fixture
async def shop(workspace: Workspace, tmp_path: Path) -> Workspace:
    """A workspace with three products."""
    sheet = write_sheet(tmp_path / "shop.csv", ROWS)
    await workspace.import_catalog([sheet], key="sku", catalog="shop")
    return workspace


@pytest.mark.parametrize(
    ("written", "picked"),
    [
        (clause("brand", ["Dior"]), ["A"]),
        (clause("brand", ["Dior", "L'Occitane"]), ["A", "B"]),
        (clause("brand", [None]), ["C"]),
        (clause("brand", ["Dior", None]), ["A", "C"]),
        (clause("品牌", ["迪奥"]), ["A", "C"]),
        (clause("order", ["2"]), ["B"]),
        (condition("a b", "contains", "100%"), ["B"]),
        (condition("a b", "begins", "100"), ["B", "C"]),
        (condition("price", "more", "30"), ["A"]),
        (condition("price", "less", "30"), ["B"]),
        (condition("price", "missing", ""), ["C"]),
        (condition("price", "present", ""), ["A", "B"]),
        (condition("brand", "is", "L'Occitane"), ["B"]),
    ],
)
async def test_what_is_clicked_is_a_where_that_picks_it(
    shop: Workspace, written: str, picked: list[str]
) -> None:
    assert await keys(shop, written) == picked


async def test_what_is_typed_and_what_is_clicked_hold_together(shop: Workspace) -> None:
    clicked = Clicked()
    clicked.read("price > 30 OR price < 30")
    clicked.toggle("brand", "Dior")
    assert clicked.where == "(price > 30 OR price < 30) AND brand = 'Dior'"
    assert await keys(shop, clicked.where) == ["A"]


def test_a_second_click_takes_a_value_away() -> None:
    clicked = Clicked()
    clicked.toggle("brand", "Dior")
    clicked.toggle("brand", "Chanel")
    assert clicked.where == "brand IN ('Dior', 'Chanel')"
    clicked.toggle("brand", "Dior")
    clicked.toggle("brand", "Chanel")
    assert clicked.where == ""


def test_the_box_counts_what_was_clicked_is_found_in_it_again_or_dropped() -> None:
    clicked = Clicked()
    clicked.toggle("brand", "Dior")
    clicked.read(f"price > 3 AND {clicked.where}")
    assert (clicked.typed, clicked.has("brand", "Dior")) == ("price > 3", True)
    clicked.read("brand = 'Chanel'")
    assert (clicked.typed, clicked.picked) == ("brand = 'Chanel'", {})


def test_a_name_that_is_no_plain_word_is_quoted() -> None:
    assert name_of("brand") == "brand"
    assert name_of("order") == '"order"'
    assert name_of('size "L"') == '"size ""L"""'


def test_more_than_words_is_refused() -> None:
    with pytest.raises(ValueError, match="could not convert"):
        condition("price", "more", "cheap")


@pytest.mark.parametrize(
    ("value", "written"),
    [(None, "—"), (0, "0.00 CNY"), (1234.5, "1,234.50 CNY"), (0.11, "0.11 CNY"),
     (0.000304, "0.00030 CNY")],
)  # fmt: skip
def test_small_amounts_keep_two_digits_that_count(value: float | None, written: str) -> None:
    assert figures.amount(value, "CNY") == written


def test_a_share_is_never_rounded_up_to_all() -> None:
    assert figures.share(1.0) == "100 %"
    assert figures.share(0.9999) == "> 99.9 %"
    assert figures.share(0.0001) == "< 0.1 %"


def test_moments_and_durations_are_written_in_the_language() -> None:
    assert figures.moment(0.0, "en", UTC) == "1 Jan 1970, 00:00"
    assert figures.moment(0.0, "zh", UTC) == "1970-01-01 00:00"
    assert figures.duration(5041, "en") == "1 h 24 min"
    assert figures.duration(5041, "zh") == "1 小时 24 分"
    assert figures.duration(59.7, "en") == "1 min"


@pytest.mark.parametrize("name", ["../../etc/passwd", "Nowhere/Nothing", "", "\0"])
def test_a_time_zone_nobody_knows_is_the_servers(name: str) -> None:
    assert figures.zone_of(name) is None


def test_a_budget_is_drawn_across_with_room_above_it() -> None:
    options = over_time([(0, 0.0), (1, 4.2)], "cost", limit=6.0)
    assert options["yAxis"]["max"] == 8
