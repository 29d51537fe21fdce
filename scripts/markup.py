"""Markdown from tables and docstrings, for the reference's pages. Knows nothing of Waremill."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

_INWARD = re.compile(
    r"(?:^|(?<=[.:] ))(?:This module|Nothing here|Must not|It must not|The other modules of this)\b"
    r"(?:[^.`]|`[^`]*`|\.(?=\S))*\.[ ]?",
    re.MULTILINE,
)
"""Sentences of module docstrings that speak to those who change the code, not to its users."""


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Lay rows out as a Markdown table."""
    lines = [[_cell(value) for value in row] for row in rows]
    return "\n".join(
        f"| {' | '.join(line)} |" for line in [list(head), ["---"] * len(head), *lines]
    )


def _cell(value: Any) -> str:
    return " ".join(str(value).split()).replace("|", "\\|") or " "


def code(text: Any) -> str:
    """Write a text as inline code."""
    return f"`{text}`"


def codes(texts: Iterable[Any], end: str = "") -> str:
    """Write texts as inline code, separated by commas."""
    return ", ".join(map(code, texts)) + end


def prose(docstring: str | None) -> str:
    """Turn a docstring into Markdown: indented blocks are fenced, tags are shown as they are."""
    text = _INWARD.sub("", inspect.cleandoc(docstring or ""))
    text = re.sub(r";\s+see\s+the\s+module\s+for\s+\w+", "", text)
    text = re.sub(r"[ ]+$", "", text, flags=re.MULTILINE)
    return "\n\n".join(_blocks(text)).strip()


def _blocks(text: str) -> Iterator[str]:
    waiting: list[str] = []
    for block in re.split(r"\n\n+", text):
        if block.startswith("    "):
            waiting.append(block)
            continue
        yield from _fenced(waiting)
        waiting = []
        lines = block.split("\n    ", 1)
        if len(lines) == 2 and not re.match(r"[-\d]", block) and lines[0].endswith(":"):
            yield tags(lines[0])
            yield from _fenced(["    " + lines[1]])
        else:
            yield tags(block)
    yield from _fenced(waiting)


def _fenced(blocks: Sequence[str]) -> Iterator[str]:
    if blocks:
        text = inspect.cleandoc("\n\n".join(blocks))
        first = text.splitlines()[0]
        kind = "yaml" if re.match(r"- \w+:|\w+:(\s|$)", first) else "text"
        yield f"```{kind}\n{text}\n```"


def tags(text: str) -> str:
    """Show what looks like a tag as it is written, inline code aside."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if part.startswith("`") else part.replace("<", "&lt;").replace(">", "&gt;")
        for part in parts
    )
