"""What is named to be added: files, folders, uploads and addresses, one document after the other.

A folder's `_metadata.yaml` holds for the documents in it and in the folders below. Nothing is
parsed here.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from waremill.app.knowing.fetching import clean_address
from waremill.catalog.readers.encoding import guess_legacy
from waremill.domain import storable
from waremill.errors import ConfigError, SourceError, Where
from waremill.knowledge.loading import LARGEST, readable_suffixes
from waremill.knowledge.loading.plain_yaml import NotPlain, read_values

METADATA_FILE = "_metadata.yaml"
UPLOADED = "upload"
"""Where documents come from that were sent to a server."""


@dataclass(frozen=True, slots=True)
class Found:
    """A document to add: its name, where it comes from, its file or address.

    `origin` is the folder, file or address that was named; `metadata` what is said of it there.
    `root` is the folder out of which no link may lead.
    """

    name: str
    origin: str
    path: Path | None = None
    address: str | None = None
    metadata: Mapping[str, Any] | None = None
    root: Path | None = None


def is_address(text: str) -> bool:
    """Say whether a source is a web address rather than a path."""
    return text.lower().startswith(("http://", "https://"))


def pairs(given: Sequence[str]) -> dict[str, str | list[str]]:
    """Read NAME=VALUE texts; a name that stands there twice has a list of values."""
    found: dict[str, str | list[str]] = {}
    for one in given:
        name, equals, value = (part.strip() for part in one.partition("="))
        if not equals or not name or not value:
            raise ConfigError(f"write NAME=VALUE, not “{one[:200]}”")
        known = found.get(name)
        if known is None:
            found[name] = value
        else:
            found[name] = [*known, value] if isinstance(known, list) else [known, value]
    return found


def find_files(paths: Sequence[str]) -> tuple[list[Found], list[str]]:
    """Give the documents that files, folders and addresses stand for, in order, and notes.

    A folder gives the files below it with a readable ending, by name; hidden ones are left out, and
    a note says how many others. Raises SourceError for what is not there, and for two documents of
    one name.
    """
    found: list[Found] = []
    notes: list[str] = []
    for text in paths:
        if not text.strip():  # as an unset variable gives; it would be the current folder
            raise ConfigError("a path to add is empty")
        if is_address(text):
            address = clean_address(text)
            found.append(Found(address, address, address=address))
            continue
        path = Path(text).expanduser()
        if path.is_dir():
            others: Counter[str] = Counter()
            inside = list(_in_folder(path.resolve(), others))
            if not inside:
                listed = " ".join(readable_suffixes())
                raise SourceError(f"the folder holds no document ({listed})", Where(file=text))
            found += inside
            if others:
                kinds = ", ".join(f"{kind} {count:,}" for kind, count in others.most_common(10))
                notes.append(f"{text}: files of kinds that are not read were left out ({kinds})")
        elif path.is_file():
            place = path.resolve()
            told = _folder_metadata(place.parent, place.parent, {})
            found.append(Found(_as_text(path.name), _as_text(str(place)), place, metadata=told))
        else:
            raise SourceError("there is no such file or folder", Where(file=text))
    refuse_twice(found)
    return found, notes


def other_file(found: Found, source: str) -> Path | None:
    """Give the file that a document of this name came from, where it is another and still there.

    `source` is what was named when it was added. What is sent to a server replaces what was there.
    """
    if found.path is None or found.origin == UPLOADED:
        return None
    before = Path(source)
    if before.is_dir():
        before /= found.name
    if not before.is_file() or before.samefile(found.path):
        return None
    return before


def has_moved(found: Found, source: str) -> bool:
    """Say whether a document's file or folder lies elsewhere than when it was added."""
    return found.path is not None and found.origin != UPLOADED and not Path(source).exists()


def _as_text(name: str) -> str:
    """Give a file's name as text: one that is not UTF-8, as old archives have them, is guessed."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raw = os.fsencode(name)
        name = raw.decode(guess_legacy(raw), "replace")
    return storable(name)


def read_file(found: Found) -> bytes:
    """Read a document's file; raise SourceError where it is too large or cannot be opened."""
    assert found.path is not None
    where = Where(file=found.name)
    if found.root is not None:
        _refuse_outside(found.path, found.root, found.name)
    try:
        size = found.path.stat().st_size
        if size > LARGEST:
            raise SourceError(
                f"the file is {size >> 20} MB, larger than the {LARGEST >> 20} MB allowed:"
                " split it",
                where,
            )
        return found.path.read_bytes()
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise SourceError(f"the file cannot be opened: {reason}", where) from error


def _in_folder(root: Path, others: Counter[str]) -> Iterator[Found]:
    """Give a folder's documents; count in `others` the endings of files that are none."""
    suffixes = readable_suffixes()
    told: dict[Path, Mapping[str, Any]] = {}
    for place, folders, names in os.walk(root):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        folder = Path(place)
        above = told.get(folder.parent, {}) if folder != root else {}
        told[folder] = _folder_metadata(folder, root, above)
        for name in sorted(names):
            path = folder / name
            plain = not name.startswith((".", "~$", "_metadata."))
            if not plain or not path.is_file():
                continue
            if path.suffix.lower() not in suffixes:
                others[_as_text(path.suffix.lower()) or "without ending"] += 1
                continue
            relative = _as_text(path.relative_to(root).as_posix())
            yield Found(relative, _as_text(str(root)), path, metadata=told[folder], root=root)


def _folder_metadata(folder: Path, root: Path, above: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read a folder's `_metadata.yaml` over what holds above it."""
    path = folder / METADATA_FILE
    if not path.is_file():
        return above
    shown = str(path.relative_to(root.parent))
    _refuse_outside(path, root, shown)
    try:
        values = read_values(path.read_text(encoding="utf-8-sig"))
    except NotPlain as error:
        line = None if error.line is None else error.line + 1
        raise SourceError("the file is no YAML of plain NAME: VALUE lines",
                          Where(file=shown, line=line)) from None  # fmt: skip
    except (UnicodeDecodeError, OSError):
        raise SourceError("the file cannot be read as UTF-8 text", Where(file=shown)) from None
    if values is None:
        raise SourceError("the file must hold NAME: VALUE lines", Where(file=shown))
    return {**above, **values}


def _refuse_outside(path: Path, root: Path, shown: str) -> None:
    """Raise SourceError for a link that leads out of the folder that was named.

    A folder may come from somebody else, and its links would give away any file of this machine.
    """
    if not path.resolve().is_relative_to(root):
        raise SourceError(
            "the file is a link that leads out of the folder: add what it leads to by itself",
            Where(file=shown),
        )


def refuse_twice(found: Sequence[Found]) -> None:
    """Raise SourceError where two documents that come together have one name."""
    seen: dict[str, Found] = {}
    for one in found:
        other = seen.setdefault(one.name, one)
        if other is not one and other.path != one.path:
            raise SourceError(
                f"two documents would be called “{one.name}”: add the folder that holds both",
                Where(file=one.name),
            )
