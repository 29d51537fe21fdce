"""What changed between two texts, word by word, for people to see.

Pure; it compares, and must not judge which text is better.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any, Literal

import orjson

from waremill.rules.matching import UNSPACED

Operation = Literal["same", "added", "removed"]
_TOKEN = re.compile(f"[{UNSPACED}]|\\s+|[^\\W_]+|.", re.DOTALL)
_UNSPACED = re.compile(f"([{UNSPACED}])")
_LONGEST = 20_000
"""Tokens in both texts together beyond which only the ends that are the same are looked for."""


def tokens(text: str) -> list[str]:
    """Cut a text into words, spaces, marks and, in scripts without spaces, characters."""
    found: list[str] = []
    for piece in _TOKEN.findall(text):
        found += [piece] if piece.isascii() else filter(None, _UNSPACED.split(piece))
    return found


def shown(value: Any) -> str:
    """Write a value as the text that is compared: a list's entries a line each."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "\n".join(map(shown, value))
    if isinstance(value, dict):
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    return str(value)


def difference(before: Any, after: Any) -> list[tuple[Operation, str]]:
    """Give the pieces of both values in order: what stayed, what was removed, what was added.

    Joining the same and added pieces gives the new text, the same and removed ones the old.
    """
    old, new = tokens(shown(before)), tokens(shown(after))
    found: list[tuple[Operation, str]] = []
    for kind, a, b, c, d in _steps(old, new):
        if kind == "equal":
            _add(found, "same", old[a:b])
        else:
            _add(found, "removed", old[a:b])
            _add(found, "added", new[c:d])
    return found


def _steps(old: list[str], new: list[str]) -> Sequence[tuple[str, int, int, int, int]]:
    if len(old) + len(new) <= _LONGEST:
        return SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    most = min(len(old), len(new))
    head = next((i for i in range(most) if old[i] != new[i]), most)
    tail = next((i for i in range(most - head) if old[-1 - i] != new[-1 - i]), most - head)
    end_old, end_new = len(old) - tail, len(new) - tail
    return [
        ("equal", 0, head, 0, head),
        ("replace", head, end_old, head, end_new),
        ("equal", end_old, len(old), end_new, len(new)),
    ]


def _add(found: list[tuple[Operation, str]], kind: Operation, pieces: list[str]) -> None:
    text = "".join(pieces)
    if not text:
        return
    if found and found[-1][0] == kind:
        found[-1] = (kind, found[-1][1] + text)
    else:
        found.append((kind, text))
