"""Short ways to make drafts and rules for the tests of this room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from waremill.checks import Draft, Rules, get
from waremill.domain import Target
from waremill.rules import load_channels, load_forbidden, load_glossary, load_schemas


def rules(files: Mapping[str, str] | None = None, languages: tuple[str, ...] = ()) -> Rules:
    files = files or {}
    return Rules(
        load_channels(files),
        load_glossary(files),
        load_forbidden(files),
        languages,
        load_schemas(files),
    )


def found(
    check: str,
    copy: str | Mapping[str, Any],
    source: Mapping[str, Any] | None = None,
    target: str | None = "en-US",
    setting: Rules | None = None,
    category: str | None = None,
) -> list[tuple[str, str]]:
    """The (severity, evidence) of what a check finds in one text or in several fields."""
    values = {"text": copy} if isinstance(copy, str) else copy
    parsed = Target.parse(target) if target else None
    draft = Draft(values, source or {}, parsed, category=category)
    findings = get(check)(draft, setting or Rules())
    for finding in findings:
        assert finding.rule == check
        assert finding.message
        assert finding.field in ("", *values)
    return [(finding.severity, finding.evidence) for finding in findings]
