"""The tables. Times are Unix seconds, money is integer nano-USD, hashes are 16 bytes.

    catalogs ─ products ─ product_versions          what there is to write about
    documents ─ pipeline_versions ─ fingerprints    what was asked, frozen
    runs ─ items ─ results ─ current                what was made
    answers · calls · rates                         what was paid
    reviews · leases · lots ─ lot_items · marks     what a person or an approved rule said
    recordings · signatures · bands                 what a replay needs, what near-duplicates need
    findings · spend · outcomes · waits             derived: what is filtered by and added up
    selections · versions                           what people named or drafted

Who may do what, and what they did, is in `tables_people`. `current`, `findings`, `spend`,
`outcomes` and `waits` are derived; all else is appended or moves forward; an edit or a regeneration
is a new result.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import orjson
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id = BigInteger().with_variant(Integer, "sqlite")
"""64-bit row ids; SQLite needs the word INTEGER for its row id."""
Attributes = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


AnyRow: TypeAlias = Row[*tuple[Any, ...]]
"""A row whatever its columns."""


def dumps(value: Any) -> str:
    """Write a value as JSON text."""
    return orjson.dumps(value).decode()


catalogs = Table(
    "catalogs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("key_column", Text),
    Column("group_column", Text),
    Column("columns", Text, nullable=False),
    Column("source", Text),
    Column("sheet", Text),
    Column("imports", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("team_id", Id, nullable=False, server_default="1"),
)

products = Table(
    "products",
    metadata,
    Column("id", Id, primary_key=True),
    Column("catalog_id", Id, ForeignKey("catalogs.id"), nullable=False),
    Column("is_group", Boolean, nullable=False),
    Column("key", Text, nullable=False),
    Column("group_id", Id),
    Column("version", BigInteger, nullable=False),
    Column("position", Integer, nullable=False),
    Column("import_number", Integer, nullable=False),
    Column("attributes", Attributes, nullable=False),
    UniqueConstraint("catalog_id", "is_group", "key"),
    Index("ix_products_in_order", "catalog_id", "is_group", "id"),
    Index("ix_products_group_id", "group_id", sqlite_where=text("group_id IS NOT NULL"),
          postgresql_where=text("group_id IS NOT NULL")),
)  # fmt: skip

product_versions = Table(
    "product_versions",
    metadata,
    Column("product_id", Id, primary_key=True, autoincrement=False),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("attributes", Attributes, nullable=False),
)

documents = Table(
    "documents",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("body", Text, nullable=False),
)

pipeline_versions = Table(
    "pipeline_versions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("files", Text, nullable=False),
    Column("templates", Text, nullable=False),
    Column("created_at", Float, nullable=False),
)

fingerprints = Table(
    "fingerprints",
    metadata,
    Column("id", Id, primary_key=True),
    Column("hash", LargeBinary, nullable=False, unique=True),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("catalog_id", Id, ForeignKey("catalogs.id")),
    Column("pipeline_version_id", Id, ForeignKey("pipeline_versions.id"), nullable=False),
    Column("pipeline", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("take", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("budget", BigInteger),
    Column("drawn", BigInteger, nullable=False),
    Column("owner", Text),
    Column("epoch", Integer, nullable=False),
    Column("heartbeat", Float),
    Column("command", Text),
    Column("progress", Text),
    Column("summary", Text),
    Column("output", Text),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("worked_seconds", Float, nullable=False),
    Column("team_id", Id, nullable=False, server_default="1"),
    Column("created_by", Text),
    Column("approved_by", Text),
    Column("budget_by", Text),
    Column("committed", BigInteger),
)
"""Runs and trials; and rows of kind `generate`, which stand for what somebody generates one product
at a time on one day with one pipeline: they have calls and no items, and mostly no catalogue.
`committed` is the token of the last group commit."""

items = Table(
    "items",
    metadata,
    Column("id", Id, primary_key=True),
    Column("run_id", Id, nullable=False),
    Column("product_id", Id, nullable=False),
    Column("product_version", BigInteger, nullable=False),
    Column("group_id", Id),
    Column("group_version", BigInteger, nullable=False),
    Column("fingerprint_id", Id, nullable=False),
    Column("target", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("source_id", Id),
    Column("attempts", Integer, nullable=False),
    Column("findings", Integer, nullable=False),
    Column("paid", BigInteger),
    Column("list_cost", BigInteger),
    Column("latency", Float),
    Column("error", Text),
    Index("ix_items_run_id_id", "run_id", "id"),
    Index("ix_items_run_id_state_id", "run_id", "state", "id"),
    Index("ix_items_product_id_run_id", "product_id", "run_id"),
    Index("ix_items_source_id_run_id", "source_id", "run_id",
          sqlite_where=text("source_id IS NOT NULL"),
          postgresql_where=text("source_id IS NOT NULL")),
    Index(
        "ix_items_finished",
        "fingerprint_id", "product_id", "product_version", "group_version",
        sqlite_where=text("source_id IS NULL AND state NOT IN ('pending', 'failed')"),
        postgresql_where=text("source_id IS NULL AND state NOT IN ('pending', 'failed')"),
    ),
)  # fmt: skip

results = Table(
    "results",
    metadata,
    Column("id", Id, primary_key=True),
    Column("item_id", Id, nullable=False),
    Column("product_id", Id, nullable=False),
    Column("target", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("values", Text, nullable=False),
    Column("findings", Text),
    Column("provenance", Text),
    Column("created_at", Float, nullable=False),
    Index("ix_results_item_id", "item_id"),
    Index("ix_results_product_id_target_id", "product_id", "target", "id"),
)

current = Table(
    "current",
    metadata,
    Column("product_id", Id, primary_key=True, autoincrement=False),
    Column("target", Text, primary_key=True),
    Column("field", Text, primary_key=True),
    Column("result_id", Id, nullable=False),
    sqlite_with_rowid=False,
)

answers = Table(
    "answers",
    metadata,
    Column("id", Id, primary_key=True),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("model", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("reported_model", Text, nullable=False),
    Column("request_id", Text),
    Column("request_bytes", Integer, nullable=False),
    Column("input", Integer, nullable=False),
    Column("cached", Integer, nullable=False),
    Column("output", Integer, nullable=False),
    Column("reasoning", Integer, nullable=False),
    Column("list_cost", BigInteger),
    Column("created_at", Float, nullable=False),
)

calls = Table(
    "calls",
    metadata,
    Column("id", Id, primary_key=True),
    Column("run_id", Id, nullable=False),
    Column("item_id", Id, nullable=False),
    Column("step", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("request_hash", LargeBinary, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status", Integer),
    Column("request_id", Text),
    Column("latency", Float, nullable=False),
    Column("input", Integer, nullable=False),
    Column("cached", Integer, nullable=False),
    Column("output", Integer, nullable=False),
    Column("reasoning", Integer, nullable=False),
    Column("paid", BigInteger),
    Column("list_cost", BigInteger),
    Column("error", Text),
    Column("started_at", Float, nullable=False),
    Index("ix_calls_run_id_id", "run_id", "id"),
)

rates = Table(
    "rates",
    metadata,
    Column("model", Text, primary_key=True),
    Column("requests_at", Float, nullable=False),
    Column("tokens_at", Float, nullable=False),
)

recordings = Table(
    "recordings",
    metadata,
    Column("item_id", Id, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

derivations = Table(
    "derivations",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("what", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Index("ix_derivations_created_at", "created_at"),
)
"""What we made of stored files ourselves, by the hash of the operation, its settings and inputs;
`value` is JSON, with references to what was made; `seconds` is how long that took."""

signatures = Table(
    "signatures",
    metadata,
    Column("item_id", Id, primary_key=True, autoincrement=False),
    Column("field", Text, primary_key=True),
    Column("request", BigInteger, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)

bands = Table(
    "bands",
    metadata,
    Column("field", Text, primary_key=True),
    Column("band", BigInteger, primary_key=True, autoincrement=False),
    Column("item_id", Id, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

reviews = Table(
    "reviews",
    metadata,
    Column("id", Id, primary_key=True),
    Column("item_id", Id, nullable=False),
    Column("field", Text),
    Column("verdict", Text, nullable=False),
    Column("reason", Text),
    Column("by", Text),
    Column("rule", Text),
    Column("result_id", Id),
    Column("before", Text),
    Column("created_at", Float, nullable=False),
    Index("ix_reviews_item_id", "item_id"),
)
"""A verdict on an item, or on one `field` of it; `before` is the item's state until then."""

findings = Table(
    "findings",
    metadata,
    Column("run_id", Id, primary_key=True, autoincrement=False),
    Column("rule", Text, primary_key=True),
    Column("item_id", Id, primary_key=True, autoincrement=False),
    Column("field", Text, primary_key=True),
    sqlite_with_rowid=False,
)
"""Which items have a finding of a rule, about which field; the findings are in `results`."""

spend = Table(
    "spend",
    metadata,
    Column("run_id", Id, primary_key=True, autoincrement=False),
    Column("model", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("calls", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("unpriced", Integer, nullable=False),
    Column("input", BigInteger, nullable=False),
    Column("cached", BigInteger, nullable=False),
    Column("output", BigInteger, nullable=False),
    Column("reasoning", BigInteger, nullable=False),
    Column("paid", BigInteger, nullable=False),
    Column("list_cost", BigInteger, nullable=False),
    Index("ix_spend_day", "day"),
    sqlite_with_rowid=False,
)
"""The ledger's sums; `day` is UTC, written YYYY-MM-DD; `target` is the item's."""

outcomes = Table(
    "outcomes",
    metadata,
    Column("run_id", Id, primary_key=True, autoincrement=False),
    Column("model", Text, primary_key=True),
    Column("outcome", Text, primary_key=True),
    Column("calls", Integer, nullable=False),
    Column("priced", Integer, nullable=False),
    Column("charged", Integer, nullable=False),
    Column("input", BigInteger, nullable=False),
    Column("cached", BigInteger, nullable=False),
    Column("output", BigInteger, nullable=False),
    Column("reasoning", BigInteger, nullable=False),
    Column("paid", BigInteger, nullable=False),
    Column("list_cost", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("streamed", Integer, nullable=False, server_default="0"),
    Column("first_seconds", Float, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)
"""The ledger's sums by how calls ended. Of `calls`, `priced` have a list cost, and of `charged` it
is known what was paid; `seconds` is their latency together. Of `streamed` it is known when the
first piece came; `first_seconds` is how long that took, together."""

waits = Table(
    "waits",
    metadata,
    Column("run_id", Id, primary_key=True, autoincrement=False),
    Column("model", Text, primary_key=True),
    Column("bucket", Integer, primary_key=True, autoincrement=False),
    Column("calls", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    sqlite_with_rowid=False,
)
"""The ledger's sums by how long calls waited for their turn under a rate limit, before they were
sent: `bucket` is a place among `ledger.WAITS`, `seconds` all waits of it together."""

leases = Table(
    "leases",
    metadata,
    Column("item_id", Id, primary_key=True, autoincrement=False),
    Column("holder", Text, nullable=False),
    Column("until", Float, nullable=False),
)

lots = Table(
    "lots",
    metadata,
    Column("id", Id, primary_key=True),
    Column("run_id", Id, nullable=False),
    Column("condition", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("sample", Integer, nullable=False),
    Column("allowed", Integer, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("most_bad", Float, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("by", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", Float),
    Index("ix_lots_run_id", "run_id"),
)
"""Acceptance sampling: of `size` items, `sample` are looked at and `allowed` may be bad."""

lot_items = Table(
    "lot_items",
    metadata,
    Column("lot_id", Id, primary_key=True, autoincrement=False),
    Column("item_id", Id, primary_key=True, autoincrement=False),
    Column("verdict", Text),
    Index("ix_lot_items_drawn", "lot_id", "verdict", "item_id",
          sqlite_where=text("verdict IS NOT NULL"),
          postgresql_where=text("verdict IS NOT NULL")),
    sqlite_with_rowid=False,
)  # fmt: skip
"""All items of a lot; `verdict` is `drawn`, `good` or `bad` for those of its sample."""

marks = Table(
    "marks",
    metadata,
    Column("item_id", Id, primary_key=True, autoincrement=False),
    Column("field", Text, primary_key=True),
    Column("product_id", Id, nullable=False),
    Column("target", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("value", Text),
    Column("by", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Index("ix_marks_product_id_target_field", "product_id", "target", "field"),
)
"""What a person said of a trial's field: right, wrong or corrected; `value` has the value that was
marked and the right one."""

selections = Table(
    "selections",
    metadata,
    Column("id", Id, primary_key=True),
    Column("catalog_id", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("where", Text, nullable=False),
    Column("order_by", Text),
    Column("by", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    UniqueConstraint("catalog_id", "name"),
)

versions = Table(
    "versions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("path", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("note", Text),
    Column("author", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", Float),
    Index("ix_versions_path_id", "path", "id"),
)
"""What was written to a workspace's file in the console: a draft, approved, rejected or replaced;
`hash` names its text in `documents`."""
