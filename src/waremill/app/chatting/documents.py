"""A conversation as a JSON document: what `waremill chat --json` prints and the API answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from waremill.app.chatting.conversations import Listed, Shown, cost_of
from waremill.chat.turns import Turn, beside
from waremill.settings import Settings


def listed_document(settings: Settings, one: Listed) -> dict[str, Any]:
    """Describe a conversation in a list."""
    found = one.conversation
    return {
        "id": found.id, "title": found.title, "model": found.model,
        "knowledge": list(found.knowledge), "catalog": found.catalog, "turns": one.sums.turns,
        "cost": cost_of(one.sums, settings.per_usd), "currency": settings.currency,
        "working": one.working, "created_at": found.created_at, "changed_at": found.changed_at,
    }  # fmt: skip


def conversation_document(settings: Settings, shown: Shown) -> dict[str, Any]:
    """Describe a conversation with the turns of all its branches."""
    found = shown.conversation
    return {
        "id": found.id, "title": found.title, "model": found.model,
        "knowledge": list(found.knowledge), "catalog": found.catalog,
        "branch": [one.id for one in shown.branch],
        "turns": [turn_document(settings, one, shown.turns) for one in shown.turns],
        "cost": cost_of(shown.sums, settings.per_usd), "currency": settings.currency,
    }  # fmt: skip


def turn_document(settings: Settings, turn: Turn, turns: Sequence[Turn]) -> dict[str, Any]:
    """Describe a turn; `beside` are it and its neighbours, which are branches."""
    return {
        "id": turn.id, "parent": turn.parent, "beside": list(beside(turns, turn)),
        "question": turn.question, "model": turn.model, "state": turn.state, "reply": turn.reply,
        "sources": [asdict(one) for one in turn.sources], "cited": list(turn.cited),
        "steps": [asdict(one) for one in turn.steps],
        "drafts": [{"kind": one.kind, "body": dict(one.body)} for one in turn.drafts],
        "notes": list(turn.notes), "input": turn.input, "output": turn.output,
        "cached": turn.cached, "cost": cost_of(turn, settings.per_usd),
        "currency": settings.currency, "first": turn.first, "seconds": turn.seconds,
        "error": turn.error, "at": turn.at,
    }  # fmt: skip


__all__ = ["conversation_document", "listed_document", "turn_document"]
