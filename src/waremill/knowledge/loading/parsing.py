"""The child's side of `isolation`: reads the documents it is asked for, one after the other.

Run as `python -m waremill.knowledge.loading.parsing`; must import no format before it is asked.
"""

from __future__ import annotations

import importlib
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

from waremill.errors import SourceError, Where
from waremill.knowledge.document import Document, bounded, sections_as_json

_DEPTH = 20_000
"""Calls inside each other: markup nests, and each level of it takes some."""


def _read(request: dict[str, Any]) -> dict[str, Any]:
    name = request["name"]
    module = importlib.import_module(request["module"])
    try:
        found: Document = bounded(module.read(Path(request["path"]).read_bytes(), name))
    except (SourceError, MemoryError):
        raise
    except Exception as error:
        # Whatever a parser raises over a hostile file says nothing to its owner.
        sys.stderr.write(f"{type(error).__name__}: {error}\n"[:2_000])
        if isinstance(error, OSError | RuntimeError) and "memory" in str(error).lower():
            raise MemoryError from error
        raise SourceError(
            "the document is damaged and cannot be read: open it where it was made and save it "
            "anew",
            Where(file=name),
        ) from error
    return {
        "title": found.title, "media_type": found.media_type, "metadata": dict(found.metadata),
        "notes": list(found.notes), "sections": sections_as_json(found.sections),
    }  # fmt: skip


def _be_quiet() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    sys.setrecursionlimit(_DEPTH)


if __name__ == "__main__":
    from waremill.catalog.readers.process import answer

    _be_quiet()
    answer(_read)
