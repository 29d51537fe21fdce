"""The routes about people: sign-in, users, teams, members, API tokens, the audit log."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from waremill.app import Workspace, auditing
from waremill.app.accounts import (
    Accounts,
    Team,
    TeamChanges,
    Token,
    TooManyAttempts,
    User,
    WrongPassword,
    as_role,
)
from waremill.app.acting import Role
from waremill.web.rest import problems
from waremill.web.rest.acting import Acting
from waremill.web.security.callers import cookie_name

router = APIRouter(prefix="/v1", tags=["people"])

_NO_STORE = {"cache-control": "no-store"}
"""Said by the route itself where an answer holds a secret: what keeps answers looks for it."""

_Name = Annotated[str, Field(min_length=1, max_length=64)]
_Password = Annotated[SecretStr, Field(max_length=1000)]
_UserName = Annotated[str, Path(max_length=64, description="A user's name.")]
_TeamName = Annotated[str, Path(max_length=64, description="A team's name.")]
_TokenId = Annotated[int, Path(ge=1, lt=2**63, description="A token's id.")]


def _answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": problems.Problem} for status in (401, 403, *statuses)}


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Credentials(_Given):
    """A name and a password."""

    name: Annotated[str, Field(max_length=256)]
    password: _Password


class RoleInTeam(BaseModel):
    """A role in a team."""

    team: str
    role: Role


class Me(BaseModel):
    """Who calls. `local` is the person at a machine without accounts."""

    name: str
    local: bool
    manages: bool = Field(description="May manage users and teams.")
    language: str
    teams: list[RoleInTeam]
    csrf: str = Field(description="What a browser's changes carry in X-CSRF-Token.")


class UserShown(BaseModel):
    """A user."""

    name: str
    manages: bool
    disabled: bool
    has_password: bool
    language: str
    created_at: float
    teams: list[RoleInTeam]


class NewUser(_Given):
    """A user to add; without a password it can only have tokens."""

    name: _Name
    password: _Password | None = None
    manages: bool = False


class UserChanges(_Given):
    """What to change of a user."""

    disabled: bool | None = None
    manages: bool | None = None


class NewPassword(_Given):
    """A new password; one's own needs the current one, too."""

    password: _Password
    current: _Password | None = None


class Language(_Given):
    """A language of the console."""

    language: Literal["en", "zh"]


class TeamShown(BaseModel):
    """A team. Money is in the workspace's currency; null is no limit."""

    name: str
    monthly_budget: float | None
    share: float
    approve_above: float | None
    created_at: float


class NewTeam(_Given):
    """A team to add."""

    name: _Name


class TeamChanged(_Given):
    """What to set of a team; what is left out stays, null takes a limit away."""

    monthly_budget: Annotated[float, Field(ge=0, le=1e9)] | None = None
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    approve_above: Annotated[float, Field(ge=0, le=1e9)] | None = None


class Member(BaseModel):
    """A team's member."""

    user: str
    role: Role


class NewRole(_Given):
    """A role to give."""

    role: Role


class TokenShown(BaseModel):
    """A token without its text."""

    id: int
    name: str
    user: str
    team: str | None = Field(description="The only team it works in; null: all of its user's.")
    role: Role = Field(description="The most it may do.")
    created_at: float
    expires_at: float | None
    used_at: float | None
    revoked_at: float | None


class NewToken(_Given):
    """A token to make. `user` is the caller unless who manages users names another."""

    name: _Name
    user: _Name | None = None
    team: _Name | None = None
    role: Role = "viewer"
    days: Annotated[float, Field(gt=0, le=3650)] | None = Field(90, description="Until it expires.")


class TokenMade(TokenShown):
    """A token with its text, which is never shown again."""

    text: str


class Entry(BaseModel):
    """One entry of the audit log."""

    id: int
    at: float
    by: str
    team: str | None
    action: str
    subject: str
    detail: dict[str, Any]
    address: str | None


class Entries(BaseModel):
    """A page of the audit log, newest first; `next` is the cursor of the page after."""

    rows: list[Entry]
    next: str | None


# The session.


@router.post(
    "/session", response_model=Me, responses={**_answers(429), 403: {"model": problems.Problem}}
)
async def sign_in(request: Request, response: Response, given: Credentials) -> Me | Response:
    """Sign in: sets the session's cookie and gives the CSRF token that changes must carry.

    The answer is 429 with Retry-After after five wrong sign-ins a minute for one name from one
    address, twenty for one name, or fifty from one address.
    """
    workspace: Workspace = request.app.state.workspace
    accounts = Accounts(workspace)
    address = request.client.host if request.client else None
    try:
        signed = await accounts.sign_in(given.name, given.password.get_secret_value(), address)
    except TooManyAttempts as error:
        return _refused(request, 429, error.message, {"Retry-After": str(error.retry_after)})
    except WrongPassword as error:
        return _refused(request, 401, error.message)
    cookie = request.state.cookie
    if old := request.cookies.get(cookie):
        await accounts.sign_out(old)
    found = await accounts.actor_of_session(signed.secret, address)
    if found is None:  # disabled between the two
        return _refused(request, 401, "the name or the password is wrong")
    response.headers.update(_NO_STORE)
    response.set_cookie(
        cookie, signed.secret, path="/", httponly=True, samesite="lax", secure=_is_secure(cookie)
    )
    return await _me(workspace.acting(found[0]), signed.csrf)


def _refused(
    request: Request, status: int, detail: str, headers: dict[str, str] | None = None
) -> Response:
    kind = "TooManyRequests" if status == 429 else "NotSignedIn"
    found = problems.problem(status, kind, detail, problems.request_id_of(request))
    return problems.respond(found, headers)


def _is_secure(cookie: str) -> bool:
    return cookie == cookie_name(True)


@router.get("/session", responses=_answers())
async def who_am_i(request: Request, workspace: Acting) -> Me:
    """Say who calls, with the roles and the session's CSRF token."""
    return await _me(workspace, request.state.csrf)


@router.delete("/session", status_code=204, responses=_answers())
async def sign_out(request: Request, response: Response, workspace: Acting) -> None:
    """End the session."""
    cookie = request.state.cookie
    if secret := request.cookies.get(cookie):
        await Accounts(workspace).sign_out(secret)
    response.delete_cookie(
        cookie, path="/", httponly=True, samesite="lax", secure=_is_secure(cookie)
    )


@router.put("/session/language", status_code=204, responses=_answers())
async def set_language(workspace: Acting, given: Language) -> None:
    """Keep the caller's language of the console."""
    await Accounts(workspace).set_language(given.language)


async def _me(workspace: Workspace, csrf: str) -> Me:
    accounts, actor = Accounts(workspace), workspace.actor
    user = await accounts.me()
    held = {
        team.name: role
        for team in await accounts.teams()
        if (role := actor.role(team.id)) is not None
    }
    return Me(
        name=actor.name,
        local=user is None,
        manages=actor.manages,
        language="en" if user is None else user.language,
        teams=[RoleInTeam(team=name, role=role) for name, role in held.items()],
        csrf=csrf,
    )


# Users.


@router.get("/users", responses=_answers())
async def list_users(workspace: Acting) -> list[UserShown]:
    """List the users by name; for admins of a team and who manages users."""
    accounts = Accounts(workspace)
    names = await _team_names(accounts)
    return [_user(user, names) for user in await accounts.users()]


@router.post("/users", status_code=201, responses=_answers(409))
async def add_user(workspace: Acting, given: NewUser) -> UserShown:
    """Add a user. The first account manages users, and from then on everybody signs in."""
    accounts = Accounts(workspace)
    password = None if given.password is None else given.password.get_secret_value()
    user = await accounts.add_user(given.name, password, manages=given.manages)
    return _user(user, await _team_names(accounts))


@router.patch("/users/{name}", responses=_answers(404, 409))
async def change_user(workspace: Acting, name: _UserName, given: UserChanges) -> UserShown:
    """Disable a user or let the user in again; say who manages users."""
    accounts = Accounts(workspace)
    user = await accounts.change_user(name, manages=given.manages, disabled=given.disabled)
    return _user(user, await _team_names(accounts))


@router.put("/users/{name}/password", status_code=204, responses=_answers(404, 429))
async def set_password(
    request: Request, workspace: Acting, name: _UserName, given: NewPassword
) -> Response:
    """Set a password, which ends the user's sessions; one's own needs the current one."""
    current = None if given.current is None else given.current.get_secret_value()
    try:
        await Accounts(workspace).set_password(
            name, given.password.get_secret_value(), current=current
        )
    except TooManyAttempts as error:
        return _refused(request, 429, error.message, {"Retry-After": str(error.retry_after)})
    return Response(status_code=204)


def _user(user: User, names: dict[int, str]) -> UserShown:
    held = sorted((names[team], role) for team, role in user.roles.items() if team in names)
    return UserShown(
        name=user.name,
        manages=user.manages,
        disabled=user.disabled,
        has_password=user.has_password,
        language=user.language,
        created_at=user.created_at,
        teams=[RoleInTeam(team=team, role=as_role(role)) for team, role in held],
    )


async def _team_names(accounts: Accounts) -> dict[int, str]:
    return {team.id: team.name for team in await accounts.teams()}


# Teams.


@router.get("/teams", responses=_answers())
async def list_teams(workspace: Acting) -> list[TeamShown]:
    """List the caller's teams by name; all of them for who manages teams."""
    return [_team(team) for team in await Accounts(workspace).teams()]


@router.post("/teams", status_code=201, responses=_answers(409))
async def add_team(workspace: Acting, given: NewTeam) -> TeamShown:
    """Add a team."""
    return _team(await Accounts(workspace).add_team(given.name))


@router.get("/teams/{team}", responses=_answers(404))
async def show_team(workspace: Acting, team: _TeamName) -> TeamShown:
    """Show a team."""
    return _team(await Accounts(workspace).team(team))


@router.patch("/teams/{team}", responses=_answers(404))
async def change_team(workspace: Acting, team: _TeamName, given: TeamChanged) -> TeamShown:
    """Set a team's monthly budget, its share of the rates, and what needs a second person."""
    changes: TeamChanges = {}
    if "monthly_budget" in given.model_fields_set:
        changes["monthly_budget"] = given.monthly_budget
    if "share" in given.model_fields_set:
        changes["share"] = given.share
    if "approve_above" in given.model_fields_set:
        changes["approve_above"] = given.approve_above
    return _team(await Accounts(workspace).set_team(team, **changes))


@router.get("/teams/{team}/members", responses=_answers(404))
async def list_members(workspace: Acting, team: _TeamName) -> list[Member]:
    """List a team's members by name."""
    found = await Accounts(workspace).members(team)
    return [Member(user=name, role=role) for name, role in found]


@router.put("/teams/{team}/members/{name}", status_code=204, responses=_answers(404))
async def set_role(workspace: Acting, team: _TeamName, name: _UserName, given: NewRole) -> None:
    """Give a user a role in a team."""
    await Accounts(workspace).set_role(name, team, given.role)


@router.delete("/teams/{team}/members/{name}", status_code=204, responses=_answers(404))
async def take_role(workspace: Acting, team: _TeamName, name: _UserName) -> None:
    """Take a user's role in a team."""
    await Accounts(workspace).set_role(name, team, None)


def _team(team: Team) -> TeamShown:
    return TeamShown(
        name=team.name,
        monthly_budget=team.monthly_budget,
        share=team.share,
        approve_above=team.approve_above,
        created_at=team.created_at,
    )


# API tokens.


@router.get("/tokens", responses=_answers())
async def list_tokens(
    workspace: Acting,
    everybody: Annotated[bool, Query(description="For who manages users.")] = False,
) -> list[TokenShown]:
    """List the caller's API tokens, newest first."""
    accounts = Accounts(workspace)
    names = await _team_names(accounts)
    return [_token(token, names) for token in await accounts.tokens(everybody=everybody)]


@router.post("/tokens", status_code=201, responses=_answers(404))
async def add_token(response: Response, workspace: Acting, given: NewToken) -> TokenMade:
    """Make an API token; its text is in this answer and nowhere else."""
    accounts = Accounts(workspace)
    text, token = await accounts.add_token(
        given.name, user=given.user, team=given.team, role=given.role, days=given.days
    )
    response.headers.update(_NO_STORE)
    shown = _token(token, await _team_names(accounts))
    return TokenMade(**shown.model_dump(), text=text)


@router.delete("/tokens/{token}", status_code=204, responses=_answers(404))
async def revoke_token(workspace: Acting, token: _TokenId) -> None:
    """End an API token at once; ending it twice is as good."""
    await Accounts(workspace).revoke(token)


def _token(token: Token, names: dict[int, str]) -> TokenShown:
    return TokenShown(
        id=token.id,
        name=token.name,
        user=token.user,
        # A team the caller has left has no name any more, but the token is still bound to it.
        team=None if token.team is None else names.get(token.team, str(token.team)),
        role=as_role(token.role),
        created_at=token.created_at,
        expires_at=token.expires_at,
        used_at=token.used_at,
        revoked_at=token.revoked_at,
    )


# The audit log.


@router.get("/audit", responses=_answers(404))
async def list_audit(
    workspace: Acting,
    team: Annotated[str | None, Query(max_length=64, description="Only this team's.")] = None,
    cursor: Annotated[str | None, Query(max_length=500, description="A page's `next`.")] = None,
    size: Annotated[int, Query(ge=1, le=1000, description="Entries of a page.")] = 50,
    action: Annotated[str | None, Query(max_length=64, description="Such as `run.start`.")] = None,
    by: Annotated[str | None, Query(max_length=64, description="Only what this user did.")] = None,
) -> Entries:
    """Page through the audit log, newest first; for admins, of their teams' entries."""
    accounts = Accounts(workspace)
    where = None if team is None else (await accounts.team(team)).id
    page = await auditing.entries(
        workspace, team=where, after=cursor, size=size, action=action, by=by
    )
    names = await _team_names(accounts)
    rows = [
        Entry(
            id=one.id,
            at=one.at,
            by=one.by,
            team=None if one.team is None else names.get(one.team, str(one.team)),
            action=one.action,
            subject=one.subject,
            detail=dict(one.detail),
            address=one.address,
        )
        for one in page.rows
    ]
    return Entries(rows=rows, next=page.next)


__all__ = ["router"]
