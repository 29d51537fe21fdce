"""The tables of knowledge bases.

    knowledge_bases ─ knowledge_documents ─ knowledge_pieces        what was loaded, and its pieces
    vectors                                                         of texts, by model

A document is stored when it was loaded, so an index is only derived.
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
    UniqueConstraint,
    text,
)

from waremill.store.tables import Id, metadata

knowledge_bases = Table(
    "knowledge_bases",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("team_id", Id, nullable=False, server_default="1"),
    Column("embedder", Text),
    Column("sequence", BigInteger, nullable=False),
    Column("version", Text, nullable=False),
    Column("owner", Text),
    Column("epoch", Integer, nullable=False),
    Column("heartbeat", Float),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
)
"""`sequence` is raised by each change and numbers the documents it touched: what an index lacks are
the documents with higher numbers than its own. `version` is the hash of what a search can give."""

knowledge_documents = Table(
    "knowledge_documents",
    metadata,
    Column("id", Id, primary_key=True),
    Column("base_id", Id, ForeignKey("knowledge_bases.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("content", LargeBinary),
    Column("source", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("valid_from", Text),
    Column("valid_to", Text),
    Column("notes", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("changed_at", Float, nullable=False),
    UniqueConstraint("base_id", "name"),
    Index("ix_knowledge_documents_base_id_sequence", "base_id", "sequence"),
    Index("ix_knowledge_documents_base_id_state", "base_id", "state"),
)
"""`state` is `loaded` (without its pieces), `ready` or `removed`; a removed one is kept as a
name, so that indexes elsewhere learn of it. `hash` tells whether a source changed, `content` is the
hash of what a search can give of it. `body` is its sections as JSON."""

knowledge_pieces = Table(
    "knowledge_pieces",
    metadata,
    Column("id", Id, primary_key=True),
    Column("base_id", Id, nullable=False),
    Column("document_id", Id, ForeignKey("knowledge_documents.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("passage", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("headings", Text, nullable=False),
    Column("page", Integer),
    Column("tokens", Integer, nullable=False),
    Column("alike", LargeBinary, nullable=False),
    Column("sketch_1", BigInteger),
    Column("sketch_2", BigInteger),
    Column("sketch_3", BigInteger),
    Column("repeats", Boolean, nullable=False),
    UniqueConstraint("document_id", "position"),
    UniqueConstraint("base_id", "passage"),
    Index("ix_knowledge_pieces_base_id_alike", "base_id", "alike"),
    *(
        Index(f"ix_knowledge_pieces_base_id_sketch_{n}", "base_id", f"sketch_{n}",
              sqlite_where=text(f"sketch_{n} IS NOT NULL"),
              postgresql_where=text(f"sketch_{n} IS NOT NULL"))
        for n in (1, 2, 3)
    ),
)  # fmt: skip
"""`passage` is the id a search gives. Pieces with equal `alike` say the same; those that share a
sketch nearly do. One that `repeats` another is not indexed."""

vectors = Table(
    "vectors",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("model", Text, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    Index("ix_vectors_model", "model"),
)
"""`hash` is of a model and a text, `vector` little-endian float32. Whoever needs one again, for
another base or after a rebuild, finds it here."""
