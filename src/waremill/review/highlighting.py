"""Where in a value the evidence of a finding stands, so that it can be marked in place.

Pure; it finds text, and must not decide what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from waremill.domain import Finding, Severity
from waremill.rules.matching import fold, is_word_character


@dataclass(frozen=True, slots=True)
class Span:
    """A marked piece of a value, from `start` to before `end`, in characters.

    `element` is the place in a list from 0; None where the value is a text.
    """

    start: int
    end: int
    rule: str
    message: str
    severity: Severity
    element: int | None = None


def spans(value: Any, findings: Iterable[Finding]) -> tuple[Span, ...]:
    """Mark where the findings' evidence stands in a text, or in the texts of a list.

    Letter case and full-width forms do not matter. Evidence that begins or ends with a letter or a
    digit counts only as a whole word or number; where it stands so nowhere, any place counts.
    Evidence that is not there (a missing field, another product's key) marks nothing.
    """
    texts = [(None, value)] if isinstance(value, str) else _entries(value)
    found: dict[tuple[int | None, int, int, str], Span] = {}
    for finding in findings:
        evidence = finding.evidence.strip()
        if not evidence:
            continue
        for element, text in texts:
            for start, end in places(text, evidence):
                found.setdefault(
                    (element, start, end, finding.rule),
                    Span(start, end, finding.rule, finding.message, finding.severity, element),
                )
    return tuple(sorted(found.values(), key=lambda one: (one.element or 0, one.start, one.end)))


def _entries(value: Any) -> list[tuple[int | None, str]]:
    if not isinstance(value, list):
        return []
    return [(place, entry) for place, entry in enumerate(value) if isinstance(entry, str)]


def places(text: str, evidence: str) -> list[tuple[int, int]]:
    """Give every place of the evidence in a text as (start, end), those as whole words first."""
    folded, wanted = fold(text), fold(evidence)
    found: list[tuple[int, int]] = []
    start = folded.find(wanted) if wanted else -1
    while start >= 0:
        found.append((start, start + len(wanted)))
        start = folded.find(wanted, start + len(wanted))
    whole = [place for place in found if _is_whole(folded, *place)]
    return whole or found


def _is_whole(text: str, start: int, end: int) -> bool:
    joined_before = (
        start > 0 and is_word_character(text[start]) and is_word_character(text[start - 1])
    )
    joined_after = (
        end < len(text) and is_word_character(text[end - 1]) and is_word_character(text[end])
    )
    return not joined_before and not joined_after
