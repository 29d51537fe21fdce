"""Reading a catalogue: one call opens any source that some reader recognises.

Decides by content which reader a file belongs to, expands folders and patterns, and turns whatever
is wrong into one `SourceError`. It must not store anything and must not change products' values
beyond cleaning; readers do the work (see `waremill.catalog.readers`).
"""

from __future__ import annotations

import difflib
import glob
import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from waremill.catalog import readers
from waremill.catalog.readers.shapes import Batch, Limits, Problems, Reader, Request
from waremill.errors import SourceError, Where

__all__ = [
    "Batch",
    "Limits",
    "Problems",
    "Reader",
    "expand_sources",
    "read_source",
    "read_sources",
    "readable_suffixes",
]

_HEAD_BYTES = 8192
_FOREIGN = (
    (b"%PDF", "a PDF", "export the table as CSV or xlsx"),
    (b"\x89PNG", "a picture", "import a sheet that names the pictures"),
    (b"\xff\xd8\xff", "a picture", "import a sheet that names the pictures"),
    (b"SQLite format 3\0", "an SQLite database", "write sqlite:///FILE?table=NAME"),
    (b"\x1f\x8b", "compressed with gzip", "unpack it first"),
    (b"\xfd7zXZ", "compressed with xz", "unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it first"),
    (b"{\\rtf", "a text document", "copy its table into a spreadsheet"),
    (b"\x7fELF", "a program", "import a table"),
    (b"\x09\x08", "a workbook from before Excel 97", "save it as xlsx"),
    (b"\x09\x04", "a workbook from before Excel 97", "save it as xlsx"),
    (b"\x09\x02", "a workbook from before Excel 97", "save it as xlsx"),
)
# These marks are letters that a table may start with too, so a zero byte has to be near.
_FOREIGN_BINARY = (
    (b"GIF8", "a picture", "import a sheet that names the pictures"),
    (b"RIFF", "a picture or sound", "import a sheet that names the pictures"),
    (b"BZh", "compressed with bzip2", "unpack it first"),
    (b"Rar!", "a RAR archive", "unpack it first"),
    (b"ARROW1", "an Arrow file", "save it as parquet"),
    (b"MZ", "a program", "import a table"),
)
_XML_WORKBOOK = b"urn:schemas-microsoft-com:office:spreadsheet"


def read_source(
    source: str,
    *,
    sheet: str | None = None,
    limits: Limits | None = None,
    since: tuple[str, Any] | None = None,
) -> Reader:
    """Open a file or a database URL as a catalogue; use it as a context manager.

    `source` is a path or an SQLAlchemy URL with `?table=NAME` or `?query=SELECT…`, such as
    `sqlite:///shop.db?table=products`. `sheet` is a sheet's name or its number from 1 (workbooks
    only); `since` names a column of a database and the least it holds. Raise SourceError, one
    sentence with the place, for whatever cannot be read.
    """
    request = Request(sheet, limits or Limits(), since)
    if is_url(source):
        return _open("database", source, request)
    path = Path(source)
    where = Where(file=source)
    _check_file(path, where)
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise SourceError(f"the file cannot be opened: {error.strerror}", where) from error
    if not head.strip(b"\0 \t\r\n\xef\xbb\xbf"):
        raise SourceError("the file is empty: fill it with a header and rows", where)
    _refuse_foreign(head, where)
    suffix = path.suffix.lower()
    for module in _readers():
        if module.recognises(head, suffix):
            if sheet is not None and not getattr(module, "SHEETS", False):
                raise SourceError(f"this kind of file has no sheets: leave “{sheet}” out", where)
            return _open(module.__name__.rpartition(".")[2], source, request)
    raise SourceError(
        "the file is of no kind that can be read: save it as xlsx, csv, jsonl or parquet", where
    )


def read_sources(
    sources: Sequence[str], *, sheet: str | None = None, limits: Limits | None = None
) -> Iterator[tuple[str, Reader | SourceError]]:
    """Open several sources one after the other, folders and patterns expanded.

    One that cannot be opened gives its SourceError in place of a reader, and the others go on.
    """
    for source in expand_sources(sources):
        try:
            reader = read_source(source, sheet=sheet, limits=limits)
        except SourceError as error:
            yield source, error
            continue
        with reader:
            yield source, reader


def expand_sources(paths: Sequence[str]) -> list[str]:
    """Give the sources that paths, folders, patterns (`*.xlsx`) and URLs stand for, in order.

    A folder gives the files in it and its subfolders that have a readable ending, sorted by name;
    hidden files and a spreadsheet program's lock files are left out. Raise SourceError for a folder
    or pattern that gives nothing. A path that does not exist is kept: opening it explains it.
    """
    found: list[str] = []
    for path in paths:
        if is_url(path):
            found.append(path)
        elif Path(path).is_dir():
            found.extend(_files_in(Path(path)))
        elif not Path(path).exists() and glob.has_magic(path):
            matches = sorted(match for match in glob.glob(path, recursive=True))
            files = [match for match in matches if Path(match).is_file()]
            if not files:
                raise SourceError("no file matches this pattern", Where(file=path))
            found.extend(files)
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def is_url(source: str) -> bool:
    """Say whether a source is a database URL rather than a path."""
    scheme, separator, _ = source.partition("://")
    return bool(separator) and scheme.replace("+", "").replace("_", "").isalnum()


@lru_cache(maxsize=1)
def readable_suffixes() -> tuple[str, ...]:
    """Give the file name endings that readers claim, such as `.xlsx`."""
    return tuple(sorted({suffix for module in _readers() for suffix in module.SUFFIXES}))


def _files_in(folder: Path) -> list[str]:
    suffixes = readable_suffixes()
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in suffixes
        and path.is_file()
        and not any(part.startswith((".", "~$")) for part in path.relative_to(folder).parts)
    ]
    if not files:
        raise SourceError(
            f"the folder holds nothing that can be read ({' '.join(suffixes)})",
            Where(file=str(folder)),
        )
    return [str(path) for path in files]


@lru_cache(maxsize=1)
def _readers() -> tuple[Any, ...]:
    """Give the reader modules: those of the package that can recognise a file, by rank."""
    modules = [
        module
        for entry in pkgutil.iter_modules(readers.__path__)
        if hasattr(module := _module(entry.name), "recognises")
    ]
    return tuple(sorted(modules, key=lambda module: int(module.RANK)))


def _open(name: str, source: str, request: Request) -> Reader:
    reader: Reader = _module(name).open_reader(source, request)
    return reader


def _module(name: str) -> Any:
    return importlib.import_module(f"{readers.__name__}.{name}")


def _check_file(path: Path, where: Where) -> None:
    try:
        if path.is_file():
            return
        if path.is_dir():
            raise SourceError("this is a folder: name a file in it, or import the folder", where)
        missing = not path.exists()
    except (OSError, ValueError) as error:
        raise SourceError("this is not a file's path", where) from error
    if not missing:
        raise SourceError("this is not an ordinary file", where)
    folder = path.parent
    if not folder.is_dir():
        raise SourceError(f"there is no such file, and no folder “{folder}”", where)
    names = [entry.name for entry in folder.iterdir()]
    close = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    same = [name for name in names if Path(name).stem.casefold() == path.stem.casefold()]
    similar = list(dict.fromkeys([*same, *close]))[:3]
    hint = "; similar in that folder: " + ", ".join(f"“{name}”" for name in similar)
    raise SourceError("there is no such file" + (hint if similar else ""), where)


def _refuse_foreign(head: bytes, where: Where) -> None:
    for magic, what, hint in (*_FOREIGN, *(_FOREIGN_BINARY if b"\0" in head else ())):
        if head.startswith(magic):
            raise SourceError(f"the file is {what}, not a catalogue: {hint}", where)
    if _XML_WORKBOOK in head and head.lstrip(b"\xef\xbb\xbf \r\n").startswith(b"<?xml"):
        raise SourceError(
            "the file is a workbook in the XML format of 2003: save it as xlsx", where
        )
