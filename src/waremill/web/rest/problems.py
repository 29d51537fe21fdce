"""Errors as `application/problem+json` (RFC 9457): what went wrong, where, and nothing of ours.

A bug of ours is told by its request id alone; the traceback goes into the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import PurePath
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from waremill.errors import (
    Conflict,
    Forbidden,
    LimitReached,
    NotFound,
    OutputInvalid,
    ProviderError,
    UserError,
    WaremillError,
    Where,
)

MEDIA_TYPE = "application/problem+json"
_TITLES = {
    "Conflict": "It conflicts with how things are now",
    "ConfigError": "A setting or value cannot work",
    "Forbidden": "You may not do this",
    "LimitReached": "A limit is reached",
    "NotFound": "There is no such thing",
    "OutputInvalid": "The model's reply cannot be used",
    "ProviderError": "A model did not answer",
    "SourceError": "The file or database cannot be read",
    "TemplateError": "The template or pipeline cannot work",
    "UserError": "The request cannot be carried out",
    "ValidationError": "The request is not as it must be",
}
_LIMITS = {"budget": 402, "team": 402, "disk": 503, "lock": 503}


class Place(BaseModel):
    """Where in the user's own data the cause lies."""

    file: str | None = None
    sheet: str | None = None
    line: int | None = None
    row: int | None = None
    column: str | None = None


class Invalid(BaseModel):
    """One part of a request that is not as it must be."""

    place: str = Field(description="Such as `body.targets.0` or `query.size`.")
    message: str


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="A URI that names the kind of problem.")
    title: str = Field(description="The kind of problem in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="One sentence: what is wrong and what to do.")
    where: Place | None = Field(None, description="Where in the user's own data the cause lies.")
    request: str | None = Field(None, description="The request's id, as in the log.")
    errors: list[Invalid] | None = Field(None, description="What is wrong with which part.")


class Answered(Exception):
    """A status that is no error of the application: a precondition, a key in use.

    `kind` names the problem's type in CamelCase.
    """

    def __init__(self, status: int, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail


def install(app: FastAPI) -> None:
    """Answer every error of an application as a problem."""
    app.add_exception_handler(WaremillError, _ours)
    app.add_exception_handler(Answered, _answered)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _plain)


def status_of(error: WaremillError) -> int:
    """Give the HTTP status that an error of ours means."""
    match error:
        case NotFound():
            return 404
        case Forbidden():
            return 403
        case Conflict():
            return 409
        case UserError():
            return 422
        case LimitReached():
            return _LIMITS.get(error.limit, 409)
        case ProviderError() | OutputInvalid():
            return 502
    return 500


def describe(error: WaremillError, request_id: str | None = None) -> dict[str, Any]:
    """Describe an error of ours as a problem."""
    kind = "ProviderError" if isinstance(error, ProviderError) else type(error).__name__
    if isinstance(error, UserError) and kind not in _TITLES:
        kind = "UserError"
    where = _place(error.where) if isinstance(error, UserError) and error.where else None
    return problem(status_of(error), kind, error.message, request_id, where=where)


def problem(
    status: int,
    kind: str,
    detail: str,
    request_id: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Make a problem; `kind` is CamelCase and becomes its type, as in `urn:waremill:not-found`."""
    words = "".join(f"-{c.lower()}" if c.isupper() else c for c in kind).strip("-")
    found = {
        "type": f"urn:waremill:{words}", "title": _TITLES.get(kind) or _phrase(status),
        "status": status, "detail": detail, "request": request_id, **more,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value is not None}


def respond(found: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """Answer a request with a problem."""
    return JSONResponse(
        found, status_code=found["status"], media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )  # fmt: skip


def bug(request_id: str | None) -> dict[str, Any]:
    """Describe a bug of ours: nothing but where to look for it."""
    return problem(
        500, "InternalError",
        f"this is our bug; the server's log has it under the request's id {request_id}", request_id,
    )  # fmt: skip


def request_id_of(request: Request) -> str | None:
    """Give a request's id, as the log names it."""
    found: str | None = getattr(request.state, "request_id", None)
    return found


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, WaremillError)
    return respond(describe(error, request_id_of(request)))


async def _answered(request: Request, error: Exception) -> Response:
    assert isinstance(error, Answered)
    return respond(problem(error.status, error.kind, error.detail, request_id_of(request)))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"place": ".".join(map(str, one["loc"])), "message": str(one["msg"])}
        for one in error.errors()[:50]
    ]
    detail = "; ".join(f"{one['place']}: {one['message']}" for one in errors[:3])
    found = problem(422, "ValidationError", detail, request_id_of(request), errors=errors)
    return respond(found)


async def _plain(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = error.status_code
    if status < 400:
        return Response(status_code=status, headers=dict(error.headers or {}))
    details = {
        404: "there is nothing at this address; /docs lists what there is",
        405: "this address does not take that method",
        413: "the request is larger than this address takes",
    }
    detail = details.get(status) or str(error.detail)
    kind = "".join(word.capitalize() for word in _phrase(status).replace("-", " ").split())
    found = problem(status, kind, detail, request_id_of(request))
    return respond(found, dict(error.headers or {}))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _place(where: Where) -> dict[str, Any] | None:
    names = ("file", "sheet", "line", "row", "column")
    found = {name: value for name in names if (value := getattr(where, name)) is not None}
    if "file" in found and PurePath(found["file"]).is_absolute():
        found["file"] = PurePath(found["file"]).name  # the server's folders are nobody's business
    return found or None
