"""A workspace on disk: where it is, its `.env`, and its plain files as a lazy mapping.

Reads only, and only inside the workspace: no path, link or `..` leads out of it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from waremill.errors import ConfigError, Where

FILE_NAME = "waremill.toml"
FOLDERS = (
    *("templates", "pipelines", "examples", "schemas", "channels", "presets", "forbidden", "gold"),
    "workflows", "questions", "publish",
)  # fmt: skip
FILES = ("glossary.csv",)
LARGEST_FILE = 16 * 1024 * 1024
"""Most bytes a workspace file may have: what people write by hand is far smaller."""


def find_workspace(folder: Path) -> Path:
    """Give the nearest folder, from this one upward, that holds a `waremill.toml`.

    Raises ConfigError where there is none.
    """
    if not folder.is_dir():
        raise ConfigError("there is no such folder", Where(file=str(folder)))
    start = folder.resolve()
    for candidate in (start, *start.parents):
        if (candidate / FILE_NAME).is_file():
            return candidate
    raise ConfigError(
        f"there is no {FILE_NAME} in this folder or above it; "
        "`waremill init` makes a workspace, `-C DIR` names one",
        Where(file=str(folder)),
    )


def read_environment_file(path: Path) -> dict[str, str]:
    """Read a `.env` file: KEY=VALUE lines, quotes, comments, `export`; empty where absent.

    Raises ConfigError with the line, never with its text.
    """
    if not path.is_file():
        return {}
    found: dict[str, str] = {}
    for number, line in enumerate(read_text(path, path.name).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = re.fullmatch(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(.*?)\s*", line)
        value = None if match is None else _unquoted(match[2])
        if match is None or value is None:
            raise ConfigError(
                "this line must be NAME=VALUE, with quotes closed on the same line",
                Where(file=path.name, line=number),
            )
        found[match[1]] = value
    return found


def _unquoted(written: str) -> str | None:
    """Take quotes and a trailing comment off a value; None where a quote stays open."""
    if not written.startswith(('"', "'")):
        return re.split(r"(?:^|\s)#", written, maxsplit=1)[0].rstrip()
    quote = written[0]
    inner = r"(?:[^\"\\]|\\.)*" if quote == '"' else r"[^']*"
    match = re.fullmatch(rf"{quote}({inner}){quote}\s*(?:#.*)?", written)
    if match is None:
        return None
    if quote == "'":
        return match[1]
    escapes = {"n": "\n", "t": "\t", "r": "\r"}
    return re.sub(r"\\(.)", lambda m: escapes.get(m[1], m[1]), match[1])


def workspace_files(root: Path) -> Mapping[str, str]:
    """Give the workspace's plain files, POSIX path to text, read when they are asked for.

    UTF-8 with or without a byte order mark. A file that is too large, not UTF-8, or reached
    through a link out of the workspace raises ConfigError when it is read.
    """
    return _Files(root)


class _Files(Mapping[str, str]):
    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def __repr__(self) -> str:
        return f"workspace_files({str(self._root)!r})"

    def __getitem__(self, key: str) -> str:
        path = self._path(key)
        if path is None:
            raise KeyError(key)
        if not path.resolve().is_relative_to(self._root):
            raise ConfigError("this link leads out of the workspace", Where(file=key))
        return read_text(path, key)

    def __contains__(self, key: object) -> bool:
        return self._path(key) is not None

    def __iter__(self) -> Iterator[str]:
        for folder in FOLDERS:
            yield from self._walk(self._root / folder)
        yield from (name for name in FILES if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _path(self, key: object) -> Path | None:
        """Give the file a key names; None for a key that is no plain path inside the workspace."""
        if not isinstance(key, str) or "\\" in key or "\0" in key:
            return None
        parts = PurePosixPath(key).parts
        inside = key in FILES or (len(parts) > 1 and parts[0] in FOLDERS)
        plain = all(not part.startswith(".") for part in parts) and "/".join(parts) == key
        path = self._root / key
        return path if inside and plain and path.is_file() else None

    def _walk(self, folder: Path) -> Iterator[str]:
        # Links to folders are not followed: they may lead out, or round in a circle.
        if not folder.resolve().is_relative_to(self._root):
            return
        for place, folders, names in os.walk(folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                key = (Path(place) / name).relative_to(self._root).as_posix()
                if key in self:
                    yield key


def read_text(path: Path, name: str) -> str:
    """Read a text file of bounded size; errors name it as the workspace does."""
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigError("this is not a plain file", Where(file=name))
            content = file.read(LARGEST_FILE + 1)
    except OSError as problem:
        raise ConfigError(f"cannot be read: {problem.strerror}", Where(file=name)) from None
    if len(content) > LARGEST_FILE:
        largest = f"{LARGEST_FILE // 1024**2} MB"
        raise ConfigError(f"the file is larger than {largest}", Where(file=name))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise ConfigError("the file is not UTF-8 text", Where(file=name, line=line)) from None
