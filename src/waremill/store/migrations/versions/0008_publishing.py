"""Publishing: publications, receipts, and what is live."""

import sqlalchemy as sa
from alembic import op

from waremill.store.tables import Id

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "publications",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("team_id", Id, server_default="1", nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("rolls_back_id", Id, nullable=True),
        sa.Column("mapping", sa.Text(), nullable=False),
        sa.Column("outputs", sa.Text(), nullable=False),
        sa.Column("report", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("heartbeat", sa.Float(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_publications")),
        sa.UniqueConstraint("name", name=op.f("uq_publications_name")),
    )
    op.create_index("ix_publications_run_id_channel", "publications", ["run_id", "channel"])
    op.create_index("ix_publications_team_id_id", "publications", ["team_id", "id"])
    op.create_index(
        "ux_publications_open",
        "publications",
        ["channel"],
        unique=True,
        sqlite_where=sa.text("state IN ('working', 'written')"),
        postgresql_where=sa.text("state IN ('working', 'written')"),
    )
    op.create_table(
        "receipts",
        sa.Column("id", Id, nullable=False),
        sa.Column("publication_id", Id, nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("product_id", Id, nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=True),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("result_id", Id, nullable=True),
        sa.Column("before_id", Id, nullable=True),
        sa.Column("before", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipts")),
    )
    op.create_index(
        "ix_receipts_publication_id_target",
        "receipts",
        ["publication_id", "target", "product_id", "field"],
        unique=True,
    )
    op.create_index("ix_receipts_product_id", "receipts", ["product_id"])
    op.create_table(
        "published",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("product_id", Id, autoincrement=False, nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("receipt_id", Id, nullable=False),
        sa.PrimaryKeyConstraint(
            "channel", "target", "product_id", "field", name=op.f("pk_published")
        ),
        sqlite_with_rowid=False,
    )
