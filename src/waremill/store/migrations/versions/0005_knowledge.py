"""Knowledge bases: documents, their pieces, the vectors of texts."""

import sqlalchemy as sa
from alembic import op

from waremill.store.tables import Id

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "knowledge_bases",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("team_id", Id, server_default="1", nullable=False),
        sa.Column("embedder", sa.Text(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("heartbeat", sa.Float(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_knowledge_bases")),
        sa.UniqueConstraint("name", name=op.f("uq_knowledge_bases_name")),
    )
    op.create_table(
        "knowledge_documents",
        sa.Column("id", Id, nullable=False),
        sa.Column("base_id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Text(), nullable=True),
        sa.Column("valid_to", sa.Text(), nullable=True),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["base_id"], ["knowledge_bases.id"], name=op.f("fk_knowledge_documents_base_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_knowledge_documents")),
        sa.UniqueConstraint("base_id", "name", name=op.f("uq_knowledge_documents_base_id_name")),
    )
    for column in ("sequence", "state"):
        op.create_index(
            f"ix_knowledge_documents_base_id_{column}", "knowledge_documents", ["base_id", column]
        )
    op.create_table(
        "knowledge_pieces",
        sa.Column("id", Id, nullable=False),
        sa.Column("base_id", Id, nullable=False),
        sa.Column("document_id", Id, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("passage", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("headings", sa.Text(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=True),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("alike", sa.LargeBinary(), nullable=False),
        sa.Column("sketch_1", sa.BigInteger(), nullable=True),
        sa.Column("sketch_2", sa.BigInteger(), nullable=True),
        sa.Column("sketch_3", sa.BigInteger(), nullable=True),
        sa.Column("repeats", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"], ["knowledge_documents.id"],
            name=op.f("fk_knowledge_pieces_document_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_knowledge_pieces")),
        sa.UniqueConstraint(
            "document_id", "position", name=op.f("uq_knowledge_pieces_document_id_position")
        ),
        sa.UniqueConstraint("base_id", "passage", name=op.f("uq_knowledge_pieces_base_id_passage")),
    )  # fmt: skip
    op.create_index("ix_knowledge_pieces_base_id_alike", "knowledge_pieces", ["base_id", "alike"])
    for number in (1, 2, 3):
        column = f"sketch_{number}"
        op.create_index(
            f"ix_knowledge_pieces_base_id_{column}", "knowledge_pieces", ["base_id", column],
            sqlite_where=sa.text(f"{column} IS NOT NULL"),
            postgresql_where=sa.text(f"{column} IS NOT NULL"),
        )  # fmt: skip
    op.create_table(
        "vectors",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_vectors")),
    )
    op.create_index("ix_vectors_model", "vectors", ["model"])
