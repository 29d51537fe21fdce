"""Bytes of a text file to text, by the detection the catalogue's readers use."""

from __future__ import annotations

import codecs
import tempfile
import unicodedata
from pathlib import Path

from waremill.catalog.readers import encoding
from waremill.errors import SourceError, Where

_LONGEST_LINE = 16 << 20


def decode(content: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    """Give a text file's text with plain line feeds, in NFC, and notes on what was guessed.

    Raises SourceError for bytes that are no text.
    """
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in content[:8192] and not marked and not encoding.utf16_without_mark(content[:8192]):
        raise SourceError("the file is no text: its bytes are those of a program or picture",
                          Where(file=name))  # fmt: skip
    notes: tuple[str, ...] = ()
    try:
        if marked:
            raise UnicodeDecodeError("utf-8", content[:1], 0, 1, "another encoding is marked")
        text = content.decode("utf-8-sig")
        if "\0" in text:
            raise UnicodeDecodeError("utf-8", content[:1], 0, 1, "UTF-16 without a mark")
    except UnicodeDecodeError:
        text, notes = _detected(content)
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return unicodedata.normalize("NFC", text), notes


def _detected(content: bytes) -> tuple[str, tuple[str, ...]]:
    with tempfile.NamedTemporaryFile(prefix="waremill-") as file:
        file.write(content)
        file.flush()
        found = encoding.detect(Path(file.name))
        text = "".join(encoding.read_lines(Path(file.name), found, _LONGEST_LINE))
    return text, () if found.note is None else (found.note,)
