"""A reply's Markdown where other programs will draw it: nothing in it hides where it leads.

A link of a model's reply can carry data to whoever its address names, and a picture does so without
a click. So in what leaves the house an address is text beside its words, a picture is its words and
its address, and HTML is text. The console draws replies by itself and by the same rule.
"""

from __future__ import annotations

import re

_CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]*`)", re.DOTALL)
_TARGET = r"\(\s*<?([^)\s>]*)>?[^)\n]*\)"
_PICTURE = re.compile(rf"!\[([^\]\n]*)\](?:{_TARGET}|\[([^\]\n]*)\])")
_LINK = re.compile(rf"(?<!!)\[([^\]\n]+)\]{_TARGET}")
_NAMED = re.compile(r"^( {0,3})\[([^\]\n]+)\]:[ \t]*(\S+).*$", re.MULTILINE)
_ADDRESS = re.compile(r"<((?:https?|ftp|mailto|data|javascript|file):[^>\s]*)>", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def announced(text: str) -> str:
    """Write a reply as Markdown whose addresses are all seen before anything goes to them."""
    parts = _CODE.split(text)
    parts[::2] = [_announced(part) for part in parts[::2]]
    return "".join(parts)


def printable(text: str) -> str:
    """Take out what would steer a terminal or turn a line's direction; tabs and lines stay."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


def _announced(text: str) -> str:
    text = _PICTURE.sub(lambda m: _beside(m[1] or "picture", m[2] or m[3] or ""), text)
    text = _LINK.sub(lambda m: _beside(m[1], m[2]), text)
    text = _NAMED.sub(lambda m: f"{m[1]}{m[2]}: {_code(m[3])}", text)
    text = _ADDRESS.sub(lambda m: _code(m[1]), text)
    # An address that stands alone is seen as it is; a viewer may still make it a link.
    return text.replace("<", "&lt;")


def _beside(words: str, address: str) -> str:
    return f"{words} ({_code(address)})" if address else words


def _code(address: str) -> str:
    return f"`{address.replace('`', '%60')}`"


__all__ = ["announced", "printable"]
