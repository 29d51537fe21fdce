"""The tables of schedules: what is to be run when, every slot with what came of it, who leads.

schedules ─ schedule_slots                       a slot is there once, so it is fired once
leads                                            which process fires, until when
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
    Table,
    Text,
    UniqueConstraint,
    text,
)

from waremill.store.tables import Id, metadata

schedules = Table(
    "schedules",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("team_id", Id, nullable=False, server_default="1"),
    Column("pipeline", Text, nullable=False),
    Column("cron", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("only", Text, nullable=False),
    Column("source", Text),
    Column("budget", BigInteger, nullable=False),
    Column("trial", Integer),
    Column("accuracy", Float),
    Column("overlap", Text, nullable=False),
    Column("catch_up", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("next_at", Float),
    Column("by", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("removed_at", Float),
    Index("ix_schedules_name", "name", unique=True,
          sqlite_where=text("removed_at IS NULL"),
          postgresql_where=text("removed_at IS NULL")),
)  # fmt: skip
"""`options` is JSON, what else was said of the run; `only` a JSON list; `budget` is nano-USD.
`next_at` is the first slot nobody has looked at, NULL where none comes any more. A removed one
stays for its history; another may have its name."""

schedule_slots = Table(
    "schedule_slots",
    metadata,
    Column("id", Id, primary_key=True),
    Column("schedule_id", Id, ForeignKey("schedules.id"), nullable=False),
    Column("at", Float, nullable=False),
    Column("cause", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("reason", Text),
    Column("missed", Integer, nullable=False),
    Column("run_id", Id),
    Column("trial_id", Id),
    Column("imported", Text),
    Column("starts", Integer, nullable=False),
    Column("by", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("ended_at", Float),
    UniqueConstraint("schedule_id", "at"),
    Index("ix_schedule_slots_live", "live", "id"),
    Index("ix_schedule_slots_schedule_id_id", "schedule_id", "id"),
)
"""`cause` is `cron`, `late` (made up for) or `person`; `state` is `due`, `queued`, `trial`, `run`,
`skipped`, `missed`, `nothing`, `stopped` or `failed`. A live one is not settled yet."""

source_states = Table(
    "source_states",
    metadata,
    Column("source", Text, primary_key=True),
    Column("newest", Text, nullable=False),
    Column("changed_at", Float, nullable=False),
)
"""How far a database was read: `newest` is JSON, the greatest value of its column that grows."""

source_files = Table(
    "source_files",
    metadata,
    Column("source", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("changed", Text, nullable=False),
    Column("hash", Text),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("seen_at", Float, nullable=False),
)
"""The files of a folder or bucket: `state` is `waiting`, `imported` or `aside`; `changed` is what
the storage says of its last change, `seen_at` when it was first seen like that."""

leads = Table(
    "leads",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("until", Float, nullable=False),
)
"""Of several processes the one that does what must be done once; `until` by the database's clock.
"""
