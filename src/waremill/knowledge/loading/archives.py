"""Documents that are zip archives, looked at before a parser unpacks them."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from typing import Final

from waremill.errors import SourceError, Where

MEMBERS: Final = 10_000
UNPACKED: Final = 1 << 30
"""Bytes that all members may have together."""
RATIO: Final = 200
SMALL: Final = 1 << 20
"""A member up to this size may be packed as tightly as it likes."""
_PACKED = b"PK\x03\x04"


def is_zip(head: bytes) -> bool:
    """Say whether a file begins as a zip archive does."""
    return head.startswith(_PACKED)


def check_archive(content: bytes, name: str, part: str) -> None:
    """Refuse an archive that is damaged, encrypted or built to harm, or lacks its main part.

    Raises SourceError; `part` is the member without which there is no document.
    """
    where = Where(file=name)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise SourceError(
            "the document is cut off or damaged: copy or download it again", where
        ) from error
    total = sum(member.file_size for member in members)
    if len(members) > MEMBERS or total > UNPACKED:
        raise SourceError(
            f"the document unpacks to {len(members):,} parts and {total >> 20:,} MB, more than the "
            f"{MEMBERS:,} parts and {UNPACKED >> 20:,} MB allowed: split it",
            where,
        )
    for member in members:
        if member.flag_bits & 0x1:
            raise SourceError("the document is encrypted: save a copy without a password", where)
        if member.file_size > max(SMALL, RATIO * member.compress_size):
            raise SourceError(
                f"the part {member.filename} unpacks to {member.file_size >> 20} MB from "
                f"{member.compress_size >> 10} kB, as only a zip bomb does: save the document anew",
                where,
            )
    if not any(member.filename == part for member in members):
        raise SourceError(f"the archive is no document: it has no part {part}", where)


def markdown_of(content: bytes, name: str, part: str, converter: str, suffix: str) -> str:
    """Check an archive as `check_archive` does, and write its document as Markdown, by MarkItDown.

    `converter` is the name of MarkItDown's class for what ends in `suffix`.
    """
    check_archive(content, name, part)
    from markitdown import StreamInfo, converters

    made = getattr(converters, converter)()
    return str(made.convert(io.BytesIO(content), StreamInfo(extension=suffix)).markdown)


def property_of(content: bytes, label: str) -> str:
    """Give a document property of an Office file, such as `dc:title`; empty where it has none."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        try:
            core = archive.read("docProps/core.xml").decode("utf-8", "replace")
        except KeyError:
            return ""
    import html

    match = re.search(rf"<{re.escape(label)}(?:\s[^>]*)?>([^<]*)</{re.escape(label)}>", core)
    return html.unescape(match[1]).strip() if match else ""
