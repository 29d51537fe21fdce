"""What a search should not find twice, or at all: boilerplate of web pages, repeated pieces.

Boilerplate is a block that stands on most pages of a site. Two pieces repeat each other where they
say the same whatever their case and spaces, or nearly the same: equal numbers, and a Jaccard
similarity of their shingles of at least NEAR. Likely pairs are found by sketches: each hashes six
MinHash values of the shingles (Broder 1997, “On the resemblance and containment of documents”, its
super-shingles), so that two pieces of similarity s share one of three with probability
1 − (1 − s⁶)³: 0.98 at s = 0.95, 0.90 at 0.9, 0.19 at 0.64.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from hashlib import blake2b
from typing import Any

from waremill.knowledge.document import Document
from waremill.rules.matching import UNSPACED, fold

NEAR = 0.9
"""Two pieces at least this similar repeat each other."""
LEAST_PAGES = 4
"""Pages of a site a block stands on, at least, to be boilerplate; and on more than half of them."""
_SKETCHES = 3
_VALUES = 6
_SEED = 20_261_130
_SHINGLE = 3
_LEAST_SHINGLES = 12
"""Of fewer shingles one changed word makes another text."""
_TOKEN = re.compile(f"[{UNSPACED}]|[^\\W_]+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def block_key(text: str) -> bytes:
    """Hash a block whatever its case and spaces: 8 bytes.

    Numbers count: pages of many products differ in nothing else.
    """
    plain = " ".join(text.casefold().split())
    return blake2b(plain.encode("utf-8", "replace"), digest_size=8).digest()


def count_blocks(documents: Iterable[Document]) -> tuple[Counter[bytes], int]:
    """Count on how many documents each block stands, and the documents."""
    counts: Counter[bytes] = Counter()
    total = 0
    for document in documents:
        total += 1
        counts.update({block_key(section.text) for section in document.sections})
    return counts, total


def without_boilerplate(document: Document, counts: Mapping[bytes, int], total: int) -> Document:
    """Take out what stands on more than half of a site's pages, on four at least.

    A page of which nothing would be left stays as it is.
    """
    least = max(LEAST_PAGES, total // 2 + 1)
    kept = tuple(
        section for section in document.sections if counts.get(block_key(section.text), 0) < least
    )
    return replace(document, sections=kept) if kept else document


def alike(text: str, told: bytes) -> bytes:
    """Hash what a piece says, whatever its case and spaces; `told` is for whom: 16 bytes."""
    words = " ".join(fold(text).split())
    return blake2b(words.encode("utf-8", "replace") + b"\0" + told, digest_size=16).digest()


def sketches(text: str, told: bytes) -> tuple[int, ...]:
    """Give three signed 64-bit keys, of which pieces that nearly repeat each other share one.

    None for a short text. Texts with other numbers, or told of others, share none.
    """
    pieces = _shingles(text)
    if len(pieces) < _LEAST_SHINGLES:
        return ()
    minhash = _minhash()(_SKETCHES * _VALUES, _SEED)
    minhash.update(list(pieces))
    values = minhash.digest()
    apart = "\0".join(sorted(_NUMBER.findall(text))).encode() + b"\1" + told
    keys = []
    for number in range(_SKETCHES):
        some = values[number * _VALUES : (number + 1) * _VALUES]
        body = b"".join(int(one).to_bytes(4, "little") for one in some)
        digest = blake2b(bytes([number]) + body + apart, digest_size=8).digest()
        keys.append(int.from_bytes(digest, "little", signed=True))
    return tuple(keys)


def near(one: str, other: str) -> bool:
    """Say whether two texts nearly repeat each other."""
    if Counter(_NUMBER.findall(one)) != Counter(_NUMBER.findall(other)):
        return False
    left, right = _shingles(one), _shingles(other)
    both = len(left & right)
    return both >= NEAR * (len(left) + len(right) - both)


def _shingles(text: str) -> set[str]:
    tokens: Sequence[str] = _TOKEN.findall(fold(text))
    if len(tokens) <= _SHINGLE:
        return {" ".join(tokens)} if tokens else set()
    return {" ".join(tokens[i : i + _SHINGLE]) for i in range(len(tokens) - _SHINGLE + 1)}


@cache
def _minhash() -> Any:
    from rensa import CMinHash

    return CMinHash
