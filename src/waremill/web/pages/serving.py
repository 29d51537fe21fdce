"""Which workspace the console serves, and as whom a request acts. One console a process.

NiceGUI keeps one application a process, so the workspace does too.
"""

from __future__ import annotations

from fastapi import Request

from waremill.app import Workspace
from waremill.app.acting import Actor
from waremill.errors import ConfigError, Forbidden
from waremill.web.security import actor_now

_served: list[Workspace] = []


def serve(workspace: Workspace) -> None:
    """Serve a workspace from now on, in place of the one before."""
    _served[:] = [workspace]


def served() -> Workspace:
    """Give the workspace that is served."""
    if not _served:
        raise ConfigError("the console serves no workspace yet")
    return _served[0]


def actor_of(request: Request) -> Actor | None:
    """Give who was signed in when a page was asked for; None for nobody."""
    actor: Actor | None = getattr(request.state, "actor", None)
    return actor


async def acting(request: Request) -> Workspace:
    """Give the workspace as whoever asks may use it now; raises Forbidden for nobody.

    A page lives on for hours: who opened it may have signed out since, or have another role.
    """
    workspace = served()
    actor = await actor_now(workspace, request)
    if actor is None:
        raise Forbidden("your session has ended; sign in again")
    return workspace.acting(actor)
