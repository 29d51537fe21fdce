"""The tables of publishing.

    publications ─ receipts                     what was published, by whom, value by value
    published                                   derived: the newest receipt of each value
    refusals                                    why a publication's rows were refused
    identities                                  which products were published under an id

A receipt counts once its publication is done; nothing is taken back but by a further one.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, LargeBinary, Table, Text, text

from waremill.store.tables import Id, metadata

publications = Table(
    "publications",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("run_id", Id, nullable=False),
    Column("team_id", Id, nullable=False, server_default="1"),
    Column("channel", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("rolls_back_id", Id),
    Column("mapping", Text, nullable=False),
    Column("outputs", Text, nullable=False),
    Column("report", Text),
    Column("reason", Text),
    Column("by", Text, nullable=False),
    Column("owner", Text),
    Column("heartbeat", Float),
    Column("created_at", Float, nullable=False),
    Column("ended_at", Float),
    Index("ix_publications_run_id_channel", "run_id", "channel"),
    Index("ix_publications_team_id_id", "team_id", "id"),
    Index("ix_publications_channel_id", "channel", "id"),
    Index("ux_publications_open", "channel", unique=True,
          sqlite_where=text("state IN ('working', 'written')"),
          postgresql_where=text("state IN ('working', 'written')")),
)  # fmt: skip
"""`state` is `working`, `written` (the target has it, its receipts do not count yet), `done` or
`failed`. `mapping` is the hash of the mapping's text in `documents`; `outputs` the files by target;
`report` what it came to, as JSON. One channel has one unfinished publication at most."""

receipts = Table(
    "receipts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("publication_id", Id, nullable=False),
    Column("target", Text, nullable=False),
    Column("product_id", Id, nullable=False),
    Column("field", Text, nullable=False),
    Column("hash", LargeBinary),
    Column("value", Text),
    Column("result_id", Id),
    Column("before_id", Id),
    Column("before", Text),
    Index("ix_receipts_publication_id_target", "publication_id", "target", "product_id", "field",
          unique=True),
    Index("ix_receipts_product_id", "product_id"),
)  # fmt: skip
"""One value that was published. `value` is JSON, NULL where it was taken back; `result_id` the
result it came from, NULL for an attribute or a constant; `before_id` the receipt it replaced, and
`before` what the target itself held before the first one, where the format can tell."""

published = Table(
    "published",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    Column("product_id", Id, primary_key=True, autoincrement=False),
    Column("field", Text, primary_key=True),
    Column("receipt_id", Id, nullable=False),
    sqlite_with_rowid=False,
)

refusals = Table(
    "refusals",
    metadata,
    Column("publication_id", Id, primary_key=True, autoincrement=False),
    Column("number", Id, primary_key=True, autoincrement=False),
    Column("product_id", Id, nullable=False),
    Column("target", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("place", Text),
    Index("ix_refusals_product_id", "product_id"),
    sqlite_with_rowid=False,
)
"""One thing that is wrong with a row a channel would not take, numbered from 1."""

identities = Table(
    "identities",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    Column("hash", LargeBinary, primary_key=True),
    Column("product_id", Id, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""Products that were to be published under an identity, by its hash. A row says where to look, not
that it is so: whether the product is live under it, its receipts say."""
