"""The check `no-markup`: copy is plain text."""

from __future__ import annotations

import re
from html.entities import html5

from waremill.checks.draft import Draft, Rules, check
from waremill.domain import Finding

_PATTERNS = (
    ("<", re.compile(r"</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>|<!--", re.IGNORECASE), "an HTML tag"),
    ("&", re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,30});", re.IGNORECASE), "an entity"),
    ("**", re.compile(r"\*\*\S(?:[^*\n]*\S)?\*\*"), "Markdown bold"),
    ("__", re.compile(r"(?<!\w)__[^\W_](?:[^\n]*?[^\W_])?__(?!\w)"), "Markdown bold"),
    ("#", re.compile(r"^ {0,3}#{1,6}\s+\S", re.MULTILINE), "a Markdown heading"),
    ("](", re.compile(r"\[[^\]\n]+\]\([^)\s]+\)"), "a Markdown link"),
    ("`", re.compile(r"```|~~~|`[^`\n]+`"), "a code fence"),
)


@check("no-markup")
def no_markup(draft: Draft, rules: Rules) -> list[Finding]:
    """Find HTML tags and entities, Markdown bold, headings, links and code.

    A tag needs a letter right behind `<`, so `< 30 ml` is no tag; an entity must be one HTML
    knows, so `D&G;` is none. Placeholders in angle brackets are found here too.
    """
    text = draft.text
    found: list[Finding] = []
    for mark, pattern, what in _PATTERNS:
        if mark not in text:
            continue
        for match in pattern.finditer(text):
            evidence = match.group()
            if mark == "&" and evidence[1] != "#" and evidence[1:] not in html5:
                continue
            found.append(
                Finding(
                    draft.field_at(match.start()),
                    "no-markup",
                    "error",
                    f"“{evidence.strip()}” is {what}; write plain text",
                    evidence,
                )
            )
            break
    return found
