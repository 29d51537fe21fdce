"""The use case *operate on a sent picture*: one operation, one picture in, the result out.

What `waremill image` does with files, for a server: content comes and goes, and nothing is kept.
Only registered weights are used; no path of the server's comes from outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from waremill import weights
from waremill.app import keeping
from waremill.app.picturing import all_operations
from waremill.errors import ConfigError, NotFound
from waremill.rules.document import suggestion
from waremill.store.database import Database

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace
    from waremill.images.operation import Operation
    from waremill.images.picture import Encoded

LARGEST = 64 * 1024**2
"""Most bytes a sent picture may have: a photo of 100 megapixels as JPEG, or of 15 as PNG."""
_ROOM: WeakKeyDictionary[Database, asyncio.Semaphore] = WeakKeyDictionary()


async def operate_on(
    workspace: Workspace,
    name: str,
    content: bytes,
    settings: Mapping[str, str],
    pictures: Mapping[str, bytes],
    media_type: str = "image/png",
) -> list[Encoded]:
    """Apply an operation to a picture; give what it makes, mostly one picture.

    `settings` are the operation's options as text, `pictures` those that are pictures themselves.
    `media_type` is how results are written that the operation itself leaves open; what JPEG cannot
    hold becomes PNG. Needs the role operator in some team, since it is work for the machine. Raises
    NotFound for an unknown operation, ConfigError for an option, SourceError for the picture.
    """
    workspace.actor.need_somewhere("operator", "working on pictures")
    known = all_operations()
    if name not in known:
        raise NotFound(f"there is no image operation “{name}”{suggestion(name, known)}")
    operation = known[name]
    strange = pictures.keys() - set(operation.pictures)
    if strange:
        taken = ", ".join(("image", *operation.pictures))
        raise ConfigError(f"{name} takes no picture “{min(strange)}”; it takes {taken}")
    room = _ROOM.setdefault(
        workspace.database, asyncio.Semaphore(workspace.settings.pictures.threads)
    )
    threads = keeping.threads(workspace.settings.pictures.threads)
    work = _Work(operation, settings, workspace, media_type)
    async with room:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(threads, work, content, pictures)


class _Work:
    """An operation with its options, to be called on a thread."""

    def __init__(
        self,
        operation: Operation[Any],
        settings: Mapping[str, str],
        workspace: Workspace,
        media_type: str,
    ) -> None:
        from waremill.images.operation import Tools

        self._operation = operation
        self._settings = settings
        self._media_type = media_type
        root = workspace.settings.root
        find = keeping.weights_of(workspace.settings)

        def registered(name: str) -> Path:
            if weights.find(name) is None:
                raise ConfigError(f"there is no model “{name}”")
            return find(name)

        self._tools = Tools(registered, 1, (root / "fonts",), workspace.settings.files())

    def __call__(self, content: bytes, pictures: Mapping[str, bytes]) -> list[Encoded]:
        from waremill.images.applying import apply
        from waremill.images.operation import read_options
        from waremill.images.reading import read_picture

        operation = self._operation
        named = [one for one in operation.pictures if one in self._settings]
        if named:
            raise ConfigError(f"{operation.name}: {named[0]} is a picture; send it as a file")
        others = {name: read_picture(one, name=name) for name, one in pictures.items()}
        options = read_options(operation.options, {**self._settings, **others}, operation.name)
        picture = read_picture(content)
        return apply(operation, picture, options, self._tools, others.values(), self._media_type)


__all__ = ["LARGEST", "operate_on"]
