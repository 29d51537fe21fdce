"""Finds the JSON object in a model's reply, however it is wrapped.

Exact JSON is read by orjson; only what that refuses goes through the forgiving reader, which knows
code fences, prose around the object, raw line ends in texts, a trailing comma, single quotes and
Python's `None`. It never completes a reply that was cut off. Time is bounded by the reply's length.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import orjson

from waremill.templates.fields import fold

_LONGEST = 200_000
_MOST_ATTEMPTS = 50
_DEEPEST = 40
_SPACE = re.compile(r"[\s\u00a0\ufeff]*")
_PLAIN = {'"': re.compile(r'[^"\\]*'), "'": re.compile(r"[^'\\]*")}
_AFTER_QUOTE = re.compile(r"\s*[,:}\]]")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,300})(?:\.\d{1,300})?(?:[eE][-+]?\d{1,3})?")
_WORD = re.compile(r"[A-Za-z]+")
_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HEX = re.compile("[0-9a-fA-F]{4}")


class NoObject(ValueError):
    """There is no readable object in the reply; `cut_off` says that it ends inside one."""

    def __init__(self, message: str, *, cut_off: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.cut_off = cut_off


def find_object(text: str, names: Collection[str]) -> dict[str, Any]:
    """Give the object of a reply that has the most of the wanted names; the last among equals.

    Raises NoObject with a plain sentence.
    """
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    if isinstance(found, str):  # JSON inside a JSON text
        text, found = found, None
    if isinstance(found, list):
        objects = [one for one in found if isinstance(one, dict)]
    else:
        objects = [found] if isinstance(found, dict) else _forgiving(text)
    best: dict[str, Any] | None = None
    for one in objects:
        aligned = align(one, names)
        if best is None or _hits(aligned, names) >= _hits(best, names):
            best = aligned
    if best is None:
        raise NoObject("the answer is not a JSON object")
    return best


def align(found: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Take an object out of a one-key wrapper and write its names as the contract does."""
    if all(name in found for name in names):
        return found
    inner = next(iter(found.values())) if len(found) == 1 else None
    if isinstance(inner, dict) and not _hits(found, names) and _hits(_renamed(inner, names), names):
        found = inner
    return _renamed(found, names)


def _renamed(found: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    wanted = {fold(name): name for name in names if name not in found}
    result: dict[str, Any] = {}
    for key, value in found.items():
        name = key if key in names else wanted.get(fold(key), key)
        result.setdefault(name, value)
    return result


def _hits(found: dict[str, Any], names: Collection[str]) -> int:
    return sum(name in found for name in names)


def _forgiving(text: str) -> list[dict[str, Any]]:
    if len(text) > _LONGEST:
        raise NoObject(f"the answer is longer than {_LONGEST} characters")
    objects: list[dict[str, Any]] = []
    position, attempts = text.find("{"), 0
    while position >= 0 and attempts < _MOST_ATTEMPTS:
        attempts += 1
        scanner = _Scanner(text, position)
        try:
            value = scanner.value(0)
        except NoObject as error:
            if error.cut_off:
                if not objects:
                    raise
                break
            position = text.find("{", position + 1)
            continue
        objects.append(value)
        position = text.find("{", scanner.position)
    return objects


class _Scanner:
    """A small recursive reader of almost-JSON."""

    def __init__(self, text: str, position: int) -> None:
        self.text = text
        self.position = position

    def peek(self) -> str:
        match = _SPACE.match(self.text, self.position)
        self.position = match.end() if match else self.position
        if self.position >= len(self.text):
            raise NoObject("the answer is cut off in the middle", cut_off=True)
        return self.text[self.position]

    def value(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise NoObject("the answer is nested too deeply")
        first = self.peek()
        if first == "{":
            return self.mapping(depth)
        if first == "[":
            return self.sequence(depth)
        if first in _PLAIN:
            return self.string(first)
        match = _NUMBER.match(self.text, self.position)
        if match:
            self.position = match.end()
            number = match.group()
            return int(number) if number.lstrip("-").isdecimal() else float(number)
        word = _WORD.match(self.text, self.position)
        if word and word.group() in _WORDS:
            self.position = word.end()
            return _WORDS[word.group()]
        if word and word.end() == len(self.text):
            raise NoObject("the answer is cut off in the middle", cut_off=True)
        raise NoObject("the answer is not a JSON object")

    def mapping(self, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        self.position += 1
        while True:
            first = self.peek()
            if first == "}":
                self.position += 1
                return result
            if first not in _PLAIN:
                raise NoObject("the answer is not a JSON object")
            key = self.string(first)
            if self.peek() != ":":
                raise NoObject("the answer is not a JSON object")
            self.position += 1
            result[key] = self.value(depth + 1)
            self.separator("}")

    def sequence(self, depth: int) -> list[Any]:
        result: list[Any] = []
        self.position += 1
        while True:
            if self.peek() == "]":
                self.position += 1
                return result
            result.append(self.value(depth + 1))
            self.separator("]")

    def separator(self, closing: str) -> None:
        """Step over one comma; the closing bracket stays for the caller."""
        after = self.peek()
        if after == ",":
            self.position += 1
        elif after != closing:
            raise NoObject("the answer is not a JSON object")

    def string(self, quote: str) -> str:
        pieces: list[str] = []
        self.position += 1
        while True:
            match = _PLAIN[quote].match(self.text, self.position)
            assert match is not None  # the pattern matches the empty text
            pieces.append(match.group())
            self.position = match.end()
            if self.position >= len(self.text):
                raise NoObject("the answer is cut off in the middle", cut_off=True)
            if self.text[self.position] == "\\":
                pieces.append(self.escape())
                continue
            self.position += 1
            # An apostrophe inside a single-quoted text is not its end.
            if quote == "'" and not _AFTER_QUOTE.match(self.text, self.position):
                pieces.append(quote)
                continue
            return "".join(pieces)

    def escape(self) -> str:
        letter = self.text[self.position + 1 : self.position + 2]
        self.position += 2
        if letter != "u":
            return _ESCAPES.get(letter, letter)
        match = _HEX.match(self.text, self.position)
        if match is None:
            return "u"
        self.position = match.end()
        code = int(match.group(), 16)
        if 0xD800 <= code < 0xDC00 and self.text.startswith("\\u", self.position):
            low = _HEX.match(self.text, self.position + 2)
            if low and 0xDC00 <= int(low.group(), 16) < 0xE000:
                self.position = low.end()
                code = 0x10000 + ((code - 0xD800) << 10) + (int(low.group(), 16) - 0xDC00)
        return "" if 0xD800 <= code < 0xE000 else chr(code)
