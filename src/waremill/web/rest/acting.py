"""Who a request acts as: what routes depend on. The security middleware has found it out before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from waremill.app import Workspace
from waremill.app.acting import Role
from waremill.errors import Forbidden


async def acting(connection: HTTPConnection) -> Workspace:
    """Give the workspace acting as the caller of a request or a socket."""
    workspace: Workspace | None = getattr(connection.state, "workspace", None)
    if workspace is None:
        raise Forbidden("sign in first")
    return workspace


Acting = Annotated[Workspace, Depends(acting)]
"""A route's parameter: the workspace acting as the caller."""


def needs(role: Role, what: str = "this") -> Callable[[HTTPConnection], Awaitable[Workspace]]:
    """Make a dependency that refuses who has a role in no team at all, before anything is done.

    Which team it must be is the use case's to check. It gives the same workspace as `acting`.
    """

    async def checked(connection: HTTPConnection) -> Workspace:
        workspace = await acting(connection)
        workspace.actor.need_somewhere(role, what)
        return workspace

    return checked


__all__ = ["Acting", "acting", "needs"]
