"""One pure decision: what to do about an error that escaped an item's steps."""

from __future__ import annotations

from dataclasses import dataclass

from waremill.errors import (
    AccessDenied,
    ConfigError,
    Conflict,
    LimitReached,
    OutputInvalid,
    Refused,
    Transient,
)

ITEM_ATTEMPTS = 3
"""How often an item is tried when its models stay unavailable, the first time included."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try the item again after `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Review:
    """A person must look at the item."""


@dataclass(frozen=True, slots=True)
class Fail:
    """The item failed; `ours` means the error is our bug and its traceback is kept."""

    ours: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """The run stops, resumable; the item stays pending."""

    reason: str


Decision = Retry | Review | Fail | Pause


def decide(error: BaseException, attempt: int) -> Decision:
    """Decide about `error` on an item's `attempt`, counted from 1."""
    match error:
        case Transient():
            return Retry(2.0**attempt) if attempt < ITEM_ATTEMPTS else Fail()
        case Refused() | OutputInvalid():
            return Review()
        case AccessDenied():
            return Pause("access denied")
        case LimitReached():
            return Pause(error.limit)
        case Conflict():
            return Pause("taken over")
        case ConfigError():
            return Pause("configuration")
        case _:
            from waremill.errors import WaremillError

            return Fail(ours=not isinstance(error, WaremillError))
