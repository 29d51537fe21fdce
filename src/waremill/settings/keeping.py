"""How long what is kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retention:
    """After how many days `waremill retain` deletes what; None keeps it."""

    answers: int | None = None
    chats: int | None = None
    deliveries: int | None = None
    runs: int | None = None
    calls: int | None = None
    batches: int | None = None
    pictures: int | None = None
    logs: int | None = None
