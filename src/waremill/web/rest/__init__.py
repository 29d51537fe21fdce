"""The REST API under `/v1`: routes that read a request, ask the application, and show its answer.

A route holds no logic and no SQL. Everything that goes wrong is answered as a problem.
"""

from __future__ import annotations

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.routing import Match

from waremill.web.rest import (
    catalogue,
    chat,
    checking,
    faq,
    files,
    idempotency,
    knowledge,
    owners,
    people,
    pictures,
    playing,
    publishing,
    records,
    reference,
    reviews,
    runs,
    schedules,
    sources,
    tasks,
    webhooks,
)

ROUTERS = (
    catalogue.router,
    sources.router,
    knowledge.router,
    files.router,
    checking.templates,
    files.models,
    playing.router,
    checking.router,
    tasks.router,
    runs.router,
    runs.trials,
    schedules.router,
    faq.router,
    publishing.router,
    reviews.router,
    pictures.router,
    chat.router,
    records.changes,
    records.router,
    webhooks.router,
    owners.router,
    people.router,
)
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


def install(app: FastAPI) -> None:
    """Put the API, its document and its reference page on an application."""
    for router in ROUTERS:
        app.include_router(router)
    app.add_api_route("/v1/{rest:path}", _nothing, methods=_METHODS, include_in_schema=False)
    reference.install(app)
    idempotency.install(app)


async def _nothing(request: Request) -> None:
    """Say that there is nothing here, before the console says so with a page."""
    allowed: set[str] = set()
    for router in ROUTERS:
        for route in router.routes:
            matched, _ = route.matches(request.scope)
            if matched is not Match.NONE:
                allowed |= getattr(route, "methods", None) or set()
    if allowed:
        raise HTTPException(405, headers={"Allow": ", ".join(sorted(allowed))})
    raise HTTPException(404)


__all__ = ["ROUTERS", "install"]
