"""YAML and CSV text as sections that know their file and line.

The other modules of this room read their files through here, so that every mistake is reported the
same way: one sentence, the file, the line, and a suggestion where a name is nearly right. Nothing
here knows what a schema or a channel is, and nothing opens a file.
"""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn, TypeVar

import yaml

from waremill.errors import ConfigError, Where

T = TypeVar("T")

_DEEPEST = 32
"""Levels of nesting read before a file is refused; category trees in use have fewer than ten."""
_LONGEST_NAME = 1000
"""Characters of a column's name."""


def suggestion(name: str, known: Collection[str]) -> str:
    """Give “, did you mean …?” for the nearest known name, else the list of known names."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    if near:
        return f", did you mean “{near[0]}”?"
    return f"; known are {', '.join(sorted(known))}" if known else ""


def paths(files: Mapping[str, str], folder: str, endings: tuple[str, ...]) -> list[str]:
    """List the workspace's files in a folder that end as given, in order."""
    return sorted(p for p in files if p.startswith(f"{folder}/") and p.lower().endswith(endings))


@dataclass(frozen=True)
class Section:
    """One YAML mapping: `node` is the parsed mapping, `file` where it stands.

    Every reader raises ConfigError with the line of the key where the value has another type.
    """

    file: str
    node: yaml.MappingNode
    depth: int = 0

    @property
    def line(self) -> int:
        """The line the mapping starts on, from 1."""
        return int(self.node.start_mark.line) + 1

    @cached_property
    def _pairs(self) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in self.node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.fail("a key must be plain text", key)
            if key.value in found:
                self.fail(f"“{key.value}” stands here twice; keep one of them", key)
            found[str(key.value)] = (key, value)
        return found

    def names(self) -> tuple[str, ...]:
        """The keys in the order they were written."""
        return tuple(self._pairs)

    def fail(self, message: str, at: yaml.Node | str | None = None) -> NoReturn:
        """Raise ConfigError at a node, at a key, or at the section itself."""
        node: yaml.Node = self.node
        if isinstance(at, str):
            node = self._pairs[at][0] if at in self._pairs else self.node
        elif at is not None:
            node = at
        raise ConfigError(message, Where(file=self.file, line=node.start_mark.line + 1))

    def allow(self, known: Collection[str], what: str) -> None:
        """Refuse keys that are not known."""
        for key in self._pairs:
            if key not in known:
                self.fail(f"{what} has no setting “{key}”{suggestion(key, known)}", key)

    def _value(self, key: str) -> yaml.Node | None:
        pair = self._pairs.get(key)
        if pair is None or pair[1].tag == "tag:yaml.org,2002:null":
            return None
        return pair[1]

    def _scalar(self, key: str, wanted: str) -> yaml.ScalarNode | None:
        node = self._value(key)
        if node is None:
            return None
        if not isinstance(node, yaml.ScalarNode):
            self.fail(f"“{key}” must be {wanted}", node)
        return node

    def text(self, key: str, default: T) -> str | T:
        """Read a text; numbers and dates are taken as they were written."""
        node = self._scalar(key, "text")
        return default if node is None else str(node.value).strip()

    def raw(self, key: str) -> str | None:
        """Read a text with the blanks around it, which a separator may consist of."""
        node = self._scalar(key, "text")
        return None if node is None else str(node.value)

    def line_of(self, key: str) -> int:
        """Give the line a key stands on, from 1."""
        return int(self._pairs[key][0].start_mark.line) + 1

    def holds_mapping(self, key: str) -> bool:
        """Say whether a key's value is a mapping."""
        return isinstance(self._value(key), yaml.MappingNode)

    def flag(self, key: str, default: bool = False) -> bool:
        """Read a yes or no."""
        node = self._scalar(key, "true or false")
        if node is None:
            return default
        value = str(node.value).lower()
        if value not in ("true", "false", "yes", "no"):
            self.fail(f"“{key}” must be true or false, not “{node.value}”", node)
        return value in ("true", "yes")

    def whole(self, key: str, least: int = 0) -> int | None:
        """Read a whole number that is at least `least`."""
        node = self._scalar(key, "a whole number")
        if node is None:
            return None
        text = str(node.value).replace("_", "")
        if not text.isdecimal() or int(text) < least:
            self.fail(f"“{key}” must be a whole number from {least}, not “{node.value}”", node)
        return int(text)

    def share(self, key: str) -> float | None:
        """Read a share between 0 and 1; `40%` is 0.4."""
        node = self._scalar(key, "a share between 0 and 1")
        if node is None:
            return None
        text = str(node.value).strip()
        try:
            value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            self.fail(f"“{key}” must be a share between 0 and 1, not “{text}”", node)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Read a list of texts; a single text counts as a list of one."""
        node = self._value(key)
        if node is None:
            return ()
        if isinstance(node, yaml.ScalarNode):
            return (str(node.value).strip(),)
        if not isinstance(node, yaml.SequenceNode):
            self.fail(f"“{key}” must be a list of texts", node)
        for part in node.value:
            if not isinstance(part, yaml.ScalarNode) or not str(part.value).strip():
                self.fail(f"“{key}” must hold texts only", part)
        return tuple(str(part.value).strip() for part in node.value)

    def mapping(self, key: str) -> dict[str, str]:
        """Read a mapping of texts, such as labels by language."""
        part = self.section(key)
        return {} if part is None else {name: part.text(name, "") for name in part.names()}

    def _inner(self, node: yaml.Node, message: str) -> Section:
        if not isinstance(node, yaml.MappingNode):
            self.fail(message, node)
        if self.depth >= _DEEPEST:
            self.fail(f"more than {_DEEPEST} levels stand inside each other", node)
        return Section(self.file, node, self.depth + 1)

    def section(self, key: str) -> Section | None:
        """Read an inner mapping."""
        node = self._value(key)
        if node is None:
            return None
        return self._inner(node, f"“{key}” must be a mapping (name: value)")

    def parts(self, key: str) -> Iterator[Section | str]:
        """Read a list whose entries are texts or mappings."""
        node = self._value(key)
        if node is None:
            return
        if not isinstance(node, yaml.SequenceNode):
            self.fail(f"“{key}” must be a list", node)
        for part in node.value:
            if isinstance(part, yaml.ScalarNode):
                yield str(part.value).strip()
            else:
                yield self._inner(part, f"“{key}” must hold texts or mappings")


def read_yaml(files: Mapping[str, str], path: str) -> Section:
    """Parse a workspace's YAML file whose top is a mapping; raise ConfigError with the line."""
    try:
        node: Any = yaml.compose(files[path], Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        problem = error.problem or "it cannot be read"
        raise ConfigError(f"this is not YAML: {problem}", Where(file=path, line=line)) from None
    except (yaml.YAMLError, RecursionError):
        message = "this is not YAML: it holds characters or nesting YAML does not allow"
        raise ConfigError(message, Where(file=path)) from None
    if node is None:
        raise ConfigError("this file is empty", Where(file=path, line=1))
    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1
        raise ConfigError("the file must be a mapping (name: value)", Where(file=path, line=line))
    return Section(path, node)


def read_csv(files: Mapping[str, str], path: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, row) of a CSV file with a header line; names and cells are stripped.

    Lines that are blank or start with `#` are skipped. Comma, semicolon or tab, whichever the
    header holds most of. Raises ConfigError for rows that are longer than the header.
    """
    text = files[path].lstrip("\ufeff")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(_header(text)[1]))
    names: list[str] = []
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise _not_csv(error, path, reader.line_num) from None
        if cells is None:
            return
        cells = [cell.strip() for cell in cells]
        if not any(cells) or cells[0].startswith("#"):
            continue
        if not names:
            names = cells
            continue
        if any(cells[len(names) :]):
            message = (
                f"this row has {len(cells)} cells and the header {len(names)}; "
                "put quotes around a text with commas"
            )
            raise ConfigError(message, Where(file=path, line=reader.line_num))
        yield reader.line_num, dict(zip(names, cells, strict=False))


def csv_header(files: Mapping[str, str], path: str) -> list[str]:
    """Give the column names of a CSV file as `read_csv` names them; raise ConfigError likewise."""
    line, header = _header(files[path].lstrip("\ufeff"))
    try:
        cells = next(csv.reader([header], delimiter=_delimiter(header)), [])
    except csv.Error as error:
        raise _not_csv(error, path, line) from None
    if any(len(cell) > _LONGEST_NAME for cell in cells):  # the csv module's limit may be lifted
        raise _not_csv(f"a column's name has more than {_LONGEST_NAME} characters", path, line)
    return [cell.strip() for cell in cells]


def _not_csv(error: csv.Error | str, path: str, line: int) -> ConfigError:
    return ConfigError(f"this line is not CSV: {error}", Where(file=path, line=line))


def _header(text: str) -> tuple[int, str]:
    """Give the header's line, counted from 1, and its text."""
    lines = enumerate(text.splitlines(), 1)
    return next(((n, line) for n, line in lines if line.strip() and line[0] != "#"), (1, ""))


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)
