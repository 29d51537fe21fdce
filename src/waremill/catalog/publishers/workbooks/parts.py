"""The parts of an Excel workbook: its sheets, names and shared texts, and the file around them."""

from __future__ import annotations

import posixpath
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from waremill.catalog.readers.container import check_container
from waremill.catalog.readers.shapes import Limits
from waremill.errors import ConfigError, SourceError, Where

_WORKBOOK = "officeDocument"
_RELATIONS = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_STRICT = "{http://purl.oclc.org/ooxml/officeDocument/relationships}"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet: its name, the part that holds it, whether it is shown."""

    name: str
    part: str
    shown: bool


class Workbook:
    """An .xlsx or .xlsm file that is only read; raises ConfigError for one that cannot be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = Where(file=str(path))
        if not path.is_file():
            raise ConfigError("there is no such template", self.where)
        try:
            check_container(path, Limits())
        except SourceError as error:
            raise ConfigError(error.message, error.where) from error

    @cached_property
    def _main(self) -> str:
        """The name of the workbook's main part, which is not the same everywhere."""
        for kind, target in self._relations("").values():
            if kind.endswith(_WORKBOOK):
                return target
        raise ConfigError("this is no Excel workbook", self.where)

    def _relations(self, part: str) -> dict[str, tuple[str, str]]:
        """Give a part's relations by id: kind and the part it leads to."""
        folder, name = posixpath.split(part)
        path = posixpath.join(folder, "_rels", f"{name}.rels")
        root = self._tree(path)
        found = {}
        for one in root:
            if one.get("TargetMode") != "External":
                target = posixpath.normpath(posixpath.join(folder, one.get("Target", "")))
                target = one.get("Target", "") if one.get("Target", "")[:1] == "/" else target
                found[one.get("Id", "")] = (one.get("Type", ""), target.lstrip("/"))
        return found

    def _tree(self, part: str) -> Any:
        from lxml import etree

        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(part) as file:
                parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
                return etree.parse(file, parser).getroot()
        except (KeyError, etree.XMLSyntaxError, zipfile.BadZipFile, OSError) as error:
            raise ConfigError(f"the workbook's part {part} cannot be read", self.where) from error

    @cached_property
    def _book(self) -> Any:
        return self._tree(self._main)

    @cached_property
    def sheets(self) -> tuple[Sheet, ...]:
        """Its sheets in order; charts and dialogs are left out."""
        relations = self._relations(self._main)
        found = []
        for one in self._book.iter("{*}sheet"):
            relation = one.get(f"{_RELATIONS}id") or one.get(f"{_STRICT}id")
            kind, part = relations.get(relation, ("", ""))
            if kind.endswith("/worksheet"):
                shown = one.get("state", "visible") == "visible"
                found.append(Sheet(one.get("name", ""), part, shown))
        return tuple(found)

    @cached_property
    def names(self) -> dict[str, str]:
        """Its defined names in small letters, with the formula each stands for."""
        found = {}
        for one in self._book.iter("{*}definedName"):
            name = one.get("name", "").casefold()
            if one.get("localSheetId") is None or name not in found:
                found[name] = (one.text or "").strip()
        return found

    @cached_property
    def shared_texts(self) -> list[str]:
        """The texts that cells refer to by their number."""
        part = next(
            (part for kind, part in self._relations(self._main).values()
             if kind.endswith("/sharedStrings")), None,
        )  # fmt: skip
        if part is None:
            return []
        found = []
        for one in self._tree(part):
            texts = (text for text in one.iter("{*}t") if _own(text))
            found.append("".join(text.text or "" for text in texts))
        return found

    def extract(self, part: str, place: Path) -> None:
        """Write a part's bytes to a file."""
        with (
            zipfile.ZipFile(self.path) as archive,
            archive.open(part) as source,
            place.open("wb") as target,
        ):
            shutil.copyfileobj(source, target, 1 << 20)

    def copy_with(self, out: Path, part: str, write: Callable[[IO[bytes]], None]) -> None:
        """Write the workbook to `out` with one part written anew and all others as they are."""
        with zipfile.ZipFile(self.path) as source, zipfile.ZipFile(out, "w") as target:
            target.comment = source.comment
            for info in source.infolist():
                kept = zipfile.ZipInfo(info.filename, info.date_time)
                kept.compress_type = info.compress_type
                kept.external_attr, kept.extra = info.external_attr, b""
                kept.create_system, kept.comment = info.create_system, info.comment
                with target.open(kept, "w", force_zip64=info.file_size > 1 << 30) as file:
                    if info.filename == part:
                        write(file)
                        continue
                    with source.open(info) as old:
                        shutil.copyfileobj(old, file, 1 << 20)


def _own(text: Any) -> bool:
    """Say whether a text is the cell's own and not its reading aid."""
    parent = text.getparent()
    return parent is None or not str(parent.tag).endswith("}rPh")


def letters_of(column: int) -> str:
    """Give a column's letters; the first column is 0."""
    found = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        found = chr(65 + rest) + found
    return found


def column_of(letters: str) -> int:
    """Give a column's number from 0; its letters may be small."""
    number = 0
    for one in letters.upper():
        number = number * 26 + ord(one) - 64
    return number - 1


def visible(sheets: tuple[Sheet, ...]) -> Iterator[Sheet]:
    """Give the sheets that are shown."""
    return (one for one in sheets if one.shown)
