"""What turns texts into vectors: the protocol, and the models that run on this machine.

A local embedder is one file of `embedders/`. One behind a network is handed in by whoever may
reach it; this room never does.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from waremill.errors import ConfigError
from waremill.knowledge import embedders

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[numpy.float32]

Purpose: TypeAlias = Literal["query", "passage"]
"""What a text is embedded for: some models write a question and its answer in different ways."""

DEFAULT = "universal"
"""The local model used where the settings name none; docs/benchmarks.md says why this one."""
INSTALL = "knowledge needs the extra “knowledge”: pip install 'waremill[knowledge]'"


class Embedder(Protocol):
    """Gives texts their vectors; near vectors stand for texts that mean nearly the same."""

    @property
    def identity(self) -> str:
        """What makes vectors comparable: model, version and dimensions, or the endpoint's name."""

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> Vectors:
        """Give a float32 array of shape (texts, dimensions), each row of unit length.

        The event loop goes on meanwhile. Memory does not grow with the texts beyond the result.
        """

    async def aclose(self) -> None:
        """Free what is held."""


def local_names() -> tuple[str, ...]:
    """List the embedders that run on this machine, by name."""
    found = (module.name for module in pkgutil.iter_modules(embedders.__path__))
    return tuple(sorted(name.replace("_", "-") for name in found))


def open_local(name: str) -> Embedder:
    """Open a local embedder; its weights are loaded when the first text comes.

    Raises ConfigError for a name that is none, and where its package is not installed.
    """
    if name not in local_names():
        raise ConfigError(
            f"there is no embedder “{name}” on this machine; there are {', '.join(local_names())}"
        )
    module = importlib.import_module(f"{embedders.__name__}.{name.replace('-', '_')}")
    try:
        opened: Embedder = module.open_embedder()
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("waremill"):
            raise
        raise ConfigError(INSTALL) from error
    return opened


def text_of(title: str, headings: Sequence[str], text: str) -> str:
    """Write a passage as its words are indexed: what it stands under, then what it says.

    Title and headings say what a passage often does not: which product, which part of the manual.
    Each is written once, and not where the passage begins with it anyway.
    """
    over = [one for one in dict.fromkeys((title, *headings)) if one.strip()]
    while over and text.lstrip().startswith(over[-1]):
        over.pop()
    return "\n".join([*over, text])


def meaning_of(headings: Sequence[str], text: str) -> str:
    """Write a passage as it is embedded: with its headings and without the document's title.

    A title is the same for all of a document's passages and mostly a name, by which words find it;
    in a short passage's vector it would drown what the passage says (docs/benchmarks.md).
    """
    return text_of("", headings, text)


def in_batches(texts: Sequence[str], most: int, characters: int) -> Iterator[list[int]]:
    """Give the texts' places in batches of at most `most` texts and about `characters` in all.

    Short texts come first, so that those of a batch are of one length and no model pads much.
    """
    batch: list[int] = []
    size = 0
    for place in sorted(range(len(texts)), key=lambda one: len(texts[one])):
        if batch and (len(batch) == most or size + len(texts[place]) > characters):
            yield batch
            batch, size = [], 0
        batch.append(place)
        size += len(texts[place])
    if batch:
        yield batch
