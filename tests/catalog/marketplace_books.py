"""Workbooks as marketplaces give them: header rows, hidden lists, x14 drop-downs, macros."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import xlsxwriter

X14 = (
    '<extLst><ext uri="{{CCE6A557-97BC-4b89-ADB6-D9C93CAAB3DF}}" '
    'xmlns:x14="http://schemas.microsoft.com/office/spreadsheetml/2009/9/main">'
    '<x14:dataValidations count="1" '
    'xmlns:xm="http://schemas.microsoft.com/office/excel/2006/main">'
    '<x14:dataValidation type="list" allowBlank="1" showErrorMessage="1">'
    "<x14:formula1><xm:f>{formula}</xm:f></x14:formula1><xm:sqref>{cells}</xm:sqref>"
    "</x14:dataValidation></x14:dataValidations></ext></extLst>"
)
LABELS = ("Seller SKU*", "Product Name*", "Brand", "Category", "Size", "Colour", "Condition",
          "Price", "Bullet Point", "Bullet Point", "Search Terms", "Total")  # fmt: skip
NAMES = ("item_sku", "item_name", "brand_name", "feed_product_type", "size_name", "color_name",
         "condition_type", "standard_price", "bullet_point1", "bullet_point2", "keywords",
         "total")  # fmt: skip
MACRO = b"\xd0\xcf\x11\xe0 a macro project's bytes"


def amazon_book(path: Path, filled: Mapping[int, Mapping[str, Any]] | None = None) -> Path:
    """Write a flat-file template: labels in row 2, names in row 3, products from row 4.

    `filled` are data rows by their number, from 1, and cells by column name.
    """
    book = xlsxwriter.Workbook(str(path))
    sheet = book.add_worksheet("Template")
    lists = book.add_worksheet("Dropdown Lists")
    lists.hide()
    far = book.add_worksheet("Valid Values")
    far.very_hidden()
    bold = book.add_format({"bold": True, "bg_color": "#FFCC00"})
    cell = book.add_format({"num_format": "@", "border": 1})
    sheet.write(0, 0, "TemplateType=fptcustom")
    for place, (label, name) in enumerate(zip(LABELS, NAMES, strict=True)):
        sheet.write(1, place, label, bold)
        sheet.write(2, place, name)
        sheet.write_blank(3, place, None, cell)
    for number, one in enumerate(("Rose & Co", "Maison <Nord>", "香水屋", "No Brand"), 1):
        lists.write(number, 0, one)
    for number, (one, colour) in enumerate((("EdP", "Rosé"), ("EdT", "蓝色"), ("Oil", "Gold"))):
        far.write(number, 0, one)
        far.write(number, 1, colour)
    for place, sizes in enumerate((("30 ml", "50 ml"), ("100 ml",))):
        for number, one in enumerate(sizes):
            lists.write(number, 4 + place, one)
    book.define_name("brands", "='Dropdown Lists'!$A$2:$A$5")
    book.define_name("EdP_sizes", "='Dropdown Lists'!$E$1:$E$2")
    book.define_name("EdT_sizes", "='Dropdown Lists'!$F$1:$F$1")
    for column, rule in (
        ("C", {"validate": "list", "source": "=brands"}),
        ("D", {"validate": "list", "source": "='Valid Values'!$A$1:$A$3"}),
        ("E", {"validate": "list", "source": '=INDIRECT(SUBSTITUTE($D4," ","_")&"_sizes")'}),
        ("G", {"validate": "list", "source": ["New", "Used; Good", "翻新"]}),
        ("H", {"validate": "decimal", "criteria": "between", "minimum": 0.5, "maximum": 900}),
        ("I", {"validate": "length", "criteria": "<=", "value": 20}),
        ("J", {"validate": "list", "source": ["A", "B"], "error_type": "warning"}),
        ("K", {"validate": "list", "source": "=OFFSET('Valid Values'!$A$1,0,0,2,1)"}),
    ):  # fmt: skip
        sheet.data_validation(f"{column}4:{column}1000", rule)
    for row, values in (filled or {}).items():
        for name, value in values.items():
            sheet.write(row - 1, NAMES.index(name), value, cell)
    sheet.freeze_panes(3, 0)
    sheet.autofilter(2, 0, 2, len(NAMES) - 1)
    book.close()
    return _with_x14(path, "xl/worksheets/sheet1.xml", "'Valid Values'!$B$1:$B$3", "F4:F1000")


def _with_x14(path: Path, part: str, formula: str, cells: str) -> Path:
    """Add a drop-down as Excel 2010 and later write one for a list on another sheet."""
    added = X14.format(formula=formula, cells=cells).encode()
    return rewritten(
        path, {part: lambda text: text.replace(b"</worksheet>", added + b"</worksheet>")}
    )


def with_macro(path: Path) -> Path:
    """Make a template with macros of another: the project's part and the content type."""
    out = path.with_suffix(".xlsm")
    shutil.copy(path, out)
    plain = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
    macro = b"application/vnd.ms-excel.sheet.macroEnabled.main+xml"
    rewritten(out, {"[Content_Types].xml": lambda text: text.replace(plain, macro)})
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("xl/vbaProject.bin", MACRO)
    return out


def rewritten(path: Path, changes: Mapping[str, Callable[[bytes], bytes]]) -> Path:
    """Write a zip file anew with some parts changed."""
    with zipfile.ZipFile(path) as source:
        parts = [(info, source.read(info)) for info in source.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for info, body in parts:
            change = changes.get(info.filename)
            target.writestr(info.filename, change(body) if change else body)
    return path


def parts_of(path: Path) -> dict[str, bytes]:
    """Give every part of a workbook."""
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}
