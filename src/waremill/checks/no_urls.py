"""The check `no-urls`: copy leads nowhere else."""

from __future__ import annotations

import re

from waremill.checks.draft import Draft, Rules, check
from waremill.domain import Finding

_ADDRESS = re.compile(r"(?:https?|ftp)://\S+|\bwww\.[\w-]+\.\w+\S*")
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_DOMAIN = re.compile(
    r"(?<![\w.@-])(?:[a-z0-9][a-z0-9-]*\.)+"
    r"(?:com|net|org|info|shop|store|io|de|fr|it|es|at|ch|nl|eu|uk|us|cn|jp)\b(?![\w-]|\.\w)"
)
_DOT = re.compile(r"\.(?=[a-z])")
_PHONE = re.compile(
    r"""(?<![a-zà-ÿ\d_.,+-])(?:
        (?:\+|00)[1-9]\d{0,2}[\s().-]{0,2}\d(?:[\s().-]{0,2}\d){6,11}   # international
      | \(0\d{1,4}\)\s?\d(?:[\s/-]?\d){4,9}                             # (030) 123456
      | 0\d{2,4}\s?[/]\s?\d(?:[\s-]?\d){4,8}                            # 030/123456
      | \(?[2-9]\d{2}\)?[\s.-][2-9]\d{2}[.-]\d{4}                       # 212-555-0123
      | 0[1-9](?:[\s.]\d{2}){4}                                         # 01 23 45 67 89
      | [48]00[-\s]\d{3}[-\s]?\d{4}                                     # 400-123-4567
      | 1[3-9]\d[\s-]?\d{4}[\s-]?\d{4}                                  # mobile, China
    )(?![a-zà-ÿ\d_-])""",
    re.VERBOSE,
)
_LONG_NUMBER = re.compile(r"[0-9][0-9\s().+/-]{6,}[0-9]")


@check("no-urls")
def no_urls(draft: Draft, rules: Rules) -> list[Finding]:
    """Find web addresses, e-mail addresses and telephone numbers.

    A bare domain that is part of the product's own brand or name (`booking.com`) is let through;
    so is a telephone-like number that stands in the source, which may be an article number.
    """
    text = draft.folded
    found: list[Finding] = []
    if "://" in text or "www." in text:
        _report(draft, _ADDRESS, "a web address", found)
    elif _DOT.search(text):
        _report(draft, _DOMAIN, "a web address", found)
    if "@" in text:
        _report(draft, _MAIL, "an e-mail address", found)
    if _LONG_NUMBER.search(text):
        _report(draft, _PHONE, "a telephone number", found)
    return found


def _report(draft: Draft, pattern: re.Pattern[str], what: str, found: list[Finding]) -> None:
    for match in pattern.finditer(draft.folded):
        start, end = match.span()
        evidence = draft.text[start:end]
        if pattern is _DOMAIN and (
            draft.in_name(start, end) or "@" in draft.folded[start - 1 : start]
        ):
            continue
        if pattern is _PHONE and evidence in draft.source_text:
            continue
        message = f"“{evidence}” is {what}; leave it out"
        found.append(Finding(draft.field_at(start), "no-urls", "error", message, evidence))
        return
