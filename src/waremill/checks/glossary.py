"""The check `glossary`: terms are written as the glossary says."""

from __future__ import annotations

import re
from functools import lru_cache

from waremill.checks.draft import Draft, Rules, check
from waremill.domain import Finding, Target
from waremill.rules.glossary import Term
from waremill.rules.matching import UNSPACED, Matcher, fold

_UNSPACED = re.compile(f"[{UNSPACED}]")
_LONG_DRAFT = 80
"""Letters from which on a draft that uses none of the product's terms gets a hint."""


@check("glossary")
def glossary(draft: Draft, rules: Rules) -> list[Finding]:
    """Check the glossary's terms that stand in the source against the copy.

    - Where a field is made from the source field of the same name (`description`, or
      `description_de`, from `description` or `raw_description`), that is a translation: each of the
      source field's terms must stand in it in the target's spelling, terms to keep as they are.
      Error.
    - Elsewhere copy may leave a term out, but where it writes the source's spelling instead of the
      target's, the term was not translated. Error.
    - A draft of some length that uses none of the product's translated terms gets one warning.

    Spellings match in any letter case, inside compounds, and with another ending of up to two
    letters (Kopfnote, Kopfnoten). The product's own names are not translated and do not count.
    """
    target = draft.target
    if target is None or not rules.glossary.terms:
        return []
    expected = rules.glossary.expected(draft.folded_source, target)
    folded = draft.folded
    missing = [pair for pair in expected if not any(text in folded for text in pair[1])]
    if not missing:
        return []
    found: list[Finding] = []
    demanded = _translated(draft, rules, target)
    silent: list[Term] = []
    for term, accepted in missing:
        field = _untranslated(draft, term)
        if field is None and _inflected(accepted, folded):
            continue
        field = field or demanded.get(term.source)
        if field is None:
            silent.append(term)
        else:
            found.append(Finding(field, "glossary", "error", _message(term, target), term.source))
    if not found and len(silent) == len(expected) and len(folded) >= _LONG_DRAFT:
        translated = [term for term in silent if not term.keep]
        if translated:
            some = "; ".join(f"{t.source} → {t.translation(target)}" for t in translated[:5])
            message = f"the copy uses none of the glossary's terms for this product ({some})"
            found.append(Finding("", "glossary", "warning", message, translated[0].source))
    return found


def _message(term: Term, target: Target) -> str:
    if term.keep:
        return f"“{term.source}” must stay as it is; write it so"
    return f"write “{term.translation(target)}” for “{term.source}”, as the glossary says"


def _translated(draft: Draft, rules: Rules, target: Target) -> dict[str, str]:
    """Give the terms that must stand, with the field: those of source fields made again."""
    demanded: dict[str, str] = {}
    for name, value in draft.values.items():
        if not isinstance(value, str):
            continue
        plain = name.removesuffix(f"_{target.language}")
        originals = (draft.source.get(n) for n in (name, plain, f"raw_{name}", f"raw_{plain}"))
        original = next((text for text in originals if text is not None), None)
        if isinstance(original, str):
            for term in rules.glossary.matching(original, target):
                demanded.setdefault(term.source, name)
    return demanded


def _untranslated(draft: Draft, term: Term) -> str | None:
    """Give the field that holds the term in the source's spelling, outside the product's names."""
    if term.keep or fold(term.source) not in draft.folded:
        return None
    for _, start, end in _finder(term.source).find_folded(draft.folded):
        if not draft.in_name(start, end):
            return draft.field_at(start)
    return None


@lru_cache(maxsize=4096)
def _finder(term: str) -> Matcher:
    return Matcher((term,))


def _inflected(accepted: tuple[str, ...], folded: str) -> bool:
    """Say whether a spelling stands with another ending."""
    return any(
        (stems := _stems(spelling)) and all(stem in folded for stem in stems)
        for spelling in accepted
    )


@lru_cache(maxsize=4096)
def _stems(spelling: str) -> tuple[str, ...]:
    """Give each word without the last two letters where enough is left; none without spaces."""
    if _UNSPACED.search(spelling):
        return ()
    return tuple(word[:-2] if len(word) >= 6 else word for word in spelling.split())
