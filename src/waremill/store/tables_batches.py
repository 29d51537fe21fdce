"""The tables of runs that go through vendors' batch endpoints.

    batches ─ batch_requests ─ batch_waiters        what is at a vendor, what for, who waits for it

A request's row lives from the call that asked for it until its answer is in the journal.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    literal,
    text,
)

from waremill.store.tables import Id, metadata

batches = Table(
    "batches",
    metadata,
    Column("id", Id, primary_key=True),
    Column("run_id", Id, nullable=False),
    Column("key", Text, nullable=False, unique=True),
    Column("model", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("vendor_id", Text),
    Column("file_id", Text),
    Column("others", Text),
    Column("outcome", Text),
    Column("note", Text),
    Column("requests", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("paid", BigInteger, nullable=False),
    Column("done", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("answered", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("submitted_at", Float),
    Column("expires_at", Float),
    Column("ended_at", Float),
    Index("ix_batches_run_id_id", "run_id", "id"),
    Index("ix_batches_opened", "run_id",
          sqlite_where=text("state != 'settled'"),
          postgresql_where=text("state != 'settled'")),
)  # fmt: skip
"""`state` is `intended` until the vendor is known to have it, then `submitted`, then `settled`.
`key` is ours, `vendor_id` and `file_id` the vendor's, `others` (JSON) ids that turned out not to be
it. `done` and `failed` are the vendor's counts, `answered` are the answers in the journal; money is
nano-USD."""

OPENED = batches.c.state != literal("settled", literal_execute=True)
"""The condition of a batch that is not settled, written as in its index: a plan that PostgreSQL
keeps for any parameters could not use that.
"""

batch_requests = Table(
    "batch_requests",
    metadata,
    Column("id", Id, primary_key=True),
    Column("run_id", Id, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("model", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("item_id", Id, nullable=False),
    Column("step", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("batch_id", Id),
    Column("error", Text),
    UniqueConstraint("run_id", "hash"),
    Index("ix_batch_requests_run_id_model_state_id", "run_id", "model", "state", "id"),
    Index("ix_batch_requests_batch_id_state_id", "batch_id", "state", "id"),
)
"""`state` is `new`, `sent` (in a batch), `held` (another run has it in one), `live` (to be sent
without one) or `failed`; `body` is the canonical request, `item_id` the item that asked first,
`tries` the batches it was in."""

batch_waiters = Table(
    "batch_waiters",
    metadata,
    Column("run_id", Id, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, primary_key=True),
    Column("item_id", Id, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""Which items wait for a request's answer."""
