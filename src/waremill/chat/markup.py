"""A reply's Markdown where other programs will draw it: nothing in it hides where it leads.

A link of a model's reply can carry data to whoever its address names, and a picture does so without
a click. So in what leaves the house an address is text beside its words, a picture is its words and
its address, and HTML is text. The console draws replies by itself and by the same rule.

Viewers differ in what they take for code, so nothing is spared for standing in backticks, save for
whole fenced blocks; a fence is one only at the very beginning of a line, where all agree.
"""

from __future__ import annotations

import re

_CODE = re.compile(r"((?<![\\`])`[^`\n]+`(?!`))")
# Every part is bounded: what is not comes to the cube of a text's length.
_WORDS = r"[^\]\n]{0,500}"
_TARGET = r"\(\s{0,8}<?([^)\s>\[\]]{0,2000})>?(?:\s[^)\n]{0,500})?\)"
_PICTURE = re.compile(rf"!\[({_WORDS})\](?:{_TARGET}|\[({_WORDS})\])")
_LINK = re.compile(rf"(?<!!)\[({_WORDS})\]{_TARGET}")
_NAMED = re.compile(rf"^( {{0,3}})\[({_WORDS})\]:[ \t]*(\S+).*$", re.MULTILINE)
_ADDRESS = re.compile(
    r"<((?:https?|ftp|mailto|data|javascript|file):[^<>\s]{0,2000})>", re.IGNORECASE
)
_LEADS = re.compile(r"\](?=[(:])")
"""What a link, a picture or a name for one cannot do without."""
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_RUN = re.compile(r"`{3,}|~{3,}")
_OPENS = re.compile(r"(`{3,})[^`]*|(~{3,}).*")
_CLOSES = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def announced(text: str) -> str:
    """Write a reply as Markdown whose addresses are all seen before anything goes to them."""
    said: list[str] = []
    plain: list[str] = []
    fence = ""
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if fence:
            said.append(line)
            closes = _CLOSES.fullmatch(line)
            if closes is not None and closes[1].startswith(fence):
                fence = ""
        elif (opens := _OPENS.fullmatch(line)) is not None:
            said += [_announced("\n".join(plain)), line] if plain else [line]
            plain = []
            fence = opens[1] or opens[2]
        else:
            plain.append(line)
    if plain:
        said.append(_announced("\n".join(plain)))
    if fence:  # whatever follows is no part of it
        said.append(fence)
    return "\n".join(said)


def announced_line(text: str) -> str:
    """Write a text for the middle of a line, as `announced` does: no block begins there."""
    return _announced(" ".join(text.split()))


def printable(text: str) -> str:
    """Take out what would steer a terminal or turn a line's direction; tabs and lines stay."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


def _announced(text: str) -> str:
    parts = _CODE.split(text)
    parts[::2] = [_written_out(part) for part in parts[::2]]
    # What is left of the kind is written otherwise than usual, or hides in what looks like code.
    text = _LEADS.sub(r"]\\", "".join(parts))
    text = _RUN.sub(lambda m: "".join(f"\\{sign}" for sign in m[0]), text)
    return _TAG.sub("&lt;", text)


def _written_out(text: str) -> str:
    text = _PICTURE.sub(lambda m: _beside(m[1] or "picture", m[2] or m[3] or ""), text)
    text = _LINK.sub(lambda m: _beside(m[1], m[2]), text)
    text = _NAMED.sub(lambda m: f"{m[1]}{m[2]}: {_code(m[3])}", text)
    # An address that stands alone is seen as it is; a viewer may still make it a link.
    return _ADDRESS.sub(lambda m: _code(m[1]), text)


def _beside(words: str, address: str) -> str:
    return f"{words} ({_code(address)})" if address else words


def _code(address: str) -> str:
    return f"`{address.replace('`', '%60')}`"


__all__ = ["announced", "announced_line", "printable"]
