"""Checks of pictures: each a pure function from a draft and limits to what it found.

One file holds one check; a new file is found by listing this package. A check neither calls a
model service nor reads a file. Severity "error" sends the picture back or to review; "warning" is a
hint for the reviewer, and says as well what could not be checked. Duplicates need a whole run;
their pure part is in `duplicate_pictures`. Importing this package loads no numpy; its checks do.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from waremill.checks.pictures.draft import (
    Judged,
    PictureCheck,
    PictureDraft,
    picture_check,
    settled,
)
from waremill.errors import ConfigError, NotFound

__all__ = [
    "RUN_LEVEL",
    "Judged",
    "PictureCheck",
    "PictureDraft",
    "defaults",
    "get",
    "names",
    "need_limits",
    "picture_check",
    "run_picture_checks",
]

RUN_LEVEL = ("duplicate-pictures",)
"""Checks over all pictures of a run."""


@lru_cache(maxsize=1)
def _found() -> dict[str, PictureCheck]:
    checks: dict[str, PictureCheck] = {}
    for module in pkgutil.iter_modules(__path__):
        for value in vars(importlib.import_module(f"{__name__}.{module.name}")).values():
            name = getattr(value, "picture_check_name", None)
            if isinstance(name, str):
                checks[name] = value
    return dict(sorted(checks.items()))


def names() -> tuple[str, ...]:
    """List the names of the checks of one picture, sorted."""
    return tuple(_found())


def get(name: str) -> PictureCheck:
    """Give a check by name; raises NotFound with a suggestion."""
    checks = _found()
    if name in checks:
        return checks[name]
    near = difflib.get_close_matches(name, checks, n=1)
    hint = f", did you mean “{near[0]}”?" if near else f"; there are {', '.join(checks)}"
    raise NotFound(f"there is no picture check “{name}”{hint}")


def defaults() -> Mapping[str, Any]:
    """Give every limit that a picture check knows, with what it is unless told otherwise."""
    found: dict[str, Any] = {}
    for check in _found().values():
        found |= getattr(check, "limits", {})
    return dict(sorted(found.items()))


def run_picture_checks(
    names: Iterable[str], draft: PictureDraft, limits: Mapping[str, Any] | None = None
) -> dict[str, Judged]:
    """Run checks on a picture in the given order and give what each found, by its name.

    `limits` are settings of any of the checks by name. Raises ConfigError as `need_limits` does,
    and NotFound for an unknown check.
    """
    limits = limits or {}
    need_limits(limits)
    return {name: get(name)(draft, limits) for name in names}


def need_limits(limits: Mapping[str, Any]) -> None:
    """Raise ConfigError for a limit that no check knows, with a suggestion, or of a wrong kind."""
    known = defaults()
    for name in limits:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f", did you mean “{near[0]}”?" if near else f"; there are {', '.join(known)}"
            raise ConfigError(f"no picture check has a limit “{name}”{hint}")
    settled(known, limits)
