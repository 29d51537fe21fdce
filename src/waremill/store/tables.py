"""The tables. Times are Unix seconds, money is integer nano-USD, hashes are 16 bytes.

    catalogs ─ products ─ product_versions          what there is to write about
    documents ─ pipeline_versions ─ fingerprints    what was asked, frozen
    runs ─ items ─ results ─ current                what was made
    answers · calls · rates                         what was paid
    reviews                                         what a person or an approved rule said
    recordings · signatures · bands                 what a replay needs, what near-duplicates need

`current` is derived: the newest result by (product, target, field). All else is appended or moves
forward; an edit or a regeneration is a new result.
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
    Column("catalog_id", Id, ForeignKey("catalogs.id"), nullable=False),
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
)

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
    Index("ix_calls_run_id", "run_id"),
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
    Column("created_at", Float, nullable=False),
    Index("ix_reviews_item_id", "item_id"),
)
