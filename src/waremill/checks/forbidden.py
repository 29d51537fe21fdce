"""The check `forbidden`: none of the workspace's forbidden terms stands in the copy."""

from __future__ import annotations

from waremill.checks.draft import Draft, Rules, check
from waremill.domain import Finding


@check("forbidden")
def forbidden(draft: Draft, rules: Rules) -> list[Finding]:
    """Find the forbidden terms of the target's language and market, as whole words.

    A term inside the product's own brand or name, quoted in full (the perfume “Poison”), is only a
    warning: the copy cannot leave it out.
    """
    if not rules.forbidden.terms:
        return []
    found: list[Finding] = []
    seen: set[str] = set()
    for term, start, end in rules.forbidden.find(draft.text, draft.target, folded=draft.folded):
        if term.text in seen:
            continue
        evidence = draft.text[start:end]
        because = f" ({term.reason})" if term.reason else ""
        if draft.in_name(start, end):
            message = (
                f"“{evidence}” is a forbidden term{because}, here as part of the product's name"
            )
            found.append(Finding(draft.field_at(start), "forbidden", "warning", message, evidence))
            continue
        seen.add(term.text)
        message = f"“{evidence}” is a forbidden term{because}; say it without"
        found.append(Finding(draft.field_at(start), "forbidden", "error", message, evidence))
    return found
