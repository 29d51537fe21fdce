"""What a docstring says of a function and of its parameters.

Reads the three usual styles: Google (`Args:`), NumPy (`Parameters` underlined) and reST
(`:param name:`). Must not import or run what it reads about.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field

_GOOGLE = re.compile(
    r"(Args|Arguments|Parameters|Params|Keyword Args|Keyword Arguments|Returns?|Yields?|Raises|"
    r"Attributes|Examples?|Notes?|References|See Also|Warnings?|Todo):\s*$"
)
_UNDERLINE = re.compile(r"-{3,}\s*$")
_REST = re.compile(
    r":(param|parameter|arg|argument|key|keyword|returns?|rtype|type|raises?|yields?)\b([^:]*):(.*)"
)
_PARAMETERS = frozenset(
    {"args", "arguments", "parameters", "params", "keyword args", "keyword arguments",
     "other parameters"}
)  # fmt: skip
_NAMES = frozenset({"param", "parameter", "arg", "argument", "key", "keyword"})
_ENTRY = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
_NUMPY_ENTRY = re.compile(r"(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?$")


@dataclass(frozen=True, slots=True)
class Described:
    """A function in words, and each parameter that is told of."""

    text: str = ""
    parameters: dict[str, str] = field(default_factory=dict)


def read_docstring(docstring: str | None) -> Described:
    """Read a docstring; what it does not tell of a parameter is left out."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    text: list[str] = []
    parameters: dict[str, str] = {}
    place = 0
    while place < len(lines):
        line = lines[place]
        if (found := _REST.match(line)) is not None:
            place = _rest(lines, place, found, parameters)
        elif (title := _title(lines, place)) is not None:
            numpy = not line.rstrip().endswith(":")
            start = place + (2 if numpy else 1)
            place = _end(lines, start, numpy)
            if title in _PARAMETERS:
                read = _numpy if numpy else _google
                read(lines[start:place], parameters)
        else:
            text.append(line)
            place += 1
    return Described(_joined(text), parameters)


def _title(lines: list[str], place: int) -> str | None:
    """Give the title of the section that starts here, in small letters."""
    line = lines[place]
    if _GOOGLE.match(line):
        return line.strip().rstrip(":").lower()
    after = lines[place + 1] if place + 1 < len(lines) else ""
    if line.strip() and not line.startswith(" ") and _UNDERLINE.match(after):
        return line.strip().lower()
    return None


def _end(lines: list[str], start: int, numpy: bool) -> int:
    """Give the line after a section: the next title, or for Google's the next unindented text."""
    for place in range(start, len(lines)):
        if _title(lines, place) is not None or _REST.match(lines[place]):
            return place
        if not numpy and lines[place].strip() and not lines[place].startswith((" ", "\t")):
            return place
    return len(lines)


def _google(lines: list[str], found: dict[str, str]) -> None:
    depths = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    margin = min(depths, default=0)
    name = ""
    for line in lines:
        entry = _ENTRY.match(line[margin:])
        if entry is not None and not line[margin : margin + 1].isspace():
            name = entry[1]
            found[name] = entry[2].strip()
        elif name and line.strip():
            found[name] = f"{found[name]} {line.strip()}".strip()


def _numpy(lines: list[str], found: dict[str, str]) -> None:
    names: list[str] = []
    for line in lines:
        if line.strip() and not line.startswith((" ", "\t")):
            entry = _NUMPY_ENTRY.match(line.rstrip())
            names = re.findall(r"\w+", entry[1]) if entry is not None else []
        elif line.strip():
            for name in names:
                found[name] = f"{found.get(name, '')} {line.strip()}".strip()


def _rest(lines: list[str], place: int, found: re.Match[str], said: dict[str, str]) -> int:
    parts = [found[3].strip()]
    place += 1
    while place < len(lines) and lines[place].startswith((" ", "\t")) and lines[place].strip():
        parts.append(lines[place].strip())
        place += 1
    if found[1] in _NAMES and (words := found[2].split()):
        said[words[-1].lstrip("*")] = " ".join(part for part in parts if part)
    return place


def _joined(lines: list[str]) -> str:
    """Join a text's lines to paragraphs."""
    paragraphs = re.split(r"\n\s*\n", "\n".join(lines).strip())
    return "\n".join(" ".join(one.split()) for one in paragraphs if one.strip())
