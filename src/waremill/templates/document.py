"""YAML text as nodes that know their line, and the problems found on the way.

A bad file ends in problems with file and line, never in an exception of the YAML library. Tags are
refused, anchors are expanded up to a limit, duplicate keys are errors, and only `true` and `false`
are booleans (so that the market `NO` stays text). This module knows nothing of templates.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from waremill.errors import TemplateError, Where

LONGEST_FILE = 512 * 1024
"""Characters of one YAML file; hand-written templates have a few thousand."""
_MOST_NODES = 20_000
_DEEPEST = 24
_KINDS = {bool: "true or false", str: "text", int: "a number", float: "a number",
          list: "a list", dict: "a mapping"}  # fmt: skip
_INTEGER = re.compile(r"[-+]?(?:0|[1-9]\d{0,17})")
_FLOAT = re.compile(r"[-+]?\d{1,17}\.\d{0,17}(?:[eE][-+]?\d{1,3})?")
_NULLS = ("", "~", "null", "Null", "NULL")
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False,
             "FALSE": False}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong (`error`), suspicious (`warning`) or could be better (`hint`), and where."""

    severity: Literal["error", "warning", "hint"]
    message: str
    where: Where

    def __str__(self) -> str:
        place = str(self.where)
        return f"{place}: {self.severity}: {self.message}" if place else self.message


@dataclass(slots=True)
class Problems:
    """Collects the problems of one file; `found` is in the order of discovery."""

    file: str
    found: list[Problem] = field(default_factory=list)

    def error(self, message: str, line: int | None = None, file: str | None = None) -> None:
        """Note something that keeps the file from being used."""
        self.found.append(Problem("error", message, Where(file=file or self.file, line=line)))

    def warning(self, message: str, line: int | None = None, file: str | None = None) -> None:
        """Note something that is probably not meant."""
        self.found.append(Problem("warning", message, Where(file=file or self.file, line=line)))

    def hint(self, message: str, line: int | None = None) -> None:
        """Note something that could be better."""
        self.found.append(Problem("hint", message, Where(file=self.file, line=line)))

    def raise_first(self) -> None:
        """Raise the first error as a TemplateError, saying how many more there are."""
        errors = [problem for problem in self.found if problem.severity == "error"]
        if not errors:
            return
        rest = len(errors) - 1
        more = f" (and {rest} more problem{'s' if rest > 1 else ''})" if rest else ""
        raise TemplateError(errors[0].message + more, errors[0].where)


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Give `, did you mean `x`?` for the nearest known name; nothing where none is near."""
    folded = {option.casefold(): option for option in known}
    near = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.6)
    return f", did you mean `{folded[near[0]]}`?" if near else ""


def names_list(names: Collection[str], most: int = 12) -> str:
    """Write names as `a`, `b`, `c` …, at most so many."""
    shown = ", ".join(f"`{name}`" for name in list(names)[:most])
    return f"{shown} …" if len(names) > most else shown


@dataclass(frozen=True, slots=True)
class Node:
    """A YAML value with its place.

    `value` is None, bool, int, float, str, a list of nodes, or a dict of names to nodes. `line` is
    the line of the key (or of the value where there is none), `text_line` the line on which a
    text's own first line stands. Lines count from 1.
    """

    value: Any
    line: int
    text_line: int

    def plain(self) -> Any:
        """Give the value without marks."""
        if isinstance(self.value, dict):
            return {name: node.plain() for name, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def get(self, name: str) -> Node | None:
        """Give an inner node of a mapping; None where it is absent or null."""
        node: Node | None = self.value.get(name) if isinstance(self.value, dict) else None
        return None if node is None or node.value is None else node

    def items(self) -> Iterator[tuple[str, Node]]:
        """Go over a mapping's names and nodes; over nothing for other values."""
        if isinstance(self.value, dict):
            yield from self.value.items()

    @property
    def kind(self) -> str:
        """What the value is, in words."""
        return _KINDS.get(type(self.value), "nothing")


class _Stop(Exception):
    """The file cannot be read on."""


def read_document(text: str, problems: Problems) -> Node | None:
    """Read one YAML document; note problems and give None where it cannot be read at all."""
    if len(text) > LONGEST_FILE:
        problems.error(f"the file is longer than {LONGEST_FILE // 1024} KB")
        return None
    try:
        tree = yaml.compose(text.removeprefix("\ufeff"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = error.problem or error.context or "it cannot be read"
        line = mark.line + 1 if mark else None
        problems.error(f"this is not YAML: {reason}{_quote_hint(text, line)}", line)
        return None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problems.error("the file holds a control character; retype the line", line)
        return None
    except (yaml.YAMLError, RecursionError, ValueError):
        problems.error("this is not YAML: it is nested too deeply or broken")
        return None
    if tree is None:
        problems.error("the file is empty", 1)
        return None
    try:
        return _Converter(problems).convert(tree, 0, None)
    except _Stop:
        return None


def _quote_hint(text: str, line: int | None) -> str:
    """Say how to write a line that starts with Jinja's braces or holds a colon, a usual mistake."""
    lines = text.splitlines()
    source = lines[line - 1] if line and line <= len(lines) else ""
    if "{{" in source or "{%" in source or source.count(": ") > 1:
        return "; put the text in double quotes"
    return ""


class _Converter:
    """Turns composed YAML into nodes, counting them so that aliases cannot multiply."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.left = _MOST_NODES

    def convert(self, node: yaml.Node, depth: int, key_line: int | None) -> Node:
        line = node.start_mark.line + 1
        self.left -= 1
        if self.left < 0 or depth > _DEEPEST:
            self.problems.error(
                "the file is too large, or its anchors or nesting unfold without end", line
            )
            raise _Stop
        if not node.tag.startswith("tag:yaml.org,2002:") or "python" in node.tag:
            self.problems.error(f"YAML tags such as `{node.tag}` are not allowed", line)
            raise _Stop
        block = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
        value: Any
        if isinstance(node, yaml.ScalarNode):
            value = _scalar(node)
        elif isinstance(node, yaml.SequenceNode):
            value = [self.convert(part, depth + 1, None) for part in node.value]
        else:
            value = self._mapping(node, depth)
        return Node(value, key_line or line, line + 1 if block else line)

    def _mapping(self, node: yaml.Node, depth: int) -> dict[str, Node]:
        pairs: dict[str, Node] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self.problems.error("a key must be plain text; put {{ … }} in quotes", line)
                raise _Stop
            if key.value in pairs:
                self.problems.error(f"`{key.value}` stands here twice; keep one", line)
                continue
            pairs[key.value] = self.convert(value, depth + 1, line)
        return pairs


def _scalar(node: yaml.ScalarNode) -> Any:
    text = str(node.value)
    if node.style is not None:
        return text
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
