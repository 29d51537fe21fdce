"""The API does what the command line does: each command, and each option of it, has its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
import pytest
from tests.web.shops import Shop, shop, stocked, vendor_url

from waremill.cli import COMMANDS, cli

__all__ = ["shop", "stocked", "vendor_url"]

RUN = "/v1/runs/{run}"
ROUTES: Mapping[str, tuple[str, ...]] = {
    "doctor": ("GET /v1/doctor",),
    "models": ("GET /v1/models", "POST /v1/models/check"),
    "import": ("POST /v1/uploads", "POST /v1/imports", "POST /v1/sources/{source}/import"),
    "products": ("GET /v1/catalogs/{catalog}/products", "GET /v1/catalogs/{catalog}/count"),
    "templates": (
        "GET /v1/templates", "GET /v1/templates/{template}/problems",
        "POST /v1/templates/{template}/prompt",
    ),
    "estimate": ("POST /v1/estimates",),
    "trial": ("POST /v1/trials", "GET /v1/trials/{run}"),
    "run": ("POST /v1/runs",),
    "runs": ("GET /v1/runs",),
    "status": (f"GET {RUN}", f"GET {RUN}/events"),
    "resume": (f"POST {RUN}/resume", f"POST {RUN}/retry", f"PUT {RUN}/budget"),
    "pause": (f"POST {RUN}/pause",),
    "cancel": (f"POST {RUN}/cancel",),
    "work": (f"POST {RUN}/start",),
    "review": (f"POST {RUN}/reviews/accept-where", f"POST {RUN}/reviews/count"),
    "report": (f"GET {RUN}/report",),
    "export": (f"GET {RUN}/export",),
    "publish run": (f"POST {RUN}/publications", f"GET {RUN}/refusals"),
    "publish list": ("GET /v1/publications",),
    "publish show": ("GET /v1/publications/{publication}",),
    "publish refusals": (
        "GET /v1/publications/{publication}/refusals",
        "GET /v1/publications/{publication}/refusals/export",
    ),
    "publish rollback": ("POST /v1/publications/{publication}/rollback",),
    "publish channels": ("GET /v1/publish/channels",),
    "faq entries": (f"GET {RUN}/faq",),
    "faq unanswered": (f"GET {RUN}/faq/unanswered",),
    "schedule add": ("POST /v1/schedules",),
    "schedule list": ("GET /v1/schedules",),
    "schedule show": ("GET /v1/schedules/{schedule}", "GET /v1/schedules/{schedule}/slots"),
    "schedule pause": ("POST /v1/schedules/{schedule}/pause",),
    "schedule resume": ("POST /v1/schedules/{schedule}/resume",),
    "schedule remove": ("DELETE /v1/schedules/{schedule}",),
    "schedule run": ("POST /v1/schedules/{schedule}/run",),
    "knowledge add": ("POST /v1/uploads", "POST /v1/knowledge/{knowledge}/documents"),
    "knowledge list": ("GET /v1/knowledge",),
    "knowledge show": (
        "GET /v1/knowledge/{knowledge}", "GET /v1/knowledge/{knowledge}/documents",
        "GET /v1/knowledge/{knowledge}/documents/{document}",
    ),
    "knowledge search": ("POST /v1/knowledge/{knowledge}/search",),
    "knowledge export": ("GET /v1/knowledge/{knowledge}/export",),
    "knowledge rebuild": ("POST /v1/knowledge/{knowledge}/rebuild",),
    "knowledge remove": (
        "DELETE /v1/knowledge/{knowledge}/documents/{document}",
        "DELETE /v1/knowledge/{knowledge}",
    ),
    "chat": (
        "POST /v1/chat", "GET /v1/chat", "GET /v1/chat/{conversation}",
        "PATCH /v1/chat/{conversation}", "DELETE /v1/chat/{conversation}",
        "GET /v1/chat/{conversation}/export", "POST /v1/chat/{conversation}/stop",
        "POST /v1/chat/{conversation}/permit",
    ),
    "user add": ("POST /v1/users", "PUT /v1/teams/{team}/members/{name}"),
    "user list": ("GET /v1/users",),
    "user password": ("PUT /v1/users/{name}/password",),
    "user disable": ("PATCH /v1/users/{name}",),
    "user role": (
        "PUT /v1/teams/{team}/members/{name}", "DELETE /v1/teams/{team}/members/{name}",
    ),
    "user team": (
        "GET /v1/teams", "POST /v1/teams", "GET /v1/teams/{team}", "PATCH /v1/teams/{team}",
        "GET /v1/teams/{team}/members",
    ),
    "user owner": (
        "GET /v1/owners/{kind}/{name}", "PUT /v1/owners/{kind}/{name}",
        "DELETE /v1/owners/{kind}/{name}",
    ),
    "user token add": ("POST /v1/tokens",),
    "user token list": ("GET /v1/tokens",),
    "user token revoke": ("DELETE /v1/tokens/{token}",),
}  # fmt: skip
"""What a command does, over the API."""
NO_MEANING = {
    "init": "it makes a folder, and a running server has one",
    "serve": "it is the server",
    "backup": "it writes a file of everybody's on the server's machine",
    "restore": "it makes a folder, and a running server has one",
    "schedule work": "the server does it",
    "erase": "it cannot be taken back, and is for who runs the machine",
    "retain": "the machine's cron calls it",
}
OPTIONS: Mapping[str, Mapping[str, str]] = {
    "import": {"files": "upload", "source": ""},
    "estimate": {"source": "upload"},
    "trial": {"source": "upload", "gold": "gold_upload", "place": ""},
    "run": {"source": "upload", "output": ""},
    "schedule add": {"gold": "gold_column"},
    "chat": {"resume": "conversation", "listing": "", "place": "", "deleting": ""},
}
"""Options that are called otherwise over the API; nothing where a route gives the file itself."""
BODIES = {"import": "ImportGiven", "estimate": "EstimateGiven", "trial": "TrialGiven",
          "run": "RunGiven", "schedule add": "ScheduleGiven", "chat": "ChatGiven"}  # fmt: skip
EVERYWHERE = {"folder", "as_json"}


def every_command() -> dict[str, click.Command]:
    """All commands, those of groups by their full names."""
    found: dict[str, click.Command] = {}

    def add(name: str, command: click.Command | None) -> None:
        assert command is not None, name
        if isinstance(command, click.Group):
            for inner in command.list_commands(context):
                add(f"{name} {inner}", command.get_command(context, inner))
        else:
            found[name] = command

    context = click.Context(cli)
    for name in COMMANDS:
        add(name, cli.get_command(context, name))
    return found


async def test_every_command_has_its_routes(shop: Shop) -> None:
    document = shop.app.openapi()
    known = {
        f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item
    }
    commands = set(every_command())
    pictures = {one for one in commands if one.startswith("image ")}  # one route an operation
    assert commands - pictures == set(ROUTES) | set(NO_MEANING)
    wanted = {route for routes in ROUTES.values() for route in routes}
    wanted |= {f"POST /v1/pictures/{one.removeprefix('image ')}" for one in pictures}
    assert not wanted - known


@pytest.mark.parametrize("name", BODIES)
async def test_every_option_of_a_task_can_be_said(shop: Shop, name: str) -> None:
    schemas: dict[str, Any] = shop.app.openapi()["components"]["schemas"]
    fields = set(schemas[BODIES[name]]["properties"])
    for parameter in every_command()[name].params:
        said = OPTIONS[name].get(str(parameter.name), str(parameter.name))
        assert not said or said in fields or said in EVERYWHERE, parameter.name
