"""Checks of generated text: each a pure function from a draft and the rules to findings.

One file holds one check; a new file is found by listing this package, nobody else is edited. A
check neither calls a model nor reads a file. Severity "error" makes the pipeline ask again and
then send the item to review; "warning" is a hint for the reviewer only. Near-duplicates need a
whole run; their pure part is in `near_duplicates`.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from functools import lru_cache

from waremill.checks.draft import Check, Draft, FieldLike, Rules, check
from waremill.domain import Finding
from waremill.errors import NotFound

__all__ = [
    "DEFAULT",
    "RUN_LEVEL",
    "Check",
    "Draft",
    "FieldLike",
    "Rules",
    "check",
    "get",
    "names",
    "run_checks",
]

DEFAULT = (
    "channel",
    "forbidden",
    "glossary",
    "grounded-numbers",
    "no-placeholders",
    "no-markup",
    "no-urls",
)
"""The checks that run where a template names none; all together cost tens of microseconds."""

RUN_LEVEL = ("near-duplicates",)
"""Checks over a whole run; a pipeline's `check` step may name them, a template may not."""


@lru_cache(maxsize=1)
def _found() -> dict[str, Check]:
    checks: dict[str, Check] = {}
    for module in pkgutil.iter_modules(__path__):
        for value in vars(importlib.import_module(f"{__name__}.{module.name}")).values():
            name = getattr(value, "check_name", None)
            if isinstance(name, str):
                checks[name] = value
    return dict(sorted(checks.items()))


def names() -> tuple[str, ...]:
    """List the names of the checks of one draft, sorted."""
    return tuple(_found())


def get(name: str) -> Check:
    """Give a check by name; raises NotFound with a suggestion."""
    checks = _found()
    if name in checks:
        return checks[name]
    near = difflib.get_close_matches(name, checks, n=1)
    hint = f", did you mean “{near[0]}”?" if near else f"; there are {', '.join(checks)}"
    raise NotFound(f"there is no check “{name}”{hint}")


def run_checks(names: Iterable[str], draft: Draft, rules: Rules) -> list[Finding]:
    """Run checks on a draft in the given order and give everything they found."""
    found: list[Finding] = []
    known = _found()
    for name in names:
        found += (known.get(name) or get(name))(draft, rules)
    return found
