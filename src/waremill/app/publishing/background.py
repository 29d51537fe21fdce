"""Publications that this process carries on with while nobody waits for them.

What becomes of one is in the database: its client may leave, and a process that dies leaves it to
be settled by whoever comes next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from waremill.errors import WaremillError
from waremill.store import publishing as store
from waremill.store.database import Database
from waremill.store.publishing import Publication

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

LOG = logging.getLogger("waremill.publishing")
PULSE_SECONDS = 60.0
_AT_WORK: WeakKeyDictionary[Database, set[asyncio.Task[None]]] = WeakKeyDictionary()


def go_on(
    workspace: Workspace,
    publication: Publication,
    held: AsyncExitStack,
    work: Coroutine[Any, Any, Any],
) -> None:
    """Carry a publication on in the background; `held` is let go of at its end."""
    task = asyncio.create_task(_carried(workspace, publication, held, work))
    at_work = _AT_WORK.setdefault(workspace.database, set())
    at_work.add(task)
    task.add_done_callback(at_work.discard)


async def finish(workspace: Workspace) -> None:
    """Wait until all that this process publishes has ended."""
    await asyncio.gather(*_AT_WORK.get(workspace.database, ()), return_exceptions=True)


async def close(workspace: Workspace) -> None:
    """Interrupt what is being published, and wait until that is written down."""
    for task in _AT_WORK.get(workspace.database, ()):
        task.cancel()
    await finish(workspace)


async def _carried(
    workspace: Workspace,
    publication: Publication,
    held: AsyncExitStack,
    work: Coroutine[Any, Any, Any],
) -> None:
    pulse = asyncio.create_task(_pulse(workspace, publication))
    try:
        async with held:
            await work
    except WaremillError as error:  # the publication says it to whoever asks
        LOG.info("publication %s: %s", publication.name, error)
    except Exception:
        LOG.exception("publication %s failed by a bug of ours", publication.name)
    finally:
        pulse.cancel()


async def _pulse(workspace: Workspace, publication: Publication) -> None:
    """Say that it lives, also while a long file is written."""
    while True:
        await asyncio.sleep(PULSE_SECONDS)
        try:
            await workspace.database.write(store.set_publication, publication.id, {})
        except WaremillError:  # it has ended, or the database is away for a while
            continue


__all__ = ["close", "finish", "go_on"]
