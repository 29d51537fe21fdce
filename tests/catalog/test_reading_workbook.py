"""Workbooks: sheets, cells, names, and files that were built to harm."""

from __future__ import annotations

import datetime
import os
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from reading_whole import Read, read

from waremill.catalog.reading import Limits, read_source
from waremill.errors import SourceError

SHEET = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
END = "</sheetData></worksheet>"
PARTS = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>',  # noqa: E501
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',  # noqa: E501
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="S &amp; T" sheetId="1" r:id="rId1"/></sheets></workbook>',  # noqa: E501
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',  # noqa: E501
}


def text(reference: str, value: str) -> str:
    return f'<c r="{reference}" t="inlineStr"><is><t>{value}</t></is></c>'


def raw_workbook(path: Path, cells: str, head: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in PARTS.items():
            archive.writestr(name, '<?xml version="1.0"?>' + content)
        archive.writestr(
            "xl/worksheets/sheet1.xml", f'<?xml version="1.0"?>{head}{SHEET}{cells}{END}'
        )
    return path


def open_document(path: Path, rows: str) -> Path:
    names = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "table", "text")
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", '<?xml version="1.0"?><m/>')
        archive.writestr(
            "content.xml",
            f'<?xml version="1.0"?><office:document-content {names}><office:body>'
            f'<office:spreadsheet><table:table table:name="S">{rows}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        )
    return path


def ods_cell(value: str, attributes: str = "") -> str:
    return (
        f'<table:table-cell office:value-type="string" {attributes}>'
        f"<text:p>{value}</text:p></table:table-cell>"
    )


def workbook(path: Path, sheets: dict[str, list[list[Any]]], hidden: tuple[str, ...] = ()) -> Path:
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
        if name in hidden:
            sheet.sheet_state = "hidden"
    book.save(path)
    return path


def refused(path: Path, **given: Any) -> str:
    begun = time.monotonic()
    with pytest.raises(SourceError) as caught:
        Read(read_source(str(path), **given))
    assert time.monotonic() - begun < 10
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value.message


def test_cells_of_every_kind_become_plain_values(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "a.xlsx",
        {
            "S": [
                ["sku", "EAN", "price", "stock", "date", "time", "active", "text"],
                ["007", 4006381333931, 12.5, 3, datetime.date(2024, 2, 29),
                 datetime.datetime(2024, 2, 29, 8, 30), True, " <b>x</b>  &amp; ｙ "],
                [8, "0012", 0.1 + 0.2, 4.0, None, None, False, None],
            ]
        },
    )  # fmt: skip
    first, second = read(path).rows
    assert first == {
        "sku": "007",
        "EAN": "4006381333931",
        "price": 12.5,
        "stock": 3,
        "date": "2024-02-29",
        "time": "2024-02-29T08:30:00",
        "active": True,
        "text": "x & y",
    }
    assert (second["sku"], second["EAN"], second["price"]) == ("8", "0012", 0.3)
    assert isinstance(second["stock"], int)


def test_error_cells_are_missing_and_the_note_says_where(tmp_path: Path) -> None:
    rows = (
        f'<row r="1">{text("A1", "sku")}{text("B1", "price")}</row>'
        f'<row r="2">{text("A2", "1")}<c r="B2" t="e"><v>#DIV/0!</v></c></row>'
        f'<row r="3">{text("A3", "2")}<c r="B3"><v>5</v></c></row>'
    )
    result = read(raw_workbook(tmp_path / "a.xlsx", rows))
    assert [row["price"] for row in result.rows] == [None, 5]
    assert "1 error cell (the first in B2)" in result.notes
    assert result.sheet == "S & T"


def test_a_sheet_is_picked_by_name_or_number(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "a.xlsx",
        {"Notes": [], "Products": [["sku"], ["A"]], "Old products": [["sku"], ["B"]]},
        hidden=("Old products",),
    )
    assert read(path).rows == [{"sku": "A"}]
    assert "“Old products”" in read(path).notes
    assert read(path, "products").sheet == "Products"
    assert read(path, "3").rows == [{"sku": "B"}]
    assert "did you mean “Products”?" in refused(path, sheet="Prodcuts")
    assert "no rows" in refused(path, sheet="Notes")


def test_vertically_merged_cells_repeat_for_the_rows_they_cover(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["brand", "sku"], ["Dior", "A"], [None, "B"], [None, "C"], [None, "D"]):
        sheet.append(row)
    sheet.merge_cells("A2:A4")
    book.save(tmp_path / "a.xlsx")
    assert [row["brand"] for row in read(tmp_path / "a.xlsx").rows] == ["Dior"] * 3 + [None]


def test_group_titles_above_the_header_become_part_of_the_names(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    for row in (
        ["Product", None, "Dimensions", None],
        ["sku", "name", "width", "height"],
        ["A", "Box", 1, 2],
        ["B", "Bag", 3, 4],
    ):
        sheet.append(row)
    sheet.merge_cells("A1:B1")
    sheet.merge_cells("C1:D1")
    book.save(tmp_path / "a.xlsx")
    assert read(tmp_path / "a.xlsx").columns == (
        "Product sku", "Product name", "Dimensions width", "Dimensions height",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["real.xls", "real.csv", "real.ods", "real.txt"])
def test_the_content_decides_not_the_name(tmp_path: Path, name: str) -> None:
    path = workbook(tmp_path / "real.xlsx", {"S": [["sku", "name"], ["007", "A"]]})
    shutil.copy(path, tmp_path / name)
    assert read(tmp_path / name).rows == [{"sku": "007", "name": "A"}]


def test_a_csv_under_a_workbooks_name_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.xls").write_text("sku,name\n001,a\n")
    assert read(tmp_path / "a.xls").rows == [{"sku": "001", "name": "a"}]


def test_an_html_table_under_a_workbooks_name_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.xls").write_text(
        "<html><script>x()</script><table><tr><th>sku<th>name</tr>"
        "<tr><td rowspan=2>007</td><td>A &amp; B<br>c</td></tr><tr><td>d</td></tr></table></html>"
    )
    assert read(tmp_path / "a.xls").rows == [
        {"sku": "007", "name": "A & B\nc"},
        {"sku": "007", "name": "d"},
    ]


def test_a_zip_bomb_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in PARTS.items():
            archive.writestr(name, content)
        with archive.open("xl/worksheets/sheet1.xml", "w") as stream:
            stream.write(SHEET.encode())
            for _ in range(100):
                stream.write(b" " * (1 << 20))
    assert "zip bomb" in refused(path)


def test_limits_on_size_and_parts_hold(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", {"S": [["sku"], ["A"]]})
    assert "unpacks to" in refused(path, limits=Limits(unpacked=100))
    assert "parts" in refused(path, limits=Limits(members=3))
    assert "larger than" in refused(path, limits=Limits(size=100))
    wide = workbook(tmp_path / "b.xlsx", {"S": [[f"c{n}" for n in range(30)], list(range(30))]})
    assert "columns" in refused(wide, limits=Limits(columns=10))


def test_a_child_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", {"S": [["sku"], ["A"]]})
    assert "longer than" in refused(path, limits=Limits(seconds=0.001))


def test_a_child_that_takes_too_much_memory_is_one_sentence(tmp_path: Path) -> None:
    far = (
        '<row r="1"><c r="A1"><v>1</v></c></row>'
        '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    )
    message = refused(raw_workbook(tmp_path / "far.xlsx", far), limits=Limits(memory=1 << 30))
    assert "memory" in message


def test_external_entities_are_refused(tmp_path: Path) -> None:
    path = raw_workbook(
        tmp_path / "xxe.xlsx",
        f'<row r="1">{text("A1", "&x;")}</row>',
        '<!-- long --><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    )
    assert "declares XML entities" in refused(path)


def test_a_truncated_workbook_is_refused(tmp_path: Path) -> None:
    whole = workbook(tmp_path / "a.xlsx", {"S": [["sku"], ["A"]]}).read_bytes()
    path = tmp_path / "cut.xlsx"
    path.write_bytes(whole[: len(whole) // 2])
    assert "cut off or damaged" in refused(path)
    path.write_bytes(b"PK\x03\x04" + os.urandom(64))
    assert "cut off or damaged" in refused(path)


def test_damaged_bytes_inside_a_workbook_are_one_sentence(tmp_path: Path) -> None:
    cells = "".join(f'<row r="{n}">{text(f"A{n}", f"value {n * n}")}</row>' for n in range(1, 300))
    whole = bytearray(raw_workbook(tmp_path / "a.xlsx", cells).read_bytes())
    middle = len(whole) // 2
    for start in (400, middle, len(whole) - 900):
        broken = bytearray(whole)
        broken[start : start + 40] = bytes(40)
        path = tmp_path / "broken.xlsx"
        path.write_bytes(broken)
        try:
            read(path)
        except SourceError as error:
            assert "\n" not in str(error)


def test_open_document_repeats_beyond_any_sheet_are_refused(tmp_path: Path) -> None:
    billion = 'table:number-columns-repeated="1000000000"'
    path = open_document(
        tmp_path / "a.ods",
        f"<table:table-row>{ods_cell('name')}{ods_cell('x', billion)}</table:table-row>",
    )
    assert "repeated over 1000000000 columns" in refused(path)


def test_open_document_blank_repeats_to_the_sheets_end_cost_nothing(tmp_path: Path) -> None:
    path = open_document(
        tmp_path / "a.ods",
        f"<table:table-row>{ods_cell('sku')}{ods_cell('name')}</table:table-row>"
        f"<table:table-row>{ods_cell('1')}{ods_cell('x')}</table:table-row>"
        '<table:table-row table:number-rows-repeated="1048574">'
        '<table:table-cell table:number-columns-repeated="16384"/></table:table-row>',
    )
    assert read(path).rows == [{"sku": "1", "name": "x"}]


def test_open_document_filled_repeats_end_in_one_sentence(tmp_path: Path) -> None:
    wide = 'table:number-columns-repeated="16384"'
    path = open_document(
        tmp_path / "a.ods",
        f"<table:table-row>{ods_cell('sku')}</table:table-row>"
        f'<table:table-row table:number-rows-repeated="1048575">{ods_cell("x", wide)}'
        "</table:table-row>",
    )
    refused(path)


def test_a_password_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000) + "EncryptedPackage".encode("utf-16-le")
    )
    assert "protected by a password" in refused(path)


def test_other_office_files_are_said(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<w/>")
    assert "a text document" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photo.jpg", b"x")
    assert "a zip archive" in refused(path)


def test_closing_early_ends_the_child(tmp_path: Path) -> None:
    rows = [["sku", "name"], *([f"S{n}", "x" * 50] for n in range(4_000))]
    path = workbook(tmp_path / "a.xlsx", {"S": rows})
    with read_source(str(path)) as reader:
        batch = next(reader.batches())
        assert batch.rows[0] == {"sku": "S0", "name": "x" * 50}
    assert len(read(path).rows) == 4_000
