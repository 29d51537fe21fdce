"""Who calls: sessions of people who signed in, tokens of programs, and the person at the machine.

Secrets are handed out once and kept as hashes; none is in an error, a repr or the audit log.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Connection

from waremill.app.acting import LOCAL, ROLES, Actor, Role
from waremill.app.attempts import Attempts
from waremill.app.auditing import record
from waremill.app.naming import account_name
from waremill.app.passwords import digest, hash_password, is_old, is_right, new_secret
from waremill.errors import ConfigError, Forbidden, UserError
from waremill.store import people as store
from waremill.store.database import Database

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

SESSION_SECONDS = 12 * 3600.0
"""A session ends so long after its last request."""
LONGEST_SESSION = 30 * 86_400.0
"""A session ends so long after its beginning, whatever happens."""
SLIDE_EVERY = 300.0
"""How often a session's end is moved, in seconds: not with every request."""
TOUCH_EVERY = 60.0
TOKEN_PREFIX = "wm_"

_ATTEMPTS: WeakKeyDictionary[Database, Attempts] = WeakKeyDictionary()
_WITH_ACCOUNTS: WeakSet[Database] = WeakSet()


class WrongPassword(UserError):
    """The name or the password is wrong; it does not say which."""


class SignedIn(NamedTuple):
    """What a browser is handed: the session's secret for a cookie, and the CSRF token."""

    secret: str
    csrf: str

    def __repr__(self) -> str:
        return "SignedIn(…)"


@dataclass(frozen=True, slots=True)
class TokenHolder(Actor):
    """A user's program, with the rights its token leaves; `via` is the token's name."""


def attempts_of(workspace: Workspace) -> Attempts:
    """Give the counts of this process's sign-ins, one for every open database."""
    return _ATTEMPTS.setdefault(workspace.database, Attempts())


async def sign_in(
    workspace: Workspace, name: str, password: str, address: str | None = None
) -> SignedIn:
    """Begin a session. Raises WrongPassword, or TooManyAttempts after too many in a minute.

    An unknown name, a disabled user and one without a password take as long as a wrong password.
    """
    plain = account_name(name)
    attempts = attempts_of(workspace)
    attempts.start(plain, address)
    found = None
    if plain is not None:
        found = await workspace.database.look(store.find_secret, plain)
    right = await is_right(found.password if found is not None else None, password)
    if found is None or found.disabled or not right:
        if found is not None:
            await workspace.database.write(_refused, found.name, address)
        raise WrongPassword("the name or the password is wrong")
    attempts.succeeded(plain, address)
    fresh = None
    if found.password is not None and is_old(found.password):
        fresh = await hash_password(password)
    signed = SignedIn(new_secret(), new_secret())
    await workspace.database.write(_begin, found, signed, fresh, address)
    return signed


def _refused(conn: Connection, name: str, address: str | None) -> None:
    # Only known names are recorded: what is typed into the wrong box may be a password.
    record(conn, Actor("nobody", address=address), "session.refused", f"user {name}")


def _begin(
    conn: Connection,
    found: store.Secret,
    signed: SignedIn,
    fresh: str | None,
    address: str | None,
) -> None:
    if fresh is not None:
        store.update_user(conn, found.user, password=fresh)
    now = time.time()
    store.insert_session(
        conn, digest(signed.secret), found.user, signed.csrf, now, now + SESSION_SECONDS
    )
    record(conn, Actor(found.name, address=address), "session.begin", f"user {found.name}")


async def sign_out(workspace: Workspace, secret: str) -> None:
    """End a session; one that has ended already is as good."""

    def end(conn: Connection) -> None:
        name = store.end_session(conn, digest(secret))
        if name is not None:
            actor = Actor(name, address=workspace.actor.address)
            record(conn, actor, "session.end", f"user {name}")

    await workspace.database.write(end)


async def actor_of_session(
    workspace: Workspace, secret: str, address: str | None = None
) -> tuple[Actor, str] | None:
    """Give who a session's secret stands for, and its CSRF token; None where it has ended."""
    hashed, now = digest(secret), time.time()
    found = await workspace.database.look(store.live_session, hashed, now)
    if found is None or now >= found.created_at + LONGEST_SESSION:
        return None
    if found.expires_at < now + SESSION_SECONDS - SLIDE_EVERY:
        await workspace.database.write(store.slide_session, hashed, now + SESSION_SECONDS)
    user = found.user
    actor = Actor(user.name, _roles(user.roles), manages=user.manages, address=address)
    return actor, found.csrf


async def actor_of_token(
    workspace: Workspace, text: str, address: str | None = None
) -> TokenHolder | None:
    """Give who a token stands for, with what it leaves of the user's rights; None for a dead one.

    The token's role is a ceiling, its team the only one. It manages users only where its user
    does, it is an admin's and it is of no single team.
    """
    if not text.startswith(TOKEN_PREFIX):
        return None
    now = time.time()
    found = await workspace.database.look(store.live_token, digest(text), now)
    if found is None:
        return None
    token, user = found
    if token.used_at is None or token.used_at <= now - TOUCH_EVERY:
        await workspace.database.write(store.touch_token, token.id, now, now - TOUCH_EVERY)
    return TokenHolder(
        user.name,
        _roles(user.roles, token.role, token.team),
        manages=user.manages and token.team is None and token.role == "admin",
        address=address,
        via=token.name,
    )


async def actor_named(workspace: Workspace, name: str, via: str) -> Actor:
    """Give somebody by name with today's rights, for what was ordered earlier; `via` says what.

    Raises Forbidden for somebody who is kept out by now, or not there.
    """
    user = await workspace.database.read(store.find_user, name)
    if user is None and name == LOCAL.name:
        return replace(LOCAL, via=via)
    if user is None or user.disabled:
        raise Forbidden(f"{name} may not order runs any more")
    return Actor(user.name, _roles(user.roles), manages=user.manages, via=via)


def _roles(
    roles: Mapping[int, str], ceiling: str = ROLES[-1], only: int | None = None
) -> dict[int, Role]:
    most = ROLES.index(ceiling) if ceiling in ROLES else -1
    given: dict[int, Role] = {}
    for team, role in roles.items():
        if role in ROLES and most >= 0 and only in (None, team):
            given[team] = ROLES[min(ROLES.index(role), most)]
    return given


async def any_accounts(workspace: Workspace) -> bool:
    """Say whether there is an account, a disabled one included: then everybody signs in.

    Users are never deleted, so a yes is remembered.
    """
    database = workspace.database
    if database in _WITH_ACCOUNTS:
        return True
    if found := await database.look(store.any_users):
        _WITH_ACCOUNTS.add(database)
    return found


def as_role(text: str) -> Role:
    """Give a role by its name. Raises ConfigError for a word that is none."""
    for role in ROLES:
        if role == text:
            return role
    raise ConfigError(f"“{text}” is no role; the roles are {', '.join(ROLES)}")
