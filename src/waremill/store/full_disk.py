"""What a full disk says, whoever wrote to it, as one plain sentence. Must not free any room."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from waremill.errors import LimitReached

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_SAID = re.compile(
    rf"no space left|disk quota|\bos error (?:{'|'.join(map(str, _FULL))})\b", re.IGNORECASE
)
"""How libraries tell of it that pass the system's words on and not its number."""


@contextmanager
def needing_room(place: str | Path) -> Iterator[None]:
    """Raise LimitReached(limit="disk") where what is written at a place meets a full disk.

    A quota that is used up and a limit on a file's size are told alike. Whatever else goes wrong
    passes through.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        if getattr(error, "errno", None) in _FULL or _SAID.search(str(error)):
            raise LimitReached(
                f"the disk that holds {place} is full; free some space and resume", limit="disk"
            ) from error
        raise
