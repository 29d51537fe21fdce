"""An embedder of a few lines for tests: words hashed into a vector, equal for equal words."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy

from waremill.knowledge.words import terms


class Bag:
    """Vectors of unit length that lie near each other where texts share words."""

    def __init__(self, dimensions: int = 64, name: str = "bag 1") -> None:
        self.identity = name
        self.dimensions = dimensions
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str], _purpose: str) -> Any:
        """Give a row a text."""
        self.asked += texts
        found = numpy.zeros((len(texts), self.dimensions), dtype=numpy.float32)
        for place, text in enumerate(texts):
            for word in terms(text):
                digest = blake2b(word.encode(), digest_size=4).digest()
                found[place, int.from_bytes(digest) % self.dimensions] += 1.0
            found[place, 0] += 0.001  # a text without words has a direction too
        return found / numpy.linalg.norm(found, axis=1, keepdims=True)

    async def aclose(self) -> None:
        """Hold nothing."""
