"""What the API's models share: how they are read and shown, pages, entity tags.

Names are the command line's: what `--json` prints is what the API answers.
"""

from __future__ import annotations

import re
from typing import Annotated, Generic, TypeVar

from fastapi import Header, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from waremill.app import Workspace
from waremill.app.accounts import Accounts
from waremill.app.paging import LARGEST
from waremill.web.rest.problems import Answered

T = TypeVar("T")


class Given(BaseModel):
    """A part of a request; a name it does not know is refused."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)


class Shown(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(from_attributes=True)


class Listing(Shown, Generic[T]):
    """A page of a listing; `next` is the cursor of the page after, null on the last one."""

    rows: list[T]
    next: str | None


class Counted(Shown):
    """How many there are."""

    count: int = Field(ge=0)


class FindingShown(Shown):
    """What a check found; `field` is empty where it is about all of them."""

    field: str
    rule: str
    severity: str
    message: str
    evidence: str


_PLAIN = r"^[^\x00-\x1f\x7f]*$"
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=_PLAIN)]
Sql = Annotated[str, Field(max_length=20_000, pattern=r"^[^\x00]*$")]
SearchText = Annotated[str, Field(min_length=1, max_length=2_000, pattern=r"^[^\x00]*$")]
TargetText = Annotated[
    str, Field(max_length=100, pattern=_PLAIN, description="As de-DE@amazon.", examples=["en-US"])
]
NamedTeam = Annotated[
    str | None, Field(max_length=64, description="A team's name; needed by who has several.")
]
Cursor = Annotated[str | None, Query(max_length=20_000, description="The `next` of a page.")]
Size = Annotated[int, Query(ge=1, le=LARGEST, description="The most rows of the page.")]
RunName = Annotated[
    str,
    Path(
        min_length=1, max_length=80, pattern=r"^[A-Za-z0-9-]+$",
        description="A run's id, a unique beginning of one, or `last`.", examples=["last"],
    ),
]  # fmt: skip
CatalogName = Annotated[
    str, Path(min_length=1, max_length=200, pattern=_PLAIN, description="A catalogue's name.")
]
ProductKey = Annotated[str, Path(max_length=2000, description="The product's key.")]
RowId = Annotated[int, Path(ge=1, lt=2**62, description="An id, as a listing gives it.")]
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", max_length=200, description="The `ETag` of what is changed."),
]


def file_name(path: str) -> str:
    """Give a file's name without the server's folder."""
    return path.replace("\\", "/").rpartition("/")[2]


def tag(response: Response, etag: str) -> None:
    """Set an answer's entity tag."""
    response.headers["ETag"] = f'"{etag}"'


def must_match(given: str | None, now: str) -> None:
    """Raise 428 for a change that does not say of what, 412 for one of what is not there any more.

    A change that creates something matches `""` by `If-Match: *` no more than anything else: a new
    thing has a tag of its own.
    """
    if given is None:
        raise Answered(
            428, "PreconditionRequired",
            "say with If-Match which state is changed: the ETag that a GET of it gives",
        )  # fmt: skip
    tags = re.findall(r'(?:W/)?"([^"]*)"', given)
    if given.strip() != "*" and now not in tags:
        raise Answered(412, "Changed", "it was changed meanwhile; get it anew, then change it")


def absolute(request: Request, path: str) -> str:
    """Give a path of ours as a `Location`: without host, so that a proxy need not rewrite it."""
    return f"{request.scope.get('root_path', '')}{path}"


async def team_names(workspace: Workspace) -> dict[int, str]:
    """Give the names of the teams the actor sees, by id."""
    return {team.id: team.name for team in await Accounts(workspace).teams()}


async def team_id(workspace: Workspace, name: str | None) -> int | None:
    """Give a team's id by its name; None where none was named."""
    if name is None:
        return None
    return (await Accounts(workspace).team(name)).id


async def the_team(workspace: Workspace, name: str | None) -> int:
    """Give a team's id by its name, or the actor's only one."""
    found = await team_id(workspace, name)
    if found is not None:
        return found
    known = await Accounts(workspace).teams()
    if len(known) != 1:
        raise Answered(422, "ValidationError", "there are several teams; say which: team")
    return known[0].id
