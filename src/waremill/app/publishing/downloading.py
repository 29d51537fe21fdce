"""A published file for who may see all that is in it.

A feed holds everything that is live in its channel, whoever published it; so it is given to nobody
who does not see all of these teams. What is given is byte for byte what was published.
"""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from waremill.app.publishing.history import find_publication, shown
from waremill.app.publishing.shapes import FileShown, PublicationShown
from waremill.errors import ConfigError, Conflict, Forbidden, NotFound, Where
from waremill.store import publishing as store

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

_CHUNK = 1 << 20


async def find_file(workspace: Workspace, name: str, target: str | None = None) -> FileShown:
    """Find the file a publication wrote for a target; None for its only one.

    For viewers of every team that published to the channel. Raises NotFound where it wrote none,
    ConfigError where it wrote several and none is named.
    """
    found = await find_publication(workspace, name)
    for team in await workspace.database.read(store.teams_of_channel, found.channel):
        if workspace.actor.role(team) is None:
            raise Forbidden(f"the file of “{found.channel}” holds what other teams published, too")
    return _of_target(await shown(workspace, found.id), target)


async def copy_file(workspace: Workspace, file: FileShown, place: Path) -> None:
    """Copy a published file to `place`.

    Raises NotFound where it is not there, and Conflict where it is not what was published any more.
    """
    await asyncio.to_thread(_copy, Path(str(file.path)), file, place)


def _of_target(one: PublicationShown, target: str | None) -> FileShown:
    files = [file for file in one.files if file.sha256 is not None]
    fitting = [file for file in files if target is None or file.target == (target or None)]
    if len(fitting) > 1:
        listed = ", ".join(str(file.target) for file in fitting)
        raise ConfigError(
            f"publication {one.publication} wrote several files; name a target: {listed}"
        )
    if not fitting:
        raise NotFound(f"publication {one.publication} wrote no such file")
    return fitting[0]


def _copy(path: Path, file: FileShown, place: Path) -> None:
    digest = sha256()
    try:
        with path.open("rb") as source, place.open("wb") as copy:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                copy.write(chunk)
    except FileNotFoundError:
        raise NotFound(f"the file {path.name} is not there any more; publish again") from None
    except OSError as error:
        raise ConfigError(
            f"it cannot be read ({error.strerror or error})", Where(file=path.name)
        ) from error
    if digest.hexdigest() != file.sha256:
        raise Conflict(
            f"the file {path.name} was written anew since; download that of the last publication"
        )


__all__ = ["copy_file", "find_file"]
