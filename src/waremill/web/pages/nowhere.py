"""What is shown at an address where there is no page, and where a page could not even begin.

Both stand in the console's frame. Whatever is no page, such as a file or an address of the API, is
answered as the API answers.
"""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from nicegui import ui
from nicegui.client import Client
from starlette.exceptions import HTTPException

from waremill.web.pages import frame, serving, tables
from waremill.web.pages.shell import View, language_of, note_bug
from waremill.web.rest import problems
from waremill.web.strings import translate

_NO_PAGES = ("/v1", "/_", "/download/", "/openapi.json", "/metrics")
log = logging.getLogger(__name__)


def install(console: FastAPI) -> None:
    """Answer what nothing else of the console does; it must not have answered anything yet."""
    console.add_exception_handler(404, _nowhere)
    console.add_exception_handler(Exception, _failed)


def _is_page(request: Request) -> bool:
    """Say whether a person asked for a page."""
    asked = "text/html" in request.headers.get("accept", "")
    page = asked and not request.url.path.startswith(_NO_PAGES)
    return page and request.method in ("GET", "HEAD")


async def _nowhere(request: Request, error: Exception) -> Response:
    if not _is_page(request) or serving.actor_of(request) is None:
        detail = str(error.detail) if isinstance(error, HTTPException) else ""
        if detail in ("", "Not Found"):
            detail = "there is nothing at this address; /docs lists what there is"
        return problems.respond(
            problems.problem(404, "NotFound", detail, problems.request_id_of(request))
        )
    said = translate(language_of(request), "shell.nowhere")
    return _page(request, "shell.nowhere_title", said, 404)


async def _failed(request: Request, error: Exception) -> Response:
    """Say in one sentence that a page failed; the traceback is in the log alone."""
    reference = note_bug(error, request)
    if not _is_page(request) or serving.actor_of(request) is None:
        return problems.respond(problems.bug(reference))
    said = translate(language_of(request), "shell.bug", reference=reference)
    try:
        return _page(request, "shell.failed_title", said, 500)
    except Exception:  # it is the frame itself that cannot be drawn
        log.exception("the frame of a page failed, too")
        return HTMLResponse(f"<!doctype html><title>Waremill</title><p>{said}</p>", 500)


def _page(request: Request, title_key: str, said: str, status: int) -> Response:
    """Say a sentence in the console's frame, with a way on."""
    actor = serving.actor_of(request)
    assert actor is not None  # asked before
    with Client(ui.page(""), request=request) as client:
        view = View(request, actor, title_key)
        view.frame = frame.draw(view)
        view.title(view.t(title_key))
        with view.frame.main:
            frame.sentence(said)
            tables.link(view.t("nav.catalogue"), "/catalogue", "wm-do")
        return client.build_response(request, status)
