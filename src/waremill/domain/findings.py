"""What checks find, and what a text or picture is found again by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found wrong: `field` is the output field ('' for the whole), `rule` the check's
    name, `message` one sentence a model or a person can act on, `evidence` the offending text.
    """

    field: str
    rule: str
    severity: Severity
    message: str
    evidence: str = ""

    def as_json(self) -> dict[str, str]:
        """Give the finding as a JSON object."""
        return {
            "field": self.field,
            "rule": self.rule,
            "severity": self.severity,
            "message": self.message,
            "evidence": self.evidence,
        }


@dataclass(frozen=True, slots=True)
class Signature:
    """What a text or picture is found again by among many, when it is only nearly the same.

    Two that share one of `bands` are candidates; `likeness` of their `content`, from 0 to 1,
    decides, and at `least` they count as alike.
    """

    content: bytes
    bands: tuple[int, ...]
    likeness: Callable[[bytes, bytes], float]
    least: float
