"""Parsers of hostile formats in a child process: one for many documents, replaced when it dies."""

from __future__ import annotations

import tempfile
from typing import Any, Final

from waremill.catalog.readers.process import Child, Words
from waremill.catalog.readers.shapes import Limits
from waremill.knowledge.document import Document, sections_from_json

LIMITS: Final = Limits(memory=2 << 30, seconds=120.0)
"""What one document may cost: bytes of memory, seconds."""
DOCUMENTS_A_CHILD: Final = 500
"""After so many a new child takes over, whatever parsers keep by mistake."""
_WORDS: Final = Words(
    slow="reading took longer than {seconds:g} seconds: split the document",
    large="reading needs more than {memory} MB of memory: split the document, or take its pictures"
    " out",
    damaged="the document is damaged and cannot be read: open it where it was made and save it"
    " anew",
)


class Isolation:
    """A child process that parsers run in; used as a context manager, by one thread at a time."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._child: Child | None = None
        self._read = 0

    def read(self, module: str, content: bytes, name: str) -> Document:
        """Read a document by a format's module; raise SourceError for whatever is wrong with it."""
        with tempfile.NamedTemporaryFile(prefix="waremill-") as file:
            file.write(content)
            file.flush()
            found = self._ask({"module": module, "path": file.name, "name": name})
        return Document(
            name, found["title"], found["media_type"], sections_from_json(found["sections"]),
            found["metadata"], tuple(found["notes"]),
        )  # fmt: skip

    def _ask(self, request: dict[str, Any]) -> Any:
        if self._child is None:
            self._child = Child(
                "waremill.knowledge.loading.parsing",
                {"path": request["name"], "memory": self._limits.memory},
                self._limits, words=_WORDS, asked=True,
            )  # fmt: skip
            self._read = 0
        self._read += 1
        try:
            found = self._child.ask({**request, "seconds": self._limits.seconds}, request["name"])
        except BaseException:
            self.close()  # nobody knows what state it is in
            raise
        if self._read >= DOCUMENTS_A_CHILD:
            self.close()
        return found

    def close(self) -> None:
        """End the child, if there is one."""
        child, self._child = self._child, None
        if child is not None:
            child.close()
