"""The tables about people: teams, users, what they may do, what they did, whom we tell.

Passwords are argon2 strings; tokens and sessions are kept as the SHA-256 of what was handed out.
`audit` only grows: the database itself refuses a change.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
)

from waremill.store.tables import Id, metadata

FIRST_TEAM = 1
"""The team everything belongs to until somebody makes another."""

teams = Table(
    "teams",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("monthly_budget", BigInteger),
    Column("share", Float, nullable=False),
    Column("approve_above", BigInteger),
    Column("created_at", Float, nullable=False),
)
"""`monthly_budget` and `approve_above` are nano-USD; `share` is the part of every rate it gets."""

users = Table(
    "users",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("password", Text),
    Column("admin", Boolean, nullable=False),
    Column("language", Text, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Float, nullable=False),
)
"""`admin` may manage users and teams; what one may do in a team is in `members`."""

members = Table(
    "members",
    metadata,
    Column("user_id", Id, ForeignKey("users.id"), primary_key=True, autoincrement=False),
    Column("team_id", Id, ForeignKey("teams.id"), primary_key=True, autoincrement=False),
    Column("role", Text, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Id, primary_key=True),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("user_id", Id, ForeignKey("users.id"), nullable=False),
    Column("team_id", Id),
    Column("role", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("used_at", Float),
    Column("revoked_at", Float),
)
"""`role` is the most a token may do, and `team_id` the only team it may do it in, if set."""

sessions = Table(
    "sessions",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("user_id", Id, ForeignKey("users.id"), nullable=False),
    Column("csrf", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", Float, nullable=False),
    Column("by", Text, nullable=False),
    Column("team_id", Id),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text),
    Column("address", Text),
    Index("ix_audit_team_id_id", "team_id", "id"),
    Index("ix_audit_action_id", "action", "id"),
    Index("ix_audit_by_id", "by", "id"),
)

owners = Table(
    "owners",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("team_id", Id, ForeignKey("teams.id"), nullable=False),
)
"""Which team a template, pipeline or model belongs to; what is not here belongs to every team."""

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("team_id", Id, nullable=False),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("events", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("by", Text, nullable=False),
    Column("created_at", Float, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("webhook_id", Id, ForeignKey("webhooks.id"), nullable=False),
    Column("event", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Column("created_at", Float, nullable=False),
    Index("ix_deliveries_state_next_at", "state", "next_at"),
)

requests = Table(
    "requests",
    metadata,
    Column("by", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("status", Integer),
    Column("body", LargeBinary),
    Column("media_type", Text),
    Column("created_at", Float, nullable=False),
    Index("ix_requests_created_at", "created_at"),
)
"""What was answered to a request with an Idempotency-Key; no status while it is being worked."""
