"""The pure part of the run-level check `near-duplicates`: signatures, band keys, similarity.

Texts of different products that are nearly the same are found in two moves. The store keeps, for
each text, the keys of its bands; two texts that share a key are candidates; `similarity` of their
signatures decides. Nothing here keeps state.

A text becomes a set of shingles (three words; in scripts without spaces three characters), the set
a MinHash signature of 128 numbers (C-MinHash: Li and Li 2022, arXiv:2109.03337, through `rensa`),
and the share of equal numbers estimates the Jaccard similarity s with a standard error of
sqrt(s(1-s)/128), 0.035 at s = 0.8. The signature is cut into b = 16 bands of r = 8 numbers; two
texts share a band with probability 1-(1-s^r)^b (Leskovec, Rajaraman, Ullman, Mining of Massive
Datasets, section 3.4): 0.95 at s = 0.8, 0.9998 at 0.9, 0.24 at 0.6, 0.06 at 0.5. THRESHOLD is 0.8.
"""

from __future__ import annotations

import re
import struct
from functools import cache
from hashlib import blake2b
from typing import Any

from waremill.domain import Finding, Signature
from waremill.rules.matching import UNSPACED, fold

THRESHOLD = 0.8
"""Two texts at least this similar are near-duplicates."""

_NUMBERS = 128
_BANDS = 16
_BAND_BYTES = _NUMBERS * 4 // _BANDS
_SEED = 20_240_117
_SHINGLE = 3
_TOKEN = re.compile(f"[{UNSPACED}]|[^\\W_]+")


@cache
def _minhash() -> Any:
    from rensa import CMinHash

    return CMinHash


def shingles(text: str) -> list[str]:
    """Cut a text into its shingles: three tokens in a row, a token being a word or, in scripts
    without spaces, a character. A text with fewer tokens is one shingle, one without is none.
    """
    tokens = _TOKEN.findall(fold(text))
    if len(tokens) <= _SHINGLE:
        return [" ".join(tokens)] if tokens else []
    return [" ".join(tokens[i : i + _SHINGLE]) for i in range(len(tokens) - _SHINGLE + 1)]


def signature(text: str) -> bytes:
    """Give a text's MinHash signature: 128 little-endian 32-bit numbers; empty where no token is.

    The same text gives the same bytes on every machine.
    """
    pieces = shingles(text)
    if not pieces:
        return b""
    minhash = _minhash()(_NUMBERS, _SEED)
    minhash.update(pieces)
    return struct.pack(f"<{_NUMBERS}I", *minhash.digest())


def bands(signature: bytes) -> tuple[int, ...]:
    """Give the 16 band keys of a signature as signed 64-bit numbers; none for an empty one."""
    return tuple(
        int.from_bytes(
            blake2b(
                signature[i : i + _BAND_BYTES], digest_size=8, salt=struct.pack("<H", i)
            ).digest(),
            "little",
            signed=True,
        )
        for i in range(0, len(signature), _BAND_BYTES)
    )


def signed(text: str) -> Signature:
    """Give what a text is found again by."""
    content = signature(text)
    return Signature(content, bands(content), similarity, THRESHOLD)


def similarity(a: bytes, b: bytes) -> float:
    """Estimate the Jaccard similarity of two texts from their signatures, from 0 to 1."""
    if not a or not b:
        return 0.0
    first, second = memoryview(a).cast("I"), memoryview(b).cast("I")
    return sum(x == y for x, y in zip(first, second, strict=True)) / _NUMBERS


def finding(field: str, other: str, similar: float) -> Finding:
    """Make the finding for a field nearly the same as that of another product, `other` its key."""
    message = f"the text is {similar:.0%} the same as that of product {other}; make it its own"
    return Finding(field, "near-duplicates", "error", message, other)
