"""Where traces go, and of how many items."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Telemetry:
    """An OTLP/HTTP collector's address (None: nothing is traced), and the share of items traced."""

    traces: str | None = None
    sample: float = 0.01
