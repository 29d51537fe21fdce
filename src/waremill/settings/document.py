"""A parsed `waremill.toml` that knows on which line each name stands.

Reads that one file; judges names and values by the table of settings.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from waremill.errors import ConfigError, Where
from waremill.settings.names import suggestion
from waremill.settings.table import SETTINGS, Setting
from waremill.settings.workspace import FILE_NAME, read_text


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed `waremill.toml` that knows on which line each name stands."""

    root: Path
    data: Mapping[str, Any]
    lines: Mapping[tuple[str, ...], int]

    @staticmethod
    def read(root: Path) -> Document:
        """Parse the workspace's file; raise ConfigError, with the line, where it is not TOML."""
        text = read_text(root / FILE_NAME, FILE_NAME)
        try:
            return Document(root, tomllib.loads(text), _line_numbers(text))
        except RecursionError:
            reason, line = "it is nested too deeply", None
        except ValueError as problem:
            reason, _, place = str(problem).partition(" (at ")
            found = re.search(r"line (\d+)", place)
            line = int(found[1]) if found else max(1, len(text.splitlines()))
        raise ConfigError(f"this is not valid TOML: {reason}", Where(FILE_NAME, line=line))

    def where(self, path: tuple[str, ...]) -> Where:
        """Give the place of a setting, or of the nearest table around it."""
        lines = (self.lines.get(path[:size]) for size in range(len(path), 0, -1))
        return Where(FILE_NAME, line=next(filter(None, lines), None))

    def fail(self, path: tuple[str, ...], message: str) -> NoReturn:
        """Raise the ConfigError for a setting."""
        raise ConfigError(message, self.where(path))

    def table(self, *path: str) -> Mapping[str, Any]:
        """Give a table, empty where absent."""
        value: Any = self.data
        for part in path:
            value = value.get(part, {})
        if not isinstance(value, dict):
            self.fail(path, f"“{'.'.join(path)}” must be a table, written [{'.'.join(path)}]")
        return value

    def values(self, *path: str, pattern: tuple[str, ...] | None = None) -> dict[str, Any]:
        """Read and check one table's settings; `pattern` is its path in `SETTINGS`."""
        prefix = "".join(f"{part}." for part in (path if pattern is None else pattern))
        inner = [name.removeprefix(prefix) for name in SETTINGS if name.startswith(prefix)]
        known = list(dict.fromkeys(name.partition(".")[0] for name in inner))
        found: dict[str, Any] = {}
        for name, raw in self.table(*path).items():
            place = (*path, name)
            if name not in known:
                self.fail(place, f"there is no setting “{'.'.join(place)}”{_hint(name, known)}")
            if setting := SETTINGS.get(prefix + name):
                found[name] = self._checked(place, setting, raw)
        return found

    def named(self, table: str, setting: Setting) -> dict[str, Any]:
        """Read a table whose names the user picks and whose values are all of one kind."""
        return {
            name: self._checked((table, name), setting, raw)
            for name, raw in self.table(table).items()
        }

    def _checked(self, place: tuple[str, ...], setting: Setting, raw: Any) -> Any:
        try:
            return setting.read(raw)
        except ValueError as problem:
            self.fail(place, f"“{'.'.join(place)}” {problem}")


def _hint(name: str, known: Iterable[str]) -> str:
    if re.fullmatch(r"(api_?)?(key|token|secret)s?", name, re.IGNORECASE):
        return "; a key stays out of files: put it in the environment and name it in api_key_env"
    return suggestion(name, known)


def _line_numbers(text: str) -> dict[tuple[str, ...], int]:
    """Find the line of every table header and key; `tomllib` keeps none."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+([^\[\]]+)\]", line)
        key = re.match(r"\s*((?:[\w.-]|\"[^\"]*\"|'[^']*'|\s)+?)\s*=", line)
        if header:
            path = table = _key_path(header[1])
        elif key:
            path = (*table, *_key_path(key[1]))
        else:
            continue
        for size in range(1, len(path) + 1):
            lines.setdefault(path[:size], number)
    return lines


def _key_path(written: str) -> tuple[str, ...]:
    try:
        value: Any = tomllib.loads(f"{written} = 0")
    except tomllib.TOMLDecodeError:
        return ()  # a line inside a multi-line text that only looks like a key
    path: list[str] = []
    while isinstance(value, dict):
        name, value = next(iter(value.items()))
        path.append(name)
    return tuple(path)
