"""How long what is kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retention:
    """After how many days `waremill retain` deletes what; None keeps it."""

    answers: int | None = None
    chats: int | None = None
    deliveries: int | None = None
