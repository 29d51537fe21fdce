"""Which attributes of the product a generated value stands on, by the words and numbers they share.

Pure, and a help for the eye only: it knows no meaning, translates nothing, and must not judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from waremill.rules.matching import UNSPACED, fold

_WORD = re.compile(f"\\d+(?:[.,]\\d+)*|[{UNSPACED}]+|[^\\W\\d_]+")
_UNSPACED = re.compile(f"[{UNSPACED}]")
_SHORTEST = 3
"""Shorter words in scripts with spaces say nothing: “of”, “de”, “ml”."""
_PAIR = 2
"""Characters in a row that count as a word in scripts without spaces."""
_SEEN_IN_MOST = 3
"""A word that more attributes than this have points at none of them."""
_LONGEST = 5_000


def words(value: Any) -> set[str]:
    """Give the words and numbers of a value that can tell where it comes from.

    Words are folded, three letters or longer; numbers lose thousands marks and leading zeros; text
    without spaces gives each two characters in a row.
    """
    found: set[str] = set()
    for text in _texts(value):
        for piece in _WORD.findall(fold(text[:_LONGEST])):
            if piece[0].isdecimal():
                found.add(_number(piece))
            elif _UNSPACED.match(piece):
                found.update(piece[i : i + _PAIR] for i in range(max(1, len(piece) - 1)))
            elif len(piece) >= _SHORTEST:
                found.add(piece)
    return found


def grounds(value: Any, source: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the names of the attributes whose words or numbers a value has, the most shared first.

    A word that many attributes have counts only where a value shares nothing better.
    """
    made = words(value)
    if not made:
        return ()
    shared = {name: found for name, one in source.items() if (found := words(one) & made)}
    seen: dict[str, int] = {}
    for found in shared.values():
        for word in found:
            seen[word] = seen.get(word, 0) + 1
    telling = {
        name: sum(seen[word] <= _SEEN_IN_MOST for word in found) for name, found in shared.items()
    }
    if not any(telling.values()):
        telling = {name: len(found) for name, found in shared.items()}
    order = sorted(telling.items(), key=lambda pair: -pair[1])
    return tuple(name for name, count in order if count)


def _number(text: str) -> str:
    """Write a number one way: `1,000` and `1000`, `1,5` and `1.5`, `050` and `50` are the same."""
    if re.fullmatch(r"\d{1,3}(?:[.,]\d{3})+", text):
        text = re.sub(r"[.,]", "", text)
    whole, _, rest = text.replace(",", ".").partition(".")
    rest = rest.rstrip("0")
    return (whole.lstrip("0") or "0") + (f".{rest}" if rest else "")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, (int, float)):
        yield f"{value:.12g}"
    elif isinstance(value, Mapping):
        yield from _all(value.values())
    elif isinstance(value, Iterable):
        yield from _all(value)


def _all(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        yield from _texts(value)
