"""The table of a cluster's workers: who works a part of which run, and whether it still may."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, Table, Text

from waremill.store.tables import Id, metadata

workers = Table(
    "workers",
    metadata,
    Column("id", Id, primary_key=True),
    Column("run_id", Id, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("node", Text, nullable=False),
    Column("lost", Boolean, nullable=False),
    Column("heartbeat", Float, nullable=False),
    Column("progress", Text),
    Column("committed", BigInteger),
    Index("ix_workers_run_id", "run_id"),
)
"""`epoch` is the run's when the worker came. `lost` shuts a worker out: it can commit nothing any
more. `committed` is the token of its last group commit, by which it finds out whether one whose
connection broke was made."""
