"""The xlsx publisher: a calm sheet in which nothing is live and every value is what it was."""

from __future__ import annotations

import datetime
import os
import re
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import python_calamine
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape

from waremill.catalog.publishers import Column, publish_rows
from waremill.catalog.publishers.table import printable
from waremill.catalog.publishers.xlsx import sheet_name
from waremill.errors import ConfigError

COLUMNS = (
    Column("sku"),
    Column("名称"),
    Column("price"),
    Column("in_stock"),
    Column("title", "generated"),
    Column("notes", "generated"),
    Column("_status", "status"),
)
ROWS: list[list[Any]] = [
    ["00123", "迪奥真我香水", 89.5, True, '=HYPERLINK("http://x")', ["rose", "oud"], "ready"],
    ["4006381333931", "a\nb", 7, False, "+49 30 1", [], "review"],
    ["-5", None, None, None, None, None, "failed"],
]
hostile_text = st.text(
    alphabet=st.one_of(
        st.sampled_from("=+-@'\"\t\r\n,;|<>&_x0041 ＝🌹é中\x00\x0b\x85\ufffe"),
        st.characters(),
    ),
    max_size=40,
)


def sheet_of(path: Path) -> Any:
    return openpyxl.load_workbook(path).active


def values_of(path: Path) -> list[tuple[Any, ...]]:
    return list(sheet_of(path).values)


def test_excel_gets_text_as_text_and_numbers_as_numbers(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    publish_rows(path, COLUMNS, ROWS, sheet="Parfum: Herbst/Winter")
    assert values_of(path)[1:] == [
        ("00123", "迪奥真我香水", 89.5, True, '=HYPERLINK("http://x")', "rose | oud", "ready"),
        ("4006381333931", "a\nb", 7, False, "+49 30 1", None, "review"),
        ("-5", None, None, None, None, None, "failed"),
    ]
    assert sheet_of(path).title == "Parfum_ Herbst_Winter"


def test_excel_gets_no_formula_and_no_link(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    dangerous = [
        "=1+1", "+1", "-1+2", "@SUM(A1)", "http://x.y", "https://x.y", "mailto:a@b.c",
        "ftp://x", "internal:Sheet1!A1", "external:c:\\x.xlsx", "file:///etc/passwd",
        "{=1+1}", "\t=1", "=cmd|' /C calc'!A0", "007", "1e5", "TRUE", "#REF!",
    ]  # fmt: skip
    columns = [Column("=1+1"), Column("http://header")]
    publish_rows(path, columns, [[text, text] for text in dangerous])
    assert [row[0] for row in values_of(path)] == ["=1+1", *dangerous]
    with zipfile.ZipFile(path) as book:
        xml = book.read("xl/worksheets/sheet1.xml").decode()
        assert not [name for name in book.namelist() if "worksheets/_rels" in name]
    assert not re.search(r"<f[ >]|hyperlink|<v>", xml)
    # Every cell a reader sees is text: data type "s" or inline "inlineStr", never "f" or "n".
    assert {cell.data_type for row in sheet_of(path).rows for cell in row} <= {"s", "inlineStr"}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(hostile_text, min_size=1, max_size=20))
@example(["_x0041_", "_x005F_x0041_", " leading", "trailing ", "\n", "\r\n", "\ud800", "a\x00b"])
def test_any_text_survives_excel_but_for_control_characters(
    tmp_path: Path, texts: list[str]
) -> None:
    path = tmp_path / "out.xlsx"
    publish_rows(path, [Column("key"), Column("text")], [["k", text] for text in texts])
    read = python_calamine.load_workbook(str(path)).get_sheet_by_index(0).to_python()
    assert [row[1] for row in read[1:]] == [printable(text) for text in texts]
    # openpyxl leaves the escapes of inline strings as they are; Excel and calamine read them.
    seen = [unescape(row[1] or "") for row in values_of(path)[1:]]
    assert seen == [printable(text) for text in texts]


def test_excel_gets_a_frozen_header_a_filter_shading_and_fitting_widths(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    rows = [["00123", "迪奥真我香水" * 4, 1.5, True, "x" * 400, "rose", "ready"]] * 3
    publish_rows(path, COLUMNS, rows)
    sheet = sheet_of(path)
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:G4"
    assert sheet["A1"].font.b
    plain, generated, status = (sheet[cell].fill.fgColor.rgb for cell in ("A2", "E2", "G2"))
    assert len({plain, generated, status}) == 3
    widths = {name: sheet.column_dimensions[name].width for name in "ABCDEFG"}
    assert widths["B"] > 48  # Chinese characters take two places each
    assert widths["E"] < 60
    assert widths["C"] < 12


def test_long_integers_are_shown_in_full_and_longer_ones_kept_as_text(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    publish_rows(path, [Column("gtin"), Column("n")], [[4006381333931, 2**53 + 1], [1, 2**53]])
    assert values_of(path)[1:] == [(4006381333931, "9007199254740993"), (1, 2**53)]
    assert sheet_of(path)["A2"].number_format == "0"


def test_values_of_other_types_are_written_in_a_readable_form(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    row = [
        {"a": [1]}, [{"a": 1}], [1, True, None], float("nan"), float("-inf"),
        Decimal("1.25"), datetime.date(2025, 2, 3), ["a", ["b"]],
    ]  # fmt: skip
    publish_rows(path, [Column(str(n)) for n in range(len(row))], [row])
    assert values_of(path)[1] == (
        '{"a":[1]}', '[{"a":1}]', "1 | true | ", None, "-inf", 1.25, "2025-02-03", '["a",["b"]]',
    )  # fmt: skip


def test_text_longer_than_a_cell_is_cut_and_noted(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    rows = [["x" * 32_767], ["x" * 32_768], ["🌹" * 20_000]]
    written = publish_rows(path, [Column("text")], rows)
    fits, cut, roses = (row[0] for row in values_of(path)[1:])
    assert fits == rows[0][0]
    assert cut == "x" * 32_766 + "…"
    assert roses == "🌹" * 16_383 + "…"
    assert len(written.notes) == 1
    assert "2 cells were longer than the 32,767 characters" in written.notes[0]
    assert "row 3, column “text”" in written.notes[0]


def test_too_many_rows_for_excel_are_refused_before_writing_where_the_number_is_known(
    tmp_path: Path,
) -> None:
    def never() -> Iterator[list[Any]]:
        raise AssertionError("nothing may be read")
        yield []

    with pytest.raises(ConfigError, match=r"1,048,576 rows do not fit.*\.csv or \.parquet"):
        publish_rows(tmp_path / "out.xlsx", [Column("a")], never(), total=1_048_576)
    assert os.listdir(tmp_path) == []


def test_too_many_rows_for_excel_are_refused_on_the_way_where_it_is_not(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    row = [None]
    with pytest.raises(ConfigError, match="which holds 1,048,575 below its header"):
        publish_rows(path, [Column("a")], (row for _ in range(1_048_576)))
    assert os.listdir(tmp_path) == []


def test_too_many_columns_for_excel_are_refused(tmp_path: Path) -> None:
    columns = [Column(str(number)) for number in range(16_385)]
    with pytest.raises(ConfigError, match="16,385 columns do not fit"):
        publish_rows(tmp_path / "out.xlsx", columns, [])


@pytest.mark.parametrize(
    ("given_name", "written"),
    [
        ("Products", "Products"),
        ("", "Products"),
        ("a/b\\c?d*e[f]:g", "a_b_c_d_e_f__g"),
        ("'quoted'", "quoted"),
        ("History", "History_"),
        ("x" * 40, "x" * 30 + "…"),
        ("香水目录", "香水目录"),
    ],
)
def test_a_sheet_gets_a_name_excel_accepts(given_name: str, written: str) -> None:
    assert sheet_name(given_name) == written


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hostile_text)
@example("'" * 31)
@example("x" * 29 + "'y" + "z" * 9)
def test_any_sheet_name_can_be_written(tmp_path: Path, name: str) -> None:
    publish_rows(tmp_path / "out.xlsx", [Column("a")], [["b"]], sheet=name)


def test_the_same_rows_give_the_same_workbook_but_for_its_time(tmp_path: Path) -> None:
    for name in ("a.xlsx", "b.xlsx"):
        publish_rows(tmp_path / name, COLUMNS, ROWS)
    with zipfile.ZipFile(tmp_path / "a.xlsx") as a, zipfile.ZipFile(tmp_path / "b.xlsx") as b:
        assert a.namelist() == b.namelist()
        for member in a.namelist():
            assert member == "docProps/core.xml" or a.read(member) == b.read(member)
