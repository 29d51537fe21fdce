"""Loading documents: one call reads any file that some format recognises.

A format is one module here: `SUFFIXES`, `RANK`, `MEDIA_TYPE`, `recognises(head, suffix)` and
`read(content, name)`. All are run in a child process with limits on memory and time: even plain
text can be made so that a single call of a parser takes hours. Nothing is fetched and nothing is
stored.
"""

from __future__ import annotations

import importlib
import pkgutil
from contextlib import closing
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from waremill.errors import SourceError, Where
from waremill.knowledge.document import Document
from waremill.knowledge.loading.isolation import Isolation

LARGEST = 100 * 1024**2
"""Most bytes a document's file may have."""
_HEAD = 4096
_REFUSED = (
    (b"\x89PNG", "a picture"), (b"\xff\xd8\xff", "a picture"), (b"GIF8", "a picture"),
    (b"\x1f\x8b", "compressed with gzip"), (b"\xfd7zXZ", "compressed with xz"),
    (b"7z\xbc\xaf", "a 7z archive"), (b"Rar!\x1a", "a RAR archive"),
    (b"{\\rtf", "in Rich Text Format; save it as docx"), (b"\x7fELF", "a program"),
    (b"SQLite format 3\0", "a database"),
)  # fmt: skip
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


_MEDIA_TYPES = {
    "text/html": ".html", "application/xhtml+xml": ".html", "application/pdf": ".pdf",
    "text/markdown": ".md", "text/plain": ".txt", "text/csv": ".csv",
    "text/tab-separated-values": ".tsv", "application/epub+zip": ".epub",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.ms-excel": ".xls", "application/vnd.oasis.opendocument.spreadsheet": ".ods",
}  # fmt: skip


def load(
    content: bytes,
    name: str,
    *,
    media_type: str | None = None,
    isolation: Isolation | None = None,
) -> Document:
    """Read a document from its file's content; `name` is a path or address and gives the ending.

    `media_type` is what a server called it, where its name has no ending that tells. `isolation`
    is the child process that parsers run in, where many documents share one. Raises SourceError,
    one sentence with the document's name, for whatever cannot be read or has no text.
    """
    where = Where(file=name)
    if len(content) > LARGEST:
        size, most = len(content) >> 20, LARGEST >> 20
        raise SourceError(
            f"the file is {size} MB, larger than the {most} MB allowed: split it", where
        )
    if not content.strip(b"\0 \t\r\n\xef\xbb\xbf"):
        raise SourceError("the file is empty", where)
    format = format_of(content[:_HEAD], name, media_type)
    if isolation is None:
        with closing(Isolation()) as own:
            document = own.read(format.__name__, content, name)
    else:
        document = isolation.read(format.__name__, content, name)
    if not document.sections:
        raise SourceError(getattr(format, "NOTHING", "there is no text in the file"), where)
    return document


def format_of(head: bytes, name: str, media_type: str | None = None) -> Any:
    """Give the module that reads a file with these first bytes; raise SourceError for none."""
    where = Where(file=name)
    path = name.partition("?")[0] if name.startswith(("http://", "https://")) else name
    suffix = PurePosixPath(path).suffix.lower()
    if suffix not in readable_suffixes():
        suffix = _MEDIA_TYPES.get((media_type or "").lower(), suffix)
    for magic, what in _REFUSED:
        if head.startswith(magic):
            raise SourceError(f"the file is {what} and no document", where)
    for module in _formats():
        if module.recognises(head, suffix):
            return module
    if head.startswith(_COMPOUND):
        raise SourceError(
            "the file is an Office document from before 2007, or protected by a password: save it "
            "as docx, xlsx or pptx without one",
            where,
        )
    raise SourceError(
        f"the file is of no kind that can be read ({' '.join(readable_suffixes())})", where
    )


@lru_cache(maxsize=1)
def readable_suffixes() -> tuple[str, ...]:
    """Give the file name endings that formats claim, such as `.pdf`."""
    return tuple(sorted({suffix for module in _formats() for suffix in module.SUFFIXES}))


@lru_cache(maxsize=1)
def _formats() -> tuple[Any, ...]:
    """Give the formats' modules: those of the package that can recognise a file, by rank."""
    modules = [
        module
        for entry in pkgutil.iter_modules(__path__)
        if hasattr(module := importlib.import_module(f"{__name__}.{entry.name}"), "recognises")
    ]
    return tuple(sorted(modules, key=lambda module: int(module.RANK)))


__all__ = ["LARGEST", "Isolation", "format_of", "load", "readable_suffixes"]
