"""Workbooks (xlsx, xlsm, xlsb, xls, ods), read by calamine in a child process.

The parent's half checks the container and starts the child; the child's half (run as a module)
picks the sheet and sends clean batches. Formulas give their cached values, macros are ignored.
"""

from __future__ import annotations

import difflib
import re
import zlib
from collections.abc import Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from waremill.catalog.readers import container
from waremill.catalog.readers.shapes import Reader, Request
from waremill.errors import SourceError, Where

SUFFIXES: Final = (".xlsx", ".xlsm", ".xltx", ".xltm", ".xlsb", ".xls", ".xlt", ".ods")
RANK: Final = 10
SHEETS: Final = True
_ZIP = b"PK\x03\x04"
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SMALL_BOOK = 4 << 20
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def recognises(head: bytes, suffix: str) -> bool:
    """Say whether the first bytes are those of a workbook, whatever the file is called."""
    return head.startswith((_ZIP, b"PK\x05\x06", _COMPOUND))


def open_reader(source: str, request: Request) -> Reader:
    """Open a workbook; raise SourceError for whatever is wrong with it."""
    path = Path(source)
    size = path.stat().st_size
    where = Where(file=source)
    if size > request.limits.size:
        raise SourceError(
            f"the workbook is {size >> 20} MB, larger than the {request.limits.size >> 20} MB "
            "allowed: split it or save it as CSV",
            where,
        )
    with path.open("rb") as stream:
        compound = stream.read(8) == _COMPOUND
    if compound:
        _check_compound(path, where)
    else:
        _check_zip(path, request, where)

    from waremill.catalog.readers.process import read_in_child

    return read_in_child(
        "waremill.catalog.readers.workbook",
        path,
        request.limits,
        sheet=request.sheet,
        about_gaps=None if compound else partial(_error_notes, path),
    )


def _check_zip(path: Path, request: Request, where: Where) -> None:
    kind = container.kind_of_zip(path)
    if kind is None:
        raise SourceError("the workbook is cut off or damaged: copy or download it again", where)
    if kind in ("docx", "pptx", "zip"):
        what = {"docx": "a text document", "pptx": "a presentation", "zip": "a zip archive"}[kind]
        hint = "unpack it" if kind == "zip" else "copy its table into a spreadsheet"
        raise SourceError(f"the file is {what}, not a catalogue: {hint} and import that", where)
    container.check_container(path, request.limits)


def _check_compound(path: Path, where: Where) -> None:
    """Look at the directory of an OLE compound file, where stream names stand in UTF-16."""
    with path.open("rb") as stream:
        data = stream.read(64 << 20)
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise SourceError("the workbook is protected by a password: save a copy without one", where)
    if not any(name.encode("utf-16-le") in data for name in ("Workbook", "WORKBOOK", "Book")):
        raise SourceError(
            "the file is an old Office document without a workbook in it (a text document or an "
            "e-mail, perhaps): copy its table into a spreadsheet",
            where,
        )


def _error_notes(path: Path, sheet: str | None) -> list[str]:
    """Say how many cells of a sheet hold an error: the parser gives them as blank ones."""
    try:
        member = container.sheet_members(path).get(sheet or "", "")
        count, place = container.count_error_cells(path, member) if member else (0, "")
    except (OSError, KeyError, ValueError, zlib.error):
        return []
    if not count:
        return []
    cells = "1 error cell" if count == 1 else f"{count} error cells"
    return [f"{cells} (the first in {place}) were read as missing"]


# The child's half


def _read_workbook(request: dict[str, Any]) -> tuple[Any, str | None, list[str]]:
    import python_calamine as calamine

    path = Path(request["path"])
    where = Where(file=str(path))
    try:
        book = _open(calamine, path)
    except calamine.PasswordError as error:
        raise SourceError(
            "the workbook is protected by a password: save a copy without one", where
        ) from error
    except calamine.CalamineError as error:
        raise _unreadable(str(error), where) from error
    notes: list[str] = []
    visible, hidden = _sheets(calamine, book)
    wanted = request.get("sheet")
    if wanted is not None:
        name = _choose(wanted, [*visible, *hidden], book.sheet_names, where)
        table, _ = _table(calamine, book, name, request, where)
        if table is None or table.empty:
            raise SourceError("the sheet has no rows: pick another one", Where(str(path), name))
        return table, name, notes
    if hidden:
        listed = ", ".join(f"“{name}”" for name in hidden)
        notes.append(f"hidden sheets were skipped: {listed}")
    return _first_with_rows(calamine, book, request, visible, notes)


def _open(calamine: Any, path: Path) -> Any:
    with path.open("rb") as stream:
        zipped = stream.read(4) == _ZIP
    kind = container.kind_of_zip(path) if zipped else "xls"
    expected = {"xlsx": (".xlsx", ".xlsm"), "xls": (".xls",), "ods": (".ods",), "xlsb": (".xlsb",)}
    if path.suffix.lower() in expected.get(kind or "", ()):
        return calamine.CalamineWorkbook.from_path(str(path))
    # The name says something else than the content: let the parser look for itself.
    return calamine.CalamineWorkbook.from_filelike(path.open("rb"))


def _unreadable(reason: str, where: Where) -> SourceError:
    if "Unrecognized sheet" in reason:
        return SourceError(
            "the workbook holds a macro or dialog sheet that cannot be read: save the product "
            "sheet alone in a new workbook",
            where,
        )
    if "password" in reason.lower() or "encrypt" in reason.lower():
        return SourceError(
            "the workbook is protected by a password: save a copy without one", where
        )
    return SourceError(
        "the workbook is damaged and cannot be read: open it in a spreadsheet program and save it "
        "anew",
        where,
    )


def _sheets(calamine: Any, book: Any) -> tuple[list[str], list[str]]:
    visible: list[str] = []
    hidden: list[str] = []
    for sheet in book.sheets_metadata:
        if sheet.typ == calamine.SheetTypeEnum.WorkSheet:
            shown = sheet.visible == calamine.SheetVisibleEnum.Visible
            (visible if shown else hidden).append(sheet.name)
    return visible, hidden


def _choose(wanted: str, names: list[str], order: list[str], where: Where) -> str:
    if wanted in names:
        return wanted
    folded = {name.strip().casefold(): name for name in names}
    if wanted.strip().casefold() in folded:
        return folded[wanted.strip().casefold()]
    if wanted.isdigit() and 1 <= int(wanted) <= len(order) and order[int(wanted) - 1] in names:
        return order[int(wanted) - 1]
    close = difflib.get_close_matches(wanted.casefold(), list(folded), n=1, cutoff=0.5)
    listed = ", ".join(f"“{name}”" for name in names[:12])
    hint = f"did you mean “{folded[close[0]]}”? It has" if close else "it has"
    raise SourceError(f"there is no sheet “{wanted}”; {hint} {listed}", where)


def _first_with_rows(
    calamine: Any, book: Any, request: dict[str, Any], visible: list[str], notes: list[str]
) -> tuple[Any, str | None, list[str]]:
    path = Path(request["path"])
    where = Where(file=str(path))
    empty: list[str] = []
    for place, name in enumerate(visible):
        table, filled = _table(calamine, book, name, request, where)
        if table is None or table.empty:
            empty.append(f"“{name}” ({filled})")
            continue
        others = visible[place + 1 :]
        if path.stat().st_size <= _SMALL_BOOK:
            others = [other for other in others if _has_cells(calamine, book, other)]
        if others:
            listed = ", ".join(f"“{other}”" for other in others)
            notes.append(f"read “{name}”; other sheets were not read: {listed} (pick one by name)")
        return table, name, notes
    what = "the workbook has no rows"
    pictures = container.count_pictures(path)
    if pictures:
        what += f" but {pictures} picture{'s' if pictures > 1 else ''}, which are not read"
    seen = "; ".join([f"looked at {', '.join(empty)}" if empty else "no sheet is visible", *notes])
    raise SourceError(f"{what} ({seen}): fill a sheet with a header and rows", where)


def _has_cells(calamine: Any, book: Any, name: str) -> bool:
    try:
        return book.get_sheet_by_name(name).start is not None
    except calamine.CalamineError:
        return False


def _table(
    calamine: Any, book: Any, name: str, request: dict[str, Any], where: Where
) -> tuple[Any, str]:
    """Give the table of a sheet (None where it has no filled cell), and why it may be empty."""
    from waremill.catalog.readers.table import Options, open_table

    try:
        sheet = book.get_sheet_by_name(name)
    except calamine.CalamineError as error:
        raise _unreadable(str(error), Where(where.file, name)) from error
    if sheet.start is None:
        return None, "no cells"
    if sheet.end[1] + 1 > int(request["columns"]) * 4:
        raise SourceError(
            f"the sheet has cells in column {sheet.end[1] + 1}: delete what stands far to the "
            "right of the table",
            Where(where.file, name),
        )
    merges = sheet.merged_cell_ranges or []
    table = open_table(_rows(sheet), Options(merges=merges))
    if table is not None and len(table.names) > int(request["columns"]):
        raise SourceError(
            f"the sheet has {len(table.names)} columns, more than the {request['columns']} allowed",
            Where(where.file, name),
        )
    return table, "only blank or error cells" if table is None else "only a header"


def _rows(sheet: Any) -> Iterator[list[Any]]:
    """Give every row from row 1 on; control characters written as `_x000D_` are resolved."""
    rows = sheet.iter_rows()
    head = list(islice(rows, 200))
    escaped = any(isinstance(cell, str) and "_x00" in cell for row in head for cell in row)
    every = chain(head, rows)
    return map(_unescape_row, every) if escaped else every


def _unescape_row(row: list[Any]) -> list[Any]:
    return [
        _ESCAPED.sub(lambda match: chr(int(match[1], 16)), cell)
        if isinstance(cell, str) and "_x" in cell
        else cell
        for cell in row
    ]


if __name__ == "__main__":
    from waremill.catalog.readers.process import serve

    serve(_read_workbook)
