"""A conversation as a file: Markdown for people, JSON lines for programs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal, get_args

import orjson

from waremill.chat.markup import announced, announced_line
from waremill.chat.turns import Draft, Source, Turn

Format = Literal["markdown", "jsonl"]
FORMATS: tuple[Format, ...] = get_args(Format)
LONGEST_QUOTE = 400


def as_markdown(title: str, turns: Sequence[Turn]) -> str:
    """Write a branch as Markdown: questions, replies, and below each what it cites.

    Addresses in replies are written out beside their words and HTML is text, so that no viewer
    asks another host for anything.
    """
    parts = [f"# {announced_line(title)}\n"]
    for turn in turns:
        asked = "\n".join(f"> {line}" for line in announced(turn.question).split("\n"))
        parts.append(f"{asked}\n")
        parts.append(f"{announced(turn.reply) or '*no reply*'}\n")
        if turn.state not in ("complete", "working"):
            parts.append(
                f"*{turn.state}*{f': {announced_line(turn.error)}' if turn.error else ''}\n"
            )
        cited = [one for one in sources_of(turns, turn) if one.number in turn.cited]
        parts += [f"{_source(one)}\n" for one in cited]
        parts += [f"{_draft(one)}\n" for one in turn.drafts]
        day = time.strftime("%Y-%m-%d %H:%M", time.gmtime(turn.at))
        parts.append(f"<sub>{_line(turn.model)}, {day} UTC</sub>\n")
    return "\n".join(parts)


def as_jsonl(turns: Sequence[Turn]) -> bytes:
    """Write turns of all branches as JSON lines, one each, as they are kept."""
    return b"".join(orjson.dumps(shown(turn)) + b"\n" for turn in turns)


def shown(turn: Turn) -> dict[str, Any]:
    """Give a turn as a JSON object; costs are nano-USD."""
    found = asdict(turn)
    del found["between"]
    return {name: _plain(value) for name, value in found.items()}


def sources_of(turns: Sequence[Turn], turn: Turn) -> tuple[Source, ...]:
    """Give the sources a turn may cite: its own, and those of turns before it in its branch."""
    known: dict[int, Source] = {}
    by_id = {one.id: one for one in turns}
    at: Turn | None = turn
    while at is not None:
        for source in at.sources:
            known.setdefault(source.number, source)
        at = None if at.parent is None else by_id.get(at.parent)
    return tuple(known[number] for number in sorted(known))


def _source(source: Source) -> str:
    text = " ".join(source.text.split())
    text = text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"
    place = announced_line(source.place)
    return f"[{source.number}] **{place}**: {announced_line(text)}"


def _draft(draft: Draft) -> str:
    body: Mapping[str, Any] = draft.body
    if draft.kind == "template":
        return f"Template `{body.get('name')}`:\n\n{_fenced(str(body.get('text', '')), 'yaml')}"
    if draft.kind == "selection":
        return f"Selection of {body.get('count')}:\n\n{_fenced(str(body.get('where', '')), 'sql')}"
    return f"Estimate:\n\n{_fenced(orjson.dumps(dict(body)).decode(), 'json')}"


def _fenced(text: str, kind: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{kind}\n{text.rstrip()}\n{fence}"


def _line(text: str) -> str:
    return " ".join(text.split())


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


__all__ = ["FORMATS", "Format", "as_jsonl", "as_markdown", "shown", "sources_of"]
