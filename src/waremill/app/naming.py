"""How users, teams and tokens may be called."""

from __future__ import annotations

import re
import unicodedata

from waremill.app.acting import LOCAL
from waremill.errors import ConfigError

_NAME = re.compile(r"\w[\w.@+-]{0,63}")
RESERVED = frozenset({LOCAL.name, "nobody", "system"})
"""Names that the audit log gives to others than users."""


def account_name(text: str) -> str | None:
    """Write a user's or team's name in one way, so that `Lin` and `lin` are one; None for none."""
    if len(text) > 256:
        return None
    plain = unicodedata.normalize("NFKC", text).strip().casefold()
    return plain if _NAME.fullmatch(plain) else None


def new_name(text: str, what: str) -> str:
    """Give the name for a new user, team or token. Raises ConfigError for one that cannot be."""
    plain = account_name(text)
    if plain is None:
        raise ConfigError(
            f"a {what}'s name has 1 to 64 letters, digits or . _ - @ + and begins with a letter"
            " or digit"
        )
    if plain in RESERVED:
        raise ConfigError(f"a {what} cannot be called “{plain}”; the audit log uses the name")
    return plain
