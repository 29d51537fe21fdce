"""A marketplace's workbook is filled and nothing else of it changes; wrong values are refused."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from python_calamine import CalamineWorkbook

from catalog.marketplace_books import (
    MACRO,
    NAMES,
    amazon_book,
    parts_of,
    rewritten,
    with_macro,
)
from waremill.catalog.publishers.channel import Channel, ChannelOptions, Record
from waremill.catalog.publishers.formats import find_format
from waremill.catalog.publishers.mapping import load_mapping
from waremill.catalog.publishers.workbooks.filling import Filling, Wanted
from waremill.catalog.publishers.workbooks.parts import Workbook, visible
from waremill.errors import ConfigError, UserError

SHEET = "xl/worksheets/sheet1.xml"
COLUMNS = {
    "item_sku": "sku", "item_name": "title", "brand_name": "brand", "feed_product_type": "kind",
    "size_name": "size", "color_name": "colour", "condition_type": "condition",
    "standard_price": "price", "bullet_point1": "first",
}  # fmt: skip
GOOD = {
    "item_sku": "P1", "item_name": "Eau de Toilette «Été» 清新 & <b>", "brand_name": "香水屋",
    "feed_product_type": "EdP", "size_name": "50 ml", "color_name": "蓝色",
    "condition_type": "New", "standard_price": "12.5", "bullet_point1": "Zwölf Stunden",
}  # fmt: skip


def opened(template: Path, head: str = "key: item_sku\n", **columns: Any) -> Channel:
    """Open a template with a mapping of COLUMNS and some more."""
    lines = "".join(f"  {name}: {source}\n" for name, source in {**COLUMNS, **columns}.items())
    info = find_format("workbook")
    mapping = load_mapping({"m.yaml": f"{head}columns:\n{lines}"}, "m.yaml", info.options)
    return info.open(ChannelOptions(mapping, template))


def record(**changes: Any) -> Record:
    values = {name: one for name, one in {**GOOD, **changes}.items() if one is not None}
    return Record(str(values["item_sku"]), None, "en-US", values)


def refusals(channel: Channel, **changes: Any) -> dict[str, str]:
    """What is wrong with a record, by column, with its place."""
    (judged,) = channel.judge([record(**changes)])
    return {one.field: f"{one.place}: {one.message}" for one in judged.problems}


def filled(channel: Channel, records: list[Record], out: Path) -> Path:
    judged = channel.judge(records)
    assert not [one.problems for one in judged if one.problems]
    rows = [
        [Record(one.key, None, "", verdict.values)]
        for one, verdict in zip(records, judged, strict=True)
    ]
    written = channel.write(iter(rows), out, out.suffix)
    assert written.rows == len(records)
    return out


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return amazon_book(tmp_path / "amazon.xlsx")


@pytest.fixture
def channel(template: Path) -> Iterator[Channel]:
    one = opened(template)
    yield one
    one.close()


def test_rows_are_filled_below_the_headers_and_every_reader_reads_them(
    channel: Channel, tmp_path: Path
) -> None:
    records = [record(), record(item_sku="P2", size_name="30 ml", standard_price=9)]
    out = filled(channel, records, tmp_path / "out.xlsx")
    sheet = openpyxl.load_workbook(out)["Template"]
    rows = list(sheet.iter_rows(min_row=4, values_only=True))
    assert [row[:9] for row in rows[:2]] == [
        ("P1", GOOD["item_name"], "香水屋", "EdP", "50 ml", "蓝色", "New", "12.5", "Zwölf Stunden"),
        ("P2", GOOD["item_name"], "香水屋", "EdP", "30 ml", "蓝色", "New", 9, "Zwölf Stunden"),
    ]
    read = CalamineWorkbook.from_path(str(out)).get_sheet_by_name("Template").to_python()
    assert read[3][:2] == ["P1", GOOD["item_name"]] and read[4][0] == "P2"
    streamed = openpyxl.load_workbook(out, read_only=True)["Template"]
    assert [row[0] for row in streamed.iter_rows(min_row=4, max_row=5, values_only=True)] == [
        "P1", "P2",
    ]  # fmt: skip
    assert sheet["A4"].border.left.style == sheet["A5"].border.left.style == "thin"  # its style


def test_everything_else_of_the_file_is_as_it_was(tmp_path: Path) -> None:
    template = with_macro(amazon_book(tmp_path / "amazon.xlsx"))
    channel = opened(template)
    out = filled(channel, [record()], tmp_path / "out.xlsm")
    channel.close()
    before, after = parts_of(template), parts_of(out)
    assert list(before) == list(after)
    assert [name for name in before if before[name] != after[name]] == [SHEET]
    assert after["xl/vbaProject.bin"] == MACRO
    old, new = before[SHEET], after[SHEET]
    begin = old.index(b'<row r="4"')
    head = old[:begin].replace(b'ref="A1:L4"', b"")
    assert new[: new.index(b'<row r="4"')].replace(b'ref="A1:L4"', b"") == head
    end = old.index(b"</sheetData>")
    assert new[new.index(b"</sheetData>") :] == old[end:]  # validations, x14's among them
    assert new[new.index(b"</sheetData>") :].count(b"x14:dataValidation ") == 1
    names = openpyxl.load_workbook(out, keep_vba=True).sheetnames
    assert names == ["Template", "Dropdown Lists", "Valid Values"]


def test_filling_again_what_was_filled_gives_the_same_file(
    channel: Channel, tmp_path: Path
) -> None:
    records = [record(), record(item_sku="P2")]
    first = filled(channel, records, tmp_path / "a.xlsx")
    second = filled(channel, records, tmp_path / "b.xlsx")
    assert parts_of(first) == parts_of(second)


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"brand_name": "香水店"}, "brand_name", "of its 4 values, did you mean “香水屋”"),
        ({"feed_product_type": "EdC", "size_name": None}, "feed_product_type", "of its 3 values"),
        ({"size_name": "100 ml"}, "size_name", "“100 ml” is not one of its 2 values"),
        ({"feed_product_type": "EdT"}, "size_name", "“50 ml” is not one of its 1 values"),
        ({"color_name": "Blue"}, "color_name", "not one of its 3 values"),
        ({"condition_type": "Used"}, "condition_type", "not one of its 3 values"),
        ({"standard_price": "0.1"}, "standard_price", "it is 0.1; the workbook allows from 0.5"),
        ({"standard_price": "cheap"}, "standard_price", "“cheap” is no number"),
        ({"bullet_point1": "长" * 21}, "bullet_point1", "21 characters; the workbook allows"),
        ({"item_name": "x" * 32_768}, "item_name", "32,767 are allowed"),
    ],
)  # fmt: skip
def test_a_value_the_workbook_does_not_allow_is_refused_with_its_place(
    channel: Channel, changes: Mapping[str, Any], field: str, said: str
) -> None:
    found = refusals(channel, **changes)
    assert list(found) == [field] and said in found[field]
    letter = "ABCDEFGHIJKL"[NAMES.index(field)]
    assert found[field].startswith(f"sheet “Template”, column {letter}: ")


def test_a_value_is_written_as_the_drop_down_spells_it(channel: Channel) -> None:
    (judged,) = channel.judge([record(brand_name="rose  & co", condition_type="NEW")])
    assert not judged.problems
    assert (judged.values["brand_name"], judged.values["condition_type"]) == ("Rose & Co", "New")


def test_a_warning_only_suggests_and_what_cannot_be_followed_is_said(template: Path) -> None:
    channel = opened(template, bullet_point2="second", keywords="words")
    assert refusals(channel, bullet_point2="C", keywords="anything") == {}
    assert list(channel.notes) == [
        "the drop-down of “keywords” could not be followed, so it was not checked"
    ]
    channel.close()
    free = opened(template, brand_name="{from: brand, free: true}")
    assert refusals(free, brand_name="Neu") == {}
    free.close()


def test_a_product_that_stands_in_the_workbook_is_filled_in_its_row(tmp_path: Path) -> None:
    there = {
        4: {"item_sku": "P9", "item_name": "Nine", "keywords": "kept", "brand_name": "No Brand"},
        5: {"item_sku": "P1", "item_name": "Old name", "keywords": "stays", "size_name": "30 ml"},
        8: {"item_sku": "P8", "item_name": "Eight"},
    }
    template = amazon_book(tmp_path / "amazon.xlsx", there)
    channel = opened(template)
    records = [record(size_name=None), record(item_sku="P2")]
    out = filled(channel, records, tmp_path / "out.xlsx")
    sheet = openpyxl.load_workbook(out)["Template"]
    column = {name: place for place, name in enumerate(NAMES)}
    rows = {n: [cell.value for cell in sheet[n]] for n in range(4, 10)}
    assert rows[4][column["item_name"]] == "Nine" and rows[8][column["item_name"]] == "Eight"
    assert rows[5][column["item_name"]] == GOOD["item_name"]
    assert rows[5][column["keywords"]] == "stays"  # not in the mapping
    assert rows[5][column["size_name"]] == "30 ml"  # a missing value empties nothing
    assert rows[9][0] == "P2" and rows[6][0] is None
    found = refusals(channel, color_name="Blue")
    assert found["color_name"].startswith("sheet “Template”, cell F5: ")
    channel.close()


def test_labels_may_name_the_columns_and_equal_ones_are_counted(template: Path) -> None:
    columns = "Seller SKU: sku\n  product name: t\n  Bullet Point: a\n  Bullet Point (2): b\n"
    info = find_format("workbook")
    mapping = load_mapping(
        {"m.yaml": f"first_row: 4\ncolumns:\n  {columns}"}, "m.yaml", info.options
    )
    channel: Any = info.open(ChannelOptions(mapping, template))
    layout = channel._filling.layout
    assert (layout.header, layout.first) == (2, 4)
    assert list(layout.columns.values()) == [0, 1, 8, 9]
    channel.close()


@pytest.mark.parametrize(
    ("head", "columns", "said"),
    [
        ("", {"item_nam": "x"}, "names no column “item_nam”, did you mean “item_name”"),
        ("sheet: Templat\n", {}, "has no sheet “Templat”, did you mean “Template”"),
        ("header: 1\n", {}, "row 1 of the sheet names no column “item_sku”"),
        ("header: three\n", {}, "“header” must be a row's number"),
        ("key: sku\n", {}, "“key” names no column of the mapping"),
        ("sheet: Valid Values\n", {}, "no row of the sheet names the mapping's columns"),
    ],
)  # fmt: skip
def test_a_template_that_does_not_fit_is_a_plain_sentence(
    template: Path, head: str, columns: Mapping[str, Any], said: str
) -> None:
    with pytest.raises(UserError) as caught:
        opened(template, head, **columns)
    assert said in str(caught.value)


def test_a_formula_of_the_workbook_is_not_written_over(tmp_path: Path) -> None:
    template = amazon_book(tmp_path / "amazon.xlsx", {4: {"item_sku": "P1", "total": "=H4*2"}})
    with pytest.raises(ConfigError, match="the column “total” holds a formula in L4"):
        opened(template, total="price")


@pytest.mark.parametrize("body", [b"", b"no workbook", b"PK\x03\x04 cut off"])
def test_what_is_no_workbook_is_a_plain_sentence(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "amazon.xlsx"
    path.write_bytes(body)
    with pytest.raises(ConfigError):
        opened(path)
    with pytest.raises(ConfigError, match="there is no such template"):
        opened(tmp_path / "missing.xlsx")


def test_a_prefix_self_closing_rows_and_no_places_are_no_obstacle(tmp_path: Path) -> None:
    """As .NET's and other writers write sheets: `x:` before each name, cells without places."""
    template = amazon_book(tmp_path / "amazon.xlsx")
    rows = (
        '<x:row><x:c t="inlineStr"><x:is><x:t>sku</x:t></x:is></x:c>'
        '<x:c t="inlineStr"><x:is><x:t>name &amp; 名称</x:t></x:is></x:c></x:row>'
        '<x:row r="2"/><x:row r="3"><x:c r="C3"><x:v>7</x:v></x:c></x:row>'
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><x:worksheet '
        'xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f"<x:sheetData>{rows}</x:sheetData></x:worksheet>"
    )
    rewritten(template, {SHEET: lambda _: text.encode()})
    info = find_format("workbook")
    mapping = load_mapping(
        {"m.yaml": "key: sku\ncolumns:\n  sku: a\n  name & 名称: b\n"}, "m.yaml", info.options
    )
    channel = info.open(ChannelOptions(mapping, template))
    records = [Record(k, None, "", {"sku": k, "name & 名称": f"{k}!"}) for k in ("A", "B")]
    out = filled(channel, records, tmp_path / "out.xlsx")
    channel.close()
    sheet = openpyxl.load_workbook(out)["Template"]
    assert [[cell.value for cell in row] for row in sheet["A2:C3"]] == [
        ["A", "A!", None], ["B", "B!", 7],
    ]  # fmt: skip


def test_an_empty_sheet_data_takes_rows(tmp_path: Path) -> None:
    template = amazon_book(tmp_path / "amazon.xlsx")
    text = parts_of(template)[SHEET]
    start, end = text.index(b"<sheetData>"), text.index(b"</sheetData>") + 12
    rewritten(template, {SHEET: lambda _: text[:start] + b"<sheetData/>" + text[end:]})
    info = find_format("workbook")
    mapping = load_mapping({"m.yaml": "columns:\n  sku: a\n"}, "m.yaml", info.options)
    with pytest.raises(ConfigError, match="no row of the sheet names"):
        info.open(ChannelOptions(mapping, template))


def test_text_that_looks_like_an_escape_or_a_formula_stays_text(
    template: Path, tmp_path: Path
) -> None:
    channel = opened(template)
    name = "=1+1 _x0041_ \x07\r\n 制表"
    out = filled(channel, [record(item_name=name)], tmp_path / "out.xlsx")
    channel.close()
    cell = openpyxl.load_workbook(out)["Template"]["B4"]
    assert cell.data_type == "s" and str(cell.value).startswith("=1+1 _x")
    read = CalamineWorkbook.from_path(str(out)).get_sheet_by_name("Template").to_python()
    assert str(read[3][1]).replace("_x005F_", "_") == "=1+1 _x0041_ \n 制表"


def test_memory_does_not_grow_with_the_rows(channel: Channel, tmp_path: Path) -> None:
    def peak(count: int) -> int:
        rows = ([Record(f"P{n}", None, "", {**GOOD, "item_sku": f"P{n}"})] for n in range(count))
        tracemalloc.start()
        try:
            channel.write(rows, tmp_path / "out.xlsx", ".xlsx")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)
    assert peak(4_000) < peak(400) + 1_500_000


REAL = {
    "attendance.xlsx": 2, "bilingual_government.xlsm": 10, "duplicate_unnamed_columns.xlsx": 1,
    "header_not_in_row1.xlsx": 3, "merged_cells.xlsx": 1, "multiline_headers.xlsx": 1,
    "preamble_and_footer.xlsx": 1, "zh_comments_links_merges.xlsx": 1,
    "zh_formula_two_sheets.xlsx": 1, "zh_serial_numbers.xlsx": 1, "zh_us_date_formats.xlsx": 1,
}  # fmt: skip
"""Workbooks of real people, and the row of one that names a column."""


@pytest.mark.parametrize("name", REAL)
def test_a_real_workbook_is_filled_and_only_its_sheet_changes(
    shared_data: Path, tmp_path: Path, name: str
) -> None:
    path = shared_data / "hard-files" / name
    sheet = next(visible(Workbook(path).sheets))
    rows = CalamineWorkbook.from_path(str(path)).get_sheet_by_name(sheet.name)
    lines = rows.to_python(skip_empty_area=False)
    texts = (str(one).strip() for one in lines[REAL[name] - 1])
    column = next(text for text in texts if text)
    filling = Filling(path, Wanted((column,), header=REAL[name]))
    out = tmp_path / name
    assert filling.write(((None, {column: f"值 {n}"}) for n in range(3)), out) == 3
    filling.close()
    before, after = parts_of(path), parts_of(out)
    assert [one for one in before if before[one] != after[one]] == [sheet.part]
    place, start = next(iter(filling.layout.columns.values())), filling.layout.free
    again = CalamineWorkbook.from_path(str(out)).get_sheet_by_name(sheet.name)
    found = again.to_python(skip_empty_area=False)
    assert [row[place] for row in found[start - 1 : start + 2]] == ["值 0", "值 1", "值 2"]
    assert [row[:place] for row in found[: start - 1]] == [
        row[:place] for row in lines[: start - 1]
    ]
    openpyxl.load_workbook(out)


def test_a_sheet_that_says_it_is_visible_is_shown(tmp_path: Path) -> None:
    template = amazon_book(tmp_path / "amazon.xlsx")
    rewritten(template, {"xl/workbook.xml": lambda text: text.replace(
        b'name="Template"', b'name="Template" state="visible"'
    )})  # fmt: skip
    assert [one.name for one in visible(Workbook(template).sheets)] == ["Template"]
