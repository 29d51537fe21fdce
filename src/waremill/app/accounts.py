"""Users, teams, members and API tokens: who may change them, and the record that they did."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from sqlalchemy import Connection

from waremill.app import signing_in
from waremill.app.acting import ROLES, Actor, Role
from waremill.app.attempts import TooManyAttempts
from waremill.app.auditing import record
from waremill.app.naming import account_name, new_name
from waremill.app.passwords import digest, hash_password, is_right, new_secret
from waremill.app.signing_in import (
    TOKEN_PREFIX,
    SignedIn,
    TokenHolder,
    WrongPassword,
    as_role,
)
from waremill.app.status import NANO, money
from waremill.errors import ConfigError, Conflict, Forbidden, NotFound
from waremill.store import people as store
from waremill.store.people import FIRST_TEAM, TeamRow, User
from waremill.store.people import TokenRow as Token

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

MOST_DAYS = 3650
LANGUAGES = ("en", "zh")
"""The console's languages."""
_LARGEST_AMOUNT = 1e9


@dataclass(frozen=True, slots=True)
class Team:
    """A team. Money is in the workspace's currency; None is no limit.

    `share` is the part of every model's rate its runs get; a run above `approve_above` needs a
    second person.
    """

    id: int
    name: str
    monthly_budget: float | None
    share: float
    approve_above: float | None
    created_at: float


class TeamChanges(TypedDict, total=False):
    """What may be set of a team; what is not named stays."""

    monthly_budget: float | None
    share: float
    approve_above: float | None


class Accounts:
    """Everything about people. Every change is in the audit log, and no secret is."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._database = workspace.database
        self._actor = workspace.actor

    # Users.

    async def add_user(self, name: str, password: str | None, *, manages: bool = False) -> User:
        """Add a user; without a password it can only have tokens.

        The first account manages users and is an admin of the first team, so that somebody is;
        it needs a password, and from then on everybody signs in.
        """
        self._actor.need_manager("adding a user")
        plain = new_name(name, "user")
        hashed = None if password is None else await hash_password(password)

        def add(conn: Connection) -> User:
            store.lock_accounts(conn)
            first = not store.any_users(conn)
            if first and hashed is None:
                raise ConfigError("the first account needs a password: nobody could sign in")
            user = store.insert_user(conn, plain, hashed, manages or first, time.time())
            if first:
                store.set_role(conn, user, FIRST_TEAM, "admin")
            record(conn, self._actor, "user.add", f"user {plain}", manages=manages or first)
            return self._find(conn, plain)

        return await self._database.write(add)

    async def users(self) -> tuple[User, ...]:
        """Give all users by name; an admin of a team sees their roles in own teams only."""
        if not self._actor.manages:
            self._actor.need_somewhere("admin", "the list of users")
        found = await self._database.read(store.list_users)
        if self._actor.manages:
            return tuple(found)
        mine = self._actor
        return tuple(
            replace(user, roles={t: r for t, r in user.roles.items() if mine.may("admin", t)})
            for user in found
        )

    async def user(self, name: str) -> User:
        """Give a user by name, for who manages users."""
        self._actor.need_manager("looking up a user")
        return await self._database.read(self._find, name)

    async def me(self) -> User | None:
        """Give the caller's own account; None for the person at the machine."""
        return await self._database.read(store.find_user, self._actor.name)

    async def set_password(self, name: str, password: str, *, current: str | None = None) -> None:
        """Set a password, and end the user's sessions.

        One's own needs the current one; somebody else's is for who manages users.
        """
        plain = account_name(name) or ""
        own = plain == self._actor.name
        if own:
            await self._need_current(plain, current)
        else:
            self._actor.need_manager("setting somebody's password")
        hashed = await hash_password(password)

        def change(conn: Connection) -> None:
            user = self._find(conn, name)
            store.update_user(conn, user.id, password=hashed)
            store.end_sessions(conn, user.id)
            record(conn, self._actor, "user.password", f"user {user.name}")

        await self._database.write(change)

    async def _need_current(self, name: str, current: str | None) -> None:
        attempts = signing_in.attempts_of(self._workspace)
        attempts.start(name, self._actor.address)
        found = await self._database.read(store.find_secret, name)
        if not await is_right(found.password if found else None, current or ""):
            raise Forbidden("the current password is wrong")
        attempts.succeeded(name, self._actor.address)

    async def disable(self, name: str, disabled: bool = True) -> User:
        """Keep a user out at once, sessions and tokens included, or let the user in again."""
        return await self.change_user(name, disabled=disabled)

    async def set_manages(self, name: str, manages: bool) -> User:
        """Let a user manage users and teams, or no longer."""
        return await self.change_user(name, manages=manages)

    async def change_user(
        self, name: str, *, manages: bool | None = None, disabled: bool | None = None
    ) -> User:
        """Say whether a user manages users, and keep the user out or not: both, or neither.

        None leaves it as it is. Raises Conflict where nobody would be left who manages users.
        """
        self._actor.need_manager("changing a user")

        def change(conn: Connection) -> User:
            store.lock_accounts(conn)
            user = self._find(conn, name)
            if disabled or manages is False:
                self._keep_a_manager(conn, user)
            if manages is not None:
                store.update_user(conn, user.id, admin=manages)
                record(conn, self._actor, "user.manages", f"user {user.name}", manages=manages)
            if disabled is not None:
                if disabled:
                    store.end_sessions(conn, user.id)
                store.update_user(conn, user.id, disabled=disabled)
                verb = "user.disable" if disabled else "user.enable"
                record(conn, self._actor, verb, f"user {user.name}")
            return self._find(conn, name)

        return await self._database.write(change)

    async def set_language(self, language: str) -> None:
        """Keep the caller's language of the console; the person at the machine has no account."""
        if language not in LANGUAGES:
            raise ConfigError(f"the console speaks {' and '.join(LANGUAGES)}")

        def change(conn: Connection) -> None:
            user = store.find_user(conn, self._actor.name)
            if user is not None:
                store.update_user(conn, user.id, language=language)

        await self._database.write(change)

    def _find(self, conn: Connection, name: str) -> User:
        user = store.find_user(conn, account_name(name) or "")
        if user is None:
            raise NotFound(f"there is no user “{name[:64]}”")
        return user

    def _keep_a_manager(self, conn: Connection, user: User) -> None:
        if user.manages and not user.disabled and not store.other_managers(conn, user.id):
            raise Conflict(
                f"{user.name} is the last one who manages users; let somebody else do so first"
            )

    # Teams.

    async def teams(self) -> tuple[Team, ...]:
        """Give the teams the actor belongs to, by name; all of them to who manages users."""
        found = await self._database.read(store.list_teams)
        return tuple(self._shown(team) for team in found if self._sees(team))

    async def team(self, name: str) -> Team:
        """Give a team by its name. Raises NotFound for a foreign one too."""
        return self._shown(await self._database.read(self._team, name))

    async def add_team(self, name: str) -> Team:
        """Add a team: no budget, the whole of every rate, no members."""
        self._actor.need_manager("adding a team")
        plain = new_name(name, "team")

        def add(conn: Connection) -> TeamRow:
            team = store.insert_team(conn, plain, time.time())
            record(conn, self._actor, "team.add", f"team {plain}", team)
            return self._team(conn, plain)

        return self._shown(await self._database.write(add))

    async def set_team(self, name: str, **changes: Unpack[TeamChanges]) -> Team:
        """Set a team's monthly budget, its share of the rates, and what needs a second person.

        Money is in the workspace's currency; None takes a limit away. For the team's admins and
        who manages teams.
        """
        values: dict[str, Any] = {}
        if "monthly_budget" in changes:
            values["monthly_budget"] = self._nano(changes["monthly_budget"], "monthly budget")
        if "approve_above" in changes:
            values["approve_above"] = self._nano(changes["approve_above"], "amount")
        if "share" in changes:
            if not 0 < changes["share"] <= 1:
                raise ConfigError("a team's share is above 0 and at most 1")
            values["share"] = float(changes["share"])

        def change(conn: Connection) -> TeamRow:
            team = self._team(conn, name, "admin")
            if values:
                store.update_team(conn, team.id, **values)
                subject = f"team {team.name}"
                record(conn, self._actor, "team.set", subject, team.id, **changes)
            return self._team(conn, name)

        return self._shown(await self._database.write(change))

    async def members(self, team: str) -> tuple[tuple[str, Role], ...]:
        """Give a team's members with their roles, by name."""

        def read(conn: Connection) -> list[tuple[str, str]]:
            return store.members_of(conn, self._team(conn, team).id)

        found = await self._database.read(read)
        return tuple((name, as_role(role)) for name, role in found)

    async def set_role(self, user: str, team: str, role: str | None) -> None:
        """Give a user a role in a team, or with None take it; for admins of it and managers."""
        new = None if role is None else as_role(role)

        def change(conn: Connection) -> None:
            store.lock_accounts(conn)
            where = self._team(conn, team, "admin")
            who = self._find(conn, user)
            before = store.set_role(conn, who.id, where.id, new)
            if before != new:
                subject = f"user {who.name}"
                record(conn, self._actor, "member.set", subject, where.id, before=before, role=new)

        await self._database.write(change)

    def _sees(self, team: TeamRow) -> bool:
        return self._actor.manages or self._actor.role(team.id) is not None

    def _team(self, conn: Connection, name: str, role: Role = "viewer") -> TeamRow:
        team = store.find_team(conn, account_name(name) or "")
        if team is None:
            raise NotFound(f"there is no team “{name[:64]}”")
        if not self._actor.manages:
            self._actor.need(role, team.id, f"team “{team.name}”")
        return team

    def _shown(self, team: TeamRow) -> Team:
        per_usd = self._workspace.settings.per_usd
        return Team(
            team.id,
            team.name,
            money(team.monthly_budget, per_usd),
            team.share,
            money(team.approve_above, per_usd),
            team.created_at,
        )

    def _nano(self, amount: float | None, what: str) -> int | None:
        if amount is None:
            return None
        if not isfinite(amount) or not 0 <= amount <= _LARGEST_AMOUNT:
            raise ConfigError(f"the {what} is from 0 to {_LARGEST_AMOUNT:,.0f}")
        return round(amount / self._workspace.settings.per_usd * NANO)

    # API tokens.

    async def add_token(
        self,
        name: str,
        *,
        user: str | None = None,
        team: str | None = None,
        role: str = "viewer",
        days: float | None = None,
    ) -> tuple[str, Token]:
        """Make an API token; its text is given here and never again.

        It may do what its user may, at most as `role`, and in `team` only where one is named.
        `user` is the caller unless who manages users names another; `days` until it expires. A
        token makes no tokens, save one that manages users.
        """
        plain, ceiling = new_name(name, "token"), as_role(role)
        if days is not None and not 0 < days <= MOST_DAYS:
            raise ConfigError(f"a token lasts up to {MOST_DAYS:,} days")
        other = user is not None and account_name(user) != self._actor.name
        if other or isinstance(self._actor, TokenHolder):
            self._actor.need_manager("making this token")
        text, now = TOKEN_PREFIX + new_secret(), time.time()

        def add(conn: Connection) -> Token:
            owner = self._find(conn, self._actor.name if user is None else user)
            where = None if team is None else self._team(conn, team)
            values: dict[str, Any] = {
                "hash": digest(text),
                "name": plain,
                "user_id": owner.id,
                "team_id": None if where is None else where.id,
                "role": ceiling,
                "created_at": now,
                "expires_at": None if days is None else now + days * 86_400,
            }
            token = store.insert_token(conn, values)
            detail = {"user": owner.name, "role": ceiling, "days": days}
            record(conn, self._actor, "token.add", f"token {plain}", values["team_id"], **detail)
            return self._find_token(conn, token)

        return text, await self._database.write(add)

    async def tokens(self, *, everybody: bool = False) -> tuple[Token, ...]:
        """Give the caller's tokens, newest first; everybody's to who manages users."""
        if everybody:
            self._actor.need_manager("the list of everybody's tokens")
        name = None if everybody else self._actor.name
        return tuple(await self._database.read(store.list_tokens, name))

    async def revoke(self, token: int) -> Token:
        """End a token at once: an own one, or anybody's for who manages users."""
        if isinstance(self._actor, TokenHolder):
            self._actor.need_manager("revoking a token with a token")

        def end(conn: Connection) -> Token:
            found = self._find_token(conn, token)
            if found.revoked_at is None:
                store.revoke_token(conn, found.id, time.time())
                subject = f"token {found.name}"
                record(conn, self._actor, "token.revoke", subject, found.team, user=found.user)
            return self._find_token(conn, token)

        return await self._database.write(end)

    def _find_token(self, conn: Connection, token: int) -> Token:
        found = store.find_token(conn, token) if 0 < token < 2**63 else None
        known = found is not None and (self._actor.manages or found.user == self._actor.name)
        if found is None or not known:
            raise NotFound(f"there is no token {token}")
        return found

    # Who calls.

    async def sign_in(self, name: str, password: str, address: str | None = None) -> SignedIn:
        """Begin a session; see `signing_in.sign_in`."""
        return await signing_in.sign_in(self._workspace, name, password, address)

    async def sign_out(self, secret: str) -> None:
        """End a session."""
        await signing_in.sign_out(self._workspace, secret)

    async def actor_of_session(
        self, secret: str, address: str | None = None
    ) -> tuple[Actor, str] | None:
        """Give who a session's secret stands for, and its CSRF token."""
        return await signing_in.actor_of_session(self._workspace, secret, address)

    async def actor_of_token(self, text: str, address: str | None = None) -> Actor | None:
        """Give who an API token stands for."""
        return await signing_in.actor_of_token(self._workspace, text, address)

    async def any_accounts(self) -> bool:
        """Say whether there is an account."""
        return await signing_in.any_accounts(self._workspace)


__all__ = [
    "LANGUAGES",
    "ROLES",
    "Accounts",
    "SignedIn",
    "Team",
    "TeamChanges",
    "Token",
    "TooManyAttempts",
    "User",
    "WrongPassword",
    "as_role",
]
