"""Put a file in its place whole or not at all.

This module knows nothing of formats. It must not leave a temporary file behind, whatever happens.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from waremill.errors import ConfigError, Where

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield an empty file beside `path`, and move it to `path` when the block ends well.

    A link is followed, so the file it points at is replaced. Any error removes the temporary file
    and leaves what was at `path` as it was; an OSError becomes a ConfigError with one sentence.
    """
    place = Path(os.path.realpath(path))
    if place.is_dir():
        raise ConfigError("this is a folder: name a file in it", Where(file=str(path)))
    # Its own suffix is kept, so that no program takes the half-written file for another format.
    temporary = place.with_name(f".waremill-{secrets.token_hex(6)}{place.suffix}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.open("xb").close()
    except OSError as error:
        raise _told(error, path, "the folder does not allow it") from error
    try:
        try:
            yield temporary
        except OSError as error:
            raise _told(error, path, "the folder does not allow it") from error
        try:
            _settle(temporary, place)
        except OSError as error:
            raise _told(error, path, "it is open in another program or protected") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _settle(temporary: Path, place: Path) -> None:
    """Flush the finished file to the disk, give it its predecessor's rights, and move it."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    if place.exists():
        shutil.copymode(place, temporary)
    os.replace(temporary, place)


def _told(error: OSError, path: Path, not_allowed: str) -> ConfigError:
    if error.errno in _FULL:
        reason = "the disk is full: free some space or write to another place"
    elif error.errno in _NOT_ALLOWED:
        reason = f"the file cannot be written, {not_allowed}: close it or choose another place"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST):
        reason = "a part of this path is a file, not a folder: choose another place"
    elif error.errno == errno.ENAMETOOLONG:
        reason = "the name is too long: choose a shorter one"
    else:
        reason = f"the file cannot be written ({error.strerror or error}): choose another place"
    return ConfigError(reason, Where(file=str(path)))
