"""Other libraries' documents as our passages."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from waremill.domain import Passage


def passage_of(text: str, metadata: Mapping[str, Any], place: int, score: Any = None) -> Passage:
    """Make a passage of another library's document; its place in the answer is its score."""
    source = str(metadata.get("source") or metadata.get("file_name") or metadata.get("id") or "")
    page = metadata.get("page_label", metadata.get("page"))
    shown = int(page) if str(page).isdecimal() else None
    digest = blake2b(f"{source}\0{page}\0{text}".encode(), digest_size=16).hexdigest()
    return Passage(
        digest, source, text, str(metadata.get("title") or ""), (), shown,
        float(score) if isinstance(score, int | float) else 1.0 / (place + 1),
        {name: value for name, value in metadata.items() if isinstance(value, str | int | float)},
    )  # fmt: skip


def fits(passage: Passage, where: Mapping[str, Any]) -> bool:
    """Say whether a passage's metadata are what a search asks for; what is not told fits."""
    for name, wanted in where.items():
        given = passage.metadata.get(name)
        choices = wanted if isinstance(wanted, list | tuple) else (wanted,)
        if given is not None and given not in choices:
            return False
    return True
