"""The pure part of the run-level check `duplicate-pictures`: signatures, band keys, distance.

The store keeps each picture's signature and its band keys; two pictures that share a key are
candidates, and `distance` decides. Nothing here keeps state.

A signature is a pHash and a dHash of 64 bits each, and the mean colour of the four quarters, for
the hashes see none and a ball in pink is another product than one in grey (`images.hashing`).

Measured on 130 product photographs and cut-outs: all were found again as JPEG of quality 60, 97 %
at half the size, 86 % with 2 % cut off each side, 96 % made 8 % brighter. Of the 8,385 pairs of
different ones none was taken for the same but one, which is the same picture twice.
"""

from __future__ import annotations

import struct

from waremill.domain import Finding, Signature
from waremill.images import hashing
from waremill.images.picture import Picture

THRESHOLD = 6
"""Pictures whose hashes differ in at most this many of 64 bits are the same."""
ANOTHER_TINT = 8
"""A quarter whose mean Cb or Cr is further off than this, in steps of 255, is another colour."""

_HASHES = struct.Struct(">QQ")
_BANDS = 4
_BITS = 64


def signature(picture: Picture) -> bytes:
    """Give a picture's signature, 24 bytes: pHash, dHash, and Cb and Cr of the four quarters."""
    return _HASHES.pack(hashing.phash(picture), hashing.dhash(picture)) + hashing.tint(picture)


def bands(signature: bytes) -> tuple[int, ...]:
    """Give eight keys, four of each hash with their place in them, by which duplicates meet.

    Hashes that differ in up to three bits share a key for certain, in up to six nearly always.
    """
    parts = struct.unpack_from(f">{2 * _BANDS}H", signature)
    return tuple(place << 16 | part for place, part in enumerate(parts))


def signed(content: bytes) -> Signature:
    """Give what a picture with this signature is found again by."""
    return Signature(content, bands(content), _likeness, 1 - THRESHOLD / _BITS)


def _likeness(first: bytes, second: bytes) -> float:
    return 1 - distance(first, second) / _BITS


def distance(first: bytes, second: bytes) -> int:
    """Give how far two pictures are apart, in bits of 64: the larger of both hashes' distances.

    64 where the colours are others.
    """
    if max(abs(a - b) for a, b in zip(first[16:], second[16:], strict=True)) > ANOTHER_TINT:
        return 64
    pairs = zip(_HASHES.unpack_from(first), _HASHES.unpack_from(second), strict=True)
    return max(hashing.distance(a, b) for a, b in pairs)


def finding(field: str, other: str, likeness: float) -> Finding:
    """Make the finding for a picture that is another product's as well, `other` its key."""
    bits = round((1 - likeness) * _BITS)
    message = (
        f"the picture is that of product {other} too ({bits} of 64 bits differ); give it its own"
    )
    return Finding(field, "duplicate-pictures", "error", message, other)
