"""What a model can do in a chat: how much it reads, how long it answers, whether it calls tools.

Embedded models are given passages instead of tools. The default one (0.5 billion parameters)
answers plain questions from short passages; with tools it took the wrong one or wrote a whole
SELECT where a condition is wanted, and repeated that, for each of three questions (2026-11).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from waremill.domain import Model
from waremill.providers.local import SLOT_TOKENS
from waremill.providers.tokens import approximate

WINDOW = 32_768
"""Tokens a model reads and writes at most, unless its settings say otherwise: what the smallest of
the hosted models in use have."""
MOST = 2_048
"""Tokens of a reply at most; a model with a small window gets an eighth of it."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a model can do: tokens it reads and writes, tokens of a reply, whether tools work."""

    window: int
    most: int
    tools: bool
    count: Callable[[str], int]


def abilities_of(model: Model) -> Abilities:
    """Give what a model can do: as its settings say, else as its vendor's models usually do."""
    local = model.vendor == "local"
    window = model.window or (SLOT_TOKENS if local else WINDOW)
    tools = model.tools if model.tools is not None else not local
    return Abilities(window, min(MOST, window // 8), tools, approximate)


__all__ = ["Abilities", "abilities_of"]
