"""The routes about webhooks: whom we tell, of what, and how it went."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Request, Response
from pydantic import Field

from waremill.app.notifying import EVENTS, LONGEST_URL, Webhook, Webhooks
from waremill.errors import Conflict
from waremill.web.rest.acting import Acting
from waremill.web.rest.problems import Answered
from waremill.web.rest.shapes import (
    Cursor,
    Given,
    IfMatch,
    Listing,
    NamedTeam,
    RowId,
    Shown,
    Size,
    absolute,
    must_match,
    tag,
    team_names,
    the_team,
)

router = APIRouter(prefix="/v1", tags=["webhooks"])

Event = Literal["run.finished", "item.accepted", "schedule.stopped", "publication.finished"]
assert set(EVENTS) == set(get_args(Event))
_Url = Annotated[
    str,
    Field(min_length=8, max_length=LONGEST_URL, pattern=r"^https?://",
          examples=["https://shop.example/hooks"]),
]  # fmt: skip
_Events = Annotated[list[Event], Field(min_length=1, max_length=len(EVENTS))]


class WebhookGiven(Given):
    """Whom to tell, and of what."""

    url: _Url
    events: _Events = Field(default=list(get_args(Event)))
    team: NamedTeam = None


class WebhookChanges(Given):
    """What to change; what is left out stays."""

    url: _Url | None = None
    events: _Events | None = None
    active: bool | None = None


class WebhookShown(Shown):
    """Somebody who is told."""

    id: int
    url: str
    events: list[str]
    active: bool
    team: str | None
    by: str
    created_at: float


class WebhookMade(WebhookShown):
    """A new webhook with its secret, which is shown this once.

    Each message carries `Waremill-Signature: t=SECONDS,v1=HEX`, where HEX is the HMAC-SHA256 of
    `SECONDS.BODY` under the secret.
    """

    secret: str


class DeliveryShown(Shown):
    """A message to a webhook. A waiting one is tried again at `next_at` (Unix seconds)."""

    id: int
    event: str
    state: str = Field(description="waiting, delivered or failed.")
    attempts: int
    next_at: float
    status: int | None = Field(description="What the address answered last.")
    error: str | None
    created_at: float


@router.get("/webhooks")
async def list_webhooks(workspace: Acting) -> list[WebhookShown]:
    """List the webhooks of one's teams; for their admins."""
    workspace.actor.need_somewhere("admin", "webhooks")
    names = await team_names(workspace)
    return [_shown(one, names) for one in await Webhooks(workspace).list()]


@router.post("/webhooks", status_code=201)
async def add_webhook(
    workspace: Acting, request: Request, response: Response, given: WebhookGiven
) -> WebhookMade:
    """Add a webhook; its secret is in this answer and nowhere else."""
    workspace.actor.need_somewhere("admin", "webhooks")
    team = await the_team(workspace, given.team)
    made = await Webhooks(workspace).add(given.url, given.events, team=team)
    response.headers["Location"] = absolute(request, f"/v1/webhooks/{made.webhook.id}")
    response.headers["Cache-Control"] = "no-store"
    tag(response, _etag(made.webhook))
    shown = _shown(made.webhook, await team_names(workspace))
    return WebhookMade(**shown.model_dump(), secret=made.secret)


@router.get("/webhooks/{webhook}")
async def show_webhook(workspace: Acting, response: Response, webhook: RowId) -> WebhookShown:
    """Show a webhook, with the ETag that a change of it must give."""
    found = await Webhooks(workspace).find(webhook)
    tag(response, _etag(found))
    return _shown(found, await team_names(workspace))


@router.patch("/webhooks/{webhook}")
async def change_webhook(
    workspace: Acting,
    response: Response,
    webhook: RowId,
    given: WebhookChanges,
    if_match: IfMatch = None,
) -> WebhookShown:
    """Change a webhook, or switch it off and on."""
    webhooks = Webhooks(workspace)
    found = await webhooks.find(webhook)
    must_match(if_match, _etag(found))
    try:
        changed = await webhooks.change(
            webhook, url=given.url, events=given.events, active=given.active, was=found
        )
    except Conflict as error:
        raise Answered(412, "Changed", error.message) from None
    tag(response, _etag(changed))
    return _shown(changed, await team_names(workspace))


@router.delete("/webhooks/{webhook}", status_code=204)
async def remove_webhook(workspace: Acting, webhook: RowId) -> None:
    """Remove a webhook; what waits for it is not sent any more."""
    await Webhooks(workspace).remove(webhook)


@router.post("/webhooks/{webhook}/ping", status_code=202, response_model=DeliveryShown)
async def ping_webhook(workspace: Acting, webhook: RowId) -> Any:
    """Send a webhook a test message."""
    return await Webhooks(workspace).ping(webhook)


@router.get("/webhooks/{webhook}/deliveries", response_model=Listing[DeliveryShown])
async def list_deliveries(
    workspace: Acting, webhook: RowId, cursor: Cursor = None, size: Size = 50
) -> Any:
    """Page through what was sent to a webhook, newest first."""
    return await Webhooks(workspace).deliveries(webhook, cursor=cursor, size=size)


def _shown(found: Webhook, names: dict[int, str]) -> WebhookShown:
    return WebhookShown(
        id=found.id, url=found.url, events=list(found.events), active=found.active,
        team=names.get(found.team_id), by=found.by, created_at=found.created_at,
    )  # fmt: skip


def _etag(found: Webhook) -> str:
    state = f"{found.url}\n{','.join(found.events)}\n{found.active}"
    return sha256(state.encode()).hexdigest()[:16]
