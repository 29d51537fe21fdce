"""The files of a workspace that may be changed from outside: which, where, how they are written.

Reads and writes only known kinds of files in known folders; no `..`, no link, nothing large. What a
text means is not this module's business.
"""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

from waremill.catalog.publishers.whole_file import whole_file
from waremill.errors import ConfigError, Where

LARGEST_TEXT = 256 * 1024
"""Most bytes of a text that is written by hand."""
LONGEST_PATH = 200
KINDS: Mapping[str, tuple[str, ...]] = {
    "templates": (".yaml", ".yml", ".md", ".txt"),
    "pipelines": (".yaml", ".yml"),
    "schemas": (".yaml", ".yml"),
    "channels": (".yaml", ".yml"),
    "forbidden": (".csv", ".txt"),
    "examples": (".jsonl",),
}
"""The folders whose files may be changed, with the endings these may have."""
GLOSSARY = "glossary.csv"


def is_editable(path: str) -> bool:
    """Say whether a path names a file that may be changed: a plain name in a known folder."""
    parts = path.split("/")
    if path != GLOSSARY and (len(parts) < 2 or not path.endswith(KINDS.get(parts[0], ("\0",)))):
        return False
    return len(path) <= LONGEST_PATH and all(map(_is_plain, parts))


def _is_plain(name: str) -> bool:
    """Say whether a part of a path is a plain name: letters, digits, and `-_.` or spaces within."""
    if not name or name[0] in ". -" or name[-1] in ". ":
        return False
    return all(c in "-_. " or unicodedata.category(c)[0] in "LMN" for c in name)


def place_of(root: Path, path: str) -> Path:
    """Give the place of a file that may be changed, there or not.

    Raises ConfigError for every other path, and where a part of it is a link.
    """
    if not is_editable(path):
        folders = ", ".join(f"{name}/" for name in KINDS)
        raise ConfigError(
            f"this is no file that can be changed here: it must be {GLOSSARY} or a plain name in "
            f"{folders} with the usual ending",
            Where(file=path[:LONGEST_PATH]),
        )
    place = root.resolve()
    for part in path.split("/"):
        place = place / part
        if place.is_symlink():
            raise ConfigError("this is a link; links are not changed here", Where(file=path))
    return place


def read_text_of(root: Path, path: str) -> str | None:
    """Read a file that may be changed; None where there is none.

    Raises ConfigError for one that is too large or is not UTF-8 text.
    """
    place = place_of(root, path)
    try:
        number = os.open(place, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        reason = "it is a link" if error.errno == errno.ELOOP else error.strerror
        raise ConfigError(f"cannot be read: {reason}", Where(file=path)) from None
    with os.fdopen(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise ConfigError("this is not a plain file", Where(file=path))
        content = file.read(LARGEST_TEXT + 1)
    if len(content) > LARGEST_TEXT:
        raise ConfigError(f"the file is larger than {LARGEST_TEXT // 1024} KB", Where(file=path))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError("the file is not UTF-8 text", Where(file=path)) from None


def clean_text(path: str, text: str) -> str:
    """Give a text as it is stored: lines end in one way and the last one ends.

    Raises ConfigError for one that is too large or holds what no text file should.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text and not text.endswith("\n"):
        text += "\n"
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ConfigError("the text holds half of a character", Where(file=path)) from None
    if size > LARGEST_TEXT:
        raise ConfigError(f"a file has at most {LARGEST_TEXT // 1024} KB", Where(file=path))
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ConfigError("the text holds a NUL character", Where(file=path, line=line))
    return text


def write_text_of(root: Path, path: str, text: str) -> None:
    """Write a file that may be changed, whole or not at all."""
    place = place_of(root, path)
    with whole_file(place) as temporary:
        temporary.write_bytes(text.encode())


class Overlay(Mapping[str, str]):
    """A workspace's files with one of them as it would be; `hidden` ones are not there."""

    def __init__(
        self, files: Mapping[str, str], path: str, text: str, hidden: tuple[str, ...] = ()
    ) -> None:
        self._files = files
        self._path = path
        self._text = text
        self._hidden = hidden

    def __getitem__(self, path: str) -> str:
        if path == self._path:
            return self._text
        if path in self._hidden:
            raise KeyError(path)
        return self._files[path]

    def __contains__(self, path: object) -> bool:
        return path == self._path or (path not in self._hidden and path in self._files)

    def __iter__(self) -> Iterator[str]:
        yield from (one for one in self._files if one != self._path and one not in self._hidden)
        yield self._path

    def __len__(self) -> int:
        return sum(1 for _ in self)
