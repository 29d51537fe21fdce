"""Users, teams, who may do what, tokens and sessions: their rows.

No decisions and no clear secrets: passwords come in as argon2 strings, tokens and session secrets
as their SHA-256.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Select, delete, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from waremill.errors import Conflict
from waremill.store.bulk import BulkInsert
from waremill.store.tables import AnyRow
from waremill.store.tables_people import FIRST_TEAM, members, sessions, teams, tokens, users

_MEMBERS = BulkInsert(members, ("user_id", "team_id", "role"), ("user_id", "team_id"), "replace")
_ACCOUNTS_LOCK = 7_308_895_159
"""The number of PostgreSQL's advisory lock on accounts: any one that nothing else uses."""


@dataclass(frozen=True, slots=True)
class User:
    """A person or a machine with a name; `manages` users and teams; `roles` by team id."""

    id: int
    name: str
    manages: bool
    language: str
    disabled: bool
    has_password: bool
    created_at: float
    roles: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TeamRow:
    """A team's row: `monthly_budget` and `approve_above` are nano-USD, None without a limit."""

    id: int
    name: str
    monthly_budget: int | None
    share: float
    approve_above: int | None
    created_at: float


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token without what identifies it: `role` is the most it may do, `team` its only team."""

    id: int
    name: str
    user: str
    team: int | None
    role: str
    created_at: float
    expires_at: float | None
    used_at: float | None
    revoked_at: float | None


@dataclass(frozen=True, slots=True)
class Secret:
    """What a password is compared with; the text is no part of its repr."""

    user: int
    name: str
    disabled: bool
    password: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session that has not ended, and whose it is."""

    user: User
    created_at: float
    expires_at: float
    csrf: str = field(repr=False)


def lock_accounts(conn: Connection) -> None:
    """Let nobody else change accounts until the transaction ends.

    To be called before the look that decides whether a change may be: is there an account, is
    there another manager. On SQLite a write has the whole database to itself anyway.
    """
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_advisory_xact_lock(_ACCOUNTS_LOCK)))


# Users.


def any_users(conn: Connection) -> bool:
    """Say whether there is an account, a disabled one included."""
    return bool(conn.execute(select(exists(select(users.c.id)))).scalar_one())


def list_users(conn: Connection) -> list[User]:
    """Give every user with the roles, by name."""
    roles: dict[int, dict[int, str]] = {}
    for row in conn.execute(select(members)):
        roles.setdefault(row.user_id, {})[row.team_id] = row.role
    return [_as_user(r, roles.get(r.id, {})) for r in conn.execute(_users().order_by(users.c.name))]


def find_user(conn: Connection, name: str) -> User | None:
    """Give a user with the roles; None where nobody has the name."""
    row = conn.execute(_users().where(users.c.name == name)).one_or_none()
    return None if row is None else _as_user(row, roles_of(conn, row.id))


def roles_of(conn: Connection, user: int) -> dict[int, str]:
    """Give a user's role by team id."""
    found = conn.execute(select(members.c.team_id, members.c.role).where(members.c.user_id == user))
    return {row.team_id: row.role for row in found}


def find_secret(conn: Connection, name: str) -> Secret | None:
    """Give what a sign-in is checked against; None where nobody has the name."""
    row = conn.execute(
        select(users.c.id, users.c.name, users.c.disabled, users.c.password).where(
            users.c.name == name
        )
    ).one_or_none()
    return None if row is None else Secret(row.id, row.name, row.disabled, row.password)


def insert_user(
    conn: Connection, name: str, password: str | None, manages: bool, now: float
) -> int:
    """Add a user and give the id. Raises Conflict where the name is taken."""
    values = {
        "name": name,
        "password": password,
        "admin": manages,
        "language": "en",
        "disabled": False,
        "created_at": now,
    }
    return _insert(conn, users, values, f"there is a user “{name}” already")


def update_user(conn: Connection, user: int, **values: Any) -> None:
    """Change columns of a user."""
    conn.execute(update(users).where(users.c.id == user).values(**values))


def other_managers(conn: Connection, user: int) -> bool:
    """Say whether somebody else who can still sign in manages users and teams."""
    others = select(users.c.id).where(
        users.c.id != user,
        users.c.admin.is_(True),
        users.c.disabled.is_(False),
        users.c.password.is_not(None),
    )
    return bool(conn.execute(select(exists(others))).scalar_one())


# Teams.


def list_teams(conn: Connection) -> list[TeamRow]:
    """Give every team, by name."""
    return [_as_team(row) for row in conn.execute(select(teams).order_by(teams.c.name))]


def find_team(conn: Connection, name: str) -> TeamRow | None:
    """Give a team; None where none has the name."""
    row = conn.execute(select(teams).where(teams.c.name == name)).one_or_none()
    return None if row is None else _as_team(row)


def insert_team(conn: Connection, name: str, now: float) -> int:
    """Add a team that has every rate whole and no budget. Raises Conflict for a taken name."""
    values = {"name": name, "share": 1.0, "created_at": now}
    return _insert(conn, teams, values, f"there is a team “{name}” already")


def update_team(conn: Connection, team: int, **values: Any) -> None:
    """Change columns of a team."""
    conn.execute(update(teams).where(teams.c.id == team).values(**values))


def members_of(conn: Connection, team: int) -> list[tuple[str, str]]:
    """Give the names and roles of a team's members, by name."""
    found = conn.execute(
        select(users.c.name, members.c.role)
        .join_from(members, users)
        .where(members.c.team_id == team)
        .order_by(users.c.name)
    )
    return [(row.name, row.role) for row in found]


def set_role(conn: Connection, user: int, team: int, role: str | None) -> str | None:
    """Set or take a role; give the one before."""
    mine = (members.c.user_id == user) & (members.c.team_id == team)
    before: str | None = conn.execute(select(members.c.role).where(mine)).scalar()
    if role is None:
        conn.execute(delete(members).where(mine))
    else:
        _MEMBERS.run(conn, [(user, team, role)])
    return before


# Tokens.


def insert_token(conn: Connection, values: Mapping[str, Any]) -> int:
    """Add a token's row and give its id."""
    return _insert(conn, tokens, values, "there is such a token already")


def list_tokens(conn: Connection, user: str | None = None) -> list[TokenRow]:
    """Give the tokens, newest first: one user's, or everybody's."""
    query = _tokens().order_by(tokens.c.id.desc())
    return [
        _as_token(r) for r in conn.execute(query if user is None else query.where(_named(user)))
    ]


def find_token(conn: Connection, token: int) -> TokenRow | None:
    """Give a token by its id."""
    row = conn.execute(_tokens().where(tokens.c.id == token)).one_or_none()
    return None if row is None else _as_token(row)


def live_token(conn: Connection, digest: bytes, now: float) -> tuple[TokenRow, User] | None:
    """Give a token that may be used now, by the hash of its text, and whose it is."""
    row = conn.execute(
        _tokens()
        .add_columns(users.c.admin)
        .where(
            tokens.c.hash == digest,
            tokens.c.revoked_at.is_(None),
            or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now),
            users.c.disabled.is_(False),
        )
    ).one_or_none()
    if row is None:
        return None
    user = find_user(conn, row.user)
    return None if user is None else (_as_token(row), user)


def touch_token(conn: Connection, token: int, now: float, since: float) -> None:
    """Note that a token is used, unless that was noted after `since`."""
    old = or_(tokens.c.used_at.is_(None), tokens.c.used_at <= since)
    conn.execute(update(tokens).where(tokens.c.id == token, old).values(used_at=now))


def revoke_token(conn: Connection, token: int, now: float) -> None:
    """End a token for good."""
    conn.execute(
        update(tokens)
        .where(tokens.c.id == token, tokens.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )


# Sessions.


def insert_session(
    conn: Connection, digest: bytes, user: int, csrf: str, now: float, expires: float
) -> None:
    """Begin a session, and forget those that have ended."""
    conn.execute(delete(sessions).where(sessions.c.expires_at <= now))
    conn.execute(
        insert(sessions).values(
            hash=digest, user_id=user, csrf=csrf, created_at=now, expires_at=expires
        )
    )


def live_session(conn: Connection, digest: bytes, now: float) -> SessionRow | None:
    """Give the session a secret's hash stands for, while it lasts and its user may sign in."""
    row = conn.execute(
        select(sessions, users.c.name)
        .join_from(sessions, users)
        .where(sessions.c.hash == digest, sessions.c.expires_at > now, users.c.disabled.is_(False))
    ).one_or_none()
    if row is None:
        return None
    user = find_user(conn, row.name)
    return None if user is None else SessionRow(user, row.created_at, row.expires_at, row.csrf)


def slide_session(conn: Connection, digest: bytes, expires: float) -> None:
    """Let a session last longer."""
    conn.execute(update(sessions).where(sessions.c.hash == digest).values(expires_at=expires))


def end_session(conn: Connection, digest: bytes) -> str | None:
    """End a session; give whose it was."""
    name: str | None = conn.execute(
        select(users.c.name).join_from(sessions, users).where(sessions.c.hash == digest)
    ).scalar()
    conn.execute(delete(sessions).where(sessions.c.hash == digest))
    return name


def end_sessions(conn: Connection, user: int, but: bytes | None = None) -> None:
    """End all sessions of a user, but the one of a hash."""
    theirs = delete(sessions).where(sessions.c.user_id == user)
    conn.execute(theirs if but is None else theirs.where(sessions.c.hash != but))


# Rows.


def _insert(conn: Connection, table: Any, values: Mapping[str, Any], taken: str) -> int:
    try:
        with conn.begin_nested():
            made = conn.execute(insert(table).values(**values)).inserted_primary_key
    except IntegrityError:
        raise Conflict(taken) from None
    assert made is not None
    return int(made[0])


def _named(user: str) -> Any:
    return users.c.name == user


def _users() -> Select[Any]:
    return select(
        users.c.id,
        users.c.name,
        users.c.admin,
        users.c.language,
        users.c.disabled,
        users.c.password.is_not(None).label("has_password"),
        users.c.created_at,
    )


def _as_user(row: AnyRow, roles: Mapping[int, str]) -> User:
    return User(
        row.id, row.name, bool(row.admin), row.language, bool(row.disabled),
        bool(row.has_password), row.created_at, dict(roles),
    )  # fmt: skip


def _as_team(row: AnyRow) -> TeamRow:
    return TeamRow(
        row.id, row.name, row.monthly_budget, row.share, row.approve_above, row.created_at
    )


def _tokens() -> Select[Any]:
    columns = [column for column in tokens.c if column.name not in ("hash", "user_id")]
    return select(*columns, users.c.name.label("user")).join_from(tokens, users)


def _as_token(row: AnyRow) -> TokenRow:
    return TokenRow(
        row.id, row.name, row.user, row.team_id, row.role,
        row.created_at, row.expires_at, row.used_at, row.revoked_at,
    )  # fmt: skip


__all__ = ["FIRST_TEAM", "SessionRow", "TeamRow", "TokenRow", "User"]
