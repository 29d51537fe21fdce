"""What every picture check is given and gives: a draft, limits, and a judgement; the mark on it.

Nothing here judges, and nothing here loads numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from waremill.domain import Finding
from waremill.errors import ConfigError

if TYPE_CHECKING:
    from waremill.images.picture import Picture, Plane


@dataclass(frozen=True, eq=False)
class PictureDraft:
    """A picture to judge: `content` is its file, `picture` what is in it.

    `mask` is where the product is on it, `before` the picture it was made from, `before_mask` where
    the product is there. A missing mask is taken from alpha or from a plain background.
    """

    field: str
    picture: Picture
    content: bytes = b""
    before: Picture | None = None
    mask: Plane | None = None
    before_mask: Plane | None = None
    threads: int = 1


@dataclass(frozen=True, eq=False)
class Judged:
    """What a check found, and a picture of it where it draws one, such as a heat map."""

    findings: tuple[Finding, ...] = ()
    picture: Picture | None = None


PictureCheck = Callable[[PictureDraft, Mapping[str, Any]], Judged]
"""A picture check: pure, gives what it found wrong."""

C = TypeVar("C", bound=PictureCheck)


def picture_check(name: str, limits: Mapping[str, Any]) -> Callable[[C], C]:
    """Mark a function as the picture check of a name, with its limits and their defaults.

    The names of limits are shared by all checks, so they must say what they limit. The function is
    returned unchanged.
    """

    def mark(function: C) -> C:
        function.__dict__["picture_check_name"] = name
        function.__dict__["limits"] = dict(limits)
        return function

    return mark


def settled(limits: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Give a check's own limits: what was given of them, else their defaults.

    Whole numbers do for others. Raises ConfigError for a value of another kind than its default.
    """
    found: dict[str, Any] = {}
    for name, default in limits.items():
        value = given.get(name, default)
        numeric = _is_number(default)
        if not (_is_number(value) if numeric else type(value) is type(default)):
            kinds = {bool: "true or false", str: "text"}
            wanted = kinds.get(type(default), "a number")
            raise ConfigError(f"the limit {name} must be {wanted}, not “{value}”")
        found[name] = value
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def not_checked(draft: PictureDraft, rule: str, why: str) -> Judged:
    """Say that a check could not judge, and why."""
    message = f"not checked: {why}"
    return Judged((Finding(draft.field, rule, "warning", message),))
