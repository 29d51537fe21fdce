"""Checking a zipped workbook before a parser sees it, and what its XML tells cheaply.

Looks at the central directory and the first bytes of XML members: sizes, packing ratios, damage,
encryption, document type declarations, absurd repeat counts. It must not parse cells.
"""

from __future__ import annotations

import html
import re
import zipfile
import zlib
from pathlib import Path
from typing import IO

from waremill.catalog.readers.shapes import Limits
from waremill.errors import SourceError, Where

_CHUNK = 1 << 18
_PROLOGUE = 1 << 20
_SMALL_MEMBER = 32 << 20
_SCANNED = 512 << 20
_DECLARATION = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_ROOT = re.compile(rb"<[A-Za-z_]")
_ERROR_CELL = re.compile(rb'<c\b[^>]*?\bt="e"[^>]*>')
_REFERENCE = re.compile(rb'\br="([A-Z]{1,3}[0-9]{1,7})"')
_REPEATS = re.compile(rb'number-(columns|rows)-(?:repeated|spanned)="(\d+)"')
# The most columns and rows a spreadsheet can have (ISO/IEC 29500 and LibreOffice alike).
_MOST = {b"columns": 16_384, b"rows": 1_048_576}

KINDS = {
    "xlsx": "xl/workbook.xml",
    "xlsb": "xl/workbook.bin",
    "ods": "content.xml",
    "docx": "word/document.xml",
    "pptx": "ppt/presentation.xml",
}


def kind_of_zip(path: Path) -> str | None:
    """Say what a zip file is: a key of `KINDS`, "zip" for another archive, None where damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            lowered = {name.lower().replace("\\", "/").lstrip("/") for name in names}
            for kind, member in KINDS.items():
                if member in lowered:
                    return _open_document(archive, kind) if kind == "ods" else kind
            return "xlsx" if any(name.startswith("xl/") for name in lowered) else "zip"
    except (zipfile.BadZipFile, OSError, ValueError, EOFError):
        return None


def _open_document(archive: zipfile.ZipFile, kind: str) -> str:
    try:
        with archive.open("mimetype") as stream:
            declared = stream.read(200)
    except (KeyError, RuntimeError, zipfile.BadZipFile, zlib.error, NotImplementedError):
        return kind
    return kind if b"spreadsheet" in declared else "docx" if b"text" in declared else "zip"


def check_container(path: Path, limits: Limits) -> None:
    """Refuse a workbook that is damaged, encrypted or built to harm; raise SourceError."""
    where = Where(file=str(path))
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_sizes(members, limits, where)
            for member in members:
                if member.filename.lower().endswith((".xml", ".rels", ".vml")):
                    _check_declarations(archive, member, where)
                if member.filename == "content.xml":
                    _check_repeats(archive, member, where)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise SourceError(
            "the workbook is cut off or damaged: copy or download it again", where
        ) from error


def count_pictures(path: Path) -> int:
    """Count the pictures embedded in a zipped workbook; 0 for any other file."""
    if not zipfile.is_zipfile(path):
        return 0
    with zipfile.ZipFile(path) as archive:
        return sum("/media/" in name or name.startswith("Pictures/") for name in archive.namelist())


def _check_sizes(members: list[zipfile.ZipInfo], limits: Limits, where: Where) -> None:
    if len(members) > limits.members:
        raise SourceError(
            f"the workbook holds {len(members)} parts, more than the {limits.members} allowed: "
            "save the product sheet alone in a new workbook",
            where,
        )
    total = sum(member.file_size for member in members)
    if total > limits.unpacked:
        raise SourceError(
            f"the workbook unpacks to {total >> 20} MB, more than the {limits.unpacked >> 20} MB "
            "allowed: split it or save it as CSV",
            where,
        )
    for member in members:
        if member.flag_bits & 0x1:
            raise SourceError("the workbook is encrypted: save a copy without a password", where)
        if member.file_size > _SMALL_MEMBER and member.file_size > limits.ratio * max(
            1, member.compress_size
        ):
            raise SourceError(
                f"the part {member.filename} unpacks to {member.file_size >> 20} MB from "
                f"{member.compress_size >> 10} kB, as only a zip bomb does: save the sheet anew in "
                "a spreadsheet program",
                where,
            )


def _check_declarations(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: Where) -> None:
    """Refuse document type and entity declarations: no spreadsheet program writes any."""
    with archive.open(member) as stream:
        head = _ascii(stream.read(4096))
        while not _ROOT.search(_COMMENT.sub(b"", head)) and len(head) < _PROLOGUE:
            more = stream.read(_CHUNK)
            if not more:
                break
            head += _ascii(more)
    start = _COMMENT.sub(b"", head)
    hidden = len(head) >= _PROLOGUE and not _ROOT.search(start)
    if hidden or _DECLARATION.search(start):
        raise SourceError(
            f"the part {member.filename} declares XML entities, which can read other files or "
            "exhaust memory: save the sheet anew in a spreadsheet program",
            where,
        )


def _ascii(data: bytes) -> bytes:
    """Drop the zero bytes of UTF-16, so that one search serves every encoding."""
    return data.replace(b"\0", b"") if b"\0" in data else data


def _check_repeats(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: Where) -> None:
    carry = b""
    with archive.open(member) as stream:
        while chunk := stream.read(_CHUNK):
            data = carry + chunk
            for what, count in _REPEATS.findall(data):
                if len(count) > 9 or int(count) > _MOST[what]:
                    raise SourceError(
                        f"a cell is repeated over {count.decode()[:20]} {what.decode()}, more than "
                        "a sheet can have: save the sheet anew in a spreadsheet program",
                        where,
                    )
            carry = data[-80:]


def count_error_cells(path: Path, worksheet: str) -> tuple[int, str]:
    """Count a worksheet member's cells that hold an error value: how many, the first one's place.

    A member that would take longer than about a second counts as having none.
    """
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo(worksheet).file_size > _SCANNED:
            return 0, ""
        with archive.open(worksheet) as stream:
            return _count_errors(stream)


def _count_errors(stream: IO[bytes]) -> tuple[int, str]:
    count, first = 0, ""
    carry = b""
    while chunk := stream.read(_CHUNK):
        data = carry + chunk
        end = data.rfind(b">") + 1
        # The plain search runs at memory speed; the pattern only where it found something.
        if data.find(b't="e"', 0, end) >= 0:
            for match in _ERROR_CELL.finditer(data, 0, end):
                count += 1
                reference = _REFERENCE.search(match[0])
                if not first and reference:
                    first = reference[1].decode()
        carry = data[end:]
    return count, first


def sheet_members(path: Path) -> dict[str, str]:
    """Give each sheet's member by its name, as far as the workbook's relations tell."""
    with zipfile.ZipFile(path) as archive:
        try:
            book = archive.read("xl/workbook.xml").decode("utf-8", "replace")
            relations = archive.read("xl/_rels/workbook.xml.rels").decode("utf-8", "replace")
        except KeyError:
            return {}
    targets: dict[str, str] = {}
    for tag in re.findall(r"<(?:\w+:)?Relationship\b[^>]*>", relations):
        target, name = re.search(r'Target="([^"]*)"', tag), re.search(r'\bId="([^"]*)"', tag)
        if target and name:
            path_in_zip = target[1].lstrip("/")
            targets[name[1]] = path_in_zip if path_in_zip.startswith("xl/") else f"xl/{path_in_zip}"
    found: dict[str, str] = {}
    for tag in re.findall(r"<(?:\w+:)?sheet\b[^>]*>", book):
        sheet, name = re.search(r'\bname="([^"]*)"', tag), re.search(r'\br:id="([^"]*)"', tag)
        if sheet and name and name[1] in targets:
            found[html.unescape(sheet[1])] = targets[name[1]]
    return found
