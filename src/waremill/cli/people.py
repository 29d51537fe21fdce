"""Users, teams, roles and API tokens, as the command group `user`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import click

from waremill.app import Workspace
from waremill.app.accounts import Accounts, Team, TeamChanges, Token, User
from waremill.app.acting import ROLES
from waremill.app.owning import KINDS, Kind, Owners
from waremill.cli.door import command, exit_code, print_json, print_table, with_workspace
from waremill.errors import ConfigError

NONE = "none"


@click.group("user", short_help="Accounts, teams, roles and API tokens.")
def user_command() -> None:
    """Say who may use the server, and what they may do in which team.

    As soon as there is one account, everybody signs in. The first account manages users and is
    an admin of the team “main”.
    """


def _ask_password(from_stdin: bool) -> str:
    """Read a password without showing it: from the terminal twice, or one line of stdin."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise ConfigError("there is no terminal to ask for a password; use --password-stdin")
    try:
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    except click.Abort:
        raise KeyboardInterrupt from None


password_option = click.option(
    "--password-stdin", "from_stdin", is_flag=True, help="Read the password from stdin."
)


@command("add", short_help="Add a user.")
@click.argument("name")
@click.option("--manages", is_flag=True, help="May manage users and teams.")
@click.option("--team", metavar="T", help="A team to belong to (default with --role: main).")
@click.option("--role", type=click.Choice(ROLES), help="The role in the team.")
@click.option("--no-password", is_flag=True, help="For programs: such a user only has tokens.")
@password_option
def add_command(folder: str | None, as_json: bool, name: str, **given: Any) -> int:
    """Add the user NAME; asks for a password."""

    async def work(workspace: Workspace, password: str | None) -> int:
        accounts = Accounts(workspace)
        user = await accounts.add_user(name, password, manages=given["manages"])
        if given["role"] or given["team"]:
            await accounts.set_role(user.name, given["team"] or "main", given["role"] or "viewer")
        return await _show(accounts, as_json, user.name)

    def start() -> int:
        # Asked before the event loop runs: its signal handlers would not interrupt a prompt.
        password = None if given["no_password"] else _ask_password(given["from_stdin"])
        return with_workspace(folder, as_json, lambda workspace: work(workspace, password))

    return exit_code(as_json, start)


@command("list", short_help="List the users and their roles.")
def list_command(folder: str | None, as_json: bool) -> int:
    """List the users, what they may do in which team, and who is kept out."""

    async def work(workspace: Workspace) -> int:
        return await _show(Accounts(workspace), as_json)

    return with_workspace(folder, as_json, work)


async def _show(accounts: Accounts, as_json: bool, only: str | None = None) -> int:
    names = {team.id: team.name for team in await accounts.teams()}
    found = [user for user in await accounts.users() if only in (None, user.name)]
    rows = [_row(user, names) for user in found]
    if as_json:
        print_json(rows if only is None else rows[0])
        return 0
    for row in rows:
        row["teams"] = [f"{team} ({role})" for team, role in row["teams"].items()]
        row["state"] = "disabled" if row["disabled"] else "manages users" if row["manages"] else ""
    print_table(rows, ["name", "teams", "state"])
    return 0


def _row(user: User, names: dict[int, str]) -> dict[str, Any]:
    return {
        "name": user.name, "manages": user.manages, "disabled": user.disabled,
        "has_password": user.has_password,
        "teams": {names[team]: role for team, role in user.roles.items()},
    }  # fmt: skip


@command("password", short_help="Set a user's password.")
@click.argument("name")
@password_option
def password_command(folder: str | None, as_json: bool, name: str, from_stdin: bool) -> int:
    """Set the password of the user NAME, which ends the user's sessions."""

    async def work(workspace: Workspace, password: str) -> int:
        accounts = Accounts(workspace)
        user = await accounts.user(name)
        await accounts.set_password(user.name, password)
        return await _show(accounts, as_json, user.name)

    def start() -> int:
        password = _ask_password(from_stdin)
        return with_workspace(folder, as_json, lambda workspace: work(workspace, password))

    return exit_code(as_json, start)


@command("disable", short_help="Keep a user out.")
@click.argument("name")
@click.option("--enable", is_flag=True, help="Let the user in again.")
def disable_command(folder: str | None, as_json: bool, name: str, enable: bool) -> int:
    """Keep the user NAME out at once: sessions end and tokens stop working."""

    async def work(workspace: Workspace) -> int:
        accounts = Accounts(workspace)
        user = await accounts.disable(name, not enable)
        return await _show(accounts, as_json, user.name)

    return with_workspace(folder, as_json, work)


@command("role", short_help="Give or take a role in a team.")
@click.argument("name")
@click.argument("role", type=click.Choice([*ROLES, NONE]))
@click.option("--team", metavar="T", default="main", help="The team (default: main).")
def role_command(folder: str | None, as_json: bool, name: str, role: str, team: str) -> int:
    """Give the user NAME a role in a team, or with `none` take it."""

    async def work(workspace: Workspace) -> int:
        accounts = Accounts(workspace)
        await accounts.set_role(name, team, None if role == NONE else role)
        return await _show(accounts, as_json, (await accounts.user(name)).name)

    return with_workspace(folder, as_json, work)


@command("team", short_help="List, add or set a team.")
@click.argument("name", required=False)
@click.option("--add", is_flag=True, help="Add the team NAME.")
@click.option("--monthly-budget", metavar="X", help="Most it may spend a month, or `none`.")
@click.option("--share", metavar="X", type=float, help="Its part of every rate, up to 1.")
@click.option("--approve-above", metavar="X", help="Runs above it need a second person, or `none`.")
def team_command(
    folder: str | None, as_json: bool, name: str | None, add: bool, **given: Any
) -> int:
    """List the teams, or add or set the team NAME. Amounts are in the workspace's currency."""

    async def work(workspace: Workspace) -> int:
        accounts = Accounts(workspace)
        changes = _team_changes(given)
        if name is None:
            if add or changes:
                raise ConfigError("name the team: waremill user team NAME …")
        elif add:
            await accounts.add_team(name)
        if name is not None:
            await accounts.set_team(name, **changes)
        teams = await accounts.teams() if name is None else (await accounts.team(name),)
        rows = [await _team_row(accounts, team) for team in teams]
        if as_json:
            print_json(rows if name is None else rows[0])
            return 0
        for row in rows:
            row["members"] = [f"{who} ({role})" for who, role in row["members"].items()]
        print_table(rows, ["name", "monthly_budget", "share", "approve_above", "members"])
        return 0

    return with_workspace(folder, as_json, work)


async def _team_row(accounts: Accounts, team: Team) -> dict[str, Any]:
    return {
        "name": team.name, "monthly_budget": team.monthly_budget, "share": team.share,
        "approve_above": team.approve_above, "members": dict(await accounts.members(team.name)),
    }  # fmt: skip


def _team_changes(given: dict[str, Any]) -> TeamChanges:
    changes: TeamChanges = {}
    if given["monthly_budget"] is not None:
        changes["monthly_budget"] = _amount(given["monthly_budget"])
    if given["approve_above"] is not None:
        changes["approve_above"] = _amount(given["approve_above"])
    if given["share"] is not None:
        changes["share"] = given["share"]
    return changes


def _amount(text: str) -> float | None:
    if text == NONE:
        return None
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"“{text}” is no amount; write a number, or none") from None


@command("owner", short_help="Give a template, pipeline, model or channel away.")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name")
@click.option("--team", metavar="T", help="The team it belongs to from now on.")
@click.option("--everybody", is_flag=True, help="It belongs to every team from now on.")
def owner_command(folder: str | None, as_json: bool, kind: Kind, name: str, **given: Any) -> int:
    """Say to whom the template, pipeline, model or channel NAME belongs; with an option, change it.

    What belongs to a team is not there for the others: not in a list, not by name.
    """

    async def work(workspace: Workspace) -> int:
        team, everybody = given["team"], given["everybody"]
        if team is not None and everybody:
            raise ConfigError("choose one: --team or --everybody")
        owners = Owners(workspace)
        if team is not None or everybody:
            found = await owners.give(kind, name, team)
        else:
            found = await owners.find(kind, name)
        if as_json:
            print_json({"kind": found.kind, "name": found.name, "team": found.team})
        else:
            whose = "everybody" if found.team is None else f"team {found.team}"
            click.echo(f"{found.kind} {found.name} belongs to {whose}")
        return 0

    return with_workspace(folder, as_json, work)


@click.group("token", short_help="API tokens.")
def token_group() -> None:
    """Make, list and revoke API tokens."""


@command("add", short_help="Make a token.")
@click.argument("name")
@click.option("--user", metavar="U", required=True, help="Whose rights it has.")
@click.option("--team", metavar="T", help="The only team it works in (default: all of U's).")
@click.option(
    "--role", type=click.Choice(ROLES), default="viewer", show_default=True,
    help="The most it may do.",
)  # fmt: skip
@click.option("--days", type=float, default=90, show_default=True, help="Days until it expires.")
@click.option("--forever", is_flag=True, help="It never expires.")
def token_add_command(folder: str | None, as_json: bool, name: str, **given: Any) -> int:
    """Make the API token NAME. Its text is printed once and kept nowhere."""

    async def work(workspace: Workspace) -> int:
        text, token = await Accounts(workspace).add_token(
            name, user=given["user"], team=given["team"], role=given["role"],
            days=None if given["forever"] else given["days"],
        )  # fmt: skip
        if as_json:
            print_json({**_token_row(token), "text": text})
        else:
            click.echo(text)
            click.echo("keep it now: it is not shown again", err=True)
        return 0

    return with_workspace(folder, as_json, work)


@command("list", short_help="List the tokens.")
def token_list_command(folder: str | None, as_json: bool) -> int:
    """List everybody's API tokens, newest first."""

    async def work(workspace: Workspace) -> int:
        rows = [_token_row(one) for one in await Accounts(workspace).tokens(everybody=True)]
        if as_json:
            print_json(rows)
            return 0
        for row in rows:
            for name in ("expires_at", "used_at", "revoked_at"):
                row[name] = _day(row[name])
        print_table(rows, ["id", "name", "user", "role", "expires_at", "used_at", "revoked_at"])
        return 0

    return with_workspace(folder, as_json, work)


@command("revoke", short_help="End a token.")
@click.argument("token", type=int)
def token_revoke_command(folder: str | None, as_json: bool, token: int) -> int:
    """End the API token with the id TOKEN at once."""

    async def work(workspace: Workspace) -> int:
        row = _token_row(await Accounts(workspace).revoke(token))
        if as_json:
            print_json(row)
        else:
            click.echo(f"token {row['name']} of {row['user']} is revoked")
        return 0

    return with_workspace(folder, as_json, work)


def _token_row(token: Token) -> dict[str, Any]:
    return {
        "id": token.id, "name": token.name, "user": token.user, "role": token.role,
        "expires_at": token.expires_at, "used_at": token.used_at, "revoked_at": token.revoked_at,
    }  # fmt: skip


def _day(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


for _one in (token_add_command, token_list_command, token_revoke_command):
    token_group.add_command(_one)
for _one in (
    add_command, list_command, password_command, disable_command, role_command, team_command,
    owner_command, token_group,
):  # fmt: skip
    user_command.add_command(_one)
