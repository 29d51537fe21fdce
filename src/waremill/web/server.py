"""The server: one FastAPI application out of its parts, and what runs beside the requests.

It works no items: runs are worked by processes of their own, which `app.launching` starts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI

from waremill import __version__
from waremill.app import Workspace, chatting, generating, launching, notifying, publishing
from waremill.app.scheduling.leading import Scheduler
from waremill.web import operations, pages, rest, security
from waremill.web.rest import problems, reference

_NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def create_app(workspace: Workspace, *, host: str = "127.0.0.1", port: int = 8750) -> FastAPI:
    """Make the application for an open workspace, as it is reached at `host` and `port`.

    What is installed later stands further out: a request passes the log, then security, then the
    kept answers of the API, then a route. The console comes last of the routes, for it answers
    every path left over.
    """
    app = FastAPI(
        title="Waremill",
        version=__version__,
        description=reference.ABOUT,
        openapi_tags=reference.TAGS,
        docs_url=None,
        redoc_url=None,
        lifespan=_beside(workspace),
        generate_unique_id_function=lambda route: route.name,
        telemetry=_NO_TELEMETRY,
    )
    app.state.workspace = workspace
    app.state.closing = asyncio.Event()
    problems.install(app)
    operations.install(app)
    rest.install(app)
    settings = workspace.settings.server
    security.install(
        app, workspace, hosts=security.allowed_hosts(host, port, settings.hosts),
        secure=settings.https, open_paths=(*operations.OPEN_PATHS, *pages.open_paths()),
        proxies=security.Proxies(settings.trusted_proxies, settings.proxy_header),
    )  # fmt: skip
    pages.install(app, workspace)
    operations.watch(app)
    return app


def _beside(
    workspace: Workspace,
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Give the lifespan: meanwhile webhooks are delivered and schedules fired."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        delivering = asyncio.create_task(notifying.Webhooks(workspace).deliver())
        scheduling = asyncio.create_task(Scheduler(workspace).work())
        rivals = asyncio.create_task(launching.begin_rivals(workspace))
        settling = asyncio.create_task(publishing.settle_all(workspace))
        try:
            yield
        finally:
            app.state.closing.set()
            beside = (delivering, scheduling, rivals, settling)
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await publishing.close(workspace)
            await chatting.close(workspace)
            await generating.close(workspace)

    return lifespan


__all__ = ["create_app"]
